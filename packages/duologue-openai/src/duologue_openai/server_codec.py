"""OpenAIServerCodec: the server half of OpenAI Realtime."""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from duologue.events import (
    AudioOutputDelta,
    Error,
    Event,
    Interrupted,
    Problem,
    ProviderEvent,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.types import StopReason
from duologue.wire import ClientCommand, Frame, ServerCodec, SetUp

from duologue_openai import server_events as s
from duologue_openai.plan import PROVIDER
from duologue_openai.served_conversation import ServedConversation
from duologue_openai.served_reading import Reading
from duologue_openai.served_session import Refused, ServedSession

if TYPE_CHECKING:
    from duologue_openai.served_reply import ServedReply
    from duologue_openai.server_message import Server

_encode = msgspec.json.Encoder().encode

MOST_HELD = 1024
"""Answers that wait for the session to stand; a client that asks for more before that gets none."""

_ENDS: dict[StopReason, tuple[str, dict[str, Any]]] = {
    StopReason.end_turn: ("completed", {}),
    StopReason.tool_use: ("completed", {}),
    StopReason.interrupted: ("cancelled", {}),
    StopReason.max_tokens: ("incomplete", {"reason": "max_output_tokens"}),
    StopReason.refusal: ("incomplete", {"reason": "content_filter"}),
    StopReason.error: ("failed", {"error": {"type": "server_error", "code": "server_error"}}),
}


class OpenAIServerCodec(ServerCodec):
    """Speaks OpenAI Realtime to a client.

    The session's set-up is known as soon as the socket is open, as the protocol has it: the client's settings follow
    in `UpdateSession`, and whatever has no command of ours in a `ProviderCommand` of the client event's name.
    Replies are told from `response.created` to `response.done` with all that lies between.

    Args:
        model: the model that the client named in its address.
        session_id: the id the session is given.
    """

    provider: ClassVar[str] = PROVIDER

    def __init__(self, model: str = "gpt-realtime", session_id: str = "sess_1") -> None:
        super().__init__()
        self._started = False
        self._held: list[Frame] = []
        self._said = 0
        self._session = ServedSession(model, session_id)
        self._conversation = ServedConversation()
        self._reading = Reading(self._session, self._conversation)
        self._hot: tuple[str, str, str, ServedReply] | None = None

    def greet(self) -> list[ClientCommand]:
        """The set-up: a client need say nothing."""
        session = self._session
        return [
            SetUp(
                model=session.fields["model"],
                input_format=session.format("input"),
                output_format=session.format("output"),
                turn_detection=session.detection,
            )
        ]

    def decode(self, frame: Frame) -> list[ClientCommand]:
        """Turn one event of the client into commands; what it is answered with goes into `outgoing`."""
        commands, answers = self._reading.read(frame)
        frames = list(map(self._frame, answers))
        if self._started:
            self.outgoing += frames
        elif len(self._held) < MOST_HELD:
            self._held += frames  # the client is told nothing before `session.created`
        self._hot = None
        return commands

    def encode(self, event: Event) -> list[Frame]:
        """Turn an event into server events."""
        if type(event) is AudioOutputDelta:
            hot = self._hot
            if hot is not None and hot[0] == event.response_id and hot[1] == event.item_id and not hot[3].over:
                return [self._audio(hot, event.data)]
        return [message if isinstance(message, str) else self._frame(message) for message in self._messages(event)]

    def _audio(self, hot: tuple[str, str, str, ServedReply], data: bytes) -> str:
        self._said += 1
        hot[3].items[hot[2]].audio_bytes += len(data)
        index = hot[3].items[hot[2]].index
        return (
            f'{{"type":"response.output_audio.delta","event_id":"event_{self._said}","response_id":"{hot[3].id}",'
            f'"item_id":"{hot[2]}","output_index":{index},"content_index":0,'
            f'"delta":"{str(b2a_base64(data, newline=False), "ascii")}"}}'
        )

    def _messages(self, event: Event) -> list[Server | str]:
        said: list[Any] = []
        conversation = self._conversation
        match event:
            case SessionStarted():
                self._started = True
                self._session.fields["id"] = event.session_id or self._session.fields["id"]
                held, self._held = self._held, []
                return [s.SessionCreated(session=self._session.object), *map(str, held)]
            case AudioOutputDelta():
                reply = conversation.reply(event.response_id, said)
                if reply is not None:
                    item_id = conversation.output_item(reply, event.item_id, "audio")
                    said += reply.audio(item_id, event.data)
                    self._hot = (event.response_id, event.item_id, item_id, reply)
            case TranscriptDelta(role="user"):
                if self._session.transcribes:
                    said += conversation.heard(event)
            case TranscriptDelta() | TextDelta():
                reply = conversation.reply(event.response_id, said, item_id=event.item_id)
                if reply is not None:
                    part = "audio" if isinstance(event, TranscriptDelta) else "text"
                    said += reply.text(conversation.output_item(reply, event.item_id, part), event.delta, part)
            case ToolUseStart() | ToolInputDelta() | ToolUseEnd():
                said += conversation.call(event)
            case SpeechStarted() | SpeechStopped():
                said += conversation.speech(event, self._reading.audio_ms)
            case Interrupted():
                said += conversation.cut(event.response_id)
            case TurnComplete():
                reply = conversation.reply(event.response_id, said)
                if reply is not None:
                    status, details = _ENDS[event.stop_reason]
                    if status == "cancelled":
                        details = {"reason": "client_cancelled" if reply.stopped else "turn_detected"}
                    said += conversation.end(reply, status, details, event.usage)
            case Problem(exception=exc) | Error(exception=exc):
                code = getattr(exc, "code", None)
                kind = "server_error" if isinstance(event, Error) else "invalid_request_error"
                said.append(s.ErrorEvent(error=s.Fault(type=kind, code=code, message=str(exc))))
            case ProviderEvent(provider=provider, data=data) if provider == PROVIDER and isinstance(data, dict):
                return [_encode({"type": event.kind, **data}).decode()]
            case _:
                pass  # the protocol has no words for it
        return said

    def _frame(self, message: Server) -> str:
        self._said += 1
        message.event_id = f"event_{self._said}"
        return _encode(message).decode()


__all__ = ["OpenAIServerCodec", "Refused"]
