"""Faults of what comes in, of the clock that it meets, and of the gateway that takes it."""

import asyncio
import subprocess
import sys
from typing import Final

import httpx
import orjson

from handlers.stack.ports import free_ports
from models.triggers import Decision
from streams.engine.ticks import TICK_SLACK_MS
from streams.runtime.clock import SystemClock
from streams.wire.headers import read_origin
from streams.wire.topics import CLIENT_EVENTS, DECISIONS
from tests.chaos.site import Site
from tests.conftest import REPOSITORY
from tests.handlers.signing import STANDARD_SECRET, standard_headers
from tests.integration.engine_world import environment, payment, read_topic
from tests.waiting import pause, until_async

HOUR_MS: Final = 3_600_000
_POSTS: Final = 200
_POSTERS: Final = 20


async def nothing_else(site: Site) -> None:
    """Let the load be the fault, for some seconds."""
    await pause(site.dice.uniform(5, 7))


async def clocks_apart(site: Site) -> None:
    """Replace a worker by one whose clock is an hour ahead, and then all by one that is an hour behind."""
    site.living()[0].kill()
    site.start(CHAOS_SKEW_MS=str(HOUR_MS)).until_working()
    await pause(8)
    for worker in site.living():
        worker.kill()
    site.start(CHAOS_SKEW_MS=str(-HOUR_MS)).until_working()
    await pause(6)


async def no_timer_was_early(site: Site) -> None:
    """Compare what timers led to with the broker's time of the record that made them fire.

    Each event puts its client's timer off, so most fire only after the last one: the trial may be at rest before any has.
    """

    async def fired_any() -> bool:
        return any((await read_topic(site.settings, DECISIONS)).values())

    await until_async(fired_any, timeout=60, what="a timer to fire", every=1)
    decided = await read_topic(site.settings, DECISIONS)
    log = await read_topic(site.settings, CLIENT_EVENTS)
    fired = 0
    for partition, records in decided.items():
        for record in records:
            decision = Decision.model_validate_json(record.value or b"")
            cause = log[partition][read_origin(record.headers).src_offset]
            assert decision.decided_at.timestamp() * 1000 <= cause.timestamp + TICK_SLACK_MS
            fired += 1
    assert fired > 0, "no timer fired at all"


async def gateway_killed(site: Site) -> None:
    """Kill the gateway with -9 while it waits for Kafka's acknowledgements; senders repeat what was not answered."""
    (port,) = free_ports(1)
    over = asyncio.Event()
    murders = asyncio.create_task(_murder(site, port, over))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        turns = asyncio.Semaphore(_POSTERS)
        tries = await asyncio.gather(*(_post(client, turns, site, number) for number in range(_POSTS)))
    over.set()
    await murders
    assert sum(tries) > _POSTS, "nobody had to repeat anything: the gateway was never killed at a bad moment"


async def _murder(site: Site, port: int, over: asyncio.Event) -> None:
    site.kafka.set(delay=0.15)  # so that there is something to wait for
    while not over.is_set():
        gateway = _gateway(site, port)
        try:
            await until_async(lambda: _ready(port), timeout=60, what="the gateway")
            await _or_over(over, seconds=site.dice.uniform(1.0, 3.0))
        finally:
            gateway.kill()
            gateway.wait()
    site.kafka.set()


def _gateway(site: Site, port: int) -> "subprocess.Popen[bytes]":
    secrets = orjson.dumps({"generic": [STANDARD_SECRET]}).decode()
    told = {**site.behind_proxies(), "RAPPORT_WEBHOOK_PORT": str(port), "RAPPORT_WEBHOOK_SECRETS": secrets}
    with (site.crew.folder / "gateway.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "handlers.cli", "serve-webhooks"],
            cwd=REPOSITORY,
            env=environment(site.settings, **told),
            stdout=log,
            stderr=subprocess.STDOUT,
        )


async def _or_over(over: asyncio.Event, *, seconds: float) -> None:
    try:
        await asyncio.wait_for(over.wait(), seconds)
    except TimeoutError:
        return


async def _ready(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/health/ready")).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


async def _post(client: httpx.AsyncClient, turns: asyncio.Semaphore, site: Site, number: int) -> int:
    """Post one event until it is answered with a 2xx; returns how often."""
    event = payment(number, event_id=f"posted-{number}")
    data = event.model_dump(mode="json", exclude={"received_at", "source"}, exclude_none=True)
    body = orjson.dumps({"type": event.kind, "timestamp": data["occurred_at"], "data": data})
    async with turns:
        for tries in range(1, 1_000):
            signed = standard_headers(body, secret=STANDARD_SECRET, at=SystemClock().now(), message_id=f"m-{number}")
            try:
                answer = await client.post(
                    "/webhooks/generic", content=body, headers={"content-type": "application/json", **signed}
                )
            except httpx.HTTPError:
                await pause(0.2)
                continue
            if answer.is_success:
                site.load.sent[event.event_id] = None
                return tries
            assert answer.is_server_error, answer.text
            await pause(0.2)
    message = f"no answer for {event.event_id}"
    raise AssertionError(message)
