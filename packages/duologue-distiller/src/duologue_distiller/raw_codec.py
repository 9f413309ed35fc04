"""RawCodec: the client's codec for applications that read the messages themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from duologue.events import Event, Problem, ProviderEvent

from duologue_distiller.codec import PROVIDER, DistillerCodec

if TYPE_CHECKING:
    from duologue.wire import Frame

RAW = "raw"
"""The kind of the `ProviderEvent` that holds a whole message."""

_OWN = frozenset({"PING", "error"})
"""Messages that are answered, or raised, and not shown."""


class RawCodec(DistillerCodec):
    """Adds every message, as it came, to the events made of it; a stop with nothing to stop is forgotten."""

    remembers_stops = False

    def decode(self, frame: Frame) -> list[Event]:
        """Turn one message into events, and into itself."""
        events: list[Event] = [e for e in super().decode(frame) if not isinstance(e, ProviderEvent)]
        if any(isinstance(e, Problem) for e in events):
            return events
        whole = msgspec.json.decode(frame)
        kind = whole.get("type")
        if isinstance(kind, str) and kind not in _OWN:
            events.append(ProviderEvent(PROVIDER, RAW, whole))
        return events
