"""The rows of a client's ledger: invoices, payments and the claims on them (see models.state.client for times and money)."""

from typing import Final

import msgspec

from models.events.payments import PaymentMethod

METHODS: Final = tuple(PaymentMethod)


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The part of a payment that names one invoice."""

    invoice_id: str
    minor: int
    at: int


class Reduction(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Money of a payment that went back: `taken` by a refund or chargeback, `returned` by its reversal, both of one invoice."""

    reduction_id: str
    taken: int = 0
    returned: int = 0
    chargeback: bool = False
    taken_at: int = 0
    returned_at: int = 0
    invoice_id: str = ""


class Payment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One payment in one currency, whatever arrived of it first.

    `whole` is what was reported without an invoice; parts that name invoices consume it, so a payment reported both ways
    counts once. A payment that bears the name of its invoice is a settlement: "paid, by whatever means". `covered` is what
    payments with names of their own account for; only the rest of a settlement is money.
    """

    payment_id: str
    currency: str
    method: int = 0
    whole: int = 0
    whole_at: int = 0
    parts: tuple[Part, ...] = ()
    reductions: tuple[Reduction, ...] = ()
    failed_at: int = 0
    pending: int = 0
    pending_at: int = 0
    pending_invoice: str = ""
    expected_ms: int = 0
    touched_ms: int = 0
    method_at: int = 0
    covered: int = 0


class Invoice(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One invoice. `issued_at` 0 means that facts about it arrived before it did; it is then parked and owes nothing.

    `paid`, `credited`, `charged_back`, `refunded` and `settled_ms` are derived from the rows that name it, `carried_...` is what
    rows that have collapsed since had brought, and `carried_at` when the last money of that came (0: not known). `minor_at` and
    `due_at` count half milliseconds (see models.state.invoices).
    """

    invoice_id: str
    currency: str = ""
    minor: int = 0
    minor_at: int = 0
    due_ms: int = 0
    due_at: int = 0
    issued_ms: int = 0
    issued_at: int = 0
    seen_ms: int = 0
    voided_at: int = 0
    written_off_at: int = 0
    amended_at: int = 0
    paid: int = 0
    credited: int = 0
    charged_back: int = 0
    refunded: int = 0
    settled_ms: int = 0
    expected_ms: int = 0
    expected_at: int = 0
    service_line: str = ""
    contract_id: str = ""
    lines: int = 1
    touched_ms: int = 0
    carried_paid: int = 0
    carried_credit: int = 0
    carried_refunded: int = 0
    carried_charged: int = 0
    carried_at: int = 0


class Credit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A credit note; `invoice_id` empty: on account. Voided before it arrived: `minor` is still 0."""

    credit_note_id: str
    invoice_id: str = ""
    currency: str = ""
    minor: int = 0
    at: int = 0
    voided: bool = False
    touched_ms: int = 0


class Dispute(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A dispute; `minor` 0 contests everything it names. A lost one keeps its amount out of collection for good.

    `reason` and `cause` are what the client says of it, kept while it is open.
    """

    dispute_id: str
    invoice_id: str = ""
    currency: str = ""
    minor: int = 0
    opened_at: int = 0
    closed_at: int = 0
    lost: bool = False
    touched_ms: int = 0
    reason: str = ""
    cause: str = ""


class Promise(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A promise to pay by `promised_ms`; `minor` 0 promises everything it names."""

    promise_id: str
    invoice_id: str = ""
    currency: str = ""
    minor: int = 0
    promised_ms: int = 0
    made_at: int = 0
    withdrawn_at: int = 0
    judged: bool = False
    touched_ms: int = 0


class Plan(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Instalments agreed for one invoice: (due, minor units), by day. Cancelled before it arrived: there are no `parts` yet.

    `told_ms` is the day of the missed instalment for which it was said that the plan holds no more.
    """

    plan_id: str
    invoice_id: str = ""
    currency: str = ""
    parts: tuple[tuple[int, int], ...] = ()
    agreed_at: int = 0
    cancelled_at: int = 0
    told_ms: int = 0
    touched_ms: int = 0


class Totals(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What collapsed rows of one currency added up to; with the rows kept, every minor unit is accounted for."""

    currency: str
    invoices: int = 0
    payments: int = 0
    invoiced: int = 0
    received: int = 0
    applied: int = 0
    refunded: int = 0
    charged_back: int = 0
    credited: int = 0
    on_account: int = 0
    written_off: int = 0


class Ledger(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Money: open items in full, closed ones while they may still change, the rest as totals."""

    invoices: tuple[Invoice, ...] = ()
    payments: tuple[Payment, ...] = ()
    credits: tuple[Credit, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    promises: tuple[Promise, ...] = ()
    totals: tuple[Totals, ...] = ()
    plans: tuple[Plan, ...] = ()
