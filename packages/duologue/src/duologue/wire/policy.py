"""LinkPolicy: when a session leaves its connection, when it dials again, and when it gives up. Pure.

    live ──(going away, or a known limit is near)──▶ leaving ──(nobody speaks, or the deadline)──▶ switching or down
    live, leaving ──(the link is lost)──▶ down ──(dialled, accepted)──▶ live
    down ──(refused for good, or too many attempts)──▶ over

*Down* has no connection: the old one was lost, or closed at a silent boundary before the new one is dialled.
*Switching*, where the provider lets two connections of a session overlap, keeps the old one until the new one stands.
Time comes in as an argument, in seconds; what is to be done goes out as effects.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from duologue.errors import ConfigurationError, ConnectionLost, DuologueError, LinkError, RateLimited
from duologue.events import GoingAway, Reconnected, Reconnecting
from duologue.wire.quiet import Quiet

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.events import Event

TimerName: TypeAlias = Literal["limit", "leave", "look"]

LOOK_AGAIN = 0.25
"""Seconds between two looks for a silent moment, where no event tells that it has come."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Open a connection after so many seconds; `fresh` means without a handle."""

    after: float = 0.0
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """The new connection stands: use it, and close the old one where there still is one."""


@dataclass(frozen=True, slots=True)
class CloseOld:
    """Close the connection that is in use; a new one is dialled next."""


@dataclass(frozen=True, slots=True)
class DropNew:
    """Close the new connection, the old one has gone on meanwhile."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The session is over."""

    error: DuologueError


