"""Receiver: what the server says, as events."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
from duologue.errors import RemoteProtocolError
from duologue.events import (
    AudioOutputDelta,
    Event,
    GoingAway,
    Interrupted,
    Problem,
    ProviderEvent,
    SessionStarted,
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
from duologue.types import StopReason, Usage

from duologue_google.content import Part
from duologue_google.reading import Reading, read
from duologue_google.server_messages import ServerContent, ServerMessage, VoiceActivity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duologue.types import Role
    from duologue.wire import Frame

    from duologue_google.content import FunctionCall
    from duologue_google.exchange import Exchange
    from duologue_google.hot import HotContent
    from duologue_google.server_messages import Transcription, UsageMetadata

PROVIDER = "gemini"

_OTHER_NEWS = (
    ("interim_input_transcription", "interimInputTranscription"),
    ("grounding_metadata", "groundingMetadata"),
    ("url_context_metadata", "urlContextMetadata"),
    ("waiting_for_input", "waitingForInput"),
    ("interaction_status", "interactionStatus"),
    ("generation_complete", "generationComplete"),
)
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)s", re.ASCII)
_REFUSED = ("SAFETY", "PROHIBITED", "BLOCKLIST", "REJECTED")
_GOES_ON = ("IN_PROGRESS", "REQUIRES_ACTION")
"""An interaction of several turns; the second is an older name of the first."""


_EMPTY_PART = Part()


class _Malformed(Exception):
    """A piece lacks something that it can't do without."""


