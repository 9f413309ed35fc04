"""Options: everything a Live session can be asked for, with defaults, places on the wire and models they hold for.

The documentation's table is generated from this one.
"""
# ruff: noqa: TC001, TC003 - the annotations of public types can be evaluated at run time
# ruff: noqa: RUF009 - `_option` makes a dataclass field

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from duologue.errors import ConfigurationError

from duologue_google.models import ModelTraits

Sensitivity = Literal["high", "low"]


def _option(
    default: Any, wire: str, text: str, holds: Callable[[ModelTraits], bool] | None = None, only: str = "any model"
) -> Any:
    """A field; `holds` says for which models, `only` the same in words."""
    return dataclasses.field(default=default, metadata={"wire": wire, "text": text, "holds": holds, "only": only})


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """The options of a session; None leaves the choice to the model."""

    language_code: str | None = _option(
        None, "generationConfig.speechConfig.languageCode", "the language spoken, BCP-47; without it the model listens"
    )
    modality: Literal["AUDIO", "TEXT"] = _option(
        "AUDIO", "generationConfig.responseModalities", "what the model answers in; the native-audio models only speak"
    )
    temperature: float | None = _option(None, "generationConfig.temperature", "how freely it chooses words")
    top_p: float | None = _option(None, "generationConfig.topP", "the share of probability it chooses from")
    top_k: int | None = _option(None, "generationConfig.topK", "the number of tokens it chooses from")
    max_output_tokens: int | None = _option(None, "generationConfig.maxOutputTokens", "the longest reply")
    seed: int | None = _option(None, "generationConfig.seed", "makes replies repeatable, as far as they can be")
    media_resolution: Literal["low", "medium", "high"] | None = _option(
        None, "generationConfig.mediaResolution", "how closely images are looked at"
    )
    thinking: int | Literal["minimal", "low", "medium", "high", "xhigh"] | None = _option(
        None,
        "generationConfig.thinkingConfig",
        "how much it thinks: a budget in tokens or a level, as the model wants it; "
        "low where a model must be told and nothing is",
        lambda traits: traits.thinking != "none",
        "models that think: extended-thinking (a level or a budget), 3.1 (a level), 2.5 (a budget)",
    )
    include_thoughts: bool = _option(
        False,
        "generationConfig.thinkingConfig.includeThoughts",
        "report its thoughts, as `ProviderEvent`",
        lambda traits: traits.thinking != "none",
        "models that think",
    )
    affective_dialog: bool | None = _option(
        None,
        "generationConfig.enableAffectiveDialog",
        "answer in the tone of the user; on the Developer API with v1alpha",
        lambda traits: traits.affective,
        "2.5",
    )
    proactive_audio: bool | None = _option(
        None,
        "proactivity.proactiveAudio",
        "let it keep silent where it was not meant; 3.8 always does and refuses the option",
        lambda traits: traits.proactive == "option",
        "2.5",
    )
    translate_to: str | None = _option(
        None,
        "generationConfig.translationConfig.targetLanguageCode",
        "the language to translate into",
        lambda traits: traits.translates,
        "live-translate",
    )
    echo_target_language: bool | None = _option(
        None,
        "generationConfig.translationConfig.echoTargetLanguage",
        "say again what was in that language already",
        lambda traits: traits.translates,
        "live-translate",
    )
    input_transcription: bool | Mapping[str, Any] = _option(
        True, "inputAudioTranscription", "write down what the user says; a mapping refines it (customVocabulary, ...)"
    )
    output_transcription: bool | Mapping[str, Any] = _option(
        True, "outputAudioTranscription", "write down what the model says"
    )
    start_sensitivity: Sensitivity | None = _option(
        None,
        "realtimeInputConfig.automaticActivityDetection.startOfSpeechSensitivity",
        "how soon sound counts as speech; comes before `TurnDetection.threshold`",
    )
    end_sensitivity: Sensitivity | None = _option(
        None,
        "realtimeInputConfig.automaticActivityDetection.endOfSpeechSensitivity",
        "how soon a pause ends the turn",
    )
    turn_coverage: Literal["activity", "all", "activity-and-video"] | None = _option(
        None, "realtimeInputConfig.turnCoverage", "what of the stream belongs to the user's turn"
    )
    compress_context: bool | Mapping[str, Any] = _option(
        True,
        "contextWindowCompression",
        "drop the oldest turns when the context is full; without it a session ends after 15 minutes, with video "
        "after 2. A mapping sets triggerTokens and slidingWindow",
    )
    resumption: bool = _option(True, "sessionResumption", "take the session up again after a lost connection")
    transparent: bool = _option(
        False, "sessionResumption.transparent", "ask for the index of the last message taken", None, "Vertex AI"
    )
    google_search: bool = _option(False, "tools.googleSearch", "let it search the web")
    google_maps: bool = _option(False, "tools.googleMaps", "let it look at maps")
    code_execution: bool = _option(False, "tools.codeExecution", "let it run code at Google")
    url_context: bool = _option(False, "tools.urlContext", "let it read the pages it is told of")
    server_tools: Sequence[Mapping[str, Any]] = _option(
        (), "tools", "further tools that Google runs, as they stand in `tools`"
    )
    safety_settings: Mapping[str, str] | Sequence[Mapping[str, Any]] = _option(
        (), "safetySettings", "what is blocked: {category: threshold}, or a list of the settings as on the wire"
    )
    labels: Mapping[str, str] | None = _option(None, "labels", "labels for billing", None, "Vertex AI")
    explicit_vad: bool = _option(
        False, "explicitVadSignal", "report when the user's speech begins and ends", None, "Vertex AI"
    )
    media_chunks: bool = _option(
        False, "realtimeInput.mediaChunks", "send sound and images the old way, for servers that know no other"
    )
    setup: Any = _option(
        None,
        "",
        "laid over the finished setup, key by key (tools are added): a mapping in either spelling, or google-genai's "
        "`LiveConnectConfig`",
    )

    @classmethod
    def of(cls, given: Mapping[str, Any], over: LiveOptions | None = None) -> LiveOptions:
        """Make options of names and values, over others.

        Raises:
            ConfigurationError: there is no such option.
        """
        unknown = sorted(set(given) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            names = ", ".join(field.name for field in dataclasses.fields(cls))
            raise ConfigurationError(f"Gemini Live has no option {unknown[0]!r}; there are {names}")
        return dataclasses.replace(over or cls(), **given)

    def check(self, traits: ModelTraits, model: str, *, vertex: bool) -> None:
        """Refuse what the model is known to refuse, before it closes the session on us.

        Raises:
            ConfigurationError: an option does not fit the model, or has no sensible value.
        """
        for field in dataclasses.fields(self):
            holds, only = field.metadata["holds"], field.metadata["only"]
            if getattr(self, field.name) == field.default:
                continue
            if only == "Vertex AI" and not vertex:
                raise ConfigurationError(f"option {field.name!r} is for Vertex AI: use VertexLiveTransport")
            if holds is not None and not holds(traits):
                raise ConfigurationError(
                    f"{model} refuses option {field.name!r} (it is for {only}): leave it out, "
                    "or say `traits=` if your model differs"
                )
        self._check_thinking(traits, model)

    def _check_thinking(self, traits: ModelTraits, model: str) -> None:
        if isinstance(self.thinking, bool) or not isinstance(self.thinking, int | str | None):
            raise ConfigurationError(f"thinking is {self.thinking!r}: give a budget in tokens or a level such as 'low'")
        if isinstance(self.thinking, str) and traits.thinking == "budget":
            raise ConfigurationError(f"{model} takes a thinking budget in tokens, not the level {self.thinking!r}")
        if isinstance(self.thinking, int) and traits.thinking == "level":
            raise ConfigurationError(f"{model} takes a thinking level such as 'low', not a budget of tokens")


class LiveSettings(TypedDict, total=False):
    """The same names, as keyword arguments of the transports; `LiveOptions` says what each means."""

    modality: Literal["AUDIO", "TEXT"]
    temperature: float | None
    top_p: float | None
    top_k: int | None
    max_output_tokens: int | None
    seed: int | None
    media_resolution: Literal["low", "medium", "high"] | None
    thinking: int | Literal["minimal", "low", "medium", "high", "xhigh"] | None
    include_thoughts: bool
    affective_dialog: bool | None
    proactive_audio: bool | None
    translate_to: str | None
    echo_target_language: bool | None
    input_transcription: bool | Mapping[str, Any]
    output_transcription: bool | Mapping[str, Any]
    start_sensitivity: Sensitivity | None
    end_sensitivity: Sensitivity | None
    turn_coverage: Literal["activity", "all", "activity-and-video"] | None
    compress_context: bool | Mapping[str, Any]
    resumption: bool
    transparent: bool
    google_search: bool
    google_maps: bool
    code_execution: bool
    url_context: bool
    server_tools: Sequence[Mapping[str, Any]]
    safety_settings: Mapping[str, str] | Sequence[Mapping[str, Any]]
    labels: Mapping[str, str] | None
    explicit_vad: bool
    media_chunks: bool
    setup: Any
