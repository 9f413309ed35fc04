"""Probe: which region of Vertex AI is the nearest."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

from duologue.errors import ConfigurationError

from duologue_google.addresses import vertex_host
from duologue_google.regions import LIVE_REGIONS, by_clock
from duologue_google.threads import in_thread

log = logging.getLogger(__name__)

Measure: TypeAlias = Callable[[str, float], Awaitable[float]]
"""Returns the seconds to a region, within the seconds of the second argument; raises where it can't be reached."""

KEEP_S = 3600.0
"""Seconds for which a choice stands before it is measured again."""

BETTER_BY = 0.2
"""The share by which, or `BETTER_BY_S` the seconds by which, another region must be nearer to be changed to."""

BETTER_BY_S = 0.015

ROUNDS = 3


@dataclass(slots=True)
class RegionProber:
    """Measures regions and remembers the choice.

    Attributes:
        measure: how far a region is.
        clock: seconds, for the age of a choice.
    """

    measure: Measure
    clock: Callable[[], float] = time.monotonic
    _chosen: dict[tuple[str, ...], tuple[str, float]] = field(default_factory=dict)

    async def ranked(self, candidates: Sequence[str], *, within: float) -> list[str]:
        """Return the regions, nearest first; those that did not answer come last, by the clock on the wall.

        Raises:
            ConfigurationError: there are no candidates.
        """
        if not candidates:
            raise ConfigurationError("there is no region to choose from: `candidates` and `allow` leave none")
        key = tuple(sorted(candidates))
        known = self._chosen.get(key)
        order = by_clock(candidates)
        if known is not None and self.clock() - known[1] < KEEP_S:
            return _first(known[0], order)
        took = await self._all(order, within)
        if not took:
            log.warning("no region of Vertex AI answered within %g s: %s is the nearest by time zone", within, order[0])
            return order
        ranked = sorted(took, key=lambda region: (took[region], order.index(region)))
        best = ranked[0]
        if known is not None and known[0] in took and not _much_better(took[best], took[known[0]]):
            ranked = _first(known[0], ranked)
        self._chosen[key] = (ranked[0], self.clock())
        return ranked + [region for region in order if region not in took]

    def prefer(self, candidates: Sequence[str], region: str) -> None:
        """Remember the region that a session really stood in."""
        self._chosen[tuple(sorted(candidates))] = (region, self.clock())

    async def _all(self, regions: Sequence[str], within: float) -> dict[str, float]:
        took: dict[str, float] = {}

        async def one(region: str) -> None:
            try:
                async with asyncio.timeout(within):
                    took[region] = await self.measure(region, within)
            except (OSError, ssl.SSLError, TimeoutError) as exc:
                log.debug("region %s did not answer: %r", region, exc)
            except Exception as exc:  # task boundary: a measure of somebody's that fails costs its region
                log.warning("the distance to region %s could not be measured: %r", region, exc)

        async with asyncio.TaskGroup() as group:
            for region in regions:
                group.create_task(one(region))
        return took


def _first(region: str, regions: Sequence[str]) -> list[str]:
    return [region, *(other for other in regions if other != region)]


def _much_better(best: float, known: float) -> bool:
    return best < known * (1 - BETTER_BY) or known - best > BETTER_BY_S


async def handshake_time(region: str, within: float) -> float:
    """Return the shortest of a few TCP and TLS handshakes with a region's address, name resolution left out.

    Google answers at its nearest edge, so this ranks edges; measure sessions instead where that matters.

    Raises:
        OSError: it can't be reached.
    """
    host = urlsplit(vertex_host(region)).hostname or ""
    loop = asyncio.get_running_loop()
    context = await in_thread(ssl.create_default_context, within=within, name="trust")
    found = await in_thread(lambda: socket.getaddrinfo(host, 443, proto=socket.IPPROTO_TCP), within=within, name="dns")
    address = found[0][4][0]
    best = float("inf")
    for _ in range(ROUNDS):
        began = loop.time()
        _, writer = await asyncio.open_connection(str(address), 443, ssl=context, server_hostname=host)
        best = min(best, loop.time() - began)
        writer.transport.abort()
    return best


_prober = RegionProber(handshake_time)


async def probe_nearest_live_region(
    candidates: Sequence[str] = LIVE_REGIONS,
    *,
    timeout: float = 2.0,  # noqa: ASYNC109 - for each region, all at once
    measure: Measure | None = None,
    allow: Collection[str] | None = None,
    prober: RegionProber | None = None,
) -> str:
    """Return the region of Vertex AI that answers fastest.

    The choice is kept for an hour, and later changed only for one that is clearly nearer. Where nothing answers, the
    nearest by time zone is taken. Whether a region serves the model shows only in a session: with `auto_region`
    the transport tries the next one where it does not.

    Args:
        candidates: the regions to choose from.
        timeout: seconds that each region has; all are measured at once.
        measure: how far a region is, `async (region, within) -> seconds`; default TCP and TLS handshakes.
        allow: the regions that data may go to; a name that ends in `-` allows all that begin so, such as "europe-".
        prober: remembers the choices; default one for the process, or a new one for a `measure` of your own.

    Cancellation: safe.

    Raises:
        ConfigurationError: `candidates` and `allow` leave no region.
    """
    found = allowed(candidates, allow)
    chosen = prober or (_prober if measure is None else RegionProber(measure))
    return (await chosen.ranked(found, within=timeout))[0]


def allowed(candidates: Sequence[str], allow: Collection[str] | None) -> list[str]:
    """Return the candidates that data may go to."""
    if allow is None:
        return list(candidates)
    return [c for c in candidates if any(c == a or (a.endswith("-") and c.startswith(a)) for a in allow)]


def default_prober() -> RegionProber:
    """The process's own."""
    return _prober
