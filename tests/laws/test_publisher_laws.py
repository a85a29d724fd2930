"""Laws of the publisher: over both fences, and over both producers."""

from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from msgspec.structs import replace

from streams.engine.failpoints import make_failpoint
from streams.engine.fence import Birth, Claim, Fence, Held, Slot, Verdict
from streams.engine.memory_fence import MemoryFence
from streams.engine.memory_producer import MemoryProducer
from streams.engine.producer import KafkaProducer, Outgoing, Producer
from streams.engine.publisher import Publisher
from streams.engine.redis_fence import RedisFence
from streams.engine.stage import Grasp
from streams.engine.writes import OutboxEntry, Writes
from streams.runtime.clock import fresh_id
from streams.runtime.errors import RetryError
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.state.gathered import GatheredRedis
from streams.state.keys import PartitionKeys
from streams.state.memory_store import MemoryPartitions
from streams.state.redis_store import connect_redis
from streams.wire.headers import Position, read_origin, read_stations
from streams.wire.topics import TRIGGERS
from tests.conftest import Servers
from tests.integration.engine_world import read_topic
from tests.streams.engine_examples import SLOT, commit_call, entry

pytestmark = pytest.mark.integration
CLAIM = Claim(generation=1, owner="me")


@pytest.fixture(params=["memory", "redis"])
async def fence(request: pytest.FixtureRequest) -> AsyncIterator[Fence]:
    if request.param == "memory":
        yield MemoryFence(MemoryPartitions())
        return
    servers: Servers = request.getfixturevalue("servers")
    own = Settings.model_validate({"redis_url": servers.redis_url, "namespace": fresh_id()})
    redis = connect_redis(own, GatheredRedis)
    yield RedisFence(redis, own)
    await redis.delete(*PartitionKeys.of(own, *SLOT).all())
    await redis.aclose()


class FlakyProducer(MemoryProducer):
    """Fails the calls numbered in `failing`: nothing written on even ones, everything but no answer on odd ones."""

    def __init__(self, failing: Sequence[int] = ()) -> None:
        super().__init__(partitions=1)
        self.calls = 0
        self.failing = failing

    async def send_all(self, records: Sequence[Outgoing]) -> list[int]:
        self.calls += 1
        if self.calls in self.failing and self.calls % 2 == 0:
            message = "nothing was written"
            raise RetryError(message)
        offsets = await super().send_all(records)
        if self.calls in self.failing:
            message = "the answer was lost"
            raise RetryError(message)
        return offsets

    def positions(self, topic: str) -> list[Position]:
        return [read_origin(record.headers).position for record in self.topics[topic, 0]]


async def stored(fence: Fence, entries: Sequence[OutboxEntry], high_water: dict[str, Position] | None = None) -> Grasp:
    held = await fence.acquire(SLOT, CLAIM, birth=Birth(next_offset=0, ver="v0", high_water=high_water or {}))
    assert isinstance(held, Held)
    writes = Writes(next_offset=900, watermark_ms=0, outbox=tuple(entries))
    await fence.commit(SLOT, commit_call(CLAIM, "v0", 0, "v1", writes, 5_000))
    return Grasp(
        claim=CLAIM,
        next_offset=900,
        ver="v1",
        watermark_ms=0,
        outbox_depth=len(entries),
        next_due_ms=None,
        high_water=held.high_water,
    )


def publisher_of(fence: Fence, producer: Producer) -> Publisher:
    return Publisher(SLOT, fence=fence, producer=producer, meter=Meter(), failpoint=make_failpoint(""))


async def publish(publisher: Publisher) -> None:
    """Publish until nothing is left, trying again as the running publisher would."""
    more = True
    while more:
        try:
            more = await publisher.publish_some()
        except RetryError:
            more = True


