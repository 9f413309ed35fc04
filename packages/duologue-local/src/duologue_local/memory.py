"""Memory: what the model is told of the conversation. Pure.

Replies are remembered word by word with the times at which the words ended, so that they can be cut to what
was heard, also later and more than once. What no longer fits the model's context is forgotten for good.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from duologue.errors import ConfigurationError

from duologue_local.stages import ChatMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duologue.types import Message, WordTime

FULL, EMPTY = 0.7, 0.3
"""Parts of the budget between which the memory swings."""
MOST_ENTRIES = 200
"""Messages kept at all; `tidy` keeps fewer."""
TEMPLATE_TOKENS = 8
"""What the frame around a message costs."""


@dataclass(slots=True)
class Entry:
    """One message; `words` (of a reply) end at ms of its audio, `heard_ms` is None while all of it counts."""

    message: ChatMessage
    item_id: str = ""
    words: list[WordTime] = field(default_factory=list)
    heard_ms: float | None = None

    @property
    def text(self) -> str:
        """What counts of it."""
        if not self.words:
            return self.message.content
        heard = self.heard_ms
        return " ".join(w.text for w in self.words if heard is None or w.end_ms <= heard)


class Memory:
    """The conversation as the model gets it.

    Args:
        system: the system prompt.
        history: the conversation so far.
        budget: tokens the messages may have together.

    Raises:
        ConfigurationError: the system prompt alone is too long.
    """

    def __init__(self, system: str, history: Sequence[Message], budget: int) -> None:
        self._system = system.strip()
        self._budget = budget - tokens(self._system)
        if self._budget < budget // 4:
            raise ConfigurationError(
                f"the system prompt has about {tokens(self._system)} tokens, too many for the local model, whose "
                f"whole context has {budget}: shorten it"
            )
        self._entries: deque[Entry] = deque()
        for message in history:
            for call in message.calls:
                if call.result is not None:
                    self._add(Entry(ChatMessage("tool", call.result, call.name)))
            if message.text:
                self._add(Entry(ChatMessage(message.role, message.text), message.item_id))

    def __len__(self) -> int:
        return len(self._entries)

    def user(self, text: str, item_id: str = "") -> None:
        """The user said or typed this."""
        self._add(Entry(ChatMessage("user", text), item_id))

    def result(self, name: str, content: str) -> None:
        """A tool returned this."""
        self._add(Entry(ChatMessage("tool", content, name)))

    def reply(self, item_id: str) -> None:
        """A reply begins."""
        self._add(Entry(ChatMessage("assistant", ""), item_id))

    def spoken(self, item_id: str, words: Iterable[WordTime]) -> None:
        """The reply goes on with these words; their times count from its beginning."""
        entry = self._find(item_id)
        if entry is not None:
            entry.words.extend(words)

    def cut(self, item_id: str, heard_ms: float) -> None:
        """Of this reply only so much was heard."""
        entry = self._find(item_id)
        if entry is not None:
            entry.heard_ms = heard_ms

    def tidy(self) -> bool:
        """Forget old messages when there are many: a lot at once, since what follows them must be read anew.

        Returns whether it did.
        """
        costs = [tokens(e.text) + TEMPLATE_TOKENS for e in self._entries]
        if sum(costs) <= FULL * self._budget:
            return False
        while len(costs) > 2 and sum(costs) > EMPTY * self._budget:
            costs.pop(0)
            self._entries.popleft()
        return True

    def messages(self) -> tuple[ChatMessage, ...]:
        """Return the prompt: system, then the newest messages that fit, beginning with one of the user."""
        chosen: list[ChatMessage] = []
        for entry in self._entries:
            text = entry.text
            if not text:
                continue
            role = entry.message.role
            if role == "user" and chosen and chosen[-1].role == "user":
                chosen[-1] = ChatMessage("user", f"{chosen[-1].content} {text}")
            else:
                chosen.append(ChatMessage(role, text, entry.message.name))
        used = 0
        kept: list[ChatMessage] = []
        for message in reversed(chosen):
            cost = tokens(message.content) + TEMPLATE_TOKENS
            if used + cost > self._budget:
                if not kept:  # a single message that is too long: its end is what it is about
                    kept.append(ChatMessage(message.role, tail(message.content, self._budget), message.name))
                break
            used += cost
            kept.append(message)
        while len(kept) > 1 and kept[-1].role == "assistant":
            kept.pop()
        system = [ChatMessage("system", self._system)] if self._system else []
        return (*system, *reversed(kept))

    def _find(self, item_id: str) -> Entry | None:
        return next((e for e in reversed(self._entries) if e.item_id == item_id), None)

    def _add(self, entry: Entry) -> None:
        self._entries.append(entry)
        while len(self._entries) > MOST_ENTRIES:
            self._entries.popleft()


def tokens(text: str) -> int:
    """Estimate, rather too high, how many tokens a text has: letters come in pieces, all else byte by byte."""
    letters = sum(1 for c in text if c.isascii() and (c.isalpha() or c == " "))
    return (len(text.encode()) - letters) + (letters + 2) // 3


def tail(text: str, budget: int) -> str:
    """Return as much of the end of a text as fits."""
    while text and tokens(text) + TEMPLATE_TOKENS > budget:
        text = text[max(1, len(text) // 8) :]
    return text
