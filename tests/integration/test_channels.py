"""Channel workers on real Kafka, Redis and SMTP."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from redis.asyncio import Redis

from handlers.channels.assembly import make_channel, make_worker
from handlers.channels.contract import Content
from handlers.channels.courier import Courier
from handlers.channels.dispatch import Dispatch
from handlers.channels.failpoints import OUTCOME_PUBLISHED, PROVIDER_ACCEPTED
from handlers.channels.presend import LastLook, gate_look
from handlers.channels.readers import MemoryReaders, Places
from handlers.channels.redis_ledger import RedisLedgers
from handlers.channels.worker import ChannelWorker
from handlers.demo.smtp_sink import CUT, HANG, SmtpSink
from models.events.control import HaltChanged, HaltScope
from models.events.signals import ClientProfiled, DeliveryReported
from models.learners.baseline import BASELINE
from models.policy.budget import reserve
from models.policy.gate import pending_of
from models.policy.policy import DEFAULT_POLICY
from models.state.codec import decode, encode
from models.transition import transition
from models.triggers import CancelWhen, Journey, Retraction, Tone, Trigger
from streams.engine.program import ClientProgram
from streams.runtime.clock import FileClock, SystemClock, make_clock
from streams.runtime.metrics import CHANNEL_REPEATED, Meter
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.codec import decode_event, encode_output
from streams.wire.headers import Origin
from streams.wire.partitioning import partition_of
from streams.wire.topics import CLIENT_EVENTS, DEAD_LETTERS, SIGNALS, TRIGGERS
from tests.commands import environment_of
from tests.conftest import SettingsMaker
from tests.handlers.channel_bench import ScriptedChannel
from tests.waiting import until_async

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
FAST = {"smtp_timeout_seconds": 1.0, "exit_seconds": 10.0, "drain_seconds": 2.0}


def thanks(trigger_id: str, *, client_id: str = "ada", **fields: object) -> Trigger:
    return Trigger.model_validate(
        {
            "trigger_id": trigger_id,
            "client_id": client_id,
            "decided_at": NOW,
            "journey": Journey.ONBOARDING,
            "anchor": "pay_1",
            "step": "thank_you",
            "channel": "email",
            "purpose": "relationship",
            "legal_basis": "legitimate_interest",
            "tone": Tone.GENTLE,
            "not_before": NOW,
            "expires_at": NOW + timedelta(days=14),
            "cancel_when": (CancelWhen.CONSENT_WITHDRAWN, CancelWhen.CLIENT_ERASED),
            "facts": {"payment_size": "standard"},
            "reasons": ("first payment",),
            "segment": "new",
            "policy_version": "p",
            "learner_version": "l",
            **fields,
        }
    )


def withdrawn(trigger_id: str, *, client_id: str = "ada") -> Retraction:
    return Retraction(
        trigger_id=trigger_id, client_id=client_id, decided_at=NOW, channel="email", because=CancelWhen.CONSENT_WITHDRAWN
    )


@dataclass
class Town:
    """A deployment with a mailbox: what the engine would do is done by hand here."""

    settings: Settings
    sink: SmtpSink
    redis: Redis
    producer: AIOKafkaProducer
    outcomes: list[DeliveryReported] = field(default_factory=list)
    letters: list[dict[str, bytes]] = field(default_factory=list)
    source_offset: int = 0

    async def know(self, client_id: str, *, email: str | None = "ada@client.example", timezone: str | None = None) -> None:
        """Store a client's state where the fold would."""
        event = ClientProfiled(
            event_id=f"profile-{client_id}",
            source="test",
            occurred_at=NOW - timedelta(days=1),
            client_id=client_id,
            name="Ada",
            email=email,
            timezone=timezone,
        )
        state = transition(None, event, policy=DEFAULT_POLICY, scorer=BASELINE).state
        await self.redis.hset(self.keys(client_id).states, client_id, encode(state))

    def partition(self, client_id: str) -> int:
        return partition_of(client_id, self.settings.partitions)

    def keys(self, client_id: str) -> PartitionKeys:
        return PartitionKeys.of(self.settings, CLIENT_EVENTS.name, self.partition(client_id))

    async def publish(self, *contents: Trigger | Retraction, src_offset: int | None = None) -> None:
        """Publish as the engine's outbox does."""
        for content in contents:
            self.source_offset += 1
            partition = partition_of(content.client_id, self.settings.partitions)
            origin = Origin(
                src_topic=CLIENT_EVENTS.name,
                src_partition=partition,
                src_offset=self.source_offset if src_offset is None else src_offset,
                idx=0,
                kind=content.kind,
            )
            await self.producer.send_and_wait(
                self.settings.topic(TRIGGERS[content.channel].name),
                key=content.client_id.encode(),
                value=encode_output(content),
                headers=origin.to_headers(),
                partition=partition,
            )

    async def told(self, count: int) -> list[tuple[str, str]]:
        """Wait for `count` outcomes on signals and return all of them."""
        await until_async(lambda: len(self.outcomes) >= count, timeout=60, what=f"{count} outcomes")
        return sorted((event.trigger_id, event.outcome.value) for event in self.outcomes)

    def worker(self, meter: Meter | None = None, **fields: object) -> ChannelWorker:
        settings = self.settings.model_copy(update=fields)
        return make_worker(
            make_channel("email", settings),
            settings,
            ledgers=RedisLedgers(self.redis, namespace=settings.namespace, pending_limit=settings.channel_pending_limit),
            store=RedisStateStore(self.redis, settings),
            meter=meter or Meter(),
        )

    @asynccontextmanager
    async def working(self, worker: ChannelWorker | None = None) -> AsyncIterator[ChannelWorker]:
        running = worker or self.worker()
        task = asyncio.create_task(running.run())
        try:
            yield running
        finally:
            running.stop()
            await asyncio.wait_for(task, 30)

    async def process(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        """Start a worker as an operator does."""
        settings = self.settings
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from handlers.cli import main; main()",
            "run-channels",
            *(arguments or ("email",)),
            env=environment_of(
                settings,
                **{
                    "RAPPORT_CLOCK_FILE": str(settings.clock_file),
                    "RAPPORT_SMTP_PORT": str(self.sink.port),
                    "RAPPORT_SMTP_TIMEOUT_SECONDS": "1",
                    "RAPPORT_MAIL_FROM": settings.mail_from,
                    "RAPPORT_EXIT_SECONDS": "10",
                    **environment,
                },
            ),
        )


