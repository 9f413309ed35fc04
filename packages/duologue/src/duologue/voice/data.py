"""What the façade hands out and takes: chunks, transcripts, calls and tool definitions."""
# ruff: noqa: TC003 - the annotations of public types can be evaluated at run time

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A piece of the assistant's speech, PCM16 mono.

    Attributes:
        data: the samples.
        duration_ms: how long they last.
        is_final: the reply's speech is over; this chunk may be empty.
    """

    data: bytes
    duration_ms: float = 0
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class TranscriptDelta:
    """A piece of what somebody said; the pieces of an utterance concatenate to its text.

    It is not the core's event of that name, which is `duologue.TranscriptDelta`.

    Attributes:
        text: the piece, which may be empty in the last one.
        is_final: the utterance is over.
        speaker: who spoke.
    """

    text: str
    is_final: bool = False
    speaker: Literal["assistant", "user"] = "assistant"


@dataclass(frozen=True, slots=True)
class ToolCallRequest:
    """A call of the model, as `on_tool_call` gets it."""

    call_id: str
    function_name: str
    arguments: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool without a function: `on_tool_call` answers its calls.

    Attributes:
        name: what the model calls it.
        description: what the model is told.
        parameters: the JSON schema of its arguments.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}}, hash=False)
