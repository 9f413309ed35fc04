"""PicowsLink: a link over `picows`, whose parser is compiled; half the processor time of `websockets`.

An extra (`pip install duologue[fast]`), used where it is installed. Endpoints behind a proxy go over `websockets`.
"""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from picows import WSCloseCode, WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from duologue.tasks import TaskSet
from duologue.wire.closing import explain_failure, explain_status
from duologue.wire.link import ABNORMAL, WRITE_HIGH, WRITE_LOW, LinkEnd
from duologue.wire.tcp import tune

if TYPE_CHECKING:
    from picows.url import WSParsedURL

    from duologue.wire.codec import Frame
    from duologue.wire.endpoint import Endpoint
    from duologue.wire.link import LinkListener

NO_CODE = 1005
"""What a close frame without a code counts as (RFC 6455, 7.1.5)."""

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})\b")

_TEXT, _BINARY, _CONT = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION


class PicowsLink(WSListener):  # type: ignore[misc,unused-ignore] # the base class is compiled
    """One WebSocket; see `duologue.wire.link.Link`."""

    def __init__(self, max_message: int) -> None:
        self.heard = 0
        self.congested = False
        self._max_message = max_message
        self._transport: WSTransport | None = None
        self._listener: LinkListener | None = None
        self._early: list[Frame] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._first = _TEXT
        self._cause: Exception | None = None
        self._received = LinkEnd()
        self._over = asyncio.get_running_loop().create_future()
        self._tasks = TaskSet()
        self._room: asyncio.Future[None] | None = None

    # -- Link -----------------------------------------------------------------------------------------

    def start(self, listener: LinkListener) -> None:
        """Tell this listener from now on."""
        self._listener = listener
        early, self._early = self._early, []
        for frame in early:
            listener.frame(frame)
        if self._over.done():
            listener.ended(self._end())

    def send(self, frame: Frame) -> None:
        """Write a frame."""
        transport = self._transport
        if transport is None or self._over.done() or transport.is_close_frame_sent:
            return
        if isinstance(frame, str):
            transport.send(_TEXT, frame.encode())
        else:
            transport.send(_BINARY, frame)

    def ping(self) -> None:
        """Write a ping."""
        if self._transport is not None and not self._over.done():
            self._transport.send_ping(b"")

    async def drain(self) -> None:
        """Wait until the socket is no longer congested, or the link has ended."""
        while self.congested and not self._over.done():
            if self._room is None:
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)

    def pause(self) -> None:
        """Read no further."""
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None:
            self._transport.underlying_transport.resume_reading()

    async def close(self, within: float) -> None:
        """Say goodbye and wait for the answer; then cut."""
        transport = self._transport
        if transport is not None and not self._over.done():
            transport.send_close(WSCloseCode.OK)
        try:
            async with asyncio.timeout(within):
                await asyncio.shield(self._over)
        except TimeoutError:
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Cut the link at once."""
        if self._transport is not None:
            self._transport.underlying_transport.abort()

    # -- what the library calls -----------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._transport = transport
        self._tasks.start(self._watch(transport), "link")
        with suppress(AttributeError, NotImplementedError):
            transport.underlying_transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame from the parser."""
        self.heard += 1
        kind = frame.msg_type
        if kind is _TEXT or kind is _BINARY:
            if frame.fin:
                if kind is _TEXT:
                    try:
                        self._deliver(frame.get_payload_as_utf8_text())
                    except UnicodeDecodeError:
                        self._deliver(frame.get_payload_as_bytes())  # the codec says what it thinks of it
                else:
                    self._deliver(frame.get_payload_as_bytes())
            else:
                self._first, self._parts, self._size = kind, [frame.get_payload_as_bytes()], frame.payload_size
        elif kind is _CONT:
            self._append(frame)
        elif kind is WSMsgType.CLOSE:
            code: WSCloseCode | int = frame.get_close_code()  # codes the library has no name for come as numbers
            number = code.value if isinstance(code, WSCloseCode) else int(code)
            self._received = LinkEnd(number or NO_CODE, frame.get_close_reason() or "")
            transport.send_close(code if isinstance(code, WSCloseCode) and number else WSCloseCode.OK)
            transport.disconnect()
        elif kind is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())

    async def _watch(self, transport: WSTransport) -> None:
        """Wait for the end, which the library tells a coroutine with its cause, and its listener without."""
        try:
            await transport.wait_disconnected()
        except (OSError, WSError) as exc:
            self._cause = self._cause or exc
        self._over.set_result(None)
        self._make_room()
        if self._listener is not None:
            self._listener.ended(self._end())

    def pause_writing(self) -> None:
        """The socket is full."""
        self.congested = True

    def resume_writing(self) -> None:
        """The socket takes more."""
        self.congested = False
        self._make_room()
        if self._listener is not None:
            self._listener.writable()

    def _append(self, frame: WSFrame) -> None:
        if not self._parts:
            self._cause = self._cause or ValueError("a piece came of a message that had not begun")
            self.abort()
            return
        self._size += frame.payload_size
        if self._size > self._max_message:
            self._parts = []
            self._cause = ValueError(f"a message is larger than {self._max_message} bytes")
            self.abort()
            return
        self._parts.append(frame.get_payload_as_bytes())
        if frame.fin:
            whole, self._parts = b"".join(self._parts), []
            message: Frame = whole
            if self._first is _TEXT:
                with suppress(UnicodeDecodeError):
                    message = whole.decode()
            self._deliver(message)

    def _deliver(self, frame: Frame) -> None:
        if self._listener is None:
            self._early.append(frame)
        else:
            self._listener.frame(frame)

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def _end(self) -> LinkEnd:
        return self._received if self._cause is None else LinkEnd(ABNORMAL, cause=self._cause)


