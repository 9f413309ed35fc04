"""The phase of a conversation: who has the floor, in one word. Pure; no `TurnComplete` is ever needed."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from duologue.events import (
    Interrupted,
    SpeechStarted,
    SpeechStopped,
    ToolCancelled,
    ToolResult,
    ToolStarted,
    TurnComplete,
)
from duologue.types import StopReason

if TYPE_CHECKING:
    from duologue_audio import LoopEvent

SHOWN_S = 2.0  # an interruption stays in sight for so long
PATIENCE_S = 8.0  # nobody thinks longer than this without a tool: the session has nothing to say


class Phase(Enum):
    """What the agent is doing."""

    loading = "loading"
    listening = "listening"
    thinking = "thinking"
    speaking = "speaking"
    interrupted = "interrupted"


class Phases:
    """Follows the events; `at` says the phase at any time. Times are in seconds and never go back."""

    def __init__(self) -> None:
        self._asked_at: float | None = None
        self._cut_at: float | None = None
        self._user_speaks = False
        self._tools: set[str] = set()

    def asked(self, now: float) -> None:
        """The user has said something that wants an answer."""
        self._asked_at, self._cut_at = now, None

    def feed(self, event: LoopEvent, now: float) -> None:
        """Take note of an event."""
        match event:
            case SpeechStarted():
                self._user_speaks, self._asked_at = True, None
            case SpeechStopped():
                self._user_speaks = False
                self.asked(now)
            case Interrupted():
                self._cut_at, self._asked_at = now, None
            case ToolStarted(tool_use_id=call):
                self._tools.add(call)
            case ToolResult(tool_use_id=call) | ToolCancelled(tool_use_id=call):
                self._tools.discard(call)
                if self._cut_at is None:
                    self._asked_at = now
            case TurnComplete(stop_reason=reason) if reason not in (StopReason.tool_use, StopReason.interrupted):
                self._asked_at = None
            case _:
                pass

    def at(self, now: float, *, playing: bool) -> Phase:
        """Return the phase; `playing` is whether the agent can be heard."""
        if playing:
            return Phase.speaking
        if self._cut_at is not None and (self._user_speaks or now - self._cut_at < SHOWN_S):
            return Phase.interrupted
        if self._tools or (self._asked_at is not None and now - self._asked_at < PATIENCE_S):
            return Phase.thinking
        return Phase.listening