async def test_everything_is_published_in_order_and_then_forgotten(fence: Fence) -> None:
    entries = [entry(number // 3, number % 3, value=b"%d" % number) for number in range(1_203)]
    producer = FlakyProducer()
    publisher = publisher_of(fence, producer)
    publisher.wake(await stored(fence, entries))
    await publish(publisher)
    assert [record.value for record in producer.topics["triggers.email", 0]] == [at.value for at in entries]
    assert await fence.read_outbox(SLOT, limit=1) == []


@pytest.mark.parametrize("failing", [(1,), (2,), (1, 2, 3), (2, 3, 4, 5)])
async def test_after_a_failure_it_begins_again_at_the_head_so_first_occurrences_are_in_order(
    fence: Fence, failing: Sequence[int]
) -> None:
    entries = [entry(number) for number in range(1_100)]
    producer = FlakyProducer(failing)
    publisher = publisher_of(fence, producer)
    publisher.wake(await stored(fence, entries))
    await publish(publisher)
    assert list(dict.fromkeys(producer.positions("triggers.email"))) == [at.position for at in entries]


async def test_what_was_published_before_a_rebuild_is_not_published_again(fence: Fence) -> None:
    entries = [entry(0), replace(entry(1), topic="decisions"), entry(2), entry(2, 1), replace(entry(3), topic="decisions")]
    producer = FlakyProducer()
    publisher = publisher_of(fence, producer)
    publisher.wake(await stored(fence, entries, {"triggers.email": Position(2, 0)}))
    await publish(publisher)
    assert producer.positions("triggers.email") == [Position(2, 1)]
    assert producer.positions("decisions") == [Position(1, 0), Position(3, 0)]
    assert await fence.read_outbox(SLOT, limit=1) == []


async def test_a_stale_publisher_beside_the_new_one_harms_nobody_who_follows_the_high_water(fence: Fence) -> None:
    entries = [entry(number) for number in range(700)]
    producer = FlakyProducer()
    grasp = await stored(fence, entries)
    old, new = publisher_of(fence, producer), publisher_of(fence, producer)
    for publisher in (old, new):
        publisher.wake(grasp)
    for publisher in (old, new, old, new):
        await publisher.publish_some()
    assert list(dict.fromkeys(producer.positions("triggers.email"))) == [at.position for at in entries]


@pytest.fixture(params=["memory", "kafka"])
async def sink(
    request: pytest.FixtureRequest,
) -> AsyncIterator[tuple[Producer, Callable[[], "object"]]]:
    if request.param == "memory":
        producer = MemoryProducer(partitions=2)

        async def kept() -> list[bytes | None]:
            return [record.value for record in producer.topics["triggers.email", 1]]

        yield producer, kept
        return
    settings: Settings = request.getfixturevalue("settings")
    kafka = KafkaProducer(settings, Meter())

    async def read() -> list[bytes | None]:
        return [record.value for record in (await read_topic(settings, TRIGGERS["email"]))[1]]

    yield kafka, read
    await kafka.close()


async def test_a_producer_writes_in_order_and_answers_with_the_offsets(sink: tuple[Producer, Callable[[], object]]) -> None:
    producer, read = sink
    records = [
        Outgoing(topic="triggers.email", partition=1, key=b"ada", value=b"%d" % number, headers=[("a", b"b")])
        for number in range(300)
    ]
    assert await producer.send_all(records[:200]) == list(range(200))
    assert await producer.send_all(records[200:]) == list(range(200, 300))
    assert await producer.send_all([]) == []
    found = read()
    assert await found == [record.value for record in records]  # type: ignore[misc]


class WatchedFence(MemoryFence):
    """Counts how often the stored outbox is read."""

    def __init__(self) -> None:
        super().__init__(MemoryPartitions())
        self.reads = 0

    async def read_outbox(self, slot: Slot, *, limit: int) -> list[OutboxEntry]:
        self.reads += 1
        return await super().read_outbox(slot, limit=limit)


async def test_what_the_lane_hands_over_is_published_without_reading_it_back() -> None:
    fence, producer = WatchedFence(), FlakyProducer(failing=(1, 2))
    publisher = publisher_of(fence, producer)
    entries = [entry(number) for number in range(1_203)]
    grasp = await stored(fence, [])
    publisher.wake(grasp)
    grasp.folded_ms, grasp.committed_ms = 7, 9
    await hand_over(publisher, fence, grasp, entries)
    await publish(publisher)
    assert list(dict.fromkeys(producer.positions("triggers.email"))) == [at.position for at in entries]
    assert await MemoryFence.read_outbox(fence, SLOT, limit=1) == []
    assert fence.reads == 0
    stations = [read_stations(record.headers) for record in producer.topics["triggers.email", 0]]
    assert stations == [{"folded_ms": 7, "committed_ms": 9}] * len(stations)


async def test_an_older_output_that_a_restored_redis_brings_back_goes_first() -> None:
    fence, producer = WatchedFence(), FlakyProducer()
    publisher = publisher_of(fence, producer)
    grasp = await stored(fence, [entry(0), entry(1)])
    grasp.outbox_depth = 0  # it was taken while Redis had lost them
    publisher.wake(grasp)
    await hand_over(publisher, fence, grasp, [entry(901)])
    await publish(publisher)
    assert producer.positions("triggers.email") == [entry(number).position for number in (0, 1, 901)]


async def hand_over(publisher: Publisher, fence: Fence, grasp: Grasp, entries: Sequence[OutboxEntry]) -> None:
    """Store `entries` and tell the publisher as the lane does."""
    writes = Writes(next_offset=2_000, watermark_ms=0, outbox=tuple(entries))
    reply = await fence.commit(SLOT, commit_call(CLAIM, "v1", 900, "v2", writes, 5_000))
    assert reply.verdict is Verdict.OK
    grasp.fresh, grasp.outbox_depth, grasp.outbox_head = writes.outbox, reply.outbox_depth, reply.outbox_head
    publisher.wake(grasp)
