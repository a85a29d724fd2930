"""The gateway on real sockets and a real Kafka."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from functools import partial

import httpx
import pytest
from pydantic import SecretStr

from handlers.stack.local import LocalStack
from handlers.webhooks.patience import PatientProtocol
from handlers.webhooks.serving import listen, make_server
from streams.runtime.clock import SystemClock
from streams.runtime.settings import Settings
from streams.wire.admin import ensure_topics
from streams.wire.deliveries import body_hash
from streams.wire.reading import read_topic
from streams.wire.records import Record
from streams.wire.topics import WEBHOOKS
from tests.conftest import SettingsMaker
from tests.handlers.signing import stripe_headers
from tests.waiting import until, until_async

pytestmark = pytest.mark.integration

SECRET = "whsec_integration"
SECRETS = {"stripe": [SecretStr(SECRET)]}


@pytest.fixture
def settings(make_settings: SettingsMaker) -> Settings:
    return make_settings(webhook_secrets=SECRETS, webhook_port=0)


@asynccontextmanager
async def serving(settings: Settings, *, http: type[PatientProtocol] = PatientProtocol) -> AsyncIterator[httpx.AsyncClient]:
    """Run the real server on a free port and give a client of it."""
    listener = listen(settings)
    server = make_server(settings, http=http)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", limits=limits, timeout=30) as client:
        await until_async(lambda: server.started, what="the gateway to listen")
        yield client
    server.should_exit = True
    await running
    listener.close()


async def post(client: httpx.AsyncClient, body: bytes, **headers: str) -> httpx.Response:
    signed = stripe_headers(body, secret=SECRET, at=SystemClock().now())
    kind = {"content-type": "application/json"}
    return await client.post("/webhooks/stripe", content=body, headers={**kind, **signed, **headers})


async def kafka_found(client: httpx.AsyncClient) -> None:
    async def ready() -> bool:
        return (await client.get("/health/ready")).status_code == 200

    await until_async(ready, what="the gateway to find Kafka")


async def published(settings: Settings) -> list[Record]:
    found = await read_topic(settings, WEBHOOKS.name, partitions=list(range(settings.partitions)))
    return [record for records in found.values() for record in records]


async def test_a_signed_request_lands_on_the_topic_and_a_forged_one_does_not(settings: Settings) -> None:
    body = '{"id": "evt_1", "who": "山田"}'.encode()
    before = SystemClock().now()
    async with serving(settings) as client:
        await kafka_found(client)
        assert (await post(client, body)).status_code == 200
        assert (await post(client, body, **{"stripe-signature": "t=1,v1=00"})).status_code == 401
        records = await published(settings)
    (record,) = records
    headers = dict(record.headers)
    assert (record.value, record.key) == (body, body_hash(body).encode())
    assert (headers["source"], headers["delivery_id"]) == (b"stripe", body_hash(body).encode())
    assert before <= datetime.fromisoformat(headers["received_at"].decode()) <= SystemClock().now()


async def test_many_requests_at_once_are_each_published_once_and_repeated_ones_meet_in_one_partition(settings: Settings) -> None:
    bodies = [json.dumps({"id": f"evt_{number % 360}"}).encode() for number in range(400)]
    async with serving(settings) as client:
        await kafka_found(client)
        answers = await asyncio.gather(*(post(client, body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    found = await published(settings)
    assert sorted(record.value or b"" for record in found) == sorted(bodies)
    assert len({(record.value, record.partition) for record in found}) == 360


async def test_an_oversize_body_is_cut_off_on_the_wire(make_settings: SettingsMaker) -> None:
    settings = make_settings(webhook_secrets=SECRETS, webhook_port=0, webhook_max_bytes=2048)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10_000):
            yield b"x" * 1024

    async with serving(settings) as client:
        await kafka_found(client)
        assert (await post(client, b"x" * 2049)).status_code == 413
        try:
            answer = await client.post("/webhooks/stripe", content=endless(), headers={"content-type": "application/json"})
            assert answer.status_code == 413
        except httpx.WriteError:
            pass  # the connection was closed under the endless body, which is as good an answer
        assert (await post(client, b"x" * 2048)).status_code == 200
        assert len(await published(settings)) == 1


async def test_without_kafka_the_gateway_lives_and_asks_senders_to_retry(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1", "webhook_ack_seconds": 0.5})
    async with serving(nowhere) as client:
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 503
        answer = await post(client, b'{"id": "evt_1"}')
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


class Impatient(PatientProtocol):
    """Waits for a moment only."""

    head_seconds = 0.2


@pytest.mark.parametrize("begun", [b"", b"POST /webhooks/stripe HTTP/1.1\r\nX: "])
async def test_who_never_finishes_the_head_of_a_request_is_shown_out(begun: bytes, settings: Settings) -> None:
    async with serving(settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"}), http=Impatient) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(begun)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()
        assert (await client.get("/health/live")).status_code == 200


async def test_who_never_finishes_the_head_of_a_second_request_is_shown_out_too(settings: Settings) -> None:
    async with serving(settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"}), http=Impatient) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: gateway\r\n\r\nGET /hea")
        async with asyncio.timeout(20):
            answers = await reader.read()
        writer.close()
        assert answers.startswith(b"HTTP/1.1 200")
        assert answers.count(b"HTTP/1.1") == 1


@pytest.fixture
def own_stack() -> Iterator[LocalStack]:
    """A Kafka that a test may stop without hurting its neighbours."""
    with LocalStack() as stack:
        yield stack


async def test_an_outage_of_kafka_costs_nothing_that_was_acknowledged_and_little_memory(own_stack: LocalStack) -> None:
    settings = Settings(
        kafka_bootstrap=own_stack.kafka_bootstrap,
        webhook_secrets=SECRETS,
        webhook_port=0,
        webhook_ack_seconds=1.0,
        webhook_inflight_bytes=1_048_576,
        partitions=2,
    )
    await ensure_topics(settings)
    (kafka,) = [server.name for server in own_stack.servers() if "kafka" in server.name]
    bodies = [json.dumps({"id": f"evt_{number}", "filling": "x" * 100_000}).encode() for number in range(30)]
    async with serving(settings) as client:
        await kafka_found(client)
        assert (await post(client, b'{"id": "before"}')).status_code == 200
        own_stack.halt(kafka)
        answers = await asyncio.gather(*(post(client, body) for body in bodies))
        assert {(answer.status_code, answer.headers["retry-after"]) for answer in answers} == {(503, "5")}
        page = (await client.get("/metrics")).text
        assert 'outcome="busy"' in page
        assert 'outcome="kafka_away"' in page
        own_stack.resume(kafka)
        await kafka_found(client)

        async def taken(body: bytes) -> bool:
            return (await post(client, body)).status_code == 200

        for body in bodies:  # senders retry until they are believed
            await until_async(partial(taken, body), what="the delivery to be taken")
    values = {record.value for record in await published(settings)}
    assert values == {b'{"id": "before"}', *bodies}


@contextmanager
def process(settings: Settings, **environment: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Start `rapport serve-webhooks` as an operator would; give the process and its address."""
    own = {
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "RAPPORT_TOPIC_PREFIX": settings.topic_prefix,
        "RAPPORT_WEBHOOK_SECRETS": json.dumps({"stripe": [SECRET]}),
    }
    command = [sys.executable, "-c", "from handlers.cli import main; main()", "serve-webhooks", "--port", "0"]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**own, **environment})
    try:
        assert started.stdout is not None
        yield started, started.stdout.readline().split(" at ")[1].split("/webhooks")[0]
    finally:
        started.kill()
        started.wait()


def test_sigterm_lets_the_request_finish_and_the_process_ends_well(settings: Settings) -> None:
    body = b'{"id": "evt_1"}'
    with process(settings) as (gateway, address):
        until(lambda: httpx.get(f"{address}/health/ready").status_code == 200, what="the gateway")
        signed = stripe_headers(body, secret=SECRET, at=SystemClock().now())
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            headers = {"host": host, "content-type": "application/json", "content-length": str(len(body)), **signed}
            head = ["POST /webhooks/stripe HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
            connection.sendall("\r\n".join(head).encode() + body[:5])
            until(lambda: "bytes_in_flight 5.0" in httpx.get(f"{address}/metrics").text, what="the request to be under way")
            gateway.send_signal(signal.SIGTERM)
            connection.sendall(body[5:])
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        assert gateway.wait(timeout=30) == 0
    assert [record.value for record in asyncio.run(published(settings))] == [body]
