from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from duologue import (
    AudioOutputDelta,
    Error,
    LocalProtocolError,
    ProviderEvent,
    SpeechStarted,
    TextDelta,
    ToolInputDelta,
    TranscriptDelta,
)
from duologue.events import Event
from duologue.inbox import EVENT_BYTES, Inbox
from duologue.replies import Reply
from duologue.testing import VirtualClock, virtual_time
from hypothesis import given, settings
from hypothesis import strategies as st

ONE = Reply("r1", True, 0.0)
TWO = Reply("r2", True, 0.0)


def audio(size: int = 100, reply: Reply = ONE) -> AudioOutputDelta:
    return AudioOutputDelta(bytes(size), response_id=reply.id)


def text(number: int) -> TextDelta:
    return TextDelta(number, "")


def inbox(limit: int = 1 << 20, delivered: list[tuple[Event, Reply | None]] | None = None) -> Inbox:
    taken = [] if delivered is None else delivered
    return Inbox(limit, lambda event, reply: taken.append((event, reply)))


async def drain(box: Inbox, *, raise_on_error: bool = True) -> list[Event]:
    return [event async for event in box.events(raise_on_error=raise_on_error)]


async def cancelled_wait(stream: AsyncIterator[Event], meanwhile: Callable[[], None]) -> bool:
    """Wait for an event, be cancelled, and do something before that takes effect."""
    waiting = asyncio.ensure_future(anext(stream))
    await settle()
    waiting.cancel()
    meanwhile()
    await asyncio.wait([waiting])
    return waiting.cancelled()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


# -- order, end, errors ---------------------------------------------------------------------------------


@virtual_time
async def test_events_come_in_order_and_then_the_end() -> None:
    box = inbox()
    for number in range(5):
        box.put(text(number))
    box.end()
    assert await drain(box) == [text(n) for n in range(5)]
    assert await drain(box) == [], "the end stays the end"


@virtual_time
async def test_what_comes_after_the_end_is_not_taken() -> None:
    box = inbox()
    box.end()
    box.put(text(1))
    assert box.waiting_bytes == 0
    assert await drain(box) == []


@virtual_time
async def test_a_waiting_consumer_is_woken_by_an_event_and_by_the_end() -> None:
    box = inbox()
    seen: list[Event] = []

    async def consume() -> None:
        async for event in box.events(raise_on_error=True):
            seen.append(event)

    task = asyncio.create_task(consume())
    await settle()
    box.put(text(1))
    box.put(text(2))
    await settle()
    assert seen == [text(1), text(2)]
    box.end()
    await asyncio.wait_for(task, 1)


@virtual_time
async def test_an_error_is_raised_unchanged_after_what_was_before_it() -> None:
    box = inbox()
    fatal = ValueError("fatal")
    box.put(text(1))
    box.put(Error(fatal))
    box.put(text(2))
    box.end()
    stream = box.events(raise_on_error=True)
    assert await anext(stream) == text(1)
    with pytest.raises(ValueError, match="fatal") as caught:
        await anext(stream)
    assert caught.value is fatal
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert await drain(box) == [text(2)], "another loop goes on after the error"


@virtual_time
async def test_an_error_is_data_where_that_is_wanted() -> None:
    box = inbox()
    error = Error(ValueError("fatal"))
    box.put(error)
    box.put(text(1))
    box.end()
    assert await drain(box, raise_on_error=False) == [error, text(1)]


# -- one consumer ---------------------------------------------------------------------------------------


@virtual_time
async def test_a_second_consumer_is_refused_while_the_first_waits_or_works() -> None:
    box = inbox()
    box.put(text(1))
    first = box.events(raise_on_error=True)
    second = box.events(raise_on_error=True)
    assert await anext(first) == text(1)
    with pytest.raises(LocalProtocolError, match="events\\(\\) has a consumer already"):
        await anext(second)
    waiting = asyncio.ensure_future(anext(first))
    await settle()
    with pytest.raises(LocalProtocolError):
        await anext(second)
    with pytest.raises(LocalProtocolError):
        await anext(first)  # the same one twice at once
    box.put(text(2))
    assert await waiting == text(2)


