"""Requests per second of the gateway with acks=all, against a handler of the same server that only answers 200, in one run.

Each server is a process of its own on loopback, in front of the same client. Both are up all the time and are asked in turn, for
the pace of a machine that others use too changes from second to second; the first turn of each only warms it.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median

import httpx

from streams.runtime.clock import SystemClock, monotonic
from streams.runtime.settings import Settings
from tests.bench.document import machine, write_part
from tests.conftest import SettingsMaker
from tests.handlers.signing import stripe_headers
from tests.waiting import until

SECRET = "whsec_bench"
CONNECTIONS = 64
REQUESTS = 6_400
TURNS = 5
BODY_BYTES = 2_000  # the size of a usual Stripe event


def test_requests_per_second(make_settings: SettingsMaker, unused_tcp_port_factory: Callable[[], int]) -> None:
    settings = make_settings(partitions=8)
    bare_command = [sys.executable, "-m", "tests.bench.bare_server"]
    command = [sys.executable, "-c", "from handlers.cli import main; main()", "serve-webhooks", "--port"]
    with (
        running(bare_command, port=unused_tcp_port_factory(), environment={}) as bare_port,
        running(command, port=unused_tcp_port_factory(), environment=gateway_environment(settings)) as port,
    ):
        until(lambda: httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200, what="Kafka")
        turns = [(asyncio.run(load(bare_port)), asyncio.run(load(port))) for _ in range(1 + TURNS)][1:]
    bare, ours = (median(rates) for rates in zip(*turns, strict=True))
    shares = sorted(of_ours / of_bare for of_bare, of_ours in turns)
    asked = f"{BODY_BYTES}-byte bodies, {CONNECTIONS} connections, medians of {TURNS} turns of {REQUESTS:,} requests each"
    share = f"{median(shares):.2f} ({shares[0]:.2f} to {shares[-1]:.2f})"
    table = [
        f"`make bench-gateway`: {asked}; {machine()}.",
        "",
        "| what the server does | requests/s | share, least to most |",
        "| --- | ---: | ---: |",
        f"| answers 200 and nothing else | {bare:,.0f} | 1.00 |",
        f"| verifies, publishes with acks=all, answers | {ours:,.0f} | {share} |",
    ]
    write_part("gateway", table)
    sys.stdout.write("\n".join(["", *table, ""]))


def gateway_environment(settings: Settings) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "RAPPORT_TOPIC_PREFIX": settings.topic_prefix,
        "RAPPORT_WEBHOOK_SECRETS": json.dumps({"stripe": [SECRET]}),
    }


@contextmanager
def running(command: Sequence[str], *, port: int, environment: Mapping[str, str]) -> Iterator[int]:
    """Start a server as a process and give its port once it answers."""

    def answers() -> bool:
        try:
            httpx.get(f"http://127.0.0.1:{port}/")
        except httpx.TransportError:
            return False
        return True

    quiet = subprocess.DEVNULL
    process = subprocess.Popen([*command, str(port)], stdout=quiet, stderr=quiet, env=dict(environment))
    try:
        until(answers, what="the server to listen")
        yield port
    finally:
        process.terminate()
        process.wait()


async def load(port: int) -> float:
    """Send the requests over keep-alive connections with a client that costs little; return requests per second."""
    requests = iter([signed_request(number) for number in range(REQUESTS)])

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in requests:  # shared by all connections: each takes the next
            writer.write(request)
            answer = await reader.readuntil(b"}")
            assert answer.startswith(b"HTTP/1.1 200"), answer
        writer.close()

    started = monotonic()
    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return REQUESTS / (monotonic() - started)


def signed_request(number: int) -> bytes:
    body = json.dumps({"id": f"evt_{number}", "object": "event", "filling": "x" * (BODY_BYTES - 60)}).encode()
    signed = stripe_headers(body, secret=SECRET, at=SystemClock().now())
    headers = {"host": "gateway", "content-type": "application/json", "content-length": str(len(body)), **signed}
    head = ["POST /webhooks/stripe HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(head).encode() + body
