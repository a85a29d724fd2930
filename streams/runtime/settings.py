"""Every setting in one table, read from the environment; `rapport doctor` prints it."""

import difflib
import ssl
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from streams.runtime.errors import UsageError
from streams.runtime.tls import tls_context

SECRETS_FOLDER: Final = Path("/run/secrets")
"""A file here that is named as an environment variable, in lower or upper case, gives its value; the environment wins."""

_LAST_PORT: Final = 65_535
_NEAR: Final = 0.85  # by difflib: a slip of a letter or two, a word more or less

_EmptyIsNone: Final = BeforeValidator(lambda given: None if given == "" else given)


class Settings(BaseSettings):
    """Settings of all processes. Environment names are `RAPPORT_` and the field in capitals, save the two well-known ones."""

    model_config = SettingsConfigDict(env_prefix="RAPPORT_", frozen=True, extra="ignore")

    kafka_bootstrap: str = Field(
        default="127.0.0.1:9092",
        validation_alias=AliasChoices("KAFKA_BOOTSTRAP", "RAPPORT_KAFKA_BOOTSTRAP", "kafka_bootstrap"),
        description="Kafka bootstrap servers, comma-separated.",
    )
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="What Kafka asks for: SSL: TLS; SASL: user and password. PLAINTEXT: neither."
    )
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="How user and password are shown to Kafka."
    )
    kafka_user: Annotated[str | None, _EmptyIsNone] = Field(default=None, description="User for SASL.")
    kafka_password: Annotated[SecretStr | None, _EmptyIsNone] = Field(default=None, description="Password for SASL.")
    kafka_ca_file: Annotated[Path | None, _EmptyIsNone] = Field(
        default=None, description="PEM of the authorities whose word is taken for Kafka's certificate; unset: the machine's."
    )
    kafka_certificate_file: Annotated[Path | None, _EmptyIsNone] = Field(
        default=None, description="PEM of our own certificate, where Kafka asks for one (mutual TLS)."
    )
    kafka_key_file: Annotated[Path | None, _EmptyIsNone] = Field(default=None, description="PEM of its key, not encrypted.")
    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        validation_alias=AliasChoices("REDIS_URL", "RAPPORT_REDIS_URL", "redis_url"),
        description="Redis or Valkey, with persistence on and maxmemory-policy noeviction; behind sentinels:"
        " redis+sentinel://host:port,host:port/name-of-the-primary/0.",
    )
    group: str = Field(default="rapport", description="Kafka consumer group of the workers and prefix of the channel groups.")
    namespace: str = Field(default="evt", description="Prefix of all Redis keys, so that several firms can share a server.")
    topic_prefix: str = Field(
        default="", description="Prefix of all Kafka topic names, so that several deployments can share a broker."
    )
    partitions: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=8, description="Partitions of the client log and its companions; fixed for the life of a deployment."
    )
    clock_file: Path | None = Field(
        default=None,
        description="Shared clock file for accelerated time, never ahead of the broker's; unset: the machine's clock.",
    )

    policy_file: Path | None = Field(
        default=None, description="YAML of the policy to decide by (rapport policy show|lint); unset: the default one."
    )
    templates: Path | None = Field(
        default=None, description="Folder of the firm's own templates (rapport policy words); what is missing there is ours."
    )

    webhook_host: str = Field(default="127.0.0.1", description="Address on which the webhook gateway listens.")
    webhook_port: Annotated[int, Field(ge=0, le=65535)] = Field(default=8080, description="Its port; 0 takes a free one.")
    webhook_max_bytes: Annotated[int, Field(ge=1024, le=1_000_000)] = Field(
        default=262_144, description="Largest webhook body accepted, enforced while it streams in."
    )
    webhook_secrets: dict[str, list[SecretStr]] = Field(
        default_factory=dict, description='JSON: source to active secrets, e.g. {"stripe": ["whsec_new", "whsec_old"]}.'
    )
    webhook_ack_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=8.0, description="Longest wait for Kafka's acknowledgement of a webhook before the sender is asked to retry."
    )
    webhook_inflight_bytes: Annotated[int, Field(ge=1_048_576)] = Field(
        default=67_108_864, description="Bytes of webhooks held in memory before the gateway asks senders to retry."
    )

    link_secrets: list[SecretStr] = Field(
        default_factory=list, description="JSON list of secrets for links in mails, the first signs; empty: mails carry no links."
    )
    link_url: str | None = Field(
        default=None, description="Public https address of the gateway, under which links in mails lead to it."
    )
    link_days: Annotated[int, Field(ge=30, le=400)] = Field(
        default=60, description="How long links work after their message has expired."
    )

    phone_days: str = Field(default="mon,tue,wed,thu,fri", description="Weekdays on which the firm calls clients, e.g. tue,thu.")
    portal_host: str = Field(default="127.0.0.1", description="Address on which the portal's API listens.")
    portal_port: Annotated[int, Field(ge=0, le=65535)] = Field(default=8081, description="Its port; 0 takes a free one.")

    batch_records: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=2_000, description="Most records folded in one batch; what waits makes it, so it is small unless we are behind."
    )
    lane_records: Annotated[int, Field(ge=1)] = Field(
        default=4_000, description="Records waiting in a lane before its partition is paused."
    )
    lane_bytes: Annotated[int, Field(ge=1024)] = Field(
        default=16_777_216, description="Bytes waiting in a lane before it is paused."
    )
    outbox_limit: Annotated[int, Field(ge=1)] = Field(
        default=20_000, description="Unpublished outputs before a partition is paused."
    )
    session_seconds: Annotated[float, Field(ge=1, le=300)] = Field(
        default=30.0, description="A worker that dies silently keeps its partitions for this long; brokers ask for 6 or more."
    )
    instance: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="Name that a worker keeps over restarts and no other has (a pod's name): back within its session, it goes on"
        " where it was and no other worker pauses; unset: every start and stop moves partitions.",
    )
    drain_seconds: Annotated[float, Field(gt=0)] = Field(
        default=5.0, description="Time a lane gets to finish when it is revoked."
    )
    exit_seconds: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="Time a stopping process gets before it exits hard."
    )
    idle_check_seconds: Annotated[float, Field(gt=0)] = Field(
        default=5.0, description="How often an idle partition is compared with Redis, which may have lost writes."
    )
    cached_states: Annotated[int, Field(ge=0)] = Field(
        default=4_000, description="Client states that a partition's owner keeps decoded between batches."
    )
    allow_untested_versions: bool = Field(
        default=False, description="Start with versions of faust-streaming or aiokafka that the engine was not tested with."
    )
    failpoint: str = Field(default="", description="For tests: kill the process at a named place; empty: never.")
    stall_seconds: Annotated[float, Field(gt=0)] = Field(
        default=300.0,
        description="Lag without progress for this long, six times as long while servers fail, makes the worker exit.",
    )

    channel_pending_limit: Annotated[int, Field(ge=1)] = Field(
        default=100_000, description="Triggers waiting in a channel's partition before it is paused."
    )
    channel_retention_days: Annotated[int, Field(ge=1)] = Field(
        default=45, description="How long the ledger remembers finished triggers; longer than the trigger topics keep records."
    )
    reader_per_day: Annotated[int, Field(ge=0)] = Field(
        default=10,
        description="Messages about care to one address within 24 hours, over all clients that share it. 0: any number.",
    )
    reader_per_week: Annotated[int, Field(ge=0)] = Field(default=40, description="The same within seven days.")
    smtp_host: str = Field(default="127.0.0.1", description="SMTP server of the email channel.")
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = Field(default=1025, description="Its port.")
    smtp_username: str | None = Field(default=None, description="User for SMTP AUTH; unset: none.")
    smtp_password: SecretStr | None = Field(default=None, description="Password for SMTP AUTH.")
    smtp_starttls: bool = Field(default=False, description="Upgrade the SMTP connection with STARTTLS.")
    smtp_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = Field(
        default=20.0, description="Longest time for one mail; after that nobody knows whether it was accepted."
    )
    sms_url: str | None = Field(
        default=None, description="Where the SMS provider takes messages as JSON; unset: no SMS. See handlers/channels/sms.py."
    )
    sms_token: SecretStr | None = Field(default=None, description="Bearer token for the SMS provider.")
    sms_sender: str = Field(default="", max_length=20, description="Sender of text messages: a number or up to 11 letters.")
    channel_webhook_url: str | None = Field(
        default=None, description="Where the webhook channel posts messages; unset: no webhook channel."
    )
    channel_webhook_secret: SecretStr | None = Field(
        default=None, description="Secret (whsec_ and base64) with which the webhook channel signs, as Standard Webhooks does."
    )
    http_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = Field(
        default=15.0, description="Longest time for one message to an HTTP provider."
    )
    http_private_targets: bool = Field(
        default=False, description="Let webhook and SMS providers be on private addresses and without TLS."
    )
    mail_from: str = Field(default="Your firm <care@firm.example>", description="Sender of mails.")
    firm_name: str = Field(default="Your firm", description="Name of the firm in messages.")
    firm_currency: str = Field(
        default="EUR", pattern="^[A-Z]{3}$", description="ISO 4217 code assumed for imported books that name no currency."
    )
    firm_locale: str = Field(default="en_GB", description="Language and form in which colleagues are written to, e.g. de_AT.")
    firm_timezone: str = Field(default="UTC", description="IANA zone used for clients whose own is unknown.")

    learner_activation: Literal["automatic", "manual"] = Field(
        default="automatic", description="automatic: the trainer activates what passes the guard; manual: only people do."
    )
    learner_snapshot_minutes: Annotated[int, Field(ge=1)] = Field(
        default=720, description="A snapshot is taken at a turn of day when so much time of the log has passed since the last."
    )
    learner_snapshot_examples: Annotated[int, Field(ge=1)] = Field(
        default=2_000, description="Or when so many examples were learned since then."
    )
    learner_guard_answers: Annotated[int, Field(ge=1)] = Field(
        default=100, description="Answers on which learners must have been judged before one is activated automatically."
    )
    learner_guard_renewals: Annotated[int, Field(ge=1)] = Field(
        default=50, description="The same of the learners of renewals, whose answers are few."
    )
    learner_guard_margin: Annotated[float, Field(ge=-1, le=1)] = Field(
        default=0.0, description="By how much (log loss, nats) they may be worse than the rules and still be activated."
    )
    learner_check_hours: Annotated[float, Field(ge=0)] = Field(
        default=24.0, description="How often the trainer holds stored features against a replay of the log; 0: never by itself."
    )
    learner_check_share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.02, description="Share of the clients that it replays, another sample each day; memory goes with it."
    )

    metrics_host: str = Field(default="127.0.0.1", description="Address of the health and metrics endpoints.")
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = Field(default=0, description="Their port; 0 turns them off.")
    maven_url: str | None = Field(
        default=None, description="Mirror of Maven Central from which the local stack fetches Kafka; unset: Maven Central."
    )
    log_format: str = Field(default="console", pattern="^(console|json)$", description="console or json.")
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$", description="Least level written.")

    @field_validator("kafka_bootstrap")
    @classmethod
    def _kafka_is_named(cls, value: str) -> str:
        """Refuse what the client library would stumble over."""
        for place in value.split(","):
            if not place.strip() or "/" in place or not _has_port_or_none(place.strip()):
                message = f"{place!r} is no address of Kafka; fix: HOST:9092, several with commas"
                raise ValueError(message)
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_is_named(cls, value: str) -> str:
        """Refuse what leads nowhere, without its text: it may hold a password."""
        parts, whole = urlsplit(value), False
        match parts.scheme:
            case "redis" | "rediss":
                whole = bool(parts.hostname) and not parts.fragment and _has_port_or_none(parts.netloc)
            case "unix":
                whole = bool(parts.path)
            case "redis+sentinel":
                whole = bool(parts.netloc)  # the rest is looked at where they are asked
            case _:
                pass
        if not whole:
            message = (
                "is no address of Redis; fix: redis://HOST:6379/0 (rediss:// with TLS; # / ? @ in a password as %23 %2F %3F %40)"
            )
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _kafka_is_whole(self) -> Self:
        """Refuse what is incomplete, and what would not be used: who set it believes in a protection that is not there."""
        own = {"RAPPORT_KAFKA_CERTIFICATE_FILE": self.kafka_certificate_file, "RAPPORT_KAFKA_KEY_FILE": self.kafka_key_file}
        sasl = {"RAPPORT_KAFKA_USER": self.kafka_user, "RAPPORT_KAFKA_PASSWORD": self.kafka_password}
        encrypted, signed_in = self.kafka_security.endswith("SSL"), self.kafka_security.startswith("SASL")
        unused = ({} if signed_in else sasl) | ({} if encrypted else {"RAPPORT_KAFKA_CA_FILE": self.kafka_ca_file, **own})
        needed = (sasl if signed_in else {}) | (own if any(own.values()) else {})
        if idle := [name for name, value in unused.items() if value is not None]:
            fix = "fix: set SSL, SASL_PLAINTEXT or SASL_SSL as your Kafka asks for, or unset the other"
            message = f"RAPPORT_KAFKA_SECURITY is {self.kafka_security} and makes no use of {', '.join(idle)}; {fix}"
            raise ValueError(message)
        if missing := [name for name, value in needed.items() if value is None]:
            message = f"RAPPORT_KAFKA_SECURITY is {self.kafka_security}, and {' and '.join(missing)} is not set"
            raise ValueError(message)
        if encrypted:
            self.kafka_tls()  # files that cannot be used are refused now, not at the first connection
        return self

    def kafka_tls(self) -> ssl.SSLContext:
        """Return the context of TLS connections to Kafka, from the files as they are now."""
        return tls_context(authorities=self.kafka_ca_file, certificate=self.kafka_certificate_file, key=self.kafka_key_file)

    def topic(self, name: str) -> str:
        """Return the name on the broker of the topic that the table in `streams.wire.topics` calls `name`."""
        return self.topic_prefix + name


