"""Faults of processes, connections and servers that stop: what each does to a site while events flow."""

import os
import signal
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import redis
from aiokafka.errors import GroupIdNotFound, NoError
from aiokafka.protocol.admin import DeleteGroupsRequest

from handlers.stack.local import LocalStack
from streams.runtime.settings import Settings
from streams.wire.admin import admin_client
from tests.chaos.pauses import longest_pause_told
from tests.chaos.site import Site
from tests.integration.engine_world import LONGEST_SESSION_SECONDS, Worker
from tests.waiting import pause, until_async

SESSION_SECONDS: Final = LONGEST_SESSION_SECONDS


async def kill_workers(site: Site) -> None:
    """Kill one worker after the other, at random moments; a supervisor starts new ones."""
    for _ in range(3):
        await pause(site.dice.uniform(0.5, 2.0))
        site.dice.choice(site.living()).kill()
        site.mind()


async def zombie(site: Site) -> None:
    """Stop a worker for longer than its session, and let it go on as if nothing had happened."""
    worker = site.dice.choice(site.living())
    os.kill(worker.process.pid, signal.SIGSTOP)
    await pause(SESSION_SECONDS + 4)
    os.kill(worker.process.pid, signal.SIGCONT)
    await pause(2)


async def blocked_loop(site: Site) -> None:
    """Block a worker's event loop; its watchdog must end it, though its heartbeats go on."""
    worker = site.start(RAPPORT_STALL_SECONDS="4").until_working()
    os.kill(worker.process.pid, signal.SIGALRM)
    await until_async(lambda: worker.process.poll() is not None, timeout=60, what="the watchdog to end the worker")
    assert worker.process.returncode == 70


async def blocked_at_start(site: Site) -> None:
    """Block a worker's event loop before it has joined the group."""
    worker = site.start(RAPPORT_STALL_SECONDS="4")
    await until_async(lambda: worker.said("Starting"), timeout=120, what="a worker that starts")
    os.kill(worker.process.pid, signal.SIGALRM)
    await until_async(lambda: worker.process.poll() is not None, timeout=60, what="the watchdog to end the worker")
    assert worker.process.returncode == 70


async def stop_under_load(site: Site) -> None:
    """Stop a worker politely under load, and another while Redis is away: both end within their grace."""
    first, second = site.living()[:2]
    first.process.send_signal(signal.SIGTERM)
    await until_async(lambda: first.process.poll() is not None, timeout=20, what="the end of a worker under load")
    site.redis.set(silent=True)
    await pause(1)
    second.process.send_signal(signal.SIGTERM)
    await until_async(lambda: second.process.poll() is not None, timeout=25, what="the end of a worker without Redis")
    site.redis.set()
    site.mind()


async def broker_killed(site: Site) -> None:
    """Kill the broker and start it again."""
    own_stack(site).kill("kafka-1")
    await pause(2)
    own_stack(site).resume("kafka-1")


async def broker_restarted(site: Site) -> None:
    """Stop the broker cleanly and start it again."""
    own_stack(site).halt("kafka-1")
    own_stack(site).resume("kafka-1")


async def broker_away(site: Site) -> None:
    """Stop the broker's process for longer than every timeout of the session, and until a worker has noticed."""
    (pid,) = (each.pid for each in own_stack(site).servers() if each.name == "kafka-1")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        await pause(60)
        await site.noticed()
    finally:
        os.kill(pid, signal.SIGCONT)


async def group_deleted(site: Site) -> None:
    """Stop all workers, delete the group with its commits and generations, start again."""
    for worker in site.living():
        worker.kill()

    async def deleted() -> bool:
        async with admin_client(site.settings) as client:
            coordinator = await client.find_coordinator(site.settings.group)
            answer = await client._send_request(DeleteGroupsRequest([site.settings.group]), coordinator)  # noqa: SLF001 - no other way
        return all(code in {NoError.errno, GroupIdNotFound.errno} for _, code in answer.results)

    await until_async(deleted, timeout=40, what="the group to be deleted")
    site.mind()


async def redis_killed(site: Site) -> None:
    """Kill Redis and start it again on its append-only file."""
    own_stack(site).kill("valkey")
    await pause(1)
    own_stack(site).resume("valkey")


async def redis_rolled_back(site: Site) -> None:
    """Turn all keys back to what they were some seconds ago, all at once, as a fail-over to a late replica does."""
    for _ in range(3):
        await _rolled_back_once(site)


async def _rolled_back_once(site: Site) -> None:
    with redis.Redis.from_url(site.settings.redis_url) as wire:
        kept = dump_keys(wire, site.settings)
        await pause(site.dice.uniform(0.5, 2.0))
        restore_keys(wire, site.settings, kept)


async def redis_lost(site: Site) -> None:
    """Delete everything that is stored."""
    await pause(1)
    with redis.Redis.from_url(site.settings.redis_url) as wire:
        restore_keys(wire, site.settings, {})
    await pause(1)


