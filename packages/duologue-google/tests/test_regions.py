"""The nearest region: measured, remembered, allowed, guessed where nothing answers, and proved by a session."""

import asyncio

import pytest
from duologue import ConfigurationError
from duologue.events import SessionStarted
from duologue.testing import StandIn, virtual_time
from duologue_google import LIVE_REGIONS, RegionProber, probe_nearest_live_region
from duologue_google.probe import handshake_time
from duologue_google.regions import by_clock
from google_kit import serve, vertex

FAR, NEAR = "us-central1", "europe-west4"


class Distances:
    """Distances to regions, in seconds; a region that has none can't be reached."""

    def __init__(self, **seconds):
        self.seconds = {name.replace("_", "-"): value for name, value in seconds.items()}
        self.asked = []

    async def __call__(self, region, within):
        self.asked.append(region)
        if region not in self.seconds:
            raise OSError("unreachable")
        await asyncio.sleep(self.seconds[region])
        return self.seconds[region]


@virtual_time
async def test_the_nearest_region_is_measured_all_at_once():
    loop = asyncio.get_running_loop()
    began = loop.time()
    measure = Distances(us_central1=0.5, europe_west4=0.4, us_east4=0.45)
    assert await probe_nearest_live_region([FAR, NEAR, "us-east4"], measure=measure) == NEAR
    assert loop.time() - began < 0.6


@virtual_time
async def test_a_region_that_does_not_answer_in_time_is_left_out():
    measure = Distances(us_central1=0.5, europe_west4=60.0)
    assert await probe_nearest_live_region([NEAR, FAR], measure=measure, timeout=1.0) == FAR


@virtual_time
async def test_where_nothing_answers_the_clock_on_the_wall_decides(caplog):
    found = await probe_nearest_live_region(measure=Distances())
    assert found == by_clock(LIVE_REGIONS)[0]
    assert "time zone" in caplog.text


@virtual_time
async def test_a_measure_that_fails_costs_its_region():
    async def measure(region, within):
        if region == NEAR:
            raise ZeroDivisionError
        return 1.0

    assert await probe_nearest_live_region([NEAR, FAR], measure=measure) == FAR


@pytest.mark.parametrize(
    ("hours", "nearest"),
    [(-8, "us-west1"), (-6, "us-central1"), (-5, "us-east4"), (1, "europe-west4"), (2, "europe-north1")],
)
def test_the_guess_by_time_zone(hours, nearest):
    assert by_clock(LIVE_REGIONS, hours=hours)[0] == nearest
    assert by_clock(["nowhere-1", nearest], hours=hours)[0] == nearest


@virtual_time
async def test_only_allowed_regions_are_measured():
    measure = Distances(**{region.replace("-", "_"): 0.1 for region in LIVE_REGIONS})
    found = await probe_nearest_live_region(measure=measure, allow=["europe-"])
    assert found.startswith("europe-")
    assert all(region.startswith("europe-") for region in measure.asked)
    with pytest.raises(ConfigurationError, match="allow"):
        await probe_nearest_live_region(measure=measure, allow=["asia-"])


@virtual_time
async def test_a_choice_is_kept_and_changed_only_for_a_clearly_nearer_region():
    now = [0.0]
    measure = Distances(us_central1=0.030, europe_west4=0.040)
    prober = RegionProber(measure, clock=lambda: now[0])

    async def nearest():
        return (await prober.ranked([FAR, NEAR], within=1.0))[0]

    assert await nearest() == FAR
    measure.seconds[NEAR] = 0.001
    assert await nearest() == FAR, "it was asked again too soon"
    assert len(measure.asked) == 2
    now[0] = 4000.0
    measure.seconds[NEAR] = 0.026
    assert await nearest() == FAR, "a little nearer is not enough"
    now[0] = 8000.0
    measure.seconds[NEAR] = 0.010
    assert await nearest() == NEAR


async def test_the_default_measure_ends_where_no_network_is(monkeypatch):
    def nothing(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("socket.getaddrinfo", nothing)
    with pytest.raises(OSError, match="no network"):
        await handshake_time(FAR, 1.0)


class Served:
    """A server that has the model in some locations only."""

    def __init__(self, *locations):
        self.locations = locations
        self.tried = []

    async def __call__(self, peer):
        location = peer.setup.model.split("/")[3]
        self.tried.append(location)
        if location in self.locations:
            await peer.send(SessionStarted())
            await StandIn()(peer)
        else:
            await peer.close(1008, f"Publisher Model `{peer.setup.model}`"[:120])


@virtual_time
async def test_the_region_is_proved_by_a_session_and_falls_to_the_next():
    served = Served("us-east4")
    prober = RegionProber(Distances(us_central1=0.02, europe_west4=0.01, us_east4=0.03))
    async with serve(served, accept=False) as server:
        transport = vertex(server, auto_region=True, candidates=[FAR, NEAR, "us-east4"], prober=prober, location=FAR)
        for _ in range(2):
            session = await transport.connect(system="", tools=[])
            await session.close()
            assert transport.region == "us-east4"
    assert served.tried == [NEAR, FAR, "us-east4", "us-east4"]


@virtual_time
async def test_the_location_is_the_last_resort():
    served = Served("global")
    prober = RegionProber(Distances())
    async with serve(served, accept=False) as server:
        transport = vertex(server, auto_region=True, candidates=[NEAR], prober=prober, location="global")
        session = await transport.connect(system="", tools=[])
        await session.close()
        assert transport.region == "global"
        nowhere = vertex(server, auto_region=True, candidates=[NEAR], prober=prober, location=FAR)
        with pytest.raises(ConfigurationError, match="another location"):
            await nowhere.connect(system="", tools=[])


@virtual_time
async def test_without_auto_region_one_location_is_tried():
    served = Served()
    async with serve(served, accept=False) as server:
        with pytest.raises(ConfigurationError, match="another location"):
            await vertex(server).connect(system="", tools=[])
    assert served.tried == ["us-central1"]
