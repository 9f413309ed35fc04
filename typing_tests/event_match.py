"""For mypy only: `match` over `Event` narrows, is checked to be exhaustive, and typed code types."""

from __future__ import annotations

from typing import Any, assert_never, assert_type

from duologue import (
    AgentChanged,
    AudioOutputDelta,
    Error,
    Event,
    GoingAway,
    Interrupted,
    Problem,
    ProviderEvent,
    RealtimeAgent,
    Reconnected,
    Reconnecting,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    TextDelta,
    ToolCancelled,
    ToolInputDelta,
    ToolProgress,
    ToolResult,
    ToolStarted,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
    Usage,
)


def every_event_has_its_case(event: Event) -> str:
    """Fails to type as soon as the union gains a member that is not here."""
    match event:
        case AudioOutputDelta(data=data):
            assert_type(data, bytes)
            return f"{len(data)} bytes"
        case TranscriptDelta(role="user", delta=delta):
            assert_type(delta, str)
            return delta
        case TranscriptDelta() | TextDelta():
            assert_type(event, TranscriptDelta | TextDelta)
            return event.delta
        case ToolStarted(name=name, input=arguments):
            assert_type(arguments, dict[str, Any])
            return name
        case Interrupted(heard_ms=heard_ms):
            assert_type(heard_ms, int | None)
            return "cut"
        case TurnComplete(stop_reason=reason, usage=usage):
            assert_type(reason, StopReason)
            assert_type(usage, Usage | None)
            return reason.name
        case SessionStarted() | SpeechStarted() | SpeechStopped() | AgentChanged() | ProviderEvent():
            return type(event).__name__
        case ToolUseStart() | ToolInputDelta() | ToolUseEnd() | ToolProgress() | ToolResult() | ToolCancelled():
            return event.tool_use_id
        case Reconnecting() | Reconnected() | GoingAway():
            return type(event).__name__
        case Problem(exception=exception) | Error(exception=exception):
            assert_type(exception, Exception)
            return str(exception)
        case _:
            assert_never(event)


def a_missing_case_is_found(event: Event) -> None:
    """Mypy is strict about unused ignores: were the union open, the last line would be an error."""
    match event:
        case AudioOutputDelta() | TranscriptDelta():
            return
        case _:
            assert_never(event)  # type: ignore[arg-type]


async def events_of_an_agent_are_that_union(agent: RealtimeAgent) -> None:
    """The stream is typed, so that a consumer's `match` is checked too."""
    async for event in agent.events():
        assert_type(event, Event)
        if isinstance(event, SpeechStarted):
            assert_type(event.at, float | None)
            await agent.interrupt(heard_ms=200)
