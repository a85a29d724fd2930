"""The portal channel: lays each message out in the client's mailbox, where the firm's portal shows it (`rapport portal`)."""

from handlers.channels.contract import Delivery, Limits, OnAmbiguous, Recipient, SendResult, Verdict
from handlers.mailbox.messages import Mailbox, Message
from models.events.envelope import epoch_ms
from streams.runtime.errors import RetryError
from streams.wire.codec import encode_output


class PortalChannel:
    """Puts messages into `mailbox`, which drops repetitions of a trigger id."""

    def __init__(self, mailbox: Mailbox) -> None:
        """Use `mailbox`, and close it in the end."""
        self._mailbox = mailbox

    @property
    def name(self) -> str:
        """See `Channel.name`."""
        return "portal"

    @property
    def provider(self) -> str:
        """The mailbox."""
        return "mailbox"

    @property
    def on_ambiguous(self) -> OnAmbiguous:
        """The mailbox knows a trigger id again."""
        return OnAmbiguous.RESEND

    @property
    def limits(self) -> Limits:
        """See `Channel.limits`."""
        return Limits(per_second=500, timeout_seconds=15)

    def address_of(self, recipient: Recipient) -> str | None:
        """Return whom it concerns: every client has a mailbox, under the client's id."""
        return recipient.name or recipient.email or "client"

    async def send(self, message: Delivery) -> SendResult:
        """Lay one message out."""
        trigger, content = message.trigger, message.content
        laid_out = Message(
            message_id=trigger.trigger_id,
            client_id=trigger.client_id,
            sent_ms=epoch_ms(message.at),
            subject=content.subject,
            text=content.text,
            html=content.html,
            trigger=encode_output(trigger),
        )
        try:
            fresh = await self._mailbox.put(laid_out)
        except RetryError as error:
            return SendResult(Verdict.UNAVAILABLE, str(error)[:200])
        return SendResult(Verdict.ACCEPTED, "" if fresh else "it was laid out already")

    async def close(self) -> None:
        """Close the mailbox."""
        await self._mailbox.close()