async def _read(town: Town, ready: asyncio.Event) -> None:
    settings = town.settings
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        signals, letters = settings.topic(SIGNALS.name), settings.topic(DEAD_LETTERS.name)
        consumer.assign([*(TopicPartition(signals, number) for number in range(settings.partitions)), TopicPartition(letters, 0)])
        ready.set()
        async for record in consumer:
            if record.topic == letters:
                town.letters.append(dict(record.headers))
                continue
            event = decode_event(record.value)
            assert isinstance(event, DeliveryReported)
            town.outcomes.append(event)
    finally:
        await consumer.stop()


@pytest.fixture
async def town(make_settings: SettingsMaker, tmp_path: Path) -> AsyncIterator[Town]:
    clock_file = tmp_path / "clock"
    FileClock.write(clock_file, NOW)
    async with SmtpSink() as sink:
        settings = make_settings(clock_file=clock_file, smtp_port=sink.port, mail_from="Firm <care@firm.example>", **FAST)
        redis = connect_redis(settings)
        producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
        await producer.start()
        made = Town(settings, sink, redis, producer)
        ready = asyncio.Event()
        reading = asyncio.create_task(_read(made, ready))
        await ready.wait()
        await made.know("ada")
        yield made
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await producer.stop()
        await redis.aclose()


async def test_a_trigger_becomes_a_delivered_mail_and_a_sent_outcome(town: Town) -> None:
    await town.publish(thanks("t1"))
    async with town.working():
        assert await town.told(1) == [("t1", "sent")]
    (mail,) = town.sink.mails
    assert mail.message_id == "t1@firm.example"
    assert mail.message["Subject"] == "Thank you, and what happens next"
    (event,) = town.outcomes
    assert (event.client_id, event.source, event.received_at) == ("ada", "channel.email", event.occurred_at)


