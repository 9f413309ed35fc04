"""Wire transcripts: one session of each kind of provider, frame by frame, as JSON lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

NAMES = ("gemini", "openai", "distiller", "gptlive")


@dataclass(frozen=True, slots=True)
class WireFrame:
    """One frame; `dir` is seen from us: "in" comes from the provider. `t` is in seconds since the dial."""

    t: float
    dir: Literal["in", "out"]
    frame: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Transcript:
    """A session with `provider`; `about` says what the data shows and where it comes from."""

    provider: str
    about: str
    frames: tuple[WireFrame, ...]

    def incoming(self) -> list[WireFrame]:
        """The frames a decoder gets."""
        return [frame for frame in self.frames if frame.dir == "in"]

    def outgoing(self) -> list[WireFrame]:
        """The frames we sent."""
        return [frame for frame in self.frames if frame.dir == "out"]


def load(name: str) -> Transcript:
    """Read a transcript from the file beside this module."""
    text = Path(__file__).with_name(f"{name}.jsonl").read_text(encoding="utf-8")
    head, *lines = (json.loads(line) for line in text.splitlines())
    return Transcript(head["provider"], head["about"], tuple(WireFrame(**line) for line in lines))
