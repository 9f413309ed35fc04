"""The floor: whose turn it is, and when the user may speak next. Pure; no `TurnComplete` is ever needed."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from duologue.events import (
    AudioOutputDelta,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCancelled,
    ToolProgress,
    ToolResult,
    ToolStarted,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.types import StopReason

if TYPE_CHECKING:
    from duologue.events import Event

SILENCE_S = 20.0  # a turn that nobody answers is given up after this long
PAUSE_S = 0.6  # between the end of a reply and the next turn
SETTLE_S = 2.0  # the same where the model doesn't say that its turn is over


class Verdict(Enum):
    """What has become of the user's turn."""

    waiting = "waiting"
    answered = "answered"
    unanswered = "unanswered"


class Floor:
    """Follows one user turn after another: `begin`, `end`, events as they come, `verdict` at any time."""

    def __init__(
        self, *, has_turns: bool, silence_s: float = SILENCE_S, pause_s: float = PAUSE_S, settle_s: float = SETTLE_S
    ) -> None:
        self._has_turns = has_turns
        self._silence = silence_s
        self._pause = pause_s
        self._settle = settle_s
        self._tools: set[str] = set()
        self._ids: set[str] = set()  # responses of this turn, items where the response has no name
        self._earlier: set[str] = set()  # those of the turn before: their rest is no answer to this one
        self._answered = False  # anything came in this turn
        self._replying = False  # anything came since the user last began to speak
        self._complete_at: float | None = None
        self._failed_at: float | None = None
        self._active_at = 0.0
        self.audible_at: float | None = None
        """When the reply to this turn began to sound, None before."""

    def begin(self, now: float) -> None:
        """The user begins a turn, maybe while the reply to the last one goes on."""
        self._answered = False
        self._earlier, self._ids = self._ids, set()
        self._start_over(now)

    def end(self, now: float) -> None:
        """The user has said it all: the wait for an answer begins."""
        self._active_at = max(self._active_at, now)

    def sounds(self, response_id: str, at: float) -> None:
        """A piece of a response starts to sound at `at`."""
        if self.audible_at is None and response_id not in self._earlier:
            self.audible_at = at

    def feed(self, event: Event, now: float) -> None:
        """Take note of an event."""
        match event:
            case SpeechStarted():
                self._start_over(now)
            case AudioOutputDelta() | TextDelta() | TranscriptDelta(role="assistant"):
                self._active_at = now
                if self._is_earlier(event):
                    return
                self._answered = self._replying = True
                self._complete_at = self._failed_at = None
            case ToolStarted(tool_use_id=call):
                self._tools.add(call)
            case ToolResult(tool_use_id=call) | ToolCancelled(tool_use_id=call):
                self._active_at = now
                self._tools.discard(call)
            case TurnComplete(stop_reason=reason, response_id=response):
                self._active_at = now
                if response in self._earlier:
                    return
                if reason in (StopReason.error, StopReason.refusal):
                    self._failed_at = now
                if reason not in (StopReason.tool_use, StopReason.interrupted):
                    self._complete_at = now
            case SpeechStopped() | TranscriptDelta() | ToolUseStart() | ToolProgress():
                self._active_at = now
            case _:
                pass

    def verdict(self, now: float, silent_since: float) -> Verdict:
        """Say whether the next turn may begin; `silent_since` is when the speaker falls or fell silent."""
        if self._tools or silent_since > now:
            return Verdict.waiting
        over = Verdict.answered if self._answered else Verdict.unanswered
        quiet = now - max(self._active_at, silent_since)
        if self._replying:
            enough = self._silence if self._has_turns else self._settle
            if self._complete_at is not None:
                enough = self._pause
        else:
            enough = self._silence if self._failed_at is None else self._pause
        return over if quiet >= enough else Verdict.waiting

    def _is_earlier(self, event: AudioOutputDelta | TextDelta | TranscriptDelta) -> bool:
        key = event.response_id or event.item_id
        if key in self._earlier:
            return True
        if key:
            self._ids.add(key)
        return False

    def _start_over(self, now: float) -> None:
        self._active_at = now
        self._replying = False
        self._complete_at = self._failed_at = None
        self.audible_at = None
