"""The demo tools."""

from __future__ import annotations

import datetime

import pytest
from duologue.errors import ToolError
from duologue_local import DEMO_TOOLS
from duologue_local.demo import get_time, set_timer, spoken_time, spoken_timer, zone_of

NOON = datetime.datetime(2026, 5, 4, 12, 0)


@pytest.mark.parametrize(
    ("city", "zone"),
    [
        ("Tokyo", "Asia/Tokyo"),
        ("new york", "America/New_York"),
        ("San Francisco", "America/Los_Angeles"),
        ("Mexico City", "America/Mexico_City"),
        ("Buenos Aires", "America/Argentina/Buenos_Aires"),
    ],
)
def test_cities_have_their_zones(city: str, zone: str) -> None:
    now = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.UTC)
    import zoneinfo

    assert now.astimezone(zone_of(city)).utcoffset() == now.astimezone(zoneinfo.ZoneInfo(zone)).utcoffset()


async def test_an_unknown_city_is_an_error_to_be_spoken() -> None:
    with pytest.raises(ToolError, match="time zone of Nowhere"):
        await get_time("Nowhere")


@pytest.mark.parametrize(
    ("hour", "minute", "said"),
    [
        (0, 5, "It is 12:05 AM on Monday in Rome."),
        (12, 0, "It is 12:00 PM on Monday in Rome."),
        (15, 45, "It is 3:45 PM on Monday in Rome."),
    ],
)
def test_the_time_is_a_sentence(hour: int, minute: int, said: str) -> None:
    assert spoken_time(NOON.replace(hour=hour, minute=minute), "Rome") == said


def test_the_timer_tells_its_end() -> None:
    assert spoken_timer(NOON, 5) == "The timer is set for 5 minutes, until 12:05 PM."
    assert spoken_timer(NOON, 1) == "The timer is set for 1 minute, until 12:01 PM."
    assert spoken_timer(NOON, 1.5) == "The timer is set for 1.5 minutes, until 12:01 PM."


async def test_both_run() -> None:
    assert [tool.name for tool in DEMO_TOOLS] == ["get_time", "set_timer"]
    assert "in New York." in await get_time("new york")
    assert "5 minutes" in await set_timer(5)
    for tool in DEMO_TOOLS:
        assert tool.description
        assert tool.input_schema["required"]
