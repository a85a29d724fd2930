"""Everything outside the worker processes: the log, the output topics, the consumer group, and calls under way."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Final, TypeVar

from streams.engine.fence import Slot
from streams.engine.producer import Outgoing
from streams.runtime.errors import RetryError
from streams.wire.headers import Position, read_origin
from streams.wire.records import PlainRecord
from streams.wire.topics import CLIENT_EVENTS
from tests.simulator.loop import StepLoop
from tests.simulator.server import Server

T = TypeVar("T")

SLOT: Final = Slot(CLIENT_EVENTS.name, 0)
EPOCH_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z, second 0 of every simulation


@dataclass(frozen=True, slots=True)
class Published:
    """One record of an output topic."""

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def position(self) -> Position:
        """Where it came from."""
        return read_origin(self.headers).position


@dataclass(eq=False, slots=True)
class Call:
    """A request of a process to the outside: first it travels, then it is answered; both can go wrong."""

    process: str
    op: str
    perform: Callable[[], Any]
    reply: asyncio.Future[Any]
    answered: bool = False
    answer: Any = None
    error: Exception | None = None
    repeats: int = 0

    def fail_half_way(self) -> None:
        """Let a part of the request have its effect."""
        some = getattr(self.perform, "some", None)
        if some is not None:
            some()

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for the reply any more."""
        return self.reply.done()


@dataclass(eq=False, slots=True)
class Group:
    """The consumer group: `epoch` counts how often the broker forgot it, which starts its generations again at 1."""

    epoch: int = 0
    generation: int = 0
    owner: str = ""
    committed: int | None = None

    @property
    def stamp(self) -> tuple[int, int]:
        """What a member must know to be a living member."""
        return (self.epoch, self.generation)


@dataclass(eq=False, slots=True)
class World:
    """The outside of one run."""

    loop: StepLoop
    server: Server
    dice: Random
    log: list[PlainRecord] = field(default_factory=list)
    topics: dict[str, list[Published]] = field(default_factory=dict)
    group: Group = field(default_factory=Group)
    calls: list[Call] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)

    def now_ms(self) -> int:
        """Return the world's time."""
        return EPOCH_MS + round(self.loop.time() * 1000)

    def tell(self, line: str) -> None:
        """Write a line of the story, which is all that is needed to compare two runs of a seed."""
        self.story.append(line)

    def append(self, key: bytes | None, value: bytes | None) -> int:
        """Write a record to the log and return its offset."""
        offset = len(self.log)
        record = PlainRecord(topic=SLOT.topic, partition=0, offset=offset, timestamp=self.now_ms(), key=key, value=value)
        self.log.append(record)
        return offset

    async def ask(self, process: str, op: str, perform: Callable[[], Any]) -> Any:  # noqa: ANN401 - any call's reply
        """Send a request and wait for its reply; what happens in between is the scheduler's choice."""
        call = Call(process, op, perform, self.loop.create_future())
        self.calls.append(call)
        return await call.reply

    def execute(self, call: Call) -> None:
        """Let the request arrive: it has its effect now, and its answer is on the way."""
        call.answered = True
        try:
            call.answer = call.perform()
        except Exception as error:  # noqa: BLE001 - whatever the server said is the answer
            call.error = error
        self.tell(f"{call.process} {call.op} -> {_plain(call.answer, call.error)}")

    def finish(self, call: Call) -> None:
        """Deliver the answer, if anybody waits for it."""
        self.calls.remove(call)
        if call.abandoned:
            return
        if call.error is None:
            call.reply.set_result(call.answer)
        else:
            _fail(call.reply, call.error)

    def lose(self, call: Call, *, why: str) -> None:
        """Tell the caller that it failed; whether the request arrived he cannot know."""
        if not call.abandoned:
            _fail(call.reply, RetryError(why))

    def produce(self, records: Sequence[Outgoing]) -> list[int]:
        """Write `records` to their topics."""
        return [self._write(record) for record in records]

    def _write(self, record: Outgoing) -> int:
        if record.topic == SLOT.topic:
            return self.append(record.key, record.value)
        at = self.topics.setdefault(record.topic, [])
        at.append(Published(record.topic, record.key, record.value or b"", tuple(record.headers)))
        return len(at) - 1

    def first_from(self, offset: int) -> int:
        """Return where the log's first record from `offset` on is; raises RetryError when there is none."""
        if offset < len(self.log):
            return offset
        message = "no such record yet"
        raise RetryError(message)

    def furthest(self) -> dict[str, Position]:
        """Return, by topic, the furthest output that was published: what the engine reads from the topics' tails."""
        return {topic: max(each.position for each in records) for topic, records in self.topics.items() if records}


def _fail(reply: asyncio.Future[Any], error: Exception) -> None:
    """Let `reply` raise `error`; nobody is to blame when its process is killed before it can look."""
    reply.set_exception(error)
    reply.exception()


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that never gives way."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    message = "a call on the blocking connection gave way to other tasks"
    raise AssertionError(message)


def _plain(answer: object, error: Exception | None) -> str:
    if error is not None:
        return type(error).__name__
    verdict = getattr(answer, "verdict", None)
    return str(verdict) if verdict is not None else type(answer).__name__


def instant(now_ms: int) -> datetime:
    """Return the moment that is `now_ms` since 1970."""
    return datetime.fromtimestamp(now_ms / 1000, UTC)
