"""What is remembered of one client: frozen, compact, bounded. Times are epoch milliseconds, money is integer minor units.

A zero time means "never" and an empty text "not known", so that a state stays small. Every register that the latest fact
wins carries the `occurred_at` of that fact beside it (`..._at`), which makes the order of arrival irrelevant.
"""

from enum import IntEnum, StrEnum
from typing import Final

import msgspec

from models.events.payments import PaymentMethod
from models.events.signals import Purpose
from models.triggers import CancelWhen, Journey

METHODS: Final = tuple(PaymentMethod)
PURPOSES: Final = tuple(Purpose)
JOURNEYS: Final = tuple(Journey)
PREDICATES: Final = tuple(CancelWhen)


class Segment(StrEnum):
    """How a client pays, by transparent rules."""

    NEW = "new"
    RELIABLE = "reliable"
    SLOW = "slow"
    PROBLEM = "problem"


class TimerKind(IntEnum):
    """What becomes due, in order of precedence: support in a delay goes before onboarding, onboarding before renewal."""

    PROMISE = 0
    SEGMENT = 1
    DELAY = 2
    ONBOARDING = 3
    RENEWAL = 4


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The part of a payment that names one invoice."""

    invoice_id: str
    minor: int
    at: int


class Reduction(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Money of a payment that went back: `taken` by a refund or chargeback, `returned` by its reversal."""

    reduction_id: str
    taken: int = 0
    returned: int = 0
    chargeback: bool = False


class Payment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One payment in one currency, whatever arrived of it first.

    `whole` is what was reported without an invoice; parts that name invoices consume it, so a payment reported both ways
    counts once.
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


