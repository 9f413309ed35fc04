"""Quiet: whether a connection can be left without anybody noticing. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.events import (
    AudioOutputDelta,
    Interrupted,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCancelled,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)

if TYPE_CHECKING:
    from duologue.events import Event

ANSWER_WITHIN = 8.0
"""Seconds after which nobody waits for the answer to a turn any more."""

SPEECH_LASTS = 15.0
"""Seconds for which the provider's word that the user speaks holds: a microphone switched off ends no speech."""

VOICE_HANGS = 0.8
"""Seconds for which a loud microphone block counts as speech."""

PAUSE = 0.4
"""Seconds without output after which a model without turns counts as silent."""

SETTLES = 0.2
"""Seconds for which what belongs to a turn may still come behind its end: transcripts, usage, a handle."""


class Quiet:
    """What is going on in a session, as far as it can be seen on the wire.

    A moment is quiet when no reply is being made, none is awaited, no call waits for its answer and the user does
    not speak.
    """

    def __init__(self, *, has_turns: bool = True, answers_speech: bool = True) -> None:
        self.has_turns = has_turns
        self.answers_speech = answers_speech
        """Whether the end of the user's speech asks for a reply."""
        self.replying = False
        """A reply is being made."""
        self.calls: set[str] = set()
        """Calls that wait for their answer."""
        self.exchanges = 0
        """Counts what the connection in use was told and told, but for speech that has only begun."""
        self._spoke_at = self._ended_at = -1e9
        self._voice_until = -1e9
        self._user_speaks_since: float | None = None
        self._awaited_since: float | None = None

    def at(self, now: float) -> bool:
        """Whether this moment is quiet."""
        speaks = self._user_speaks_since is not None and now - self._user_speaks_since < SPEECH_LASTS
        return self.settled(now) and not (speaks or now < self._voice_until)

    def settled(self, now: float) -> bool:
        """Whether nothing is under way but, perhaps, the user's speech, which can be sent again."""
        awaited = self._awaited_since is not None and now - self._awaited_since < ANSWER_WITHIN
        replying = self.replying if self.has_turns else now - self._spoke_at < PAUSE
        trails = now - self._ended_at < SETTLES
        return not (replying or awaited or trails or self.calls)

    @property
    def awaited(self) -> bool:
        """Whether a turn was ended and nothing of the answer has come."""
        return self._awaited_since is not None

    def asked(self, now: float) -> None:
        """We ended the user's turn, or answered a call."""
        self._awaited_since = now
        self._user_speaks_since = None

    def said(self) -> None:
        """Content went out on the connection in use."""
        self.exchanges += 1

    def answered(self, tool_use_id: str) -> None:
        """We answered a call."""
        self.calls.discard(tool_use_id)

    def stopped(self) -> None:
        """We stopped the reply."""
        self._awaited_since = None

    def voice(self, now: float) -> None:
        """The microphone is loud: the provider may not have noticed yet."""
        self._voice_until = now + VOICE_HANGS

    def output(self, now: float) -> None:
        """Something of a reply came."""
        self.exchanges += 1
        self.replying = True
        self._spoke_at = now
        self._awaited_since = None
        self._user_speaks_since = None

    def event(self, event: Event, now: float) -> None:
        """An event came from the provider."""
        if not isinstance(event, SpeechStarted):
            self.exchanges += 1
        match event:
            case AudioOutputDelta() | TextDelta() | TranscriptDelta(role="assistant"):
                self.output(now)
            case ToolUseStart():
                self.output(now)
                self.calls.add(event.tool_use_id)
            case ToolUseEnd():
                self.output(now)
                self.calls.add(event.tool_use_id)
            case ToolCancelled():
                self.calls.discard(event.tool_use_id)
            case TurnComplete() | Interrupted():
                self.replying = False
                self._ended_at = now
            case SpeechStarted():
                self._user_speaks_since = now
            case SpeechStopped():
                self._user_speaks_since = None
                if self.answers_speech:
                    self._awaited_since = now
            case _:
                pass

    def connection_gone(self) -> None:
        """What the connection was about went with it; a question that waits is asked again."""
        self.replying = False
        self._user_speaks_since = None
        self.calls.clear()
