"""Is a webhook from who it says? Each provider's own verifier on the raw bytes, against our clock, for several secrets.

The providers' libraries compare the signature; the window of 300 s is ours, because two of them read the machine's clock, which
an accelerated or replayed run does not follow, and because Stripe's looks into the past only. All secrets are always tried, so
the time taken says nothing about which one held.
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final, Protocol

from gocardless_pro.errors import InvalidSignatureError

# The public parse() would also build objects from a body that the gateway must not read.
from gocardless_pro.webhooks import _verify_signature as verify_gocardless
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, hmac_data
from stripe import SignatureVerificationError, WebhookSignature

from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings

WINDOW: Final = timedelta(seconds=300)
"""How far a signed timestamp may be from our clock, both ways. Providers sign anew when they retry, so this is no loss."""

_SECONDS: Final = re.compile(r"[0-9]{1,11}", re.ASCII)  # eleven digits reach past the year 5000
_HEX_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Refusal(StrEnum):
    """Why a webhook is not believed: for the metric, never for the sender."""

    MISSING = "missing"
    MALFORMED = "malformed"
    AMBIGUOUS = "ambiguous"
    STALE = "stale"
    MISMATCH = "mismatch"


class Verifier(Protocol):
    """Believes or refuses the webhooks of one source."""

    @property
    def reads(self) -> frozenset[str]:
        """Names of the headers it decides by, in lower case. No sender gives one twice: to believe either would be a guess."""
        ...

    def refusal(self, body: bytes, headers: Mapping[str, str], *, now: datetime) -> Refusal | None:
        """Return why the webhook is refused, or none when one of the secrets signed exactly these bytes within the window.

        `headers` have lower-case names. Never raises, whatever the body or the headers are.
        """
        ...

    def delivery_id(self, headers: Mapping[str, str]) -> str | None:
        """Return the sender's id of this delivery from signed headers, if it gives one outside the body."""
        ...


@dataclass(frozen=True, slots=True)
class StripeVerifier:
    """`Stripe-Signature: t=<seconds>,v1=<hex>[,v1=...]`: HMAC-SHA256 of `<seconds>.<body>`."""

    secrets: Sequence[str]
    reads: ClassVar[frozenset[str]] = frozenset({"stripe-signature"})

    def refusal(self, body: bytes, headers: Mapping[str, str], *, now: datetime) -> Refusal | None:
        """Return why the webhook is refused, or none."""
        header = headers.get("stripe-signature")
        if not header:
            return Refusal.MISSING
        stamps = [value for name, _, value in (part.partition("=") for part in header.split(",")) if name == "t"]
        if not header.isascii() or not stamps or (signed_at := _moment(stamps[0])) is None:
            return Refusal.MALFORMED
        held = [self._holds(body, header, secret) for secret in self.secrets]
        return _verdict(held, signed_at=signed_at, now=now)

    def delivery_id(self, headers: Mapping[str, str]) -> str | None:  # noqa: ARG002 - Stripe names the event in the body only
        """Return none: Stripe gives no id outside the body."""
        return None

    @staticmethod
    def _holds(body: bytes, header: str, secret: str) -> bool:
        try:
            # Without a tolerance the library does not read the machine's clock.
            return bool(WebhookSignature.verify_header(body, header, secret, tolerance=None))
        except (SignatureVerificationError, UnicodeDecodeError):
            return False


@dataclass(frozen=True, slots=True)
class GoCardlessVerifier:
    """`Webhook-Signature: <hex>`: HMAC-SHA256 of the body. It carries no time; the log's memory of event ids stops replays."""

    secrets: Sequence[str]
    reads: ClassVar[frozenset[str]] = frozenset({"webhook-signature"})

    def refusal(self, body: bytes, headers: Mapping[str, str], *, now: datetime) -> Refusal | None:  # noqa: ARG002
        """Return why the webhook is refused, or none."""
        signature = headers.get("webhook-signature")
        if not signature:
            return Refusal.MISSING
        if not _HEX_DIGEST.fullmatch(signature):
            return Refusal.MALFORMED
        held = [self._holds(body, signature, secret) for secret in self.secrets]
        return None if any(held) else Refusal.MISMATCH

    def delivery_id(self, headers: Mapping[str, str]) -> str | None:  # noqa: ARG002 - no header names the delivery
        """Return none: GoCardless gives no id outside the body."""
        return None

    @staticmethod
    def _holds(body: bytes, signature: str, secret: str) -> bool:
        try:
            verify_gocardless(body, secret, signature)
        except InvalidSignatureError:
            return False
        return True


