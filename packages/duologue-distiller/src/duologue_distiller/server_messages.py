"""What the Realtime Distiller sends: JSON objects with a `type`, as text frames; a call of a custom agent has none.

Any field may be null or missing, and others may be there. Two pairs of names say the same: `audio` and `delta` of
a piece of speech, `content` and `text` of a piece of text.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct


class ServerMessage(Struct, tag_field="type", omit_defaults=True):
    """One message of the server."""


class ServerAbilities(Struct, omit_defaults=True):
    """What the server can do."""

    vad_enabled: bool | None = None


class SessionCreated(ServerMessage, tag="session.created"):
    """The session stands."""

    capabilities: ServerAbilities | None = None


class UserTranscript(ServerMessage, tag="response.audio_transcript.delta"):
    """The next piece of what the user said."""

    delta: str | None = None
    text: str | None = None


class UserTranscriptDone(ServerMessage, tag="response.audio_transcript.done"):
    """All that the user said."""

    text: str | None = None
    delta: str | None = None


class ResponseCreated(ServerMessage, tag="response.created"):
    """A response begins."""


class ResponseText(ServerMessage, tag="response.text.delta"):
    """The next piece of what the agent `role` says."""

    content: str | None = None
    role: str | None = None
    text: str | None = None


class ResponseTextDone(ServerMessage, tag="response.text.done"):
    """The text of the response is complete."""

    text: str | None = None


class ResponseAudio(ServerMessage, tag="response.audio.delta"):
    """The next piece of speech."""

    audio: bytes | None = None
    delta: bytes | None = None


class ResponseAudioDone(ServerMessage, tag="response.audio.done"):
    """The speech of the response is complete."""


class ResponseInterrupted(ServerMessage, tag="response.interrupted"):
    """The user cut in; a `response.done` follows."""


class ResponseDone(ServerMessage, tag="response.done"):
    """The response is over."""


class Ping(ServerMessage, tag="PING"):
    """Are you there?"""


class Failed(ServerMessage, tag="error"):
    """Something went wrong; there are no codes."""

    error: Any = None
    error_detail: Any = None
    message: Any = None

    def reason(self) -> str:
        """What went wrong, in the server's words."""
        detail = self.error_detail.get("message") if isinstance(self.error_detail, dict) else self.error_detail
        error = self.error.get("message") if isinstance(self.error, dict) else self.error
        return next((str(said) for said in (detail, error, self.message) if said), "no reason given")


class AgentCall(Struct, omit_defaults=True):
    """A custom agent is to do something: the one message without a `type`."""

    role: str | None = None
    status: str | None = None
    request_id: str | None = None
    kwargs: dict[str, Any] | None = None


AnyServerMessage: TypeAlias = (
    SessionCreated
    | UserTranscript
    | UserTranscriptDone
    | ResponseCreated
    | ResponseText
    | ResponseTextDone
    | ResponseAudio
    | ResponseAudioDone
    | ResponseInterrupted
    | ResponseDone
    | Ping
    | Failed
)
