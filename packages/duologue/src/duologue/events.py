"""Events: everything a session reports, as one closed union to `match` over.

Ids and times are excluded from equality: two events are equal when they say the same. Every event can be hashed.
Times are float seconds on the session clock (0.0 is the moment of `connect`).
Below the agent ids may be "" and times None; `RealtimeAgent.events()` fills them in.
"""
# ruff: noqa: TC001 - the annotations of public types can be evaluated at run time

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from duologue.blocks import ContentBlock
from duologue.types import Role, StopReason, Usage, WordTime


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The provider accepted the session."""

    session_id: str = field(default="", compare=False)
    model: str = ""


@dataclass(frozen=True, slots=True)
class AudioOutputDelta:
    """The next piece of the assistant's speech, in playing order."""

    data: bytes
    media_type: str = "audio/pcm;rate=24000"
    response_id: str = field(default="", compare=False)
    item_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of written output (a model that answers in text)."""

    index: int
    delta: str
    response_id: str = field(default="", compare=False)
    item_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class TranscriptDelta:
    """The next piece of what somebody says.

    The deltas of an item concatenate to its text; the one with `final=True` ends it and may be empty.
    `started_at` is when the item's speech began, on each of its deltas. `words` holds the end times of the words
    in `delta` where the synthesiser or provider knows them.
    """

    role: Role
    delta: str
    final: bool = False
    item_id: str = field(default="", compare=False)
    started_at: float | None = field(default=None, compare=False)
    words: tuple[WordTime, ...] = field(default=(), compare=False)
    response_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user began to speak."""

    item_id: str = field(default="", compare=False)
    at: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The user stopped speaking."""

    item_id: str = field(default="", compare=False)
    at: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A reply was cut: playback must be flushed, no more audio of it will come.

    `heard_ms`: how much of the response was heard, known only where we made the cut.
    """

    response_id: str = field(default="", compare=False)
    heard_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ToolUseStart:
    """The model begins to write a call."""

    index: int
    tool_use_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolInputDelta:
    """The next piece of a call's arguments, as JSON text."""

    index: int
    tool_use_id: str
    partial_json: str


@dataclass(frozen=True, slots=True)
class ToolUseEnd:
    """A call is complete."""

    index: int
    tool_use_id: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A handler runs, or the application is asked to answer (a tool without handler)."""

    tool_use_id: str
    name: str
    input: dict[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """A running handler called `progress`."""

    tool_use_id: str
    name: str
    content: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A call was answered with `content`; `elapsed` is how long it ran, in seconds."""

    tool_use_id: str
    name: str
    is_error: bool
    content: str | list[ContentBlock] = field(default="", hash=False)
    elapsed: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class ToolCancelled:
    """A call was given up.

    A session reports it when the provider withdraws a call, which is then not answered; the agent reports it for
    an interruption and for closing, and answers.
    """

    tool_use_id: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class TurnComplete:
    """The model's turn ended: no more output of it will come, though its audio may still be playing.

    Full-duplex models have no turns: never wait for it.
    """

    stop_reason: StopReason
    usage: Usage | None = field(default=None, hash=False)
    response_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class AgentChanged:
    """Another agent of a multi-agent backend speaks."""

    role: str


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The connection is being made anew."""

    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The session goes on; `resumed` tells whether the provider kept its state, `gap` is in seconds."""

    resumed: bool
    gap: float


@dataclass(frozen=True, slots=True)
class GoingAway:
    """The provider will close the connection soon."""

    seconds_left: float


@dataclass(frozen=True, slots=True)
class Problem:
    """Something recoverable went wrong; the session goes on. Never raised."""

    exception: Exception


@dataclass(frozen=True, slots=True)
class Error:
    """Something fatal for the session; `events()` raises `exception` unless told otherwise."""

    exception: Exception


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """Whatever the provider sent that we don't model, verbatim."""

    provider: str
    kind: str
    data: Any = field(hash=False)


Event: TypeAlias = (
    SessionStarted
    | AudioOutputDelta
    | TextDelta
    | TranscriptDelta
    | SpeechStarted
    | SpeechStopped
    | Interrupted
    | ToolUseStart
    | ToolInputDelta
    | ToolUseEnd
    | ToolStarted
    | ToolProgress
    | ToolResult
    | ToolCancelled
    | TurnComplete
    | AgentChanged
    | Reconnecting
    | Reconnected
    | GoingAway
    | Problem
    | Error
    | ProviderEvent
)
StreamEvent: TypeAlias = Event