@virtual_time
async def test_a_loop_may_be_left_and_another_begun_at_once() -> None:
    box = inbox()
    for number in range(4):
        box.put(text(number))
    box.end()
    seen: list[Event] = []
    for _ in range(2):
        async for event in box.events(raise_on_error=True):
            seen.append(event)
            break
    with contextlib.suppress(KeyError):
        async for event in box.events(raise_on_error=True):
            seen.append(event)
            raise KeyError
    assert seen + await drain(box) == [text(n) for n in range(4)]


async def first_of(stream: AsyncIterator[Event]) -> Event:
    async for event in stream:
        return event
    raise AssertionError("the stream was empty")


@virtual_time
async def test_a_loop_may_be_left_by_returning() -> None:
    box = inbox()
    box.put(text(1))
    box.put(text(2))
    assert await first_of(box.events(raise_on_error=True)) == text(1)
    assert await first_of(box.events(raise_on_error=True)) == text(2)


@virtual_time
async def test_a_stream_that_is_kept_can_be_continued_or_closed() -> None:
    box = inbox()
    for number in range(3):
        box.put(text(number))
    stream: Any = box.events(raise_on_error=True)
    assert await first_of(stream) == text(0)
    assert await first_of(stream) == text(1), "the same stream goes on"
    async with contextlib.aclosing(stream):
        pass
    assert [event async for event in stream] == []
    assert await first_of(box.events(raise_on_error=True)) == text(2)


@virtual_time
async def test_a_stream_that_came_to_its_end_is_no_hindrance() -> None:
    box = inbox()
    box.end()
    stream = box.events(raise_on_error=True)
    assert [event async for event in stream] == []
    assert await drain(box) == []
    assert [event async for event in stream] == []


@virtual_time
async def test_a_stream_that_was_never_read_is_no_consumer() -> None:
    box = inbox()
    box.put(text(1))
    unread = box.events(raise_on_error=True)
    reader = box.events(raise_on_error=True)
    assert await anext(reader) == text(1)
    del unread
    gc.collect()
    with pytest.raises(LocalProtocolError):
        await anext(box.events(raise_on_error=True))


@virtual_time
async def test_cancelling_a_waiting_consumer_loses_nothing_and_makes_place() -> None:
    box = inbox()
    stream = box.events(raise_on_error=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await anext(stream)
    box.put(text(1))
    assert await first_of(box.events(raise_on_error=True)) == text(1), (
        "the cancelled one is still held, and no hindrance"
    )
    box.put(text(2))
    assert await anext(stream) == text(2), "and can go on itself"


@virtual_time
async def test_an_event_that_comes_at_the_moment_of_cancellation_waits_for_the_next_consumer() -> None:
    box = inbox()
    task = asyncio.create_task(first_of(box.events(raise_on_error=True)))
    await settle()
    task.cancel()
    box.put(text(1))
    box.put(text(2))
    await asyncio.wait([task])
    box.end()
    assert task.cancelled()
    assert await drain(box) == [text(1), text(2)]


# -- bytes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "size"),
    [
        (SpeechStarted(), EVENT_BYTES),
        (AudioOutputDelta(bytes(1000)), EVENT_BYTES + 1000),
        (ToolInputDelta(0, "", "x" * 5000), EVENT_BYTES + 5000),
        (TextDelta(0, "x" * 300), EVENT_BYTES + 300),
        (TranscriptDelta("user", "x" * 296), EVENT_BYTES + 300),
        (ProviderEvent("", "", {"a": "x" * 7000}), EVENT_BYTES + 7000 + 9),
    ],
)
def test_an_event_counts_with_its_audio_and_text(event: Event, size: int) -> None:
    box = inbox()
    box.put(event)
    assert abs(box.waiting_bytes - size) <= 30, "media types and the like come on top"
    assert box.waiting_bytes >= size


@virtual_time
async def test_the_producer_waits_at_the_limit_until_the_application_catches_up() -> None:
    box = inbox(limit=3 * EVENT_BYTES)
    await asyncio.wait_for(box.room(), 1)
    box.put(text(1))
    box.put(text(2))
    assert not box.full
    box.put(text(3))
    assert box.full
    box.put(text(4))  # one more message of the session may have been on its way
    waiting = asyncio.create_task(box.room())
    stream = box.events(raise_on_error=True)
    await anext(stream)
    await settle()
    assert not waiting.done(), "still at the limit"
    await anext(stream)
    await asyncio.wait_for(waiting, 1)
    assert not box.full


