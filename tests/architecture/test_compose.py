"""docker-compose.yml against the compose schema, and against the code it runs."""

import json
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from handlers.cli import COMMANDS
from handlers.stack.jars import KAFKA_VERSION
from handlers.stack.kafka import MAX_RECORD_BYTES
from handlers.webhooks.signatures import VERIFIERS
from streams.runtime.settings import Settings
from streams.wire.links import LinkKeys
from streams.wire.topics import CHANNELS, TOPICS
from tests.conftest import REPOSITORY

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"].startswith("rapport:"))
DOCKERFILE = (REPOSITORY / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def environment_names() -> set[str]:
    aliases = {"kafka_bootstrap": "KAFKA_BOOTSTRAP", "redis_url": "REDIS_URL"}
    return {aliases.get(name, f"RAPPORT_{name.upper()}") for name in Settings.model_fields}


def settings_of(service: str) -> Settings:
    """The settings a container of `service` would read."""
    values = {name.removeprefix("RAPPORT_").lower(): value for name, value in SERVICES[service]["environment"].items()}
    return Settings.model_validate(values)


def port_of(service: str, settings: Settings) -> int:
    """The port at which a container of `service` tells of its health and its metrics."""
    return {"gateway": settings.webhook_port, "portal": settings.portal_port}.get(service, settings.metrics_port)


def published_ports(service: str) -> list[tuple[str, int]]:
    return [(port.rsplit(":", 2)[0], int(port.rsplit(":", 1)[1])) for port in SERVICES[service].get("ports", [])]


def test_it_is_a_valid_compose_file() -> None:
    schema = Path(str(distribution("check-jsonschema").locate_file("check_jsonschema/builtin_schemas/vendor/compose-spec.json")))
    validator = Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []


def test_all_parts_of_the_system_are_there() -> None:
    assert {"kafka", "valkey", "topics", "gateway", "worker", "trainer", "mailpit", "prometheus", "grafana"} <= SERVICES.keys()
    assert {f"channel-{name}" for name in CHANNELS} <= SERVICES.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert {"mem_limit", "pids_limit"} <= service.keys()
    forbidden = {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "userns_mode"}
    assert forbidden.isdisjoint(service)
    assert not any("docker.sock" in volume for volume in service.get("volumes", []))


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "topics"])
def test_every_server_tells_its_health_and_starts_again(name: str) -> None:
    assert {"test", "interval", "timeout", "retries"} <= SERVICES[name]["healthcheck"].keys()
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_ports_are_loopback_only(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].partition(":")
    assert image
    assert tag not in {"", "latest"}
    assert all(host.startswith("127.0.0.1:") for host, _port in published_ports(name))


def test_every_volume_and_secret_is_declared_and_used() -> None:
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert {volume for volume in mounted if not volume.startswith(".")} == COMPOSE["volumes"].keys()
    assert {secret for service in SERVICES.values() for secret in service.get("secrets", [])} == COMPOSE["secrets"].keys()
    for volume in mounted:
        assert not volume.startswith(".") or (REPOSITORY / volume).exists()