async def open_picows_link(endpoint: Endpoint, within: float) -> PicowsLink:
    """Open a link without a proxy.

    Raises:
        ConfigurationError: the endpoint can't be connected to as it is described.
        ConnectFailed: the network or the provider refused, or took longer than `within` seconds.
        RateLimited: HTTP 429.
    """
    endpoint.check()
    hidden = endpoint.hidden()
    address = urlsplit(endpoint.url).netloc.rpartition("@")[2]
    headers = dict(endpoint.headers)
    if endpoint.subprotocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(endpoint.subprotocols)
    if "user-agent" not in map(str.lower, headers):
        headers["User-Agent"] = "duologue"
    try:
        link = await _connect(endpoint, headers, within)
    except (OSError, WSError, ValueError, EOFError) as exc:
        if isinstance(exc, WSHandshakeError):
            status = _STATUS.match(exc.raw_header or b"")
            if status is not None and status[1] != b"101":
                body = bytes(exc.raw_body or b"").decode(errors="replace")
                raise explain_status(int(status[1]), hidden.redact(body), endpoint.provider) from None
        failure = explain_failure(exc, address, endpoint.provider)
        failure.args = (hidden.redact(str(failure)),)
        raise failure from None
    return link


async def _connect(endpoint: Endpoint, headers: dict[str, str], within: float) -> PicowsLink:
    sock: socket.socket | None = None

    async def dial(url: WSParsedURL) -> socket.socket:
        nonlocal sock
        sock = await _dial(url.host, url.port)
        return sock

    try:
        async with asyncio.timeout(within):
            transport, link = await ws_connect(
                lambda: PicowsLink(endpoint.max_frame),
                endpoint.url,
                ssl_context=endpoint.ssl,
                websocket_handshake_timeout=within,
                extra_headers=headers,
                max_frame_size=endpoint.max_frame,
                max_redirects=0,
                read_buffer_init_size=65536,
                enable_auto_ping=False,
                enable_auto_pong=False,  # or pings would be no sign of life
                socket_factory=dial,
                logger_name="duologue",
            )
        if link is None:
            raise EOFError("it closed the connection during the handshake")  # noqa: TRY301 - like its likes
    except BaseException:
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # the library leaves a handshake open that was cancelled
        raise
    tune(transport.underlying_transport, endpoint.keep_alive)
    return cast("PicowsLink", link)


async def _dial(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: OSError | None = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)  # asks nobody
    except socket.gaierror:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except OSError as exc:
            failure = exc
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure or OSError(f"{host} has no address")