@virtual_time
async def test_the_end_frees_a_waiting_producer() -> None:
    box = inbox(limit=1)
    box.put(text(1))
    waiting = asyncio.create_task(box.room())
    await settle()
    assert not waiting.done()
    box.end()
    await asyncio.wait_for(waiting, 1)


@virtual_time
async def test_dropping_audio_frees_a_waiting_producer() -> None:
    box = inbox(limit=1000)
    box.put(audio(2000), ONE)
    waiting = asyncio.create_task(box.room())
    await settle()
    box.drop_audio(frozenset({"other"}))
    await settle()
    assert not waiting.done()
    box.drop_audio(frozenset({"r1"}))
    await asyncio.wait_for(waiting, 1)


# -- cuts -----------------------------------------------------------------------------------------------


@virtual_time
async def test_a_cut_drops_the_audio_of_that_reply_and_nothing_else() -> None:
    delivered: list[tuple[Event, Reply | None]] = []
    box = inbox(delivered=delivered)
    later = AudioOutputDelta(b"\x02\x00", response_id="r2")
    said = TranscriptDelta("assistant", "hello", item_id="r1")
    for event, reply in ((audio(), ONE), (said, None), (later, TWO), (audio(), ONE), (text(1), None)):
        box.put(event, reply)
    box.drop_audio(frozenset({"r1"}))
    assert box.audio_dropped == 2
    box.end()
    assert await drain(box) == [said, later, text(1)]
    assert delivered == [(said, None), (later, TWO), (text(1), None)], "what was dropped counts as delivered"
    assert box.waiting_bytes == 0


@virtual_time
async def test_audio_is_reported_as_delivered_when_it_is_taken() -> None:
    delivered: list[tuple[Event, Reply | None]] = []
    box = inbox(delivered=delivered)
    piece = audio()
    box.put(piece, ONE)
    assert delivered == []
    await anext(box.events(raise_on_error=True))
    assert delivered == [(piece, ONE)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.integers(0, 400)),
        st.tuples(st.just("audio"), st.sampled_from([ONE, TWO])),
        st.tuples(st.just("drop"), st.sampled_from(["r1", "r2"])),
        st.tuples(st.just("take"), st.integers(1, 3)),
        st.tuples(st.just("leave"), st.none()),
        st.tuples(st.just("cancel"), st.none()),
        st.tuples(st.just("end"), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(STEPS)
def test_it_is_a_queue_from_which_only_cut_audio_goes_missing(steps: list[tuple[str, Any]]) -> None:
    """Against a plain list, over puts, cuts, takes, consumers that leave or are cancelled, and the end."""
    limit = 2000

    async def main() -> None:
        box = inbox(limit)
        model: deque[tuple[Event, Reply | None]] = deque()
        number = dropped = 0
        ended = False
        stream = box.events(raise_on_error=True)
        for step, value in steps:
            if step in ("text", "audio"):
                number += 1
                reply = value if step == "audio" else None
                event: Event = TextDelta(number, "x" * value) if reply is None else audio(2 * number, reply)
                box.put(event, reply)
                if not ended:
                    model.append((event, reply))
            elif step == "drop":
                kept = deque(item for item in model if item[1] is None or item[1].id != value)
                dropped += len(model) - len(kept)
                model = kept
                box.drop_audio(frozenset({value}))
            elif step == "take":
                for _ in range(min(value, len(model))):
                    assert await anext(stream) == model.popleft()[0]
            elif step == "leave":
                stream = box.events(raise_on_error=True)
            elif step == "cancel" and not model and not ended:
                number += 1
                assert await cancelled_wait(stream, partial(box.put, text(number)))
                model.append((text(number), None))
            elif step == "end":
                ended = True
                box.end()
            room = asyncio.create_task(box.room())
            await settle()
            assert room.done() is (ended or not box.full)
            room.cancel()
            assert (box.waiting_bytes > 0) is bool(model)
            assert box.audio_dropped == dropped
        box.end()
        del stream
        assert await drain(box) == [event for event, _ in model]
        assert box.waiting_bytes == 0

    VirtualClock().run(main())
