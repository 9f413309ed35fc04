"""UserTurn: what the user's turn says when it is committed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.types import Message

from duologue_distiller.told import GO_ON, tell

if TYPE_CHECKING:
    from collections.abc import Sequence


class UserTurn:
    """The turn that is being made on a connection, and what is to be told in front of it.

    Args:
        tell_history: what was said before, and texts that asked for no reply, go in front of a typed turn.
        told: what was said before this connection.
        manual: a turn of audio ends by a commit.

    Attributes:
        audio: audio was sent since the last commit.
        heard: a response has begun on this connection.
    """

    def __init__(self, tell_history: bool, told: Sequence[Message], manual: bool) -> None:
        self.audio = self.heard = False
        self._tell_history = tell_history
        self._told = list(told) if tell_history else []
        self._manual = manual
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """The user types something."""
        if text.strip():
            self._texts.append(text)

    def commit(self) -> str:
        """The words of the turn, once; "" for one of audio."""
        texts, self._texts = self._texts, []
        audio, self.audio = self.audio, False
        if self._tell_history and (texts or self._told_asks(audio)):
            return self._telling(texts)
        return "\n\n".join(texts)

    def _told_asks(self, audio: bool) -> bool:
        """Whether a turn without words asks for an answer to what was told, and not to the audio that was sent.

        The link of a question was lost, or the result of a call is in the history already.
        """
        if not self._told or not audio:
            return bool(self._told)
        last = self._told[-1]
        if self._manual or (last.role == "user" and self.heard):
            return False
        return last.role == "user" or bool(last.calls)

    def _telling(self, texts: list[str]) -> str:
        """The last text, or the question that nobody has answered, and in front of it what has not been told."""
        told, self._told = [*self._told, *(Message("user", text) for text in texts)], []
        if told[-1].role == "user" and told[-1].text.strip():
            return tell(told[:-1], told[-1].text)
        return tell(told, GO_ON)
