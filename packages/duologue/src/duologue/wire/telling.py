"""Telling: what was said, in words, for providers that take a history as text only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duologue.types import Message


def as_told(message: Message) -> str:
    """The text of a message, with the calls it made and what came of them.

    A codec that has no better place for calls in `Opening.history` must use this: results that the history holds are
    not sent again.
    """
    lines = [message.text] if message.text else []
    for call in message.calls:
        outcome = "no result yet" if call.result is None else call.result
        lines.append(f"[called {call.name}({json.dumps(dict(call.input), ensure_ascii=False)}): {outcome}]")
    return "\n".join(lines)
