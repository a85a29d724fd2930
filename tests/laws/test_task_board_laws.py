"""Laws of the board of tasks, over both twins."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from handlers.channels.redis_tasks import RedisTaskBoard
from handlers.channels.tasks import Done, MemoryTaskBoard, Task, TaskBoard, TaskOutcome
from models.money import Money
from streams.runtime.clock import fresh_id
from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from tests.conftest import Servers
from tests.handlers.channel_examples import NOW, trigger

pytestmark = pytest.mark.integration

REACHED = Done(outcome=TaskOutcome.REACHED, author="eva", at_ms=5, note="spöke")


def task(task_id: str = "t1", *, days: int = 7, text: str = "line\n\nline") -> Task:
    given = trigger(task_id, channel="task", expires_at=NOW + timedelta(days=days), facts={"amount_open": Money(5, "EUR")})
    return Task(trigger=given, name="Ada 好", subject="Speak with Ada", text=text)


@pytest.fixture(params=["memory", "redis"])
async def board(request: pytest.FixtureRequest) -> AsyncIterator[TaskBoard]:
    if request.param == "memory":
        yield MemoryTaskBoard()
        return
    servers: Servers = request.getfixturevalue("servers")
    settings = Settings.model_validate({"redis_url": servers.redis_url, "namespace": fresh_id()})
    made = RedisTaskBoard(settings)
    yield made
    for kept in await made.tasks():
        await made.forget(kept.task_id)
    await made.close()


async def test_what_was_put_is_found_as_it_was(board: TaskBoard) -> None:
    assert await board.put(task())
    assert await board.get("t1") == task()
    assert await board.get("t2") is None


async def test_putting_a_task_again_changes_nothing_done_or_not(board: TaskBoard) -> None:
    await board.put(task())
    assert not await board.put(task(text="another"))
    await board.finish("t1", REACHED)
    assert not await board.put(task(text="another"))
    assert await board.tasks() == [replace(task(), done=REACHED)]


async def test_tasks_come_in_the_order_in_which_they_are_due(board: TaskBoard) -> None:
    for task_id, days in (("c", 3), ("a", 9), ("b", 3)):
        await board.put(task(task_id, days=days))
    assert [each.task_id for each in await board.tasks()] == ["b", "c", "a"]


async def test_the_first_ending_holds(board: TaskBoard) -> None:
    await board.put(task())
    assert await board.finish("t1", REACHED) == REACHED
    assert await board.finish("t1", Done(outcome=TaskOutcome.DISPUTE, author="bob", at_ms=9)) == REACHED
    found = await board.get("t1")
    assert found is not None
    assert found.done == REACHED


async def test_a_task_that_is_not_there_cannot_end_and_leaves_no_trace(board: TaskBoard) -> None:
    assert await board.finish("t1", REACHED) is None
    await board.put(task())
    assert await board.tasks() == [task()]


async def test_a_forgotten_task_is_gone_whole(board: TaskBoard) -> None:
    await board.put(task())
    await board.finish("t1", REACHED)
    await board.forget("t1")
    await board.forget("t1")
    assert await board.tasks() == []
    assert await board.put(task())
    assert await board.tasks() == [task()]


async def test_a_store_that_is_away_is_an_error_that_asks_to_try_again() -> None:
    away = MemoryTaskBoard()
    away.away = True
    for board in (away, RedisTaskBoard(Settings(redis_url="redis://127.0.0.1:1/0"))):
        for call in (board.put(task()), board.get("t1"), board.tasks(), board.finish("t1", REACHED), board.forget("t1")):
            with pytest.raises(RetryError):
                await call
        await board.close()
