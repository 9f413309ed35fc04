"""Server: what all events of an OpenAI Realtime server have in common."""

from msgspec import Struct


class Server(Struct, tag_field="type", omit_defaults=True, kw_only=True):
    """One event."""

    event_id: str | None = None
