from __future__ import annotations

import asyncio
import threading

import pytest
from duologue.testing import assert_no_leaks, virtual_time


@virtual_time
async def test_what_was_there_before_and_what_has_ended_is_no_leak() -> None:
    before = asyncio.create_task(asyncio.sleep(100))
    async with assert_no_leaks():
        await asyncio.create_task(asyncio.sleep(1))
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
    before.cancel()


@virtual_time
async def test_what_ends_in_time_is_no_leak() -> None:
    async with assert_no_leaks(within=1.0):
        task = asyncio.create_task(asyncio.sleep(0.9))
    assert task.done()


@virtual_time
async def test_a_task_that_is_left_is_named() -> None:
    with pytest.raises(AssertionError, match=r"left behind: .*the leak"):
        async with assert_no_leaks(within=1.0):
            task = asyncio.create_task(asyncio.sleep(60), name="the leak")
    assert 1.0 <= asyncio.get_running_loop().time() < 2.0
    task.cancel()


@virtual_time
async def test_a_thread_that_is_left_is_named() -> None:
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait, name="the leak", daemon=True)
    with pytest.raises(AssertionError, match=r"left behind: .*the leak"):
        async with assert_no_leaks(within=0.1):
            thread.start()
    gate.set()
    thread.join()


@virtual_time
async def test_an_error_of_the_body_is_not_hidden_by_what_it_left() -> None:
    tasks: list[asyncio.Task[None]] = []

    async def leaky() -> None:
        async with assert_no_leaks():
            tasks.append(asyncio.create_task(asyncio.sleep(60)))
            raise KeyError

    with pytest.raises(KeyError):
        await leaky()
    tasks[0].cancel()