class StandardVerifier:
    """Standard Webhooks: HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<body>`, base64, under `v1,`."""

    reads: ClassVar[frozenset[str]] = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature"})

    def __init__(self, secrets: Sequence[str]) -> None:
        """Decode the secrets (`whsec_` and base64); raises ValueError for one that cannot be."""
        try:
            self._signers = [Webhook(secret) for secret in secrets]
        except EmptyWebhookSecretError as error:
            raise ValueError(str(error)) from error

    def refusal(self, body: bytes, headers: Mapping[str, str], *, now: datetime) -> Refusal | None:
        """Return why the webhook is refused, or none."""
        message_id, stamp, signatures = (headers.get(f"webhook-{name}") for name in ("id", "timestamp", "signature"))
        if not message_id or not stamp or not signatures:
            return Refusal.MISSING
        signed_at = _moment(stamp)
        if signed_at is None or not (message_id + signatures).isascii():
            return Refusal.MALFORMED
        # The library's verify() reads the machine's clock, and its sign() takes text. Bytes that are none are believed as well:
        # they become a dead letter with the reason, where a 401 would send people after their secret.
        signed = f"{message_id}.{int(stamp)}.".encode() + body
        digests = [hmac_data(signer._whsecret, signed) for signer in self._signers]  # noqa: SLF001 - decoded there, given out nowhere
        expected = [f"v1,{b64encode(digest).decode()}" for digest in digests]
        held = [hmac.compare_digest(one, given) for one in expected for given in signatures.split(" ")]
        return _verdict(held, signed_at=signed_at, now=now)

    def delivery_id(self, headers: Mapping[str, str]) -> str | None:
        """Return the signed `webhook-id`."""
        return headers.get("webhook-id")


def _verdict(held: Sequence[bool], *, signed_at: datetime, now: datetime) -> Refusal | None:
    if not any(held):
        return Refusal.MISMATCH
    return None if abs(now - signed_at) <= WINDOW else Refusal.STALE


def _moment(stamp: str) -> datetime | None:
    return datetime.fromtimestamp(int(stamp), UTC) if _SECONDS.fullmatch(stamp) else None


VERIFIERS: Final[Mapping[str, Callable[[Sequence[str]], Verifier]]] = MappingProxyType(
    {"stripe": StripeVerifier, "gocardless": GoCardlessVerifier, "generic": StandardVerifier, "receipts": StandardVerifier}
)
"""Every source that can be received, and how its signature is checked."""


def make_verifiers(settings: Settings) -> dict[str, Verifier]:
    """Return a verifier for every source with secrets; raises UsageError that names the setting when one is of no use."""
    secrets = {source: [secret.get_secret_value() for secret in given] for source, given in settings.webhook_secrets.items()}
    example = 'RAPPORT_WEBHOOK_SECRETS=\'{"stripe": ["whsec_..."]}\''
    if not secrets:
        message = f"no webhook secret is configured, so nobody could be believed. Set for example {example}"
        raise UsageError(message)
    for source, given in secrets.items():
        if source not in VERIFIERS:
            message = f"RAPPORT_WEBHOOK_SECRETS names the unknown source {source!r}; there are: {', '.join(VERIFIERS)}"
            raise UsageError(message)
        if not given or not all(secret.strip() for secret in given):
            message = f"RAPPORT_WEBHOOK_SECRETS has no or an empty secret for {source}. Set for example {example}"
            raise UsageError(message)
    verifiers: dict[str, Verifier] = {}
    for source, given in secrets.items():
        try:
            verifiers[source] = VERIFIERS[source](given)
        except ValueError as error:
            message = f"RAPPORT_WEBHOOK_SECRETS: a secret of {source} cannot be used ({error}); it is `whsec_` and base64"
            raise UsageError(message) from error
    return verifiers
