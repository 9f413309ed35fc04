"""Scenes: an agent, a server and a model between them, on virtual time."""

from __future__ import annotations

import array
import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from duologue import (
    AudioBlock,
    AudioOutputDelta,
    Event,
    RealtimeAgent,
    Reconnected,
    Reconnecting,
    TurnComplete,
)
from duologue.testing import StandIn, WireServer, assert_no_leaks
from duologue.testing.toy import ToyServerCodec, ToyTransport
from duologue.wire import LinkPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

BLOCK = 320
"""Samples of 20 ms at 16 kHz."""


class Scene:
    """One conversation; `seen` are the events so far."""

    def __init__(self, server: WireServer, model: StandIn, agent: RealtimeAgent) -> None:
        self.server = server
        self.model = model
        self.agent = agent
        self.seen: list[Event] = []
        self._moved = asyncio.Event()
        self._sample = 0
        self.error: BaseException | None = None
        self.over = False

    async def read(self) -> None:
        try:
            async for event in self.agent.events():
                self.seen.append(event)
                self._moved.set()
        except Exception as exc:
            self.error = exc
        finally:
            self.over = True
            self._moved.set()

    async def until(
        self, wanted: type[Any] | Callable[[Event], bool], *, count: int = 1, within: float = 60.0
    ) -> Event:
        """Wait for the count-th event of that kind, from the beginning of the scene."""
        test = (lambda e: isinstance(e, wanted)) if isinstance(wanted, type) else wanted
        try:
            async with asyncio.timeout(within):
                while True:
                    found = [e for e in self.seen if test(e)]
                    if len(found) >= count:
                        return found[count - 1]
                    assert not self.over, f"the session ended ({self.error!r}) after {self.names}"
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise AssertionError(f"{wanted} did not come within {within} s; seen: {self.names}") from None

    async def end(self, within: float = 60.0) -> BaseException | None:
        async with asyncio.timeout(within):
            while not self.over:
                self._moved.clear()
                await self._moved.wait()
        return self.error

    @property
    def names(self) -> list[str]:
        return [type(e).__name__ for e in self.seen if not isinstance(e, AudioOutputDelta)]

    def of(self, kind: type[Any]) -> list[Any]:
        return [e for e in self.seen if isinstance(e, kind)]

    @property
    def pieces(self) -> list[int]:
        """The numbers of the pieces of audio that came."""
        return [array.array("h", e.data)[0] for e in self.of(AudioOutputDelta)]

    def voice(self) -> bytes:
        """20 ms of numbered samples, loud enough to be speech."""
        samples = [1000 + (self._sample + i) % 30000 for i in range(BLOCK)]
        self._sample += BLOCK
        return array.array("h", samples).tobytes()

    async def speak(self, seconds: float, *, silence: float = 0.3) -> bytes:
        """Speak in real time; return what was said."""
        said = b""
        for _ in range(round(seconds / 0.02)):
            block = self.voice()
            said += block
            await self.agent.send(AudioBlock(block))
            await asyncio.sleep(0.02)
        for _ in range(round(silence / 0.02)):
            await self.agent.send(AudioBlock(bytes(2 * BLOCK)))
            await asyncio.sleep(0.02)
        return said

    @property
    def heard(self) -> bytes:
        """What the newest connection heard of the user, without silence."""
        return b"".join(self.model.memory.heard).replace(b"\0\0", b"")

    def texts(self, role: str = "user") -> list[str]:
        return [text for who, text in self.model.memory.said if who == role]


@contextlib.asynccontextmanager
async def scene(
    model: StandIn | None = None,
    *,
    tools: Any = (),
    agent: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
    leaks: bool = True,
    **transport: Any,
) -> AsyncIterator[Scene]:
    model = model or StandIn()
    async with contextlib.AsyncExitStack() as stack:
        if leaks:
            await stack.enter_async_context(assert_no_leaks())
        served = await stack.enter_async_context(WireServer(ToyServerCodec, model, **(server or {})))
        transport.setdefault("policy", lambda: LinkPolicy(chance=lambda: 0.0))
        reached = ToyTransport(served.url, ssl=served.ssl, **transport)
        talking = await stack.enter_async_context(RealtimeAgent("Be brief.", reached, list(tools), **(agent or {})))
        made = Scene(served, model, talking)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(made.read())
            try:
                yield made
            finally:
                await talking.close()
                await reading


def reconnections(scene: Scene) -> list[Event]:
    return [e for e in scene.seen if isinstance(e, Reconnecting | Reconnected)]


def turns(scene: Scene) -> list[str]:
    return [e.stop_reason.value for e in scene.seen if isinstance(e, TurnComplete)]
