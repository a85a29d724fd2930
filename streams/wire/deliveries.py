"""A webhook delivery as it stands on the topic `webhooks`: the raw body, who sent it and when it reached us."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

SOURCE: Final = "source"
RECEIVED_AT: Final = "received_at"
DELIVERY_ID: Final = "delivery_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One verified delivery. `delivery_id` is the sender's, where it gives one outside the body; else a hash of the body."""

    source: str
    body: bytes
    received_at: datetime
    delivery_id: str

    @property
    def key(self) -> bytes:
        """Key of the record: repeated deliveries land in one partition, one after the other."""
        return self.delivery_id.encode()

    def to_headers(self) -> list[tuple[str, bytes]]:
        """Return the headers of the record; its value is the body, byte for byte."""
        return [
            (SOURCE, self.source.encode()),
            (RECEIVED_AT, self.received_at.isoformat().encode()),
            (DELIVERY_ID, self.delivery_id.encode()),
        ]


def body_hash(body: bytes) -> str:
    """Return the SHA-256 of a body in hexadecimal: its name where the sender gives none, and all we keep of a refused one."""
    return sha256(body).hexdigest()
