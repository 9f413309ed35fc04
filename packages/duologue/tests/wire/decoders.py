"""Decoders: what four providers send, as events; for tests only, the packages of the providers have the codecs.

Each decoder belongs to one connection and is pure: no clock, no socket. Ids are "" where the provider has
none, times None where the provider gives none on a clock that runs from the start of the session. A frame
that makes no sense gives what was read of it and a `Problem`; one that isn't modelled gives a `ProviderEvent`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from duologue.errors import ConnectionLost, ProtocolError, RateLimited
from duologue.events import (
    AgentChanged,
    AudioOutputDelta,
    Error,
    Event,
    GoingAway,
    Interrupted,
    Problem,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCancelled,
    TurnComplete,
)
from duologue.types import Role, StopReason, Usage, WordTime

from .calls import ItemCalls, whole_call
from .decoder import Decoder
from .fields import Malformed, Node, duration, ms, need, nodes, pcm

if TYPE_CHECKING:
    from collections.abc import Iterator

UTTERANCE_GAP_MS = 500.0
"""A pause after which GPT-Live's text, which never ends, counts as a new utterance."""


class GeminiDecoder(Decoder):
    """Gemini Live: no ids for replies and utterances; one message may carry several things at once."""

    provider = "gemini"

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[str, str] = {}
        self._index = 0
        self._speaking = False
        self._cut = False

    def _events(self, frame: Node) -> Iterator[Event]:
        if not frame:
            raise Malformed("it is empty")
        usage = need(frame, "usageMetadata", dict, {})
        for key, value in frame.items():
            if value is None:
                continue
            match key:
                case "setupComplete":
                    yield SessionStarted(need(need(frame, key, dict), "sessionId", str, ""))
                case "serverContent":
                    yield from self._content(need(frame, key, dict), usage)
                case "toolCall":
                    for call in nodes(need(frame, key, dict), "functionCalls"):
                        yield from self._call(call)
                case "toolCallCancellation":
                    for call_id in need(need(frame, key, dict), "ids", list):
                        if not isinstance(call_id, str):
                            raise Malformed(f"'ids' holds a {type(call_id).__name__}, not strings")
                        yield ToolCancelled(call_id, self._calls.get(call_id, ""), "cancelled by the provider")
                case "goAway":
                    yield GoingAway(duration(need(need(frame, key, dict), "timeLeft", str)))
                case "voiceActivity":
                    yield from self._activity(need(frame, key, dict))
                case "usageMetadata":
                    if not need(need(frame, "serverContent", dict, {}), "turnComplete", bool, False):
                        yield self._other(key, value)  # no event carries usage outside the end of a turn
                case _:
                    yield self._other(key, value)

    def _content(self, content: Node, usage: Node) -> Iterator[Event]:
        yield from self._heard("user", need(content, "inputTranscription", dict, {}))
        yield from self._heard("assistant", need(content, "outputTranscription", dict, {}))
        for part in nodes(need(content, "modelTurn", dict, {}), "parts", ()):
            yield from self._part(part)
        if need(content, "interrupted", bool, False):
            # the text of the cut reply may still trail in, up to the end of its turn
            if not self._speaking:
                yield SpeechStarted()
            self._cut = True
            yield Interrupted()
        for key, value in content.items():
            if key not in _GEMINI_CONTENT and value is not None:
                yield self._other(f"serverContent.{key}", value)
        if need(content, "turnComplete", bool, False):
            yield from self._end("assistant")
            if not self._cut:
                yield from self._end("user")  # after a cut the user's text is the next turn's
            reason = need(content, "turnCompleteReason", str, "")
            yield TurnComplete(self._stop_reason(reason), _gemini_usage(usage) if usage else None)
            self._cut, self._index = False, 0

    def _heard(self, role: Role, transcription: Node) -> Iterator[Event]:
        if text := need(transcription, "text", str, ""):
            yield self._say(role, text)
        if need(transcription, "finished", bool, False):
            yield from self._end(role)

    def _stop_reason(self, reason: str) -> StopReason:
        if self._cut:
            return StopReason.interrupted
        if reason in ("", "NEED_MORE_INPUT"):
            return StopReason.end_turn
        refused = ("SAFETY", "PROHIBITED", "BLOCKLIST", "REJECTED")
        return StopReason.refusal if any(word in reason for word in refused) else StopReason.error

    def _part(self, part: Node) -> Iterator[Event]:
        blob = need(part, "inlineData", dict, {})
        mime = need(blob, "mimeType", str, "")
        text = need(part, "text", str, "")
        if mime.startswith("audio/pcm"):
            media = mime if "rate=" in mime else "audio/pcm;rate=24000"
            yield AudioOutputDelta(pcm(blob, "data"), media)
        elif text and not need(part, "thought", bool, False):
            yield TextDelta(0, text)
        else:
            yield self._other("part", part)

    def _call(self, call: Node) -> Iterator[Event]:
        call_id, name = need(call, "id", str, ""), need(call, "name", str)
        arguments = json.dumps(need(call, "args", dict, {}))
        self._calls[call_id] = name
        yield from whole_call(self._index, call_id, name, arguments)
        self._index += 1

    def _activity(self, activity: Node) -> Iterator[Event]:
        self._speaking = need(activity, "type", str) == "ACTIVITY_START"
        yield SpeechStarted() if self._speaking else SpeechStopped()


