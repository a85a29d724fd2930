"""Messages laid out for a client, and the port through which the portal channel and the portal's API reach them."""

from typing import Final, Protocol

import msgspec

from models.triggers import Trigger
from streams.runtime.errors import RetryError

MOST_KEPT: Final = 200
"""Messages kept per client; the oldest make room."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it was written. `trigger` is the trigger's JSON; times are epoch ms, `read_ms` 0: not read yet."""

    message_id: str
    client_id: str
    sent_ms: int
    subject: str
    text: str
    html: str
    trigger: bytes
    read_ms: int = 0

    def why(self) -> Trigger:
        """Return the trigger behind it."""
        return Trigger.model_validate_json(self.trigger)


class Mailbox(Protocol):
    """Keeps the latest messages of each client. All calls raise RetryError while the store is away, and may be repeated."""

    async def put(self, message: Message) -> bool:
        """Lay out `message`; false when its id is known already: then nothing changes."""
        ...

    async def messages(self, client_id: str, *, limit: int, before: str = "") -> list[Message]:
        """Return at most `limit` messages, the newest first, and only those older than `before` where that is still known."""
        ...

    async def get(self, client_id: str, message_id: str) -> Message | None:
        """Return one message of this client, or none."""
        ...

    async def mark_read(self, client_id: str, message_id: str, *, at_ms: int) -> Message | None:
        """Remember that it was read; the first moment holds. Returns the message as it stands, or none."""
        ...

    async def forget(self, client_id: str) -> None:
        """Remove everything of a client."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


class MemoryMailbox:
    """The mailbox in a dictionary: for tests, and for trying out."""

    def __init__(self, *, most: int = MOST_KEPT) -> None:
        """Start empty, and there; keep `most` messages per client."""
        self._kept: dict[str, dict[str, Message]] = {}
        self._most = most
        self.away = False

    async def put(self, message: Message) -> bool:
        """See `Mailbox.put`."""
        kept = self._of(message.client_id)
        if message.message_id in kept:
            return False
        kept[message.message_id] = message
        while len(kept) > self._most:
            del kept[next(iter(kept))]
        return True

    async def messages(self, client_id: str, *, limit: int, before: str = "") -> list[Message]:
        """See `Mailbox.messages`."""
        newest = list(reversed(self._of(client_id).values()))
        at = next((place for place, each in enumerate(newest) if each.message_id == before), -1)
        return newest[at + 1 : at + 1 + limit]

    async def get(self, client_id: str, message_id: str) -> Message | None:
        """See `Mailbox.get`."""
        return self._of(client_id).get(message_id)

    async def mark_read(self, client_id: str, message_id: str, *, at_ms: int) -> Message | None:
        """See `Mailbox.mark_read`."""
        kept = self._of(client_id)
        known = kept.get(message_id)
        if known is None:
            return None
        if not known.read_ms:
            known = kept[message_id] = msgspec.structs.replace(known, read_ms=at_ms)
        return known

    async def forget(self, client_id: str) -> None:
        """See `Mailbox.forget`."""
        self._of(client_id).clear()

    async def close(self) -> None:
        """Nothing is kept open."""

    def _of(self, client_id: str) -> dict[str, Message]:
        if self.away:
            message = "the mailbox was told to be away"
            raise RetryError(message)
        return self._kept.setdefault(client_id, {})
