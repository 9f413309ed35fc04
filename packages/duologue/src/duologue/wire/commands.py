"""Commands: what a session is asked to do, as values that a codec turns into frames, or reads from them."""
# ruff: noqa: TC001, TC003 - the annotations of public types can be evaluated at run time

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from duologue.blocks import ContentBlock
from duologue.effects import AnswerCall, StopReply, Truncate
from duologue.tool import Tool
from duologue.transport import TurnDetection
from duologue.types import Message


@dataclass(frozen=True, slots=True)
class SendContent:
    """Add one block to the user's side."""

    block: ContentBlock


@dataclass(frozen=True, slots=True)
class CommitTurn:
    """End the user's turn and ask for a reply."""


@dataclass(frozen=True, slots=True)
class NotePlayback:
    """A reply began to leave the speaker (`started`), or was played to its end."""

    started: bool


@dataclass(frozen=True, slots=True)
class UpdateSession:
    """Change what is given; None leaves it as it is."""

    system: str | None = None
    tools: tuple[Tool, ...] | None = field(default=None, hash=False)
    turn_detection: TurnDetection | None = None


@dataclass(frozen=True, slots=True)
class ClearInput:
    """Forget audio that was sent but not committed."""


@dataclass(frozen=True, slots=True)
class ProviderCommand:
    """Something that only one provider knows; the mirror of `ProviderEvent`.

    Attributes:
        kind: the protocol's name of it.
        data: the rest of it, as the protocol has it.
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class AddMessage:
    """Add something that was said before, by either side; only server codecs make it."""

    message: Message


@dataclass(frozen=True, slots=True)
class SetUp:
    """What a client asks for when it opens a session; only server codecs make it.

    Attributes:
        model: the model's name as the client wrote it.
        system: the system prompt.
        tools: the tools the client offers; they have no handler.
        voice: the voice's name.
        input_format: media type of the audio it will send.
        output_format: media type of the audio it wants.
        turn_detection: who ends the user's turn.
        history: what was said before.
        resume: the handle of a session to take up again, "" for a new one.
        extra: everything else it asked for, by the protocol's own names.
    """

    model: str = ""
    system: str = ""
    tools: tuple[Tool, ...] = field(default=(), hash=False)
    voice: str | None = None
    input_format: str = "audio/pcm;rate=16000"
    output_format: str = "audio/pcm;rate=24000"
    turn_detection: TurnDetection | None = None
    history: tuple[Message, ...] = ()
    resume: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


Command: TypeAlias = (
    SendContent
    | CommitTurn
    | StopReply
    | AnswerCall
    | Truncate
    | NotePlayback
    | UpdateSession
    | ClearInput
    | ProviderCommand
)
ClientCommand: TypeAlias = Command | SetUp | AddMessage
