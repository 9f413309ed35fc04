"""A silent link is noticed, and only that."""

import asyncio

import pytest
from duologue.testing import virtual_time
from duologue.wire import KeepAlive
from duologue.wire.pulse import Pulse


class Peer:
    """A link, and what answers on it."""

    def __init__(self, answers=True):
        self.heard = 0
        self.pings = []
        self.answers = answers

    def ping(self):
        self.pings.append(asyncio.get_running_loop().time())
        if self.answers:
            asyncio.get_running_loop().call_later(0.1, self.frame)

    def frame(self):
        self.heard += 1


def pulse(peer, rule=None):
    loop, dead = asyncio.get_running_loop(), []
    return Pulse(peer, rule or KeepAlive(), lambda silent: dead.append((loop.time(), silent))), dead


@virtual_time
async def test_a_peer_that_answers_lives():
    peer = Peer()
    beat, dead = pulse(peer)
    await asyncio.sleep(1000)
    beat.stop()
    assert dead == []
    assert peer.pings


@virtual_time
async def test_a_peer_that_sends_is_not_pinged():
    peer = Peer()
    beat, dead = pulse(peer)
    for _ in range(1000):
        await asyncio.sleep(1)
        peer.frame()
    beat.stop()
    assert (peer.pings, dead) == ([], [])


RULES = [KeepAlive(), KeepAlive(10, 15), KeepAlive(60, 15), KeepAlive(1, 15), KeepAlive(0.3, 1.0), KeepAlive(5, 7)]


@pytest.mark.parametrize("rule", RULES, ids=lambda r: f"every {r.every:g} within {r.within:g}")
def test_a_peer_that_falls_silent_is_dead_in_time_and_not_before_it_was_asked(rule):
    @virtual_time
    async def check():
        peer = Peer(answers=False)
        beat, dead = pulse(peer, rule)
        for _ in range(33):
            await asyncio.sleep(rule.within / 10)
            peer.frame()
        fell_silent = asyncio.get_running_loop().time()
        assert dead == []
        await asyncio.sleep(rule.within + 1e-6)
        ((at, silent),) = dead
        assert fell_silent + rule.within / 3 <= at <= fell_silent + rule.within + 1e-6
        assert any(fell_silent < ping < at for ping in peer.pings)
        assert silent <= rule.within
        await asyncio.sleep(100)
        assert len(dead) == 1
        beat.stop()

    check()


@virtual_time
async def test_where_pings_are_not_answered_silence_proves_nothing_but_pings_go_on_for_tcps_sake():
    peer = Peer(answers=False)
    beat, dead = pulse(peer, KeepAlive(answers=False))
    await asyncio.sleep(100)
    beat.stop()
    assert dead == []
    assert len(peer.pings) >= 19


@virtual_time
async def test_the_clock_stands_still_while_we_read_no_further():
    peer = Peer(answers=False)
    beat, dead = pulse(peer)
    beat.paused = True
    await asyncio.sleep(100)
    beat.paused = False
    assert (dead, peer.pings) == ([], [])
    await asyncio.sleep(4)
    assert dead == []
    await asyncio.sleep(16)
    assert len(dead) == 1


@virtual_time
async def test_a_loop_that_was_blocked_has_not_listened():
    peer = Peer()
    beat, dead = pulse(peer)
    await asyncio.sleep(11)
    asyncio.get_running_loop()._clock.now += 60  # what a blocking call of the application does to the clock
    await asyncio.sleep(100)
    beat.stop()
    assert dead == []


@virtual_time
async def test_once_stopped_it_looks_no_more():
    peer = Peer(answers=False)
    beat, dead = pulse(peer)
    beat.stop()
    beat.stop()
    await asyncio.sleep(100)
    assert (dead, peer.pings) == ([], [])
