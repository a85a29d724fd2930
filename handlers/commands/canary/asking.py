"""Tells a synthetic client of each partition to the running system, and holds what its workers make of it against the oracle."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from handlers.commands.canary.story import clients_of, differing_decisions, differing_states, forgotten, told
from handlers.commands.history import deliveries
from handlers.commands.sending import Sent, send
from models.events.union import AnyClientEvent
from models.state.client import ClientState
from models.state.codec import UnreadableStateError
from models.triggers import Decision
from streams.engine.fence import Slot
from streams.engine.oracle import PartitionFold
from streams.engine.program import ClientProgram
from streams.engine.redis_fence import RedisFence
from streams.runtime.clock import Clock, monotonic
from streams.runtime.errors import RapportError
from streams.runtime.settings import Settings
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.merged import ends_of
from streams.wire.reading import read_each
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY, DECISIONS

LOOKS: Final = 2
"""An answer is wrong only when a second look says so too: between two reads of the first, time may have passed for the client."""

_PAUSE_SECONDS: Final = 0.2
_TICK: Final = b'"clock.ticked"'


class UnsettledError(RapportError):
    """What is in force changed while synthetic clients were asked: nothing can be said of their answers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one synthetic client: right without `differences`; `silent` says why there is nothing to judge."""

    client_id: str
    partition: int
    differences: tuple[str, ...] = ()
    silent: str = ""

    @property
    def is_right(self) -> bool:
        """Say whether the workers decided and stored what the program says."""
        return not self.silent and not self.differences

    def lines(self) -> Iterator[str]:
        """Yield what is wrong, for people."""
        about = f"{CLIENT_EVENTS.name}-{self.partition}, {self.client_id}: "
        yield from (about + words for words in (self.silent, *self.differences) if words)


async def ask(
    settings: Settings,
    program: ClientProgram,
    *,
    clock: Clock,
    within_seconds: float,
    stopped: asyncio.Event | None = None,
) -> list[Answer]:
    """Tell a synthetic client of each partition, return what became of it, and have it forgotten.

    `program` is what workers were started with; what is in force is added to it. Once `stopped`, no answer is waited for any
    more. Raises RetryError while a server is away, and UnsettledError.
    """
    stopped = stopped or asyncio.Event()
    redis = connect_redis(settings)
    store, at = RedisStateStore(redis, settings), clock.now()
    clients = clients_of(at, partitions=settings.partitions)
    try:
        regimes = await store.regimes()
        asked = [
            Asked(
                settings=settings,
                client_id=client,
                slot=Slot(CLIENT_EVENTS.name, partition),
                program=program.under(regimes[partition]),
                store=store,
                fence=RedisFence(redis, settings),
                stopped=stopped,
                logged_since=logged,
                decided_since=decided,
            )
            for partition, client, logged, decided in await _places(settings, clients)
        ]
        story = [told(client, at) for client in clients]
        try:
            await _say(settings, [event for events in story for event in events])
            first = await _answers(asked, events=len(story[0]), within_seconds=within_seconds)
        finally:
            await _say(settings, [forgotten(client, at) for client in clients])
        last = await _answers(
            [row for row, answer in zip(asked, first, strict=True) if answer.is_right],
            events=len(story[0]) + 1,
            within_seconds=within_seconds,
        )
        if await store.regimes() != regimes:
            message = "what is in force changed meanwhile (a policy, a stop, a learner), so nothing can be said; ask again"
            raise UnsettledError(message)
    finally:
        await redis.aclose()
    ends = {answer.client_id: answer for answer in last}
    return [ends.get(answer.client_id, answer) for answer in first]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One synthetic client: where it lives, the program in force there, and from which offsets on it is spoken of."""

    settings: Settings
    client_id: str
    slot: Slot
    program: ClientProgram
    store: RedisStateStore
    fence: RedisFence
    stopped: asyncio.Event
    logged_since: int
    decided_since: int

    async def answer(self, *, events: int, deadline: float) -> Answer:
        """Wait until the workers have folded `events` of its events and published what they decided, and judge both."""
        found: list[str] = []
        for _ in range(LOOKS):
            try:
                stored = await self._folded(events, deadline)
            except UnreadableStateError as error:
                return self._said(f"its state was written by another release: {error}")
            if isinstance(stored, str):
                return Answer(self.client_id, self.slot.partition, silent=stored)
            found = await self._judged(stored, deadline)
            if not found:
                break
        return self._said(*found)

    def _said(self, *differences: str) -> Answer:
        return Answer(self.client_id, self.slot.partition, differences)

    async def _folded(self, events: int, deadline: float) -> ClientState | str:
        while True:
            blob = await self.store.read(self.client_id)
            state = None if blob is None else self.program.decode(blob)
            counted = 0 if state is None else state.events
            if state is not None and counted >= events:
                return state
            if self._is_over(deadline):
                return f"{counted} of its {events} events were folded in time; see rapport lag, and rapport dead-letters list"
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _judged(self, stored: ClientState, deadline: float) -> list[str]:
        fold, said, last = PartitionFold(self.program, partitions=self.settings.partitions), list[Decision](), -1
        for record in await self._records(CLIENT_EVENTS.name, self.logged_since, _is_time):
            said += [Decision.model_validate_json(row.value) for row in fold.feed(record) if row.topic == DECISIONS.name]
            last = record.offset
        known = fold.folded([]).states.get(self.client_id)
        if known is None:
            return ["it has a state, and the log says nothing of it"]
        if not await self._published(last, deadline):
            return ["what was decided about it was not published in time; see rapport lag"]
        rows = [Decision.model_validate_json(row.value or b"") for row in await self._records(DECISIONS.name, self.decided_since)]
        return [*differing_states(self.program.decode(known), stored), *differing_decisions(said, rows)]

    async def _published(self, offset: int, deadline: float) -> bool:
        """Wait until nothing is left in the outbox that was decided up to `offset`."""
        while (waiting := await self.fence.read_outbox(self.slot, limit=1)) and waiting[0].position.src_offset <= offset:
            if self._is_over(deadline):
                return False
            await asyncio.sleep(_PAUSE_SECONDS)
        return True

    def _is_over(self, deadline: float) -> bool:
        return self.stopped.is_set() or monotonic() > deadline

    async def _records(self, topic: str, since: int, besides: Callable[[Record], bool] = lambda _: False) -> list[Record]:
        """Return the client's records of its partition of `topic`, and those that are wanted besides, from an offset on."""
        found: list[Record] = []

        def see(record: Any) -> None:  # noqa: ANN401 - what a client library returned
            if record.key == self.client_id.encode() or besides(record):
                found.append(record)

        await read_each(self.settings, topic, partitions=[self.slot.partition], see=see, since=since)
        return found


def _is_time(record: Record) -> bool:
    return record.key == CONTROL_KEY and _TICK in (record.value or b"")


async def _answers(asked: Sequence[Asked], *, events: int, within_seconds: float) -> list[Answer]:
    deadline = monotonic() + within_seconds
    return [await row.answer(events=events, deadline=deadline) for row in asked]


async def _places(settings: Settings, clients: Sequence[str]) -> list[tuple[int, str, int, int]]:
    """Return partition and client, and where its partition of the log and of the decisions ends by now."""
    log, decisions = await ends_of(settings, CLIENT_EVENTS.name), await ends_of(settings, DECISIONS.name)
    return [(partition, client, log[partition][1], decisions[partition][1]) for partition, client in enumerate(clients)]


async def _say(settings: Settings, events: Sequence[AnyClientEvent]) -> None:
    """Tell events as the webhook gateway would: what is told of one client arrives in this order."""
    await send(deliveries(events), settings=settings, sent=Sent(), report=lambda _: None)
