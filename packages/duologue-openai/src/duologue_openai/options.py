"""OpenAIOptions: what a session of OpenAI Realtime can be asked for beyond what every transport knows."""
# ruff: noqa: TC003 - the annotations of public types can be evaluated at run time

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from duologue.errors import ConfigurationError

TRANSCRIBER = "gpt-4o-mini-transcribe"
"""Writes down what the user says, unless another is named."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIOptions:
    """Settings of a session. None leaves a setting to the provider, unless said otherwise.

    Source: the Realtime API reference, `session.update`.

    Attributes:
        modality: what the model answers in, "audio" or "text".
        speed: of the speech, 0.25 to 1.5.
        max_output_tokens: of a reply, or "inf".
        tool_choice: "auto", "none", "required", or one tool by the protocol's own object.
        parallel_tool_calls: whether a reply may hold several calls.
        transcription: the model that writes down what the user says, or its whole object (model, language, prompt,
            keywords, delay); None for no transcripts of the user.
        noise_reduction: what the microphone is like: "near_field" (headset) or "far_field" (laptop, room).
        eagerness: how soon semantic turn detection ends a turn: "low", "medium", "high" or "auto".
        idle_timeout_ms: after so long a silence the model speaks up; with the server's turn detection only.
        truncation: what happens to a conversation that grows too long: "auto", "disabled", or the protocol's object.
        reasoning: how hard a reasoning model thinks, "minimal" to "xhigh".
        tracing: "auto", or an object that names the trace; it can't be changed in a session.
        prompt: a stored prompt: `{"id": ..., "version": ..., "variables": {...}}`.
        mcp: remote MCP servers that the provider itself calls, each an object as the protocol has it, such as
            `{"server_label": "docs", "server_url": "https://...", "require_approval": "never"}`.
        include: further parts of events, such as "item.input_audio_transcription.logprobs".
        extra: settings that are newer than this package, put into the session object as they are.
    """

    modality: Literal["audio", "text"] = "audio"
    speed: float | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    tool_choice: str | Mapping[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    transcription: str | Mapping[str, Any] | None = TRANSCRIBER
    noise_reduction: Literal["near_field", "far_field"] | None = None
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    idle_timeout_ms: int | None = None
    truncation: str | Mapping[str, Any] | None = None
    reasoning: str | None = None
    tracing: str | Mapping[str, Any] | None = None
    prompt: Mapping[str, Any] | None = None
    mcp: Sequence[Mapping[str, Any]] = ()
    include: Sequence[str] = ()
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what the provider would refuse."""
        _one_of("modality", self.modality, ("audio", "text"))
        _one_of("noise_reduction", self.noise_reduction, (None, "near_field", "far_field"))
        _one_of("eagerness", self.eagerness, (None, "low", "medium", "high", "auto"))
        if self.speed is not None and not 0.25 <= self.speed <= 1.5:
            raise ConfigurationError(f"speed is {self.speed}: it must lie between 0.25 and 1.5", provider="openai")
        tokens = self.max_output_tokens
        if tokens is not None and tokens != "inf" and not (type(tokens) is int and tokens >= 1):
            raise ConfigurationError(
                f'max_output_tokens is {tokens!r}: it must be a positive number or "inf"', provider="openai"
            )

    def changed(self, options: Mapping[str, Any] | None) -> OpenAIOptions:
        """Return these options with others on top.

        Raises:
            ConfigurationError: there is no such option, or it has no such value.
        """
        if not options:
            return self
        known = {field.name for field in dataclasses.fields(self)}
        unknown = sorted(set(options) - known)
        if unknown:
            raise ConfigurationError(
                f"openai has no option {unknown[0]!r}; it has {', '.join(sorted(known))}", provider="openai"
            )
        return dataclasses.replace(self, **options)


def _one_of(name: str, value: Any, allowed: Sequence[Any]) -> None:
    if value not in allowed:
        names = ", ".join(repr(choice) for choice in allowed)
        raise ConfigurationError(f"{name} is {value!r}: it must be one of {names}", provider="openai")
