"""What goes into the Conversation besides events (commands), and what comes out (effects)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from duologue.blocks import ContentBlock
    from duologue.events import Event
    from duologue.tool import Tool

TimerKey: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SayText:
    """The application sends text on the user's side."""

    text: str


@dataclass(frozen=True, slots=True)
class AskReply:
    """The application ends the user's turn and wants a reply."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The application cuts the reply that is playing, of which `heard_ms` were heard (None: estimate it).

    `response_id` says which one plays, where the application knows it.
    """

    heard_ms: int | None = None
    response_id: str = ""


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A handler returned, raised (`is_error`), or the application answered."""

    tool_use_id: str
    content: str | list[ContentBlock]
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class ToolReported:
    """A handler called `progress`."""

    tool_use_id: str
    content: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that `SetTimer` asked for is due."""

    key: TimerKey


@dataclass(frozen=True, slots=True)
class GiveUpTools:
    """Closing: no call may wait any longer."""

    reason: str


@dataclass(frozen=True, slots=True)
class SessionOver:
    """The session ended by itself: no answer can reach the provider any more."""


Command: TypeAlias = (
    SayText | AskReply | Interrupt | ToolFinished | ToolReported | TimerFired | GiveUpTools | SessionOver
)


@dataclass(frozen=True, slots=True)
class Deliver:
    """Give this event to the application."""

    event: Event


@dataclass(frozen=True, slots=True)
class DropAudio:
    """Forget undelivered audio of these responses: they were cut."""

    response_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class StartTool:
    """Run the tool's handler with these arguments, which have been checked."""

    tool_use_id: str
    tool: Tool
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StopTool:
    """Cancel the running handler; its outcome no longer matters."""

    tool_use_id: str


@dataclass(frozen=True, slots=True)
class AnswerCall:
    """Send the one result of a call to the provider."""

    tool_use_id: str
    name: str
    content: str | list[ContentBlock]


@dataclass(frozen=True, slots=True)
class AddText:
    """Send text to the provider on the user's side (the result of a call from a lost connection)."""

    text: str
    respond: bool


@dataclass(frozen=True, slots=True)
class StopReply:
    """Tell the provider to stop the reply."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """Tell the provider how much of an item was heard."""

    item_id: str
    heard_ms: int


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Call back with `TimerFired(key)` at this time of the session clock; replaces a timer of that key."""

    key: TimerKey
    at: float


@dataclass(frozen=True, slots=True)
class ClearTimer:
    """Forget the timer of that key, if there is one."""

    key: TimerKey


Effect: TypeAlias = (
    Deliver | DropAudio | StartTool | StopTool | AnswerCall | AddText | StopReply | Truncate | SetTimer | ClearTimer
)
