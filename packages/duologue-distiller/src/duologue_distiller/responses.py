"""Responses: which response an end belongs to, in a protocol that names none. Pure.

Per turn there is one `response.created` and one `response.done`. A response that we stopped may still owe its
`response.done` when the next one begins: that one ends nothing then.
"""

from __future__ import annotations

from duologue.types import StopReason


class Responses:
    """The response that is being made, as far as frames without ids tell.

    Attributes:
        active: one was created and neither done nor interrupted.
        cancelled: we stopped the agent that speaks.
        cut: the user cut in; what still comes is not heard.
        over: the last one was cut or stopped, and is over; what still comes before the next begins is late.
        asked: we asked for a response that was not created yet.
    """

    def __init__(self) -> None:
        self.active = False
        self.cancelled = False
        self.cut = False
        self.over = False
        self.asked = False
        self._said = False
        self._owes_end = False
        self._unended = False

    @property
    def muted(self) -> bool:
        """Whether speech that comes now belongs to something that was stopped."""
        return self.cancelled or self.cut

    def created(self) -> StopReason | None:
        """A response begins; tell how the one before it ended, if that one never did."""
        if self.active and not self._said and not self.muted:
            return None  # said twice
        ended = self._reason() if self._unended else None
        self._owes_end = self._unended
        self.active = self._unended = True
        self.cancelled = self.cut = self.over = self.asked = self._said = False
        return ended

    def spoke(self) -> None:
        """Something of a response came."""
        self._said = self._unended = True

    def interrupted(self) -> None:
        """The user cut in."""
        self.active = False
        self.cut = self._unended = True

    def next_agent(self) -> None:
        """The agent that we stopped is over, another one speaks."""
        self.cancelled = False
        self._said = True

    def done(self) -> StopReason | None:
        """A response is over; None, where it is one that ended long ago."""
        if self._owes_end and not self._said and not self.cut:
            self._owes_end = False
            return None
        if not self._unended and not self.asked:
            return None
        reason = self._reason()
        self.over = self.muted
        if not self._unended:
            self.asked = False
        self.active = self.cancelled = self.cut = self._said = self._unended = self._owes_end = False
        return reason

    def failed(self) -> bool:
        """The server reports an error; tell whether it ends a response, or one that was asked for."""
        if not self._unended and not self.asked:
            return False
        self.active = self.cancelled = self.cut = self.asked = self._said = self._unended = False
        self._owes_end = True
        return True

    def _reason(self) -> StopReason:
        return StopReason.interrupted if self.muted else StopReason.end_turn