def test_the_servers_are_those_the_local_stack_runs() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    kafka = SERVICES["kafka"]["environment"]
    assert kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert int(kafka["KAFKA_MESSAGE_MAX_BYTES"]) == MAX_RECORD_BYTES
    assert max(topic.max_bytes for topic in TOPICS) < MAX_RECORD_BYTES
    command = " ".join(SERVICES["valkey"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


@pytest.mark.parametrize("name", OURS)
def test_our_containers_run_commands_that_exist_with_settings_that_exist(name: str) -> None:
    service = SERVICES[name]
    assert service["command"][0] in {command.name for command in COMMANDS}
    assert service["environment"].keys() <= environment_names()
    settings = settings_of(name)
    assert settings.kafka_bootstrap == SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].removeprefix("PLAINTEXT://")
    assert settings.redis_url.startswith("redis://valkey:")
    user = service["user"].split(":")[0]
    assert user == "10001"
    assert f"USER {user}:" in DOCKERFILE


def test_topics_are_made_before_anything_of_ours_starts() -> None:
    assert SERVICES["topics"]["command"] == ["stack", "topics"]
    assert {server["condition"] for server in SERVICES["topics"]["depends_on"].values()} == {"service_healthy"}
    for name in OURS:
        if name != "topics":
            assert SERVICES[name]["depends_on"]["topics"] == {"condition": "service_completed_successfully"}
    assert len({settings_of(name).partitions for name in OURS}) == 1


def test_each_channel_has_a_worker_of_its_own() -> None:
    commands = {name: service["command"] for name, service in SERVICES.items() if name.startswith("channel-")}
    assert commands == {f"channel-{name}": ["run-channels", name] for name in CHANNELS}
    email = settings_of("channel-email")
    assert email.smtp_host in SERVICES


@pytest.mark.parametrize("name", [name for name in OURS if name != "topics"])
def test_health_is_asked_on_the_port_that_is_listened_on(name: str) -> None:
    settings = settings_of(name)
    url = SERVICES[name]["healthcheck"]["test"][-1]
    port = port_of(name, settings)
    assert re.fullmatch(rf"http://127\.0\.0\.1:{port}/health(/ready)?", url)
    if name == "gateway":
        assert settings.webhook_host == "0.0.0.0"  # noqa: S104 - inside its container, published on loopback only
        assert [port for _host, port in published_ports(name)] == [settings.webhook_port]


def test_every_process_has_time_to_end_by_itself() -> None:
    for name in OURS:
        assert int(SERVICES[name]["stop_grace_period"].rstrip("s")) > settings_of(name).exit_seconds


def test_prometheus_asks_services_that_exist_on_their_ports() -> None:
    config = yaml.safe_load((REPOSITORY / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    for job in config["scrape_configs"]:
        for target in job.get("dns_sd_configs", []):
            for name in target["names"]:
                settings = settings_of(name)
                assert target["port"] == port_of(name, settings)
                assert settings.metrics_host == "0.0.0.0"  # noqa: S104 - for Prometheus, within the network of the containers


def test_the_example_secrets_are_of_sources_the_gateway_knows() -> None:
    folder = REPOSITORY / "deploy" / "secrets" / "example"
    assert {file.name for file in folder.iterdir()} == COMPOSE["secrets"].keys()
    assert all(
        secret["file"] == f"${{SECRETS_DIR:-./deploy/secrets/example}}/{name}" for name, secret in COMPOSE["secrets"].items()
    )
    given = json.loads((folder / "rapport_webhook_secrets").read_text(encoding="utf-8"))
    assert given.keys() <= VERIFIERS.keys()
    for source, secrets in given.items():
        VERIFIERS[source](secrets)


def test_mails_carry_links_that_the_gateway_answers() -> None:
    example = REPOSITORY / "deploy" / "secrets" / "example"
    for service in ("gateway", "channel-email"):
        assert "rapport_link_secrets" in SERVICES[service]["secrets"]
    urls = {SERVICES[service]["environment"]["RAPPORT_LINK_URL"] for service in ("gateway", "channel-email")}
    (url,) = urls
    settings = Settings(_secrets_dir=example, link_url=url.removeprefix("${LINK_URL:-").removesuffix("}"))
    assert LinkKeys.of(settings) is not None


def test_a_secret_that_is_mounted_as_a_file_is_read() -> None:
    # The keyword is read by pydantic-settings and is no field.
    settings = Settings(_secrets_dir=REPOSITORY / "deploy" / "secrets" / "example")
    assert settings.webhook_secrets["stripe"][0].get_secret_value().startswith("whsec_")


def test_the_image_takes_only_what_its_hash_vouches_for_and_runs_as_nobody() -> None:
    installs = [line for line in DOCKERFILE.splitlines() if "pip install" in line]
    assert installs
    assert all("--require-hashes --only-binary=:all:" in line or "--no-deps --no-index" in line for line in installs)
    final = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert "pip install" not in final
    assert "apt-get" not in final
    for lock in ("requirements.lock", "requirements-build.lock"):
        text = (REPOSITORY / "deploy" / lock).read_text(encoding="utf-8")
        assert "--index-url" not in text
        packages = [block for block in re.split(r"\n(?=[a-z0-9])", text) if "==" in block]
        assert packages
        assert all("--hash=sha256:" in package for package in packages)