async def test_records_published_twice_are_filtered_by_the_high_water(town: Town) -> None:
    meter = Meter()
    await town.publish(thanks("t1"), thanks("t2"))
    async with town.working(town.worker(meter)):
        await town.told(2)
        await town.publish(thanks("t1"), src_offset=1)
        await town.publish(thanks("t2"), src_offset=2)
        await town.publish(thanks("t3"))
        await town.told(3)
        await until_async(lambda: meter.read(CHANNEL_REPEATED, channel="email") == 2)
    assert sorted(mail.message_id for mail in town.sink.mails) == [f"t{n}@firm.example" for n in (1, 2, 3)]


async def test_a_restart_goes_on_where_the_ledger_stands_whatever_kafka_has_committed(town: Town) -> None:
    async with town.working():
        await town.publish(thanks("t1"))
        await town.told(1)
    async with town.working(town.worker(group=f"{town.settings.group}-renamed")):
        await town.publish(thanks("t2"))
        await town.told(2)
    assert len(town.sink.mails) == 2


async def test_a_retraction_before_sending_suppresses_and_is_acknowledged(town: Town) -> None:
    await town.publish(thanks("t1"), withdrawn("t1"), thanks("t2", not_before=NOW + timedelta(days=2)))
    async with town.working():
        assert await town.told(1) == [("t1", "retracted")]
        await town.publish(withdrawn("t2"))
        assert await town.told(2) == [("t1", "retracted"), ("t2", "retracted")]
    assert town.sink.mails == []


async def test_an_emergency_stop_holds_what_has_not_left_and_after_it_the_same_message_leaves(town: Town) -> None:
    free = next(name for name in map(str, range(99)) if town.partition(name) != town.partition("ada"))
    await town.know(free)
    stop = HaltChanged(
        event_id="h1", source="cli", occurred_at=NOW, author="mia", reason="wrong amounts", scope=HaltScope.ALL, halted=True
    )
    fence = town.keys("ada").fence
    await town.redis.hset(fence, "rg", ClientProgram().govern(b"", stop))
    await town.publish(thanks("t1"), thanks("t2", client_id=free))
    async with town.working():
        assert await town.told(1) == [("t2", "sent")]  # the stop of this test reaches one partition only
        await town.redis.hdel(fence, "rg")
        assert town.settings.clock_file is not None
        FileClock.write(town.settings.clock_file, NOW + timedelta(minutes=2))
        assert await town.told(2) == [("t1", "sent"), ("t2", "sent")]


async def test_a_client_without_an_address_or_a_state_is_reported(town: Town) -> None:
    await town.know("bob", email=None)
    await town.publish(thanks("t1", client_id="bob"), thanks("t2", client_id="stranger"))
    async with town.working():
        assert await town.told(2) == [("t1", "failed"), ("t2", "suppressed")]


async def test_an_unreadable_record_goes_to_the_dead_letters_and_its_neighbours_on(town: Town) -> None:
    topic = town.settings.topic(TRIGGERS["email"].name)
    partition = partition_of("ada", town.settings.partitions)
    await town.producer.send_and_wait(topic, key=b"ada", value=b"{", partition=partition)
    await town.publish(thanks("t1"))
    async with town.working():
        assert await town.told(1) == [("t1", "sent")]
        await until_async(lambda: town.letters)
    (letter,) = town.letters
    assert (letter["stage"], letter["src_topic"], letter["src_offset"]) == (b"channels", b"triggers.email", b"0")


