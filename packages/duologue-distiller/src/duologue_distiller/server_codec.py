"""DistillerServerCodec: the server half of the Realtime Distiller's protocol.

What the official client can't bear is never sent: no null, no error for what only went wrong by the way (its session
ends with the first one), one `response.audio.done` for each response.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from typing import TYPE_CHECKING, Any, ClassVar, assert_never, get_args

import msgspec
from duologue.blocks import AudioBlock, TextBlock
from duologue.effects import AnswerCall, StopReply
from duologue.events import (
    AgentChanged,
    AudioOutputDelta,
    Error,
    Event,
    Interrupted,
    ProviderEvent,
    SessionStarted,
    TextDelta,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.tool import Tool
from duologue.types import StopReason
from duologue.wire import (
    AddMessage,
    ClearInput,
    ClientCommand,
    CommitTurn,
    Frame,
    NotePlayback,
    ProviderCommand,
    SendContent,
    ServerCodec,
    SetUp,
)

from duologue_distiller import client_messages as c
from duologue_distiller import server_messages as m
from duologue_distiller.codec import PROVIDER
from duologue_distiller.told import untell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue_distiller.place import Place

_decode = msgspec.json.Decoder(c.AnyClientMessage).decode
_decode_result = msgspec.json.Decoder(c.ExecutorResult).decode
_encode = msgspec.json.Encoder().encode

INPUT_FORMAT = "audio/pcm;rate=16000"

_KINDS = frozenset(kind.__struct_config__.tag for kind in get_args(c.AnyClientMessage))


class DistillerServerCodec(ServerCodec):
    """Speaks to a client of the Realtime Distiller.

    A commit ends the turn; after a `session.update`, with which a recording begins that is committed three times a
    second, it is a `ProviderCommand("input_audio_buffer.commit")` that the server may make of what it likes.
    What a client tells in front of a typed turn (`duologue_distiller.told`) is read as messages.

    Args:
        place: whose session it is, from the address.
        barge_in: tell the client that it may send audio while a response is made.
        agents: the project's custom agents, which are called at the client.
        output_format: what the client takes the speech for.
        agent: who speaks until an `AgentChanged` names somebody.
    """

    provider: ClassVar[str] = PROVIDER

    def __init__(
        self,
        place: Place | None = None,
        *,
        barge_in: bool = True,
        agents: Sequence[str] = (),
        output_format: str = "audio/pcm;rate=16000",
        agent: str = "assistant",
    ) -> None:
        super().__init__()
        self._place = place
        self._barge_in = barge_in
        self._agents = tuple(agents)
        self._output_format = output_format
        self._agent = agent
        self._responding = False
        self._recording = False
        self._end_told = False  # of a reply that was interrupted when all of it had been sent
        self._user = ""
        self._calls: dict[str, tuple[str, list[str]]] = {}

    def greet(self) -> list[ClientCommand]:
        """The setup: the client says nothing of it but its address."""
        return [
            SetUp(
                tools=tuple(Tool(name, None, f"The custom agent {name}.") for name in self._agents),
                input_format=INPUT_FORMAT,
                output_format=self._output_format,
                extra={} if self._place is None else self._place.describe(),
            )
        ]

    def ping(self) -> list[Frame]:
        """The heartbeat; the official client wants one within 1,000 seconds."""
        return ['{"type":"PING"}']

    # -- from the client ------------------------------------------------------------------------------

    def decode(self, frame: Frame) -> list[ClientCommand]:
        """Turn one message of the client into commands."""
        try:
            message = _decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            return self._untyped(frame, exc)
        match message:
            case c.AppendAudio():
                return [SendContent(AudioBlock(message.audio, INPUT_FORMAT))] if message.audio else []
            case c.InputText():
                self._end_told = False
                said, text = untell(message.text or "")
                turn: list[ClientCommand] = [SendContent(TextBlock(text)), CommitTurn()] if text.strip() else []
                return [*map(AddMessage, said), *turn]
            case c.CommitAudio():
                self._end_told = False
                return [ProviderCommand("input_audio_buffer.commit") if self._recording else CommitTurn()]
            case c.ClearAudio():
                return [ClearInput()]
            case c.UpdateRecording():
                self._recording = True
                return [ProviderCommand("session.update")]
            case c.CancelResponse():
                return [StopReply()]
            case c.PlaybackStarted() | c.PlaybackStopped():
                return [NotePlayback(isinstance(message, c.PlaybackStarted))]
            case c.Pong():
                return []
            case _:
                assert_never(message)

    def _untyped(self, frame: Frame, exc: Exception) -> list[ClientCommand]:
        try:
            whole = msgspec.json.decode(frame)
            if isinstance(whole, dict):
                if whole.get("request_type") == "executor":
                    return [self._answer(_decode_result(frame))]
                for name in ("request_type", "type"):
                    kind = whole.pop(name, None)
                    if isinstance(kind, str) and kind not in _KINDS:
                        return [ProviderCommand(kind, whole)]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            exc = fault
        self.outgoing.append(_failure(f"that can't be read: {exc}"))
        return []

    def _answer(self, result: c.ExecutorResult) -> AnswerCall:
        arguments = result.request_args
        content = "" if arguments is None else arguments.content or ""
        return AnswerCall(result.request_id or "", result.role or "", content)

    # -- to the client --------------------------------------------------------------------------------

    def encode(self, event: Event) -> list[Frame]:
        """Turn an event into messages."""
        match event:
            case AudioOutputDelta():
                audio = b2a_base64(event.data, newline=False).decode()
                frame = f'{{"type":"response.audio.delta","audio":"{audio}"}}'
                return [frame] if self._responding else [*self._begin(), frame]
            case TranscriptDelta(role="user"):
                return self._user_said(event)
            case TranscriptDelta() | TextDelta():
                return [*self._begin(), _text(m.ResponseText(event.delta, self._agent))] if event.delta else []
            case AgentChanged():
                self._agent = event.role
                return [*self._begin(), _text(m.ResponseText("", event.role))]
            case ToolUseStart() | ToolInputDelta() | ToolUseEnd():
                return self._call(event)
            case Interrupted():
                return self._interrupted()
            case TurnComplete():
                return self._end(event)
            case SessionStarted():
                return [_text(m.SessionCreated(m.ServerAbilities(self._barge_in)))]
            case Error():
                return [_failure(str(event.exception))]
            case ProviderEvent(provider="distiller") if isinstance(event.data, dict):
                return [json.dumps(event.data, ensure_ascii=False, separators=(",", ":"), default=str)]
            case _:
                return []

    def _begin(self) -> list[Frame]:
        if self._responding:
            return []
        self._responding, self._end_told = True, False
        return [_text(m.ResponseCreated())]

    def _interrupted(self) -> list[Frame]:
        """A cut; one of a reply that was sent to its end and is still played is ended here: no other end comes."""
        if self._responding:
            return [_text(m.ResponseInterrupted())]
        if self._end_told:
            return []  # said twice
        self._end_told = True
        return [_text(m.ResponseInterrupted()), _text(m.ResponseDone())]

    def _end(self, event: TurnComplete) -> list[Frame]:
        if event.stop_reason is StopReason.tool_use:
            return []  # the response goes on with what the agent's answer makes of it
        told, self._end_told = self._end_told, False
        if told and event.stop_reason is StopReason.interrupted:
            return []
        self._responding = False
        ends: tuple[m.ServerMessage, ...] = (m.ResponseAudioDone(), m.ResponseTextDone(), m.ResponseDone())
        return [_text(message) for message in ends]

    def _user_said(self, event: TranscriptDelta) -> list[Frame]:
        self._user += event.delta
        if not event.final:
            return [_text(m.UserTranscript(event.delta))] if event.delta else []
        whole, self._user = self._user, ""
        return [_text(m.UserTranscriptDone(whole))]

    def _call(self, event: ToolUseStart | ToolInputDelta | ToolUseEnd) -> list[Frame]:
        if isinstance(event, ToolUseStart):
            self._calls[event.tool_use_id] = (event.name, [])
        elif event.tool_use_id in self._calls:
            if isinstance(event, ToolInputDelta):
                self._calls[event.tool_use_id][1].append(event.partial_json)
            else:
                name, parts = self._calls.pop(event.tool_use_id)
                call = m.AgentCall(name, "wait", event.tool_use_id, _arguments("".join(parts)))
                return [*self._begin(), _encode(call).decode()]
        return []


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = text
    return found if isinstance(found, dict) else {"query": found}


def _failure(message: str) -> str:
    return _text(m.Failed(error=message, error_detail={"message": message}))


def _text(message: m.ServerMessage) -> str:
    return _encode(message).decode()
