"""History: who said what, in the order it was said, with nothing that nobody heard."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from duologue.types import CallRecord, Message, Role, WordTime

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duologue.replies import Reply

CHARS_PER_SECOND = 15.0
"""How fast speech is written, until the session's own finished replies tell."""

_WORD = re.compile(r"\S+")


@dataclass(slots=True)
class Entry:
    """One message in the making."""

    role: Role
    started_at: float | None
    item_id: str = ""
    text: str = ""
    spoken: bool = False
    reply: Reply | None = None
    words: list[tuple[int, float]] = field(default_factory=list)
    calls: dict[str, CallRecord] = field(default_factory=dict)
    closed: bool = False
    seam: bool = False

    def add(self, delta: str, words: Iterable[WordTime] = (), *, final: bool = False) -> None:
        """Append text; `words` are the words of `delta` whose end times are known; `final` ends an item."""
        if self.seam and delta and self.text[-1:].strip() and delta[:1].strip():
            self.text += " "
        self.seam = final or (self.seam and not delta)
        at = len(self.text)
        self.text += delta
        for word in words:
            found = self.text.find(word.text, at)
            if found >= 0:
                at = found + len(word.text)
                self.words.append((at, word.end_ms))


class History:
    """The transcript of a session.

    Entries are ordered by when their speech began, not by when their text arrived: a recogniser may
    be seconds behind. Assistant text belongs to its reply, so that a cut reply is shown up to the last
    word heard, whenever the rest of its text comes in.
    """

    def __init__(self, before: Sequence[Message] = ()) -> None:
        self._before = tuple(before)
        self._entries: list[Entry] = []
        self._user_items: dict[str, Entry] = {}
        self._replies: dict[int, Entry] = {}
        self._user: Entry | None = None
        self._utterances = 0
        self._finished_ms = 0.0
        self._finished_chars = 0

    def messages(self) -> tuple[Message, ...]:
        """All messages; a reply that the provider cut is estimated until we are told what was heard."""
        ordered = sorted(self._entries, key=lambda e: e.started_at if e.started_at is not None else 0.0)
        made = (self._message(entry) for entry in ordered)
        return self._before + tuple(m for m in made if m.text or m.calls)

    def typed(self, text: str, now: float) -> None:
        """The user wrote something."""
        self._entries.append(Entry("user", now, text=text, closed=True))

    def user_began(self, item_id: str, at: float) -> str:
        """The user began to speak; return the id of the utterance."""
        known = self._user_items.get(item_id) if item_id else None
        if known is not None:
            known.started_at = at  # its text was faster than the notice
            return known.item_id
        return self._open_user(item_id, at).item_id

    def user_said(self, item_id: str, delta: str, final: bool, started_at: float | None, now: float) -> Entry:
        """A piece of the user's transcript arrived."""
        entry = self._user_items.get(item_id) if item_id else self._user
        if entry is None or (not item_id and entry.closed):
            entry = self._open_user(item_id, now if started_at is None else started_at)
        elif started_at is not None:
            entry.started_at = started_at
        entry.add(delta, final=final)
        if final:
            entry.closed = True
        return entry

    def utterance(self) -> str:
        """The id of the utterance that is being, or was last, spoken; "" when there is none."""
        return self._user.item_id if self._user is not None else ""

    def turn_ended(self) -> None:
        """A reply ended: a provider without ids means a new utterance by the next piece of user text."""
        if self._user is not None and self._user.text:
            self._user.closed = True

    def assistant_said(
        self, reply: Reply, item_id: str, delta: str, words: Iterable[WordTime] = (), *, final: bool, spoken: bool
    ) -> Entry:
        """A piece of the assistant's transcript (`spoken`) or written text arrived."""
        entry = self.of_reply(reply)
        entry.item_id = entry.item_id or item_id or reply.id
        entry.spoken = entry.spoken or spoken
        entry.add(delta, words, final=final)
        return entry

    def of_reply(self, reply: Reply) -> Entry:
        """The entry of this reply, made on its first output."""
        entry = self._replies.get(id(reply))
        if entry is None:
            entry = Entry("assistant", reply.started_at, reply=reply)
            self._replies[id(reply)] = entry
            self._entries.append(entry)
        return entry

    def finished(self, reply: Reply) -> None:
        """A reply came to its end uncut: learn from it how fast this voice speaks."""
        entry = self._replies.get(id(reply))
        if entry is not None and entry.spoken and not reply.cut and reply.received_ms > 500:
            self._finished_ms += reply.received_ms
            self._finished_chars += len(entry.text)

    def called(self, reply: Reply | None, record: CallRecord, now: float) -> None:
        """The assistant made a call, in that reply or outside of any."""
        if reply is not None:
            entry = self.of_reply(reply)
        elif self._entries and self._entries[-1].calls and self._entries[-1].reply is None:
            entry = self._entries[-1]  # parallel calls
        else:
            entry = Entry("assistant", now)
            self._entries.append(entry)
        entry.calls[record.id] = record

    def answered(self, tool_use_id: str, result: str, is_error: bool) -> None:
        """A call was answered."""
        for entry in reversed(self._entries):
            if tool_use_id in entry.calls:
                entry.calls[tool_use_id] = replace(entry.calls[tool_use_id], result=result, is_error=is_error)
                return

    def _open_user(self, item_id: str, at: float) -> Entry:
        self._utterances += 1
        entry = Entry("user", at, item_id=item_id or f"utterance-{self._utterances}")
        self._user = self._user_items[entry.item_id] = entry
        self._entries.append(entry)
        return entry

    def _message(self, entry: Entry) -> Message:
        text, whole = entry.text, True
        reply = entry.reply
        if reply is not None and reply.cut:
            whole = False
            if entry.spoken:
                heard = reply.heard_ms if reply.heard_ms is not None else reply.heard_by(reply.cut_at)
                text = self._heard(entry, reply, heard)
        return Message(entry.role, text.strip(), entry.item_id, entry.started_at, whole, tuple(entry.calls.values()))

    def _heard(self, entry: Entry, reply: Reply, heard_ms: float) -> str:
        if entry.words:
            ends = [char for char, end_ms in entry.words if end_ms <= heard_ms]
            return entry.text[: ends[-1]] if ends else ""
        if reply.finished and reply.received_ms > 0 and heard_ms >= reply.received_ms:
            return entry.text
        # Without word times the share of the text is the share of the audio. While a reply is being made
        # its text may be far ahead of its audio or behind, so the voice's usual speed is the better measure.
        if reply.finished and reply.received_ms > 0 and not reply.cut_early:
            budget = len(entry.text) * heard_ms / reply.received_ms
        else:
            speed = self._finished_chars / self._finished_ms if self._finished_ms else CHARS_PER_SECOND / 1000
            budget = speed * heard_ms
        ends = [word.end() for word in _WORD.finditer(entry.text) if word.end() <= budget]
        return entry.text[: ends[-1]] if ends else ""
