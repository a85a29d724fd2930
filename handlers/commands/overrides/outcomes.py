"""What came of the time of an override, as far as it was known at its end: invoices, replies, complaints."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, TypeAlias

from handlers.commands.experiments.accounts import Account, Accounts
from models.events.signals import ClientAsked, DeliveryOutcome, DeliveryReported
from models.events.union import AnyClientEvent
from models.state.closing import LATE_DAYS
from models.workdays import DAY_MS, whole_days

SURE: Final = 1.64
"""Standard deviations from which a difference is more than chance does in one of ten."""


@dataclass(frozen=True, slots=True)
class Ending:
    """An invoice of an override's time. `days` past due when the last of it was paid, None: it was not.

    `is_news`: whether it would be late was not known yet when the override was set.
    """

    invoice_id: str
    late: bool
    days: int | None
    is_news: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an override's time."""

    endings: tuple[Ending, ...] = ()
    replies: int = 0
    complaints: int = 0

    @property
    def late(self) -> int:
        """How many invoices were late."""
        return sum(row.late for row in self.endings)

    @property
    def paid(self) -> int:
        """How many were paid in its time."""
        return sum(row.days is not None for row in self.endings)

    @property
    def news(self) -> list[bool]:
        """Whether each invoice was late of which that was not known before."""
        return [row.late for row in self.endings if row.is_news]

    @property
    def usual_days(self) -> float | None:
        """The median of days from due to paid; None where nothing was paid."""
        return usual_days(self.endings)


def usual_days(endings: Iterable[Ending]) -> float | None:
    """Return the median of days from due to paid; None where nothing was paid."""
    days = [row.days for row in endings if row.days is not None]
    return median(days) if days else None


Span: TypeAlias = tuple[int, int]
"""From when until when, in epoch ms."""


def outcomes_of(history: Sequence[AnyClientEvent], spans: Collection[Span]) -> dict[Span, Outcome]:
    """Return what had come of each span by its end; what arrived later is not read. `history` in the order of its arrival."""
    accounts, found, place = Accounts(), dict[Span, Outcome](), 0
    for since_ms, until_ms in sorted(spans, key=lambda span: span[1]):
        while place < len(history) and history[place].received_ms <= until_ms:
            accounts.see(history[place])
            place += 1
        found[since_ms, until_ms] = _outcome(history[:place], accounts.told(), since_ms, until_ms)
    return found


def _outcome(known: Sequence[AnyClientEvent], accounts: Mapping[str, Account], since_ms: int, until_ms: int) -> Outcome:
    within = [row for row in known if row.received_ms >= since_ms]
    told = [row.outcome for row in within if isinstance(row, DeliveryReported)]
    asked = sum(isinstance(row, ClientAsked) for row in within)
    return Outcome(
        tuple(_endings(accounts, since_ms, until_ms)),
        asked + told.count(DeliveryOutcome.REPLIED),
        told.count(DeliveryOutcome.COMPLAINED),
    )


def surprise(late: float, expected: float, variance: float) -> float:
    """Return by how many standard deviations more were late than expected; 0 where nothing was uncertain."""
    return (late - expected) / variance**0.5 if variance > 0 else 0.0


def _endings(accounts: Mapping[str, Account], since_ms: int, until_ms: int) -> Iterator[Ending]:
    """Yield each invoice that was open in that time and fell due by its end, as far as its lateness is known."""
    for account in accounts.values():
        for invoice, bill in account.bills.items():
            paid_ms = bill.settled_ms
            if bill.minor <= 0 or bill.is_void or bill.due_ms > until_ms or 0 < (paid_ms or bill.ended_ms) <= since_ms:
                continue
            days = whole_days((paid_ms or until_ms) - bill.due_ms)
            late = days > LATE_DAYS
            if late or paid_ms:
                yield Ending(invoice, late, days if paid_ms else None, bill.due_ms + LATE_DAYS * DAY_MS >= since_ms)
