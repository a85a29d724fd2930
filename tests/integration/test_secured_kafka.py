"""A Kafka that asks for TLS, a password or a certificate: the whole way with the right ones, one clear line with the wrong."""

import json
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.protocol.admin import CreateAclsRequest
from redis.exceptions import AuthenticationError, NoPermissionError

from handlers.commands.access.commands import kafka_commands, redis_lines
from handlers.demo.crew import Crew
from handlers.demo.posting import Poster
from handlers.stack.kafka import prepare_kafka
from handlers.stack.local import LocalStack
from handlers.stack.ports import free_ports
from handlers.stack.progress import Display
from streams.runtime.clock import FileClock
from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from streams.state.redis_store import connect_redis
from streams.wire.admin import admin_client, ensure_topics, read_topics
from streams.wire.kafka import kafka_options
from streams.wire.reading import read_topic
from streams.wire.topics import PAYMENTS, TRIGGERS
from tests.certificates import Identity, make_identity
from tests.commands import environment_of, run_rapport
from tests.integration.test_whole_way import NOON, PAYER, SECRET, deliveries
from tests.waiting import until_async

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

USER, PASSWORD = "rapport", "hush-hush"
PROCESSES = ("rapport-worker", "rapport-gateway")
"""Users who may do what `rapport access` gives them and no more; the others may do everything."""
PROTECTIONS = ("SASL_SSL", "SASL_PLAINTEXT", "SSL")

KINDS = {"--topic": 2, "--group": 3}
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
LITERAL = ALLOW = 3
"""Codes of Kafka's protocol."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A stack whose Kafka has a port for each protection."""

    identity: Identity
    ports: Mapping[str, int]
    redis_url: str

    def settings(self, security: str, **fields: object) -> Settings:
        """Return settings that reach the port of `security`; it is told of as it is, unless `fields` say otherwise."""
        shown: dict[str, dict[str, object]] = {
            "SASL_SSL": {"kafka_ca_file": self.identity.certificate, "kafka_user": USER, "kafka_password": PASSWORD},
            "SASL_PLAINTEXT": {"kafka_mechanism": "PLAIN", "kafka_user": USER, "kafka_password": PASSWORD},
            "SSL": {
                "kafka_ca_file": self.identity.certificate,
                "kafka_certificate_file": self.identity.certificate,
                "kafka_key_file": self.identity.key,
            },
        }
        place = {"kafka_bootstrap": f"127.0.0.1:{self.ports[security]}", "redis_url": self.redis_url, "partitions": 2}
        return Settings.model_validate({**place, "kafka_security": security, **shown[security], **fields})


def listeners(identity: Identity, ports: Mapping[str, int], plain: str) -> dict[str, str]:
    """Return the broker's settings for a port per protection beside the plain one at which the stack asks whether it is ready."""
    own = ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
    both = identity.certificate.with_name("both.pem")
    both.write_text(identity.key.read_text(encoding="utf-8") + identity.certificate.read_text(encoding="utf-8"), encoding="utf-8")
    module = "org.apache.kafka.common.security"
    return {
        "advertised.listeners": f"PLAINTEXT://{plain},{own}",
        "listener.security.protocol.map": ",".join(f"{name}:{name}" for name in ("PLAINTEXT", *ports)) + ",CONTROLLER:PLAINTEXT",
        "listener.name.sasl_ssl.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
        "listener.name.sasl_plaintext.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
            f'{module}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        ),
        "listener.name.ssl.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{USER};User:ANONYMOUS;User:CN=kafka",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(identity.certificate),
    }


