"""Signs webhooks as the providers' documentation says, with nothing but the standard library."""

import base64
import hmac
from datetime import datetime
from hashlib import sha256

STANDARD_SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes....").decode()


def stripe_headers(body: bytes, *, secret: str, at: datetime) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    return {"stripe-signature": f"t={stamp},v1={_hex(secret.encode(), stamp.encode() + b'.' + body)},v0=00"}


def gocardless_headers(body: bytes, *, secret: str) -> dict[str, str]:
    return {"webhook-signature": _hex(secret.encode(), body)}


def standard_headers(body: bytes, *, secret: str, at: datetime, message_id: str = "msg_1") -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{stamp}.".encode() + body, sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": signature}


def _hex(key: bytes, content: bytes) -> str:
    return hmac.new(key, content, sha256).hexdigest()
