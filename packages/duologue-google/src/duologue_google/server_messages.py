"""What the server sends (BidiGenerateContentServerMessage).

Source: the reference of the Live API at ai.google.dev/api/live, and its Vertex counterpart.
"""

from __future__ import annotations

from typing import Any

from duologue_google.content import Content, FunctionCall, Wire


class SetupComplete(Wire):
    """The session is open."""

    session_id: str | None = None
    voice_consent_signature: dict[str, Any] | None = None


class Transcription(Wire):
    """A piece of what somebody says."""

    text: str | None = None
    finished: bool | None = None
    language_code: str | None = None
    speaker_label: str | None = None
    words: list[dict[str, Any]] | None = None
    start_offset: str | None = None
    end_offset: str | None = None


class ServerContent(Wire):
    """Output of the model and news of its turn; several at once are common."""

    model_turn: Content | None = None
    input_transcription: Transcription | None = None
    output_transcription: Transcription | None = None
    interim_input_transcription: Transcription | None = None
    generation_complete: bool | None = None
    interrupted: bool | None = None
    turn_complete: bool | None = None
    turn_complete_reason: str | None = None
    waiting_for_input: bool | None = None
    interaction_status: str | None = None
    grounding_metadata: dict[str, Any] | None = None
    url_context_metadata: dict[str, Any] | None = None


class ToolCall(Wire):
    """Calls for the client to run."""

    function_calls: list[FunctionCall] | None = None


class ToolCallCancellation(Wire):
    """Calls that were withdrawn and are not to be answered."""

    ids: list[str] | None = None


class GoAway(Wire):
    """The connection will be closed; `time_left` is a duration such as "50s"."""

    time_left: str | None = None


class SessionResumptionUpdate(Wire):
    """How the session can be taken up again; only a `new_handle` with `resumable` counts."""

    new_handle: str | None = None
    resumable: bool | None = None
    last_consumed_client_message_index: int | str | None = None


class VoiceActivity(Wire):
    """The user began to speak, or stopped: "ACTIVITY_START" or "ACTIVITY_END"."""

    type: str | None = None
    audio_offset: str | None = None


class VoiceActivityDetectionSignal(Wire):
    """The same for projects on a list of Google's."""

    vad_signal_type: str | None = None


class ModalityCount(Wire):
    """Tokens of one modality."""

    modality: str | None = None
    token_count: int | None = None


class UsageMetadata(Wire):
    """Tokens counted; Vertex calls the model's own `candidates...`, the Developer API `response...`."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    response_token_count: int | None = None
    candidates_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    thoughts_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    cache_tokens_details: list[ModalityCount] | None = None
    response_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None
    tool_use_prompt_tokens_details: list[ModalityCount] | None = None
    service_tier: str | None = None
    traffic_type: str | None = None


class ServerMessage(Wire):
    """One message of the server; `usage_metadata` may ride along with any."""

    setup_complete: SetupComplete | None = None
    server_content: ServerContent | None = None
    tool_call: ToolCall | None = None
    tool_call_cancellation: ToolCallCancellation | None = None
    go_away: GoAway | None = None
    session_resumption_update: SessionResumptionUpdate | None = None
    voice_activity: VoiceActivity | None = None
    voice_activity_detection_signal: VoiceActivityDetectionSignal | None = None
    usage_metadata: UsageMetadata | None = None
