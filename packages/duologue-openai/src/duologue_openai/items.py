"""Items: what a conversation consists of, as the wire has it.

One struct for every kind of item and one for every kind of content: a kind that is newer than this module keeps what
it shares with the others, and does not make the message around it unreadable.

Source: the Realtime API reference, `conversation.item.create`.
"""

from typing import Any

from msgspec import Struct


class Part(Struct, omit_defaults=True, kw_only=True):
    """A piece of an item's content.

    Attributes:
        type: input_text, input_audio, input_image, output_text, output_audio; in content_part events text or audio.
        text: of the two text kinds.
        audio: of the audio kinds, only when an item is retrieved or made by the client.
        transcript: what the audio says; None while it is not known.
        image_url: a `data:` URL.
        detail: how closely an image is looked at.
    """

    type: str
    text: str | None = None
    audio: bytes | None = None
    transcript: str | None = None
    image_url: str | None = None
    detail: str | None = None


class Item(Struct, omit_defaults=True, kw_only=True):
    """A message, a call, its output, or what remote tools (MCP) add.

    Attributes:
        type: message, function_call, function_call_output, mcp_list_tools, mcp_call, mcp_approval_request,
            mcp_approval_response; item_reference in the input of a response.
        id: of the provider, or of the client (32 characters at most).
        object: "realtime.item", from the provider.
        status: in_progress, completed or incomplete.
        role: of a message: system, user or assistant.
        content: of a message.
        phase: of a reasoning model's message: commentary or final_answer.
        name: of the function or remote tool.
        call_id: of a call and its output.
        arguments: of a call, as JSON text.
        output: of a call's output, and of a remote call.
        server_label: which remote server.
        tools: what a remote server offers.
        error: what went wrong at a remote server.
        approval_request_id: which request is answered.
        approve: whether it is granted.
        reason: why.
    """

    type: str
    id: str | None = None
    object: str | None = None
    status: str | None = None
    role: str | None = None
    content: list[Part] | None = None
    phase: str | None = None
    name: str | None = None
    call_id: str | None = None
    arguments: str | None = None
    output: str | None = None
    server_label: str | None = None
    tools: list[dict[str, Any]] | None = None
    error: Any = None
    approval_request_id: str | None = None
    approve: bool | None = None
    reason: str | None = None
