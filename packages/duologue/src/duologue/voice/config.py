"""RealtimeConfig: what a voice session of the façade is like."""
# ruff: noqa: TC003 - the annotations of public types can be evaluated at run time

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from duologue.errors import ConfigurationError


class VADMode(StrEnum):
    """Who finds the user's turns."""

    SERVER = "server"
    """The provider, by listening for speech."""
    MANUAL = "manual"
    """You: `commit_audio()` ends a turn, the first audio after it begins the next."""


@dataclasses.dataclass(slots=True)
class RealtimeConfig:
    """Settings of a session.

    A value that is left at its default never raises. A documented voice of another provider becomes the nearest
    voice, a retired documented model its successor, and an option the provider has no field for is left out; each
    is told by one warning. With `strict` each raises instead. A value nobody knows raises.

    Attributes:
        model: the model; None is the provider's best.
        voice: the voice, by its provider's name.
        instructions: the system prompt.
        vad_mode: who finds the user's turns.
        vad_threshold: how sure the voice detection must be, 0 to 1.
        vad_prefix_padding_ms: audio that is kept from before the speech was noticed.
        vad_silence_duration_ms: silence that ends the turn.
        temperature: how freely the model chooses its words.
        max_tokens: the longest reply.
        tools: functions, methods, `Tool`s, `ToolDefinition`s, or dicts with a schema.
        strict: raise instead of substituting.
        sample_rate: of your audio, both ways, in Hz; None is what the provider is documented with: 24000 for OpenAI,
            16000 in and 24000 out for all others.

    Raises:
        ConfigurationError: a value that can't be meant.
    """

    model: str | None = None
    voice: str = "alloy"
    instructions: str = "You are a helpful assistant."
    vad_mode: VADMode = VADMode.SERVER
    vad_threshold: float = 0.5
    vad_prefix_padding_ms: int = 300
    vad_silence_duration_ms: int = 500
    temperature: float = 0.8
    max_tokens: int = 4096
    tools: Sequence[Any] = ()
    strict: bool = False
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        """Refuse what can't be meant."""
        try:
            self.vad_mode = VADMode(self.vad_mode)
        except ValueError:
            raise ConfigurationError(
                f"vad_mode is {self.vad_mode!r}: it must be VADMode.SERVER or VADMode.MANUAL"
            ) from None
        self.tools = list(self.tools or ())
        _between("vad_threshold", self.vad_threshold, 0, 1)
        _between("vad_prefix_padding_ms", self.vad_prefix_padding_ms, 0, 60_000)
        _between("vad_silence_duration_ms", self.vad_silence_duration_ms, 0, 60_000)
        _between("temperature", self.temperature, 0, 2)
        _between("max_tokens", self.max_tokens, 1, 10_000_000)
        if self.sample_rate is not None:
            _between("sample_rate", self.sample_rate, 8000, 192_000)

    def changed(self, name: str) -> bool:
        """Whether a setting has another value than its default."""
        return bool(getattr(self, name) != _DEFAULTS[name])


def _between(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigurationError(f"{name} is {value!r}: it must be a number from {low} to {high}")


_DEFAULTS: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(RealtimeConfig)}
