from __future__ import annotations

import asyncio

from duologue.tasks import TaskSet
from duologue.testing import virtual_time


async def forever() -> None:
    await asyncio.Event().wait()


@virtual_time
async def test_a_task_belongs_to_its_owner_until_it_ends() -> None:
    tasks = TaskSet()
    gate = asyncio.Event()
    task = tasks.start(gate.wait(), "reader")
    assert (len(tasks), task.get_name()) == (1, "duologue reader")
    gate.set()
    assert await task is True
    assert len(tasks) == 0


@virtual_time
async def test_stopping_cancels_and_waits() -> None:
    tasks = TaskSet()
    started = [tasks.start(forever(), "a"), tasks.start(forever(), "b")]
    began = asyncio.get_running_loop().time()
    assert await tasks.stop(1.0) == []
    assert all(task.cancelled() for task in started)
    assert len(tasks) == 0
    assert asyncio.get_running_loop().time() == began, "it waited longer than it had to"


@virtual_time
async def test_nothing_to_stop_takes_no_time() -> None:
    assert await TaskSet().stop(5.0) == []
    assert asyncio.get_running_loop().time() == 0.0


@virtual_time
async def test_a_task_that_swallows_one_cancellation_is_cancelled_again() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while swallowed < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1

    tasks = TaskSet()
    tasks.start(stubborn(), "stubborn")
    await asyncio.sleep(0)
    assert await tasks.stop(8.0) == []
    assert asyncio.get_running_loop().time() < 8.0


@virtual_time
async def test_a_task_that_swallows_every_cancellation_is_left_at_the_deadline() -> None:
    let_go = asyncio.Event()

    async def stubborn() -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    tasks = TaskSet()
    task = tasks.start(stubborn(), "stubborn")
    await asyncio.sleep(0)
    assert await tasks.stop(2.0) == [task]
    assert 2.0 <= asyncio.get_running_loop().time() < 2.5
    let_go.set()
    assert await tasks.stop(2.0) == []
    assert task.done()


@virtual_time
async def test_without_a_deadline_tasks_are_cancelled_once() -> None:
    tasks = TaskSet()
    task = tasks.start(forever(), "a")
    await asyncio.sleep(0)
    await tasks.stop(0.0)
    await asyncio.sleep(0)
    assert task.cancelled()


@virtual_time
async def test_a_task_can_stop_its_own_set() -> None:
    """It is not cancelled itself, and not waited for."""
    tasks = TaskSet()
    other = tasks.start(forever(), "other")
    closing = tasks.start(tasks.stop(1.0), "closing")
    assert await closing == []
    assert other.cancelled()


@virtual_time
async def test_a_task_that_begins_while_others_are_stopped_is_stopped_too() -> None:
    tasks = TaskSet()
    late: list[asyncio.Task[None]] = []

    async def breeding() -> None:
        try:
            await forever()
        finally:
            late.append(tasks.start(forever(), "late"))

    tasks.start(breeding(), "breeding")
    await asyncio.sleep(0)
    assert await tasks.stop(1.0) == []
    assert late[0].cancelled()


@virtual_time
async def test_the_clean_up_of_a_failing_task_is_not_the_owners_concern() -> None:
    async def failing() -> None:
        try:
            await forever()
        finally:
            raise ValueError("at the end")

    tasks = TaskSet()
    task = tasks.start(failing(), "failing")
    await asyncio.sleep(0)
    assert await tasks.stop(1.0) == []
    assert isinstance(task.exception(), ValueError)
