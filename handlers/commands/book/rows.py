"""One row of a book becomes events: the client, the invoice, its settlement and dispute; or a reason why it cannot."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from handlers.commands.book.amounts import currency_in, read_amount
from handlers.commands.book.columns import Meaning
from handlers.commands.book.dates import read_moment
from handlers.commands.book.plan import ISSUED_AT, SETTLED_AT, Plan
from handlers.commands.book.reading import Row, rows
from models.events.delays import DisputeClosed, DisputeOpened
from models.events.invoices import CreditNoteIssued, InvoiceIssued
from models.events.payments import PaymentMethod, PaymentReceived
from models.events.signals import ClientProfiled
from models.events.union import AnyClientEvent
from models.ids import derive
from models.money import Money

_BLANKS: Final = frozenset({"", "-", "--", "na", "n/a", "nan", "nat", "none", "null"})
_YES: Final = frozenset({"yes", "y", "true", "1", "x", "ja", "oui", "si", "sí"})
_METHODS: Final = (
    (PaymentMethod.CARD, ("card", "visa", "master", "amex", "karte", "carte")),
    (PaymentMethod.BANK_DEBIT, ("debit", "ach", "sepa", "lastschrift")),
    (PaymentMethod.WIRE, ("wire", "transfer", "bank", "überweisung", "virement", "eft")),
    (PaymentMethod.CHECK, ("check", "cheque", "scheck", "chèque")),
    (PaymentMethod.CASH, ("cash", "bar")),
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that cannot be imported: where it starts, why, and what it says."""

    line: int
    reason: str
    cells: tuple[str, ...]


