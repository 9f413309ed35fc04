"""Conversation: the rules of a realtime session, as a pure reducer.

Rules, all of them decided here and nowhere else:

* A call runs when it is complete, never at the end of a turn; each gets one answer (`calls.py`).
* Output of a cut reply is fenced off. A provider that names its responses is fenced by name; one that does
  not is fenced until it ends the reply, sends another item, or a deadline passes.
* There is one `Interrupted` per cut reply, whoever cut it; the provider's confirmation of our cut is
  swallowed, our cut after the provider's only settles how much was heard.
* Nothing here waits for a `TurnComplete`: full-duplex models send none.

Time comes in as an argument, in seconds on the session clock; what is to be done goes out as effects.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from duologue.assembler import ToolCallAssembler
from duologue.calls import Calls
from duologue.effects import (
    AskReply,
    Command,
    Deliver,
    DropAudio,
    Effect,
    GiveUpTools,
    Interrupt,
    SayText,
    SessionOver,
    SetTimer,
    StopReply,
    TimerFired,
    ToolFinished,
    ToolReported,
    Truncate,
)
from duologue.errors import InvalidArguments
from duologue.events import (
    AudioOutputDelta,
    Event,
    Interrupted,
    Reconnected,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCancelled,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.formats import parse_format
from duologue.history import History
from duologue.replies import Replies, Reply
from duologue.transport import Capabilities, TurnDetection
from duologue.types import CallRecord, Message, StopReason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from duologue.tool import Tool

FENCE_LIMIT = 5.0
"""Seconds after which output without an id is let through again, though the provider never ended the cut reply."""

DUPLEX_FENCE_LIMIT = 1.0
"""The same for full-duplex models, which end no reply: long enough for what was on its way."""

CUT_NOTICED = 0.5
"""Seconds an application may take to stop its player after the provider's `Interrupted`."""


