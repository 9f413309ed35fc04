"""Peer: one client of a `WireServer`, as the script behind the server sees it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from websockets.exceptions import ConnectionClosed

from duologue.events import SessionStarted
from duologue.wire.commands import ClientCommand, SetUp

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import ServerConnection

    from duologue.events import Event
    from duologue.wire.codec import Frame, ServerCodec

C = TypeVar("C")

MAX_COMMANDS = 100_000
"""Half an hour of microphone in blocks of 20 ms."""


class Left(Exception):
    """The client is gone; ends the script of its connection."""


class Peer:
    """A client that has connected.

    Attributes:
        number: counts the connections of the server from 1.
        setup: what the client asked for.
        path: the path of its request, with the query.
        headers: the headers of its request.
        codec: the server half of the protocol.
        commands: what the client sent and nobody has taken yet, oldest first; of more than `MAX_COMMANDS` the oldest
            are dropped.
        dropped: how many were.
        delay: seconds by which everything that is sent is held up.
        repeat: how often each frame is sent.
        accepted: whether the session was accepted.
    """

    def __init__(self, number: int, codec: ServerCodec, socket: ServerConnection) -> None:
        self.number = number
        self.setup = SetUp()
        self.codec = codec
        self.commands: list[ClientCommand] = []
        self.dropped = 0
        self.delay = 0.0
        self.repeat = 1
        self.accepted = False
        self._socket = socket
        self._moved = asyncio.Event()
        self._gone = False
        self._frozen = False
        request = socket.request
        self.path = request.path if request is not None else ""
        self.headers: dict[str, str] = dict(request.headers.raw_items()) if request is not None else {}

    async def next(self) -> ClientCommand:
        """Take the client's next command.

        Raises:
            Left: it has gone.
        """
        while not self.commands:
            await self._news()
        return self.commands.pop(0)

    async def expect(self, kind: type[C], where: Callable[[C], bool] = lambda _: True, *, within: float = 10.0) -> C:
        """Take the client's next command of this kind; others wait for somebody else.

        Raises:
            AssertionError: it did not come in time.
            Left: the client has gone.
        """
        try:
            async with asyncio.timeout(within):
                while True:
                    for command in self.commands:
                        if isinstance(command, kind) and where(command):
                            self.commands.remove(command)
                            return command
                    await self._news()
        except TimeoutError:
            raise AssertionError(f"no {kind.__name__} came within {within:g} s; waiting: {self.commands}") from None

    async def send(self, *events: Event) -> None:
        """Say events.

        Raises:
            Left: the client has gone.
        """
        for event in events:
            for frame in self.codec.encode(event):
                await self.frame(frame)

    async def accept(self) -> None:
        """Say that the session stands."""
        self.accepted = True
        await self.send(SessionStarted(f"session-{self.number}", self.setup.model or "stand-in"))

    async def offer(self, handle: str) -> None:
        """Tell how the session can be taken up again ("" for: not now)."""
        for frame in self.codec.offer(handle):
            await self.frame(frame)

    async def frame(self, frame: Frame) -> None:
        """Send a frame as it is, whatever it holds.

        Raises:
            Left: the client has gone.
        """
        if self.delay:
            await asyncio.sleep(self.delay)
        for _ in range(self.repeat):
            if self._frozen:
                return
            try:
                await self._socket.send(frame)
            except ConnectionClosed:
                raise Left from None

    # -- faults ---------------------------------------------------------------------------------------

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a code and a reason."""
        await self._socket.close(code, reason)

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._socket.transport.abort()

    def freeze(self) -> None:
        """Read and say nothing any more, not even a pong, while the socket stays open: a half-open link."""
        self._frozen = True
        self.stall()

    def stall(self) -> None:
        """Read no further: what the client sends piles up in the sockets."""
        with suppress(RuntimeError):
            self._socket.transport.pause_reading()

    def go_on(self) -> None:
        """Read on after `stall`."""
        self._socket.transport.resume_reading()

    async def half_close(self) -> None:
        """End our direction of the TCP connection, and go on listening."""
        transport = self._socket.transport
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.abort()

    def raw(self, data: bytes) -> None:
        """Write bytes that are no WebSocket frame at all."""
        self._socket.transport.write(data)

    # -- the server's side ----------------------------------------------------------------------------

    def take(self, commands: list[ClientCommand]) -> None:
        """Commands came."""
        self.commands += commands
        if (excess := len(self.commands) - MAX_COMMANDS) > 0:
            del self.commands[:excess]
            self.dropped += excess
        self._moved.set()

    def left(self) -> None:
        """The client has gone."""
        self._gone = True
        self._moved.set()

    async def _news(self) -> None:
        if self._gone:
            raise Left
        self._moved.clear()
        await self._moved.wait()
