"""Small values shared by events and history."""
# ruff: noqa: TC003 - the annotations of public types can be evaluated at run time

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, TypeAlias

Role: TypeAlias = Literal["user", "assistant"]


class StopReason(Enum):
    """Why a turn of the model ended."""

    end_turn = "end_turn"
    tool_use = "tool_use"
    interrupted = "interrupted"
    max_tokens = "max_tokens"
    refusal = "refusal"
    error = "error"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens the provider counted for one turn; `details` is the provider's own break-down."""

    input_tokens: int = 0
    output_tokens: int = 0
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class WordTime:
    """Where a word of the assistant's speech ends, in ms from the first audio frame of its response.

    In a session without turns (`Capabilities.has_turns` is False): from the first audio frame of the session.
    """

    text: str
    end_ms: float


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A tool call as the history keeps it; `result` is what the model was told, None while it waits."""

    id: str
    name: str
    input: Mapping[str, Any] = field(hash=False)
    result: str | None = None
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the history.

    Attributes:
        role: "user" or "assistant".
        text: what was said; an interrupted reply holds only the words that were heard.
        item_id: the provider's (or our) id of the utterance.
        started_at: seconds on the session clock when the speech began; entries are ordered by it.
        heard: False when the reply was cut before its end.
        calls: tool calls the assistant made in this reply.
    """

    role: Role
    text: str
    item_id: str = ""
    started_at: float | None = None
    heard: bool = True
    calls: tuple[CallRecord, ...] = ()
