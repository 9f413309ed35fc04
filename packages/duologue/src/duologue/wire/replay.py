"""Replay: a capture driven through the codec and the Conversation once more. Pure: time is the capture's own."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from duologue.blocks import TextBlock
from duologue.conversation import Conversation
from duologue.discovery import find_transport
from duologue.effects import (
    AnswerCall,
    AskReply,
    ClearTimer,
    Deliver,
    Effect,
    Interrupt,
    SayText,
    SetTimer,
    StopReply,
    TimerFired,
    TimerKey,
    ToolFinished,
    Truncate,
)
from duologue.effects import Command as ConversationCommand
from duologue.errors import ConfigurationError, LocalProtocolError
from duologue.events import AudioOutputDelta, Event, SessionStarted
from duologue.tool import Tool
from duologue.wire.commands import (
    ClearInput,
    CommitTurn,
    NotePlayback,
    ProviderCommand,
    SendContent,
    UpdateSession,
)
from duologue.wire.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from duologue.transport import Capabilities
    from duologue.types import Message
    from duologue.wire.codec import Codec, CodecFactory, Frame
    from duologue.wire.commands import Command

Step: TypeAlias = "Event | Command"


@dataclass(frozen=True, slots=True)
class Replayed:
    """Something that happened.

    Attributes:
        t: seconds since the session began.
        connection: on which connection, 0 for none.
        what: an event the codec made of a frame, an event of the session's own, or a command of the application.
    """

    t: float
    connection: int
    what: Step


class Replay:
    """Iterates over what happened, in order.

    The codecs are made anew and get the same frames and commands; what they want to send is compared with what was
    sent.

    Args:
        path: the capture.
        codec: makes the codecs; default what the transport that made the capture says (`replay_codec`).

    Attributes:
        recording: the capture.
        differences: frames that this version sends otherwise; known after the iteration.
        capabilities: those of the newest codec, None before the first.

    Raises:
        ConfigurationError: the file is no capture, or nobody knows its codec.
    """

    def __init__(self, path: str | Path, codec: CodecFactory | None = None) -> None:
        self.recording = Recording(path)
        self.differences: list[str] = []
        self.capabilities: Capabilities | None = None
        self._factory = codec or codec_of(self.recording.session)

    def __iter__(self) -> Iterator[Replayed]:
        codecs: dict[int, Codec] = {}
        wanted: dict[int, deque[Frame]] = {}
        accepted: set[int] = set()
        for line in self.recording.lines():
            number = line.connection
            if line.kind == "open":
                codecs[number] = codec = self._factory(line.value)
                wanted[number] = deque(codec.opening())
                continue
            if line.kind == "tell":
                yield Replayed(line.t, number, line.value)
                continue
            known = codecs.get(number)
            if known is None:
                continue  # what opened it is missing: the disk was too slow, and a line says so
            self.capabilities = known.capabilities
            if line.kind == "ask":
                wanted[number] += known.encode(line.value)
                yield Replayed(line.t, number, line.value)
            elif line.kind == "in":
                events = known.decode(line.value)
                wanted[number] += known.outgoing
                known.outgoing = []
                for event in events:
                    if isinstance(event, SessionStarted):
                        accepted.add(number)
                        if number > 1:
                            continue  # the session tells of it in its own way
                    if number in accepted:
                        yield Replayed(line.t, number, event)
            elif line.kind == "out":
                self._compare(known, wanted[number], line.value, line.t)

    def _compare(self, codec: Codec, wanted: deque[Frame], sent: Frame, t: float) -> None:
        if not wanted:
            wanted += codec.closing()
        frame = wanted.popleft() if wanted else None
        if frame != sent and not (isinstance(sent, str) and "[hidden]" in sent):
            self.differences.append(f"at {t:.3f} s {_short(sent)} was sent, now it would be {_short(frame)}")


class ReplayedConversation:
    """What an application saw, made anew by the Conversation; `events` first, then the rest is known.

    Tools are not run: their results are those of the capture.

    Args:
        path: the capture.
        codec: as for `Replay`.
        typed: told of each text that the user's side sent.

    Raises:
        ConfigurationError: as for `Replay`.
    """

    def __init__(
        self,
        path: str | Path,
        codec: CodecFactory | None = None,
        *,
        typed: Callable[[float, str], None] = lambda _t, _text: None,
    ) -> None:
        self.replay = Replay(path, codec)
        self._typed = typed
        self._conversation: Conversation | None = None
        self._timers: dict[TimerKey, float] = {}

    @property
    def history(self) -> tuple[Message, ...]:
        """The transcript so far."""
        return self._conversation.history if self._conversation is not None else ()

    @property
    def differences(self) -> list[str]:
        """Frames that this version sends otherwise."""
        return self.replay.differences

    def events(self) -> Iterator[tuple[float, Event]]:
        """Yield the events with their times, in seconds since the session began."""
        for step, after in _with_the_next(self.replay):
            if self._conversation is None:
                self._conversation = Conversation(_AnyTool, capabilities=self.replay.capabilities)
            conversation = self._conversation
            for at, key in self._due(step.t):
                yield from self._carry_out(conversation.apply(TimerFired(key), at), at)
            if isinstance(step.what, AudioOutputDelta):
                taken = conversation.audio(step.what, step.t)
                if taken is not None:
                    conversation.delivered(*taken, step.t)
                    yield step.t, taken[0]
                continue
            what = _as_conversation_command(step.what, after.what if after is not None else None)
            if isinstance(what, SayText):
                self._typed(step.t, what.text)
            if what is not None:
                with suppress(LocalProtocolError):  # an answer to a call that this Conversation has answered itself
                    yield from self._carry_out(conversation.apply(what, step.t), step.t)

    def _due(self, now: float) -> Iterator[tuple[float, TimerKey]]:
        while due := sorted((at, key) for key, at in self._timers.items() if at <= now):
            at, key = due[0]
            del self._timers[key]
            yield at, key

    def _carry_out(self, effects: list[Effect], now: float) -> Iterator[tuple[float, Event]]:
        for effect in effects:
            match effect:
                case Deliver(event=event):
                    yield now, event
                case SetTimer():
                    self._timers[effect.key] = effect.at
                case ClearTimer():
                    self._timers.pop(effect.key, None)
                case _:
                    pass


def codec_of(session: Mapping[str, Any]) -> CodecFactory:
    """What makes the codecs of a captured session.

    Raises:
        ConfigurationError: the capture doesn't say, the transport is not installed, or it can't replay.
    """
    name = session.get("transport")
    if not isinstance(name, str):
        raise ConfigurationError("the capture does not say which transport made it: pass its codec yourself")
    made = getattr(find_transport(name), "replay_codec", None)
    if made is None:
        raise ConfigurationError(f"transport {name!r} can't replay captures: it has no `replay_codec`")
    return lambda opening: made(session, opening)


def _as_conversation_command(step: Step, after: Step | None) -> Event | ConversationCommand | None:
    match step:
        case SendContent(block=TextBlock(text=text)):
            return SayText(text)
        case CommitTurn():
            return AskReply()
        case StopReply():
            return Interrupt(after.heard_ms if isinstance(after, Truncate) else None)
        case AnswerCall():
            is_error = isinstance(step.content, str) and step.content.startswith("error: ")
            return ToolFinished(step.tool_use_id, step.content, is_error)
        case SendContent() | Truncate() | NotePlayback() | UpdateSession() | ClearInput() | ProviderCommand():
            return None
        case _:
            return step


def _with_the_next(steps: Iterable[Replayed]) -> Iterator[tuple[Replayed, Replayed | None]]:
    """Pair each step with the one after it, None for the last."""
    before: Replayed | None = None
    for step in steps:
        if before is not None:
            yield before, step
        before = step
    if before is not None:
        yield before, None


class _AnyTool(dict[str, Tool]):
    """Every tool there could be, for calls whose results are known."""

    def get(self, name: str, default: Any = None) -> Tool:
        return Tool(name, None, schema={}, timeout=None, on_interrupt="keep")


def _short(frame: Frame | None) -> str:
    text = repr(frame)
    return text if len(text) <= 120 else f"{text[:117]}..."
