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

    A link that sends is not pinged. The clock stands still while we read no further by our own choice.
    """

    def __init__(self, link: Link, rule: KeepAlive, dead: Callable[[float], None]) -> None:
        self._link = link
        self._rule = rule
        self._dead = dead
        self._loop = asyncio.get_running_loop()
        self._heard = link.heard
        self._alive_at = self._loop.time()
        self.paused = False
        self._timer = self._loop.call_later(rule.every, self._beat)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _beat(self) -> None:
        now, link = self._loop.time(), self._link
        if link.heard != self._heard or self.paused:
            self._heard, self._alive_at = link.heard, now
        else:
            # What was heard came some time in the interval before `_alive_at`, so the silence may be longer by that.
            silent = now - self._alive_at
            if self._rule.answers and silent + self._rule.every >= self._rule.within:
                self._dead(silent)
                return
            link.ping()
        self._timer = self._loop.call_later(self._rule.every, self._beat)
