"""Events on their way out, and how much of a reply was heard."""

from __future__ import annotations

import asyncio

import pytest
from duologue.errors import ConnectionLost, DuologueError, LocalProtocolError
from duologue.events import AudioOutputDelta, SpeechStarted
from duologue.testing import virtual_time
from duologue_local.outbox import MAX_AUDIO, MAX_EVENTS, Outbox, Playback
from duologue_local.stages import OUTPUT_RATE

SECOND = bytes(OUTPUT_RATE * 2)


def audio(data: bytes, response_id: str = "r1") -> AudioOutputDelta:
    return AudioOutputDelta(data, response_id=response_id)


def outbox() -> Outbox:
    return Outbox(asyncio.get_running_loop().time)


@virtual_time
async def test_playing_begins_when_the_reader_takes_the_audio() -> None:
    box = outbox()
    await box.put_audio(audio(SECOND))
    await asyncio.sleep(5)
    assert box.playback("r1").since is None
    events = box.events()
    await anext(events)
    await asyncio.sleep(0.4)
    assert box.playback("r1").heard_ms(asyncio.get_running_loop().time()) == pytest.approx(400)
    await asyncio.sleep(5)
    assert box.playback("r1").heard_ms(asyncio.get_running_loop().time()) == 1000
    assert box.playback("r2").heard_ms(0.0) == 0
    await events.aclose()


def test_audio_after_a_gap_plays_from_when_it_came() -> None:
    playback = Playback()
    playback.take(1000, 10.0)
    assert [playback.heard_ms(t) for t in (10.5, 12.0)] == [500, 1000]
    playback.take(1000, 15.0)
    assert [playback.heard_ms(t) for t in (15.25, 17.0)] == [1250, 2000]


@virtual_time
async def test_a_full_queue_makes_the_synthesis_wait() -> None:
    box = outbox()
    await box.put_audio(audio(bytes(MAX_AUDIO)))
    waiting = asyncio.ensure_future(box.put_audio(audio(SECOND)))
    await asyncio.sleep(1)
    assert not waiting.done()
    events = box.events()
    await anext(events)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert waiting.done()
    await events.aclose()


@virtual_time
async def test_dropped_audio_is_not_read_and_makes_room() -> None:
    box = outbox()
    await box.put_audio(audio(bytes(MAX_AUDIO), "old"))
    waiting = asyncio.ensure_future(box.put_audio(audio(SECOND, "new")))
    await asyncio.sleep(0)
    box.put(SpeechStarted())
    box.drop_audio("old")
    await waiting
    await asyncio.wait_for(box.taken("old"), 1)
    box.end()
    assert [type(e).__name__ async for e in box.events()] == ["SpeechStarted", "AudioOutputDelta"]


@virtual_time
async def test_a_reply_after_a_cut_one_plays_at_once() -> None:
    box = outbox()
    loop = asyncio.get_running_loop()
    events = box.events()
    for _ in range(10):
        await box.put_audio(audio(SECOND))
        await anext(events)
    await asyncio.sleep(2)
    box.drop_audio("r1")
    await asyncio.sleep(1)
    assert box.playback("r1").heard_ms(loop.time()) == pytest.approx(2000)
    await box.put_audio(audio(SECOND, "r2"))
    await anext(events)
    assert box.playback("r2").until == pytest.approx(loop.time() + 1)
    await events.aclose()


@virtual_time
async def test_the_error_is_the_last_thing_read() -> None:
    box = outbox()
    box.put(SpeechStarted())
    box.end(ConnectionLost("gone"))
    box.put(SpeechStarted())
    events = box.events()
    assert await anext(events) == SpeechStarted()
    with pytest.raises(ConnectionLost, match="gone"):
        await anext(events)


@virtual_time
async def test_there_is_one_reader() -> None:
    box = outbox()
    first = asyncio.ensure_future(anext(box.events()))
    await asyncio.sleep(0)
    with pytest.raises(LocalProtocolError):
        await anext(box.events())
    box.put(SpeechStarted())
    assert await first == SpeechStarted()


@virtual_time
async def test_a_session_nobody_reads_ends_with_an_error() -> None:
    box = outbox()
    for _ in range(MAX_EVENTS + 1):
        box.put(SpeechStarted())
    with pytest.raises(DuologueError, match="nobody reads"):
        await anext(box.events())
