"""SessionPlan: the setup of a session and what its codecs must know besides, as data that can be written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from duologue.formats import parse_format

from duologue_google import client_messages as wire
from duologue_google.content import Content, Part
from duologue_google.functions import declare
from duologue_google.languages import check_language, check_voice
from duologue_google.models import ModelTraits, traits_of
from duologue_google.overlay import as_setup, camel, lay_over

if TYPE_CHECKING:
    from duologue.tool import Tool
    from duologue.transport import TurnDetection

    from duologue_google.options import LiveOptions

DEFAULT_RATE = 16000

SURER = 0.5
"""A `TurnDetection.threshold` above this asks for the lower of the two sensitivities."""

_COVERAGE = {
    "activity": "TURN_INCLUDES_ONLY_ACTIVITY",
    "all": "TURN_INCLUDES_ALL_INPUT",
    "activity-and-video": "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO",
}


@dataclass(slots=True, kw_only=True)
class SessionPlan:
    """What every connection of a session starts from.

    Attributes:
        setup: the setup message's JSON, without the handle and `historyConfig`, which are a connection's.
        traits: what the model takes.
        delivery: how results of a tool are delivered, by its name.
        vertex: the session is with Vertex AI.
        input_rate: what a bare `audio/pcm` block is.
        media_chunks: send sound and images the old way.
    """

    setup: dict[str, Any]
    traits: ModelTraits = field(default_factory=ModelTraits)
    delivery: dict[str, str] = field(default_factory=dict)
    vertex: bool = False
    input_rate: int = DEFAULT_RATE
    media_chunks: bool = False

    @property
    def model(self) -> str:
        """The model's name without a path."""
        return str(self.setup.get("model", "")).rpartition("/")[2]

    def describe(self) -> dict[str, Any]:
        """Return the plan as JSON-able data."""
        return {
            "setup": dict(self.setup),
            "traits": self.traits.describe(),
            "delivery": dict(self.delivery),
            "vertex": self.vertex,
            "input_rate": self.input_rate,
            "media_chunks": self.media_chunks,
        }

    @classmethod
    def from_description(cls, data: Mapping[str, Any]) -> SessionPlan:
        """Make the plan that `describe` described."""
        return cls(
            setup=dict(data["setup"]),
            traits=ModelTraits.from_description(dict(data.get("traits", {}))),
            delivery=dict(data.get("delivery", {})),
            vertex=bool(data.get("vertex", False)),
            input_rate=int(data.get("input_rate", DEFAULT_RATE)),
            media_chunks=bool(data.get("media_chunks", False)),
        )

    def update(self, system: str | None, tools: Sequence[Tool] | None) -> wire.ContextUpdate:
        """Change the plan, for connections to come; return the message that changes the running one."""
        update = wire.ContextUpdate()
        if system is not None:
            update.system_instruction = _system(system)
            self.setup["systemInstruction"] = msgspec.to_builtins(update.system_instruction)
        if tools is not None:
            declared = declare(tools, self.traits, self.model)
            entries = [entry for entry in self.setup.get("tools", ()) if "functionDeclarations" not in entry]
            if declared:
                entries.append(msgspec.to_builtins(wire.ToolEntry(function_declarations=declared)))
            self.delivery = {tool.name: tool.delivery for tool in tools}
            self.setup["tools"] = entries
            update.tools = wire.ToolsUpdate(tools=msgspec.convert(entries, list[wire.ToolEntry]))
            if not entries:
                del self.setup["tools"]  # an empty list in a setup is refused
        return update


def make_plan(
    *,
    model: str,
    resource: str,
    options: LiveOptions,
    traits: ModelTraits | None = None,
    vertex: bool = False,
    system: str = "",
    tools: Sequence[Tool] = (),
    voice: str | None = None,
    input_format: str = "audio/pcm;rate=16000",
    detection: TurnDetection | None = None,
) -> SessionPlan:
    """Plan a session with `model`, which the backend calls `resource`.

    Raises:
        ConfigurationError: an option or a tool that the model refuses.
    """
    traits = traits or traits_of(model)
    options.check(traits, model, vertex=vertex)
    setup = wire.Setup(
        model=resource,
        generation_config=_generation(options, traits, voice),
        system_instruction=_system(system) if system else None,
        tools=_tools(options, tools, traits, model),
        session_resumption=_resumption(options),
        context_window_compression=_compression(options),
        realtime_input_config=_realtime_input(options, detection),
        input_audio_transcription=_transcription(options.input_transcription),
        output_audio_transcription=_transcription(options.output_transcription),
        labels=dict(options.labels) if options.labels else None,
        explicit_vad_signal=options.explicit_vad or None,
    )
    if options.proactive_audio is not None:
        setup.proactivity = wire.Proactivity(proactive_audio=options.proactive_audio)
    built: dict[str, Any] = msgspec.to_builtins(setup)
    for key, given in (
        ("contextWindowCompression", options.compress_context),
        ("inputAudioTranscription", options.input_transcription),
        ("outputAudioTranscription", options.output_transcription),
    ):
        if isinstance(given, Mapping):
            built[key] = camel(given)
    if options.safety_settings:
        built["safetySettings"] = _safety(options.safety_settings)
    if options.server_tools:
        built["tools"] = [*map(dict, options.server_tools), *built.get("tools", ())]
    if options.setup is not None:
        built = lay_over(built, as_setup(options.setup))
    return SessionPlan(
        setup=built,
        traits=traits,
        delivery={tool.name: tool.delivery for tool in tools},
        vertex=vertex,
        input_rate=parse_format(input_format).rate or DEFAULT_RATE,
        media_chunks=options.media_chunks,
    )