class OpenAIDecoder(Decoder):
    """OpenAI Realtime: everything has an id."""

    provider = "openai"

    def __init__(self) -> None:
        super().__init__()
        self._calls = ItemCalls()

    def _events(self, frame: Node) -> Iterator[Event]:
        kind = need(frame, "type", str)
        match kind:
            case "session.created":
                session = need(frame, "session", dict)
                yield SessionStarted(need(session, "id", str, ""), need(session, "model", str, ""))
            case "response.output_audio.delta":
                yield AudioOutputDelta(
                    pcm(frame, "delta"), response_id=need(frame, "response_id", str), item_id=_item(frame)
                )
            case "response.output_text.delta":
                index, delta = need(frame, "content_index", int, 0), need(frame, "delta", str)
                yield TextDelta(index, delta, response_id=need(frame, "response_id", str), item_id=_item(frame))
            case "response.output_audio_transcript.delta":
                yield self._say("assistant", need(frame, "delta", str), item_id=_item(frame))
            case "response.output_audio_transcript.done":
                yield from self._end("assistant", whole=need(frame, "transcript", str), item_id=_item(frame))
            case "conversation.item.input_audio_transcription.delta":
                yield self._say("user", need(frame, "delta", str), item_id=_item(frame))
            case "conversation.item.input_audio_transcription.completed":
                yield from self._end("user", whole=need(frame, "transcript", str), item_id=_item(frame))
            case "conversation.item.input_audio_transcription.failed":
                yield from self._end("user", whole="", item_id=_item(frame))
                yield self._refused(need(frame, "error", dict))
            case "input_audio_buffer.speech_started":
                yield SpeechStarted(item_id=_item(frame))  # audio_start_ms counts audio sent, not session time
            case "input_audio_buffer.speech_stopped":
                yield SpeechStopped(item_id=_item(frame))
            case "response.output_item.added" if _is_call(frame):
                yield from self._calls.added(need(frame, "output_index", int), need(frame, "item", dict))
            case "response.function_call_arguments.delta":
                yield from self._calls.fragment(frame)
            case "response.output_item.done" if _is_call(frame):
                yield from self._calls.done(need(frame, "output_index", int), need(frame, "item", dict))
            case "response.done":
                yield from self._done(need(frame, "response", dict))
            case "error":
                yield self._refused(need(frame, "error", dict))
            case _ if kind not in _OPENAI_SAID_ELSEWHERE:
                yield self._other(kind, frame)

    def _done(self, response: Node) -> Iterator[Event]:
        response_id, status = need(response, "id", str), need(response, "status", str)
        details = need(response, "status_details", dict, {})
        outputs = nodes(response, "output", ())
        yield from self._end_all("assistant")
        match status:
            case "completed":
                called = any(item.get("type") == "function_call" for item in outputs)
                reason = StopReason.tool_use if called else StopReason.end_turn
            case "cancelled":
                yield Interrupted(response_id)
                reason = StopReason.interrupted
            case "incomplete":
                limit = need(details, "reason", str, "") == "max_output_tokens"
                reason = StopReason.max_tokens if limit else StopReason.refusal
            case _:
                yield self._refused(need(details, "error", dict, {}))
                reason = StopReason.error
        usage = need(response, "usage", dict, {})
        tokens = (need(usage, "input_tokens", int, 0), need(usage, "output_tokens", int, 0))
        yield TurnComplete(reason, Usage(*tokens, usage) if usage else None, response_id)

    def _refused(self, error: Node) -> Problem | Error:
        code = need(error, "code", str, "") or need(error, "type", str, "")
        message = f"{self.provider} reported {code or 'an error'}: {need(error, 'message', str, 'no reason given')}"
        if code == "session_expired":
            return Error(ConnectionLost(message, provider=self.provider, code=code))
        kind = RateLimited if code == "rate_limit_exceeded" else ProtocolError
        return Problem(kind(message, retryable=None, provider=self.provider, code=code))


