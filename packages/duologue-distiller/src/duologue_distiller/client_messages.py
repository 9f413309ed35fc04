"""What a client of the Realtime Distiller sends: JSON objects with a `type`, as text frames.

The answer of a custom agent is the one message without a `type`; it has a `request_type` instead, like those of the
text API, which share the address.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct


class ClientMessage(Struct, tag_field="type", omit_defaults=True):
    """One message of the client."""


class InputText(ClientMessage, tag="input_text"):
    """A typed turn, which asks for a reply."""

    text: str | None = None


class AppendAudio(ClientMessage, tag="input_audio_buffer.append"):
    """The next piece of the user's audio: PCM16 mono, 16 kHz."""

    audio: bytes | None = None


class CommitAudio(ClientMessage, tag="input_audio_buffer.commit"):
    """What was appended is to be heard now."""


class ClearAudio(ClientMessage, tag="input_audio_buffer.clear"):
    """Forget what was appended and not committed."""


class UpdateRecording(ClientMessage, tag="session.update"):
    """A recording begins whose commits come regularly; the message is always empty."""


class CancelResponse(ClientMessage, tag="response.cancel"):
    """Stop the speech of the agent that speaks; the next one goes on."""


class PlaybackStarted(ClientMessage, tag="playback.started"):
    """Speech begins to leave the loudspeaker."""


class PlaybackStopped(ClientMessage, tag="playback.stopped"):
    """Speech was played to its end."""


class Pong(ClientMessage, tag="PONG"):
    """The answer to a PING."""


class RequestArguments(Struct):
    """What an `ExecutorResult` brings; nulls are sent."""

    query: str | None = ""
    image: Any = None
    content: str | None = None
    memory_updates: dict[str, Any] | None = None


class ExecutorResult(Struct):
    """The answer of a custom agent, or another request of the text API."""

    account: str | None = ""
    request_type: str = "executor"
    project: str | None = ""
    uuid: str | None = ""
    request_args: RequestArguments | None = None
    role: str | None = ""
    request_id: str | None = ""


AnyClientMessage: TypeAlias = (
    InputText
    | AppendAudio
    | CommitAudio
    | ClearAudio
    | UpdateRecording
    | CancelResponse
    | PlaybackStarted
    | PlaybackStopped
    | Pong
)
