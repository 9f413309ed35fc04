"""GeminiServerCodec: the server half of the Live API's protocol, for one connection."""

from __future__ import annotations

from binascii import b2a_base64
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec
from duologue.assembler import ToolCallAssembler
from duologue.errors import InvalidArguments
from duologue.events import (
    AudioOutputDelta,
    Event,
    GoingAway,
    Interrupted,
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
from duologue.wire import Frame, ServerCodec

from duologue_google import server_messages as wire
from duologue_google.content import Content, FunctionCall, Part
from duologue_google.receiver import PROVIDER
from duologue_google.requests import Requests

if TYPE_CHECKING:
    from duologue.wire import ClientCommand

REMEMBERED = 1024
"""Calls whose names are kept; a client that leaves more unanswered has given them up."""

SPEECH = b'{"serverContent":{"modelTurn":{"role":"model","parts":[{"inlineData":{"mimeType":'

_encode = msgspec.json.Encoder().encode

_REASONS = {StopReason.refusal: "RESPONSE_REJECTED", StopReason.error: "GENERATED_OTHER"}
_PASSED_ON = frozenset(
    (
        "serverContent.groundingMetadata",
        "serverContent.urlContextMetadata",
        "serverContent.waitingForInput",
        "serverContent.interactionStatus",
        "serverContent.interimInputTranscription",
        "usageMetadata",
    )
)
"""News of another Gemini that a client of this one understands."""


class GeminiServerCodec(ServerCodec):
    """Speaks to clients of the Live API: Google's own, and ours.

    Takes both spellings of every key, both alphabets of base64, text and binary frames.

    Args:
        binary: send JSON in binary frames, as Google's servers do; text frames otherwise.
        vertex: name things as Vertex AI does, where that differs.

    Attributes:
        refusal: the close code and reason that Google would answer the last frame with; None while all is well.
            Whoever drives the codec decides what to do.
    """

    provider = PROVIDER

    def __init__(self, *, binary: bool = True, vertex: bool = False) -> None:
        super().__init__()
        self.refusal: tuple[int, str] | None = None
        self._binary = binary
        self._vertex = vertex
        self._requests = Requests()
        self._assembler = ToolCallAssembler()
        self._names: OrderedDict[str, str] = OrderedDict()
        self._before: dict[str, bytes] = {}
        self._spoke = False
        self._cut = False

    def decode(self, frame: Frame) -> list[ClientCommand]:
        """Turn a frame of the client into commands."""
        commands, refused = self._requests.decode(frame, self._names)
        if refused is not None:
            self.refusal = (1007, refused[:120])
        if self._requests.greets:
            self._requests.greets = False
            self.outgoing.append(self._frame(wire.ServerMessage(setup_complete=wire.SetupComplete())))
        return commands

    def encode(self, event: Event) -> list[Frame]:
        """Turn an event into frames."""
        match event:
            case AudioOutputDelta():
                return [self._audio(event)]
            case TextDelta():
                self._begin()
                return [self._turn(Part(text=event.delta))]
            case TranscriptDelta():
                return self._transcript(event)
            case ToolUseStart() | ToolInputDelta() | ToolUseEnd():
                return self._call(event)
            case ToolCancelled():
                self._names.pop(event.tool_use_id, None)
                cancelled = wire.ToolCallCancellation(ids=[event.tool_use_id])
                return [self._frame(wire.ServerMessage(tool_call_cancellation=cancelled))]
            case Interrupted():
                self._cut = True
                return [self._content(wire.ServerContent(interrupted=True))]
            case TurnComplete():
                return self._turn_end(event)
            case SpeechStarted() | SpeechStopped():
                return self._activity(speaks=isinstance(event, SpeechStarted))
            case SessionStarted():
                if self._requests.greeted:
                    return []
                self._requests.greeted = True
                greeting = wire.SetupComplete(session_id=event.session_id or None)
                return [self._frame(wire.ServerMessage(setup_complete=greeting))]
            case GoingAway():
                left = wire.GoAway(time_left=f"{max(0.0, event.seconds_left):.9f}".rstrip("0").rstrip(".") + "s")
                return [self._frame(wire.ServerMessage(go_away=left))]
            case ProviderEvent():
                return self._pass_on(event)
            case _:
                return []

    def offer(self, handle: str) -> list[Frame]:
        """Tell how the session can be taken up again; only clients that asked for it are told."""
        if not self._requests.wants_handles:
            return []
        update = wire.SessionResumptionUpdate(new_handle=handle or None, resumable=bool(handle))
        return [self._frame(wire.ServerMessage(session_resumption_update=update))]

    # -- output ---------------------------------------------------------------------------------------

    def _audio(self, event: AudioOutputDelta) -> Frame:
        before = self._before.get(event.media_type)
        if before is None:
            mime = _encode(event.media_type)
            before = (
                b'{"serverContent":{"modelTurn":{"role":"model","parts":[{"inlineData":{"mimeType":'
                + mime
                + b',"data":"'
            )
            if len(self._before) < 16:  # few are used; the rest costs a little time
                self._before[event.media_type] = before
        self._spoke = self._requests.replying = True
        self._cut = False
        frame = before + b2a_base64(event.data, newline=False) + b'"}}]}}}'
        return frame if self._binary else frame.decode()

    def _turn(self, part: Part) -> Frame:
        return self._content(wire.ServerContent(model_turn=Content(role="model", parts=[part])))

    def _transcript(self, event: TranscriptDelta) -> list[Frame]:
        said = wire.Transcription(text=event.delta or None, finished=event.final or None)
        if said == wire.Transcription():
            return []
        if event.role == "user":
            wanted = self._requests.wants_input_text
            return [self._content(wire.ServerContent(input_transcription=said))] if wanted else []
        if event.delta:
            self._begin()
        wanted = self._requests.wants_output_text
        return [self._content(wire.ServerContent(output_transcription=said))] if wanted else []

    def _begin(self) -> None:
        if not self._spoke:
            self._cut = False
        self._spoke = self._requests.replying = True

    def _call(self, event: ToolUseStart | ToolInputDelta | ToolUseEnd) -> list[Frame]:
        self._requests.replying = True
        try:
            blocks = self._assembler.feed(event)
        except InvalidArguments:
            return []  # the model wrote no JSON: who runs the codec answers that call itself
        calls = [FunctionCall(id=block.id, name=block.name, args=block.input) for block in blocks]
        for block in blocks:
            self._names[block.id] = block.name
        while len(self._names) > REMEMBERED:
            self._names.popitem(last=False)
        return [self._frame(wire.ServerMessage(tool_call=wire.ToolCall(function_calls=calls)))] if calls else []

    def _turn_end(self, event: TurnComplete) -> list[Frame]:
        if event.stop_reason is StopReason.tool_use:
            return []  # the turn goes on once the results are there
        frames: list[Frame] = []
        if event.stop_reason is StopReason.interrupted:
            if not self._cut:
                frames.append(self._content(wire.ServerContent(interrupted=True)))
        elif self._spoke:
            frames.append(self._content(wire.ServerContent(generation_complete=True)))
        end = wire.ServerContent(turn_complete=True, turn_complete_reason=_REASONS.get(event.stop_reason))
        usage = self._usage(event.usage) if event.usage is not None else None
        frames.append(self._frame(wire.ServerMessage(server_content=end, usage_metadata=usage)))
        self._cut = self._spoke = self._requests.replying = False
        return frames

    def _usage(self, usage: Usage) -> wire.UsageMetadata:
        told = wire.UsageMetadata(
            prompt_token_count=usage.input_tokens, total_token_count=usage.input_tokens + usage.output_tokens
        )
        if self._vertex:
            told.candidates_token_count = usage.output_tokens
        else:
            told.response_token_count = usage.output_tokens
        return told

    def _activity(self, *, speaks: bool) -> list[Frame]:
        if not self._requests.wants_activity:
            return []
        activity = wire.VoiceActivity(type="ACTIVITY_START" if speaks else "ACTIVITY_END")
        return [self._frame(wire.ServerMessage(voice_activity=activity))]

    def _pass_on(self, event: ProviderEvent) -> list[Frame]:
        if event.provider != PROVIDER or event.kind not in _PASSED_ON:
            return []  # google-genai gives up on a message of which it knows no key
        outer, _, inner = event.kind.partition(".")
        frame = _encode({outer: {inner: event.data} if inner else event.data})
        return [frame if self._binary else frame.decode()]

    def _content(self, content: wire.ServerContent) -> Frame:
        return self._frame(wire.ServerMessage(server_content=content))

    def _frame(self, message: wire.ServerMessage) -> Frame:
        frame = _encode(message)
        return frame if self._binary else frame.decode()
