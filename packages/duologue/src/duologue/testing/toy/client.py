"""ToyCodec: the client half of the toy protocol."""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, ClassVar, assert_never, cast

import msgspec

from duologue.blocks import AudioBlock, ImageBlock, TextBlock
from duologue.effects import AnswerCall, StopReply
from duologue.effects import Truncate as TruncateItem
from duologue.errors import ConnectFailed, ProtocolError, RemoteProtocolError, UnsupportedFormat
from duologue.events import (
    AudioOutputDelta,
    Error,
    Event,
    GoingAway,
    Interrupted,
    Problem,
    ProviderEvent,
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
from duologue.transport import Capabilities, TurnDetection
from duologue.types import StopReason, Usage
from duologue.wire.codec import Codec, Frame, Opening
from duologue.wire.commands import (
    ClearInput,
    Command,
    CommitTurn,
    NotePlayback,
    ProviderCommand,
    SendContent,
    UpdateSession,
)
from duologue.wire.telling import as_told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.blocks import ContentBlock
    from duologue.tool import Tool
    from duologue.types import Role

_decode = msgspec.json.Decoder(m.ServerMessage).decode
_encode = msgspec.json.Encoder().encode

CAPABILITIES = Capabilities(
    manual_turns=True,
    image_input=True,
    truncation=True,
    playback_notices=True,
    session_update=True,
    resumption=True,
    overlap_reconnect=True,
)


class ToyCodec(Codec):
    """Speaks the toy protocol to a server.

    Args:
        opening: what the connection starts from.
        system: the system prompt.
        tools: what the model may call.
        voice: the voice's name.
        turn_detection: who ends the user's turn.
        capabilities: what the session claims to be able to do, for tests of what a lesser provider can't.
    """

    provider: ClassVar[str] = "toy"

    def __init__(
        self,
        opening: Opening,
        *,
        system: str = "",
        tools: Sequence[Tool] = (),
        voice: str | None = None,
        turn_detection: TurnDetection | None = None,
        capabilities: Capabilities = CAPABILITIES,
    ) -> None:
        super().__init__()
        self.capabilities = capabilities
        detection = turn_detection or TurnDetection()
        self._hello = m.Hello(
            system=system,
            tools=offers(tools),
            voice=voice or "",
            history=[m.Said(said.role, as_told(said)) for said in opening.history],
            resume=opening.handle,
            manual=detection.mode == "manual",
            interrupts=detection.interrupt,
            answers=detection.create_response,
        )

    def opening(self) -> list[Frame]:
        """`hello`."""
        return [_text(self._hello)]

    def decode(self, frame: Frame) -> list[Event]:
        """Turn one message into events."""
        try:
            message = _decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            return [self._unreadable(frame, exc)]
        if type(message) is m.Audio:
            return [AudioOutputDelta(message.delta, "audio/pcm;rate=24000", message.response, message.item)]
        return self._event(message)

    def encode(self, command: Command) -> list[Frame]:
        """Turn a command into a message."""
        match command:
            case SendContent():
                return [_content(command.block)]
            case CommitTurn():
                return [_text(m.Commit())]
            case StopReply():
                return [_text(m.Stop())]
            case AnswerCall():
                return [_text(m.Result(command.tool_use_id, command.name, as_text(command)))]
            case TruncateItem():
                return [_text(m.Truncate(command.item_id, command.heard_ms))]
            case NotePlayback():
                return [_text(m.Played(command.started))]
            case UpdateSession():
                tools = None if command.tools is None else offers(command.tools)
                return [_text(m.Update(command.system, tools))]
            case ClearInput():
                return [_text(m.Clear())]
            case ProviderCommand():
                return []
            case _:
                assert_never(command)

    def _event(self, message: m.ServerMessage) -> list[Event]:
        match message:
            case m.Audio():
                return [AudioOutputDelta(message.delta, response_id=message.response, item_id=message.item)]
            case m.Words():
                role = cast("Role", message.role)
                return [TranscriptDelta(role, message.text, message.final, message.item, response_id=message.response)]
            case m.Voice():
                return [SpeechStarted(message.item) if message.speaking else SpeechStopped(message.item)]
            case m.Call():
                return self._call(message)
            case m.Withdrawn():
                return [ToolCancelled(message.call, message.name, message.reason)]
            case m.Cut():
                return [Interrupted(message.response)]
            case m.Done():
                known = message.reason in StopReason.__members__
                reason = StopReason(message.reason) if known else StopReason.error
                return [TurnComplete(reason, Usage(message.input_tokens, message.output_tokens), message.response)]
            case m.Handle():
                self.handle = message.handle
                return []
            case m.Leaving():
                return [GoingAway(message.seconds)]
            case m.Ping():
                self.outgoing.append(_text(m.Pong()))
                return []
            case m.Failed():
                return [Problem(ProtocolError(message.message, provider=self.provider, code=message.code or None))]
            case m.Welcome():
                return [SessionStarted(message.session, message.model)]
            case m.Refused():
                return [
                    Error(
                        ConnectFailed(
                            f"toy refused the session: {message.message}",
                            retryable=message.retryable,
                            provider=self.provider,
                            code=message.code,
                        )
                    )
                ]
            case _:
                assert_never(message)

    def _call(self, message: m.Call) -> list[Event]:
        events: list[Event] = []
        if message.first:
            events.append(ToolUseStart(message.index, message.call, message.name))
        if message.arguments:
            events.append(ToolInputDelta(message.index, message.call, message.arguments))
        if message.last:
            events.append(ToolUseEnd(message.index, message.call))
        return events

    def _unreadable(self, frame: Frame, exc: Exception) -> Event:
        try:
            whole = msgspec.json.decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            whole = None
        kind = whole.get("type") if isinstance(whole, dict) else None
        if isinstance(kind, str) and kind not in _KINDS:
            return ProviderEvent(self.provider, kind, whole)
        return Problem(RemoteProtocolError(f"toy sent a frame that can't be read ({exc})", provider=self.provider))


_KINDS = {kind.__name__.lower() for kind in m.Message.__subclasses__()}


def offers(tools: Sequence[Tool]) -> list[m.Offer]:
    """Tools as the protocol tells of them."""
    return [m.Offer(tool.name, tool.description, tool.input_schema) for tool in tools]


def as_text(answer: AnswerCall) -> str:
    """The result of a call as text, which is all that the protocol knows."""
    if isinstance(answer.content, str):
        return answer.content
    return " ".join(b.text if isinstance(b, TextBlock) else f"[{b.media_type}]" for b in answer.content)


def _content(block: ContentBlock) -> str:
    match block:
        case AudioBlock():
            if not block.media_type.startswith("audio/pcm"):
                raise UnsupportedFormat(f"the toy protocol takes PCM16 and not {block.media_type}")
            return f'{{"type":"append","audio":"{b2a_base64(block.data, newline=False).decode()}"}}'
        case TextBlock():
            return _text(m.Text(block.text))
        case ImageBlock():
            return _text(m.Image(block.data, block.media_type))
        case _:
            assert_never(block)


def _text(message: m.Message) -> str:
    return _encode(message).decode()