class DistillerDecoder(Decoder):
    """The Realtime Distiller: several agents speak in one response, told apart by role; no ids."""

    provider = "distiller"

    def __init__(self, rate: int = 16000) -> None:
        super().__init__()
        self._media = f"audio/pcm;rate={rate}"
        self._agent = ""
        self._index = 0
        self._cut = False

    def _events(self, frame: Node) -> Iterator[Event]:
        if frame.get("type") is None and need(frame, "status", str, "") == "wait":
            arguments = json.dumps(need(frame, "kwargs", dict, {}))
            call_id = need(frame, "request_id", str, "single_request")
            yield from whole_call(self._index, call_id, need(frame, "role", str), arguments)
            self._index += 1
            return
        kind = need(frame, "type", str)
        match kind:
            case "session.created":
                yield SessionStarted()
            case "response.audio_transcript.delta":
                yield self._say("user", need(frame, "delta", str))
            case "response.audio_transcript.done":
                yield from self._end("user", whole=need(frame, "text", str))
            case "response.text.delta":
                yield from self._spoken(need(frame, "role", str, ""), need(frame, "content", str, ""))
            case "response.audio.delta":
                key = "audio" if frame.get("audio") is not None else "delta"
                yield AudioOutputDelta(pcm(frame, key), self._media)
            case "response.text.done":
                yield from self._end("assistant")
            case "response.interrupted":
                yield from self._end("assistant")
                self._cut = True
                yield SpeechStarted()
                yield Interrupted()
            case "response.done":
                yield from self._end("assistant")
                yield TurnComplete(StopReason.interrupted if self._cut else StopReason.end_turn)
                self._cut, self._index = False, 0
            case "error":
                detail = need(frame, "error_detail", dict, {})
                text = need(detail, "message", str, "") or str(frame.get("error") or "no reason given")
                yield Problem(ProtocolError(f"distiller reported an error: {text}", provider=self.provider))
            case "response.audio.done" | "PING":
                pass  # the codec answers PING with a frame
            case _:
                yield self._other(kind, frame)

    def _spoken(self, role: str, text: str) -> Iterator[Event]:
        if role and role != self._agent:
            yield from self._end("assistant")
            self._agent = role
            yield AgentChanged(role)
        if text:
            yield self._say("assistant", text)


