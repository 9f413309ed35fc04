"""History: who said what, in the order it was said, with nothing that nobody heard."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from duologue.events import TextDelta, TranscriptDelta
from duologue.types import CallRecord, Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duologue.replies import Reply
    from duologue.types import Role, WordTime

CHARS_PER_SECOND = 15.0
"""How fast speech is written, until the session's own finished replies tell."""

_WORD = re.compile(r"\S+")


@dataclass(slots=True, eq=False)
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

    def add(self, delta: str, words: Iterable[WordTime] = ()) -> None:
        """Append text; `words` are the words of `delta` whose end times are known."""
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
        self._replies: dict[int, list[Entry]] = {}
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
        elif started_at is not None and entry.started_at is not None:
            entry.started_at = min(entry.started_at, started_at)
        entry.add(delta)
        entry.closed = entry.closed or final
        return entry

    def utterance(self) -> str:
        """The id of the utterance that is being, or was last, spoken; "" when there is none."""
        return self._user.item_id if self._user is not None else ""

    def turn_ended(self) -> None:
        """A reply ended: a provider without ids means a new utterance by the next piece of user text."""
        if self._user is not None and self._user.text:
            self._user.closed = True

    def assistant_said(self, reply: Reply, event: TranscriptDelta | TextDelta, now: float) -> Entry:
        """A piece of the assistant's transcript or of its written text arrived.

        A reply with several items (agents, or speech before and after a call) gets a message for each.
        """
        entries = self._replies.get(id(reply), [])
        entry = entries[-1] if entries else self._open_assistant(reply, reply.started_at)
        if entry.closed or (event.item_id and entry.text and entry.item_id not in ("", event.item_id)):
            if not event.delta:
                return entry
            entry = self._open_assistant(reply, now)
        if not entry.item_id:
            number = len(self._replies[id(reply)])
            entry.item_id = event.item_id or (reply.id if number == 1 else f"{reply.id}-{number}")
        if isinstance(event, TranscriptDelta):
            entry.spoken = True
            entry.closed = event.final
            if event.started_at is not None and not entry.text:
                entry.started_at = event.started_at
            entry.add(event.delta, event.words)
        else:
            entry.add(event.delta)
        return entry

    def finished(self, reply: Reply) -> None:
        """A reply came to its end uncut: learn from it how fast this voice speaks."""
        if not reply.cut and reply.received_ms > 500:
            chars = sum(len(entry.text) for entry in self._replies.get(id(reply), []) if entry.spoken)
            if chars:
                self._finished_ms += reply.received_ms
                self._finished_chars += chars

    def cut(self, reply: Reply) -> None:
        """A reply was cut: what this voice's speed is now measures it for good, whatever is learned later."""
        reply.speed = self._finished_chars / self._finished_ms if self._finished_ms else CHARS_PER_SECOND / 1000

    def called(self, reply: Reply | None, record: CallRecord, now: float) -> None:
        """The assistant made a call, in that reply or outside of any."""
        if reply is not None:
            entries = self._replies.get(id(reply))
            entry = entries[-1] if entries else self._open_assistant(reply, reply.started_at)
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

    def _open_assistant(self, reply: Reply, at: float) -> Entry:
        entry = Entry("assistant", at, reply=reply)
        self._replies.setdefault(id(reply), []).append(entry)
        self._entries.append(entry)
        return entry

    def _message(self, entry: Entry) -> Message:
        text, whole = entry.text, True
        reply = entry.reply
        if reply is not None and reply.cut:
            whole = False
            if entry.spoken:
                text = self._heard(entry, reply)
        return Message(entry.role, text.strip(), entry.item_id, entry.started_at, whole, tuple(entry.calls.values()))

    def _heard(self, entry: Entry, reply: Reply) -> str:
        heard_ms = reply.heard_ms if reply.heard_ms is not None else reply.heard_by(reply.cut_at)
        spoken = [e for e in self._replies[id(reply)] if e.spoken]
        if any(e.words for e in spoken):
            ends = [char for char, end_ms in entry.words if end_ms <= heard_ms]
            return entry.text[: ends[-1]] if ends else ""
        # Without word times the share of the text is the share of the audio. A reply that was cut while it was
        # made has text far ahead of its audio, or behind, so there the voice's usual speed is the better measure.
        if reply.cut_early or not reply.received_ms:
            budget = reply.speed * heard_ms
        else:
            budget = sum(len(e.text) for e in spoken) * heard_ms / reply.received_ms
        for before in spoken[: spoken.index(entry)]:
            budget -= len(before.text)
        ends = [word.end() for word in _WORD.finditer(entry.text) if word.end() <= budget]
        return entry.text[: ends[-1]] if ends else ""
