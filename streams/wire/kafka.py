"""How every Kafka client of the program connects: where to, under which protection, as whom; and why it could not."""

import asyncio
import ipaddress
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings

_log = logging.getLogger(__name__)
_ASK_MS: Final = 5_000
SECURITY_FIELDS: Final = tuple(name for name in Settings.model_fields if name.startswith("kafka_") and name != "kafka_bootstrap")
UNSECURED: Final = {name: Settings.model_fields[name].default for name in SECURITY_FIELDS}
"""Fields of settings for a Kafka that asks for nothing, as the local stack's."""


def kafka_options(settings: Settings) -> dict[str, Any]:
    """Return what every client of aiokafka is made with; nobody names the servers in another way (a test watches)."""
    return {"bootstrap_servers": settings.kafka_bootstrap, **_protection(settings)}


def _protection(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {"security_protocol": settings.kafka_security}
    if settings.kafka_security.endswith("SSL"):
        options["ssl_context"] = settings.kafka_tls()
    if settings.kafka_security.startswith("SASL") and settings.kafka_password is not None:
        options["sasl_mechanism"] = settings.kafka_mechanism
        options["sasl_plain_username"] = settings.kafka_user
        options["sasl_plain_password"] = settings.kafka_password.get_secret_value()
    if settings.kafka_security == "SASL_PLAINTEXT":
        _warn_of_open_road(settings.kafka_bootstrap)
    return options


@lru_cache
def _warn_of_open_road(servers: str) -> None:
    """Say once for each list of servers that what goes there can be read on the way."""
    away = [f"{host}:{port}" for host, port, _ in collect_hosts(servers) if not _is_here(host)]
    if away:
        _log.warning(
            "RAPPORT_KAFKA_SECURITY is SASL_PLAINTEXT: password and records travel unencrypted to %s; use SASL_SSL",
            ", ".join(away),
        )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def security_of(settings: Settings) -> dict[str, object]:
    """Return the fields of `settings` that say how Kafka is reached, for settings of another deployment on it."""
    return {name: getattr(settings, name) for name in SECURITY_FIELDS}


def kafka_environment(settings: Settings) -> dict[str, str]:
    """Return the environment under which another process connects as `settings` do, whatever it inherits."""
    return {
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        **{f"RAPPORT_{name.upper()}": _told(settings, name) for name in SECURITY_FIELDS},
    }


def _told(settings: Settings, name: str) -> str:
    if name == "kafka_password":
        return settings.kafka_password.get_secret_value() if settings.kafka_password is not None else ""
    return str(getattr(settings, name) or "")


class _Client(Protocol):
    async def start(self) -> None: ...


async def begun(client: _Client, settings: Settings, *, silent_seconds: float = 5) -> None:
    """Start a client. Whoever waits longer for a Kafka that takes connections and keeps silent, as firewalls do, is told so."""
    words = "Kafka at %s has not answered for %g seconds; waiting on, meanwhile: rapport doctor"
    loop = asyncio.get_running_loop()
    word = loop.call_later(silent_seconds, _log.warning, words, settings.kafka_bootstrap, silent_seconds)
    try:
        await client.start()
    finally:
        word.cancel()


@asynccontextmanager
async def answering(client: AIOKafkaConsumer | AIOKafkaProducer, settings: Settings) -> AsyncIterator[None]:
    """Start a client, and stop it in the end; raises RetryError, with the reason, while Kafka is away or turns away.

    An OSError of who uses it is theirs: a full disk is no absence of Kafka.
    """
    try:
        try:
            await begun(client, settings)
        except OSError as error:
            raise RetryError(await why_away(settings, error)) from error
        yield
    except KafkaError as error:
        raise RetryError(await why_away(settings, error)) from error
    finally:
        await client.stop()


@asynccontextmanager
async def reader(settings: Settings, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:  # noqa: ANN401 - the library's own options
    """Give a consumer that reads what it is told to, from the beginning if nothing else, and commits nothing; see `answering`."""
    own = {"enable_auto_commit": False, "auto_offset_reset": "earliest", **options}
    consumer = AIOKafkaConsumer(**kafka_options(settings), **own)
    async with answering(consumer, settings):
        yield consumer


async def why_away(settings: Settings, error: BaseException) -> str:
    """Say in one line why a client ended with `error`, and the fix; clients keep the reason to themselves, so we ask again."""
    reasons = [await _refusal(settings, host, port, error) for host, port, _ in collect_hosts(settings.kafka_bootstrap)]
    reason = next(filter(None, reasons), None)
    if reason is None:
        return f"no Kafka answers at {settings.kafka_bootstrap}; fix: rapport stack up, or set KAFKA_BOOTSTRAP"
    return f"Kafka at {settings.kafka_bootstrap} {reason}"


async def _refusal(settings: Settings, host: str, port: int, met: BaseException) -> str | None:
    """Return what is wrong with how we connect, or else what we `met` then, and the fix; none where nobody answers at all."""
    try:
        connection = await create_conn(host, port, request_timeout_ms=_ASK_MS, **_protection(settings))
    except (KafkaError, OSError) as error:
        return _meaning(settings, error)
    connection.close()
    return (
        f"takes the connection, then: {met}; fix: is RAPPORT_KAFKA_SECURITY={settings.kafka_security} what this port expects,"
        " does it ask for a RAPPORT_KAFKA_CERTIFICATE_FILE, may its user do this?"
    )


def _meaning(settings: Settings, error: KafkaError | OSError) -> str | None:
    match error:
        case SaslAuthenticationFailed():
            said = f"refuses the user {settings.kafka_user!r} or its password by {settings.kafka_mechanism}"
            fix = "RAPPORT_KAFKA_USER, RAPPORT_KAFKA_PASSWORD or RAPPORT_KAFKA_MECHANISM"
        case UnsupportedSaslMechanismError():
            said, fix = f"does not know {settings.kafka_mechanism}", "set RAPPORT_KAFKA_MECHANISM to one that it knows"
        case ssl.SSLCertVerificationError():
            said, fix = (
                f"shows a certificate that is not believed ({error.verify_message})",
                "RAPPORT_KAFKA_CA_FILE or KAFKA_BOOTSTRAP",
            )
        case ssl.SSLError():
            said, fix = f"does not agree on TLS ({error.reason})", "RAPPORT_KAFKA_SECURITY or RAPPORT_KAFKA_CERTIFICATE_FILE"
        case KafkaError() | ConnectionResetError() | ConnectionAbortedError():
            said = "ends the connection"
            fix = f"is RAPPORT_KAFKA_SECURITY={settings.kafka_security} what it expects, and RAPPORT_KAFKA_CERTIFICATE_FILE?"
        case _:  # refused or in vain: nobody is there
            return None
    return f"{said}; fix: {fix}"
