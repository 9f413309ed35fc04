"""Decoder: what the decoders of all providers have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duologue.errors import RemoteProtocolError
from duologue.events import Event, Problem, ProviderEvent, TranscriptDelta

from .fields import Malformed, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duologue.types import Role


class Decoder:
    """What the four have in common."""

    provider = ""

    def __init__(self) -> None:
        self._texts: dict[tuple[Role, str], str] = {}

    def decode(self, frame: Node) -> list[Event]:
        """Turn one frame into events; never raises for what the peer sent."""
        events: list[Event] = []
        try:
            for event in self._events(frame):
                events.append(event)  # one by one: what was read before a fault is kept
        except Malformed as exc:
            message = f"{self.provider} sent a frame that can't be read ({exc}); the rest of it was skipped"
            events.append(Problem(RemoteProtocolError(message, provider=self.provider)))
        return events

    def _events(self, frame: Node) -> Iterator[Event]:
        raise NotImplementedError

    def _other(self, kind: str, data: Any) -> ProviderEvent:
        return ProviderEvent(self.provider, kind, data)

    def _say(self, role: Role, text: str, item_id: str = "", **more: Any) -> TranscriptDelta:
        self._texts[role, item_id] = self._texts.get((role, item_id), "") + text
        return TranscriptDelta(role, text, item_id=item_id, **more)

    def _end(self, role: Role, item_id: str = "", whole: str | None = None) -> Iterator[Event]:
        """End an item; `whole` is its text by the provider, of which a part may not have been streamed."""
        said = self._texts.pop((role, item_id), None)
        if said is None and whole is None:
            return
        rest = whole[len(said or "") :] if whole is not None and whole.startswith(said or "") else ""
        yield TranscriptDelta(role, rest, final=True, item_id=item_id)

    def _end_all(self, role: Role) -> Iterator[Event]:
        for speaker, item_id in list(self._texts):
            if speaker == role:
                yield from self._end(role, item_id)
