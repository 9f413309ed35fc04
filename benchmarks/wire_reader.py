"""The least that reads a WebSocket: a client on `asyncio.BufferedProtocol`, for comparison and for nothing else.

It answers no ping, takes no fragments, checks no handshake and masks with zeros (which RFC 6455 forbids).
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable


class Reader(asyncio.BufferedProtocol):
    """Parses whole frames in one buffer and hands out each message as `bytes`."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take
        self._buffer = bytearray(1 << 18)
        self._view = memoryview(self._buffer)
        self._end = 0
        self._open = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        self._end += nbytes
        buffer, at, end = self._buffer, 0, self._end
        if not self._open:
            head = buffer.find(b"\r\n\r\n", 0, end)
            if head < 0:
                return
            self._open, at = True, head + 4
            self.opened.set_result(None)
        while end - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                start, size = at + 4, (buffer[at + 2] << 8) | buffer[at + 3]
            elif size == 127:
                start, size = at + 10, int.from_bytes(buffer[at + 2 : at + 10], "big")
            if start + size > end:
                break
            self._take(bytes(self._view[start : start + size]))
            at = start + size
        self._buffer[: end - at] = self._view[at:end]
        self._end = end - at

    def send(self, text: str) -> None:
        data = text.encode()
        size = len(data)
        head = struct.pack("!BBI", 0x81, 128 | size, 0) if size < 126 else struct.pack("!BBHI", 0x81, 254, size, 0)
        self.transport.write(head + data)


async def open_reader(url: str, take: Callable[[bytes], object]) -> Reader:
    """Connect a reader."""
    where = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, reader = await loop.create_connection(lambda: Reader(take), where.hostname or "", where.port or 80)
    reader.transport.write(
        f"GET {where.path}?{where.query} HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    await reader.opened
    return reader
