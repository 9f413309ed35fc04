"""The other end of the wire benchmarks: a process of its own that plays pre-encoded frames, and times answers.

`Server.plays` says what the clients that connect next get: "flood" (all speech at once), "paced" (a piece every so many
seconds), "sink" (nothing; frames are counted), "tools" and "cuts" (rounds whose answer is waited for). Of the last
three, `Server.result` tells when they are over and what was measured on this end.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import multiprocessing
import statistics
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from duologue.tasks import TaskSet

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Frame: TypeAlias = str | bytes
Plan: TypeAlias = tuple[str, int, float]

NUMBER = "@n@"
"""Stands in the frames of a script for the number of the round: names of replies and of calls may not come twice."""

SETTLED = 0.1
"""Seconds between the session's start and what is played: connecting is not measured."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a provider says, in its own frames.

    Attributes:
        hellos: how many frames a client opens with.
        welcome: the frames that accept the session.
        audio: 40 ms of speech.
        call: the frames of a call, of a tool named `answer` without arguments.
        result: what the client's frame with the result holds.
        speech: the frames that say a reply has begun and the user speaks.
        stop: what the client's frame that stops the reply holds.
        stopped: the frames that confirm it.
    """

    hellos: int = 1
    welcome: tuple[Frame, ...]
    audio: Frame
    call: tuple[Frame, ...] = ()
    result: bytes = b""
    speech: tuple[Frame, ...] = ()
    stop: bytes = b""
    stopped: tuple[Frame, ...] = ()


def on_wire(*frames: Frame, number: int = 0) -> bytes:
    """Frames as a server writes them."""
    parts = []
    for frame in frames:
        text = isinstance(frame, str)
        data = frame.encode() if isinstance(frame, str) else frame
        data = data.replace(NUMBER.encode(), str(number).encode())
        size = len(data)
        length = bytes([size]) if size < 126 else struct.pack("!BH", 126, size)
        if size > 0xFFFF:
            length = struct.pack("!BQ", 127, size)
        parts += [b"\x81" if text else b"\x82", length, data]
    return b"".join(parts)


class Client(asyncio.Protocol):
    """One client of the server. Understands whole frames of less than 64 KiB, and nothing that is not needed here."""

    def __init__(self, script: Script, report: Connection, plan: Plan) -> None:
        self._script = script
        self._report = report
        self._data = bytearray()
        self._open = False
        self._frames = 0
        self._mode, self._n, self._every = plan
        self._marker = b""
        self._asked: list[bytes] = []
        self._at = 0.0
        self._waits: list[float] = []
        self._room = asyncio.Event()
        self._tasks = TaskSet()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tasks.start(self._tasks.stop(1.0), "leaving")

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._open and not self._handshake():
            return
        buffer, at, end = self._data, 0, len(self._data)
        while end - at >= 6:
            size, head = buffer[at + 1] & 127, 6
            if size == 126:
                size, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 8
            if end - at < head + size:
                break
            self._frame(buffer, at, head, size)
            at += head + size
        del buffer[:at]

    def _frame(self, buffer: bytearray, at: int, head: int, size: int) -> None:
        if buffer[at] & 15 == 8:
            self._transport.write(b"\x88\x02\x03\xe8")
            self._transport.close()
            return
        self._frames += 1
        if self._frames == self._script.hellos:
            self._transport.write(on_wire(*self._script.welcome))
            self._tasks.start(self._play(), "playing")
        elif self._marker:
            mask = bytes(buffer[at + head - 4 : at + head])
            body = bytes(buffer[at + head : at + head + size])
            key = int.from_bytes(mask * (size // 4 + 1), "big") >> (8 * (4 - size % 4))
            plain = (int.from_bytes(body, "big") ^ key).to_bytes(size, "big")
            if self._marker in plain:
                self._answered()
        elif self._mode == "sink" and self._frames == self._n + self._script.hellos:
            self._finish({"frames": self._n})

    async def _play(self) -> None:
        script = self._script
        await asyncio.sleep(SETTLED)
        if self._mode == "flood":
            batch, rest = divmod(self._n, 20)
            for count in [20] * batch + [rest] * (rest > 0):
                self._transport.write(on_wire(*[script.audio] * count))
                await self._room.wait()
        elif self._mode == "paced":
            frame, began = on_wire(script.audio), time.perf_counter()
            for number in range(self._n):
                await asyncio.sleep(max(0.0, began + number * self._every - time.perf_counter()))
                self._transport.write(frame)
        elif self._mode == "tools":
            self._ask(script.result, script.call, ())
        elif self._mode == "cuts":
            self._ask(script.stop, script.speech, script.stopped)

    def _ask(self, marker: bytes, frames: tuple[Frame, ...], then: tuple[Frame, ...]) -> None:
        self._marker = marker
        asked = [on_wire(*frames, number=number) for number in range(self._n)]
        after = [b""] + [on_wire(*then, number=number) for number in range(self._n)]
        self._asked = [a + b for a, b in zip(after, asked, strict=False)][::-1]
        self._next()

    def _next(self) -> None:
        self._at = time.perf_counter()
        self._transport.write(self._asked.pop())

    def _answered(self) -> None:
        self._waits.append(time.perf_counter() - self._at)
        if self._asked:
            asyncio.get_running_loop().call_later(0.001, self._next)
        else:
            self._marker = b""
            self._finish({"p50_us": statistics.median(self._waits) * 1e6})

    def _finish(self, found: dict[str, Any]) -> None:
        self._report.send(found)

    def _handshake(self) -> bool:
        head, found, rest = bytes(self._data).partition(b"\r\n\r\n")
        if not found:
            return False
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + guid).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self._data, self._open = bytearray(rest), True
        if not self._script.hellos:
            self._transport.write(on_wire(*self._script.welcome))
            self._tasks.start(self._play(), "playing")
        return True


def _run(script: Script, report: Connection) -> None:
    plan: Plan = ("sink", 0, 0.0)

    def client() -> Client:
        nonlocal plan
        while report.poll():
            plan = report.recv()
        return Client(script, report, plan)

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(client, "127.0.0.1", 0)
        report.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


class Server:
    """The server's process."""

    def __init__(self, script: Script) -> None:
        context = multiprocessing.get_context("spawn")
        self._report, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(script, theirs), daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._process.start()
        self.url = f"ws://127.0.0.1:{self._report.recv()}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def plays(self, mode: str, n: int, every: float = 0.0) -> None:
        """Say what the next clients get, `n` times."""
        self._report.send((mode, n, every))

    def result(self) -> dict[str, Any]:
        """What the server measured of the last client that finished."""
        if not self._report.poll(30):
            raise TimeoutError("the server has measured nothing within 30 s")
        return cast("dict[str, Any]", self._report.recv())
