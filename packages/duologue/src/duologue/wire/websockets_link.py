"""WebSocketsLink: a link over the `websockets` library, without its queue and its tasks.

The library's `Connection` hands over each frame as it is parsed (`process_event`, the method its own client overrides
for the handshake); taking it there saves a queue hop, a wake-up and a task for every message. Compression is never
offered: it costs five times the processor time for a quarter of the bytes (`docs/decisions/0040`).
"""

from __future__ import annotations

import asyncio
import functools
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI, WebSocketException
from websockets.frames import Opcode
from websockets.protocol import OPEN
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

from duologue.errors import ConfigurationError, DuologueError
from duologue.wire.closing import explain_failure, explain_status
from duologue.wire.link import ABNORMAL, WRITE_HIGH, WRITE_LOW, LinkEnd
from duologue.wire.secrets import Secrets
from duologue.wire.tcp import tune

if TYPE_CHECKING:
    from websockets.client import ClientProtocol
    from websockets.protocol import Event
    from websockets.typing import BytesLike

    from duologue.wire.codec import Frame
    from duologue.wire.endpoint import Endpoint
    from duologue.wire.link import LinkListener

LINGER = 1.0
"""Seconds that a peer has for closing the socket, once a close frame or a broken rule has ended the WebSocket."""

_TEXT, _BINARY, _CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT


class WebSocketsLink(ClientConnection):
    """One WebSocket; see `duologue.wire.link.Link`."""

    def __init__(self, protocol: ClientProtocol, **options: Any) -> None:
        super().__init__(protocol, **options)
        self.heard = 0
        self._listener: LinkListener | None = None
        self._early: list[Frame] = []
        self._parts: list[bytes] = []
        self._first = _TEXT
        self._cut: asyncio.TimerHandle | None = None

    # -- Link -----------------------------------------------------------------------------------------

    @property
    def congested(self) -> bool:
        """Whether the peer takes frames slower than they are sent."""
        return self.paused

    def start(self, listener: LinkListener) -> None:
        """Tell this listener from now on."""
        self._listener = listener
        early, self._early = self._early, []
        for frame in early:
            listener.frame(frame)
        if self.connection_lost_waiter.done():
            listener.ended(self._end(None))

    def send(self, frame: Frame) -> None:  # type: ignore[override] # ours never waits
        """Write a frame."""
        protocol = self.protocol
        if protocol.state is not OPEN:
            return
        if isinstance(frame, str):
            protocol.send_text(frame.encode())
        else:
            protocol.send_binary(frame)
        self.send_data()

    def ping(self) -> None:  # type: ignore[override] # ours never waits
        """Write a ping."""
        if self.protocol.state is OPEN:
            self.protocol.send_ping(b"")
            self.send_data()

    async def drain(self) -> None:
        """Wait until the socket is no longer congested, or the link has ended."""
        with suppress(OSError):  # `ended` tells of it
            await super().drain()

    def pause(self) -> None:
        """Read no further."""
        self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        self.transport.resume_reading()

    async def close(self, within: float) -> None:  # type: ignore[override]
        """Say goodbye and wait for the answer; then cut."""
        if self.protocol.state is OPEN:
            self.protocol.send_close(1000)
            self.send_data()
        try:
            async with asyncio.timeout(within):
                await asyncio.shield(self.connection_lost_waiter)
        except TimeoutError:
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Cut the link at once."""
        self.transport.abort()

    # -- what the library calls -----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse what came; the library waits for the peer to close the socket, which it may never do."""
        super().data_received(data)
        protocol = self.protocol
        if protocol.state is not OPEN and self._cut is None and (protocol.close_rcvd or protocol.parser_exc):
            self._cut = self.loop.call_later(LINGER, self.abort)

    def process_event(self, event: Event) -> None:
        """Take one frame from the parser."""
        if self.response is None:
            super().process_event(event)
            return
        self.heard += 1
        opcode, data = event.opcode, event.data  # type: ignore[union-attr] # after the handshake all are frames
        if opcode is _TEXT or opcode is _BINARY:
            if event.fin:  # type: ignore[union-attr]
                self._deliver(opcode, data)
            else:
                self._first, self._parts = opcode, [bytes(data)]
        elif opcode is _CONT:
            self._parts.append(bytes(data))
            if event.fin:  # type: ignore[union-attr]
                whole, self._parts = b"".join(self._parts), []
                self._deliver(self._first, whole)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        super().connection_lost(exc)
        if self._cut is not None:
            self._cut.cancel()
        if self._listener is not None:
            self._listener.ended(self._end(exc))

    def resume_writing(self) -> None:
        """The socket takes more."""
        super().resume_writing()
        if self._listener is not None:
            self._listener.writable()

    def _deliver(self, opcode: Opcode, data: BytesLike) -> None:
        frame: Frame
        if opcode is _TEXT:
            try:
                frame = str(data, "utf-8")
            except UnicodeDecodeError:
                frame = bytes(data)  # the codec says so; RFC 6455 would end the session for it
        else:
            frame = bytes(data)
        if self._listener is None:
            self._early.append(frame)
        else:
            self._listener.frame(frame)

    def _end(self, exc: Exception | None) -> LinkEnd:
        protocol = self.protocol
        received = protocol.close_rcvd
        if received is not None:
            return LinkEnd(int(received.code), received.reason)
        cause = protocol.parser_exc or exc
        return LinkEnd(ABNORMAL, "", cause if isinstance(cause, Exception) else None)


