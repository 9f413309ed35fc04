"""Utterances: what was said, piece by piece, by item. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from duologue.events import Event, TranscriptDelta

if TYPE_CHECKING:
    from duologue.types import Role

REMEMBERED = 256
"""Items whose text is unfinished; the provider may never finish one."""


class Utterances:
    """The unfinished texts. The deltas of an item concatenate to its text, the last one is final."""

    def __init__(self) -> None:
        self._said: OrderedDict[str, tuple[Role, str, str]] = OrderedDict()

    def say(self, role: Role, item_id: str, text: str, response_id: str = "") -> Event:
        """More of an item was said."""
        _, _, before = self._said.get(item_id, (role, "", ""))
        self._said[item_id] = (role, response_id, before + text)
        if len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        return TranscriptDelta(role, text, item_id=item_id, response_id=response_id)

    def end(self, role: Role, item_id: str, whole: str, response_id: str = "") -> list[Event]:
        """An item's text is finished; `whole` is all of it, of which a part may not have come as a delta."""
        said = self._said.pop(item_id, None)
        before = "" if said is None else said[2]
        rest = whole[len(before) :] if whole.startswith(before) else ""
        return [TranscriptDelta(role, rest, final=True, item_id=item_id, response_id=response_id)]

    def end_reply(self, response_id: str) -> list[Event]:
        """A reply is over: what it left unfinished stays so."""
        left = [item_id for item_id, (role, of, _) in self._said.items() if role == "assistant" and of == response_id]
        return [event for item_id in left for event in self.end("assistant", item_id, "", response_id)]
