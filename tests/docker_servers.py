"""Kafka and Valkey in containers, where a Docker engine answers."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import docker
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

from handlers.stack.ports import free_ports
from handlers.stack.ready import wait_for_kafka, wait_for_valkey
from handlers.stack.threads import run_apart

KAFKA_IMAGE: Final = "apache/kafka:4.3.1"
VALKEY_IMAGE: Final = "valkey/valkey:9.1"


def docker_answers() -> bool:
    """Say whether a Docker engine can be used."""
    try:
        client = docker.from_env(timeout=5)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, OSError):
        return False


@contextmanager
def docker_servers() -> Iterator[tuple[str, str]]:
    """Give Kafka's bootstrap servers and Valkey's URL; both containers are gone afterwards."""
    kafka_port, valkey_port = free_ports(2)
    # A broker must know before it starts under which address clients will reach it, hence a port of our choice.
    kafka = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, kafka_port)
    for name, value in {
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_NODE_ID": "1",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{kafka_port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_MESSAGE_MAX_BYTES": "2101248",
    }.items():
        kafka = kafka.with_env(name, value)
    valkey = (
        DockerContainer(VALKEY_IMAGE)
        .with_bind_ports(6379, valkey_port)
        .with_command("valkey-server --appendonly yes --appendfsync everysec --maxmemory-policy noeviction")
    )
    bootstrap, url = f"127.0.0.1:{kafka_port}", f"redis://127.0.0.1:{valkey_port}/0"
    with ExitStack() as stack:
        stack.enter_context(kafka)
        stack.enter_context(valkey)
        run_apart(wait_for_kafka(bootstrap))
        run_apart(wait_for_valkey(url))
        yield bootstrap, url
