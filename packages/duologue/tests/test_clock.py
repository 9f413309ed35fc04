from __future__ import annotations

import asyncio
import threading
import time

import pytest
from duologue.testing import VirtualClock, virtual_time
from hypothesis import given
from hypothesis import strategies as st


def test_an_hour_takes_no_time() -> None:
    clock = VirtualClock()

    async def main() -> float:
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time() - began

    began = time.monotonic()
    assert clock.run(main()) == pytest.approx(3600)
    assert time.monotonic() - began < 5
    assert clock.now == pytest.approx(3600)


def test_time_goes_on_from_one_run_to_the_next_and_a_week_is_no_problem() -> None:
    clock = VirtualClock()
    clock.run(asyncio.sleep(604_800))
    clock.run(asyncio.sleep(1))
    assert clock.now == pytest.approx(604_801)


@given(st.lists(st.integers(0, 10_000), max_size=20))
def test_timers_fire_in_order_and_at_their_time(delays: list[int]) -> None:
    fired: list[tuple[float, int]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def fire(number: int) -> None:
            fired.append((loop.time(), number))

        for number, delay in enumerate(delays):
            loop.call_later(delay / 1000, fire, number)
        await asyncio.sleep(11)

    VirtualClock().run(main())
    assert len(fired) == len(delays)
    assert [delays[n] for _, n in fired] == sorted(delays)
    assert all(at == pytest.approx(delays[n] / 1000) for at, n in fired)


def test_time_stands_still_while_something_is_ready() -> None:
    async def main() -> float:
        timer = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.001, timer.set_result, None)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert not timer.done()
        return asyncio.get_running_loop().time()

    assert VirtualClock().run(main()) == 0.0


def test_timeouts_work() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        assert asyncio.get_running_loop().time() == pytest.approx(30)

    VirtualClock().run(main())


def test_with_patience_a_thread_is_waited_for_before_time_jumps() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        called = asyncio.Event()

        def call_in() -> None:
            time.sleep(0.02)
            loop.call_soon_threadsafe(called.set)

        threading.Thread(target=call_in).start()
        async with asyncio.timeout(1000):
            await called.wait()
        return loop.time()

    assert 0.0 < VirtualClock(patience=5.0).run(main()) < 5.0


def test_with_patience_time_still_jumps_when_no_thread_calls() -> None:
    clock = VirtualClock(patience=0.01)
    began = time.monotonic()
    clock.run(asyncio.sleep(1000))
    assert clock.now == pytest.approx(1000)
    assert time.monotonic() - began < 5


def test_without_timers_the_loop_waits_for_threads_as_usual() -> None:
    async def main() -> int:
        return await asyncio.to_thread(lambda: 7)

    assert VirtualClock().run(main()) == 7


def test_sockets_still_work() -> None:
    async def main() -> bytes:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(5))
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            async with asyncio.timeout(1000):
                writer.write(b"hello")
                answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        return answer

    assert VirtualClock(patience=1.0).run(main()) == b"hello"


def test_the_decorator_runs_a_test_on_a_clock_of_its_own() -> None:
    @virtual_time
    async def plain(a: int, *, b: int) -> float:
        """Says what it does."""
        assert asyncio.get_running_loop().time() == 0.0
        await asyncio.sleep(a * b)
        return asyncio.get_running_loop().time()

    @virtual_time(patience=0.01)
    async def patient() -> float:
        await asyncio.sleep(5)
        return asyncio.get_running_loop().time()

    assert (plain.__name__, plain.__doc__) == ("plain", "Says what it does.")
    assert plain(3, b=4) == pytest.approx(12)
    assert plain(3, b=4) == pytest.approx(12)
    assert patient() == pytest.approx(5)
