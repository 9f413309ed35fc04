"""SessionObject: a session's settings as the wire has them, in `session.update`, `session.created` and `.updated`.

What is absent stays as it is; null turns off. So the settings that can be turned off are `UNSET` by default, all
others None.

Source: the Realtime API reference, `session.update`.
"""

from typing import Any

from msgspec import UNSET, Struct, UnsetType


class Format(Struct, omit_defaults=True, kw_only=True):
    """An audio format: `audio/pcm` with its rate, `audio/pcmu` or `audio/pcma`."""

    type: str
    rate: int | None = None


class NoiseReduction(Struct, omit_defaults=True, kw_only=True):
    """What the microphone is like: near_field or far_field."""

    type: str
    strength: float | str | None = None


class Transcription(Struct, omit_defaults=True, kw_only=True):
    """Which model writes down what the user says, and what it should know."""

    model: str | None = None
    language: str | None = None
    languages: list[str] | None = None
    prompt: str | None = None
    keywords: list[str] | None = None
    delay: str | None = None


class Detection(Struct, omit_defaults=True, kw_only=True):
    """Who ends the user's turn: server_vad or semantic_vad."""

    type: str = ""
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    eagerness: str | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None
    idle_timeout_ms: int | None = None


class AudioInput(Struct, omit_defaults=True, kw_only=True):
    """How the user's audio is taken."""

    format: Format | None = None
    noise_reduction: NoiseReduction | UnsetType | None = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    turn_detection: Detection | UnsetType | None = UNSET


class AudioOutput(Struct, omit_defaults=True, kw_only=True):
    """How the model speaks."""

    format: Format | None = None
    voice: str | dict[str, Any] | None = None
    speed: float | None = None


class Audio(Struct, omit_defaults=True, kw_only=True):
    """Both directions."""

    input: AudioInput | None = None
    output: AudioOutput | None = None


class SessionObject(Struct, omit_defaults=True, kw_only=True):
    """The settings of a session; `type` is required: "realtime" or "transcription"."""

    type: str | None = None
    id: str | None = None
    object: str | None = None
    expires_at: int | None = None
    model: str | None = None
    instructions: str | None = None
    output_modalities: list[str] | None = None
    max_output_tokens: int | str | None = None
    audio: Audio | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None
    tracing: str | dict[str, Any] | UnsetType | None = UNSET
    truncation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | UnsetType | None = UNSET
    include: list[str] | None = None