def guard(stack: LocalStack, identity: Identity) -> dict[str, int]:
    """Give the broker of `stack` its guarded ports."""
    ports = dict(zip(PROTECTIONS, free_ports(len(PROTECTIONS)), strict=True))
    create = f"SCRAM-SHA-512=[iterations=4096,password={PASSWORD}]"
    kafka = prepare_kafka(display=Display())
    making = []
    for user in (USER, *PROCESSES):
        asked = ("--alter", "--entity-type", "users", "--entity-name", user, "--add-config", create)
        command = kafka.command("kafka.admin.ConfigCommand", "--bootstrap-server", stack.kafka_bootstrap, *asked)
        making.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    assert [process.wait() for process in making] == [0] * len(making)
    plain = stack.kafka_bootstrap
    file = stack.folder / "kafka-1.properties"
    stack.halt("kafka-1")
    said = file.read_text(encoding="utf-8").splitlines()
    (listening,) = (line for line in said if line.startswith("listeners="))
    more = ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
    added = [f"{listening},{more}", *(f"{name}={value}" for name, value in listeners(identity, ports, plain).items())]
    file.write_text("\n".join([*said, *added, ""]), encoding="utf-8")
    stack.resume("kafka-1")
    return ports


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    identity = make_identity(tmp_path_factory.mktemp("tls"), "kafka")
    with LocalStack() as stack:
        yield Guarded(identity, guard(stack, identity), stack.redis_url)


async def triggers(settings: Settings) -> list[bytes]:
    found = await read_topic(settings, TRIGGERS["email"].name, partitions=list(range(settings.partitions)))
    return [record.value for records in found.values() for record in records]


async def grant_on_kafka(settings: Settings) -> None:
    """Give the users of processes the rights that `rapport access kafka` prints, over the protocol that its tool speaks."""
    async with admin_client(settings) as client:
        for line in kafka_commands(settings, users="rapport-"):
            for kind, name, user, operation in rights_in(shlex.split(line)):
                request = CreateAclsRequest(kind, name, LITERAL, user, "*", operation, ALLOW)
                answer = await client._send_request(request)  # noqa: SLF001 - the library has no call for it
                assert [code for code, _ in answer.creation_responses] == [0]


def rights_in(words: list[str]) -> list[tuple[int, str, str, int]]:
    """Return what a command of kafka-acls.sh allows: kind and name of the resource, the user, and the operation."""
    said = list(pairwise(words))
    (user,) = (value for flag, value in said if flag == "--allow-principal")
    operations = [OPERATIONS[value] for flag, value in said if flag == "--operation"]
    named = [(KINDS[flag], value) for flag, value in said if flag in KINDS]
    return [(kind, name, user, operation) for kind, name in named for operation in operations]


async def grant_on_redis(settings: Settings) -> None:
    """Make the users that `rapport access redis` prints, each with the password of the test."""
    redis: Any = connect_redis(settings)
    for line in redis_lines(settings, users="rapport-"):
        _, name, *rules = line.split()
        if name != "default":  # who looks on stays
            await redis.execute_command("ACL", "SETUSER", name, *(f">{PASSWORD}" if rule[0] == ">" else rule for rule in rules))
    await redis.aclose()


def as_process(settings: Settings, user: str) -> Settings:
    url = settings.redis_url.replace("redis://", f"redis://{user}:{PASSWORD}@")
    return settings.model_copy(update={"kafka_user": user, "redis_url": url})


async def test_an_event_goes_in_and_a_trigger_comes_out_by_tls_and_password_with_no_right_to_spare(
    guarded: Guarded, tmp_path: Path
) -> None:
    clock = tmp_path / "clock"
    FileClock.write(clock, NOON)
    settings = guarded.settings("SASL_SSL", clock_file=clock)
    await ensure_topics(settings)
    await grant_on_kafka(settings)
    await grant_on_redis(settings)
    (port,) = free_ports(1)
    worker, gateway = (as_process(settings, user) for user in PROCESSES)
    own = {
        "RAPPORT_CLOCK_FILE": str(clock),
        "RAPPORT_WEBHOOK_PORT": str(port),
        "RAPPORT_WEBHOOK_SECRETS": json.dumps({"stripe": [SECRET]}),
    }
    async with Poster(f"http://127.0.0.1:{port}", secret=SECRET) as poster:
        with (
            Crew(tmp_path, environment=environment_of(worker, **own)) as workers,
            Crew(tmp_path, environment=environment_of(gateway, **own)) as gateways,
        ):
            workers.start("worker", "worker")
            gateways.start("gateway", "serve-webhooks")
            await until_async(poster.is_ready, timeout=100, what="the gateway")
            await poster.post(deliveries(), at=NOON)
            sent = await until_async(lambda: triggers(settings), timeout=100, what="the trigger")
            workers.raise_if_dead()
            gateways.raise_if_dead()
    assert PAYER.client_id in {json.loads(each).get("client_id") for each in sent}
    await assert_nothing_else_is_allowed(worker=worker, gateway=gateway)


