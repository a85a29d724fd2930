"""What stock Faust does on a real broker, pitfall by pitfall: when an upgrade changes one, a test here says which.

Each test states the fault as it is today; the engine does without the parts at fault. A test that fails after an upgrade of
Faust or aiokafka is news to read, perhaps good news: then change the test, and the engine's reasons with it.
The rows are those of docs/chaos.md; rows 20, 22 and 28 need minutes or a process and run in `make chaos`.
"""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.engine.transport import set_terms
from streams.runtime.settings import Settings
from streams.wire.kafka import kafka_options
from streams.wire.topics import PAYMENTS
from tests.chaos.proxy import Proxy
from tests.conftest import SettingsMaker
from tests.integration.stock_faust import Stock, committed, numbers, produce, raw_topic, running, stock_app, until_committed
from tests.waiting import pause, until_async

pytestmark = pytest.mark.integration

FAIL_AT = 3


@pytest.fixture
def alone(make_settings: SettingsMaker) -> Settings:
    return make_settings(partitions=1)


async def test_row_1_an_exception_in_an_agent_acknowledges_the_event_and_nobody_sees_it_again(alone: Settings) -> None:
    await produce(alone, numbers(6))
    app = stock_app(alone)
    finished: list[int] = []

    async def agent(stream: Stock) -> None:
        async for value in stream:
            if int(value) == FAIL_AT and not finished.count(-FAIL_AT):
                finished.append(-FAIL_AT)
                raise RuntimeError(value)
            finished.append(int(value))

    app.agent(raw_topic(app, alone))(agent)

    async with running(app):
        await until_committed(alone, 6)
    assert finished == [0, 1, 2, -FAIL_AT, 4, 5]


async def test_row_2_an_exception_under_take_loses_events_that_no_agent_ever_saw(alone: Settings) -> None:
    await produce(alone, numbers(40))
    app = stock_app(alone)
    seen: list[int] = []
    failures: list[Stock] = []
    commit = app._on_agent_error  # noqa: SLF001 - the place where a slow commit lets the drainer run on

    async def slow_error(*args: Stock) -> None:
        await commit(*args)
        await pause(0.5)

    app._on_agent_error = slow_error  # noqa: SLF001 - as an error handler that takes its time

    async def agent(stream: Stock) -> None:
        async for values in stream.take(10, within=0.2):
            seen.extend(map(int, values))
            # Batches may be short of ten when the broker is slow, so the first one that reaches ten fails.
            if len(seen) >= 10 and not failures:
                failures.append(values)
                raise RuntimeError(values)

    app.agent(raw_topic(app, alone))(agent)

    async with running(app):
        await until_committed(alone, 40)
    assert failures
    assert len(set(seen)) < 40


async def test_row_3_a_record_that_cannot_be_decoded_ends_an_agent_with_take_without_an_error(alone: Settings) -> None:
    await produce(alone, [b"0", b"1", b"{not json", b"3", b"4"])
    app = stock_app(alone)
    ended = asyncio.Event()
    seen: list[object] = []

    async def agent(stream: Stock) -> None:
        async for values in stream.take(100, within=1.0):
            seen.extend(values)
        ended.set()

    app.agent(app.topic(alone.topic("payments"), value_serializer="json"))(agent)

    async with running(app):
        await asyncio.wait_for(ended.wait(), 20)
        await produce(alone, [b"5"])
        await pause(1.5)
    assert 5 not in seen


async def test_row_4_an_event_finished_before_its_elder_commits_over_the_elder(alone: Settings) -> None:
    await produce(alone, numbers(2))
    app = stock_app(alone)
    events: dict[int, Stock] = {}

    async def agent(stream: Stock) -> None:
        async for event in stream.noack().events():
            events[event.message.offset] = event

    app.agent(raw_topic(app, alone))(agent)

    async with running(app):
        await until_async(lambda: len(events) == 2, what="both events")
        events[1].ack()
        await until_committed(alone, 2)
    assert await committed(alone) == 2  # and event 0 is still in somebody's hands