@dataclass(frozen=True, slots=True)
class Tell:
    """Report this event."""

    event: Event


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Call `timer(name)` at this time; replaces a timer of that name."""

    name: TimerName
    at: float


LinkEffect: TypeAlias = Dial | Switch | CloseOld | DropNew | GiveUp | Tell | SetTimer


class LinkPolicy:
    """The state of a session's connections; one for each session.

    Args:
        max_connection_s: how long the provider keeps a connection, where that is known.
        lead_s: how long before that limit a silent moment is looked for.
        margin_s: how long before the announced or known end the connection is left even in mid-sentence.
        overlap: the provider allows two connections of one session at a time.
        attempts: how often in a row a connection is tried, the first one included.
        first_delay: seconds before the second attempt; the first one is made at once.
        max_delay: the longest delay; each is twice the one before.
        jitter: by how much of itself a delay is shortened at random, so that a thousand clients don't return at once.
        stable_s: seconds a connection must have stood for its loss to count as the first one in a row.
        connect_s: seconds that the provider has for accepting a connection.
        gap_audio_s: seconds of microphone kept while there is no connection, the oldest dropped first and counted.
        chance: where the jitter comes from, 0 to 1.
    """

    def __init__(
        self,
        *,
        max_connection_s: float | None = None,
        lead_s: float = 60.0,
        margin_s: float = 1.0,
        overlap: bool = False,
        attempts: int = 8,
        first_delay: float = 0.5,
        max_delay: float = 8.0,
        jitter: float = 0.5,
        stable_s: float = 5.0,
        connect_s: float = 10.0,
        gap_audio_s: float = 10.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.max_connection_s = max_connection_s
        self.lead_s = lead_s
        self.margin_s = margin_s
        self.overlap = overlap
        self.attempts = attempts
        self.first_delay = first_delay
        self.max_delay = max_delay
        self.jitter = jitter
        self.stable_s = stable_s
        self.connect_s = connect_s
        self.gap_audio_s = gap_audio_s
        self.quiet = Quiet()
        """Whether somebody speaks or waits for an answer; the session tells it what is sent and received."""
        self._chance = chance
        self.state: Literal["new", "live", "leaving", "switching", "down", "over"] = "new"
        self._attempt = 0
        self._accepted_at = 0.0
        self._left_at = 0.0
        self._leave_by: float | None = None
        self._why = ""

    # -- what happens ---------------------------------------------------------------------------------

    def accepted(self, now: float, *, resumed: bool, stale: bool = False) -> list[LinkEffect]:
        """The provider took the new connection.

        `stale` tells that the old one went on after the new one was told what there was to know.
        """
        if self.state == "over":
            return [DropNew()]
        if self.state == "down" and stale:
            return [DropNew(), Dial()]
        if self.state == "switching" and (stale or not self.quiet.settled(now)):
            if self._leave_by is None or now < self._leave_by:
                self.state = "leaving"  # at the next silent moment, then
                by = now if self._leave_by is None else self._leave_by
                return [DropNew(), SetTimer("leave", by), SetTimer("look", now + LOOK_AGAIN)]
            self.state = "down"
            return [DropNew(), CloseOld(), Dial()]
        first, gap = self.state == "new", 0.0 if self.state == "switching" else now - self._left_at
        self.state = "live"
        self._accepted_at, self._leave_by = now, None
        effects: list[LinkEffect] = [] if first else [Switch(), Tell(Reconnected(resumed, gap))]
        if self.max_connection_s is not None:
            effects.append(SetTimer("limit", now + max(0.0, self.max_connection_s - self.lead_s)))
        return effects

    def refused(self, error: DuologueError, now: float, *, with_handle: bool) -> list[LinkEffect]:
        """A connection could not be made, or was not accepted."""
        if self.state == "over":
            return []
        if with_handle and _may_be_the_handles_fault(error):
            return self._again(error, now, fresh=True, at_once=True)  # the handle may be too old: without it, then
        if not error.retryable:
            if self.state == "switching":
                # The old connection still works: use it to its end, and let the end decide.
                self.state = "live"
                return []
            return self._give_up(error)
        return self._again(error, now)

    def lost(self, error: DuologueError, now: float) -> list[LinkEffect]:
        """The connection in use ended without our doing."""
        if self.state == "over":
            return []
        dialling = self.state == "switching"
        stood = now - self._accepted_at >= self.stable_s
        self.state, self._left_at, self._leave_by = "down", now, None
        if not error.retryable and not dialling:
            return self._give_up(error)
        if dialling:
            return []  # the new one is on its way already
        if stood:
            self._attempt = 0
        return self._again(error, now, at_once=self._attempt == 0)

    def event(self, event: Event, now: float) -> list[LinkEffect]:
        """An event other than audio came from the connection in use."""
        self.quiet.event(event, now)
        if isinstance(event, GoingAway):
            left = max(0.0, event.seconds_left)
            return self._leave(now, now + max(0.0, left - self.margin_s), f"going away in {left:g} s")
        return self.look(now)

    def timer(self, name: TimerName, now: float) -> list[LinkEffect]:
        """A timer is due."""
        if name == "limit" and self.state == "live" and self.max_connection_s is not None:
            by = self._accepted_at + self.max_connection_s - self.margin_s
            return self._leave(now, by, f"near its limit of {self.max_connection_s:g} s")
        if name == "leave" and self.state in ("leaving", "switching") and self._leave_by is not None:
            return self._depart(now) if self.state == "leaving" else []
        if name == "look" and self.state == "leaving":
            return [*self.look(now), *([SetTimer("look", now + LOOK_AGAIN)] if self.state == "leaving" else [])]
        return []

    def look(self, now: float) -> list[LinkEffect]:
        """Leave now, if that is wanted and nobody would notice."""
        return self._depart(now) if self.state == "leaving" and self.quiet.at(now) else []

    def close(self) -> None:
        """The session was closed by us: nothing is dialled any more."""
        self.state = "over"

    # -- how it goes on -------------------------------------------------------------------------------

    def _leave(self, now: float, by: float, why: str) -> list[LinkEffect]:
        if self.state not in ("live", "leaving"):
            return []
        self.state, self._why = "leaving", why
        self._leave_by = by if self._leave_by is None else min(by, self._leave_by)
        departing = self.look(now)
        return departing or [SetTimer("leave", self._leave_by), SetTimer("look", now + LOOK_AGAIN)]

    def _depart(self, now: float) -> list[LinkEffect]:
        if now - self._accepted_at >= self.stable_s:
            self._attempt = 0
        if self._attempt >= self.attempts:
            self.state = "live"  # each new connection is sent away at once: use this one to its end
            return []
        self._attempt += 1
        self._left_at = now
        told, dial = Tell(Reconnecting(self._attempt, self._why)), Dial(self._delay(at_once=self._attempt == 1))
        if self.overlap and (self._leave_by is None or now < self._leave_by):
            self.state = "switching"
            return [told, dial]
        self.state = "down"
        return [told, CloseOld(), dial]

    def _again(
        self, error: DuologueError, now: float, *, fresh: bool = False, at_once: bool = False
    ) -> list[LinkEffect]:
        self._attempt += 1
        if self._attempt > self.attempts:
            if self.state == "switching":
                self.state = "live"
                return []
            return self._give_up(_gave_up(error, self.attempts))
        return [Tell(Reconnecting(self._attempt, str(error))), Dial(self._delay(at_once=at_once), fresh)]

    def _delay(self, *, at_once: bool) -> float:
        if at_once:
            return 0.0
        delay = min(self.max_delay, self.first_delay * 2.0 ** min(30, self._attempt - 2))
        return delay * (1 - self.jitter * self._chance())

    def _give_up(self, error: DuologueError) -> list[LinkEffect]:
        self.state = "over"
        return [GiveUp(error)]


def _may_be_the_handles_fault(error: DuologueError) -> bool:
    """Whether it was refused by somebody who had seen the handle, which is told once the WebSocket is open."""
    code = error.code or ""
    by_http = len(code) == 3 and code.isdigit()
    return not (by_http or code in ("unreachable", "timeout") or isinstance(error, ConfigurationError | RateLimited))


def _gave_up(error: DuologueError, attempts: int) -> DuologueError:
    kind = type(error) if isinstance(error, LinkError) else ConnectionLost
    return kind(
        f"gave up after {attempts} attempts to connect again; the last one: {error}",
        provider=error.provider,
        code=error.code,
    )
