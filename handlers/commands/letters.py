"""Reads the dead letters of a deployment, a bounded stretch at a time, and drives chosen ones again."""

from collections import Counter, deque
from collections.abc import AsyncIterator, Container, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.runtime.clock import Clock
from streams.runtime.errors import DeadLetterError, UsageError
from streams.runtime.settings import Settings
from streams.wire.admin import read_topics
from streams.wire.dead_letters import DISMISS, REDRIVE, DeadLetter, Reason, marker_headers, read_dead_letter, settled_by
from streams.wire.deliveries import SOURCE
from streams.wire.kafka import answering, kafka_options, reader
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, DEAD_LETTERS, INTAKE_TOPICS

_POLL_MS: Final = 500
_CHUNK: Final = 500  # letters that are put back before their markers are written; a crash repeats at most these
_REDRIVABLE: Final = frozenset(topic.name for topic in (*INTAKE_TOPICS, CLIENT_EVENTS))


class Place(NamedTuple):
    """Where a letter stands on the topic of dead letters; written `partition:offset`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        """Return the form in which people and headers write it."""
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `partition:offset`, or an offset alone, which is in partition 0."""
        partition, _, offset = text.rpartition(":")
        if not offset.isdecimal() or not (partition or "0").isdecimal():
            message = f"{text!r} is no place of a dead letter; write partition:offset as `rapport dead-letters list` shows it"
            raise UsageError(message)
        return cls(int(partition or 0), int(offset))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """A dead letter on the topic."""

    place: Place
    letter: DeadLetter

    @property
    def source(self) -> str:
        """Who sent the record: the webhook's source, else the topic it came on."""
        named = dict(self.letter.headers).get(SOURCE)
        return named.decode(errors="replace") if named else self.letter.src_topic

    @property
    def redrivable(self) -> bool:
        """Whether its bytes are an input. What could not be published is an output of ours, and is made again by replay."""
        return self.letter.src_topic in _REDRIVABLE and self.letter.reason != Reason.NO_TOPIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters are meant; what is none or empty does not restrict."""

    stage: str | None = None
    reason: str | None = None
    source: str | None = None
    places: frozenset[Place] = frozenset()

    def fits(self, shelved: Shelved) -> bool:
        """Say whether a letter is meant."""
        asked = (self.stage, shelved.letter.stage), (self.reason, shelved.letter.reason), (self.source, shelved.source)
        return all(want in {None, have} for want, have in asked) and (not self.places or shelved.place in self.places)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Which part of the topic is read: from offset `start`, or the `last` records of each partition; 0 reads all."""

    start: int | None = None
    last: int = 10_000


@dataclass(slots=True)
class Shelf:
    """What a stretch of the topic holds: counts of all that fit, the newest of them, and how which were settled."""

    shown: deque[Shelved]
    read: int = 0
    skipped: int = 0
    fitting: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    settled: dict[str, str] = field(default_factory=dict)
    strange: int = 0


@dataclass(slots=True)
class Passed:
    """Letters that fit and are not driven again: settled `before`, or no input, so that nothing could read them again."""

    before: int = 0
    no_input: int = 0


