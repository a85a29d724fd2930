"""Whether the payments of a book's latest invoices are missing from it: open as a whole, while earlier ones go on being paid.

Extracts are made so: settled invoices up to one day, open ones from another, or answers that somebody is to find out. Whoever
is told that none of these was ever paid learns of a crisis that never was.
"""

from array import array
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np

from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.union import AnyClientEvent

_OPEN: Final = -1
_MANY: Final = 50  # invoices on either side of the day, below which it could be a client who stopped paying
_PAID_BEFORE: Final = 0.7  # share of those that could have been paid by the end, and were
_PAID_SINCE: Final = 0.05
_SLOW: Final = 0.75  # share of the payments that come no later after due: what is older by then could have been paid
_END: Final = 0.995  # share of the payments after which hardly any came: one may be of a mistyped year


@dataclass(frozen=True, slots=True)
class UnpaidEnd:
    """The invoices issued from `since` on that are open, as keys that `is_of` understands, while payments come until `until`."""

    since: date
    until: date
    keys: frozenset[int]


@dataclass(slots=True)
class Ends:
    """What a book says of each invoice, for whether its end is missing; an invoice costs twenty bytes."""

    _keys: "array[int]" = field(default_factory=lambda: array("q"))
    _issued: "array[int]" = field(default_factory=lambda: array("i"))
    _due: "array[int]" = field(default_factory=lambda: array("i"))
    _paid: "array[int]" = field(default_factory=lambda: array("i"))

    def see(self, event: AnyClientEvent) -> None:
        """Take the next event of the book into account; the payments of an invoice follow it."""
        match event:
            case InvoiceIssued():
                self._keys.append(_key(event.client_id, event.invoice_id))
                self._issued.append(event.occurred_at.toordinal())
                self._due.append(event.due_at.toordinal())
                self._paid.append(_OPEN)
            case PaymentReceived() if self._keys and _key(event.client_id, event.invoice_id) == self._keys[-1]:
                self._paid[-1] = event.occurred_at.toordinal()
            case _:
                pass

    def unpaid(self) -> UnpaidEnd | None:
        """Return which invoices at the end of the book lack their payments; none where there is no such end."""
        issued, due, paid = (np.array(days, dtype=np.int64) for days in (self._issued, self._due, self._paid))
        settled = paid != _OPEN
        if settled.sum() < _MANY:
            return None
        until = int(np.quantile(paid[settled], _END))
        ripe = due <= until - max(0, int(np.quantile((paid - due)[settled], _SLOW)))
        days, which = np.unique(issued[ripe], return_inverse=True)
        # Of all days the one at which fewest invoices were open before it or paid since.
        open_on, paid_on = (np.bincount(which, weights=flags, minlength=len(days)) for flags in (~settled[ripe], settled[ripe]))
        wrong = np.concatenate(([0.0], np.cumsum(open_on)[:-1])) + np.cumsum(paid_on[::-1])[::-1]
        if not len(wrong):
            return None
        place = int(np.argmin(wrong))
        before, since = slice(None, place), slice(place, None)
        counts = [(paid_on[part].sum(), (paid_on + open_on)[part].sum()) for part in (before, since)]
        (paid_before, all_before), (paid_since, all_since) = counts
        if min(all_before, all_since) < _MANY or paid_before < _PAID_BEFORE * all_before or paid_since > _PAID_SINCE * all_since:
            return None
        missing = np.flatnonzero((issued >= days[place]) & ~settled)
        return UnpaidEnd(
            date.fromordinal(int(days[place])), date.fromordinal(until), frozenset(self._keys[row] for row in missing.tolist())
        )


def is_of(event: AnyClientEvent, end: UnpaidEnd) -> bool:
    """Say whether an event is about an invoice whose payment is missing."""
    invoice_id = getattr(event, "invoice_id", None)
    return invoice_id is not None and _key(event.client_id, invoice_id) in end.keys


def _key(client_id: str, invoice_id: str | None) -> int:
    return hash((client_id, invoice_id))
