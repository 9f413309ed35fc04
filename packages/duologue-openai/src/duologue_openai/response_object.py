"""ResponseObject: a reply as the wire has it, and what one may be asked for.

Source: the Realtime API reference, `response.create`, `response.created` and `response.done`.
"""

from typing import Any

from msgspec import Struct

from duologue_openai.items import Item
from duologue_openai.session_object import Audio


class ResponseConfig(Struct, omit_defaults=True, kw_only=True):
    """How one reply differs from the session's settings.

    Attributes:
        conversation: "auto", or "none" for a reply that the conversation never hears of.
        input: what it is made from instead of the conversation; `[]` is nothing at all.
        metadata: up to 16 pairs of strings, given back with the reply.
    """

    conversation: str | None = None
    input: list[Item] | None = None
    instructions: str | None = None
    output_modalities: list[str] | None = None
    audio: Audio | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | str | None = None
    metadata: dict[str, str] | None = None
    reasoning: dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None


class ResponseObject(Struct, omit_defaults=True, kw_only=True):
    """A reply: `status` is in_progress, completed, cancelled, failed or incomplete."""

    id: str
    object: str | None = None
    status: str | None = None
    status_details: dict[str, Any] | None = None
    output: list[Item] | None = None
    conversation_id: str | None = None
    output_modalities: list[str] | None = None
    max_output_tokens: int | str | None = None
    audio: Audio | None = None
    metadata: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
