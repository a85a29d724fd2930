"""The sms channel: one short text per trigger, posted to a provider over HTTP.

The provider, or a small bridge in front of it, takes `POST` with `Authorization: Bearer`, `Idempotency-Key` (the trigger id) and

    {"to": "+4930901820", "from": "Firm", "text": "...", "reference": "<trigger id>"}

and answers 2xx: taken over; 410: the number does not exist; other 4xx: refused for good; 401, 403: our account; 429 or 503 with
Retry-After: later. After any other 5xx, or none, nobody knows whether the text left, and it is not sent again.
"""

from typing import Final

import orjson
import phonenumbers

from handlers.channels.contract import Delivery, Limits, OnAmbiguous, Recipient, SendResult
from handlers.channels.http_provider import HttpProvider
from streams.runtime.settings import Settings

_MARGIN: Final = 1.25


class SmsChannel:
    """Sends through the provider at RAPPORT_SMS_URL."""

    def __init__(self, settings: Settings) -> None:
        """Use the provider, token and sender of `settings`; raises UsageError when the address is none."""
        seconds = settings.http_timeout_seconds
        self._provider = HttpProvider(
            "RAPPORT_SMS_URL",
            settings.sms_url,
            timeout_seconds=seconds,
            private=settings.http_private_targets,
            drops_repetitions=False,
        )
        self._token = settings.sms_token
        self._sender = settings.sms_sender
        self._limits = Limits(concurrency=4, per_second=5, timeout_seconds=seconds * 2 * _MARGIN)

    @property
    def name(self) -> str:
        """See `Channel.name`."""
        return "sms"

    @property
    def provider(self) -> str:
        """The provider's host."""
        return self._provider.host

    @property
    def on_ambiguous(self) -> OnAmbiguous:
        """Few providers drop repetitions, and a second text is worse than none."""
        return OnAmbiguous.HOLD

    @property
    def limits(self) -> Limits:
        """See `Channel.limits`."""
        return self._limits

    def address_of(self, recipient: Recipient) -> str | None:
        """Return the phone number in E.164 form, none where there is no possible one. A local number needs the country."""
        try:
            number = phonenumbers.parse(recipient.phone or "", recipient.country)
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_valid_number(number):
            return None
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

    async def send(self, message: Delivery) -> SendResult:
        """Post one text."""
        key = message.idempotency_key
        body = orjson.dumps(
            {"to": message.address, "from": self._sender, "text": message.content.text.strip(), "reference": key},
        )
        headers = {"Idempotency-Key": key}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        return await self._provider.post(body, headers)

    async def close(self) -> None:
        """Give back connections."""
        await self._provider.close()
