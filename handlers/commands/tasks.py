"""`rapport tasks list|show|done` (`tasks`, a cyclopts App): the work that the policy leaves to people."""

import asyncio
import getpass
import logging
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, TypeVar

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handlers.channels.kafka_producer import KafkaSender
from handlers.channels.redis_tasks import RedisTaskBoard
from handlers.channels.task_desk import TaskDesk
from handlers.channels.tasks import Done, Task, TaskOutcome
from streams.runtime.clock import make_clock
from streams.runtime.settings import Settings, load_settings
from streams.state.redis_store import RedisStateStore, connect_redis

T = TypeVar("T")

tasks = App(
    name="tasks",
    help="""List, show and end the tasks that the policy leaves to people.

    A policy step with `channel: task` becomes a task when `rapport run-channels task` runs. What a person reports goes back as
    events, so that promises, disputes and contacts count like all others.

    Exit codes: 0 done, 1 a server is away, 2 no such task, or it has ended otherwise.
    """,
)


@tasks.command(name="list")
def list_tasks(*, every: Annotated[bool, Parameter(name="--all", help="Also those that are done.", negative="")] = False) -> None:
    """List open tasks, the next due first, and say which of them the facts have overtaken.

    Example: rapport tasks list
    """
    found = _run(lambda desk: desk.open_tasks(every=every))
    if not found:
        print("No task is open.")
        return
    table = Table(box=None)
    for heading in ("task", "due", "client", "what", "stands"):
        table.add_column(heading)
    for task, stands in found:
        client = task.name or task.trigger.client_id
        table.add_row(*map(Text, (task.task_id[:12], f"{task.trigger.expires_at:%Y-%m-%d}", client, task.subject, stands)))
    Console().print(table)


@tasks.command
def show(task_id: Annotated[str, Parameter(help="The id that `list` shows, or its beginning.")], /) -> None:
    """Show a task whole: why, what is suggested, and what is known of the client at this moment.

    Example: rapport tasks show 3f2c9a
    """
    print("\n".join(_run(lambda desk: desk.context(task_id))))


@tasks.command
def done(
    task_id: Annotated[str, Parameter(help="The id that `list` shows, or its beginning.")],
    /,
    *,
    outcome: Annotated[TaskOutcome, Parameter(help="How it ended.")],
    day: Annotated[date | None, Parameter(help="For a promise: the day on which will be paid.")] = None,
    note: Annotated[str, Parameter(help="What was said, for colleagues; for a dispute, its cause.")] = "",
    author: Annotated[str, Parameter(help="Who spoke; none: you.")] = "",
) -> None:
    """End a task and report what came of it. Repeating it is harmless.

    Examples:
        rapport tasks done 3f2c9a --outcome promise --day 2026-03-20 --note "pays after the budget round"
        rapport tasks done 3f2c9a --outcome no_answer

    """
    ended = _run(lambda desk: desk.finish(task_id, outcome=outcome, day=day, note=note, author=author or getpass.getuser()))
    print(f"Reported: {_ending(*ended)}")


def _ending(task: Task, ending: Done) -> str:
    return f"{ending.outcome.value} for {task.name or task.trigger.client_id} by {ending.author}"


def _run(step: Callable[[TaskDesk], Awaitable[T]]) -> T:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that Kafka is away is said once, by us
    return asyncio.run(_with_desk(load_settings(), step))


async def _with_desk(settings: Settings, step: Callable[[TaskDesk], Awaitable[T]]) -> T:
    redis, board, sender = connect_redis(settings), RedisTaskBoard(settings), KafkaSender(settings)
    try:
        desk = TaskDesk(
            board=board,
            store=RedisStateStore(redis, settings),
            sender=sender,
            clock=make_clock(settings.clock_file),
            zone=settings.firm_timezone,
        )
        return await step(desk)
    finally:
        await sender.close()
        await board.close()
        await redis.aclose()
