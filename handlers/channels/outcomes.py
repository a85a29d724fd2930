"""Publishes what became of triggers: from the ledger to `signals`, so that a crash loses none."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from handlers.channels.failpoints import OUTCOME_PUBLISHED
from handlers.channels.ledger import Ledger, Report
from models.events.signals import DeliveryReported, Purpose
from models.ids import derive
from models.workdays import moment
from streams.runtime.metrics import CHANNEL_OUTCOMES, Meter
from streams.wire.codec import encode_event
from streams.wire.topics import SIGNALS

_AT_ONCE: Final = 500


class Sender(Protocol):
    """Puts records on a topic."""

    async def send_all(self, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Send (key, value) records to `topic` (bare name) and return when all are acknowledged; else raise RetryError."""
        ...


def outcome_event(report: Report, *, channel: str) -> DeliveryReported:
    """Return the event of `report`. Its id is derived, so that publishing it twice is noticed downstream."""
    at = moment(report.at_ms)
    return DeliveryReported(
        event_id=derive("delivery", report.trigger_id, report.outcome.value, report.attempt),
        source=f"channel.{channel}",
        occurred_at=at,
        received_at=at,
        client_id=report.client_id,
        trigger_id=report.trigger_id,
        channel=channel,
        outcome=report.outcome,
        reason=report.reason or None,
        address=report.address or None,
        purpose=Purpose(report.purpose) if report.purpose else None,
    )


async def publish_outcomes(
    ledgers: Iterable[Ledger],
    *,
    channel: str,
    sender: Sender,
    meter: Meter,
    failpoint: Callable[[str], None],
) -> int:
    """Publish at most 500 outcomes of each ledger and forget them there; return how many. Raises RetryError."""
    published = 0
    for ledger in ledgers:
        reports = await ledger.reports(limit=_AT_ONCE)
        if not reports:
            continue
        events = [outcome_event(report, channel=channel) for report in reports]
        await sender.send_all(SIGNALS.name, [(event.client_id.encode(), encode_event(event)) for event in events])
        failpoint(OUTCOME_PUBLISHED)
        await ledger.reported([report.report_id for report in reports])
        for report in reports:
            meter.count(CHANNEL_OUTCOMES, channel=channel, outcome=report.outcome.value)
        published += len(reports)
    return published
