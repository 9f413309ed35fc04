"""Profile: what the façade knows of a provider, and how it says a configuration to it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duologue.errors import ConfigurationError
from duologue.transport import TurnDetection
from duologue.voice.config import RealtimeConfig, VADMode

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger("duologue.voice")

OPENAI_VOICES = {
    "alloy": "neutral and balanced",
    "echo": "natural and conversational",
    "shimmer": "warm and expressive",
    **dict.fromkeys(("ash", "ballad", "coral", "sage", "verse", "marin", "cedar"), ""),
}
GEMINI_VOICES = {
    "Puck": "upbeat and friendly",
    "Charon": "informative and clear",
    "Kore": "firm and direct",
    "Fenrir": "excitable and energetic",
    "Aoede": "breezy and personable",
    **dict.fromkeys(
        (
            *("Zephyr", "Leda", "Orus", "Callirrhoe", "Autonoe", "Enceladus", "Iapetus", "Umbriel", "Algieba"),
            *("Despina", "Erinome", "Algenib", "Rasalgethi", "Laomedeia", "Achernar", "Alnilam", "Schedar"),
            *("Gacrux", "Pulcherrima", "Achird", "Zubenelgenubi", "Vindemiatrix", "Sadachbia", "Sadaltager"),
            "Sulafat",
        ),
        "",
    ),
}
"""The voices of the two documented providers, with the character of those that the documentation describes."""

_NEAR_GEMINI = {
    **{"alloy": "Charon", "echo": "Puck", "shimmer": "Aoede", "ash": "Charon", "ballad": "Aoede", "coral": "Puck"},
    **{"sage": "Kore", "verse": "Fenrir", "marin": "Aoede", "cedar": "Charon"},
}
_NEAR_OPENAI = {"Puck": "echo", "Charon": "alloy", "Kore": "alloy", "Fenrir": "shimmer", "Aoede": "shimmer"}

_OPENAI_MODELS = {
    "gpt-4o-realtime-preview": "gpt-realtime-2.1",
    "gpt-4o-mini-realtime-preview": "gpt-realtime-2.1-mini",
}
_GEMINI_MODELS = {"gemini-2.0-flash-exp": "gemini-3.8-live", "gemini-2.0-flash-live-001": "gemini-3.8-live"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A provider.

    Attributes:
        name: the provider's, and its transport's.
        goes_to: where audio goes, for people.
        keys: environment variables that hold its key.
        voices: the voices it has; empty where the transport itself decides.
        nearest: the voice to take for a documented one of another provider.
        default_voice: the voice to take where nothing is nearer; None leaves it to the transport.
        successors: the models that took the place of retired ones.
        family: what the names of its models begin with; "" where a session has no model to choose.
        options: the transport's names of our generation settings; what is not here it has no field for.
        detects: the settings of voice detection it has fields for.
        passes_defaults: our defaults are its own, so they are said.
        input_rate: of the user's audio, in Hz, as documented.
    """

    name: str
    goes_to: str
    keys: tuple[str, ...] = ()
    voices: Mapping[str, str] = field(default_factory=dict)
    nearest: Mapping[str, str] = field(default_factory=dict)
    default_voice: str | None = None
    successors: Mapping[str, str] = field(default_factory=dict)
    family: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    detects: frozenset[str] = frozenset()
    passes_defaults: bool = True
    input_rate: int = 16000


_VAD = {"vad_threshold": "threshold", "vad_prefix_padding_ms": "prefix_ms", "vad_silence_duration_ms": "silence_ms"}

