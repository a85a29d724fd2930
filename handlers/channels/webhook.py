"""The webhook channel: every message, rendered, as signed JSON to a system of the firm's that delivers it.

`POST` with `Idempotency-Key` and `webhook-id` (both the trigger id), `webhook-timestamp` and `webhook-signature` (Standard
Webhooks 1.0). The body is the same in every attempt:

    {"type": "message", "timestamp": "...", "data": {"trigger": {...}, "recipient": {...},
     "message": {"subject": "...", "text": "...", "html": "...", "opt_out_url": "..."}}}

The receiver drops repetitions of an id, answers 2xx once it has the message safely, 4xx when it never wants it, and 429 or 5xx
when it should be sent again.
"""

from base64 import b64decode
from dataclasses import asdict
from typing import Final

import orjson
from standardwebhooks import Webhook

from handlers.channels.contract import Delivery, Limits, OnAmbiguous, Recipient, SendResult
from handlers.channels.http_provider import HttpProvider
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings

_MARGIN: Final = 1.25
_SHORTEST_SECRET: Final = 24  # bytes, as Standard Webhooks asks for


class WebhookChannel:
    """Posts to RAPPORT_CHANNEL_WEBHOOK_URL."""

    def __init__(self, settings: Settings) -> None:
        """Use the address and secret of `settings`; raises UsageError that names the setting which is of no use."""
        seconds = settings.http_timeout_seconds
        self._provider = HttpProvider(
            "RAPPORT_CHANNEL_WEBHOOK_URL",
            settings.channel_webhook_url,
            timeout_seconds=seconds,
            private=settings.http_private_targets,
            drops_repetitions=True,
        )
        self._signer = _signer(settings)
        self._limits = Limits(timeout_seconds=seconds * 2 * _MARGIN)

    @property
    def name(self) -> str:
        """See `Channel.name`."""
        return "webhook"

    @property
    def provider(self) -> str:
        """The receiver's host."""
        return self._provider.host

    @property
    def on_ambiguous(self) -> OnAmbiguous:
        """The receiver drops repetitions of a trigger id: that is the contract."""
        return OnAmbiguous.RESEND

    @property
    def limits(self) -> Limits:
        """See `Channel.limits`."""
        return self._limits

    def address_of(self, recipient: Recipient) -> str | None:
        """Return whom it concerns; the receiver knows how to reach them."""
        return recipient.email or recipient.phone or "client"

    async def send(self, message: Delivery) -> SendResult:
        """Post one message."""
        key, body = message.idempotency_key, _body(message)
        headers = {
            "Idempotency-Key": key,
            "webhook-id": key,
            "webhook-timestamp": str(int(message.at.timestamp())),
            "webhook-signature": self._signer.sign(msg_id=key, timestamp=message.at, data=body.decode()),
        }
        return await self._provider.post(body, headers)

    async def close(self) -> None:
        """Give back connections."""
        await self._provider.close()


def _signer(settings: Settings) -> Webhook:
    secret = settings.channel_webhook_secret
    given = "" if secret is None else secret.get_secret_value()
    try:
        raw = b64decode(given.removeprefix("whsec_") + "==")
    except ValueError:
        raw = b""
    if len(raw) < _SHORTEST_SECRET:
        message = f"RAPPORT_CHANNEL_WEBHOOK_SECRET must be `whsec_` and the base64 of at least {_SHORTEST_SECRET} random bytes"
        raise UsageError(message)
    return Webhook(raw)


def _body(message: Delivery) -> bytes:
    trigger = message.trigger
    return orjson.dumps(
        {
            "type": "message",
            "timestamp": trigger.decided_at,
            "data": {
                "trigger": trigger.model_dump(mode="json", exclude_none=True),
                "message": asdict(message.content),
                "recipient": asdict(message.recipient),
            },
        }
    )
