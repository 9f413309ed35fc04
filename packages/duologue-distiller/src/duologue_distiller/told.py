"""Told: what was said before, put in front of a typed turn. Pure.

The protocol has no place for a history: a typed turn is all that a client can say. So what the other side may not know
goes in front of the next one, a line of JSON for each message, and then the turn itself. Models read that without being
taught, and our server half reads it back into messages.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from duologue.types import Message
from duologue.wire.telling import as_told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.types import Role

BEFORE = "Said before, for your information:"
NOW = "Said now:"

GO_ON = "Please go on."
"""The turn of a client that wants an answer to what it has told."""

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant"}


def tell(said: Sequence[Message], text: str) -> str:
    """A turn with what was said before it; messages without words are left out."""
    entries = [{message.role: told} for message in said if (told := as_told(message))]
    if not entries:
        return text
    return "\n".join([BEFORE, *(json.dumps(entry, ensure_ascii=False) for entry in entries), NOW, text])


def untell(text: str) -> tuple[list[Message], str]:
    """What `tell` made a turn of; no messages and the text itself, if it did not."""
    if not text.startswith(BEFORE + "\n"):
        return [], text
    head, found, now = text[len(BEFORE) + 1 :].partition(f"\n{NOW}\n")
    said = [message for line in head.split("\n") if (message := _message(line)) is not None]
    if not found or len(said) != head.count("\n") + 1:
        return [], text
    return said, now


def _message(line: str) -> Message | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or len(entry) != 1:
        return None
    [(role, text)] = entry.items()
    return Message(_ROLES[role], text) if role in _ROLES and isinstance(text, str) else None
