"""Reply events: what an OpenAI Realtime server says about a reply and its items.

Source: the Realtime API reference, "Server events".
"""

from duologue_openai.items import Item, Part
from duologue_openai.response_object import ResponseObject
from duologue_openai.server_message import Server


class ResponseCreated(Server, tag="response.created", kw_only=True):
    """A reply begins."""

    response: ResponseObject


class ResponseDone(Server, tag="response.done", kw_only=True):
    """A reply is over, however it ended."""

    response: ResponseObject


class Piece(Server, kw_only=True):
    """What belongs to a reply's item."""

    response_id: str
    item_id: str
    output_index: int = 0


class OutputItemAdded(Server, tag="response.output_item.added", kw_only=True):
    """A reply gets another item."""

    item: Item
    response_id: str | None = None
    output_index: int = 0


class OutputItemDone(Server, tag="response.output_item.done", kw_only=True):
    """An item of a reply is whole, or will never be."""

    item: Item
    response_id: str | None = None
    output_index: int = 0


class PartAdded(Piece, tag="response.content_part.added", kw_only=True):
    """An item gets another part."""

    part: Part
    content_index: int = 0


class PartDone(Piece, tag="response.content_part.done", kw_only=True):
    """A part is whole."""

    part: Part
    content_index: int = 0


class AudioDelta(Piece, tag="response.output_audio.delta", gc=False, kw_only=True):
    """The next piece of speech."""

    delta: bytes
    content_index: int = 0


class AudioDone(Piece, tag="response.output_audio.done", kw_only=True):
    """No more speech of this part."""

    content_index: int = 0


class SpokenDelta(Piece, tag="response.output_audio_transcript.delta", kw_only=True):
    """The next words of the speech."""

    delta: str
    content_index: int = 0


class SpokenDone(Piece, tag="response.output_audio_transcript.done", kw_only=True):
    """All words of the speech."""

    transcript: str
    content_index: int = 0


class WrittenDelta(Piece, tag="response.output_text.delta", kw_only=True):
    """The next piece of a written reply."""

    delta: str
    content_index: int = 0


class WrittenDone(Piece, tag="response.output_text.done", kw_only=True):
    """The whole written reply."""

    text: str
    content_index: int = 0


class ArgumentsDelta(Piece, tag="response.function_call_arguments.delta", kw_only=True):
    """The next piece of a call's arguments."""

    delta: str
    call_id: str | None = None


class ArgumentsDone(Piece, tag="response.function_call_arguments.done", kw_only=True):
    """A call's arguments; whether they are whole, the item's status says."""

    arguments: str
    call_id: str | None = None
    name: str | None = None


class McpArgumentsDelta(Piece, tag="response.mcp_call_arguments.delta", kw_only=True):
    """The next piece of a remote call's arguments."""

    delta: str
    obfuscation: str | None = None


class McpArgumentsDone(Piece, tag="response.mcp_call_arguments.done", kw_only=True):
    """A remote call's arguments."""

    arguments: str


class McpItem(Server, kw_only=True):
    """News of an item of a remote server."""

    item_id: str
    output_index: int | None = None


class McpCallInProgress(McpItem, tag="response.mcp_call.in_progress", kw_only=True):
    """A remote call runs."""


class McpCallCompleted(McpItem, tag="response.mcp_call.completed", kw_only=True):
    """A remote call succeeded."""


class McpCallFailed(McpItem, tag="response.mcp_call.failed", kw_only=True):
    """A remote call failed."""


class McpListInProgress(McpItem, tag="mcp_list_tools.in_progress", kw_only=True):
    """A remote server is asked for its tools."""


class McpListCompleted(McpItem, tag="mcp_list_tools.completed", kw_only=True):
    """A remote server told its tools."""


class McpListFailed(McpItem, tag="mcp_list_tools.failed", kw_only=True):
    """A remote server did not tell its tools."""
