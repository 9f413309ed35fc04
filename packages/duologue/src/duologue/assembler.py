"""ToolCallAssembler: from the fragments of tool calls to complete calls."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from duologue.blocks import ToolUseBlock
from duologue.errors import InvalidArguments
from duologue.events import Event, ToolInputDelta, ToolUseEnd, ToolUseStart

MAX_ARGUMENT_CHARS = 1 << 20

MAX_DRAFTS = 256
"""Calls half-written at once; then the oldest is forgotten."""


@dataclass(slots=True)
class _Draft:
    name: str
    pieces: list[str] = field(default_factory=list)
    chars: int = 0


class ToolCallAssembler:
    """Puts interleaved fragments together, by call id.

    Fragments of a call that never began, or that `clear()` dropped, are ignored; a call that begins a
    second time starts anew. Arguments longer than a million characters are refused.
    """

    def __init__(self) -> None:
        self._drafts: dict[str, _Draft] = {}

    def feed(self, event: Event) -> list[ToolUseBlock]:
        """Take any event; return the calls it completes (none or one).

        Raises:
            InvalidArguments: the call is complete but its arguments are no JSON object; the call is over.
        """
        match event:
            case ToolUseStart():
                self._drafts.pop(event.tool_use_id, None)
                while len(self._drafts) >= MAX_DRAFTS:
                    del self._drafts[next(iter(self._drafts))]
                self._drafts[event.tool_use_id] = _Draft(event.name)
            case ToolInputDelta():
                draft = self._drafts.get(event.tool_use_id)
                if draft is not None and draft.chars <= MAX_ARGUMENT_CHARS:
                    draft.pieces.append(event.partial_json)
                    draft.chars += len(event.partial_json)
            case ToolUseEnd():
                draft = self._drafts.pop(event.tool_use_id, None)
                if draft is not None:
                    return [_complete(event.tool_use_id, draft)]
            case _:
                pass
        return []

    def clear(self) -> None:
        """Forget the calls that are half-written."""
        self._drafts.clear()


def _complete(tool_use_id: str, draft: _Draft) -> ToolUseBlock:
    if draft.chars > MAX_ARGUMENT_CHARS:
        raise InvalidArguments(
            f"arguments longer than {MAX_ARGUMENT_CHARS} characters", tool_use_id=tool_use_id, name=draft.name
        )
    text = "".join(draft.pieces)
    try:
        arguments = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as exc:
        raise InvalidArguments(f"the arguments are not JSON: {exc}", tool_use_id=tool_use_id, name=draft.name) from exc
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        kind = type(arguments).__name__
        raise InvalidArguments(
            f"the arguments are a JSON {kind}, not an object", tool_use_id=tool_use_id, name=draft.name
        )
    return ToolUseBlock(tool_use_id, draft.name, arguments)
