"""The trainer and the workers on real servers: killed at the worst moments, and replayed from the log alone."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import orjson
import pytest

from handlers.commands.learners.desk import order, read_stand
from handlers.commands.regime_changes import tell_and_wait
from models.events.control import LearnerActivated, LearnerRole
from models.learners.activation import LATENESS, LEARNERS
from models.learners.published import LearnerSnapshot
from models.regime import decode_regime
from models.triggers import Example, ExamplesWithdrawn, RenewalExample
from streams.agents.school import EVERY, rules_of
from streams.agents.trainer import SLOT, Trainer
from streams.engine.failpoints import AFTER_COMMIT, BEFORE_COMMIT, BEFORE_TRIM, make_failpoint
from streams.engine.producer import KafkaProducer, Outgoing
from streams.engine.program import ClientProgram
from streams.engine.redis_fence import RedisFence
from streams.runtime import metrics
from streams.runtime.errors import FatalError
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.codec import decode_event, encode_output, output_key
from streams.wire.headers import Position, origin_headers
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY, EXAMPLES, SNAPSHOTS
from tests.conftest import SettingsMaker
from tests.integration.engine_world import assert_equals_oracle, crew_of, feed, on_the_log, read_topic, until_caught_up
from tests.models.builders import Events
from tests.models.examples import example
from tests.models.renewal_examples import renewal_example
from tests.streams.test_school import Desk
from tests.waiting import until_async

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
KILLED: Final = -9
TRAINER: Final = "handlers.cli run-trainer"
WORKER: Final = "handlers.cli worker"
OWN: Final = {
    "RAPPORT_LEARNER_SNAPSHOT_EXAMPLES": "60",
    "RAPPORT_LEARNER_GUARD_ANSWERS": "40",
    "RAPPORT_LEARNER_GUARD_RENEWALS": "20",
    "RAPPORT_LEARNER_GUARD_MARGIN": "1",
}


def learnable(number: int, row: Example | RenewalExample | None = None) -> Outgoing:
    """Return an example as from a partition that the workers here do not own: they would take its mark for theirs."""
    row = row or example(number)
    place = Position(number, int(isinstance(row, RenewalExample)))
    headers = origin_headers(CLIENT_EVENTS.name, 8 + number % 2, place, kind=row.kind)
    return Outgoing(topic=EXAMPLES.name, partition=0, key=output_key(row), value=encode_output(row), headers=headers)


def lessons(numbers: Iterable[int]) -> list[Outgoing]:
    """Return examples of both learners: with every fourth invoice a renewal, answered on the same day."""
    told: list[Outgoing] = []
    for number in numbers:
        told.append(learnable(number))
        if number % 4 == 0:
            told.append(learnable(number, renewal_example(number // 2)))
    return told


async def expected(settings: Settings) -> Desk:
    """Return what a trainer that never died would have stored and published."""
    own = {name.removeprefix("RAPPORT_").lower(): int(value) for name, value in OWN.items()}
    desk = Desk()
    desk.rules = rules_of(settings.model_copy(update=own))
    desk.learn((await read_topic(settings, EXAMPLES))[0])
    return desk


async def roll_back_and_return(settings: Settings) -> None:
    """Pin an older version of each learner with a challenger beside it, as people do by command, and go back to the latest."""
    stand = await read_stand(settings)
    assert set(stand.judges) == set(LEARNERS)
    assert sum(stand.pay.due.known) > 0, "curves and seasons are stored with the learners"
    assert sum(stand.renewals.due.known) > 0
    turns = {learner: stand.of(learner)[-2:] for learner in LEARNERS}
    back = [ordered(settings, older, pinned=True) for older, _ in turns.values()]
    beside = [ordered(settings, latest, role=LearnerRole.CHALLENGER) for _, latest in turns.values()]
    assert await tell_and_wait(settings, *back, *beside) == settings.partitions
    stand = await read_stand(settings)
    for learner, (older, latest) in turns.items():
        found = [stand.active(role, learner=learner) for role in LearnerRole]
        versions = [active and (active.version, active.pinned) for active in found]
        assert versions == [(older.version, True), (latest.version, False)]
    again = [ordered(settings, latest) for _, latest in turns.values()]
    assert await tell_and_wait(settings, *again) == settings.partitions


def ordered(
    settings: Settings, snapshot: LearnerSnapshot, *, role: LearnerRole = LearnerRole.CHAMPION, pinned: bool = False
) -> LearnerActivated:
    return order(settings, snapshot, learner=snapshot.learner, role=role, pinned=pinned, author="ann", reason="a test")


async def test_a_trainer_killed_anywhere_learns_each_example_once_and_workers_score_as_the_log_says(
    make_settings: SettingsMaker, tmp_path: Path
) -> None:
    settings = make_settings()
    await feed(settings, fed := lessons((*range(150), *range(140, 400))))
    redis = connect_redis(settings)
    fence, store = RedisFence(redis, settings), RedisStateStore(redis, settings)
    desk = await expected(settings)
    versions = {event.learner: event.version for event in desk.activations()}
    assert set(versions) == set(LEARNERS)

    async def learned() -> bool:
        return await fence.position(SLOT) == desk.offset and not await fence.read_outbox(SLOT, limit=1)

    async def in_force() -> bool:
        regime = decode_regime(await store.regime("client-1"))
        return {row.learner: row.version for row in regime.learners} == versions

    try:
        with crew_of(settings, tmp_path) as crew:
            for place in (f"{BEFORE_COMMIT}:2", f"{AFTER_COMMIT}:2", f"{BEFORE_TRIM}:1"):
                assert crew.start(module=TRAINER, RAPPORT_FAILPOINT=place, **OWN).until_dead() == KILLED
            trainer = crew.start(module=TRAINER, **OWN)
            await until_async(learned, timeout=60, what="the trainer at the end of the examples")
            assert trainer.stop() == 0
            crew.start(module=WORKER)
            await until_async(in_force, timeout=60, what="the activation in force")
            await roll_back_and_return(settings)
            build = Events()
            await feed(settings, on_the_log([build.profiled(0), build.issued(1, "I1", 10_000, due=15)], settings))
            await until_caught_up(settings)
        stored = await redis.hgetall(PartitionKeys.of(settings, *SLOT).states)
    finally:
        await redis.aclose()
    assert stored == {learner.encode(): raw for learner, raw in desk.stored.items()}
    published = (await read_topic(settings, SNAPSHOTS))[0]
    snapshots = {record.key: LearnerSnapshot.model_validate_json(record.value) for record in published if record.value}
    assert list(snapshots.values()) == desk.snapshots()
    log = await read_topic(settings, CLIENT_EVENTS)
    for records in log.values():
        told = [decode_event(record.value) for record in records if record.key == CONTROL_KEY]
        activated = dict.fromkeys(event.event_id for event in told if event.source == "trainer")
        assert list(activated) == list(dict.fromkeys(event.event_id for event in desk.activations()))
    later = (await read_topic(settings, EXAMPLES))[0][len(fed) :]
    answered = [Example.model_validate_json(record.value or b"") for record in later]
    assert {question.version for row in answered for question in row.questions} == {versions[LATENESS]}
    await assert_equals_oracle(settings, ClientProgram())


async def test_an_erasure_reaches_the_examples(make_settings: SettingsMaker) -> None:
    settings = make_settings()
    client = example(5).client_id
    wish = ExamplesWithdrawn(client_id=client, decided_at=example(60).decided_at)
    headers = origin_headers(CLIENT_EVENTS.name, 8, Position(999, 0), kind=wish.kind)
    wished = Outgoing(topic=EXAMPLES.name, partition=0, key=output_key(wish), value=encode_output(wish), headers=headers)
    await feed(settings, [*(learnable(number) for number in range(60)), wished])
    redis, producer, meter = connect_redis(settings), KafkaProducer(settings, Meter()), Meter()
    trainer = Trainer(settings, fence=RedisFence(redis, settings), producer=producer, meter=meter, failpoint=make_failpoint(""))
    running = asyncio.create_task(trainer.run())
    mine = {number for number in range(60) if example(number).client_id == client}
    try:
        await until_async(
            lambda: meter.read(metrics.LEARNER_EXAMPLES, learner=EVERY, outcome="withdrawn") == len(mine),
            timeout=30,
            what="the trainer past what it took back",
        )
        trainer.stop()
        await running
    finally:
        await producer.close()
        await redis.aclose()
    left: dict[bytes | None, bytes | None] = {record.key: record.value for record in (await read_topic(settings, EXAMPLES))[0]}
    kept = [row for value in left.values() if value and (row := orjson.loads(value))["client_id"] == client]
    assert [row["kind"] for row in kept] == ["examples.withdrawn"]
    assert len([value for value in left.values() if value]) == 61 - len(mine)


async def test_the_trainer_that_came_last_goes_on_and_the_one_before_ends(make_settings: SettingsMaker) -> None:
    own = {name.removeprefix("RAPPORT_").lower(): value for name, value in OWN.items()}
    settings = make_settings(**own)
    await feed(settings, [learnable(number) for number in range(70)])
    redis = connect_redis(settings)
    producer = KafkaProducer(settings, Meter())
    fence = RedisFence(redis, settings)
    meters = [Meter(), Meter()]
    trainers = [Trainer(settings, fence=fence, producer=producer, meter=meter, failpoint=make_failpoint("")) for meter in meters]

    def learned(meter: Meter) -> float:
        return meter.read(metrics.LEARNER_EXAMPLES, learner=LATENESS, outcome="taken")

    first = asyncio.create_task(trainers[0].run())
    await until_async(lambda: learned(meters[0]) == 70, timeout=30, what="the first trainer at work")
    second = asyncio.create_task(trainers[1].run())
    await until_async(lambda: learned(meters[1]) > 0, timeout=30, what="the second trainer at work")
    try:
        await feed(settings, [learnable(number) for number in range(70, 200)])
        with pytest.raises(FatalError, match="another trainer took over"):
            await first
        await until_async(lambda: learned(meters[1]) >= 130, timeout=30, what="the second trainer going on")
        trainers[1].stop()
        await second
    finally:
        await producer.close()
        await redis.aclose()