class LetterBox:
    """The topic of dead letters of one deployment."""

    def __init__(self, settings: Settings) -> None:
        """Read the topic that `settings` name."""
        self._settings = settings
        self._topic = settings.topic(DEAD_LETTERS.name)

    async def survey(self, wanted: Wanted, *, stretch: Stretch, limit: int) -> Shelf:
        """Return what fits in `stretch`, with the newest `limit` letters; memory does not grow with the topic."""
        shelf = Shelf(deque(maxlen=limit))
        async with reader(self._settings) as consumer:
            shelf.skipped = await self._seek(consumer, stretch)
            async for record in _until_end(consumer):
                shelf.read += 1
                marked = settled_by(record)
                if marked is not None:
                    shelf.settled.update([marked])
                elif (shelved := _shelved(record)) is None:
                    shelf.strange += 1
                elif wanted.fits(shelved):
                    shelf.fitting += 1
                    shelf.reasons[shelved.letter.stage, shelved.letter.reason] += 1
                    shelf.shown.append(shelved)
        return shelf

    async def read(self, place: Place) -> Shelved:
        """Return one letter; raises UsageError when there is none at `place`."""
        async with reader(self._settings) as consumer:
            at = TopicPartition(self._topic, place.partition)
            consumer.assign([at])
            start, end = (await consumer.beginning_offsets([at]))[at], (await consumer.end_offsets([at]))[at]
            if not start <= place.offset < end:
                message = f"no dead letter is at {place}: offsets {start} to {end - 1} are kept. See: rapport dead-letters list"
                raise UsageError(message)
            consumer.seek(at, place.offset)
            record = await consumer.getone(at)
        shelved = _shelved(record)
        if shelved is None or record.offset != place.offset:
            message = f"the record at {place} is no dead letter, but a note that one was driven again"
            raise UsageError(message)
        return shelved

    async def chosen(
        self, wanted: Wanted, *, stretch: Stretch, known: Container[str], limit: int, passed: Passed
    ) -> AsyncIterator[Shelved]:
        """Yield the letters that fit, can be driven again and are not in `known`, oldest first, at most `limit`.

        The others that fit are counted in `passed`.
        """
        given = 0
        async with reader(self._settings) as consumer:
            await self._seek(consumer, stretch)
            async for record in _until_end(consumer):
                shelved = None if settled_by(record) is not None else _shelved(record)
                if shelved is None or not wanted.fits(shelved):
                    continue
                if not shelved.redrivable:
                    passed.no_input += 1
                    continue
                if str(shelved.place) in known:
                    passed.before += 1
                    continue
                yield shelved
                given += 1
                if given == limit:
                    return

    async def redrive(self, letters: AsyncIterator[Shelved], *, body: bytes | None, actor: str, note: str, clock: Clock) -> int:
        """Put `letters` back where they came from, with `body` instead of their own if given; return how many.

        Each is noted on the topic itself once Kafka has it. A crash in between drives at most a few hundred again, which
        the ids of their events make harmless.
        """
        done = 0
        chunk: list[Shelved] = []
        async with self._producer() as producer:
            async for shelved in letters:
                chunk.append(shelved)
                if len(chunk) == _CHUNK:
                    done += await self._put_back(producer, chunk, body=body, actor=actor, note=note, at=clock.now())
                    chunk = []
            done += await self._put_back(producer, chunk, body=body, actor=actor, note=note, at=clock.now())
        return done

    async def dismiss(self, places: Iterable[Place], *, actor: str, note: str, clock: Clock) -> None:
        """Note on the topic that nothing is to be done about the letters at `places`; their bytes stay until retention ends."""
        async with self._producer() as producer:
            await self._mark(producer, places, how=DISMISS, actor=actor, note=note, at=clock.now())

    async def _put_back(
        self, producer: AIOKafkaProducer, chunk: Sequence[Shelved], *, body: bytes | None, actor: str, note: str, at: datetime
    ) -> int:
        sent = [
            await producer.send(
                self._settings.topic(shelved.letter.src_topic),
                key=shelved.letter.key,
                value=shelved.letter.value if body is None else body,
                # The log of clients is read by partition: the record goes back where its client lives.
                partition=shelved.letter.src_partition if shelved.letter.src_topic == CLIENT_EVENTS.name else None,
                headers=shelved.letter.redriven_headers(str(shelved.place)),
            )
            for shelved in chunk
        ]
        for acknowledged in sent:
            await acknowledged
        await self._mark(producer, [shelved.place for shelved in chunk], how=REDRIVE, actor=actor, note=note, at=at)
        return len(chunk)

    async def _mark(
        self, producer: AIOKafkaProducer, places: Iterable[Place], *, how: str, actor: str, note: str, at: datetime
    ) -> None:
        noted = [
            await producer.send(
                self._topic,
                value=b"",
                partition=place.partition,
                headers=marker_headers(str(place), at=at.astimezone(UTC), actor=actor, note=note, stage=how),
            )
            for place in places
        ]
        for acknowledged in noted:
            await acknowledged

    async def _seek(self, consumer: AIOKafkaConsumer, stretch: Stretch) -> int:
        """Set the consumer to the beginning of the stretch; return how many records before it are passed over."""
        facts = (await read_topics(self._settings, topics=[DEAD_LETTERS])).get(self._topic)
        if facts is None:
            message = f"there is no topic {self._topic} on {self._settings.kafka_bootstrap}; create it with: rapport stack up"
            raise UsageError(message)
        places = [TopicPartition(self._topic, partition) for partition in range(facts.partitions)]
        consumer.assign(places)
        starts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        skipped = 0
        for place in places:
            wish = stretch.start if stretch.start is not None else (ends[place] - stretch.last if stretch.last else 0)
            begin = min(max(starts[place], wish), ends[place])
            consumer.seek(place, begin)
            skipped += begin - starts[place]
        return skipped

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(
            **kafka_options(self._settings),
            acks="all",
            enable_idempotence=True,
            max_request_size=DEAD_LETTERS.max_bytes,
        )
        async with answering(producer, self._settings):
            yield producer


async def _until_end(consumer: AIOKafkaConsumer) -> AsyncIterator[Record]:
    """Yield the records of the assigned partitions up to where they end now."""
    ends = await consumer.end_offsets(list(consumer.assignment()))
    for at, end in ends.items():
        while await consumer.position(at) < end:
            records: Iterable[Record] = (await consumer.getmany(at, timeout_ms=_POLL_MS)).get(at, ())
            for record in records:
                if record.offset < end:
                    yield record


def _shelved(record: Record) -> Shelved | None:
    try:
        return Shelved(place=Place(record.partition, record.offset), letter=read_dead_letter(record))
    except DeadLetterError:
        return None
