"""Addresses as digests: enough to say whether two are the same, and nothing that anybody could write to."""

import hashlib
import re
from typing import Final

ADDRESS_DIGEST: Final = r"^(email|phone)-[0-9a-f]{32}$"
"""The form of a digest."""

_SHORTEST: Final = 5  # digits; fewer are a short code or nothing


def digest_of(channel: str, address: str) -> str:
    """Return the digest of an address of `channel`; empty for no address, and where a channel has none of its own."""
    match channel:
        case "email":
            return email_digest(address)
        case "sms":
            return phone_digest(address)
        case _:
            return ""


def email_digest(address: str) -> str:
    """Return a digest of a mail address, the same however its letters are cased; empty for no address."""
    plain = address.strip().casefold()
    return "email-" + _hashed(b"rapport.email", plain) if plain else ""


def phone_digest(number: str) -> str:
    """Return a digest of the last nine digits of a number, which are the same however it is written; empty for no number."""
    digits = re.sub(r"\D", "", number, flags=re.ASCII)[-9:]
    return "phone-" + _hashed(b"rapport.phone", digits) if len(digits) > _SHORTEST else ""


def _hashed(what: bytes, plain: str) -> str:
    return hashlib.sha256(what + b"\x00" + plain.encode()).hexdigest()[:32]