@pytest.mark.parametrize(
    ("on_rcpt", "on_data", "outcome", "mails"),
    [
        (["451 4.7.1 greylisted"], [], "sent", 1),
        (["550 5.1.1 unknown"], [], "bounced_hard", 0),
        ([], [CUT], "ambiguous", 1),
        ([], [HANG], "ambiguous", 1),
    ],
    ids=["451", "550", "cut after DATA", "hang after DATA"],
)
async def test_an_unruly_server_leads_to_the_right_outcome_and_never_to_two_mails(
    town: Town, on_rcpt: list[str], on_data: list[str], outcome: str, mails: int
) -> None:
    town.sink.on_rcpt, town.sink.on_data = on_rcpt, on_data
    await town.publish(thanks("t1"))
    async with town.working():
        assert await town.told(1) == [("t1", outcome)]
    assert len(town.sink.mails) == mails


async def test_mails_wait_while_the_provider_is_away_and_retractions_do_not(town: Town) -> None:
    await town.sink.stop()
    await town.publish(*(thanks(f"t{number}") for number in range(10)))
    async with town.working():
        await town.publish(withdrawn("t9"))
        assert ("t9", "retracted") in await town.told(1)
        await town.sink.start()
        await town.told(10)
    assert len(town.sink.mails) == 9


async def test_two_workers_share_the_partitions_and_each_mail_is_sent_once(town: Town) -> None:
    clients = [f"client-{number}" for number in range(20)]
    for client_id in clients:
        await town.know(client_id)
    async with town.working(), town.working():
        await town.publish(*(thanks(f"a-{client_id}", client_id=client_id) for client_id in clients))
        await town.told(20)
        async with town.working():
            await town.publish(*(thanks(f"b-{client_id}", client_id=client_id) for client_id in clients))
            await town.told(40)
    assert len(town.sink.mails) == len({mail.message_id for mail in town.sink.mails}) == 40


async def test_killed_after_the_server_accepted_the_mail_is_ambiguous_and_never_sent_again(town: Town) -> None:
    doomed = await town.process(RAPPORT_FAILPOINT=PROVIDER_ACCEPTED)
    await town.publish(thanks("t1"))
    assert await asyncio.wait_for(doomed.wait(), 60) == -signal.SIGKILL
    assert len(town.sink.mails) == 1
    async with town.working():
        assert await town.told(1) == [("t1", "ambiguous")]
        await town.publish(thanks("t2"))
        assert await town.told(2) == [("t1", "ambiguous"), ("t2", "sent")]
    assert [mail.message_id for mail in town.sink.mails] == ["t1@firm.example", "t2@firm.example"]


async def test_killed_after_an_outcome_was_published_publishes_it_again_with_the_same_id(town: Town) -> None:
    doomed = await town.process(RAPPORT_FAILPOINT=OUTCOME_PUBLISHED)
    await town.publish(thanks("t1"))
    assert await asyncio.wait_for(doomed.wait(), 60) == -signal.SIGKILL
    # Another group, so that the test need not wait until Kafka gives up the dead member.
    async with town.working(town.worker(group=f"{town.settings.group}-next")):
        await town.told(2)
    assert len({event.event_id for event in town.outcomes}) == 1
    assert len(town.sink.mails) == 1


async def test_a_worker_told_to_stop_finishes_the_mail_it_is_sending(town: Town) -> None:
    town.sink.on_data = [HANG]
    running = await town.process(RAPPORT_SMTP_TIMEOUT_SECONDS="3")
    await town.publish(thanks("t1"))
    await until_async(lambda: town.sink.mails)
    running.terminate()
    assert await asyncio.wait_for(running.wait(), 30) == 0
    assert await town.told(1) == [("t1", "ambiguous")]


async def test_tasks_for_people_are_written_to_a_file_and_a_stopped_process_leaves_with_zero(town: Town, tmp_path: Path) -> None:
    out = tmp_path / "tasks.jsonl"
    running = await town.process("console", "--out", str(out))
    await town.publish(thanks("t1", channel="console"))
    assert await town.told(1) == [("t1", "sent")]
    running.terminate()
    assert await asyncio.wait_for(running.wait(), 30) == 0
    assert orjson.loads(out.read_bytes())["trigger_id"] == "t1"


