"""OpenAICodec: the client half of OpenAI Realtime.

The session is opened with one `session.update`, sent before anything was received; the history follows as items. The
session stands when the server confirms the update. Errors name the event of ours that caused them.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections import OrderedDict
from typing import TYPE_CHECKING, ClassVar, assert_never

import msgspec
from duologue.blocks import AudioBlock
from duologue.effects import AnswerCall, StopReply, Truncate
from duologue.errors import ConnectFailed, DuologueError, UnsupportedFormat
from duologue.events import AudioOutputDelta, Event
from duologue.formats import parse_format
from duologue.wire import (
    ClearInput,
    Codec,
    Command,
    CommitTurn,
    NotePlayback,
    Opening,
    ProviderCommand,
    SendContent,
    UpdateSession,
)

from duologue_openai import client_events as c
from duologue_openai.listening import UNREADABLE, Listener
from duologue_openai.plan import PCM, PROVIDER, SessionPlan, ToolPlan, tool_plans, wire_detection
from duologue_openai.reply_events import AudioDelta
from duologue_openai.requests import Requests
from duologue_openai.server_events import ServerEvent
from duologue_openai.session_object import Audio, AudioInput, SessionObject
from duologue_openai.speaking import MIN_COMMIT_MS, content_item, frame, history_items, raw_event, result_items

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue.wire import Frame

_APPEND = '{"type":"input_audio_buffer.append","audio":"'

_decode = msgspec.json.Decoder(ServerEvent).decode

BETA_ENDED = 4000
"""The close code for clients of the beta."""

REMEMBERED = 256
"""Items whose length is kept, and requests whose error can still be told."""


class OpenAICodec(Codec):
    """Speaks OpenAI Realtime to a server.

    Args:
        plan: what the session is opened with.
        opening: what the connection starts from.
    """

    provider: ClassVar[str] = PROVIDER

    def __init__(self, plan: SessionPlan, opening: Opening | None = None) -> None:
        super().__init__()
        self.capabilities = plan.capabilities
        self._plan = plan
        self._history = (opening or Opening()).history
        self._tools: Mapping[str, ToolPlan] = {tool.name: tool for tool in plan.tools}
        self._manual = not plan.capabilities.server_vad
        self._in_ms = 48 if plan.input_format == PCM else 8
        self._out_ms = 48 if plan.output_format == PCM else 8
        self._input_format = plan.input_format
        self._output_format = plan.output_format
        self._pcm = plan.output_format == PCM
        self._uncommitted = 0
        self._numbers = 0
        self._about: OrderedDict[str, str] = OrderedDict()
        self._lengths: OrderedDict[str, int] = OrderedDict()
        self._item = ""
        self._length = 0
        self._requests = Requests(self._name, answers_speech=plan.answers_speech)
        self._listener = Listener(self._requests, self._about, transcribes=plan.options.transcription is not None)
        self._asides = self._listener.asides

    def opening(self) -> list[Frame]:
        """`session.update` and the history."""
        session = msgspec.json.encode(self._plan.session_fields()).decode()
        frames: list[Frame] = [f'{{"type":"session.update","event_id":"{self._name("setup")}","session":{session}}}']
        history = history_items(self._history)
        return frames + [frame(c.ItemCreate(event_id=self._name("history"), item=item)) for item in history]

    def decode(self, frame: Frame) -> list[Event]:
        """Turn one event of the server into ours."""
        try:
            message = _decode(frame)
        except UNREADABLE as exc:
            events = self._listener.unreadable(frame, exc)
        else:
            if type(message) is AudioDelta and message.response_id not in self._asides:
                return self._speech(message)
            events = self._listener.hear(message, frame)
        if self._listener.requests:
            self._send_requests()
        return events

    def encode(self, command: Command) -> list[Frame]:
        """Turn a command into client events."""
        if type(command) is SendContent:
            audio = command.block
            if (
                type(audio) is AudioBlock and audio.media_type == self._input_format
            ):  # the microphone: as fast as can be
                self._uncommitted += len(audio.data)
                return [f'{_APPEND}{str(b2a_base64(audio.data, newline=False), "ascii")}"}}']
        match command:
            case SendContent(block=block):
                if isinstance(block, AudioBlock):
                    return [self._audio(block)]
                item = content_item(block, self._item_name())
                return [frame(c.ItemCreate(event_id=self._name("item"), item=item))]
            case CommitTurn():
                return [*self._commit(), *map(frame, self._requests.ask())]
            case StopReply():
                return [frame(event) for event in self._requests.stop()]
            case AnswerCall():
                return self._answer(command)
            case Truncate():
                return self._truncate(command)
            case UpdateSession():
                return self._update(command)
            case ClearInput():
                self._uncommitted = 0
                return [frame(c.InputClear(event_id=self._name("clear")))]
            case NotePlayback():
                return []
            case ProviderCommand():
                return [self._extra(command)]
            case _:
                assert_never(command)

    def explain_close(self, code: int, reason: str) -> DuologueError | None:
        """What the provider's own close codes mean."""
        if code == BETA_ENDED:
            return ConnectFailed(
                f"openai closed the link ({code}): {reason or 'it takes our session for one of the beta'}; "
                "is something in between that adds a header?",
                retryable=False,
                provider=PROVIDER,
                code=str(code),
            )
        return None

    # -- what comes -----------------------------------------------------------------------------------

    def _speech(self, message: AudioDelta) -> list[Event]:
        data, item_id = message.delta, message.item_id
        if self._pcm and len(data) & 1:
            return [self._listener.malformed(f"'delta' is {len(data)} bytes of PCM16, half a sample too many")]
        if item_id != self._item:
            self._remember_length()
            self._item, self._length = item_id, self._lengths.get(item_id, 0)
        self._length += len(data)
        return [AudioOutputDelta(data, self._output_format, message.response_id, item_id)]

    def _remember_length(self) -> None:
        if self._item:
            self._lengths[self._item] = self._length
            if len(self._lengths) > REMEMBERED:
                self._lengths.popitem(last=False)

    def _send_requests(self) -> None:
        waiting, self._listener.requests = self._listener.requests, []
        self.outgoing += [frame(event) for event in waiting]

    # -- what goes ------------------------------------------------------------------------------------

    def _audio(self, block: AudioBlock) -> str:
        data = block.data
        if block.media_type != self._input_format:
            media = parse_format(block.media_type)
            bare = block.media_type == "audio/pcm" and self._input_format == PCM
            if not bare and media.encoding != self._input_format:
                raise UnsupportedFormat(
                    f"this session of openai takes {self._input_format} and got {block.media_type}: "
                    "set input_audio_format to what you send",
                    provider=PROVIDER,
                )
        self._uncommitted += len(data)
        return f'{_APPEND}{str(b2a_base64(data, newline=False), "ascii")}"}}'

    def _commit(self) -> list[Frame]:
        if not self._manual or not self._uncommitted:
            return []
        frames: list[Frame] = []
        missing = MIN_COMMIT_MS * self._in_ms - self._uncommitted
        if missing > 0:  # the provider refuses a turn that short, and would lose it
            quiet = {"audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}.get(self._input_format, b"\0")
            frames.append(frame(c.InputAppend(audio=quiet * missing)))
        self._uncommitted = 0
        return [*frames, frame(c.InputCommit(event_id=self._name("commit")))]

    def _answer(self, answer: AnswerCall) -> list[Frame]:
        items = result_items(answer, self._item_name())
        for item in items[1:]:
            self._requests.sent(item.id or "")
        frames: list[Frame] = [
            frame(c.ItemCreate(event_id=self._name(f"result of {answer.tool_use_id}"), item=item)) for item in items
        ]
        tool = self._tools.get(answer.name)
        asked = self._requests.answered(answer.tool_use_id, silent=tool is not None and tool.silent)
        return [*frames, *map(frame, asked)]

    def _truncate(self, command: Truncate) -> list[Frame]:
        self._remember_length()
        received = self._lengths.get(command.item_id, 0) // self._out_ms
        if received <= 0:  # an item without audio can't be truncated, and nothing of it was heard
            return []
        event = c.ItemTruncate(
            event_id=self._name("truncate"),
            item_id=command.item_id,
            content_index=0,
            audio_end_ms=max(0, min(command.heard_ms, received)),
        )
        return [frame(event)]

    def _update(self, change: UpdateSession) -> list[Frame]:
        session = SessionObject(type="realtime", instructions=change.system)
        if change.tools is not None:
            plans = tool_plans(change.tools)
            self._tools = {tool.name: tool for tool in plans}
            session.tools = [tool.wire() for tool in plans]
            session.tools += [{"type": "mcp", **server} for server in self._plan.options.mcp]
        detection = change.turn_detection
        if detection is not None:
            wire = wire_detection(detection, self._plan.options)
            session.audio = Audio(input=AudioInput(turn_detection=wire))
            self._manual = detection.mode == "manual"
            self._requests.answers_speech = not self._manual and detection.create_response
        return [frame(c.SessionUpdate(event_id=self._name("update"), session=session))]

    def _extra(self, command: ProviderCommand) -> str:
        if command.kind == "response.create":
            self._listener.asked_aside(command.data)
        return raw_event(command.kind, command.data, self._name(command.kind))

    def _name(self, about: str) -> str:
        """Make the id of an event of ours, and remember what it is about, for the error it may cause."""
        self._numbers += 1
        event_id = f"{about.split(' ')[0].replace('.', '_')}_{self._numbers}"
        self._about[event_id] = about
        if len(self._about) > REMEMBERED:
            self._about.popitem(last=False)
        return event_id

    def _item_name(self) -> str:
        self._numbers += 1
        item_id = f"duologue_{self._numbers}"
        self._requests.sent(item_id)
        return item_id
