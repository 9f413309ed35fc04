"""Controls: what somebody in front of the terminal can see of a live conversation, and do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Status:
    """How a live conversation stands.

    Attributes:
        now: seconds since it began.
        playing: the agent can be heard.
        microphone_db: level of what is sent, in dB below full scale.
        speaker_db: level of what is played.
        muted: nothing of the microphone is sent.
        push_to_talk: the microphone is heard only while `talking`.
        talking: the key of push-to-talk is down.
        counters: what was lost or went wrong so far, by name; only what happened.
    """

    now: float
    playing: bool
    microphone_db: float
    speaker_db: float
    muted: bool
    push_to_talk: bool
    talking: bool
    counters: Mapping[str, int]


class Controls(Protocol):
    """What keys do. Every call returns at once; what takes time goes on in the conversation's own task."""

    def status(self) -> Status:
        """How it stands."""
        ...

    def mute(self, muted: bool) -> None:
        """Send silence instead of the microphone, or the microphone again."""
        ...

    def push_to_talk(self, wanted: bool) -> None:
        """Hear the microphone only between `talk(True)` and `talk(False)`, or all the time again."""
        ...

    def talk(self, pressed: bool) -> None:
        """Begin to speak, which cuts the agent short, or end it."""
        ...

    def interrupt(self) -> None:
        """Cut the agent short."""
        ...

    def type(self, text: str) -> None:
        """Say something in writing, which cuts the agent short."""
        ...
