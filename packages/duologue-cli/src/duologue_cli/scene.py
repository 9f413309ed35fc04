"""The scene: all that the terminal shows of a conversation, as state. Pure; `screen.py` paints it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from duologue.events import (
    Interrupted,
    TextDelta,
    ToolCancelled,
    ToolProgress,
    ToolResult,
    ToolStarted,
    TranscriptDelta,
)

from duologue_cli.phase import Phases
from duologue_cli.transcript import arguments_text, news_of, printable, short

if TYPE_CHECKING:
    from duologue.types import Message
    from duologue_audio import LoopEvent

    from duologue_cli.summary import Latency

Kind: TypeAlias = Literal["user", "agent", "tool", "note"]

KEPT = 400  # entries; the oldest go, and are counted
LONGEST = 2000  # characters of an entry: what follows in the same breath is another one


@dataclass(slots=True, eq=False)
class Entry:
    """One thing that was said or done.

    Attributes:
        number: its place since the beginning.
        kind: whose it is.
        text: what is known of it so far.
        item_id: of which utterance.
        response_id: of which reply.
        offset: characters of the utterance before this entry.
        heard: how many characters of `text` were heard; None as long as it was not cut.
        heard_ms: how much of the reply was heard, where that is known.
        began: when a tool was started.
        elapsed: how long it ran; None while it does.
        failed: it did not do what it should.
        latency: how long the reply took to come.
        version: counts changes.
    """

    number: int
    kind: Kind
    text: str = ""
    item_id: str = ""
    response_id: str = ""
    offset: int = 0
    heard: int | None = None
    heard_ms: int | None = None
    began: float | None = None
    elapsed: float | None = None
    failed: bool = False
    latency: Latency | None = None
    version: int = 0

    @property
    def running(self) -> bool:
        """Whether it is a tool that runs."""
        return self.began is not None and self.elapsed is None


class Scene:
    """An `Output` that remembers what is to be seen: the newest 400 entries, and what takes a while.

    Attributes:
        entries: what was said and done, the oldest first.
        left_out: entries that had to go.
        phases: who has the floor.
        loading: what takes a while, "" when nothing does.
    """

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.left_out = 0
        self.phases = Phases()
        self.loading = ""
        self._begun = ""
        self._numbers = 0
        self._open: dict[str, Entry] = {}  # the entry at which an utterance or a call goes on
        self._waiting: Latency | None = None  # for a reply that has no text yet

    # -- what an Output does ------------------------------------------------------------------------------

    def notice(self, text: str) -> None:
        """Show a line about the command itself."""
        self._add("note", text)

    def begin(self, text: str) -> None:
        """Show that something takes a while."""
        self._begun = self.loading = text

    def progress(self, text: str) -> None:
        """Show how far it is."""
        self.loading = text

    def done(self, text: str) -> None:
        """Show that it is over."""
        if text:
            self._add("note", f"{self._begun} {text}")
        self.loading = ""

    def typed(self, text: str, t: float = 0.0) -> None:
        """Show a typed turn."""
        self._add("user", text)
        self.phases.asked(t)

    def event(self, event: LoopEvent, t: float, reply: Message | None = None) -> None:
        """Show what the event adds; `reply` is what the history keeps of a reply that this event cut."""
        self.phases.feed(event, t)
        match event:
            case TranscriptDelta(role="user"):
                self._say("user", event)
            case TranscriptDelta() | TextDelta():
                self._say("agent", event)
            case Interrupted():
                self._cut(event, reply)
            case ToolStarted(tool_use_id=call, name=name, input=arguments):
                entry = self._open[call] = self._add("tool", f"{name}({arguments_text(arguments)})")
                entry.began = t
            case ToolProgress(tool_use_id=call, name=name, content=content):
                self._tool(call, name, f" … {short(content)}", None)
            case ToolResult(tool_use_id=call, name=name, is_error=failed, content=content, elapsed=elapsed):
                said = content if isinstance(content, str) else ", ".join(type(block).__name__ for block in content)
                self._tool(call, name, f" → {short(said)}", elapsed, failed=failed)
            case ToolCancelled(tool_use_id=call, name=name, reason=reason):
                began = self._open[call].began if call in self._open else None
                self._tool(call, name, f" cancelled: {short(reason)}", t - (t if began is None else began), failed=True)
            case _:
                if news := news_of(event):
                    self._add("note", news)

    def latency(self, latency: Latency) -> None:
        """Show how long the reply that begins to sound took."""
        last = next((entry for entry in reversed(self.entries) if entry.kind in ("agent", "user")), None)
        if last is None or last.kind == "user" or last.latency is not None:
            self._waiting = latency
            return
        last.latency = latency
        last.version += 1

    def summary(self, summary: dict[str, Any]) -> None:
        """Show nothing: it is printed once the screen has gone."""

    # -- entries ------------------------------------------------------------------------------------------

    def _add(self, kind: Kind, text: str, item_id: str = "", response_id: str = "") -> Entry:
        entry = Entry(self._numbers, kind, printable(text), item_id, response_id)
        self._numbers += 1
        self.entries.append(entry)
        while len(self.entries) > KEPT:
            gone = self.entries.popleft()
            self.left_out += 1
            self._open = {key: entry for key, entry in self._open.items() if entry is not gone}
        return entry

    def _say(self, kind: Kind, event: TranscriptDelta | TextDelta) -> None:
        key = f"{kind} {event.item_id or event.response_id}"
        text = printable(event.delta)
        entry = self._open.get(key)
        if entry is None:
            text = text.lstrip()
            if not text:
                return
            entry = self._add(kind, "", event.item_id, event.response_id)
        elif len(entry.text) > LONGEST:
            before = entry
            entry = self._add(kind, "", event.item_id, event.response_id)
            entry.offset = before.offset + len(before.text)
            entry.heard = None if before.heard is None else 0
        self._open[key] = entry
        entry.text += text
        entry.response_id = event.response_id or entry.response_id  # the first piece may have come before its name
        if kind == "agent" and self._waiting is not None:
            entry.latency, self._waiting = self._waiting, None
        entry.version += 1
        if isinstance(event, TranscriptDelta) and event.final and not event.item_id:
            del self._open[key]  # what comes next without a name is another utterance

    def _cut(self, event: Interrupted, reply: Message | None) -> None:
        """Mark what was heard: all before the utterance in which the cut fell, nothing of what follows it."""
        of_reply = [
            entry
            for entry in self.entries
            if entry.kind == "agent" and event.response_id in ("", entry.response_id) and entry.heard is None
        ]
        if not event.response_id:
            of_reply = of_reply[-1:]
        last = None if reply is None else _last_of(of_reply, reply.item_id)
        kept = 0 if reply is None else len(printable(reply.text))
        for entry in of_reply:
            if last is None or entry.number > last.number:
                heard = 0
            elif entry.item_id == last.item_id:
                heard = kept - entry.offset
            else:
                continue  # an utterance before it: heard to its end
            entry.heard = max(0, min(heard, len(entry.text)))
            entry.heard_ms = event.heard_ms
            entry.version += 1

    def _tool(self, call: str, name: str, text: str, elapsed: float | None, *, failed: bool = False) -> None:
        entry = self._open.get(call)
        if entry is None:  # its beginning was left out, or the session told nobody
            entry = self._add("tool", name)
        entry.text += printable(text)
        entry.version += 1
        if elapsed is not None:
            entry.began, entry.elapsed, entry.failed = entry.began or 0.0, elapsed, failed
            self._open.pop(call, None)


def _last_of(entries: list[Entry], item_id: str) -> Entry | None:
    named = [entry for entry in entries if item_id in (entry.item_id, entry.response_id)]
    return named[-1] if named else (entries[-1] if entries else None)