async def slow_redis(site: Site) -> None:
    """Delay everything to and from Redis, more and more; then let Redis itself pause, first for writes, then for everything."""
    for delay in (0.02, 0.1, 0.3, 0.5):
        site.redis.set(delay=delay)
        await pause(3)
    site.redis.set()
    with redis.Redis.from_url(site.settings.redis_url) as wire:
        for everything in (False, True):
            wire.client_pause(3_000, all=everything)
            await pause(4)


async def lost_replies(site: Site) -> None:
    """Let requests reach Redis and cut the connection in place of every few replies."""
    site.redis.set(losing=site.dice.randint(3, 9))
    await pause(8)
    site.redis.set()


async def out_of_memory(site: Site) -> None:
    """Take Redis' memory away, and give it back."""
    with redis.Redis.from_url(site.settings.redis_url) as wire:
        wire.config_set("maxmemory", 1_000_000)
        await pause(6)
        wire.config_set("maxmemory", 0)


async def rebalance_storm(site: Site) -> None:
    """Add a worker or stop one, every two seconds."""
    for _ in range(6):
        await pause(2)
        _more_or_fewer(site)


async def long_rebalance_storm(site: Site) -> None:
    """Add a worker or stop one, every five seconds for three minutes; tell how long nothing was folded at the longest."""
    async with longest_pause_told(site):
        for _ in range(36):
            await pause(5)
            _more_or_fewer(site)


def _more_or_fewer(site: Site) -> None:
    if len(site.living()) > 2:
        site.dice.choice(site.living()).process.send_signal(signal.SIGTERM)
    else:
        site.start()


async def one_after_the_other(site: Site) -> None:
    """Kill a worker, turn Redis back, lose replies, cut the network, and replace a worker politely: a little of each."""
    site.dice.choice(site.living()).kill()
    site.mind()
    await pause(1)
    await _rolled_back_once(site)
    site.redis.set(losing=3)
    await pause(3)
    site.redis.set()
    for proxy in (site.kafka, site.redis):
        proxy.set(refusing=True)
        proxy.cut()
    await pause(1)
    for proxy in (site.kafka, site.redis):
        proxy.set()
    site.dice.choice(site.living()).process.send_signal(signal.SIGTERM)
    site.start()


async def spare_takes_over(site: Site) -> None:
    """Have more workers than partitions, kill those that work, and see the spare ones take over."""
    spare = [site.start(), site.start()]
    await pause(4)
    for worker in site.crew.workers[:2]:
        worker.kill()
    await pause(SESSION_SECONDS + 2)
    assert any(worker.process.poll() is None for worker in spare)


async def cut_off(site: Site) -> None:
    """Cut the workers off from Kafka, then from Redis, then from both; new connections are refused."""
    for proxies in ((site.kafka,), (site.redis,), (site.kafka, site.redis)):
        for proxy in proxies:
            proxy.set(refusing=True)
            proxy.cut()
        await pause(4)
        for proxy in proxies:
            proxy.set()


async def half_open(site: Site) -> None:
    """Leave connections open that nothing goes through any more, for longer than a session."""
    site.redis.set(silent=True)
    await pause(SESSION_SECONDS + 4)
    site.redis.cut()
    site.redis.set()
    site.kafka.set(silent=True)
    await pause(SESSION_SECONDS + 4)
    site.kafka.cut()
    site.kafka.set()


async def rolling_deploy(site: Site) -> None:
    """Replace every worker by a new one, one after the other."""
    for worker in site.living():
        site.start().until_working()
        worker.process.send_signal(signal.SIGTERM)
        await until_async(partial(_is_over, worker), what="the old worker to leave")


def _is_over(worker: Worker) -> bool:
    return worker.process.poll() is not None


def own_stack(site: Site) -> LocalStack:
    assert site.stack is not None
    return site.stack


_DUMP_SCRIPT: Final = """
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  found[#found + 1] = key
  found[#found + 1] = redis.call('DUMP', key)
end
return found
"""
# Keys are listed inside: what a worker makes between a list and the deletion would stand in the way of what is put back.
_RESTORE_SCRIPT: Final = """
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  redis.call('DEL', key)
end
for place, key in ipairs(KEYS) do
  redis.call('RESTORE', key, 0, ARGV[place + 1])
end
"""


def _all_keys(settings: Settings) -> str:
    return f"*{settings.namespace}*"


def dump_keys(wire: "redis.Redis", settings: Settings) -> dict[Any, Any]:
    """Return all that a deployment has stored, as of one moment."""
    found: Any = wire.eval(_DUMP_SCRIPT, 0, _all_keys(settings))
    return dict(zip(found[::2], found[1::2], strict=True))


def restore_keys(wire: "redis.Redis", settings: Settings, kept: Mapping[Any, Any]) -> None:
    """Put `kept` in the place of all that the deployment has stored, at once."""
    wire.eval(_RESTORE_SCRIPT, len(kept), *kept, _all_keys(settings), *kept.values())
