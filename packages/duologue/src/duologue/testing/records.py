"""Records: what a session was asked to do, as values to compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from duologue.blocks import ContentBlock


@dataclass(frozen=True, slots=True)
class ContentSent:
    """`send(content)`."""

    content: ContentBlock | list[ContentBlock]


@dataclass(frozen=True, slots=True)
class Committed:
    """`commit()`."""


@dataclass(frozen=True, slots=True)
class ReplyStopped:
    """`interrupt()`."""


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """`send_tool_result(...)`."""

    tool_use_id: str
    name: str
    content: str | list[ContentBlock]


@dataclass(frozen=True, slots=True)
class Truncated:
    """`truncate(...)`."""

    item_id: str
    heard_ms: int


@dataclass(frozen=True, slots=True)
class PlaybackNoticed:
    """`playback_started()` or `playback_stopped()`."""

    started: bool


Record: TypeAlias = ContentSent | Committed | ReplyStopped | CallAnswered | Truncated | PlaybackNoticed
