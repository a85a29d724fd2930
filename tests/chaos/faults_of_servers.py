"""Faults of servers that are more than gone: moved, full, failed over, or emptied behind our back."""

import resource
import sys
from subprocess import run
from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from streams.engine.fence import Slot
from streams.engine.log_view import LogView
from streams.engine.redis_fence import RedisFence
from streams.state.redis_store import connect_redis
from streams.wire.admin import admin_client
from streams.wire.topics import CLIENT_EVENTS, PAYMENTS
from tests.chaos.faults import own_stack
from tests.chaos.site import Site
from tests.integration.engine_world import environment, feed, on_the_log, payment, read_topic
from tests.waiting import pause, until_async

_TOPICS: Final = {topic.name: topic for topic in (CLIENT_EVENTS, PAYMENTS)}
_RETIRED: Final = (Slot(CLIENT_EVENTS.name, 0), Slot(PAYMENTS.name, 0))


async def coordinator_moved(site: Site) -> None:
    """Kill the broker that coordinates the group, twice; another takes its place each time."""
    for _ in range(2):
        async with admin_client(site.settings) as client:
            name = f"kafka-{await client.find_coordinator(site.settings.group)}"
        own_stack(site).kill(name)
        await pause(10)
        own_stack(site).resume(name)
        await pause(4)


def _pid(site: Site, server: str) -> int:
    (pid,) = (each.pid for each in own_stack(site).servers() if each.name == server)
    assert pid is not None
    return pid


def _limit_files(pid: int, size: int) -> None:
    """Let no file of a process grow beyond `size` bytes: a full disk, without needing a disk or the rights of root."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


async def redis_disk_full(site: Site) -> None:
    """Let Redis' append-only file not grow any more, and give it room again."""
    pid = _pid(site, "valkey")
    _limit_files(pid, 200_000)
    await pause(8)
    _limit_files(pid, resource.RLIM_INFINITY)


async def kafka_disk_full(site: Site) -> None:
    """Let Kafka's files not grow any more, at which it stops; start it again with room."""
    stack = own_stack(site)
    _limit_files(_pid(site, "kafka-1"), 50_000)
    await until_async(
        lambda: next(each.pid is None for each in stack.servers() if each.name == "kafka-1"), timeout=60, what="Kafka to give up"
    )
    stack.resume("kafka-1")


async def retention_passed(site: Site) -> None:
    """Delete records that were never folded: their partitions stand still until a person accepts the loss, the others go on."""
    await until_async(lambda: _begun(site), what="both partitions to be taken")
    for worker in site.living():
        worker.kill()
    await feed(site.settings, on_the_log([payment(number, event_id=f"old-{number}") for number in range(200)], site.settings))
    await pause(1)
    before = await _positions(site)
    ends = await _remember(site, before)
    async with admin_client(site.settings) as client:
        await client.delete_records(
            {TopicPartition(site.settings.topic(at.topic), at.partition): RecordsToDelete(end) for at, end in ends.items()}
        )
    site.mind()
    await until_async(lambda: _halted(site), timeout=60, what="both partitions to halt")
    await pause(2)
    assert await _positions(site) == before, "a position jumped over records that nobody folded"
    await accept_losses(site)


async def _remember(site: Site, positions: list[int | None]) -> dict[Slot, int]:
    """Keep for the audit what is about to be deleted: what was folded of the client log, and the names of what was not.

    Returns up to which offset to delete: events go on coming meanwhile.
    """
    ends = {}
    for at, position in zip(_RETIRED, positions, strict=True):
        records = (await read_topic(site.settings, _TOPICS[at.topic]))[at.partition]
        if at.topic == CLIENT_EVENTS.name:
            site.given_up.folded[at.partition] = [record for record in records if record.offset < (position or 0)]
        site.given_up.lose([record for record in records if record.offset >= (position or 0)])
        ends[at] = records[-1].offset + 1
    return ends


async def accept_losses(site: Site) -> None:
    """Do what the runbook says: ask how many records are gone, and accept exactly that."""
    view = LogView(site.settings)
    bounds = await view.read(list(_RETIRED))
    await view.close()
    for at, position in zip(_RETIRED, await _positions(site), strict=True):
        lost = bounds[at].start - (position or 0)
        said = ["--topic", at.topic, "--partition", str(at.partition), "--records", str(lost)]
        _rapport(site, "fence", "accept-loss", *said)


def _rapport(site: Site, *command: str) -> None:
    run([sys.executable, "-m", "handlers.cli", *command], env=environment(site.settings), check=True)


def _halted(site: Site) -> bool:
    lines = [
        line
        for worker in site.crew.workers
        for line in worker.log.read_text(errors="replace").splitlines()
        if "partition halted" in line
    ]
    return all(any(f"{at.topic}-{at.partition} begins at offset" in line for line in lines) for at in _RETIRED)


async def _begun(site: Site) -> bool:
    return all(await _positions(site))


async def _positions(site: Site) -> list[int | None]:
    redis = connect_redis(site.settings)
    try:
        fence = RedisFence(redis, site.settings)
        return [await fence.position(at) for at in _RETIRED]
    finally:
        await redis.aclose()