async def test_a_deleted_group_starts_its_generations_anew_and_is_let_in(town: Town) -> None:
    partition = partition_of("ada", town.settings.partitions)
    key = f"{{{town.settings.namespace}:{town.settings.topic('triggers.email')}:{partition}}}:f"
    async with town.working():
        await town.publish(thanks("t1"))
        await town.told(1)
    await town.redis.hset(key, mapping={"gen": "900", "own": "of the deleted group"})
    async with town.working():
        await town.publish(thanks("t2"))
        await town.told(2)
    assert await town.redis.hget(key, "inc") == b"1"


async def test_a_lost_ledger_sends_nothing_twice(town: Town) -> None:
    async with town.working():
        await town.publish(thanks("t1"))
        await town.told(1)
    keys = [key async for key in town.redis.scan_iter(match=f"{{{town.settings.namespace}:*triggers.email*")]
    await town.redis.delete(*keys)
    async with town.working():
        await town.publish(thanks("t2"))
        assert await town.told(2) == [("t1", "sent"), ("t2", "sent")]
    assert len(town.sink.mails) == 2


def _keeping_distance(town: Town, name: str, seen: list[str]) -> ChannelWorker:
    """Return a worker of the channel `name` whose clock does not race; `seen` is told what the gate held a message for."""
    look, meter = gate_look(DEFAULT_POLICY), Meter()

    def looking(raw: bytes, trigger: Trigger, now_ms: int, regime: bytes) -> LastLook:
        found = look(raw, trigger, now_ms, regime)
        seen.append(found.code)
        return found

    clock, wall, channel = make_clock(town.settings.clock_file), SystemClock(), ScriptedChannel(name=name)
    courier = Courier(
        channel,
        store=RedisStateStore(town.redis, town.settings),
        look=looking,
        write=lambda trigger, _: Content(trigger.step, "text\n", "<p>text</p>"),
        clock=clock,
        wall=wall,
        meter=meter,
        failpoint=lambda _: None,
        readers=MemoryReaders(Places()),
    )
    return ChannelWorker(
        town.settings,
        channel=name,
        ledgers=RedisLedgers(town.redis, namespace=town.settings.namespace, pending_limit=100),
        dispatch=Dispatch(channel, courier=courier, clock=clock, wall=wall, meter=meter),
        clock=clock,
        wall=wall,
        meter=meter,
        failpoint=lambda _: None,
    )


async def test_two_messages_of_two_channels_that_were_down_leave_one_after_the_other_and_a_gap_apart(town: Town) -> None:
    first = thanks("t1", step="next_steps", not_before=NOW - timedelta(days=4), expires_at=NOW + timedelta(days=9))
    second = thanks("t2", step="check_in", channel="sms", not_before=NOW - timedelta(hours=1), expires_at=NOW + timedelta(days=9))
    await town.know("ada")
    store = RedisStateStore(town.redis, town.settings)
    state = decode(await store.read("ada") or b"")
    for trigger in (first, second):
        state = reserve(state, pending_of(trigger))
    await town.redis.hset(town.keys("ada").states, "ada", encode(state))
    await town.publish(first, second)
    held: list[str] = []
    clock_file = town.settings.clock_file
    assert clock_file is not None
    async with town.working(_keeping_distance(town, "sms", held)):
        await until_async(lambda: "earlier" in held, what="the later message to find the earlier one")
        async with town.working(_keeping_distance(town, "email", [])):
            assert await town.told(1) == [("t1", "sent")]
        (left,) = town.outcomes
        state = transition(state, left, policy=DEFAULT_POLICY, scorer=BASELINE).state  # as the worker of the core does
        await town.redis.hset(town.keys("ada").states, "ada", encode(state))
        FileClock.write(clock_file, NOW + timedelta(minutes=2))
        await until_async(lambda: "gap" in held, what="the later message to keep its distance")
        FileClock.write(clock_file, NOW + timedelta(days=DEFAULT_POLICY.min_gap_days, hours=1))
        assert await town.told(2) == [("t1", "sent"), ("t2", "sent")]
    assert town.outcomes[1].occurred_at - left.occurred_at >= timedelta(days=DEFAULT_POLICY.min_gap_days)
