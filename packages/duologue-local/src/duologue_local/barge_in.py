"""BargeIn: when the user's speech cuts a reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class BargeIn:
    """How the user interrupts a reply by speaking.

    Attributes:
        enabled: False lets a reply be spoken to its end; what the user says meanwhile is answered after it.
        speech_ms: so much speech cuts the reply.
        window_ms: within this much audio; at least `speech_ms`.
        lockout_ms: no cut this soon after a reply began to sound.
        grace_ms: a reply counts as playing for this long after its estimated end.
        min_audio_ms: no decision before the session has heard this much audio.
    """

    enabled: bool = True
    speech_ms: int = 96
    window_ms: int = 160
    lockout_ms: int = 0
    grace_ms: int = 0
    min_audio_ms: int = 0

    def __post_init__(self) -> None:
        for name in ("speech_ms", "window_ms", "lockout_ms", "grace_ms", "min_audio_ms"):
            value = getattr(self, name)
            if value < 0:
                raise ConfigurationError(f"BargeIn({name}={value}): it can't be negative")
        if self.speech_ms > self.window_ms:
            raise ConfigurationError(
                f"BargeIn(speech_ms={self.speech_ms}, window_ms={self.window_ms}): the window is the shorter"
            )

    @classmethod
    def from_distiller(cls, vad: Mapping[str, Any]) -> BargeIn:
        """Map a Distiller project's `vad` table; what it leaves out has that table's defaults.

        Frames become milliseconds: `threshold` of `window_size` frames of `frame_ms`. Our own frames have
        32 ms, so times are met to within one of them.

        Raises:
            ConfigurationError: a key is unknown, or a value is no number.
        """
        known: dict[str, Any] = {
            "enable_barge_in": False,
            "threshold": 30,
            "window_size": 48,
            "lockout_seconds": 1.0,
            "grace_period_seconds": 3.0,
            "frame_ms": 30,
            "silero_min_samples_seconds": 1.5,
        }
        unknown = sorted(set(vad) - set(known))
        if unknown:
            raise ConfigurationError(f"the vad table has no {', '.join(unknown)}; it has: {', '.join(known)}")
        table = known | dict(vad)
        for name, value in table.items():
            right = isinstance(value, bool) if name == "enable_barge_in" else _is_number(value)
            if not right:
                raise ConfigurationError(f"{name} of the vad table is {value!r}: that is no fitting value")
        return cls(
            enabled=table["enable_barge_in"],
            speech_ms=round(table["threshold"] * table["frame_ms"]),
            window_ms=round(table["window_size"] * table["frame_ms"]),
            lockout_ms=round(table["lockout_seconds"] * 1000),
            grace_ms=round(table["grace_period_seconds"] * 1000),
            min_audio_ms=round(table["silero_min_samples_seconds"] * 1000),
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
