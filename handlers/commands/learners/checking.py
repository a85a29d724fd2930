"""`rapport learners check`: stored features of a sample of clients against a replay of the log; the trainer hears the result."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from handlers.terminal.waiting import Counted, uncounted
from models.events.envelope import epoch_ms
from models.features import TABLE
from models.learners.consistency import (
    CHECKED,
    LIMIT,
    AnyExample,
    Difference,
    ExamplesChecked,
    decided_differently,
    differences,
    is_sampled,
    questions_of,
    read_by_both,
)
from models.renewal_features import RENEWAL_TABLE
from models.triggers import Decision, Example, ExamplesWithdrawn, RenewalExample
from models.workdays import DAY_MS
from streams.engine.oracle import Told, fold_partition
from streams.engine.producer import KafkaProducer, Outgoing
from streams.engine.program import ClientProgram
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.wire.headers import Position, origin_headers
from streams.wire.merged import ends_of
from streams.wire.policy_file import policy_in_force
from streams.wire.reading import read_each
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY, DECISIONS, EXAMPLES

LEAST_QUESTIONS: Final = 100
"""Of fewer, whose features are computed differently may not be among them: a firm with few clients is read as a whole."""

_WIDER: Final = 8.0
_CONTRACTS: Final[Mapping[str, type[AnyExample]]] = {"example": Example, "renewal_example": RenewalExample}
_WITHDRAWN: Final = str(ExamplesWithdrawn.model_fields["kind"].default)
_TABLES: Final = {TABLE, RENEWAL_TABLE}


@dataclass(slots=True)
class Sides:
    """Examples of the sampled clients by key: as they stand on the topic, and as the log gives them."""

    served: dict[bytes, AnyExample] = field(default_factory=dict)
    again: dict[bytes, AnyExample] = field(default_factory=dict)
    clients: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
    read: dict[str, Decision] = field(default_factory=dict)
    read_again: dict[str, Decision] = field(default_factory=dict)

    def serve(self, key: bytes, value: bytes | None) -> None:
        """Take one record of the topic; the last one of a key holds, a taken back one is none."""
        self.served.pop(key, None)
        if value:
            self._take(self.served, key, value)

    def decide(self, value: bytes | None) -> None:
        """Take one record of the topic of decisions, where it has read something learnt."""
        _remember(self.read, value)

    def replay(self, outputs: Iterable[Told]) -> None:
        """Take what the replay of one partition gives."""
        for said in outputs:
            if said.topic == EXAMPLES.name:
                self._take(self.again, said.key or b"", said.value)
            elif said.topic == DECISIONS.name:
                _remember(self.read_again, said.value)

    def within(self, *, since: datetime, until: datetime) -> "Sides":
        """Return what was answered in a stretch of time, without clients who asked to be forgotten."""
        served, again = (self._kept(rows, since, until) for rows in (self.served, self.again))
        read, read_again = (self._decided(rows, since, until) for rows in (self.read, self.read_again))
        return Sides(served, again, self.clients, self.forgotten, read, read_again)

    def _decided(self, rows: Mapping[str, Decision], since: datetime, until: datetime) -> dict[str, Decision]:
        return {
            name: row for name, row in rows.items() if since <= row.decided_at < until and row.client_id not in self.forgotten
        }

    def _kept(self, rows: Mapping[bytes, AnyExample], since: datetime, until: datetime) -> dict[bytes, AnyExample]:
        return {
            key: row
            for key, row in rows.items()
            if since <= row.decided_at < until and row.client_id not in self.forgotten and row.table in _TABLES
        }

    def _take(self, rows: dict[bytes, AnyExample], key: bytes, value: bytes) -> None:
        kind = orjson.loads(value)["kind"]
        if kind == _WITHDRAWN:
            self.forgotten.add(ExamplesWithdrawn.model_validate_json(value).client_id)
        elif kind in _CONTRACTS:
            rows[key] = _CONTRACTS[kind].model_validate_json(value)


def _remember(rows: dict[str, Decision], value: bytes | None) -> None:
    if value and b'"learnt"' in value:
        decision = Decision.model_validate_json(value)
        rows.setdefault(decision.decision_id, decision)


async def check(
    settings: Settings,
    *,
    share: float,
    days: int,
    settle_minutes: float,
    now: datetime,
    author: str,
    counted: Counted = uncounted,
) -> ExamplesChecked:
    """Compare, tell the trainer, and return the result.

    Compared is what was answered in the last `days` up to `settle_minutes` ago: what is newer may still be on its way. Where the
    share holds too little to say anything, more clients are taken.
    """
    since, until = (
        datetime.fromtimestamp(ms / 1000, UTC)
        for ms in (now.timestamp() * 1000 - days * DAY_MS, now.timestamp() * 1000 - settle_minutes * 60_000)
    )

    async def read(share: float) -> Sides:
        sides = await _read(settings, share=share, night=f"{now.astimezone(UTC):%Y-%m-%d}", counted=counted)
        return sides.within(since=since, until=until)

    result = judged(await large_enough(read, share=share), now=now, author=author)
    await _tell(settings, result)
    return result


async def large_enough(read: Callable[[float], Awaitable[Sides]], *, share: float) -> Sides:
    """Return what a share of the clients was asked, or a larger one as long as that is fewer than `LEAST_QUESTIONS`."""
    while True:
        sides = await read(share)
        if share >= 1 or max(questions_of(sides.served), questions_of(sides.again)) >= LEAST_QUESTIONS:
            return sides
        share = min(1.0, share * _WIDER)


def judged(sides: Sides, *, now: datetime, author: str) -> ExamplesChecked:
    """Return the result of a comparison."""
    read, read_again = ({name: row.learnt for name, row in rows.items() if row.learnt} for rows in (sides.read, sides.read_again))
    found = [*differences(sides.served, sides.again), *decided_differently(read, read_again)]
    decisions = read_by_both(read, read_again)
    counts = Counter(row.what for row in found)
    questions = max(questions_of(sides.served), questions_of(sides.again))
    return ExamplesChecked(
        checked_at=now,
        author=author,
        clients=len(sides.clients),
        questions=questions,
        mismatched=counts["mismatched"],
        missing=counts["missing"],
        extra=counts["extra"],
        decisions=decisions,
        worst=max((row.error for row in found), default=0.0),
        first=_first(found),
        passed=len(found) <= LIMIT * (questions + decisions),
    )


def _first(found: list[Difference]) -> str:
    return found[0].words if found else ""


async def _read(settings: Settings, *, share: float, night: str, counted: Counted) -> Sides:
    sides = Sides()
    bounds = (await ends_of(settings, CLIENT_EVENTS.name)).values()
    with counted("folding the log of a sample", total=sum(end - start for start, end in bounds)) as count:
        await _replay(settings, sides, share=share, night=night, count=count)
    with counted("reading what was served", total=None) as count:
        await _serve(settings, sides, count=count)
    return sides


async def _replay(settings: Settings, sides: Sides, *, share: float, night: str, count: Callable[..., None]) -> None:
    program = ClientProgram(await asyncio.to_thread(policy_in_force, settings))
    for partition in range(settings.partitions):
        records: list[Any] = []

        def keep(record: Any, records: list[Any] = records) -> None:  # noqa: ANN401 - a record of aiokafka
            if record.key == CONTROL_KEY:
                records.append(record)
            elif is_sampled(record.key.decode(errors="replace"), share=share, night=night):
                sides.clients.add(record.key.decode(errors="replace"))
                records.append(record)
            else:
                count()

        await read_each(settings, CLIENT_EVENTS.name, partitions=[partition], see=keep)
        counting = _counting(records, count)
        folded = await asyncio.to_thread(fold_partition, program, counting, partitions=settings.partitions)
        sides.replay(folded.outputs)


def _counting(records: Iterable[Any], count: Callable[..., None]) -> Iterator[Any]:
    for record in records:
        yield record
        count()


async def _serve(settings: Settings, sides: Sides, *, count: Callable[..., None]) -> None:
    def serve(record: Any) -> None:  # noqa: ANN401 - likewise
        count()
        client = (record.key or b"").partition(b"|")[0].decode(errors="replace")
        if client in sides.clients:
            sides.serve(record.key, record.value)

    def decide(record: Any) -> None:  # noqa: ANN401 - likewise
        count()
        if (record.key or b"").decode(errors="replace") in sides.clients:
            sides.decide(record.value)

    await read_each(settings, EXAMPLES.name, partitions=[0], see=serve)
    await read_each(settings, DECISIONS.name, partitions=list(range(settings.partitions)), see=decide)


async def _tell(settings: Settings, result: ExamplesChecked) -> None:
    """Write the result where the trainer reads it, in the order of what it learns; the last one holds."""
    place = Position(epoch_ms(result.checked_at), 0)
    headers = origin_headers(CHECKED, 0, place, kind=CHECKED)
    value = result.model_dump_json().encode()
    producer = KafkaProducer(settings, Meter())
    try:
        await producer.send_all([Outgoing(topic=EXAMPLES.name, partition=0, key=CHECKED.encode(), value=value, headers=headers)])
    finally:
        await producer.close()
