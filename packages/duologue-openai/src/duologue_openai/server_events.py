"""Server events: what an OpenAI Realtime server may say. Every one has a `type` and an `event_id`.

Source: the Realtime API reference, "Server events".
"""

from typing import Any, TypeAlias

from msgspec import Struct

from duologue_openai import reply_events as r
from duologue_openai.items import Item
from duologue_openai.server_message import Server
from duologue_openai.session_object import SessionObject

# -- the session ---------------------------------------------------------------------------------------


class SessionCreated(Server, tag="session.created", kw_only=True):
    """The session stands, with its default settings."""

    session: SessionObject


class SessionUpdated(Server, tag="session.updated", kw_only=True):
    """The settings were changed; all of them."""

    session: SessionObject


class Fault(Struct, omit_defaults=True, kw_only=True):
    """What went wrong; `event_id` names the client's event that caused it."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None
    event_id: str | None = None


class ErrorEvent(Server, tag="error", kw_only=True):
    """Something went wrong; most often the session goes on."""

    error: Fault


class RateLimitsUpdated(Server, tag="rate_limits.updated", kw_only=True):
    """What is left of the quota."""

    rate_limits: list[dict[str, Any]]


# -- the conversation ----------------------------------------------------------------------------------


class ConversationCreated(Server, tag="conversation.created", kw_only=True):
    """The conversation exists."""

    conversation: dict[str, Any]


class ItemAdded(Server, tag="conversation.item.added", kw_only=True):
    """An item is in the conversation, maybe not whole yet."""

    item: Item
    previous_item_id: str | None = None


class ItemDone(Server, tag="conversation.item.done", kw_only=True):
    """An item is whole."""

    item: Item
    previous_item_id: str | None = None


class ItemCreated(Server, tag="conversation.item.created", kw_only=True):
    """An item is in the conversation, as older servers say it."""

    item: Item
    previous_item_id: str | None = None


class ItemRetrieved(Server, tag="conversation.item.retrieved", kw_only=True):
    """An item that was asked for."""

    item: Item


class ItemDeleted(Server, tag="conversation.item.deleted", kw_only=True):
    """An item is gone."""

    item_id: str


class ItemTruncated(Server, tag="conversation.item.truncated", kw_only=True):
    """An item was cut."""

    item_id: str
    content_index: int = 0
    audio_end_ms: int = 0


class HeardDelta(Server, tag="conversation.item.input_audio_transcription.delta", kw_only=True):
    """The next words of the user."""

    item_id: str
    delta: str | None = None
    content_index: int = 0
    logprobs: list[Any] | None = None


class HeardCompleted(Server, tag="conversation.item.input_audio_transcription.completed", kw_only=True):
    """All that the user said."""

    item_id: str
    transcript: str
    content_index: int = 0
    usage: dict[str, Any] | None = None
    logprobs: list[Any] | None = None
    languages: list[Any] | None = None


class HeardSegment(Server, tag="conversation.item.input_audio_transcription.segment", kw_only=True):
    """A part of what was said, by one of several speakers."""

    item_id: str
    content_index: int = 0
    id: str | None = None
    start: float | None = None
    end: float | None = None
    speaker: str | None = None
    text: str | None = None


class HeardFailed(Server, tag="conversation.item.input_audio_transcription.failed", kw_only=True):
    """What the user said could not be written down."""

    item_id: str
    error: Fault
    content_index: int = 0


# -- the input buffer ----------------------------------------------------------------------------------


class InputCommitted(Server, tag="input_audio_buffer.committed", kw_only=True):
    """The audio so far becomes an item."""

    item_id: str
    previous_item_id: str | None = None


class InputCleared(Server, tag="input_audio_buffer.cleared", kw_only=True):
    """The audio so far is forgotten."""


class UserBegan(Server, tag="input_audio_buffer.speech_started", kw_only=True):
    """The user began to speak, so many ms into the audio that was sent."""

    item_id: str
    audio_start_ms: int = 0


class UserEnded(Server, tag="input_audio_buffer.speech_stopped", kw_only=True):
    """The user stopped speaking."""

    item_id: str
    audio_end_ms: int = 0


class InputTimeout(Server, tag="input_audio_buffer.timeout_triggered", kw_only=True):
    """The user said nothing for so long that the model speaks up."""

    item_id: str
    audio_start_ms: int = 0
    audio_end_ms: int = 0


class InputDtmf(Server, tag="input_audio_buffer.dtmf_event_received", kw_only=True):
    """A key of a telephone was pressed."""

    event: str | None = None
    received_at: int | None = None


class OutputStarted(Server, tag="output_audio_buffer.started", kw_only=True):
    """The reply plays; over WebRTC and SIP only, like the next two."""

    response_id: str | None = None


class OutputStopped(Server, tag="output_audio_buffer.stopped", kw_only=True):
    """The reply was played."""

    response_id: str | None = None


class OutputCleared(Server, tag="output_audio_buffer.cleared", kw_only=True):
    """What was to be played is forgotten."""

    response_id: str | None = None


ServerEvent: TypeAlias = (
    r.AudioDelta
    | r.SpokenDelta
    | r.SpokenDone
    | r.AudioDone
    | r.WrittenDelta
    | r.WrittenDone
    | r.ArgumentsDelta
    | r.ArgumentsDone
    | r.ResponseCreated
    | r.ResponseDone
    | r.OutputItemAdded
    | r.OutputItemDone
    | r.PartAdded
    | r.PartDone
    | SessionCreated
    | SessionUpdated
    | ErrorEvent
    | RateLimitsUpdated
    | ConversationCreated
    | ItemAdded
    | ItemDone
    | ItemCreated
    | ItemRetrieved
    | ItemDeleted
    | ItemTruncated
    | HeardDelta
    | HeardCompleted
    | HeardSegment
    | HeardFailed
    | InputCommitted
    | InputCleared
    | UserBegan
    | UserEnded
    | InputTimeout
    | InputDtmf
    | OutputStarted
    | OutputStopped
    | OutputCleared
    | r.McpArgumentsDelta
    | r.McpArgumentsDone
    | r.McpCallInProgress
    | r.McpCallCompleted
    | r.McpCallFailed
    | r.McpListInProgress
    | r.McpListCompleted
    | r.McpListFailed
)
