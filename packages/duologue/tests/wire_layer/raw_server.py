"""A WebSocket server of bytes, so that a test can break every rule, and an HTTP proxy."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

TEXT, BINARY, CLOSE, PING, PONG, CONT = 1, 2, 8, 9, 10, 0


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """One unmasked frame (RFC 6455, 5.2)."""
    size = len(payload)
    length = (
        bytes([size]) if size < 126 else struct.pack("!BH" if size < 1 << 16 else "!BQ", 126 + (size >> 16 > 0), size)
    )
    return bytes([0x80 * fin | opcode]) + length + payload


def close(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


class Raw:
    """One client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.request = b""

    async def hear_request(self) -> None:
        self.request = await self.reader.readuntil(b"\r\n\r\n")

    @property
    def headers(self) -> dict[str, str]:
        lines = self.request.decode().split("\r\n")[1:-2]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def accept(self, more: bytes = b"", *headers: str) -> None:
        """Answer the handshake, and send this in the same breath."""
        key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accepted = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Accept: {accepted}", *headers, "", ""]
        self.writer.write("\r\n".join(lines).encode() + more)

    def answer(self, status: str, body: str = "", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", "Connection: close", *headers, "", body]
        self.writer.write("\r\n".join(lines).encode())

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def next(self) -> tuple[int, bytes]:
        """The client's next frame, unmasked."""
        first, size = await self.reader.readexactly(2)
        assert size & 0x80, "a client masks its frames"
        size &= 0x7F
        if size > 125:
            (size,) = struct.unpack(
                "!H" if size == 126 else "!Q", await self.reader.readexactly(2 if size == 126 else 8)
            )
        mask = await self.reader.readexactly(4)
        data = await self.reader.readexactly(size)
        return first & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))

    async def gone(self) -> None:
        """Wait until the client has left."""
        with contextlib.suppress(OSError):
            while await self.reader.read(1 << 16):
                pass


class RawServer:
    """Runs `script` for each client; what goes wrong there is raised on leaving."""

    def __init__(
        self, script: Callable[[Raw], Awaitable[None]], *, upgrade: bool = True, tls: ssl.SSLContext | None = None
    ) -> None:
        self._script = script
        self._upgrade = upgrade
        self._tls = tls
        self._failures: list[BaseException] = []
        self._running: set[asyncio.Task[Any]] = set()
        self.clients: list[Raw] = []
        self.ends = asyncio.Event()
        self.url = ""
        self.port = 0

    async def __aenter__(self) -> RawServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, kind: Any, *_: object) -> None:
        self._server.close()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=5)
        if self._failures and kind is None:
            raise self._failures[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        client = Raw(reader, writer)
        self.clients.append(client)
        try:
            await client.hear_request()
            if self._upgrade:
                client.accept()
            await self._script(client)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        except Exception as exc:
            self._failures.append(exc)
        finally:
            self._running.discard(task)
            self.ends.set()
            writer.transport.abort()


class Proxy(RawServer):
    """An HTTP proxy: CONNECT and nothing else. `where` says what stands behind a name."""

    def __init__(self, where: Callable[[str], int], refuse: str = "") -> None:
        super().__init__(self._pipe, upgrade=False)
        self._where = where
        self._refuse = refuse
        self.asked: list[str] = []

    async def _pipe(self, client: Raw) -> None:
        method, target, _ = client.request.split(b"\r\n")[0].decode().split(" ")
        assert method == "CONNECT"
        self.asked.append(target)
        if self._refuse:
            client.answer(self._refuse, "go away")
            await client.gone()
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", self._where(target))
        client.writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(client.reader, writer))
                group.create_task(self._copy(reader, client.writer))
        finally:
            writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
            writer.write_eof()