def _generation(options: LiveOptions, traits: ModelTraits, voice: str | None) -> wire.GenerationConfig:
    config = wire.GenerationConfig(
        response_modalities=[options.modality],
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        max_output_tokens=options.max_output_tokens,
        seed=options.seed,
        enable_affective_dialog=options.affective_dialog,
    )
    if options.media_resolution is not None:
        config.media_resolution = f"MEDIA_RESOLUTION_{options.media_resolution.upper()}"
    if voice is not None or options.language_code is not None:
        config.speech_config = wire.SpeechConfig()
        if voice is not None:
            named = wire.PrebuiltVoice(voice_name=check_voice(voice))
            config.speech_config.voice_config = wire.VoiceConfig(prebuilt_voice_config=named)
        if options.language_code is not None:
            config.speech_config.language_code = check_language(options.language_code)
    thinking = options.thinking
    if thinking is None and traits.thinking == "required":
        thinking = "low"
    if thinking is not None or options.include_thoughts:
        config.thinking_config = wire.ThinkingConfig(
            thinking_budget=thinking if isinstance(thinking, int) else None,
            thinking_level=thinking.upper() if isinstance(thinking, str) else None,
            include_thoughts=options.include_thoughts or None,
        )
    if options.translate_to is not None or options.echo_target_language is not None:
        config.translation_config = wire.TranslationConfig(
            target_language_code=options.translate_to, echo_target_language=options.echo_target_language
        )
    return config


def _tools(options: LiveOptions, tools: Sequence[Tool], traits: ModelTraits, model: str) -> list[wire.ToolEntry] | None:
    entries: list[wire.ToolEntry] = []
    if options.google_search:
        entries.append(wire.ToolEntry(google_search={}))
    if options.google_maps:
        entries.append(wire.ToolEntry(google_maps={}))
    if options.code_execution:
        entries.append(wire.ToolEntry(code_execution={}))
    if options.url_context:
        entries.append(wire.ToolEntry(url_context={}))
    if tools:
        entries.append(wire.ToolEntry(function_declarations=declare(tools, traits, model)))
    return entries or None


def _resumption(options: LiveOptions) -> wire.SessionResumption | None:
    return wire.SessionResumption(transparent=options.transparent or None) if options.resumption else None


def _compression(options: LiveOptions) -> wire.ContextWindowCompression | None:
    return wire.ContextWindowCompression(sliding_window=wire.SlidingWindow()) if options.compress_context else None


def _transcription(wanted: bool | Mapping[str, Any]) -> wire.TranscriptionConfig | None:
    return None if wanted is False else wire.TranscriptionConfig()


def _safety(given: Mapping[str, str] | Sequence[Mapping[str, Any]]) -> list[Any]:
    if isinstance(given, Mapping):
        return [{"category": name, "threshold": level} for name, level in given.items()]
    return [camel(entry) for entry in given]


def _realtime_input(options: LiveOptions, detection: TurnDetection | None) -> wire.RealtimeInputConfig | None:
    config = wire.RealtimeInputConfig()
    automatic = wire.AutomaticActivityDetection()
    if detection is not None:
        if detection.mode == "manual":
            automatic.disabled = True
        else:
            automatic.prefix_padding_ms = detection.prefix_ms
            automatic.silence_duration_ms = detection.silence_ms
            if detection.threshold is not None:  # a VAD that must be surer is one that is less sensitive
                automatic.start_of_speech_sensitivity = _sensitivity(
                    "START", "low" if detection.threshold > 0.5 else "high"
                )
        if not detection.interrupt:
            config.activity_handling = "NO_INTERRUPTION"
    if not automatic.disabled:
        if options.start_sensitivity is not None:
            automatic.start_of_speech_sensitivity = _sensitivity("START", options.start_sensitivity)
        if options.end_sensitivity is not None:
            automatic.end_of_speech_sensitivity = _sensitivity("END", options.end_sensitivity)
    if automatic != wire.AutomaticActivityDetection():
        config.automatic_activity_detection = automatic
    if options.turn_coverage is not None:
        config.turn_coverage = _COVERAGE[options.turn_coverage]
    return config if config != wire.RealtimeInputConfig() else None


def _sensitivity(of: str, level: str) -> str:
    return f"{of}_SENSITIVITY_{level.upper()}"


def _system(text: str) -> Content:
    return Content(role="user", parts=[Part(text=text)])
