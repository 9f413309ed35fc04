"""What the tests of this package share: a server, and transports that reach it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from duologue import AudioOutputDelta, RealtimeAgent
from duologue.testing import WireServer, assert_no_leaks
from duologue_google import GeminiLiveTransport, GeminiServerCodec, VertexLiveTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from duologue import Event
    from duologue.testing.wire_server import Brain

MODEL_31 = "gemini-3.1-flash-live-preview"
MODEL_25 = "gemini-2.5-flash-native-audio-latest"
MODEL_38 = "gemini-3.8-live"


def serve(brain: Brain, **options: Any) -> WireServer:
    """A server that speaks Gemini, over TLS unless told otherwise."""
    return WireServer(GeminiServerCodec, brain, **{"tls": True, **options})


def developer(server: WireServer, **options: Any) -> GeminiLiveTransport:
    """A transport of the Developer API that reaches the server."""
    return GeminiLiveTransport(**{"api_key": "key-of-a-test", "base_url": server.url, "ssl": server.ssl, **options})


def vertex(server: WireServer, **options: Any) -> VertexLiveTransport:
    """A transport of Vertex AI that reaches the server."""
    given = {"project": "a-project", "location": "us-central1", "credentials": lambda: "token-of-a-test"}
    return VertexLiveTransport(**{**given, "base_url": server.url, "ssl": server.ssl, **options})


class Talk:
    """One conversation with a server; `seen` are the events so far."""

    def __init__(self, server: WireServer, agent: RealtimeAgent) -> None:
        self.server = server
        self.agent = agent
        self.seen: list[Event] = []
        self.error: BaseException | None = None
        self._over = False
        self._moved = asyncio.Event()

    async def read(self) -> None:
        try:
            async for event in self.agent.events():
                self.seen.append(event)
                self._moved.set()
        except Exception as exc:
            self.error = exc
        finally:
            self._over = True
            self._moved.set()

    async def until(self, kind: type[Any], *, count: int = 1, where: Callable[[Any], bool] = lambda _: True) -> Any:
        """Wait for the count-th event of a kind, from the beginning."""
        try:
            async with asyncio.timeout(60):
                while True:
                    found = [event for event in self.of(kind) if where(event)]
                    if len(found) >= count:
                        return found[count - 1]
                    assert not self._over, f"the session ended ({self.error!r}) after {self.names}"
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise AssertionError(f"{kind.__name__} did not come; seen: {self.names}") from None

    async def end(self) -> BaseException | None:
        """Wait for the end of the session; return how it ended."""
        async with asyncio.timeout(60):
            while not self._over:
                self._moved.clear()
                await self._moved.wait()
        return self.error

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.seen if isinstance(event, kind)]

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.seen if not isinstance(event, AudioOutputDelta)]


@contextlib.asynccontextmanager
async def talk(
    brain: Brain,
    *,
    reach: Any = developer,
    tools: Any = (),
    agent: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
    **transport: Any,
) -> AsyncIterator[Talk]:
    """An agent that talks with a server whose connections run this brain."""
    async with (
        assert_no_leaks(),
        serve(brain, **(server or {})) as served,
        RealtimeAgent("Be brief.", reach(served, **transport), list(tools), **(agent or {})) as talking,
    ):
        made = Talk(served, talking)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(made.read())
            try:
                yield made
            finally:
                await talking.close()
                await reading
