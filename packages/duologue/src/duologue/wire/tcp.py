"""What we ask of TCP: that it notices a peer which acknowledges nothing."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from duologue.wire.endpoint import KeepAlive


def tune(transport: asyncio.Transport, keep_alive: KeepAlive) -> None:
    """Make the system give a connection up once nothing was acknowledged for `keep_alive.within` seconds.

    Systems name it differently (Linux TCP_USER_TIMEOUT, RFC 5482; macOS TCP_RXT_CONNDROPTIME; Windows TCP_MAXRT);
    one that has no such thing is left as it is.
    """
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    seconds = max(1, round(keep_alive.within))
    name, value = {
        "linux": (getattr(socket, "TCP_USER_TIMEOUT", 18), seconds * 1000),
        "darwin": (0x80, seconds),
        "win32": (5, seconds),
    }.get(sys.platform, (None, 0))
    with suppress(OSError):
        if name is not None:
            sock.setsockopt(socket.IPPROTO_TCP, name, value)
