"""DistillerCodec: the client half of the Realtime Distiller's protocol.

Source: the official client airefinery-sdk (what it sends and reads) and the page "Realtime Distiller API". There are
no ids on the wire but those of custom agents' calls, no sequence numbers and no resumption.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from typing import TYPE_CHECKING, Any, ClassVar, assert_never, get_args

import msgspec
from duologue.blocks import AudioBlock, TextBlock
from duologue.effects import AnswerCall, StopReply, Truncate
from duologue.errors import (
    ConnectFailed,
    ConnectionLost,
    DuologueError,
    ProtocolError,
    RemoteProtocolError,
    UnsupportedFormat,
)
from duologue.events import (
    AgentChanged,
    AudioOutputDelta,
    Error,
    Event,
    Interrupted,
    Problem,
    ProviderEvent,
    SessionStarted,
    SpeechStarted,
    TranscriptDelta,
    TurnComplete,
)
from duologue.formats import parse_format
from duologue.transport import Capabilities
from duologue.types import StopReason
from duologue.wire import (
    ClearInput,
    Codec,
    Command,
    CommitTurn,
    Frame,
    NotePlayback,
    Opening,
    ProviderCommand,
    SendContent,
    UpdateSession,
)

from duologue_distiller import server_messages as m
from duologue_distiller.agent_calls import AgentCalls
from duologue_distiller.responses import Responses
from duologue_distiller.user_turn import UserTurn

if TYPE_CHECKING:
    from duologue_distiller.place import Place

PROVIDER = "distiller"
INPUT_RATE = 16000

_decode = msgspec.json.Decoder(m.AnyServerMessage).decode

_PONG = '{"type":"PONG"}'
_CANCEL = '{"type":"response.cancel"}'
_COMMIT = '{"type":"input_audio_buffer.commit"}'
_CLEAR = '{"type":"input_audio_buffer.clear"}'
_STARTED = '{"type":"playback.started"}'
_STOPPED = '{"type":"playback.stopped"}'

_KINDS = frozenset(kind.__struct_config__.tag for kind in get_args(m.AnyServerMessage))


class DistillerCodec(Codec):
    """Speaks to a Realtime Distiller.

    Typed text is held until the turn is committed, since a text asks for its reply by itself; several texts go as
    one, a blank line between them. Where history is told (`duologue_distiller.told`), what was said before and texts
    that asked for no reply go in front of the next typed turn instead.

    While a response is made, audio is sent only if the server listens then (`capabilities.vad_enabled`); else it is
    dropped and counted. A stop of a response that was asked for and has not begun is sent when it begins.

    Args:
        opening: what the connection starts from.
        place: whose session it is; answers of custom agents say so.
        sample_rate: Hz of the speech that comes: the `sample_rate` of the project's `speech_config`.
        whole_response: `StopReply` stops all agents of the response; else only the one that speaks.
        tell_history: tell what was said before; else the service is trusted to remember it.
        manual: a turn of audio ends by `CommitTurn`, and so that does not mean what was told.
        calls: names the calls, over all connections of a session.
    """

    provider: ClassVar[str] = PROVIDER
    remembers_stops: ClassVar[bool] = True

    def __init__(
        self,
        opening: Opening,
        place: Place,
        *,
        sample_rate: int = 16000,
        whole_response: bool = False,
        tell_history: bool = False,
        manual: bool = False,
        calls: AgentCalls | None = None,
    ) -> None:
        super().__init__()
        self.capabilities = Capabilities(
            input_rates=(16000,), output_rate=sample_rate, manual_turns=True, playback_notices=True
        )
        self.listens_always = False
        """Whether audio may be sent while a response is made: barge-in."""
        self.responses = Responses()
        self.agent = ""
        """Who speaks, or was the last to speak."""
        self._place = place
        self._media = f"audio/pcm;rate={sample_rate}"
        self._whole_response = whole_response
        self._calls = calls or AgentCalls()
        self._calls.new_connection()
        self._started = False
        self._stop_next = False
        self._named = False  # whether an agent of this response has spoken
        self._input_type = ""
        self._turn = UserTurn(tell_history, opening.history, manual)
        self._user: str | None = None
        self._assistant_speaks = False

    def opening(self) -> list[Frame]:
        """Nothing: the server speaks first."""
        return []

    def explain_close(self, code: int, reason: str) -> DuologueError | None:
        """The two closes that the service explains, and a clean one in the middle of a response."""
        if "already connected" in reason.lower():
            return ConnectFailed(
                f"distiller refused the session: the user {self._place.uuid!r} is connected already; close that "
                "session, or use another uuid",
                retryable=not self._started,  # our own lost connection may not be forgotten yet
                provider=PROVIDER,
                code="already_connected",
            )
        if "connection timeout" in reason.lower():
            return ConnectionLost(f"distiller closed the link ({code}): {reason}", provider=PROVIDER, code="idle")
        if code == 1000 and self.responses.active:
            said = f": {reason}" if reason else ""
            return ConnectionLost(
                f"distiller closed the link in the middle of a response{said}", provider=PROVIDER, code="1000"
            )
        return None

    # -- from the server ------------------------------------------------------------------------------

    def decode(self, frame: Frame) -> list[Event]:
        """Turn one message into events."""
        try:
            message = _decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            return self._unusual(frame, exc)
        if type(message) is m.ResponseAudio:
            data = message.audio or message.delta
            responses = self.responses
            if not data or responses.cancelled or responses.cut or responses.over:
                return []
            responses.spoke()
            return [AudioOutputDelta(data, self._media)]
        return self._event(message)

    def _event(self, message: m.AnyServerMessage) -> list[Event]:
        match message:
            case m.ResponseText():
                return self._text(message.role or "", message.content or message.text or "")
            case m.UserTranscript():
                return self._user_said(message.delta or message.text or "")
            case m.UserTranscriptDone():
                return self._user_finished(message.text or message.delta or "")
            case m.ResponseCreated():
                return [*self._response_created(), _verbatim("response.created")]
            case m.ResponseTextDone():
                return self._assistant_finished()
            case m.ResponseInterrupted() if self.responses.cut:
                return []  # said twice
            case m.ResponseInterrupted():
                events = self._assistant_finished()
                self.responses.interrupted()
                return [*events, SpeechStarted(), Interrupted()]
            case m.ResponseDone():
                return self._response_done()
            case m.Ping():
                self.outgoing.append(_PONG)
                return []
            case m.SessionCreated():
                return self._session_created(message)
            case m.Failed():
                return self._failed(message.reason())
            case m.ResponseAudio() | m.ResponseAudioDone():
                return []
            case _:
                assert_never(message)

    def _session_created(self, message: m.SessionCreated) -> list[Event]:
        abilities = message.capabilities
        self.listens_always = bool(abilities is not None and abilities.vad_enabled)
        if self._started:
            return []  # said twice
        self._started = True
        return [SessionStarted()]

    def _failed(self, reason: str) -> list[Event]:
        if not self._started:
            message = f"distiller refused the session: {reason}"
            return [Error(ConnectFailed(message, retryable=True, provider=PROVIDER, code="error"))]
        problem = Problem(ProtocolError(f"distiller reported an error: {reason}", provider=PROVIDER))
        if not self.responses.failed():
            return [problem]
        return [problem, *self._assistant_finished(), TurnComplete(StopReason.error)]

    def _response_created(self) -> list[Event]:
        self._turn.heard = True
        earlier = self.responses.created()
        self._named = False
        events: list[Event] = []
        if earlier is not None:
            events = [*self._assistant_finished(), TurnComplete(earlier)]
        if self._stop_next:
            self._stop_next = False
            self._cancel(self.outgoing)
        return events

    def _response_done(self) -> list[Event]:
        reason = self.responses.done()
        if reason is None:
            return [_verbatim("response.done")]
        return [*self._assistant_finished(), TurnComplete(reason)]

    def _text(self, role: str, text: str) -> list[Event]:
        responses = self.responses
        if responses.cut or responses.over:
            return []
        events: list[Event] = []
        if role and role != self.agent:
            events = self._assistant_finished()
            if responses.cancelled and self._named:  # the first one to speak is the one that was stopped
                if self._whole_response:
                    self.outgoing.append(_CANCEL)
                else:
                    responses.next_agent()
                    events.append(TurnComplete(StopReason.interrupted))
            self.agent = role
            events.append(AgentChanged(role))
        self._named = self._named or bool(role)
        if text:
            responses.spoke()
            self._assistant_speaks = True
            events.append(TranscriptDelta("assistant", text))
        return events

    def _assistant_finished(self) -> list[Event]:
        if not self._assistant_speaks:
            return []
        self._assistant_speaks = False
        return [TranscriptDelta("assistant", "", final=True)]

    def _user_said(self, text: str) -> list[Event]:
        if not text:
            return []
        self._user = (self._user or "") + text
        return [TranscriptDelta("user", text)]

    def _user_finished(self, whole: str) -> list[Event]:
        said, self._user = self._user, None
        if said is None and not whole:
            return []
        rest = whole[len(said or "") :] if whole.startswith(said or "") else ""
        return [TranscriptDelta("user", rest, final=True)]

    def _unusual(self, frame: Frame, exc: Exception) -> list[Event]:
        """Read what has no type we know: a call of a custom agent, something new, or nonsense."""
        try:
            whole = msgspec.json.decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            whole = None
        if isinstance(whole, dict):
            kind, status = whole.get("type"), whole.get("status")
            if status == "wait" and not isinstance(kind, str):
                return self._calls.came(whole)
            if kind is None:
                return [ProviderEvent(PROVIDER, status if isinstance(status, str) else "", whole)]
            if isinstance(kind, str) and kind not in _KINDS:
                return [ProviderEvent(PROVIDER, kind, whole)]
        return [Problem(RemoteProtocolError(f"distiller sent a frame that can't be read ({exc})", provider=PROVIDER))]

    # -- to the server --------------------------------------------------------------------------------

    def encode(self, command: Command) -> list[Frame]:
        """Turn a command into messages."""
        match command:
            case SendContent():
                return self._content(command)
            case CommitTurn():
                return self._commit()
            case StopReply():
                return self._stop()
            case AnswerCall():
                return [self._calls.answer(command, self._place)]
            case NotePlayback():
                return [_STARTED if command.started else _STOPPED]
            case ClearInput():
                self._turn.audio = False
                return [_CLEAR]
            case ProviderCommand():
                return [_dumps({"type": command.kind, **command.data})]
            case Truncate() | UpdateSession():
                return []  # the protocol has no words for it
            case _:
                assert_never(command)

    def _content(self, command: SendContent) -> list[Frame]:
        block = command.block
        if type(block) is AudioBlock:
            if block.media_type != self._input_type:
                _check_input(block.media_type)
                self._input_type = block.media_type
            if self.responses.active and not self.listens_always:
                self.input_dropped += 1
                return []
            if not block.data:
                return []
            self._turn.audio = True
            audio = b2a_base64(block.data, newline=False).decode()
            return [f'{{"type":"input_audio_buffer.append","audio":"{audio}"}}']
        if isinstance(block, TextBlock):
            self._turn.add(block.text)
            return []
        raise UnsupportedFormat("the distiller takes no images", provider=PROVIDER)

    def _commit(self) -> list[Frame]:
        self._stop_next = False
        self.responses.asked = True
        text = self._turn.commit()
        return [_dumps({"type": "input_text", "text": text})] if text else [_COMMIT]

    def _stop(self) -> list[Frame]:
        frames: list[Frame] = []
        if self.responses.active:
            self._cancel(frames)
        elif self.responses.asked and self.remembers_stops:
            self._stop_next = True
        return frames

    def _cancel(self, frames: list[Frame]) -> None:
        if not self.responses.cancelled:
            self.responses.cancelled = True
            frames.append(_CANCEL)


def _check_input(media_type: str) -> None:
    media = parse_format(media_type)
    if media.encoding not in ("audio/pcm", "audio/l16") or media.rate not in (None, INPUT_RATE):
        raise UnsupportedFormat(f"the distiller takes PCM16 at {INPUT_RATE} Hz and not {media_type}", provider=PROVIDER)


def _verbatim(kind: str) -> ProviderEvent:
    return ProviderEvent(PROVIDER, kind, {"type": kind})


def _dumps(message: Any) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"), default=str)
