"""Books that stop knowing: as a firm had them on a day, or with payments left out that had come."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from tests.histories.firms import Bill


def day_at(bills: Iterable[Bill], share: float) -> date:
    """Return the day on which so large a share of the time from the first to the last issue had passed."""
    days = [bill.issued.toordinal() for bill in bills]
    return date.fromordinal(round(min(days) + share * (max(days) - min(days))))


def as_of(bills: Iterable[Bill], day: date) -> list[Bill]:
    """Return the book as it honestly stood in the evening of a day."""
    return payments_until([bill for bill in bills if bill.issued <= day], day)


def payments_until(bills: Iterable[Bill], day: date) -> list[Bill]:
    """Return a book that lists all invoices and no payment after a day."""
    return [bill if bill.paid is None or bill.paid <= day else replace(bill, paid=None) for bill in bills]


def withheld_from(bills: Iterable[Bill], day: date) -> list[Bill]:
    """Return a book that lists all invoices and no payment of those issued from a day on."""
    return [bill if bill.issued < day else replace(bill, paid=None) for bill in bills]
