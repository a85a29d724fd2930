"""What the thanks for a first payment say of the way on: a firm's table, of which the first row that fits a client is used."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from models.policy.facts import Fact
from models.state.client import ClientState, Segment
from models.state.reckoning import is_live
from models.workdays import Window

BETWEEN: Final = " | "
"""Stands between the resources in the fact of that name: a title has none, and an address cannot."""

WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Resource:
    """Something to read, and where: an https address that is the same for every client."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Guide:
    """One row: for clients of these segments and service lines (none named: of all). What is empty is not spoken of.

    `office` are the hours in which `person` can be reached, by the clock of `zone`.
    """

    segments: tuple[Segment, ...] = ()
    service_lines: tuple[str, ...] = ()
    resources: tuple[Resource, ...] = ()
    scheduler: str = ""
    person: str = ""
    office: Window | None = None
    zone: str = ""

    def fits(self, segment: Segment, service_line: str) -> bool:
        """Say whether it is for such a client; a service line is compared without regard to case."""
        lines = {row.casefold() for row in self.service_lines}
        return (not self.segments or segment in self.segments) and (not lines or service_line.casefold() in lines)


def guide_facts(guides: Iterable[Guide], segment: Segment, service_line: str) -> dict[str, Fact]:
    """Return what the first row that fits says, none of what it leaves out: onboarding alone may state it."""
    guide = next((row for row in guides if row.fits(segment, service_line)), Guide())
    found = {
        "resources": BETWEEN.join(f"{row.title}: {row.url}" for row in guide.resources),
        "scheduler": guide.scheduler,
        "person": guide.person,
        "office_hours": _hours(guide.office, guide.zone) if guide.office else "",
    }
    return {name: value for name, value in found.items() if value}


def is_later_invoice(state: ClientState, payment_id: str) -> bool:
    """Say whether a first payment leaves an older invoice aside, or names none of several: the client is not done then."""
    live = [row for row in state.ledger.invoices if is_live(row)]
    payment = next((row for row in state.ledger.payments if row.payment_id == payment_id), None)
    named = {part.invoice_id for part in payment.parts} if payment is not None else set[str]()
    paid = [row for row in live if row.invoice_id in named]
    if not paid:
        return len(live) > 1
    first = min(row.issued_ms for row in paid)
    return any(row.invoice_id not in named and row.issued_ms < first for row in live)


def _hours(office: Window, zone: str) -> str:
    """Return hours as a fact: `mon,tue 09:00-17:00 Europe/Berlin`; each message words them in its language."""
    days = ",".join(WEEK[day] for day in sorted(office.weekdays))
    return f"{days} {office.opens:%H:%M}-{office.closes:%H:%M} {zone}"
