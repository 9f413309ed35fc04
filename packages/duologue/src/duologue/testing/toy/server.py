"""ToyServerCodec: the server half of the toy protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, assert_never

import msgspec

from duologue.blocks import AudioBlock, ImageBlock, TextBlock
from duologue.effects import AnswerCall, StopReply
from duologue.effects import Truncate as TruncateItem
from duologue.events import (
    AudioOutputDelta,
    Error,
    Event,
    GoingAway,
    Interrupted,
    Problem,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    ToolCancelled,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.testing.toy import messages as m
from duologue.tool import Tool
from duologue.transport import TurnDetection
from duologue.types import Message
from duologue.wire.codec import Frame, ServerCodec
from duologue.wire.commands import (
    ClearInput,
    ClientCommand,
    CommitTurn,
    NotePlayback,
    SendContent,
    SetUp,
    UpdateSession,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_decode = msgspec.json.Decoder(m.ClientMessage).decode
_encode = msgspec.json.Encoder().encode


class ToyServerCodec(ServerCodec):
    """Speaks the toy protocol to a client."""

    provider: ClassVar[str] = "toy"

    def decode(self, frame: Frame) -> list[ClientCommand]:
        """Turn one message of the client into commands."""
        try:
            message = _decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            self.outgoing.append(_text(m.Failed(f"that can't be read: {exc}", "bad_message")))
            return []
        match message:
            case m.Hello():
                return [self._set_up(message)]
            case m.Append():
                return [SendContent(AudioBlock(message.audio, "audio/pcm;rate=16000"))]
            case m.Text():
                return [SendContent(TextBlock(message.text))]
            case m.Image():
                return [SendContent(ImageBlock(message.data, message.mime))]
            case m.Commit():
                return [CommitTurn()]
            case m.Stop():
                return [StopReply()]
            case m.Result():
                return [AnswerCall(message.call, message.name, message.content)]
            case m.Truncate():
                return [TruncateItem(message.item, message.heard_ms)]
            case m.Played():
                return [NotePlayback(message.started)]
            case m.Update():
                return [UpdateSession(message.system, None if message.tools is None else tools(message.tools))]
            case m.Clear():
                return [ClearInput()]
            case m.Pong():
                return []
            case _:
                assert_never(message)

    def encode(self, event: Event) -> list[Frame]:
        """Turn an event into a message."""
        message = self._message(event)
        return [] if message is None else [_text(message)]

    def offer(self, handle: str) -> list[Frame]:
        """`handle`."""
        return [_text(m.Handle(handle))]

    def _set_up(self, hello: m.Hello) -> SetUp:
        roles = [said for said in hello.history if said.role in ("user", "assistant")]
        return SetUp(
            system=hello.system,
            tools=tools(hello.tools),
            voice=hello.voice or None,
            turn_detection=TurnDetection(
                "manual" if hello.manual else "server", interrupt=hello.interrupts, create_response=hello.answers
            ),
            history=tuple(Message("user" if said.role == "user" else "assistant", said.text) for said in roles),
            resume=hello.resume,
        )

    def _message(self, event: Event) -> m.ServerMessage | None:
        match event:
            case AudioOutputDelta():
                return m.Audio(event.data, event.response_id, event.item_id)
            case TranscriptDelta():
                return m.Words(event.role, event.delta, event.final, event.response_id, event.item_id)
            case SpeechStarted() | SpeechStopped():
                return m.Voice(isinstance(event, SpeechStarted), event.item_id)
            case ToolUseStart():
                return m.Call(event.tool_use_id, event.name, "", event.index, first=True, last=False)
            case ToolInputDelta():
                return m.Call(event.tool_use_id, "", event.partial_json, event.index, first=False, last=False)
            case ToolUseEnd():
                return m.Call(event.tool_use_id, "", "", event.index, first=False, last=True)
            case ToolCancelled():
                return m.Withdrawn(event.tool_use_id, event.name, event.reason)
            case Interrupted():
                return m.Cut(event.response_id)
            case TurnComplete(usage=usage):
                tokens = (usage.input_tokens, usage.output_tokens) if usage is not None else (0, 0)
                return m.Done(event.stop_reason.value, event.response_id, *tokens)
            case SessionStarted():
                return m.Welcome(event.session_id, event.model)
            case GoingAway():
                return m.Leaving(event.seconds_left)
            case Problem():
                return m.Failed(str(event.exception))
            case Error(exception=exc):
                code = getattr(exc, "code", None) or "refused"
                return m.Refused(code, str(exc), bool(getattr(exc, "retryable", False)))
            case _:
                return None


def tools(offers: Sequence[m.Offer]) -> tuple[Tool, ...]:
    """What the client offers, as tools without handler."""
    return tuple(Tool(offer.name, None, offer.description, offer.parameters or None) for offer in offers)


def _text(message: m.Message) -> str:
    return _encode(message).decode()