class GptLiveDecoder(Decoder):
    """GPT-Live: no turns, no interruptions, no end of anything said; times are ms since the session began."""

    provider = "gptlive"

    def __init__(self, rate: int = 24000) -> None:
        super().__init__()
        self._media = f"audio/pcm;rate={rate}"
        self._calls = ItemCalls()
        self._voice_from: float | None = None
        self._said_until: dict[Role, float] = {}

    def _events(self, frame: Node) -> Iterator[Event]:
        kind = need(frame, "type", str)
        match kind:
            case "session.started":
                session = need(frame, "session", dict)
                yield SessionStarted(need(session, "id", str, ""), need(session, "model", str, ""))
            case "session.output_audio.delta":
                event = AudioOutputDelta(pcm(frame, "delta"), self._media)
                if self._voice_from is None:
                    self._voice_from = ms(frame, "start_ms")
                yield event
            case "session.input_transcript.delta":
                yield from self._piece("user", frame)
            case "session.output_transcript.delta":
                yield from self._piece("assistant", frame)
            case "response.event":
                yield from self._delegated(frame)
            case "session.closed":
                yield from self._end_all("user")
                yield from self._end_all("assistant")
                if (reason := need(frame, "reason", str, "")) != "close_requested":
                    yield Error(ConnectionLost(f"gptlive closed the session: {reason}", provider=self.provider))
            case "error":
                error = need(frame, "error", dict)
                message = f"gptlive reported an error: {need(error, 'message', str, 'no reason given')}"
                yield Problem(ProtocolError(message, provider=self.provider, code=need(error, "code", str, "")))
            case _:
                yield self._other(kind, frame)

    def _piece(self, role: Role, frame: Node) -> Iterator[Event]:
        text, start, end = need(frame, "delta", str), ms(frame, "start_ms"), ms(frame, "end_ms")
        if start - self._said_until.get(role, start) >= UTTERANCE_GAP_MS:
            yield from self._end(role)
        self._said_until[role] = end
        words = (WordTime(text.strip(), end - (self._voice_from or 0.0)),) if role == "assistant" else ()
        yield self._say(role, text, started_at=start / 1000, words=words)

    def _delegated(self, frame: Node) -> Iterator[Event]:
        inner = need(frame, "event", dict)
        match need(inner, "type", str):
            case "response.output_item.added" if _is_call(inner):
                yield from self._calls.added(need(inner, "output_index", int, 0), need(inner, "item", dict))
            case "response.function_call_arguments.delta":
                yield from self._calls.fragment(inner)
            case "response.function_call_arguments.done":
                pass  # the item's own end follows
            case "response.output_item.done" if _is_call(inner):
                yield from self._calls.done(need(inner, "output_index", int, 0), need(inner, "item", dict))
            case inner_kind:
                yield self._other(f"response.event:{inner_kind}", frame)


DECODERS: dict[str, type[Decoder]] = {
    "gemini": GeminiDecoder,
    "openai": OpenAIDecoder,
    "distiller": DistillerDecoder,
    "gptlive": GptLiveDecoder,
}

_GEMINI_CONTENT = frozenset(
    ("inputTranscription", "outputTranscription", "modelTurn", "interrupted", "turnComplete", "turnCompleteReason")
)
_OPENAI_SAID_ELSEWHERE = frozenset(
    (
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_audio.done",
        "response.output_text.done",
        "response.function_call_arguments.done",
        "conversation.item.added",
        "conversation.item.done",
        "input_audio_buffer.committed",
    )
)


def _gemini_usage(usage: Node) -> Usage:
    # Vertex calls the second field by another name
    said = need(usage, "responseTokenCount", int, 0) or need(usage, "candidatesTokenCount", int, 0)
    return Usage(need(usage, "promptTokenCount", int, 0), said, usage)


def _item(frame: Node) -> str:
    return need(frame, "item_id", str)


def _is_call(frame: Node) -> bool:
    return need(frame, "item", dict).get("type") == "function_call"
