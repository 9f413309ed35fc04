"""Latency: from the end of the user's speech to the first sound that leaves the speaker."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duologue.events import AudioOutputDelta, ProviderEvent, SpeechStarted, SpeechStopped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue.events import Event

KEPT = 1000


@dataclass(frozen=True, slots=True)
class Latency:
    """One reply's way, in ms.

    Attributes:
        response_id: which reply.
        voice_to_voice_ms: from the user's last sound to the agent's first, the sum of the parts.
        parts: what it is made of, in order. Always "output", from the first audio here to the speaker; before it what
            the session tells ("end_of_turn", "asr", "llm_first", "tts_first"), or "reply" where it tells nothing.
    """

    response_id: str
    voice_to_voice_ms: float
    parts: Mapping[str, float]


class LatencyMeter:
    """Follows the events; told when a reply's first frame left the speaker. Pure: times come in, in seconds."""

    def __init__(self) -> None:
        self.done: deque[Latency] = deque(maxlen=KEPT)
        self._stopped_at: float | None = None
        self._told: dict[str, dict[str, float]] = {}
        self._waiting: dict[str, tuple[float, dict[str, float]]] = {}

    def see(self, event: Event, now: float) -> None:
        """Take an event at its arrival."""
        match event:
            case SpeechStarted():
                self._stopped_at = None
            case SpeechStopped():
                self._stopped_at = now
            case ProviderEvent(kind="latency", data={"response_id": str(response_id)}):
                told = {k: float(v) for k, v in event.data.items() if isinstance(v, int | float)}
                self._told = {response_id: told}
            case AudioOutputDelta(response_id=response_id) if response_id not in self._waiting:
                parts = self._told.pop(response_id, {})
                if not parts and self._stopped_at is not None:
                    parts = {"reply": (now - self._stopped_at) * 1000}
                self._stopped_at = None
                self._waiting = {response_id: (now, parts)}
            case _:
                pass

    def sounded(self, response_id: str, at: float) -> Latency | None:
        """The reply's first frame left the speaker; return its latency, None where no speech of the user led to it."""
        first, parts = self._waiting.get(response_id, (0.0, {}))
        if not parts:
            return None
        self._waiting[response_id] = (first, {})
        whole = {**parts, "output": max(0.0, (at - first) * 1000)}
        found = Latency(response_id, sum(whole.values()), whole)
        self.done.append(found)
        return found
