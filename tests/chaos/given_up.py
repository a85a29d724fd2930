"""What a fault takes from the logs for good, so that the audit knows what no program can bring back."""

from dataclasses import dataclass, field

from models.events.payments import PaymentReceived
from streams.runtime.errors import DeadLetterError
from streams.wire.codec import decode_event
from streams.wire.records import Record
from tests.chaos.load import NUMBER


@dataclass(slots=True)
class GivenUp:
    """What was deleted from the logs behind our back.

    `folded` are records of the client log, by partition, that were folded before; the oracle folds them too. `events` and
    `unreadable` name what was deleted before anybody had read it, which no program can bring back.
    """

    folded: dict[int, list[Record]] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    unreadable: set[bytes] = field(default_factory=set)

    def lose(self, records: list[Record]) -> None:
        """Note records that were deleted unread."""
        for record in records:
            name = name_of(record)
            if name is not None:
                self.events.add(name)
            if (number := dict(record.headers).get(NUMBER)) is not None:
                self.unreadable.add(number)


def name_of(record: Record) -> str | None:
    """Return the id of the event that `record` tells, none where it tells of no payment."""
    try:
        event = decode_event(record.value)
    except DeadLetterError:
        return None
    return event.event_id if isinstance(event, PaymentReceived) else None
