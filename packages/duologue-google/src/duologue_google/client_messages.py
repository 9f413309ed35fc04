"""What the client sends (BidiGenerateContentClientMessage).

Source: the reference of the Live API at ai.google.dev/api/live, and its Vertex counterpart.
"""

from __future__ import annotations

from typing import Any

from duologue_google.content import Blob, Content, FunctionResponse, Wire


class FunctionDeclaration(Wire):
    """A function the model may call; `parameters` is a schema of the OpenAPI kind with upper-case types."""

    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    parameters_json_schema: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    behavior: str | None = None


class ToolEntry(Wire):
    """One entry of `tools`: functions, or something Google runs itself."""

    function_declarations: list[FunctionDeclaration] | None = None
    google_search: dict[str, Any] | None = None
    google_maps: dict[str, Any] | None = None
    code_execution: dict[str, Any] | None = None
    url_context: dict[str, Any] | None = None
    computer_use: dict[str, Any] | None = None
    file_search: dict[str, Any] | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    enterprise_web_search: dict[str, Any] | None = None
    parallel_ai_search: dict[str, Any] | None = None
    exa_ai_search: dict[str, Any] | None = None
    retrieval: dict[str, Any] | None = None


class PrebuiltVoice(Wire):
    """A voice of Google's, by its name."""

    voice_name: str | None = None


class VoiceConfig(Wire):
    """Which voice speaks."""

    prebuilt_voice_config: PrebuiltVoice | None = None
    replicated_voice_config: dict[str, Any] | None = None
    voice: str | None = None


class SpeechConfig(Wire):
    """How it speaks."""

    voice_config: VoiceConfig | None = None
    language_code: str | None = None


class ThinkingConfig(Wire):
    """How much the model thinks before it answers."""

    thinking_budget: int | None = None
    thinking_level: str | None = None
    include_thoughts: bool | None = None


class TranslationConfig(Wire):
    """For the models that translate."""

    target_language_code: str | None = None
    echo_target_language: bool | None = None


class GenerationConfig(Wire):
    """How the model generates."""

    response_modalities: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    media_resolution: str | None = None
    speech_config: SpeechConfig | None = None
    thinking_config: ThinkingConfig | None = None
    enable_affective_dialog: bool | None = None
    translation_config: TranslationConfig | None = None


class AutomaticActivityDetection(Wire):
    """How the server finds the user's turns; disabled, the client marks them."""

    disabled: bool | None = None
    start_of_speech_sensitivity: str | None = None
    end_of_speech_sensitivity: str | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None


class RealtimeInputConfig(Wire):
    """What the server does with what streams in."""

    automatic_activity_detection: AutomaticActivityDetection | None = None
    activity_handling: str | None = None
    turn_coverage: str | None = None
    interim_transcript_timestamp_enabled: bool | None = None


class TranscriptionConfig(Wire):
    """Asks for transcripts; empty is fine."""

    language_codes: list[str] | None = None
    custom_vocabulary: list[str] | None = None
    word_timestamp: bool | None = None
    diarization: bool | None = None
    mode: str | None = None
    source_text: str | None = None


class SessionResumption(Wire):
    """Asks for handles; with a handle, takes a session up again."""

    handle: str | None = None
    transparent: bool | None = None


class SlidingWindow(Wire):
    """How much is kept when the context is compressed; tokens are int64 and may come as text."""

    target_tokens: int | str | None = None


class ContextWindowCompression(Wire):
    """Drops the oldest turns, so that a session may last."""

    trigger_tokens: int | str | None = None
    sliding_window: SlidingWindow | None = None


class Proactivity(Wire):
    """Lets the model decide whether to answer at all."""

    proactive_audio: bool | None = None
    proactive_video: bool | None = None


class HistoryConfig(Wire):
    """Whether the first `clientContent` is history rather than a question."""

    initial_history_in_client_content: bool | None = None


class SafetySetting(Wire):
    """What is blocked, and from which probability on."""

    category: str | None = None
    threshold: str | None = None
    method: str | None = None


class Setup(Wire):
    """The first message, sent once."""

    model: str | None = None
    generation_config: GenerationConfig | None = None
    system_instruction: Content | None = None
    tools: list[ToolEntry] | None = None
    session_resumption: SessionResumption | None = None
    context_window_compression: ContextWindowCompression | None = None
    realtime_input_config: RealtimeInputConfig | None = None
    input_audio_transcription: TranscriptionConfig | None = None
    output_audio_transcription: TranscriptionConfig | None = None
    proactivity: Proactivity | None = None
    history_config: HistoryConfig | None = None
    avatar_config: dict[str, Any] | None = None
    safety_settings: list[SafetySetting] | None = None
    labels: dict[str, str] | None = None
    explicit_vad_signal: bool | None = None


class ClientContent(Wire):
    """Turns for the history; interrupts what is being generated."""

    turns: list[Content] | None = None
    turn_complete: bool | None = None


class Mark(Wire):
    """A message without content: its presence says it."""


class RealtimeInput(Wire):
    """What streams in; the official client sends one of these at a time."""

    audio: Blob | None = None
    video: Blob | None = None
    text: str | None = None
    activity_start: Mark | None = None
    activity_end: Mark | None = None
    audio_stream_end: bool | None = None
    media_chunks: list[Blob] | None = None


class ToolResponse(Wire):
    """Results of calls."""

    function_responses: list[FunctionResponse] | None = None


class ToolsUpdate(Wire):
    """The new tools; an empty list leaves none."""

    tools: list[ToolEntry] | None = None


class ContextUpdate(Wire):
    """Changes the running session."""

    system_instruction: Content | None = None
    tools: ToolsUpdate | None = None


class ClientMessage(Wire):
    """One message of the client; one of these."""

    setup: Setup | None = None
    client_content: ClientContent | None = None
    realtime_input: RealtimeInput | None = None
    tool_response: ToolResponse | None = None
    context_update: ContextUpdate | None = None