class RejectedRowError(ValueError):
    """The row cannot be imported; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class _Bill:
    client_id: str
    invoice_id: str
    amount: Money
    issued_at: datetime
    due_at: datetime
    received_at: datetime


@dataclass(slots=True)
class BookReader:
    """Turns the rows of one book into events; remembers invoices seen, so that a repeated one is rejected, not counted twice.

    Event ids are derived from the source, the client and the invoice: the same book imported twice changes nothing.
    """

    plan: Plan
    _seen: dict[int, int] = field(default_factory=dict)
    _alike: Counter[int] = field(default_factory=Counter)
    _profiles: dict[str, int] = field(default_factory=dict)

    def read_all(self) -> Iterator[list[AnyClientEvent] | Rejection]:
        """Yield for each row, in the order of the file, its events or its rejection."""
        for row in rows(self.plan.layout):
            yield self.read(row)

    def read(self, row: Row) -> list[AnyClientEvent] | Rejection:
        """Return the events of one row, or why there are none."""
        try:
            return list(self._events(row))
        except ValidationError as error:
            first = error.errors()[0]
            reason = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        except ValueError as error:
            reason = str(error)
        return Rejection(line=row.line, reason=reason, cells=row.cells)

    def _events(self, row: Row) -> Iterator[AnyClientEvent]:
        expected = len(self.plan.layout.header)
        if len(row.cells) < expected or any(cell.strip() for cell in row.cells[expected:]):
            message = f"{len(row.cells)} cells where the header has {expected}"
            raise RejectedRowError(message)
        bill = self._bill(row)
        events: list[AnyClientEvent] = [self._issued(row, bill), *self._settled(row, bill)]
        self._remember(row, bill)
        yield from self._profiled(row, bill)
        yield from events

    def _bill(self, row: Row) -> _Bill:
        client_id = self._need(row, Meaning.CLIENT_ID)
        currency = self._cell(row, Meaning.CURRENCY).upper() or currency_in(self._cell(row, Meaning.AMOUNT)) or self.plan.currency
        amount = read_amount(self._need(row, Meaning.AMOUNT), currency=currency, mark=self.plan.mark)
        issued_at = self._moment(row, Meaning.ISSUED_ON)
        if amount is None or issued_at is None:
            message = "amount and issue date are needed"
            raise RejectedRowError(message)
        if amount.minor == 0:
            message = "the amount is zero"
            raise RejectedRowError(message)
        recorded_at = self._moment(row, Meaning.RECORDED_ON) or issued_at
        due_at = self._moment(row, Meaning.DUE_ON) or self._due_by_terms(row, issued_at)
        invoice_id = self._cell(row, Meaning.INVOICE_ID).removesuffix(".0")
        return _Bill(
            client_id=client_id,
            invoice_id=invoice_id or self._invented_id(row, client_id),
            amount=amount,
            issued_at=issued_at,
            due_at=due_at,
            received_at=max(recorded_at, issued_at),
        )

    def _invented_id(self, row: Row, client_id: str) -> str:
        # A book without invoice numbers: the row itself is the identity, counted where rows are alike.
        stable = [
            self._cell(row, meaning) for meaning in (Meaning.ISSUED_ON, Meaning.DUE_ON, Meaning.RECORDED_ON, Meaning.AMOUNT)
        ]
        key = hash((client_id, *stable))
        self._alike[key] += 1
        return derive("import.invoice", client_id, *stable, self._alike[key])

    def _remember(self, row: Row, bill: _Bill) -> None:
        key = hash((bill.client_id, bill.invoice_id))
        if key in self._seen:
            message = f"invoice {bill.invoice_id} of {bill.client_id} stands on line {self._seen[key]} already"
            raise RejectedRowError(message)
        self._seen[key] = row.line

    def _issued(self, row: Row, bill: _Bill) -> AnyClientEvent:
        if bill.amount.minor < 0:
            return CreditNoteIssued(
                event_id=self._event_id("credit", bill),
                source=self.plan.source,
                client_id=bill.client_id,
                occurred_at=bill.issued_at,
                received_at=bill.received_at,
                credit_note_id=bill.invoice_id,
                amount=Money(-bill.amount.minor, bill.amount.currency),
            )
        return InvoiceIssued(
            event_id=self._event_id("invoice", bill),
            source=self.plan.source,
            client_id=bill.client_id,
            occurred_at=bill.issued_at,
            received_at=bill.received_at,
            invoice_id=bill.invoice_id,
            amount=bill.amount,
            due_at=bill.due_at,
            service_line=self._cell(row, Meaning.SERVICE_LINE)[:100] or None,
        )

    def _settled(self, row: Row, bill: _Bill) -> Iterator[AnyClientEvent]:
        paid, paid_at = self._paid(row, bill)
        if self._cell(row, Meaning.DISPUTED).lower() in _YES:
            yield from self._disputed(bill, settled_at=paid_at)
        if paid is None or paid_at is None or bill.amount.minor < 0:
            return
        yield PaymentReceived(
            event_id=self._event_id("payment", bill),
            source=self.plan.source,
            client_id=bill.client_id,
            occurred_at=paid_at,
            received_at=max(paid_at, bill.received_at),
            payment_id=derive("import.payment", bill.client_id, bill.invoice_id),
            invoice_id=bill.invoice_id,
            amount=paid,
            method=_method(self._cell(row, Meaning.METHOD)),
        )

    def _paid(self, row: Row, bill: _Bill) -> tuple[Money | None, datetime | None]:
        paid_at = self._moment(row, Meaning.SETTLED_ON)
        if paid_at is None and (days := self._number(row, Meaning.DAYS_TO_SETTLE)) is not None:
            # The end of business of that day, as if the date itself had been given.
            paid_at = bill.issued_at + timedelta(days=days, hours=SETTLED_AT.hour - ISSUED_AT.hour)
        settled = self._amount(row, Meaning.SETTLED, bill)
        outstanding = self._amount(row, Meaning.OUTSTANDING, bill)
        if settled is None and outstanding is not None and (paid_at is not None or outstanding.minor < bill.amount.minor):
            settled = bill.amount - outstanding
        if settled is None and paid_at is not None:
            settled = bill.amount
        if settled is None or settled.minor == 0:
            return None, paid_at
        if settled.minor < 0:
            message = f"the settled amount {settled} is below zero"
            raise RejectedRowError(message)
        if paid_at is None:
            if Meaning.SETTLED_ON in self.plan.mapping or Meaning.DAYS_TO_SETTLE in self.plan.mapping:
                message = f"{settled} is settled, but there is no date of payment"
                raise RejectedRowError(message)
            paid_at = bill.due_at  # the book knows no dates of payment; said in the plan
        return settled, paid_at

    def _disputed(self, bill: _Bill, *, settled_at: datetime | None) -> Iterator[AnyClientEvent]:
        # A book says that there was a dispute, not when. It becomes known late: at the due date, or just before settlement
        # where that came first; never at the issue date, where it would tell the future.
        opened_at = (
            bill.due_at if settled_at is None else max(bill.issued_at, min(bill.due_at, settled_at - timedelta(minutes=2)))
        )
        dispute_id = derive("import.dispute", bill.client_id, bill.invoice_id)
        yield DisputeOpened(
            event_id=self._event_id("dispute", bill),
            source=self.plan.source,
            client_id=bill.client_id,
            occurred_at=opened_at,
            received_at=max(opened_at, bill.received_at),
            dispute_id=dispute_id,
            invoice_id=bill.invoice_id,
        )
        if settled_at is None:
            return
        closed_at = max(opened_at, settled_at - timedelta(minutes=1))
        yield DisputeClosed(
            event_id=self._event_id("dispute.closed", bill),
            source=self.plan.source,
            client_id=bill.client_id,
            occurred_at=closed_at,
            received_at=max(closed_at, bill.received_at),
            dispute_id=dispute_id,
        )

    def _profiled(self, row: Row, bill: _Bill) -> Iterator[AnyClientEvent]:
        country = self._cell(row, Meaning.COUNTRY)
        profile = {
            "name": self._cell(row, Meaning.NAME)[:200] or None,
            "email": self._cell(row, Meaning.EMAIL) or None,
            "phone": self._cell(row, Meaning.PHONE)[:40] or None,
            "timezone": self._cell(row, Meaning.TIMEZONE)[:64] or None,
            "country": country if len(country) == len("DE") and country.isascii() and country.isupper() else None,
        }
        known = hash(tuple(profile.values()))
        if not any(profile.values()) or self._profiles.get(bill.client_id) == known:
            return
        self._profiles[bill.client_id] = known
        yield ClientProfiled(
            event_id=derive("import", self.plan.source, "profile", bill.client_id, *(value or "" for value in profile.values())),
            source=self.plan.source,
            client_id=bill.client_id,
            occurred_at=bill.received_at,
            received_at=bill.received_at,
            **profile,
        )

    def _due_by_terms(self, row: Row, issued_at: datetime) -> datetime:
        try:
            days = self._number(row, Meaning.TERMS_DAYS)
        except ValueError:
            days = None  # terms such as "NAH4" are a code of the sender; the default holds
        hours = SETTLED_AT.hour - ISSUED_AT.hour
        return issued_at + timedelta(days=self.plan.terms_days if days is None else days, hours=hours)

    def _event_id(self, what: str, bill: _Bill) -> str:
        return derive("import", self.plan.source, what, bill.client_id, bill.invoice_id)

    def _need(self, row: Row, meaning: Meaning) -> str:
        if cell := self._cell(row, meaning):
            return cell
        message = f"{self.plan.mapping[meaning]!r} is blank"
        raise RejectedRowError(message)

    def _cell(self, row: Row, meaning: Meaning) -> str:
        place = self.plan.places.get(meaning)
        text = "" if place is None else row.cells[place].strip()
        return "" if text.lower() in _BLANKS else text

    def _moment(self, row: Row, meaning: Meaning) -> datetime | None:
        at = ISSUED_AT if meaning in (Meaning.ISSUED_ON, Meaning.RECORDED_ON) else SETTLED_AT
        order = self.plan.orders.get(meaning)
        return read_moment(self._cell(row, meaning), order=order, zone=self.plan.zone, at=at)

    def _amount(self, row: Row, meaning: Meaning, bill: _Bill) -> Money | None:
        return read_amount(self._cell(row, meaning), currency=bill.amount.currency, mark=self.plan.mark)

    def _number(self, row: Row, meaning: Meaning) -> int | None:
        text = self._cell(row, meaning).removesuffix(".0")
        if not text:
            return None
        try:
            return int(text)
        except ValueError as error:
            message = f"{text!r} in {self.plan.mapping[meaning]!r} is not a whole number of days"
            raise RejectedRowError(message) from error


def _method(text: str) -> PaymentMethod:
    lowered = text.lower()
    return next((method for method, words in _METHODS if any(word in lowered for word in words)), PaymentMethod.OTHER)