class Invoice(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One invoice. `issued_at` 0 means that facts about it arrived before it did; it is then parked and owes nothing.

    `paid`, `credited`, `charged_back`, `refunded` and `settled_ms` are derived from the rows that name it, `carried_...` is what
    rows that have collapsed since had brought. `minor_at` and `due_at` count half milliseconds (see models.state.invoices).
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
    """A dispute; `minor` 0 contests everything it names. A lost one keeps its amount out of collection for good."""

    dispute_id: str
    invoice_id: str = ""
    currency: str = ""
    minor: int = 0
    opened_at: int = 0
    closed_at: int = 0
    lost: bool = False
    touched_ms: int = 0


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


class Totals(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What collapsed rows of one currency added up to; with the rows kept, every minor unit is accounted for."""

    currency: str
    invoices: int = 0
    payments: int = 0
    invoiced: int = 0
    received: int = 0
    applied: int = 0
    unapplied: int = 0
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


class Bucket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Sums of one day (or one week, in the tail) in one currency, by event time. `day` counts from 1970-01-01 UTC."""

    day: int
    currency: str
    payments: int = 0
    money_in: int = 0
    reductions: int = 0
    money_out: int = 0
    invoices: int = 0
    invoiced: int = 0
    declines: int = 0


class Label(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How one invoice ended: settled when, how many days after due, and whether the firm gave up on it."""

    settled_ms: int
    days_late: int
    minor: int
    currency: str
    written_off: bool = False


class Rhythm(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How the client pays: windows, cadence, methods, declines, lateness."""

    buckets: tuple[Bucket, ...] = ()
    pay_days: tuple[int, ...] = ()
    methods: tuple[int, ...] = ()
    failures: tuple[int, ...] = ()
    last_paid_ms: int = 0
    next_retry_ms: int = 0
    retry_at: int = 0
    labels: tuple[Label, ...] = ()
    labelled: int = 0
    late: int = 0
    written_off: int = 0
    disputes: tuple[int, ...] = ()


class Field(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One fact of the profile and when it was stated."""

    value: str = ""
    at: int = 0


class Consent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The latest word on one purpose; `channel` empty: every channel."""

    purpose: int
    channel: str
    granted: bool
    at: int


class Suppression(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A channel that must not be used: the address does not exist (`hard`), or the client complained (`complaint`)."""

    channel: str
    cause: str
    at: int


class Override(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A relationship manager's word, until `expires_ms`. Cleared before it arrived: `set_at` is still 0."""

    override_id: str
    effect: str = ""
    value: str = ""
    journey: str = ""
    author: str = ""
    reason: str = ""
    set_at: int = 0
    expires_ms: int = 0
    cleared_at: int = 0


class Contract(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is agreed with the client; the latest record holds."""

    contract_id: str
    status: str
    contract_type: str
    service_line: str
    started_ms: int
    renews_ms: int
    minor: int
    currency: str
    at: int


class Person(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who the client is and what they allow."""

    name: Field = Field()
    email: Field = Field()
    phone: Field = Field()
    timezone: Field = Field()
    country: Field = Field()
    locale: Field = Field()
    consents: tuple[Consent, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    overrides: tuple[Override, ...] = ()
    contracts: tuple[Contract, ...] = ()


class Run(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where the client stands in one journey about one anchor.

    `stage` counts the steps taken, `epoch` the times a step became due anew (a retraction, a broken promise), `ready_ms` is the
    earliest moment of the next step, `told` names the silence already explained for it, `human` says that a person was asked.
    """

    journey: int
    anchor: str
    stage: int = 0
    epoch: int = 0
    ready_ms: int = 0
    told: str = ""
    human: bool = False
    started_ms: int = 0
    subject: str = ""
    closed: bool = False
    attempts: int = 0


class Pending(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A trigger that left and whose fate is not known yet; `asked` is the money it names, in minor units."""

    trigger_id: str
    journey: int
    anchor: str
    step: str
    channel: str
    purpose: int
    not_before_ms: int
    expires_ms: int
    cancel_when: tuple[int, ...]
    invoice_ids: tuple[str, ...] = ()
    contract_id: str = ""
    payment_id: str = ""
    asked: int = 0
    retracted: bool = False
    advances: bool = True


class Timer(msgspec.Struct, frozen=True, array_like=True, gc=False, order=True):
    """Something that becomes due without an event. Recomputed from the rest of the state after every event.

    `kind` is a `TimerKind`; of two at the same moment the lower goes first.
    """

    due_ms: int
    kind: int
    anchor: str = ""


class Note(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A short copy of a recent decision, for `rapport inspect`."""

    at_ms: int
    outcome: str
    what: str
    reason: str


class Care(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Segment, journeys, contacts and what was decided lately."""

    segment: Segment = Segment.NEW
    segment_since_ms: int = 0
    candidate: Segment = Segment.NEW
    candidate_since_ms: int = 0
    alarm_ms: int = 0
    onboarded: bool = False
    runs: tuple[Run, ...] = ()
    pending: tuple[Pending, ...] = ()
    timers: tuple[Timer, ...] = ()
    contacts: tuple[int, ...] = ()
    last_human_ms: int = 0
    notes: tuple[Note, ...] = ()


class Forgotten(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How much of each bounded memory was given up: counted, never silent."""

    ids: int = 0
    facts: int = 0
    parked: int = 0
    rows: int = 0
    late: int = 0
    repeats: int = 0
    conflicts: int = 0


class Memory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What makes repeated deliveries and repeated facts harmless (see models.state.memory)."""

    ring: bytes = b""
    evicted_ms: int = 0
    closed: bytes = b""
    tidied_ms: int = 0
    forgotten: Forgotten = Forgotten()


class ClientState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Everything the program knows of one client. `now_ms` is the client's logical clock; it never runs backwards."""

    client_id: str
    now_ms: int = 0
    first_seen_ms: int = 0
    erased_ms: int = 0
    events: int = 0
    ledger: Ledger = Ledger()
    rhythm: Rhythm = Rhythm()
    person: Person = Person()
    care: Care = Care()
    memory: Memory = Memory()