async def assert_nothing_else_is_allowed(*, worker: Settings, gateway: Settings) -> None:
    producer = AIOKafkaProducer(**kafka_options(gateway))
    await producer.start()
    with pytest.raises(TopicAuthorizationFailedError):
        await producer.send_and_wait(gateway.topic(PAYMENTS.name), b"{}")
    await producer.stop()
    redis: Any = connect_redis(worker)
    for forbidden in (("GET", "{evt:triggers.email:0}:x"), ("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "*")):
        with pytest.raises(NoPermissionError):
            await redis.execute_command(*forbidden)
    await redis.aclose()
    stranger = connect_redis(gateway)  # a gateway keeps nothing in Redis, so it has no user there
    with pytest.raises(AuthenticationError):
        await stranger.ping()


async def test_with_a_wrong_password_processes_name_the_setting(guarded: Guarded, tmp_path: Path) -> None:
    settings = guarded.settings("SASL_SSL", kafka_password="guessed", webhook_port=0)
    fix = "refuses the user 'rapport' or its password by SCRAM-SHA-512; fix: RAPPORT_KAFKA_USER, RAPPORT_KAFKA_PASSWORD"
    environment = environment_of(settings, RAPPORT_WEBHOOK_PORT="0", RAPPORT_WEBHOOK_SECRETS=json.dumps({"stripe": [SECRET]}))
    with Crew(tmp_path, environment=environment) as crew:
        crew.start("gateway", "serve-webhooks")
        ended = run_rapport(environment, "worker")
        assert ended.returncode == 1
        assert [fix in line for line in ended.stderr.splitlines()].count(True) == 1
        assert "guessed" not in ended.stderr
        said = tmp_path / "gateway.log"
        await until_async(lambda: fix in said.read_text(encoding="utf-8"), what="the gateway to say why")
        crew.raise_if_dead()  # it goes on trying: its senders are asked to come again


@pytest.mark.parametrize("security", ["SASL_PLAINTEXT", "SSL"])
async def test_a_password_alone_and_a_certificate_alone_are_enough_where_kafka_asks_for_them(
    guarded: Guarded, security: str
) -> None:
    settings = guarded.settings(security, topic_prefix=f"{security}.")
    assert set(await ensure_topics(settings)) == set(await read_topics(settings))


@pytest.mark.parametrize(
    ("port", "fields", "said"),
    [
        ("SASL_SSL", {"kafka_ca_file": None}, r"shows a certificate that is not believed .*RAPPORT_KAFKA_CA_FILE"),
        ("SASL_SSL", {"kafka_mechanism": "PLAIN"}, r"does not know PLAIN; fix: set RAPPORT_KAFKA_MECHANISM"),
        ("SASL_PLAINTEXT", {"kafka_password": "guessed"}, r"refuses the user 'rapport' or its password by PLAIN"),
        ("SSL", {"kafka_certificate_file": None, "kafka_key_file": None}, r"RAPPORT_KAFKA_CERTIFICATE_FILE"),
        (
            "SASL_PLAINTEXT",
            {"kafka_security": "PLAINTEXT", "kafka_user": None, "kafka_password": None},
            r"is RAPPORT_KAFKA_SECURITY=PLAINTEXT what (it|this port) expects",
        ),
        ("SASL_PLAINTEXT", {"kafka_security": "SASL_SSL"}, r"fix: .*RAPPORT_KAFKA_SECURITY"),
    ],
)
async def test_whoever_connects_wrongly_is_told_which_setting_to_look_at(
    guarded: Guarded, port: str, fields: dict[str, object], said: str
) -> None:
    with pytest.raises(RetryError, match=said):
        await read_topics(guarded.settings(port, **fields))
