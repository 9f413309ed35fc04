"""Exchange: what both halves of a connection's codec must know of each other: the reply, the calls, the gate."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

GATE_LIMIT_S = 60.0
"""Seconds of microphone that are dropped for one blocking call; then the model hears again, whatever it makes of it."""

REMEMBERED = 1024
"""Open calls, and withdrawn ones, that are kept: a peer that opens more has given the oldest up."""


@dataclass(slots=True)
class Exchange:
    """The state of one connection.

    Attributes:
        gates: realtime input is not allowed while a blocking call is open.
        blocking: which functions the model waits for, by name.
        default_blocking: the same for functions nobody declared.
        replying: the model has begun a turn that it has not ended.
        ended: how many turns it has ended.
        own_cut: the next `interrupted` is our doing and no sign of speech.
        muted: output of the reply is dropped: it was stopped here, and this model can't be told.
        muted_dropped: pieces of speech dropped that way.
        calls: open calls, id to name; `invented` holds those whose id we made up.
        dropped: blocks of realtime input dropped at the gate.
    """

    gates: bool = False
    blocking: dict[str, bool] = field(default_factory=dict)
    default_blocking: bool = True
    replying: bool = False
    ended: int = 0
    own_cut: bool = False
    muted: bool = False
    muted_dropped: int = 0
    calls: dict[str, str] = field(default_factory=dict)
    invented: set[str] = field(default_factory=set)
    dropped: int = 0
    _withdrawn: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _waiting: set[str] = field(default_factory=set)
    _dropped_s: float = 0.0
    _numbered: int = 0

    @property
    def gated(self) -> bool:
        """Whether realtime input has to wait for the result of a call."""
        return bool(self._waiting)

    def called(self, call_id: str | None, name: str) -> str:
        """The model calls; return the call's id."""
        if not call_id:
            self._numbered += 1
            call_id = f"{name}-{self._numbered}"  # Vertex may leave it out
            self.invented.add(call_id)
        self.calls[call_id] = name
        if len(self.calls) > REMEMBERED:
            oldest = next(iter(self.calls))
            self.answered(oldest)
            self.invented.discard(oldest)
        if self.gates and self.blocks(name):
            if not self._waiting:
                self._dropped_s = 0.0
            self._waiting.add(call_id)
        return call_id

    def blocks(self, name: str) -> bool:
        """Whether the model waits for this function."""
        return self.blocking.get(name, self.default_blocking)

    def answered(self, call_id: str) -> str | None:
        """A result is sent; return the function's name, None where no such call is open."""
        self._waiting.discard(call_id)
        return self.calls.pop(call_id, None)

    def withdrawn(self, call_id: str) -> str:
        """The model takes a call back; return the function's name, "" where no such call is open."""
        self._withdrawn[call_id] = None
        while len(self._withdrawn) > REMEMBERED:
            self._withdrawn.popitem(last=False)
        self.invented.discard(call_id)
        return self.answered(call_id) or ""

    def was_withdrawn(self, call_id: str) -> bool:
        """Whether the model took this call back."""
        return call_id in self._withdrawn

    def drop(self, seconds: float) -> bool:
        """Count input that the gate holds off; False where it has been shut for too long and opens."""
        if self._dropped_s + seconds > GATE_LIMIT_S:
            log.warning(
                "%s is not answered after %g s: realtime input goes out again, though the model may refuse it",
                ", ".join(sorted(self.calls.get(call_id, call_id) for call_id in self._waiting)),
                GATE_LIMIT_S,
            )
            self._waiting.clear()
            return False
        self._dropped_s += seconds
        self.dropped += 1
        return True

    def reply_ended(self) -> None:
        """The model ended its turn."""
        self.replying = self.own_cut = self.muted = False
        self.ended += 1
