"""What the engine costs: the whole lane with its fenced commits, beside reading and thinking alone. Prints, asserts nothing."""

import asyncio
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from models.events.payments import PaymentReceived
from models.money import Money
from streams.agents.clients import ClientsStage
from streams.engine.failpoints import make_failpoint
from streams.engine.fence import Slot
from streams.engine.fold import Program
from streams.engine.lane import Lane, LaneTools
from streams.engine.memory_producer import MemoryProducer
from streams.engine.program import ClientProgram
from streams.engine.publisher import Publisher
from streams.engine.redis_fence import RedisFence
from streams.runtime.clock import SystemClock, fresh_id, monotonic
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.state.redis_store import connect_redis
from streams.wire.codec import decode_event, encode_event
from streams.wire.partitioning import partition_of
from streams.wire.records import PlainRecord
from streams.wire.topics import CLIENT_EVENTS
from tests.conftest import Servers
from tests.streams.counting import CountingProgram
from tests.streams.engine_examples import START
from tests.streams.lane_world import MemoryFlow, Running
from tests.waiting import until_async

EVENTS: Final = 24_000
CLIENTS: Final = 3_000
PARTITIONS: Final = 4
PROGRAMS: Final[dict[str, Callable[[], Program[Any]]]] = {"counting": CountingProgram, "clients": ClientProgram}


def make_logs() -> dict[int, list[PlainRecord]]:
    """Return EVENTS payments of CLIENTS clients as the logs of PARTITIONS partitions."""
    logs: dict[int, list[PlainRecord]] = {partition: [] for partition in range(PARTITIONS)}
    for number in range(EVENTS):
        moment = START + timedelta(minutes=number)
        client = f"client-{number * 7919 % CLIENTS}"
        event = PaymentReceived(
            event_id=f"event-{number}",
            source="bench",
            occurred_at=moment,
            received_at=moment,
            client_id=client,
            payment_id=f"payment-{number}",
            amount=Money(minor=10_000 + number, currency="EUR"),
        )
        partition = partition_of(client, PARTITIONS)
        log = logs[partition]
        log.append(
            PlainRecord(
                topic=CLIENT_EVENTS.name,
                partition=partition,
                offset=len(log),
                timestamp=0,
                key=client.encode(),
                value=encode_event(event),
            )
        )
    return logs


def think_alone(program: Program[Any], logs: dict[int, list[PlainRecord]]) -> float:
    """Return the seconds to read every record and think about it, with the states in a dict: no engine at all."""
    states: dict[str, Any] = {}
    began = monotonic()
    for log in logs.values():
        for record in log:
            event: Any = decode_event(record.value)
            client = (record.key or b"").decode()
            states[client] = program.think(states.get(client), event).state
    return monotonic() - began


async def run_lanes(program: Program[Any], logs: dict[int, list[PlainRecord]], redis_url: str) -> float:
    """Return the seconds until PARTITIONS lanes of one process have folded and committed everything."""
    settings = Settings.model_validate({"redis_url": redis_url, "namespace": fresh_id(), "partitions": PARTITIONS})
    redis, meter, producer = connect_redis(settings), Meter(), MemoryProducer(partitions=PARTITIONS)
    fence = RedisFence(redis, settings)
    idle = make_failpoint("")
    tools = LaneTools(settings=settings, clock=SystemClock(), meter=meter, fence=fence, owner="bench", failpoint=idle)
    tasks: list[asyncio.Task[None]] = []
    lanes = []
    began = monotonic()
    for partition, log in logs.items():
        slot = Slot(CLIENT_EVENTS.name, partition)
        publisher = Publisher(slot, fence=fence, producer=producer, meter=meter, failpoint=idle)
        stage = _Stage(slot, program=program, fence=fence, settings=settings, meter=meter)
        flow = MemoryFlow(log, fetch=500)
        lane = Lane(slot, generation=1, stage=stage, flow=flow, tools=tools, stored=publisher.wake)
        lanes.append((lane, len(log)))
        for work in (lane.run(), publisher.run(), Running(lane, flow).pump()):
            tasks.append(asyncio.create_task(work))  # noqa: PERF401 - each task is begun in turn

    def finished() -> bool:
        return all(lane.grasp is not None and lane.grasp.next_offset == end for lane, end in lanes)

    await until_async(lambda: finished() or any(task.done() for task in tasks), timeout=100, what="the end")
    took = monotonic() - began
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
    await redis.delete(*[key async for key in redis.scan_iter(match=f"*{settings.namespace}*")])
    await redis.aclose()
    return took


class _Stage(ClientsStage[Any]):
    async def published(self, _slot: Slot) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("name", PROGRAMS)
def test_lanes_beside_reading_and_thinking_alone(servers: Servers, name: str) -> None:
    logs = make_logs()
    alone = think_alone(PROGRAMS[name](), logs)
    lanes = asyncio.run(run_lanes(PROGRAMS[name](), logs, servers.redis_url))
    cost = (lanes - alone) / EVENTS * 1e6
    sys.stdout.write(
        f"\n{name}: {EVENTS:,} events, {CLIENTS:,} clients, {PARTITIONS} partitions, one process\n"
        f"  read and think alone  {EVENTS / alone:>9,.0f} events/s   {alone / EVENTS * 1e6:6.1f} us each\n"
        f"  lanes, fenced commits {EVENTS / lanes:>9,.0f} events/s   {lanes / EVENTS * 1e6:6.1f} us each\n"
        f"  the engine adds       {cost:>9.1f} us per event, {lanes / alone:.2f} times the bare work\n"
    )
