"""The user's turns, in the order in which they are taken."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duologue_cli.stdin import LineReader
    from duologue_cli.wav import Sound


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user says: `sound` is played into the session, without it `text` is typed."""

    text: str = ""
    sound: Sound | None = None

    @property
    def typed(self) -> bool:
        """Whether it goes to the session as text."""
        return self.sound is None


class TurnSource(Protocol):
    """Where turns come from."""

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""
        ...

    def poll(self) -> Turn | None:
        """Return the next turn, or None when there is none now."""
        ...


class GivenTurns:
    """Turns that are known from the start."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        self._turns = deque(turns)

    @property
    def ended(self) -> bool:
        """Whether all were taken."""
        return not self._turns

    def poll(self) -> Turn | None:
        """Return the next one."""
        return self._turns.popleft() if self._turns else None


class TypedTurns:
    """Turns that somebody types, one line each."""

    def __init__(self, lines: LineReader) -> None:
        self._lines = lines

    @property
    def ended(self) -> bool:
        """Whether the input has ended."""
        return self._lines.ended

    def poll(self) -> Turn | None:
        """Return the next line as a turn."""
        line = self._lines.poll()
        return None if line is None else Turn(line)
