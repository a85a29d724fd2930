"""The settings under which Kafka is reached: what is refused at start, and what every client is made with."""

import logging
import ssl
from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.engine.transport import broker_credentials
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.wire.kafka import kafka_environment, kafka_options
from tests.certificates import Identity, make_identity

SIGNED_IN = {"kafka_user": "rapport", "kafka_password": "hush-hush"}


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_identity(tmp_path_factory.mktemp("tls"), "kafka")


def settings_with(**fields: object) -> Settings:
    return Settings.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kafka_security": "SASL_SSL"}, "RAPPORT_KAFKA_USER and RAPPORT_KAFKA_PASSWORD is not set"),
        ({"kafka_security": "SASL_SSL", "kafka_user": "rapport", "kafka_password": ""}, "and RAPPORT_KAFKA_PASSWORD is not set"),
        ({"kafka_security": "SSL", "kafka_certificate_file": "a.pem"}, "and RAPPORT_KAFKA_KEY_FILE is not set"),
        (SIGNED_IN, "is PLAINTEXT and makes no use of RAPPORT_KAFKA_USER, RAPPORT_KAFKA_PASSWORD; fix"),
        ({"kafka_security": "SSL", **SIGNED_IN}, "is SSL and makes no use of RAPPORT_KAFKA_USER"),
        ({"kafka_security": "SASL_PLAINTEXT", **SIGNED_IN, "kafka_ca_file": "a.pem"}, "makes no use of RAPPORT_KAFKA_CA_FILE"),
        ({"kafka_security": "SSL", "kafka_ca_file": "/nowhere/ca.pem"}, "authorities in /nowhere/ca.pem cannot be read"),
        ({"kafka_security": "TLS"}, "SASL_SSL"),
    ],
)
def test_what_is_incomplete_or_of_no_use_is_refused_with_its_name_and_without_the_password(
    fields: dict[str, object], said: str
) -> None:
    with pytest.raises(ValidationError, match=said) as refused:
        settings_with(**fields)
    assert "hush" not in str(refused.value.errors(include_input=False))


def test_a_key_that_is_not_the_certificates_is_refused(identity: Identity, tmp_path: Path) -> None:
    other = make_identity(tmp_path, "other")
    with pytest.raises(ValidationError, match=r"kafka\.pem and its key .*other\.key cannot be used"):
        settings_with(kafka_security="SSL", kafka_certificate_file=identity.certificate, kafka_key_file=other.key)


def test_settings_of_the_environment_are_refused_in_one_line_that_tells_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    load_settings.cache_clear()
    monkeypatch.setenv("RAPPORT_KAFKA_PASSWORD", "hush-hush")
    monkeypatch.setenv("RAPPORT_PARTITIONS", "none")
    with pytest.raises(UsageError, match="RAPPORT_PARTITIONS: ") as refused:
        load_settings()
    monkeypatch.delenv("RAPPORT_PARTITIONS")
    with pytest.raises(UsageError, match="makes no use of RAPPORT_KAFKA_PASSWORD") as idle:
        load_settings()
    for each in (refused, idle):
        assert "\n" not in str(each.value)
        assert "hush" not in str(each.value)


def test_the_password_may_be_a_file_as_other_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rapport_kafka_password").write_text("hush-hush\n", encoding="utf-8")
    monkeypatch.setenv("RAPPORT_KAFKA_SECURITY", "SASL_PLAINTEXT")
    monkeypatch.setenv("RAPPORT_KAFKA_USER", "rapport")
    assert kafka_options(Settings(_secrets_dir=tmp_path))["sasl_plain_password"] == "hush-hush"


def test_faust_connects_as_every_other_client(identity: Identity) -> None:
    settings = settings_with(kafka_security="SASL_SSL", kafka_ca_file=identity.certificate, **SIGNED_IN)
    options = kafka_options(settings)
    context = options.pop("ssl_context")
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert [each["subject"] for each in context.get_ca_certs()] == [((("commonName", "kafka"),),)]
    assert options == {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "rapport",
        "sasl_plain_password": "hush-hush",
    }
    assert kafka_options(settings_with()) == {"bootstrap_servers": "127.0.0.1:9092", "security_protocol": "PLAINTEXT"}
    assert broker_credentials(settings_with()) is None


@pytest.mark.parametrize("protected", [False, True])
def test_another_process_connects_alike_whatever_it_inherits(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, protected: bool
) -> None:
    fields = {"kafka_security": "SASL_SSL", "kafka_ca_file": identity.certificate, **SIGNED_IN} if protected else {}
    settings = settings_with(kafka_bootstrap="kafka.example:9093", **fields)
    for name in ("RAPPORT_KAFKA_USER", "RAPPORT_KAFKA_PASSWORD", "RAPPORT_KAFKA_CERTIFICATE_FILE", "RAPPORT_KAFKA_KEY_FILE"):
        monkeypatch.setenv(name, "inherited")
    for name, value in kafka_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_a_password_that_travels_in_the_open_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    kafka_options(settings_with(kafka_security="SASL_PLAINTEXT", kafka_bootstrap="127.0.0.1:9,localhost:9,[::1]:9", **SIGNED_IN))
    assert caplog.messages == []
    away = settings_with(kafka_security="SASL_PLAINTEXT", kafka_bootstrap="127.0.0.1:9,kafka.open.example:9", **SIGNED_IN)
    for _ in range(2):
        kafka_options(away)
    (said,) = caplog.messages
    assert "unencrypted to kafka.open.example:9; use SASL_SSL" in said
    assert "hush" not in said