OPENAI = Profile(
    name="openai",
    goes_to="OpenAI (or what OPENAI_BASE_URL says)",
    keys=("OPENAI_API_KEY",),
    voices=OPENAI_VOICES,
    nearest=_NEAR_OPENAI,
    default_voice="alloy",
    successors=_OPENAI_MODELS,
    family="gpt-",
    options={"max_tokens": "max_output_tokens"},
    detects=frozenset(_VAD),
    input_rate=24000,
)
GEMINI = Profile(
    name="gemini",
    goes_to="Google (the Gemini API)",
    keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    voices=GEMINI_VOICES,
    nearest=_NEAR_GEMINI,
    default_voice="Charon",
    successors=_GEMINI_MODELS,
    family="gemini-",
    options={"temperature": "temperature", "max_tokens": "max_output_tokens"},
    detects=frozenset(_VAD),
)
VERTEX = Profile(
    name="vertex",
    goes_to="Google Cloud (Vertex AI)",
    voices=GEMINI_VOICES,
    nearest=_NEAR_GEMINI,
    default_voice="Charon",
    family="gemini-",
    options={"temperature": "temperature", "max_tokens": "max_output_tokens"},
    detects=frozenset(_VAD),
)
LOCAL = Profile(
    name="local",
    goes_to="nowhere: it stays on this machine",
    options={"temperature": "temperature", "max_tokens": "max_tokens"},
    detects=frozenset(_VAD),
    passes_defaults=False,
)

PROFILES = {profile.name: profile for profile in (OPENAI, GEMINI, VERTEX, LOCAL)}
"""The providers the façade knows; of all others it passes on what every transport takes."""


@dataclass(frozen=True, slots=True)
class Said:
    """A configuration as a transport takes it."""

    voice: str | None
    detection: TurnDetection
    options: dict[str, Any]
    model: str | None


def say(config: RealtimeConfig, profile: Profile) -> Said:
    """Say a configuration to a provider, with one warning for each thing that is said otherwise.

    Raises:
        ConfigurationError: a voice or model that nobody knows; with `strict`, anything that would be warned about.
    """
    options: dict[str, Any] = {}
    for name in ("temperature", "max_tokens"):
        if name not in profile.options:
            if config.changed(name):
                _instead(config, f"{profile.name} has no field for {name}: {getattr(config, name)} is left out")
        elif profile.passes_defaults or config.changed(name):
            options[profile.options[name]] = getattr(config, name)
    return Said(_voice(config, profile), _detection(config, profile), options, _model(config, profile))


def _detection(config: RealtimeConfig, profile: Profile) -> TurnDetection:
    if config.vad_mode is VADMode.MANUAL:
        return TurnDetection("manual")
    wanted: dict[str, Any] = {}
    for name, ours in _VAD.items():
        if name not in profile.detects:
            if config.changed(name):
                _instead(config, f"{profile.name} has no field for {name}: {getattr(config, name)} is left out")
        elif profile.passes_defaults or config.changed(name):
            wanted[ours] = getattr(config, name)
    return TurnDetection("server", **wanted)


def _voice(config: RealtimeConfig, profile: Profile) -> str | None:
    voice = config.voice
    if voice in profile.voices or (profile.name == "openai" and voice.startswith("voice_")):
        return voice
    documented = voice in OPENAI_VOICES or voice in GEMINI_VOICES
    if not documented:
        if not profile.voices:
            return voice  # the transport knows its own voices, and refuses others
        known = ", ".join(profile.voices)
        raise ConfigurationError(f"{profile.name} has no voice {voice!r}; it has {known}", provider=profile.name)
    nearest = profile.nearest.get(voice, profile.default_voice)
    if config.changed("voice"):
        instead = f"{nearest!r}, the nearest one," if nearest else "its own"
        _instead(config, f"{profile.name} has no voice {voice!r}: {instead} is used")
    return nearest


def _model(config: RealtimeConfig, profile: Profile) -> str | None:
    model = config.model
    if model is None:
        return None
    if not profile.family:
        _instead(config, f"{profile.name} has no field for model: {model!r} is left out")
        return None
    if model in profile.successors:
        successor = profile.successors[model]
        _instead(config, f"the model {model!r} is retired: {successor!r} is used")
        return successor
    others = [p for p in PROFILES.values() if p.family and p.family != profile.family and model.startswith(p.family)]
    if others:
        raise ConfigurationError(
            f"{model!r} is a model of {others[0].name}, not of {profile.name}: choose the provider by "
            f'RealtimeVoice(provider="{others[0].name}")',
            provider=profile.name,
        )
    return model


def _instead(config: RealtimeConfig, what: str) -> None:
    if config.strict:
        raise ConfigurationError(f"{what} without strict=True")
    log.warning("%s", what)