@lru_cache(maxsize=1)
def load_settings(*, metrics_port: int | None = None) -> Settings:
    """Read the settings from the environment once; secrets may also be files in /run/secrets, as containers mount them.

    `metrics_port`: as the caller says; None: as the environment does.

    UsageError names what cannot be used, and no value: it may be a secret.
    """
    try:
        said: dict[str, Any] = {} if metrics_port is None else {"metrics_port": metrics_port}
        # The keyword is read by pydantic-settings and is no field.
        return Settings(_secrets_dir=SECRETS_FOLDER if SECRETS_FOLDER.is_dir() else None, **said)
    except ValidationError as error:
        raise UsageError("; ".join(_flaw(place=each["loc"], said=each["msg"]) for each in error.errors())) from None
    except SettingsError as error:
        raise UsageError(_no_json(str(error))) from None


def mistyped(names: Iterable[str]) -> dict[str, str]:
    """Return those of the environment's `names` that are nearly a setting and none, each with the setting that was meant.

    Other names that begin with RAPPORT_ are somebody's own: of a newer release, or of a script around it.
    """
    known = {f"RAPPORT_{name.upper()}" for name in Settings.model_fields}
    strange = (name for name in names if name.startswith("RAPPORT_") and name not in known)
    near = {name: difflib.get_close_matches(name, known, n=1, cutoff=_NEAR) for name in strange}
    return {name: found[0] for name, found in near.items() if found}


def _has_port_or_none(netloc: str) -> bool:
    host, _, port = netloc.rpartition("@")[2].rpartition(":")
    return not host or port.endswith("]") or not port or (port.isascii() and port.isdigit() and int(port) <= _LAST_PORT)


def _no_json(said: str) -> str:
    """Return whose value is no JSON, and what it must be; the library names the field in quotes and not the variable."""
    field = next((name for name in Settings.model_fields if f'"{name}"' in said), "")
    if not field:
        return said
    return f"RAPPORT_{field.upper()} is not the JSON that it must be; fix: {Settings.model_fields[field].description}"


def _flaw(*, place: tuple[int | str, ...], said: str) -> str:
    said = said.removeprefix("Value error, ")
    if not place:
        return said
    name = str(place[0])
    return f"{name if name.isupper() else f'RAPPORT_{name.upper()}'}: {said}"
