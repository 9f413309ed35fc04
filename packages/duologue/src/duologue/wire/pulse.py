"""Pulse: notices that a link is dead though its socket says nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.wire.endpoint import KeepAlive
    from duologue.wire.link import Link


class Pulse:
    """Pings a silent link and calls `dead(seconds)` once it gave no sign of life for too long.

    A link that sends is not pinged. The clock stands still while we read no further by our own choice. The link is
    looked at three times within `rule.within` at least, so that it was pinged and had time to answer.
    """

    def __init__(self, link: Link, rule: KeepAlive, dead: Callable[[float], None]) -> None:
        self._link = link
        self._rule = rule
        self._every = min(rule.every, rule.within / 3)
        # What was heard last came up to one interval before the look that noticed it, so one less than would fit.
        self._looks = int(rule.within / self._every + 1e-6) - 1
        self._dead = dead
        self._loop = asyncio.get_running_loop()
        self._heard = link.heard
        self._alive_at = self._loop.time()
        self._silent = 0
        self.paused = False
        self._timer = self._loop.call_later(self._every, self._beat)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _beat(self) -> None:
        now, link = self._loop.time(), self._link
        if link.heard != self._heard or self.paused:
            self._heard, self._alive_at, self._silent = link.heard, now, 0
        else:
            # Looks are counted rather than seconds: a loop that was blocked for long has not listened meanwhile.
            self._silent += 1
            if self._rule.answers and self._silent >= self._looks:
                self._dead(now - self._alive_at)
                return
            link.ping()
        self._timer = self._loop.call_later(self._every, self._beat)
