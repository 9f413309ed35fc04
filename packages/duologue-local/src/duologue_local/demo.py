"""Demo tools: the time in a city, and a timer."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Annotated

from duologue.errors import ToolError
from duologue.tool import Tool, tool
from pydantic import Field

CITIES = {
    "beijing": "Asia/Shanghai",
    "bangalore": "Asia/Kolkata",
    "barcelona": "Europe/Madrid",
    "boston": "America/New_York",
    "cape town": "Africa/Johannesburg",
    "delhi": "Asia/Kolkata",
    "new delhi": "Asia/Kolkata",
    "frankfurt": "Europe/Berlin",
    "geneva": "Europe/Zurich",
    "hamburg": "Europe/Berlin",
    "hanoi": "Asia/Ho_Chi_Minh",
    "houston": "America/Chicago",
    "kyoto": "Asia/Tokyo",
    "kyiv": "Europe/Kyiv",
    "las vegas": "America/Los_Angeles",
    "miami": "America/New_York",
    "milan": "Europe/Rome",
    "montreal": "America/Toronto",
    "mumbai": "Asia/Kolkata",
    "munich": "Europe/Berlin",
    "osaka": "Asia/Tokyo",
    "philadelphia": "America/New_York",
    "rio de janeiro": "America/Sao_Paulo",
    "rio": "America/Sao_Paulo",
    "saint petersburg": "Europe/Moscow",
    "san francisco": "America/Los_Angeles",
    "seattle": "America/Los_Angeles",
    "tel aviv": "Asia/Jerusalem",
    "washington": "America/New_York",
}
"""Cities the time zone database has no zone of their own name for."""


def zone_of(city: str) -> zoneinfo.ZoneInfo:
    """Return the time zone of a city.

    Raises:
        ToolError: no zone is known for it.
    """
    wanted = " ".join(city.lower().replace("_", " ").replace(",", " ").split()).removesuffix(" city")
    name = CITIES.get(wanted)
    if name is None:
        by_city = {zone.rsplit("/", 1)[-1].replace("_", " ").lower(): zone for zone in zoneinfo.available_timezones()}
        name = by_city.get(wanted) or by_city.get(wanted + " city")
    if name is None:
        raise ToolError(f"I don't know the time zone of {city}.")
    return zoneinfo.ZoneInfo(name)


def spoken_time(now: datetime.datetime, city: str) -> str:
    """Return the time in a sentence to be spoken."""
    return f"It is {clock(now)} on {now.strftime('%A')} in {city}."


def clock(now: datetime.datetime) -> str:
    """Return the time of day as an American clock shows it."""
    return f"{now.hour % 12 or 12}:{now.minute:02d} {'AM' if now.hour < 12 else 'PM'}"


@tool
async def get_time(city: Annotated[str, Field(description="the city, such as Paris or New York")]) -> str:
    """Get the current time in a city."""
    return spoken_time(datetime.datetime.now(zone_of(city)), city.strip().title())


@tool
async def set_timer(minutes: Annotated[float, Field(description="how many minutes, such as 5", gt=0, le=1440)]) -> str:
    """Set a timer for a number of minutes."""
    return spoken_timer(datetime.datetime.now().astimezone(), minutes)


def spoken_timer(now: datetime.datetime, minutes: float) -> str:
    """Return the confirmation to be spoken. A call has one answer, so it tells when the time is up; nothing rings."""
    end = now + datetime.timedelta(minutes=minutes)
    unit = "minute" if minutes == 1 else "minutes"
    return f"The timer is set for {minutes:g} {unit}, until {clock(end)}."


DEMO_TOOLS: list[Tool] = [get_time, set_timer]