class _Connect(connect):
    """The library's way to a connection, which may follow redirects; ours takes keys to no other origin."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        found = super().process_redirect(exc)
        if isinstance(found, str):
            old, new = urlsplit(self.uri), urlsplit(found)
            if (old.scheme, old.netloc) != (new.scheme, new.netloc):
                here, there = old.netloc.rpartition("@")[2], new.netloc.rpartition("@")[2]
                return ConfigurationError(
                    f"{here} sends us on to {there}, where the key must not go: use that address if you mean it"
                )
        return found


async def open_websockets_link(endpoint: Endpoint, within: float) -> WebSocketsLink:
    """Open a link.

    Raises:
        ConfigurationError: the endpoint can't be connected to as it is described.
        ConnectFailed: the network or the provider refused, or took longer than `within` seconds.
        RateLimited: HTTP 429.
    """
    endpoint.check()
    proxy = get_proxy(parse_uri(endpoint.url)) if endpoint.proxy is True else endpoint.proxy
    hidden = endpoint.hidden() | Secrets.of("", {}, proxy=proxy or "")
    options: dict[str, Any] = {} if endpoint.ssl is None else {"ssl": endpoint.ssl}
    parts = urlsplit(endpoint.url)
    address = parts.netloc.rpartition("@")[2]
    try:
        connecting = _Connect(
            endpoint.url,
            additional_headers=dict(endpoint.headers),
            user_agent_header=None if "user-agent" in map(str.lower, endpoint.headers) else "duologue",
            subprotocols=cast("Any", endpoint.subprotocols or None),
            compression=None,
            proxy=proxy,
            logger=logging.Logger(
                "silent", logging.CRITICAL + 1
            ),  # the library's own would log headers with their keys
            open_timeout=within,
            ping_interval=None,
            close_timeout=1.0,
            max_size=endpoint.max_frame,
            write_limit=(WRITE_HIGH, WRITE_LOW),
            create_connection=cast("Any", functools.partial(WebSocketsLink)),
            **options,
        )
        link = cast("WebSocketsLink", await connecting)
    except DuologueError as exc:
        raise exc from None
    except InvalidProxy as exc:
        named = urlsplit(exc.proxy).hostname or "proxy"
        raise ConfigurationError(f"the address of the proxy ({named}) can't be used: {exc.msg}") from None
    except InvalidStatus as exc:
        body = bytes(exc.response.body or b"").decode(errors="replace")
        raise explain_status(exc.response.status_code, hidden.redact(body), endpoint.provider) from None
    except InvalidURI as exc:
        raise ConfigurationError(hidden.redact(str(exc))) from None
    except (OSError, InvalidHandshake, WebSocketException, ImportError, ValueError, EOFError) as exc:
        failure = explain_failure(exc, address, endpoint.provider)
        failure.args = (hidden.redact(str(failure)),)
        raise failure from None
    tune(link.transport, endpoint.keep_alive)
    return link
