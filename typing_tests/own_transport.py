"""For mypy only: a transport and a session of one's own fit the protocols; tools keep their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_type

from duologue import (
    Capabilities,
    ContentBlock,
    Event,
    Message,
    RealtimeAgent,
    RealtimeSession,
    Tool,
    TurnDetection,
    tool,
)
from duologue.testing import ScriptedTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from duologue import RealtimeTransport


class Session:
    """The least that is a session."""

    capabilities = Capabilities()

    async def send(self, content: ContentBlock | list[ContentBlock]) -> None: ...
    async def commit(self) -> None: ...
    async def interrupt(self) -> None: ...
    async def send_tool_result(self, tool_use_id: str, name: str, content: str | list[ContentBlock]) -> None: ...
    async def events(self) -> AsyncIterator[Event]:
        return
        yield

    async def close(self) -> None: ...


class Transport:
    """A transport that takes everything."""

    async def connect(
        self,
        *,
        system: str,
        tools: list[Tool],
        voice: str | None = None,
        input_audio_format: str = "audio/pcm;rate=16000",
        output_audio_format: str = "audio/pcm;rate=24000",
        turn_detection: TurnDetection | None = None,
        history: Sequence[Message] = (),
        options: Mapping[str, Any] | None = None,
    ) -> RealtimeSession:
        """Open a session."""
        return Session()


class Unfinished:
    """No transport: it can't connect."""


@tool
def bare(city: str) -> str:
    """Say something about a city."""
    return city


@tool(name="other", timeout=None, on_interrupt="keep")
async def with_policy(city: str) -> str:
    """Say something else about a city."""
    return city


def transports_are_checked() -> None:
    """Both of ours fit where one is wanted, and something else does not."""
    agent = RealtimeAgent("You are brief.", Transport(), tools=[bare, with_policy])
    scripted: RealtimeTransport = ScriptedTransport()
    RealtimeAgent("You are brief.", scripted)
    RealtimeAgent("You are brief.", Unfinished())  # type: ignore[arg-type]
    assert_type(bare, Tool)
    assert_type(with_policy, Tool)
    assert_type(agent.history, tuple[Message, ...])
    tool(on_interrupt="sometimes")  # type: ignore[call-overload]
