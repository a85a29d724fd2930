"""Holds what the running system stored, published and mailed against what the oracle says must have come out."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Any, cast

from handlers.demo.crew import DemoError
from models.learners.published import LearnerSnapshot
from models.state.client import ClientState
from models.triggers import CHANNEL_RECORD_ADAPTER, Trigger
from streams.engine.oracle import Folded, fold_partition
from streams.engine.program import ClientProgram
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.admin import partitions_of
from streams.wire.headers import Position, read_origin
from streams.wire.policy_file import policy_in_force
from streams.wire.reading import read_topic
from streams.wire.records import PlainRecord
from streams.wire.topics import CLIENT_EVENTS, DEAD_LETTERS, DECISIONS, EXAMPLES, SNAPSHOTS, TRIGGERS, Topic


@dataclass(slots=True)
class Evidence:
    """What the system holds at the end, read from Kafka and Redis.

    `outputs` are accepted ones: of records with the same position only the first counts, as for every reader.
    """

    states: dict[str, bytes] = field(default_factory=dict)
    outputs: dict[str, list[bytes]] = field(default_factory=dict)
    log: int = 0
    repeated: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    regimes: list[bytes] = field(default_factory=list)
    versions: list[LearnerSnapshot] = field(default_factory=list)
    dead_letters: int = 0


async def gather_evidence(settings: Settings) -> Evidence:
    """Read everything, fold the log anew and compare; raise DemoError naming the first difference."""
    evidence = Evidence()
    every = list(range(settings.partitions))
    log = await read_topic(settings, CLIENT_EVENTS.name, partitions=every)
    stored = await _stored(settings)
    published = {topic.name: await _by_origin(settings, topic) for topic in (*TRIGGERS.values(), DECISIONS, EXAMPLES)}
    for partition, expected in (await _expected(settings, log)).items():
        evidence.log += len(log[partition])
        evidence.outcomes.update(expected.outcomes)
        _compare_states(stored[partition], expected.states, partition=partition)
        evidence.states |= stored[partition]
        for topic, parts in published.items():
            accepted, repeated = _accepted(parts[partition])
            evidence.repeated += repeated
            due = [(said.position, said.value) for said in expected.outputs if said.topic == topic]
            _compare_outputs(accepted, due, topic=topic, partition=partition)
            evidence.outputs.setdefault(topic, []).extend(value for _, value in accepted)
    redis = connect_redis(settings)
    try:
        evidence.regimes = await RedisStateStore(redis, settings).regimes()
    finally:
        await redis.aclose()
    told = (await read_topic(settings, SNAPSHOTS.name, partitions=[0]))[0]
    evidence.versions = [LearnerSnapshot.model_validate_json(record.value) for record in told if record.value]
    letters = await read_topic(settings, DEAD_LETTERS.name, partitions=[0])
    evidence.dead_letters = sum(len(records) for records in letters.values())
    return evidence


def check_mails(mails: Sequence[str], evidence: Evidence) -> None:
    """Raise DemoError unless each mail (by its trigger's id) belongs to a trigger and no trigger was mailed twice."""
    twice = [trigger_id for trigger_id, count in Counter(mails).items() if count > 1]
    if twice:
        message = f"{len(twice)} triggers were mailed more than once, for example {twice[0]}"
        raise DemoError(message)
    records = map(CHANNEL_RECORD_ADAPTER.validate_json, evidence.outputs[TRIGGERS["email"].name])
    known = {record.trigger_id for record in records if isinstance(record, Trigger)}
    if stray := set(mails) - known:
        message = f"{len(stray)} mails belong to no trigger, for example {min(stray)}"
        raise DemoError(message)


async def _expected(settings: Settings, log: Mapping[int, Sequence[Any]]) -> dict[int, Folded[ClientState]]:
    """Fold all partitions, in processes of their own, because folding is all the work there is."""
    plain = {partition: [_plain(record) for record in records] for partition, records in log.items()}
    loop = asyncio.get_running_loop()
    fold = partial(_fold, settings)
    # Spawned, not forked: a fork would carry the loop and its connections into the children.
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        folded = await asyncio.gather(*(loop.run_in_executor(pool, fold, records) for records in plain.values()))
    return dict(zip(plain, folded, strict=True))


def _fold(settings: Settings, records: Sequence[PlainRecord]) -> Folded[ClientState]:
    return fold_partition(ClientProgram(policy_in_force(settings)), records, partitions=settings.partitions)


async def _by_origin(settings: Settings, topic: Topic) -> dict[int, list[Any]]:
    """Return the records of an output topic by the partition of the client log that they came from."""
    found: dict[int, list[Any]] = {partition: [] for partition in range(settings.partitions)}
    read = await read_topic(settings, topic.name, partitions=list(range(partitions_of(topic, settings=settings))))
    for records in read.values():
        for record in records:
            if record.value is None:
                continue  # its client was erased
            found[read_origin(record.headers).src_partition].append(record)
    return found


def _plain(record: Any) -> PlainRecord:  # noqa: ANN401 (a record of aiokafka, which cannot cross into another process)
    return PlainRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )


async def _stored(settings: Settings) -> dict[int, dict[str, bytes]]:
    redis = connect_redis(settings)
    try:
        found: dict[int, dict[str, bytes]] = {}
        for partition in range(settings.partitions):
            keys = PartitionKeys.of(settings, CLIENT_EVENTS.name, partition)
            blobs = cast("dict[bytes, bytes]", await redis.hgetall(keys.states))
            found[partition] = {client.decode(): blob for client, blob in blobs.items()}
        return found
    finally:
        await redis.aclose()


def _accepted(records: Iterable[Any]) -> tuple[list[tuple[Position, bytes]], int]:
    """Return records above the high-water mark, as every reader takes them, and how many were repetitions."""
    accepted: list[tuple[Position, bytes]] = []
    repeated = 0
    high = Position(-1, -1)
    for record in records:
        position = read_origin(record.headers).position
        if position <= high:
            repeated += 1
            continue
        high = position
        accepted.append((position, record.value))
    return accepted, repeated


def _compare_states(stored: Mapping[str, bytes], expected: Mapping[str, bytes], *, partition: int) -> None:
    wrong = [client for client in {**stored, **expected} if stored.get(client) != expected.get(client)]
    if wrong:
        message = f"{len(wrong)} states of partition {partition} differ from the log folded anew, for example {wrong[0]}"
        raise DemoError(message)


def _compare_outputs(
    accepted: Sequence[tuple[Position, bytes]], expected: Sequence[tuple[Position, bytes]], *, topic: str, partition: int
) -> None:
    if list(accepted) != list(expected):
        message = f"{topic}-{partition} holds {len(accepted)} outputs, the log folded anew gives {len(expected)}, or others"
        raise DemoError(message)
