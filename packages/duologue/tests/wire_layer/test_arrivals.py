"""The queue between the sockets and the one who reads."""

import asyncio

import pytest
from duologue import LocalProtocolError, SpeechStarted
from duologue.errors import ConnectionLost
from duologue.wire.arrivals import UNREAD_HIGH, Arrivals


def arrivals():
    paused = []
    made = Arrivals(paused.append)
    return made, paused


def event(number):
    return SpeechStarted(str(number), float(number))


def numbers(events):
    return [int(e.item_id) for e in events]


async def test_events_come_in_order_and_then_the_end():
    queue, _ = arrivals()
    for number in range(3):
        queue.put(event(number))
    queue.end(None)
    assert numbers([e async for e in queue.read()]) == [0, 1, 2]


async def test_what_waits_is_read_before_the_error_is_raised():
    queue, _ = arrivals()
    queue.put(event(1))
    queue.end(ConnectionLost("gone"))
    queue.end(None)  # the first end counts
    reader = queue.read()
    assert numbers([await anext(reader)]) == [1]
    with pytest.raises(ConnectionLost, match="gone"):
        await anext(reader)


async def test_a_reader_that_waits_is_woken_by_an_event_and_by_the_end():
    queue, _ = arrivals()
    seen = []

    async def read():
        async for one in queue.read():
            seen.append(one)

    reader = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    queue.queue.append(event(1))
    queue.wake(10)
    queue.put(event(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert numbers(seen) == [1, 2]
    queue.end(None)
    async with asyncio.timeout(5):
        await reader


async def test_a_reader_that_was_cancelled_leaves_nothing_that_could_be_woken():
    queue, _ = arrivals()
    reader = queue.read()
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    queue.put(event(1))
    queue.end(None)


async def test_a_session_is_read_once():
    queue, _ = arrivals()
    queue.end(None)
    assert [e async for e in queue.read()] == []
    with pytest.raises(LocalProtocolError, match="once"):
        queue.read()


async def test_too_much_unread_pauses_the_socket_until_all_is_read():
    queue, paused = arrivals()
    queue.queue.append(event(1))
    queue.wake(UNREAD_HIGH)
    assert paused == []
    queue.queue.append(event(2))
    queue.wake(1)
    queue.wake(1)
    assert paused == [True]
    reader = queue.read()
    await anext(reader)
    assert paused == [True]
    await anext(reader)
    last = asyncio.ensure_future(anext(reader, None))
    await asyncio.sleep(0)
    assert paused == [True, False]
    queue.wake(UNREAD_HIGH)  # it counts from the beginning
    assert paused == [True, False]
    queue.end(None)
    assert await last is None


async def test_something_is_done_once_what_came_before_it_was_read():
    queue, _ = arrivals()
    done = []
    queue.put(event(1))
    queue.when_read(lambda: done.append("one"))
    queue.put(event(2))
    queue.when_read(lambda: done.append("two"))
    queue.end(None)
    reader = queue.read()
    await anext(reader)
    assert done == []
    await anext(reader)
    assert done == ["one"]
    assert await anext(reader, None) is None
    assert done == ["one", "two"]


async def test_another_socket_is_paused_by_its_own_first_frame_while_too_much_waits():
    queue, paused = arrivals()
    queue.wake(UNREAD_HIGH + 1)
    queue.new_socket()
    assert paused == [True]
    queue.wake(1)
    assert paused == [True, True]


async def reading(queue):
    """A reader that waits, and what it has read."""
    seen = []

    async def read():
        async for one in queue.read():
            seen.append(one)

    reader = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    return reader, seen


async def test_an_event_is_handed_over_while_the_reader_waits_and_the_reader_sleeps_on():
    queue, _ = arrivals()
    taken = []
    queue.hand_to(lambda one: taken.append(one) or True)
    queue.put(event(0))  # nobody waits yet: this one is the reader's
    reader, seen = await reading(queue)
    queue.put(event(1))
    assert numbers(taken) == [1]
    queue.end(None)
    async with asyncio.timeout(5):
        await reader
    assert numbers(seen) == [0]


async def test_what_is_refused_and_what_follows_it_comes_to_the_reader_in_order():
    queue, _ = arrivals()
    offered = []
    queue.hand_to(lambda one: offered.append(one) or False)
    reader, seen = await reading(queue)
    queue.put(event(1))
    queue.put(event(2))  # the reader is awake: nobody overtakes it
    queue.end(None)
    async with asyncio.timeout(5):
        await reader
    assert numbers(offered) == [1]
    assert numbers(seen) == [1, 2]


async def test_an_event_that_taking_one_causes_is_taken_after_it():
    queue, _ = arrivals()
    taken = []

    def take(one):
        taken.append(one)
        if one.item_id == "1":
            queue.put(event(3))
        return True

    queue.hand_to(take)
    reader, seen = await reading(queue)
    queue.queue.extend([event(1), event(2)])
    queue.wake(10)
    assert numbers(taken) == [1, 2, 3]
    queue.end(None)
    async with asyncio.timeout(5):
        await reader
    assert seen == []


async def test_handing_over_does_what_was_to_be_done_once_all_before_was_read():
    queue, _ = arrivals()
    order = []
    queue.hand_to(lambda one: order.append(one.item_id) or True)
    reader, _ = await reading(queue)
    queue.queue.append(event(1))
    queue.when_read(lambda: order.append("done"))
    assert order == ["1", "done"]
    queue.end(None)
    async with asyncio.timeout(5):
        await reader


async def test_a_fault_of_the_taker_is_raised_by_the_reader_and_not_in_the_socket():
    queue, _ = arrivals()

    def take(one):
        raise ValueError("no")

    queue.hand_to(take)
    reader, _ = await reading(queue)
    queue.put(event(1))
    async with asyncio.timeout(5):
        with pytest.raises(ValueError, match="no"):
            await reader
