"""Regions: where Vertex AI serves Live models, and which of them is near by the clock on the wall."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

REGION_HOURS: dict[str, int] = {
    "us-central1": -6,
    "us-east4": -5,
    "us-east1": -5,
    "us-east5": -5,
    "us-south1": -6,
    "us-west1": -8,
    "us-west4": -8,
    "europe-west4": 1,
    "europe-west1": 1,
    "europe-west8": 1,
    "europe-central2": 1,
    "europe-north1": 2,
    "europe-southwest1": 1,
}
"""Regions known to serve Live models, the likeliest first, with their hours from UTC in winter.

Google changes the list; the transport takes a region only once a session has stood there.
"""

LIVE_REGIONS: tuple[str, ...] = tuple(REGION_HOURS)
"""The default candidates of `probe_nearest_live_region`."""

DEFAULT_LOCATION = "us-central1"
"""Where Live models are served for certain."""


def by_clock(regions: Iterable[str], *, hours: float | None = None) -> list[str]:
    """Return regions, the nearest by time zone first: the guess where nothing can be measured.

    `hours` is the distance to UTC, by default this system's.
    """
    here = -time.timezone / 3600 if hours is None else hours

    def away(region: str) -> float:
        there = REGION_HOURS.get(region)
        return 24.0 if there is None else min(abs(here - there), 24 - abs(here - there))

    return sorted(regions, key=away)  # sorting is stable: the likelier one stays first
