"""RawCodec: the client's codec for applications that read the messages themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from duologue.events import Event, Problem, ProviderEvent, TurnComplete

from duologue_distiller.codec import PROVIDER, DistillerCodec

if TYPE_CHECKING:
    from duologue.errors import DuologueError
    from duologue.wire import Frame

RAW = "raw"
"""The kind of the `ProviderEvent` that holds a whole message."""

_OWN = frozenset({"PING", "error"})
"""Messages that are answered, or raised, and not shown."""


class RawCodec(DistillerCodec):
    """Adds every message, as it came, to the events made of it; a stop with nothing to stop is forgotten."""

    remembers_stops = False

    def explain_close(self, code: int, reason: str) -> DuologueError | None:
        """Leave a clean close what it is: whoever reads knows what was left open."""
        return None if code == 1000 else super().explain_close(code, reason)

    def decode(self, frame: Frame) -> list[Event]:
        """Turn one message into events, and into itself."""
        events: list[Event] = [e for e in super().decode(frame) if not isinstance(e, ProviderEvent)]
        if any(isinstance(e, Problem) for e in events):
            return events
        whole = msgspec.json.decode(frame)
        kind = whole.get("type")
        if kind == "response.done" and not any(isinstance(e, TurnComplete) for e in events):
            return events  # the late end of a response that was left: it would end the loop over the next one
        if isinstance(kind, str) and kind not in _OWN:
            events.append(ProviderEvent(PROVIDER, RAW, whole))
        return events
