"""Rows of a book become events: the client, the invoice, its settlement and dispute; or a reason why they cannot.

Most rows are one invoice each. Where rows share an invoice they are line items, part payments or repetitions (`gathering`), and
in a journal payments stand in rows of their own (`journal`).
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from math import floor
from typing import Final

from pydantic import ValidationError

from handlers.commands.book.amounts import currency_in, currency_named, read_amount
from handlers.commands.book.bills import Bill, Part, RejectedRowError, Rejection
from handlers.commands.book.column_names import REQUIRED, Meaning
from handlers.commands.book.dates import read_day
from handlers.commands.book.gathering import gather
from handlers.commands.book.horizon import WHOLE, Horizon, Outcomes
from handlers.commands.book.journal import Entry, apply_payments
from handlers.commands.book.kinds import RowKind, kind_of, on_credit_side
from handlers.commands.book.methods import method_in
from handlers.commands.book.plan import ISSUED_AT, SETTLED_AT, Plan, unit_of
from handlers.commands.book.reading import Row, rows
from handlers.commands.book.terms import read_terms
from handlers.commands.book.words import Became, became, is_credit, said
from models.events.delays import DisputeClosed, DisputeOpened
from models.events.invoices import CreditNoteIssued, InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.signals import ClientProfiled
from models.events.union import AnyClientEvent
from models.ids import derive
from models.money import Money

_YES: Final = frozenset({"yes", "y", "true", "1", "x", "ja", "oui", "si", "sí"})
_DAYS: Final = re.compile(r"(?P<below>\()?(?P<days>[+-]?\d{1,6}(?:[.,]\d+)?)(?(below)\))(?:\s*(?:days?|d))?")
_EARLIEST_YEAR: Final = 1971
_LATEST_YEAR: Final = 2099
_LONGEST_REASON: Final = 160  # characters
_LONG_ROW: Final = 5  # line ends within a row; those of an address are fewer
_APART: Final = timedelta(days=3660)  # an invoice due or paid so long after its issue is a slip of the pen


@dataclass(slots=True)
class BookReader:
    """Turns the rows of one book into events; remembers invoices seen, so that a repeated one is not counted twice.

    Event ids are derived from the source, the client and the invoice: the same book imported twice changes nothing.
    """

    plan: Plan
    known: Horizon = WHOLE
    beyond: int = 0
    """Rows read so far that are left out because the book does not know what came of them."""
    outcomes: Outcomes = field(default_factory=Outcomes)
    """What the invoices told so far say of how they were paid."""
    summed: int = 0
    """Invoices read so far whose rows bear different amounts: they were taken for line items and added up."""
    due_first: int = 0
    """Invoices read so far that fell due before they were issued."""
    late_on: Counter[date] = field(default_factory=Counter)
    """How many late payments of those read so far came on each day."""
    _seen: dict[int, int] = field(default_factory=dict)
    _alike: Counter[int] = field(default_factory=Counter)
    _profiles: dict[str, int] = field(default_factory=dict)
    _least: int = 0

    def __post_init__(self) -> None:
        """Find out how many cells a row must have: spreadsheets leave out blank ones at its end."""
        self._least = 1 + max(self.plan.places.get(meaning, 0) for meaning in (*REQUIRED, Meaning.DUE_ON))

    def read_all(self) -> Iterator[list[AnyClientEvent] | Rejection]:
        """Yield for each row its events or its rejection, in the order of the file; rows that share an invoice come last."""
        shared: dict[int, list[tuple[Row, Bill]]] = {}
        journal: list[Entry] = []
        for row, bill in self._known_rows():
            if isinstance(bill, Rejection):
                yield bill
            elif bill.kind is RowKind.PAYMENT:
                yield from self._take_payment(row, bill, journal)
            elif (key := self.plan.key(bill.client_id, bill.invoice_id)) in self.plan.repeated:
                shared.setdefault(key, []).append((row, bill))
            elif self.plan.payment_rows:
                journal.append(Entry(row, bill))
            else:
                yield self._told(row, bill)
        for group in shared.values():
            gathered, rejections = gather(group)
            self.summed += gathered[0][1].amount != group[0][1].amount
            yield from rejections
            for row, bill in gathered:
                if self.plan.payment_rows:
                    journal.append(Entry(row, bill))
                else:
                    yield self._told(row, bill)
        for entry, reason in apply_payments(journal):
            yield self._told(entry.row, entry.bill) if not reason else Rejection(entry.row.line, reason, entry.row.cells)

    def _known_rows(self) -> Iterator[tuple[Row, Bill | Rejection]]:
        for row in rows(self.plan.layout):
            if (bill := self._parsed(row)) is None:
                self.beyond += 1
            else:
                yield row, bill

    def _parsed(self, row: Row) -> Bill | Rejection | None:
        try:
            return self.known.of(self._bill(row))
        except (ValueError, OverflowError) as error:
            return _rejection(row, str(error))

    def _take_payment(self, row: Row, bill: Bill, journal: list[Entry]) -> Iterator[Rejection]:
        if self.plan.dated_rows:
            reason = "a payment in a row of its own, while invoices carry their dates of payment themselves"
            yield Rejection(line=row.line, reason=reason, cells=row.cells)
        else:
            journal.append(Entry(row, bill))

    def _told(self, row: Row, bill: Bill) -> list[AnyClientEvent] | Rejection:
        try:
            events = [self._issued(row, bill), *self._settled(row, bill)]
            self._remember(row, bill)
            self._count(bill)
            return [*self._profiled(row, bill), *events]
        except ValidationError as error:
            first = error.errors()[0]
            reason = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        except (ValueError, OverflowError) as error:
            reason = str(error)
        return _rejection(row, reason)

    def _bill(self, row: Row) -> Bill:
        self._check_cells(row)
        if became(self._cell(row, Meaning.STATUS)) is Became.NEVER_OWED:
            message = f"{self._cell(row, Meaning.STATUS)!r} in {self.plan.mapping[Meaning.STATUS]!r}: it was never owed"
            raise RejectedRowError(message)
        client_id = self._need(row, Meaning.CLIENT_ID)
        currency = self._currency(row)
        credited = is_credit(self._cell(row, Meaning.AMOUNT), self._cell(row, Meaning.CREDIT))
        amount = self._owed(row, Meaning.CREDIT if credited else Meaning.AMOUNT, currency)
        issued_at = self._moment(row, Meaning.ISSUED_ON) if Meaning.ISSUED_ON in self.plan.mapping else self._before_due(row)
        kind = kind_of(self._cell(row, Meaning.KIND))
        if issued_at is None and kind is RowKind.PAYMENT:
            issued_at = self._moment(row, Meaning.SETTLED_ON)
        if amount is None or issued_at is None:
            message = "amount and issue date are needed"
            raise RejectedRowError(message)
        if amount.minor == 0:
            message = "the amount is zero"
            raise RejectedRowError(message)
        if kind is RowKind.INVOICE and (credited or on_credit_side(self._cell(row, Meaning.SIDE))):
            kind = RowKind.CREDIT if self.plan.dated_rows or Meaning.KIND in self.plan.mapping else RowKind.PAYMENT
        if kind is not RowKind.INVOICE:
            amount = Money(-abs(amount.minor), amount.currency)
        recorded_at = self._moment(row, Meaning.RECORDED_ON) or issued_at
        due_at = self._moment(row, Meaning.DUE_ON) or self._due_by_terms(row, issued_at)
        if due_at - issued_at > _APART:
            message = f"due {(due_at - issued_at).days // 365} years after its issue"
            raise RejectedRowError(message)
        invoice_id = self._cell(row, Meaning.INVOICE_ID).removesuffix(".0")
        if invoice_id and self.plan.numbers_repeat:
            invoice_id = f"{invoice_id} of {issued_at:%Y-%m-%d}"
        bill = Bill(
            client_id=client_id,
            invoice_id=invoice_id or self._invented_id(row, client_id),
            amount=amount,
            issued_at=issued_at,
            due_at=due_at,
            received_at=max(recorded_at, issued_at),
            kind=kind,
        )
        return replace(bill, paid=self._paid(row, bill)) if kind is RowKind.INVOICE and amount.minor > 0 else bill

    def _check_cells(self, row: Row) -> None:
        expected = len(self.plan.layout.header)
        if len(row.cells) < self._least or any(cell.strip() for cell in row.cells[expected:]):
            message = f"{len(row.cells)} cells where the header has {expected}"
            raise RejectedRowError(message)

    def _currency(self, row: Row) -> str:
        return (
            currency_named(self._cell(row, Meaning.CURRENCY))
            or currency_in(self._cell(row, Meaning.AMOUNT))
            or self.plan.currency
        )

    def _invented_id(self, row: Row, client_id: str) -> str:
        # A book without invoice numbers: the row itself is the identity, counted where rows are alike.
        stable = [
            self._cell(row, meaning) for meaning in (Meaning.ISSUED_ON, Meaning.DUE_ON, Meaning.RECORDED_ON, Meaning.AMOUNT)
        ]
        key = hash((client_id, *stable))
        self._alike[key] += 1
        return derive("import.invoice", client_id, *stable, self._alike[key])

    def _remember(self, row: Row, bill: Bill) -> None:
        key = hash((bill.client_id, bill.invoice_id))
        if key in self._seen:
            message = f"invoice {bill.invoice_id} of {bill.client_id} stands on line {self._seen[key]} already"
            raise RejectedRowError(message)
        self._seen[key] = row.line

    def _count(self, bill: Bill) -> None:
        self.outcomes.add(bill, self.plan.zone)
        self.due_first += bill.amount.minor > 0 and bill.due_at.date() < bill.issued_at.date()
        if bill.paid and bill.paid[-1].at > bill.due_at:
            self.late_on[bill.paid[-1].at.date()] += 1

    def _issued(self, row: Row, bill: Bill) -> AnyClientEvent:
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

    def _settled(self, row: Row, bill: Bill) -> Iterator[AnyClientEvent]:
        if self._cell(row, Meaning.DISPUTED).lower() in _YES:
            yield from self._disputed(bill, settled_at=bill.paid[-1].at if bill.paid else None)
        for place, part in enumerate(bill.paid):
            number = [place] if place else []
            yield PaymentReceived(
                event_id=self._event_id("payment", bill, *number),
                source=self.plan.source,
                client_id=bill.client_id,
                occurred_at=part.at,
                received_at=max(part.at, bill.received_at),
                payment_id=derive("import.payment", bill.client_id, bill.invoice_id, *number),
                invoice_id=bill.invoice_id,
                amount=part.amount,
                method=method_in(self._cell(row, Meaning.METHOD)),
            )

    def _paid(self, row: Row, bill: Bill) -> tuple[Part, ...]:
        paid_at = self._paid_at(row, bill)
        settled = self._amount(row, Meaning.SETTLED, bill)
        outstanding = self._amount(row, Meaning.OUTSTANDING, bill)
        if settled is None and outstanding is not None and (paid_at is not None or outstanding.minor < bill.amount.minor):
            settled = bill.amount - outstanding
        if settled is None and (paid_at is not None or became(self._cell(row, Meaning.STATUS)) is Became.PAID):
            settled = bill.amount
        if settled is None or settled.minor == 0:
            return ()
        if settled.minor < 0:
            message = f"the settled amount {settled} is below zero"
            raise RejectedRowError(message)
        if paid_at is None:
            if self.plan.dates_payments:
                message = f"{settled} is settled, but there is no date of payment"
                raise RejectedRowError(message)
            paid_at = bill.due_at  # the book knows no dates of payment; said in the plan
        return (Part(settled, paid_at),)

    def _paid_at(self, row: Row, bill: Bill) -> datetime | None:
        paid_at = self._moment(row, Meaning.SETTLED_ON)
        if paid_at is None and became(self._cell(row, Meaning.STATUS)) is Became.OPEN:
            return None  # days of what is open are those so far
        if paid_at is None and (days := self._number(row, Meaning.DAYS_TO_SETTLE)) is not None:
            # The end of business of that day, as if the date itself had been given.
            paid_at = bill.issued_at + timedelta(days=days, hours=SETTLED_AT.hour - ISSUED_AT.hour)
        if paid_at is None and self.plan.only_days_late and (late := self._number(row, Meaning.DAYS_LATE)) is not None:
            paid_at = bill.due_at + timedelta(days=late)
        if paid_at is not None and abs(paid_at - bill.issued_at) > _APART:
            message = f"paid {abs((paid_at - bill.issued_at).days) // 365} years away from its issue"
            raise RejectedRowError(message)
        return paid_at

    def _disputed(self, bill: Bill, *, settled_at: datetime | None) -> Iterator[AnyClientEvent]:
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

    def _profiled(self, row: Row, bill: Bill) -> Iterator[AnyClientEvent]:
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
        terms = read_terms(self._cell(row, Meaning.TERMS_DAYS))
        local = issued_at.astimezone(self.plan.zone)
        # Terms such as "NAH4" are a code of the sender; the default holds.
        day = local.date() + timedelta(days=self.plan.terms_days) if terms is None else terms.due(local.date())
        return datetime.combine(day, SETTLED_AT, tzinfo=self.plan.zone).astimezone(UTC)

    def _before_due(self, row: Row) -> datetime | None:
        due_at = self._moment(row, Meaning.DUE_ON)
        return due_at and due_at - timedelta(days=self.plan.terms_days, hours=SETTLED_AT.hour - ISSUED_AT.hour)

    def _event_id(self, what: str, bill: Bill, *number: int) -> str:
        return derive("import", self.plan.source, what, bill.client_id, bill.invoice_id, *number)

    def _need(self, row: Row, meaning: Meaning) -> str:
        if cell := self._cell(row, meaning):
            return cell
        message = f"{self.plan.mapping[meaning]!r} is blank"
        raise RejectedRowError(message)

    def _cell(self, row: Row, meaning: Meaning) -> str:
        place = self.plan.places.get(meaning)
        return "" if place is None or place >= len(row.cells) else said(row.cells[place], meaning)

    def _moment(self, row: Row, meaning: Meaning) -> datetime | None:
        at = ISSUED_AT if meaning in (Meaning.ISSUED_ON, Meaning.RECORDED_ON) else SETTLED_AT
        text = self._cell(row, meaning)
        moment = read_day(text, order=self.plan.orders.get(meaning), zone=self.plan.zone, at=at)
        if moment is not None and not _EARLIEST_YEAR <= moment.year <= _LATEST_YEAR:
            message = f"{text!r} is no date of a book that is kept today ({_EARLIEST_YEAR} to {_LATEST_YEAR})"
            raise RejectedRowError(message)
        return moment

    def _owed(self, row: Row, meaning: Meaning, currency: str) -> Money | None:
        if Meaning.AMOUNT not in self.plan.mapping:
            return unit_of(currency)
        amount = self._money(row, meaning, currency)
        return Money(-amount.minor, currency) if amount and self.plan.turned else amount

    def _amount(self, row: Row, meaning: Meaning, bill: Bill) -> Money | None:
        return self._money(row, meaning, bill.amount.currency)

    def _money(self, row: Row, meaning: Meaning, currency: str) -> Money | None:
        text = self._need(row, meaning) if meaning is Meaning.AMOUNT else self._cell(row, meaning)
        return read_amount(text, currency=currency, mark=self.plan.mark, rounded=self.plan.for_figures)

    def _number(self, row: Row, meaning: Meaning) -> int | None:
        text = self._cell(row, meaning)
        if not text:
            return None
        found = _DAYS.fullmatch(text)
        if found is None:
            message = f"{text!r} in {self.plan.mapping[meaning]!r} is not a number of days"
            raise RejectedRowError(message)
        days = float(found["days"].replace(",", "."))
        return floor(-abs(days) if found["below"] else days)


def _rejection(row: Row, reason: str) -> Rejection:
    """Return why the row is left out: in a few words, and with its last line where a quote has swallowed the rows below."""
    reason = reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]} ..."
    more = sum(cell.count("\n") for cell in row.cells)
    goes_on = f"; the row goes on to line {row.line + more}: is a quote not closed?" if more >= _LONG_ROW else ""
    return Rejection(line=row.line, reason=reason + goes_on, cells=row.cells)
