"""From a webhook accepted to its trigger on the topic, at a steady pace, station by station. Prints, asserts nothing.

`make bench-latency` writes the table into docs/benchmarks.md. BENCH_PACE webhooks a second for BENCH_SECONDS.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

import httpx

from streams.runtime.clock import SystemClock, monotonic
from streams.runtime.settings import Settings
from streams.wire.headers import COMMITTED, FOLDED, LOGGED, RECEIVED, read_stations
from streams.wire.topics import TRIGGERS
from tests.bench.bench_gateway import running
from tests.bench.document import machine, write_part
from tests.conftest import REPOSITORY, SettingsMaker
from tests.handlers.signing import STANDARD_SECRET, standard_headers
from tests.integration.engine_world import environment, read_topic
from tests.waiting import until, until_async

PACE: Final = int(os.environ.get("BENCH_PACE", "500"))
SECONDS: Final = int(os.environ.get("BENCH_SECONDS", "20"))
WARM_UP: Final = 3
CONNECTIONS: Final = 16
PARTITIONS: Final = 8
BATCH: Final = str(Settings.model_fields["batch_records"].default)  # as shipped; tests of the engine take small ones


def test_from_a_webhook_to_its_trigger(make_settings: SettingsMaker, unused_tcp_port_factory: Callable[[], int]) -> None:
    settings = make_settings(partitions=PARTITIONS)
    secrets = {"RAPPORT_WEBHOOK_SECRETS": json.dumps({"generic": [STANDARD_SECRET]}), "RAPPORT_BATCH_RECORDS": BATCH}
    cli = [sys.executable, "-c", "import sys; from handlers.cli import main; main()"]
    worker = subprocess.Popen(
        [*cli, "worker"],
        cwd=REPOSITORY,
        env=environment(settings, RAPPORT_BATCH_RECORDS=BATCH),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = unused_tcp_port_factory()
        with running([*cli, "serve-webhooks", "--port"], port=port, environment=environment(settings, **secrets)) as at:
            until(lambda: httpx.get(f"http://127.0.0.1:{at}/health/ready").status_code == 200, what="Kafka")
            # A worker that still joins its group, or starts from cold, is not what is measured.
            warm, sent = range(PACE * WARM_UP), range(PACE * WARM_UP, PACE * (WARM_UP + SECONDS))
            asyncio.run(_load(at, warm))
            asyncio.run(_triggers(settings, len(warm)))
            began_ms = round(SystemClock().now().timestamp() * 1000)
            asyncio.run(_load(at, sent))
        found = asyncio.run(_triggers(settings, len(warm) + len(sent)))
    finally:
        worker.kill()
        worker.wait()
    found = [record for record in found if read_stations(record.headers)[RECEIVED] >= began_ms]
    rows = _stations(found)
    table = [
        f"`make bench-latency`: {len(sent):,} first payments at {PACE} webhooks/s, one gateway, one worker,",
        f"{PARTITIONS} partitions; {len(found):,} triggers; {machine()}.",
        "",
        "| from | to | p50 ms | p99 ms |",
        "| --- | --- | ---: | ---: |",
        *(f"| {start} | {end} | {_share(waits, 50)} | {_share(waits, 99)} |" for start, end, waits in rows),
    ]
    write_part("latency", table)
    sys.stdout.write("\n" + "\n".join(table) + "\n")


async def _load(port: int, clients: range) -> None:
    """Post the first payments of new clients, each a trigger, at the pace."""
    began = monotonic()
    numbers, never = iter(clients), asyncio.get_running_loop().create_future()

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:  # shared by all connections: each takes the next
            ahead = began + (number - clients.start) / PACE - monotonic()
            if ahead > 0:
                await asyncio.wait([never], timeout=ahead)
            writer.write(_request(number))
            answer = await reader.readuntil(b"}")
            assert answer.startswith(b"HTTP/1.1 200"), answer
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))


def _request(number: int) -> bytes:
    now = SystemClock().now()
    body = json.dumps(
        {
            "type": "payment.received",
            "timestamp": now.isoformat(),
            "data": {
                "client_id": f"client-{number}",
                "payment_id": f"payment-{number}",
                "amount": {"minor": 10_000 + number, "currency": "EUR"},
                "method": "card",
            },
        }
    ).encode()
    signed = standard_headers(body, secret=STANDARD_SECRET, at=now, message_id=f"msg_{number}")
    headers = {"host": "gateway", "content-type": "application/json", "content-length": str(len(body)), **signed}
    head = ["POST /webhooks/generic HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(head).encode() + body


async def _triggers(settings: Settings, count: int) -> list[Any]:
    """Return the trigger records once `count` are there."""
    found: list[Any] = []

    async def there() -> bool:
        nonlocal found
        read = [await read_topic(settings, TRIGGERS[channel]) for channel in ("task", "email")]
        found = [record for topic in read for records in topic.values() for record in records]
        return len(found) >= count

    await until_async(there, timeout=120, what="all triggers")
    return found


def _stations(records: list[Any]) -> list[tuple[str, str, list[int]]]:
    """Return the legs of the way with the ms each record took."""
    stops = [
        ("accepted by the gateway", RECEIVED),
        ("on the log, merged", LOGGED),
        ("folded", FOLDED),
        ("stored", COMMITTED),
        ("on the trigger topic", ""),
    ]
    told = [{**read_stations(record.headers), "": record.timestamp} for record in records]
    whole = [row for row in told if len(row) == len(stops)]
    legs = [(start, end, sorted(row[to] - row[from_] for row in whole)) for (start, from_), (end, to) in pairwise(stops)]
    return [*legs, (f"**{stops[0][0]}**", f"**{stops[-1][0]}**", sorted(row[""] - row[RECEIVED] for row in told))]


def _share(waits: list[int], percent: int) -> int:
    return waits[min(len(waits) - 1, len(waits) * percent // 100)] if waits else -1
