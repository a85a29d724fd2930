"""`rapport learners regenerate`: the examples of the whole client log, made anew with this release's features, once each."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime
from heapq import merge
from itertools import islice
from tempfile import TemporaryFile
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import orjson
from cyclopts import Parameter

from handlers.commands.at_rest import at_rest
from handlers.commands.regime_changes import author_named
from handlers.terminal.waiting import counted
from models.events.envelope import epoch_ms
from models.learners.consistency import ExamplesRegenerated
from models.triggers import ExamplesWithdrawn
from streams.agents.school import REGENERATED, WITHDRAWN
from streams.engine.oracle import PartitionFold, Told
from streams.engine.producer import KafkaProducer, Outgoing, Producer
from streams.engine.program import ClientProgram
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings, load_settings
from streams.wire.admin import ensure_topics
from streams.wire.headers import Position, origin_headers
from streams.wire.policy_file import policy_in_force
from streams.wire.reading import read_each
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, EXAMPLES

_AT_ONCE: Final = 500  # examples of some 2 KB: what one write holds in memory
_LENGTH_BYTES: Final = 4


class Made(NamedTuple):
    """An example: when the record that called for it was logged (epoch ms), its place in the log, its key, kind and bytes."""

    logged_ms: int
    partition: int
    src_offset: int
    idx: int
    client_id: str
    key: bytes
    kind: str
    value: bytes


class Spool:
    """The examples of one partition, in the order of its log, on disk; in memory are its clients while it is folded."""

    def __init__(self, program: ClientProgram, partition: int, *, partitions: int) -> None:
        """Begin with nothing; the file has no name and is gone when it is closed."""
        self.made = 0
        self._partition = partition
        self._fold: PartitionFold[Any] | None = PartitionFold(program, partitions=partitions)
        self._file = TemporaryFile()  # noqa: SIM115 - lives as long as this, which has a `close`
        self._forgotten: set[str] = set()
        self._logged_ms = 0

    def feed(self, record: Record) -> None:
        """Fold the next record of the partition. UsageError where the log does not begin with its first record."""
        if self._fold is None:
            message = "a spool that was closed takes no records"
            raise ValueError(message)
        if not self._logged_ms and record.offset:
            message = (
                f"partition {self._partition} of {CLIENT_EVENTS.name} begins at offset {record.offset}: of histories whose"
                " beginning is deleted nothing true can be made; to learn from what there is: rapport run-trainer --afresh all"
            )
            raise UsageError(message)
        # By the broker's time, which no later record is before: a merge of partitions keeps the order of each.
        self._logged_ms = max(self._logged_ms, record.timestamp, 1)
        for told in self._fold.feed(record):
            if told.topic == EXAMPLES.name:
                self._keep(told)

    def _keep(self, told: Told) -> None:
        said = orjson.loads(told.value)
        if said["kind"] == WITHDRAWN:
            self._forgotten.add(ExamplesWithdrawn.model_validate_json(told.value).client_id)
            return
        row = (self._logged_ms, self._partition, *told.position, said["client_id"], told.key or b"", said["kind"], told.value)
        raw = msgspec.msgpack.encode(row)
        self._file.write(len(raw).to_bytes(_LENGTH_BYTES, "big") + raw)
        self.made += 1

    def end(self) -> None:
        """Let the clients go: all records were fed."""
        self._fold = None

    def rows(self) -> Iterator[Made]:
        """Yield the examples in order, without those of clients who were forgotten at any time."""
        self._file.seek(0)
        while length := self._file.read(_LENGTH_BYTES):
            row = Made(*msgspec.msgpack.decode(self._file.read(int.from_bytes(length, "big"))))
            if row.client_id not in self._forgotten:
                yield row

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()


def in_order(spools: Iterable[Spool]) -> Iterator[Outgoing]:
    """Yield the records of all partitions in the order in which workers that never lag would have published them."""
    for row in merge(*(spool.rows() for spool in spools)):
        headers = origin_headers(CLIENT_EVENTS.name, row.partition, Position(row.src_offset, row.idx), kind=row.kind)
        yield Outgoing(topic=EXAMPLES.name, partition=0, key=row.key, value=row.value, headers=headers)


def marked(examples: Iterable[Outgoing], *, count: int, at: datetime, author: str) -> Iterator[Outgoing]:
    """Yield `examples` between the two records that tell the trainer to begin anew, and that it has heard all."""
    yield _mark(at, author, complete=False, count=count)
    yield from examples
    yield _mark(at, author, complete=True, count=count)


def _mark(at: datetime, author: str, *, complete: bool, count: int) -> Outgoing:
    said = ExamplesRegenerated(regenerated_at=at, author=author, complete=complete, examples=count)
    place = Position(epoch_ms(at), int(complete))
    # Keys of their own, as the topic keeps the last record of each key.
    key = f"{REGENERATED}|{'end' if complete else 'begin'}".encode()
    headers = origin_headers(REGENERATED, 0, place, kind=REGENERATED)
    return Outgoing(topic=EXAMPLES.name, partition=0, key=key, value=said.model_dump_json().encode(), headers=headers)


def regenerate(
    *, yes: Annotated[bool, Parameter(help="Do it; else only say whether it can be done.", negative="")] = False
) -> int:
    """Fold the whole log anew and write all examples anew, with the features of this release, for the learners to begin from.

    For a release with another feature table, which cannot learn from the examples of before. Stop the workers first, when
    `rapport lag` shows nothing waiting: the command refuses while one runs or anything waits, since examples are learned in the
    order of the log. It reads the log partition by partition (memory goes with the clients of one, disk in TMPDIR with the
    examples) and writes nothing before all is folded. Interrupted, run it again: the trainer begins anew where the latest run
    began, and publishes nothing learned from a run that was not finished. Clients who were erased are left out.

    Then start what stood still, the trainer with --afresh where it says that it cannot go on. Versions in force stay in force
    until a new one has proved itself; chances given long ago are those of the rules where a version of then cannot be run.

    Example: rapport learners regenerate --yes

    Exit codes: 0 done or can be done, 1 a server is away, 2 it cannot be done, and why.
    """
    settings = load_settings()
    if not yes:
        records = asyncio.run(_at_rest(settings))
        print(f"{records:,} records would be folded anew; add --yes to do it.")
        return 0
    count = asyncio.run(make_anew(settings))
    print(f"{count:,} examples written anew. Start trainer and workers; the first versions follow with the next day's answers.")
    return 0


async def _at_rest(settings: Settings) -> int:
    records = await at_rest(settings, groups=[settings.group], topics=[CLIENT_EVENTS.name])
    if not records:
        message = f"{CLIENT_EVENTS.name} is empty: there is nothing to make examples of"
        raise UsageError(message)
    return records


async def make_anew(settings: Settings) -> int:
    """Fold, write, and return how many examples were written. UsageError where the deployment is not at rest."""
    records = await _at_rest(settings)
    await ensure_topics(settings)
    producer, spools = KafkaProducer(settings, Meter()), list[Spool]()
    try:
        program = ClientProgram(await asyncio.to_thread(policy_in_force, settings))
        with counted("folding the log", total=records) as count:
            for partition in range(settings.partitions):
                spool = Spool(program, partition, partitions=settings.partitions)
                spools.append(spool)

                def feed(record: Record, spool: Spool = spool) -> None:
                    spool.feed(record)
                    count()

                await read_each(settings, CLIENT_EVENTS.name, partitions=[partition], see=feed)
                spool.end()
        if await _at_rest(settings) != records:
            message = (
                f"{CLIENT_EVENTS.name} grew meanwhile: examples of its end would be learned before its beginning; run it again"
            )
            raise UsageError(message)
        return await write(producer, spools, at=make_clock(settings.clock_file).now(), author=author_named(None))
    finally:
        for spool in spools:
            spool.close()
        await producer.close()


async def write(producer: Producer, spools: list[Spool], *, at: datetime, author: str) -> int:
    """Write the examples of all partitions between their marks, and return how many they are."""
    count = sum(1 for spool in spools for _ in spool.rows())
    rest = marked(in_order(spools), count=count, at=at, author=author)
    with counted("writing examples", total=count) as advance:
        while records := list(islice(rest, _AT_ONCE)):
            await producer.send_all(records)
            advance(len(records))
    return count