class Conversation:
    """The state of one session, above any `RealtimeSession`."""

    def __init__(
        self,
        tools: Callable[[], Mapping[str, Tool]],
        *,
        capabilities: Capabilities | None = None,
        turn_detection: TurnDetection | None = None,
        history: Sequence[Message] = (),
    ) -> None:
        self._capabilities = capabilities or Capabilities()
        detection = turn_detection or TurnDetection()
        self._server_cuts = self._capabilities.server_vad and detection.interrupt and detection.mode != "manual"
        self._answers_speech = detection.create_response and detection.mode != "manual"
        self._assembler = ToolCallAssembler()
        self._replies = Replies(endless=not self._capabilities.has_turns)
        self._history = History(history)
        self._calls = Calls(tools, self._history.answered, schedules=self._capabilities.result_scheduling)
        self._media_type = ""
        self._ms_per_byte = 0.0
        self._user_speaks = False
        self._awaited = False
        self._awaited_since = 0
        self._reacts = False
        self._utterances_taken = 0

    # -- what goes in ---------------------------------------------------------------------------------

    def audio(self, event: AudioOutputDelta, now: float) -> tuple[AudioOutputDelta, Reply] | None:
        """Take a piece of speech, the fast path: give it back with its reply, or None where it was cut."""
        reply = self._replies.of_output(event.response_id, event.item_id, now)
        new = reply.received_ms == 0
        self._replies.received(reply, self._duration_ms(event))
        if reply.cut is not None:
            return None
        if new:
            self._awaited = self._user_speaks = False  # not every provider says when the user stopped
        if reply.id != event.response_id:
            event = replace(event, response_id=reply.id)
        return event, reply

    def delivered(self, event: AudioOutputDelta, reply: Reply, now: float) -> None:
        """Note that the application took this piece of speech."""
        self._replies.delivered(reply, self._duration_ms(event), now)

    def taken(self, event: Event) -> None:
        """Note that the application took this event, which is no audio."""
        self._reacts = isinstance(event, SpeechStarted | Interrupted)
        if isinstance(event, SpeechStarted):
            self._utterances_taken += 1

    def apply(self, what: Event | Command, now: float) -> list[Effect]:
        """Take an event of the session or a command of the application; return what is to be done.

        Raises:
            LocalProtocolError: `ToolFinished` for a call that never was.
        """
        match what:
            case AudioOutputDelta():
                taken = self.audio(what, now)
                return [] if taken is None else [Deliver(taken[0])]
            case TextDelta() | TranscriptDelta():
                return self._text(what, now)
            case ToolUseStart() | ToolInputDelta() | ToolUseEnd():
                return [Deliver(what), *self._fragment(what, now)]
            case SpeechStarted():
                return self._speech_started(what, now)
            case SpeechStopped():
                return self._speech_stopped(what, now)
            case Interrupted():
                return self._cut_by_peer(what, now)
            case TurnComplete():
                return self._turn_complete(what, now)
            case ToolCancelled():
                return [*self._calls.withdrawn(what.tool_use_id, now), Deliver(what)]
            case Reconnected():
                if not what.resumed:
                    self._assembler.clear()
                    self._calls.lost()
                return [Deliver(what)]
            case Interrupt():
                return self._cut_by_us(what, now)
            case ToolFinished():
                effects = self._calls.finish(what.tool_use_id, what.content, what.is_error, now, self._idle(now))
                return effects + self._rest(now)
            case ToolReported():
                return self._calls.report(what.tool_use_id, what.content)
            case SayText():
                self._history.typed(what.text, now)
                return []
            case AskReply():
                self._awaited, self._awaited_since = True, self._replies.utterance
                self._reacts = False
                self._lift_if_turnless()
                return []
            case TimerFired():
                return self._timer(what, now)
            case SessionOver():
                return self._calls.session_over()
            case GiveUpTools():
                self._assembler.clear()
                return self._calls.give_up(what.reason)
            case _:
                return [Deliver(what)]

    @property
    def history(self) -> tuple[Message, ...]:
        """The transcript; assistant text is cut at the last word heard."""
        return self._history.messages()

    @property
    def busy(self) -> bool:
        """Whether a call has no end yet."""
        return self._calls.busy

    def _duration_ms(self, event: AudioOutputDelta) -> float:
        if event.media_type != self._media_type:
            media = parse_format(event.media_type)
            self._ms_per_byte = media.duration_ms(1, self._capabilities.output_rate)
            self._media_type = event.media_type
        return len(event.data) * self._ms_per_byte

    # -- output of the model --------------------------------------------------------------------------

    def _text(self, event: TextDelta | TranscriptDelta, now: float) -> list[Effect]:
        if isinstance(event, TranscriptDelta) and event.role == "user":
            entry = self._history.user_said(event.item_id, event.delta, event.final, event.started_at, now)
            if event.final:
                self._user_speaks = False
            return [Deliver(replace(event, item_id=entry.item_id, started_at=entry.started_at))]
        self._awaited = False
        if isinstance(event, TextDelta):
            reply = self._replies.of_output(event.response_id, event.item_id, now)
            if reply.cut is None:
                self._history.assistant_said(reply, event, now)
            return [Deliver(replace(event, response_id=reply.id))]
        trailing = None if event.item_id or event.response_id else self._replies.trailing
        reply = trailing or self._replies.of_output(event.response_id, event.item_id, now)
        if event.words and reply.origin_ms and not self._capabilities.has_turns:
            event = replace(event, words=tuple(replace(w, end_ms=w.end_ms - reply.origin_ms) for w in event.words))
        entry = self._history.assistant_said(reply, event, now)
        filled = replace(event, item_id=entry.item_id, started_at=entry.started_at, response_id=reply.id)
        return [Deliver(filled)]

    def _fragment(self, event: ToolUseStart | ToolInputDelta | ToolUseEnd, now: float) -> list[Effect]:
        self._awaited = False
        try:
            blocks = self._assembler.feed(event)
        except InvalidArguments as exc:
            if self._calls.seen(exc.tool_use_id):
                return []
            self._remember_call(exc.tool_use_id, exc.name, {}, now)
            return self._calls.refuse(exc.tool_use_id, exc.name, f"error: {exc}")
        effects: list[Effect] = []
        for block in blocks:
            if not self._calls.seen(block.id):
                self._remember_call(block.id, block.name, block.input, now)
            if self._replies.fenced is not None:
                effects += self._calls.decline(block, "interrupted")
            else:
                effects += self._calls.begin(block, now)
        return effects

    def _remember_call(self, tool_use_id: str, name: str, arguments: dict[str, object], now: float) -> None:
        reply = self._replies.current
        self._history.called(reply if reply and not reply.cut else None, CallRecord(tool_use_id, name, arguments), now)

    def _turn_complete(self, event: TurnComplete, now: float) -> list[Effect]:
        reply = self._replies.of_end(event.response_id, now)
        self._awaited = False
        self._replies.finish(reply)
        self._history.finished(reply)
        if not reply.cut:
            self._history.turn_ended()  # a cut leaves the user speaking
        if reply.cut and event.stop_reason is not StopReason.error:
            event = replace(event, stop_reason=StopReason.interrupted)
        return [Deliver(replace(event, response_id=reply.id)), *self._rest(now)]

    # -- the user's speech ----------------------------------------------------------------------------

    def _speech_started(self, event: SpeechStarted, now: float) -> list[Effect]:
        self._user_speaks = True
        self._replies.utterance += 1
        at = now if event.at is None else event.at
        return [Deliver(SpeechStarted(self._history.user_began(event.item_id, at), at))]

    def _speech_stopped(self, event: SpeechStopped, now: float) -> list[Effect]:
        self._user_speaks = False
        if self._answers_speech:
            self._awaited, self._awaited_since = True, self._replies.utterance
        self._lift_if_turnless()
        at = now if event.at is None else event.at
        item_id = event.item_id or self._history.utterance()
        return [Deliver(SpeechStopped(item_id, at)), *self._rest(now)]

    # -- cuts -----------------------------------------------------------------------------------------

    def _cut_by_peer(self, event: Interrupted, now: float) -> list[Effect]:
        named = self._replies.of_cut(event.response_id, now)
        self._awaited = False
        self._replies.lift(named)  # the provider is past it: what it sends without a name belongs to another
        if named.cut:
            return []
        # The player is flushed, so what plays now is cut too, though the provider had finished it.
        cut = [r for r in self._replies.audible(now) if r is not named and r.started_at <= named.started_at]
        cut.append(named)
        effects: list[Effect] = [DropAudio(frozenset(r.id for r in cut))]
        for reply in cut:
            self._replies.cut(reply, "peer", now)
            self._history.cut(reply)
            effects.append(Deliver(Interrupted(reply.id, event.heard_ms if reply is named else None)))
        return effects

    def _cut_by_us(self, command: Interrupt, now: float) -> list[Effect]:
        self._assembler.clear()
        heard = command.heard_ms
        effects: list[Effect] = []
        unsettled = self._replies.unsettled()
        if unsettled:
            # The provider was first: only what was heard is left to say.
            for reply in unsettled:
                until = min(now, reply.cut_at + CUT_NOTICED)
                reply.heard_ms = reply.clamp(reply.heard_by(until) if heard is None else heard)
                effects += self._truncation(reply)
                heard = 0 if heard is not None else None
        else:
            effects += self._cut_playing(command, now)
        return effects + self._calls.interrupt(now)

    def _cut_playing(self, command: Interrupt, now: float) -> list[Effect]:
        heard = command.heard_ms
        cut: list[Reply] = []
        for reply in self._meant(self._replies.audible(now, heard_ms=heard, response_id=command.response_id)):
            over = heard is not None and reply.finished and reply.playing_from is not None
            if over and heard is not None and heard >= int(reply.received_ms):
                heard = 0  # heard to its end: the cut hits what is queued behind it
                continue
            reply.heard_ms = reply.clamp(reply.heard_by(now) if heard is None else heard)
            cut.append(reply)
            heard = 0 if heard is not None else None
        if not cut:
            # Asked for, but nothing came yet. While the user speaks, the provider drops it by itself, and
            # a stop from us might hit the new utterance.
            if not self._awaited or self._answers_what_was_taken(self._awaited_since):
                return []
            self._awaited = False
            return [] if self._user_speaks and self._server_cuts else [StopReply()]
        effects: list[Effect] = [DropAudio(frozenset(reply.id for reply in cut))]
        if not all(reply.finished for reply in cut):
            effects.append(StopReply())
        for reply in cut:
            self._replies.cut(reply, "us", now)
            self._history.cut(reply)
            effects.append(Deliver(Interrupted(reply.id, reply.heard_ms)))
            effects += self._truncation(reply)
            if self._replies.fenced is reply:
                limit = FENCE_LIMIT if self._capabilities.has_turns else DUPLEX_FENCE_LIMIT
                effects.append(SetTimer(("fence", reply.id), now + limit))
        return effects

    def _meant(self, audible: list[Reply]) -> list[Reply]:
        """Leave out a reply the application can't mean: the answer to the very speech it reacts to.

        A slow application takes `SpeechStarted` when the reader may already hold the reply to that speech.
        """
        known = [reply for reply in audible if reply.playing_from is not None]
        if known:
            turn = max(reply.utterance for reply in known)
            return [r for r in audible if r.playing_from is not None or r.utterance <= turn]
        return [r for r in audible if not self._answers_what_was_taken(r.utterance)]

    def _answers_what_was_taken(self, utterance: int) -> bool:
        return self._reacts and utterance >= self._utterances_taken > 0

    def _truncation(self, reply: Reply) -> list[Effect]:
        if not self._capabilities.truncation or reply.received_ms <= 0:
            return []
        place = reply.item_at(reply.heard_ms or 0)
        return [Truncate(*place)] if place is not None else []

    def _lift_if_turnless(self) -> None:
        if self._replies.fenced is not None and not self._capabilities.has_turns:
            self._replies.lift(self._replies.fenced)

    # -- time -----------------------------------------------------------------------------------------

    def _timer(self, fired: TimerFired, now: float) -> list[Effect]:
        kind, key = fired.key
        if kind == "fence":
            if self._replies.fenced is not None and self._replies.fenced.id == key:
                self._replies.lift(self._replies.fenced)
            return []
        if kind == "rest":
            return self._rest(now)
        return self._calls.timer(fired.key, now)

    def _idle(self, now: float) -> bool:
        return not self._user_speaks and not self._awaited and self._replies.quiet(now)

    def _rest(self, now: float) -> list[Effect]:
        """Send held results once nobody speaks; look again when what plays will be over."""
        if not self._calls.busy:
            return []
        if self._idle(now):
            return self._calls.idle()
        until = self._replies.quiet_at()
        return [SetTimer(("rest", ""), until)] if until > now else []
