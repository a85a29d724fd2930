"""Signed links in messages: what the one who holds the message may answer without logging in, and until when.

A token is `1.<key id>.<payload>.<signature>`: version, which secret signed it, the base64url MessagePack of `Link`, and the
HMAC-SHA256 of all before it. It is signed, not encrypted: it holds the firm's own ids, never a name, an address or an amount.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from datetime import datetime
from enum import StrEnum
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec

from models.events.signals import Purpose
from streams.runtime.errors import RapportError, UsageError
from streams.runtime.settings import Settings

VERSION: Final = "1"
SHORTEST_SECRET: Final = 32
"""Characters; a shorter secret could be guessed."""

LONGEST_TOKEN: Final = 900
"""Characters; with the address in front of it the header of a mail stays below the 998 of RFC 5322."""

_DOMAIN: Final = b"rapport.link\x00"
_PARTS: Final = 4
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class LinkScope(StrEnum):
    """What a link may do: end messages like this one and nothing else; all that fits its message; or read a client's mailbox."""

    OPT_OUT = "opt_out"
    ANSWER = "answer"
    PORTAL = "portal"


class Link(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What a token vouches for. `expires` in epoch seconds; no invoices named: the link is about everything open.

    `language` is that of the message it came in (`de`), empty in links made before messages had one; `audience` the
    role it was for, empty: none, and None in links made before links said so.
    """

    client_id: str
    trigger_id: str
    scope: LinkScope
    purpose: Purpose
    journey: str
    channel: str
    expires: int
    invoice_ids: tuple[str, ...] = ()
    language: str = ""
    audience: str | None = None


class LinkRefusal(StrEnum):
    """Why a token is not believed; a metric label."""

    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    FORGED = "forged"
    EXPIRED = "expired"


class LinkError(RapportError):
    """A token is not to be believed."""

    def __init__(self, refusal: LinkRefusal) -> None:
        """Keep the machine-readable `refusal`."""
        super().__init__(f"the link is {refusal.value}")
        self.refusal = refusal


class LinkKeys:
    """Signs with the first secret and believes all of them, so that secrets can be rotated without breaking sent mails."""

    def __init__(self, *secrets: str, url: str) -> None:
        """Sign links below `url`. Raises UsageError for no or too short secrets, or an address that is not https."""
        if not secrets or min(map(len, secrets)) < SHORTEST_SECRET:
            message = f"RAPPORT_LINK_SECRETS needs secrets of at least {SHORTEST_SECRET} characters, the one to sign with first"
            raise UsageError(message)
        parts = urlsplit(url)
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        if not secure or not parts.hostname or parts.query or parts.fragment or not url.isascii():
            message = f"RAPPORT_LINK_URL={url!r} must be the https address at which clients reach the gateway"
            raise UsageError(message)
        self._url = url.rstrip("/")
        self._keys = {_key_id(secret): secret.encode() for secret in secrets}
        self._current = _key_id(secrets[0])

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return the keys of `settings`, none where no secret is configured: messages then carry no links."""
        if not settings.link_secrets:
            return None
        return cls(*(secret.get_secret_value() for secret in settings.link_secrets), url=settings.link_url or "")

    def address(self, link: Link) -> str:
        """Return the address of `link`; the same link always has the same one. Invoices are left out where it grows too long."""
        token = self.sign(link)
        if len(token) > LONGEST_TOKEN:
            token = self.sign(msgspec.structs.replace(link, invoice_ids=()))
        return f"{self._url}/links/{token}"

    def sign(self, link: Link) -> str:
        """Return the token of `link`."""
        signed = f"{VERSION}.{self._current}.{_armour(msgspec.msgpack.encode(link))}"
        return f"{signed}.{_armour(_mac(self._keys[self._current], signed))}"

    def read(self, token: str, *, now: datetime) -> Link:
        """Return what `token` vouches for; raises LinkError. Nothing of it is interpreted before its signature holds."""
        parts = token.split(".")
        if len(parts) != _PARTS or parts[0] != VERSION or not token.isascii():
            raise LinkError(LinkRefusal.MALFORMED)
        signed, _, signature = token.rpartition(".")
        key = self._keys.get(parts[1])
        if key is None:
            raise LinkError(LinkRefusal.UNKNOWN_KEY)
        if not hmac.compare_digest(_armour(_mac(key, signed)), signature):
            raise LinkError(LinkRefusal.FORGED)
        try:
            link = msgspec.msgpack.decode(urlsafe_b64decode(parts[2] + "=" * (-len(parts[2]) % 4)), type=Link)
        except (Base64Error, ValueError, msgspec.MsgspecError) as error:
            raise LinkError(LinkRefusal.MALFORMED) from error
        if now.timestamp() >= link.expires:
            raise LinkError(LinkRefusal.EXPIRED)
        return link


def _key_id(secret: str) -> str:
    return hashlib.sha256(b"rapport.link.key\x00" + secret.encode()).hexdigest()[:8]


def _mac(key: bytes, signed: str) -> bytes:
    return hmac.digest(key, _DOMAIN + signed.encode(), "sha256")


def _armour(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
