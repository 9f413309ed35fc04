"""Idle: whether anything is still to be expected of a session. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.events import (
    AudioOutputDelta,
    Event,
    Interrupted,
    Reconnected,
    Reconnecting,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCancelled,
    ToolResult,
    ToolStarted,
    TranscriptDelta,
    TurnComplete,
)
from duologue.types import StopReason

if TYPE_CHECKING:
    from collections.abc import Collection

    from duologue.transport import Capabilities

TURNLESS_QUIET = 2.0
"""Seconds without news after which a model that ends no turns counts as done."""


class Idle:
    """What the session is in the middle of."""

    def __init__(self, capabilities: Capabilities, *, answers: bool, silent: Collection[str] = ()) -> None:
        self._turns = capabilities.has_turns
        self._answers = answers
        self._silent = silent
        self._owed = False
        self._awaited = False
        self._speaking = False
        self._down = False
        self._calls: set[str] = set()
        self._since = 0.0

    def asked(self, now: float) -> None:
        """A reply was asked for."""
        self._awaited, self._since = True, now

    def heard(self, now: float) -> None:
        """Audio of the user was sent."""
        self._since = now

    def note(self, event: Event, now: float) -> None:
        """Something happened."""
        self._since = now
        match event:
            case SpeechStarted():
                self._speaking = True
            case SpeechStopped():
                self._speaking, self._awaited = False, self._awaited or self._answers
            case AudioOutputDelta() | TextDelta() | TranscriptDelta(role="assistant", final=False):
                self._awaited = True
            case ToolStarted():
                self._calls.add(event.tool_use_id)
            case ToolResult():
                self._calls.discard(event.tool_use_id)
                self._owed = self._owed or event.name not in self._silent
                self._awaited = self._awaited or self._owed
            case ToolCancelled():
                self._calls.discard(event.tool_use_id)
            case TurnComplete():
                self._owed = self._owed and event.stop_reason is StopReason.tool_use
                self._awaited = self._owed
            case Interrupted():
                self._awaited = False
            case Reconnecting():
                self._down = True
            case Reconnected():
                self._down = False
            case _:
                pass

    def left(self, now: float, settle: float) -> float | None:
        """Seconds until it is idle, if nothing more happens; None while something is to be expected."""
        if self._calls or self._speaking or self._down or (self._awaited and self._turns):
            return None
        quiet = settle if self._turns else max(settle, TURNLESS_QUIET)
        return max(0.0, self._since + quiet - now)
