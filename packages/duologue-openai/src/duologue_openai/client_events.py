"""Client events: what a client of OpenAI Realtime may say.

Source: the Realtime API reference, "Client events". Nothing of the beta that ended in May 2026 is here.
"""

from typing import TypeAlias

from msgspec import Struct

from duologue_openai.items import Item
from duologue_openai.response_object import ResponseConfig
from duologue_openai.session_object import SessionObject


class Client(Struct, tag_field="type", omit_defaults=True, kw_only=True):
    """One event; an error that it causes names its `event_id`."""

    event_id: str | None = None


class SessionUpdate(Client, tag="session.update", kw_only=True):
    """Change the session."""

    session: SessionObject


class InputAppend(Client, tag="input_audio_buffer.append", kw_only=True):
    """The next piece of the user's audio, 15 MiB at most."""

    audio: bytes


class InputCommit(Client, tag="input_audio_buffer.commit", kw_only=True):
    """Make an item of the audio so far, of which there must be 100 ms."""


class InputClear(Client, tag="input_audio_buffer.clear", kw_only=True):
    """Forget the audio so far."""


class ItemCreate(Client, tag="conversation.item.create", kw_only=True):
    """Add an item: at the end, at the beginning ("root"), or behind another."""

    item: Item
    previous_item_id: str | None = None


class ItemRetrieve(Client, tag="conversation.item.retrieve", kw_only=True):
    """Ask for an item as the server has it."""

    item_id: str


class ItemDelete(Client, tag="conversation.item.delete", kw_only=True):
    """Remove an item."""

    item_id: str


class ItemTruncate(Client, tag="conversation.item.truncate", kw_only=True):
    """Cut the assistant's audio down to what was heard; the item's text goes."""

    item_id: str
    content_index: int
    audio_end_ms: int


class ResponseCreate(Client, tag="response.create", kw_only=True):
    """Ask for a reply."""

    response: ResponseConfig | None = None


class ResponseCancel(Client, tag="response.cancel", kw_only=True):
    """Stop a reply."""

    response_id: str | None = None


class OutputClear(Client, tag="output_audio_buffer.clear", kw_only=True):
    """Stop what plays; over WebRTC and SIP only."""


ClientEvent: TypeAlias = (
    SessionUpdate
    | InputAppend
    | InputCommit
    | InputClear
    | ItemCreate
    | ItemRetrieve
    | ItemDelete
    | ItemTruncate
    | ResponseCreate
    | ResponseCancel
    | OutputClear
)
