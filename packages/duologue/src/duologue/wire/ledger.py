"""Ledger: what the provider may not have taken in, and so is sent again on another connection. Pure.

A frame that was written is not a frame that was read. What counts as taken in: a turn, once something of its answer
came; content and answers before it. All else is *outstanding*. On a new connection it is sent again, unless the
history that this connection was opened with says it already; the result of a call is said there, too (`as_told`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from duologue.blocks import TextBlock
from duologue.calls import result_in_words
from duologue.effects import AnswerCall
from duologue.wire.commands import Command, CommitTurn, SendContent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from duologue.types import Message

REMEMBERED = 256
"""Outstanding commands that are kept; older ones were followed by so many others that they were surely taken in."""

REMEMBERED_BYTES = 8 << 20
"""The same, in bytes of content."""

SETTLED = 0.5
"""Seconds after which content is taken to have been part of the state that a new handle stands for."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The moment a handle was issued: what the session that it takes up again knows.

    Attributes:
        handle: the handle.
        calls: the calls that were open, by id.
        heard: keys of the messages that were in the history; None while that is not known.
        results: the calls whose results were in the history.
        doubtful: texts, and ids of answered calls, that were outstanding: they may have crossed the handle on its way.
            (Pongs would not tell: a peer may answer them before it handles what it read.)
        answers: the outstanding answers. They are sent again whenever the handle is used: a call's id is recognised.
    """

    handle: str = ""
    calls: frozenset[str] = frozenset()
    heard: frozenset[tuple[str, str, float | None]] | None = None
    results: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    answers: tuple[AnswerCall, ...] = ()


class Entry(NamedTuple):
    """An outstanding command."""

    command: Command
    at: float
    size: int
    asks: bool


class Ledger:
    """The outstanding commands, oldest first, and the mark of the latest handle.

    Attributes:
        forgotten: commands that were let go because too many were outstanding.
    """

    def __init__(self) -> None:
        self._outstanding: deque[Entry] = deque()
        self._bytes = 0
        self._began = self._moved = self._marked_at = float("-inf")
        self.mark = Mark()
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._outstanding)

    @property
    def asks(self) -> bool:
        """Whether an outstanding command asks for a reply."""
        return any(entry.asks for entry in self._outstanding)

    def sent(self, command: Command, now: float, *, asks: bool | None = None) -> None:
        """A command that matters later went out, or waits for a connection; turns and results ask for a reply."""
        if self.mark.handle and self.mark.heard is None:  # whoever keeps the history will have it in there, too
            self.mark = replace(self.mark, doubtful=self.mark.doubtful | set(_naming(command)))
        size = _size(command)
        asks = isinstance(command, CommitTurn | AnswerCall) if asks is None else asks
        self._outstanding.append(Entry(command, now, size, asks))
        self._bytes += size
        while len(self._outstanding) > REMEMBERED or (self._bytes > REMEMBERED_BYTES and len(self._outstanding) > 1):
            self._bytes -= self._outstanding.popleft().size
            self.forgotten += 1

    def answered(self, now: float, *, calls_open: bool = False) -> None:
        """A reply began, or ended without a sound: what it answers was taken in, and all before that.

        It answers the oldest turn, or the results of calls before that, unless more results are to come
        (`calls_open`); and whatever is older than `SETTLED`: some providers answer several turns at once.
        """
        self.settle(now)
        self._began = self._moved = now
        last = -1
        before: Command | None = None
        for index, (command, at, _, asks) in enumerate(self._outstanding):
            if asks:
                goes_on = isinstance(before, AnswerCall) and (calls_open or isinstance(command, AnswerCall))
                if before is not None and not goes_on and now - at <= SETTLED:
                    break
                last, before = index, command
        for _ in range(last + 1):
            self._bytes -= self._outstanding.popleft().size

    def ended(self, now: float) -> None:
        """A reply ended."""
        self._moved = now

    def unask(self) -> None:
        """The reply is no longer wanted: what was said stays, the question goes."""
        kept = [entry for entry in self._outstanding if not isinstance(entry.command, CommitTurn)]
        self._outstanding = deque(kept)
        self._bytes = sum(entry.size for entry in kept)

    def issued(self, handle: str, calls: Collection[str], now: float) -> None:
        """The provider issued a handle, or took the last one back ("")."""
        if not handle:
            self.mark = Mark()
            return
        self.settle(now)
        if not self.asks:
            while self._outstanding and now - self._outstanding[0].at > SETTLED:
                self._bytes -= self._outstanding.popleft().size
        doubtful = frozenset(
            name for entry in self._outstanding if now - entry.at <= SETTLED for name in _naming(entry.command)
        )
        answers = tuple(
            entry.command
            for entry in self._outstanding
            if isinstance(entry.command, AnswerCall) and entry.command.tool_use_id in doubtful
        )
        self.mark = Mark(handle, frozenset(calls), doubtful=doubtful, answers=answers)
        self._marked_at = now

    def heard(self, handle: str, history: Iterable[Message]) -> None:
        """What the history held when that handle was issued, once it is known."""
        if self.mark.handle == handle:
            said = list(history)
            self.mark = replace(self.mark, heard=frozenset(map(_key, said)), results=frozenset(results_in(said)))

    def missed(self, history: Sequence[Message]) -> list[Message] | None:
        """What a session taken up again by the handle doesn't know, besides what is outstanding.

        None, where there is no handle, or it can't be said.
        """
        heard = self.mark.heard
        if not self.mark.handle or heard is None:
            return None
        again = set(self._texts())
        doubtful = self.mark.doubtful
        answers = {e.command.tool_use_id for e in self._outstanding if isinstance(e.command, AnswerCall)}
        answers |= self.mark.results | doubtful
        missed: list[Message] = []
        for message in history:
            if _key(message) not in heard or (message.role == "user" and message.text in doubtful):
                if message.role != "user" or message.text not in again:
                    missed.append(message)
            elif late := tuple(c for c in message.calls if c.result is not None and c.id not in answers):
                missed.append(replace(message, text="", calls=late))  # it knows of the call, not of what came of it
        return missed

    def again(self, told: Sequence[Message], known_calls: Collection[str]) -> list[Command]:
        """What to send on a new connection that was opened with these messages and knows these calls."""
        said = {m.text for m in told if m.role == "user"}
        said |= {result_in_words(c.name, c.input, c.result) for m in told for c in m.calls if c.result is not None}
        results = set(results_in(told))
        mine = {e.command.tool_use_id for e in self._outstanding if isinstance(e.command, AnswerCall)}
        commands: list[Command] = [
            answer
            for answer in self.mark.answers
            if answer.tool_use_id in known_calls and answer.tool_use_id not in mine
        ]
        asks = False
        for command, *_ in self._outstanding:
            match command:
                case SendContent(block=TextBlock(text=text)):
                    if text.strip() not in said:
                        commands.append(command)
                case AnswerCall():
                    if command.tool_use_id in known_calls:
                        commands.append(command)
                    else:
                        asks = True
                        if command.tool_use_id not in results:
                            commands.append(result_as_text(command))
                case CommitTurn():
                    asks = True
                case _:
                    commands.append(command)
        if asks:
            commands.append(CommitTurn())
        return commands

    def carry_over(self, told: Sequence[Message], known_calls: Collection[str], now: float) -> None:
        """They were sent again: what is outstanding now is what these messages don't tell, in its first form.

        One question at the end asks for all of it, but for results that were sent as such.
        """
        said, results = {m.text for m in told if m.role == "user"}, set(results_in(told))
        before = [entry.command for entry in self._outstanding]
        asked = any(
            isinstance(c, CommitTurn) or (isinstance(c, AnswerCall) and c.tool_use_id not in known_calls)
            for c in before
        )
        self.restate((), now)
        for command in before:
            if not isinstance(command, CommitTurn) and said.union(results).isdisjoint(_naming(command)):
                by_id = isinstance(command, AnswerCall) and command.tool_use_id in known_calls
                self.sent(command, now, asks=by_id)
        if asked:
            self.sent(CommitTurn(), now)

    def restate(self, commands: Iterable[Command], now: float) -> None:
        """The outstanding commands are these now."""
        self._outstanding.clear()
        self._bytes = 0
        self._began = self._moved = float("-inf")
        for command in commands:
            self.sent(command, now)

    def settle(self, now: float) -> None:
        """Take as answered what was sent before the last reply began, if nothing has followed that for a while.

        Had the provider seen a question only after it began that reply, it would have cut it, or begun another.
        """
        if now - self._moved <= SETTLED:
            return
        while self._outstanding and self._outstanding[0].at <= self._began:
            command, _, size, _ = self._outstanding.popleft()
            self._bytes -= size
            if self._began <= self._marked_at:  # then the handle's session has it, too
                sure = set(_naming(command))
                answers = tuple(answer for answer in self.mark.answers if answer.tool_use_id not in sure)
                self.mark = replace(self.mark, doubtful=self.mark.doubtful - sure, answers=answers)

    def _texts(self) -> Iterable[str]:
        for command, *_ in self._outstanding:
            if isinstance(command, SendContent) and isinstance(command.block, TextBlock):
                yield command.block.text.strip()


def result_as_text(answer: AnswerCall) -> SendContent:
    """The result of a call that a connection knows nothing of, in words of the user's side."""
    blocks = [TextBlock(answer.content)] if isinstance(answer.content, str) else answer.content
    parts = [b.text if isinstance(b, TextBlock) else f"[{b.media_type}]" for b in blocks]
    return SendContent(TextBlock(f"Result of {answer.name}: {' '.join(parts)}"))


def _key(message: Message) -> tuple[str, str, float | None]:
    return (message.role, message.item_id, None if message.item_id else message.started_at)


def _naming(command: Command) -> Iterable[str]:
    """What a command is known by in a history: its text, or the call it answers."""
    if isinstance(command, AnswerCall):
        yield command.tool_use_id
    elif isinstance(command, SendContent) and isinstance(command.block, TextBlock):
        yield command.block.text.strip()


def results_in(history: Iterable[Message]) -> Iterable[str]:
    """The calls whose results a history tells, by id."""
    return (call.id for message in history for call in message.calls if call.result is not None)


def _size(command: Command) -> int:
    if isinstance(command, SendContent):
        block = command.block
        return len(block.text) if isinstance(block, TextBlock) else len(block.data)
    if isinstance(command, AnswerCall):
        return len(command.content) if isinstance(command.content, str) else sum(map(_block_size, command.content))
    return 16


def _block_size(block: object) -> int:
    return len(getattr(block, "text", "")) or len(getattr(block, "data", b""))
