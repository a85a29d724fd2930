"""Tasks for people: what a board keeps of them, and the port through which the task channel and the command line reach it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

import orjson

from models.triggers import APPROVE, Trigger
from streams.runtime.errors import RetryError


class TaskOutcome(StrEnum):
    """How a person ended a task."""

    REACHED = "reached"
    PROMISE = "promise"
    PLAN = "plan"
    DISPUTE = "dispute"
    NO_ANSWER = "no_answer"
    WRONG_CONTACT = "wrong_contact"
    APPROVED = "approved"
    HELD = "held"


DECISIONS: Final = frozenset({TaskOutcome.APPROVED, TaskOutcome.HELD})
"""How a task ends in which a message was put before a person; no other task ends so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Who ended a task, when (business time, epoch ms), and how; of a message put before them: what they changed, until when."""

    outcome: TaskOutcome
    author: str
    at_ms: int
    note: str = ""
    tone: str = ""
    channel: str = ""
    until_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task. `text` is the message as written for it; its id is the trigger's, due is the trigger's expiry."""

    trigger: Trigger
    name: str
    subject: str
    text: str
    done: Done | None = None

    @property
    def is_approval(self) -> bool:
        """Whether it asks for a word on a message rather than for a talk with the client."""
        return self.trigger.step.startswith(APPROVE)

    @property
    def task_id(self) -> str:
        """The trigger's id."""
        return self.trigger.trigger_id


class TaskBoard(Protocol):
    """Keeps tasks until they are done, and what came of them for a while. All calls raise RetryError while the store is away."""

    async def put(self, task: Task) -> bool:
        """Keep `task`; false when its id is known already, done or not: then nothing changes."""
        ...

    async def get(self, task_id: str) -> Task | None:
        """Return a task with what came of it, or none."""
        ...

    async def tasks(self) -> list[Task]:
        """Return all tasks, those due first at the front, of several the one with the smallest id."""
        ...

    async def finish(self, task_id: str, done: Done) -> Done | None:
        """Record `done`, unless the task is done already; return what holds, or none where there is no such task."""
        ...

    async def forget(self, task_id: str) -> None:
        """Remove a task and what came of it."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


class MemoryTaskBoard:
    """The board in a dictionary: for tests, and for trying out."""

    def __init__(self) -> None:
        """Start empty, and there."""
        self._kept: dict[str, Task] = {}
        self.away = False

    async def put(self, task: Task) -> bool:
        """See `TaskBoard.put`."""
        self._check()
        return self._kept.setdefault(task.task_id, task) is task

    async def get(self, task_id: str) -> Task | None:
        """See `TaskBoard.get`."""
        self._check()
        return self._kept.get(task_id)

    async def tasks(self) -> list[Task]:
        """See `TaskBoard.tasks`."""
        self._check()
        return in_order(self._kept.values())

    async def finish(self, task_id: str, done: Done) -> Done | None:
        """See `TaskBoard.finish`."""
        self._check()
        task = self._kept.get(task_id)
        if task is None:
            return None
        if task.done is None:
            task = self._kept[task_id] = replace(task, done=done)
        return task.done

    async def forget(self, task_id: str) -> None:
        """See `TaskBoard.forget`."""
        self._check()
        self._kept.pop(task_id, None)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _check(self) -> None:
        if self.away:
            message = "the board was told to be away"
            raise RetryError(message)


def in_order(tasks: Iterable[Task]) -> list[Task]:
    """Return tasks as `TaskBoard.tasks` promises them."""
    return sorted(tasks, key=lambda task: (task.trigger.expires_at, task.task_id))


def encode_task(task: Task) -> bytes:
    """Return what a store keeps of a task; what came of it is kept apart."""
    head = {"name": task.name, "subject": task.subject, "text": task.text}
    return orjson.dumps({**head, "trigger": task.trigger.model_dump(mode="json", exclude_none=True)})


def decode_task(raw: bytes, done: bytes | None) -> Task:
    """Return the task of `encode_task` and `encode_done`."""
    fields = orjson.loads(raw)
    trigger = Trigger.model_validate(fields.pop("trigger"))
    return Task(trigger=trigger, **fields, done=None if done is None else decode_done(done))


def encode_done(done: Done) -> bytes:
    """Return what a store keeps of how a task ended."""
    return orjson.dumps(done)


def decode_done(raw: bytes) -> Done:
    """Return what `encode_done` encoded."""
    fields = orjson.loads(raw)
    return Done(outcome=TaskOutcome(fields.pop("outcome")), **fields)