async def test_row_5_a_record_that_cannot_be_decoded_commits_over_an_event_in_hand(alone: Settings) -> None:
    await produce(alone, [b"0", b"{not json", b"2"])
    app, held, begun = stock_app(alone), asyncio.Event(), asyncio.Event()

    async def agent(stream: Stock) -> None:
        async for _ in stream:
            begun.set()
            await held.wait()

    app.agent(app.topic(alone.topic("payments"), value_serializer="json"))(agent)

    async with running(app):
        await asyncio.wait_for(begun.wait(), 20)
        await until_committed(alone, 2)
        assert not held.is_set()
        held.set()


async def test_row_6_events_finished_before_a_rebalance_are_delivered_again_after_it(alone: Settings) -> None:
    await produce(alone, numbers(5))
    app = stock_app(alone, broker_commit_interval=3600.0)
    finished: list[int] = []

    async def agent(stream: Stock) -> None:
        async for value in stream:
            finished.append(int(value))  # noqa: PERF401 - a comprehension would show the values only at the end

    app.agent(raw_topic(app, alone))(agent)

    async with running(app):
        await until_async(lambda: len(finished) == 5, what="all five events")
        other = stock_app(alone)
        other.agent(raw_topic(other, alone))(_idle)
        async with running(other):
            await until_async(lambda: len(app.consumer.assignment() | other.consumer.assignment()) > 0, what="a rebalance")
            await pause(1.0)
        await until_async(lambda: len(finished) > 5, what="a second delivery")
    assert finished[:5] == [0, 1, 2, 3, 4]
    assert set(finished[5:]) <= {0, 1, 2, 3, 4}


async def _idle(stream: Stock) -> None:
    async for _ in stream:
        await pause(3600)


async def test_row_8_waiting_for_empty_streams_has_no_deadline_and_swallows_its_cancellation(alone: Settings) -> None:
    await produce(alone, numbers(1))
    app, held, begun = stock_app(alone), asyncio.Event(), asyncio.Event()

    async def agent(stream: Stock) -> None:
        async for _ in stream:
            begun.set()
            await held.wait()

    app.agent(raw_topic(app, alone))(agent)

    async with running(app):
        await asyncio.wait_for(begun.wait(), 20)
        waiting = asyncio.ensure_future(app.consumer.wait_empty())
        await pause(0.5)
        waiting.cancel()
        await pause(1.0)
        assert not waiting.done()
        held.set()
        await asyncio.wait([waiting], timeout=10)


async def test_row_17_flush_returns_though_a_message_sent_soon_has_not_left(alone: Settings) -> None:
    with Proxy(int(alone.kafka_bootstrap.rsplit(":", 1)[1]), kafka=True) as proxy:
        app = stock_app(alone.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{proxy.port}"}))
        await app.producer.start()
        try:
            proxy.set(silent=True)
            pending = raw_topic(app, alone).send_soon(key=b"k", value=b"v", partition=0)
            await asyncio.wait_for(app.producer.flush(), 5)
            assert not pending.done()
        finally:
            proxy.set()
            await app.producer.stop()


async def test_the_client_library_takes_terms_for_each_fetch_from_where_we_put_them(alone: Settings) -> None:
    await produce(alone, numbers(3))
    topic = alone.topic(PAYMENTS.name)

    async def read(*, least_bytes: int) -> int:
        consumer = AIOKafkaConsumer(**kafka_options(alone), auto_offset_reset="earliest", enable_auto_commit=False)
        await consumer.start()
        try:
            set_terms(consumer, wait_ms=20_000, least_bytes=least_bytes)
            consumer.assign([TopicPartition(topic, 0)])
            return sum(map(len, (await consumer.getmany(timeout_ms=2_000)).values()))
        finally:
            await consumer.stop()

    assert await read(least_bytes=1) == 3
    assert await read(least_bytes=1_000_000) == 0, "the broker collects, for longer than we wait here"