class Receiver:
    """Turns frames into events. One per connection.

    Attributes:
        handle: the handle to take the session up again with, "" while there is none.
        greeted: the session is open.
        going: its end was announced.
        media: media types of sound as they came, and as we call them.
    """

    def __init__(self, exchange: Exchange, *, model: str = "", handle: str = "") -> None:
        self._exchange = exchange
        self._model = model
        self.media = dict.fromkeys(("audio/pcm", "audio/pcm;rate=24000"), "audio/pcm;rate=24000")
        self._said: set[Role] = set()
        self._index = 0
        self._speaking = False
        self._cut = False
        self.handle = handle
        self.greeted = False
        self.going = False

    def speech(self, content: HotContent) -> list[Event] | None:
        """Take sound in several pieces, or with its text; None where it has to be read with care."""
        sound: list[Event] = []
        for part in content.model_turn.parts:
            blob = part.inline_data
            media = self.media.get(blob.mime_type)
            if media is None or len(blob.data) & 1 or not blob.data:
                return None
            sound.append(AudioOutputDelta(blob.data, media))
        said: list[Event] = []
        if (heard := content.output_transcription) is not None:
            if heard.text:
                self._said.add("assistant")
                said.append(TranscriptDelta("assistant", heard.text))
            if heard.finished:
                said += self._end("assistant")
        self._exchange.replying = True
        if self._exchange.muted:
            self._exchange.muted_dropped += len(sound)
            return said
        return said + sound

    def _media_type(self, mime: str) -> str | None:
        if not mime.startswith("audio/pcm"):
            return None
        media = mime if "rate=" in mime else "audio/pcm;rate=24000"
        if len(self.media) < 16:  # a peer that invents media types must not fill our memory
            self.media[mime] = media
        return media

    def read(self, frame: Frame) -> list[Event]:
        """Read any frame with care; never raises."""
        reading = read(frame, ServerMessage)
        faults = list(reading.faults)
        if not reading.keys and not faults:
            faults.append("it is empty")
        events: list[Event] = []
        for piece in self._pieces(reading):
            try:
                for event in piece:
                    events.append(event)  # noqa: PERF402 - one by one: what was read before a fault is kept
            except _Malformed as exc:
                faults.append(str(exc))
        if faults:
            message = f"{PROVIDER} sent a frame that can't be read in full: {'; '.join(faults[:3])}"
            events.append(Problem(RemoteProtocolError(message, provider=PROVIDER)))
        return events

    def _pieces(self, reading: Reading[ServerMessage]) -> Iterator[Iterator[Event]]:
        message = reading.message
        content = message.server_content
        if message.setup_complete is not None:
            yield self._greeting(message.setup_complete.session_id or "")
        if content is not None:
            yield self._transcript("user", content.input_transcription)
            yield self._transcript("assistant", content.output_transcription)
            for part in (content.model_turn.parts or ()) if content.model_turn else ():
                yield self._part(part)
            if content.interrupted:
                yield self._interrupted()
            yield self._news(content)
        yield self._unknown(reading)
        for call in (message.tool_call.function_calls or ()) if message.tool_call else ():
            yield self._call(call)
        if message.tool_call_cancellation is not None:
            yield self._cancelled(message.tool_call_cancellation.ids or [])
        ends = bool(content and content.turn_complete and content.interaction_status not in _GOES_ON)
        if content is not None and content.turn_complete:
            yield self._turn_end(content, message.usage_metadata if ends else None, ends=ends)
        if message.usage_metadata is not None and not ends:
            yield self._other("usageMetadata", message.usage_metadata)  # no event carries usage but the end of a turn
        if message.voice_activity is not None:
            yield self._activity(message.voice_activity)
        if message.voice_activity_detection_signal is not None:
            yield self._signal(message.voice_activity_detection_signal.vad_signal_type or "")
        if message.session_resumption_update is not None:
            update = message.session_resumption_update
            if update.resumable and update.new_handle:
                self.handle = update.new_handle
            yield self._other("sessionResumptionUpdate", update)
        if message.go_away is not None:
            yield self._going(message.go_away.time_left)

    def _greeting(self, session_id: str) -> Iterator[Event]:
        if self.greeted:
            yield ProviderEvent(PROVIDER, "setupComplete", {"sessionId": session_id})
        else:
            self.greeted = True
            yield SessionStarted(session_id, self._model)

    def _transcript(self, role: Role, heard: Transcription | None) -> Iterator[Event]:
        if heard is None:
            return
        if heard.text:
            self._said.add(role)
            if role == "user" and not self._exchange.replying:
                self._exchange.muted = False
            yield TranscriptDelta(role, heard.text)
        if heard.finished:
            yield from self._end(role)

    def _end(self, role: Role) -> Iterator[Event]:
        if role in self._said:
            self._said.discard(role)
            yield TranscriptDelta(role, "", final=True)

    def _part(self, part: Part) -> Iterator[Event]:
        blob = part.inline_data
        media = self._media_type(blob.mime_type or "") if blob is not None else None
        if blob is not None and media is not None:
            if blob.data is None:
                raise _Malformed("'data' of a piece of audio is missing")
            if len(blob.data) % 2:
                raise _Malformed(f"a piece of audio has {len(blob.data)} bytes of PCM16, half a sample too many")
            self._exchange.replying = True
            if self._exchange.muted:
                self._exchange.muted_dropped += 1
            elif blob.data:
                yield AudioOutputDelta(blob.data, media)
        elif part.text and not part.thought:
            self._exchange.replying = True
            if not self._exchange.muted:
                yield TextDelta(0, part.text)
        elif part != _EMPTY_PART:
            yield from self._other("part", part)

    def _interrupted(self) -> Iterator[Event]:
        exchange = self._exchange
        if not self._speaking and not exchange.own_cut:
            yield SpeechStarted()
        exchange.own_cut = exchange.muted = False
        self._cut = True
        yield Interrupted()

    def _news(self, content: ServerContent) -> Iterator[Event]:
        for name, wire_name in _OTHER_NEWS:
            value = getattr(content, name)
            if value is not None:
                yield from self._other(f"serverContent.{wire_name}", value)
        if content.generation_complete:
            self._exchange.muted = False

    def _unknown(self, reading: Reading[ServerMessage]) -> Iterator[Event]:
        for path, value in reading.unknown:
            match path:
                case (key,):
                    yield ProviderEvent(PROVIDER, key, value)
                case ("serverContent" | "server_content", key):
                    yield ProviderEvent(PROVIDER, f"serverContent.{key}", value)
                case (_, "modelTurn" | "model_turn", "parts", key):
                    yield ProviderEvent(PROVIDER, "part", {key: value})
                case _:
                    pass  # one more field of something we know

    def _call(self, call: FunctionCall) -> Iterator[Event]:
        if call.will_continue or call.partial_args:
            yield from self._other("toolCall", call)  # only sent to who asks for arguments in pieces
            return
        if not call.name:
            raise _Malformed("'name' of a call is missing")
        call_id = self._exchange.called(call.id, call.name)
        self._exchange.replying = True
        yield ToolUseStart(self._index, call_id, call.name)
        yield ToolInputDelta(self._index, call_id, json.dumps(call.args or {}))
        yield ToolUseEnd(self._index, call_id)
        self._index += 1

    def _cancelled(self, ids: list[str]) -> Iterator[Event]:
        for call_id in ids:
            yield ToolCancelled(call_id, self._exchange.withdrawn(call_id), "cancelled by the provider")

    def _turn_end(self, content: ServerContent, usage: UsageMetadata | None, *, ends: bool) -> Iterator[Event]:
        yield from self._end("assistant")
        if not self._cut:
            yield from self._end("user")  # after a cut the user's text is the next turn's
        if not ends:
            yield ProviderEvent(PROVIDER, "serverContent.turnComplete", True)
            return
        self._exchange.reply_ended()
        yield TurnComplete(self._stop_reason(content.turn_complete_reason or ""), _usage(usage))
        self._cut, self._index = False, 0

    def _stop_reason(self, reason: str) -> StopReason:
        if self._cut:
            return StopReason.interrupted
        if reason in ("", "TURN_COMPLETE_REASON_UNSPECIFIED", "NEED_MORE_INPUT"):
            return StopReason.end_turn
        return StopReason.refusal if any(word in reason for word in _REFUSED) else StopReason.error

    def _activity(self, activity: VoiceActivity) -> Iterator[Event]:
        if activity.type not in ("ACTIVITY_START", "ACTIVITY_END"):
            yield from self._other("voiceActivity", activity)
            return
        self._speaking = activity.type == "ACTIVITY_START"
        yield SpeechStarted() if self._speaking else SpeechStopped()

    def _signal(self, signal: str) -> Iterator[Event]:
        speaks = {"VAD_SIGNAL_TYPE_SOS": True, "VAD_SIGNAL_TYPE_EOS": False}.get(signal)
        if speaks is None:
            yield ProviderEvent(PROVIDER, "voiceActivityDetectionSignal", {"vadSignalType": signal})
        elif speaks != self._speaking:  # the same may have come as voiceActivity
            self._speaking = speaks
            yield SpeechStarted() if speaks else SpeechStopped()

    def _going(self, time_left: str | None) -> Iterator[Event]:
        found = _DURATION.fullmatch(time_left or "")
        if found is None:
            raise _Malformed(f"'timeLeft' is {time_left!r}, no duration like '50s'")
        self.going = True
        yield GoingAway(float(found[1]))

    def _other(self, kind: str, data: Any) -> Iterator[Event]:
        yield ProviderEvent(PROVIDER, kind, msgspec.to_builtins(data))


def _usage(usage: UsageMetadata | None) -> Usage | None:
    if usage is None:
        return None
    said = usage.response_token_count or usage.candidates_token_count or 0
    return Usage(usage.prompt_token_count or 0, said, msgspec.to_builtins(usage))
