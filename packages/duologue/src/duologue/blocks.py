"""Blocks: the pieces of content that travel in either direction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A piece of text."""

    text: str


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """A piece of audio.

    `data` is signed 16-bit little-endian mono PCM (PCM16) unless `media_type` says otherwise.
    A bare `audio/pcm` has the rate agreed for the session (`RealtimeAgent.input_audio_format`);
    `audio/pcm;rate=48000` carries its own.
    """

    data: bytes
    media_type: str = "audio/pcm"


@dataclass(frozen=True, slots=True)
class ImageBlock:
    """A still image, or one frame of a video; `data` is the encoded file."""

    data: bytes
    media_type: str = "image/jpeg"


@dataclass(frozen=True, slots=True)
class ToolUseBlock:
    """One complete call of a tool: what `ToolCallAssembler` makes of its fragments."""

    id: str
    name: str
    input: dict[str, Any] = field(hash=False)


ContentBlock: TypeAlias = TextBlock | AudioBlock | ImageBlock
