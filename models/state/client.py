"""What is remembered of one client: frozen, compact, bounded. Times are epoch milliseconds, money is integer minor units.

A zero time means "never" and an empty text "not known", so that a state stays small. Every register that the latest fact
wins carries the `occurred_at` of that fact beside it (`..._at`), which makes the order of arrival irrelevant.
"""

from enum import IntEnum, StrEnum
from typing import Final

import msgspec

from models.events.signals import Purpose
from models.journey_names import PLACES, AnyJourney, Journey, OwnJourney, Placed
from models.state.approvals import Approval
from models.state.habits import Habits
from models.state.identity import Identity
from models.state.renewals import Renewals
from models.state.rhythm import Rhythm
from models.state.rows import Ledger
from models.state.stays import Stay
from models.triggers import CancelWhen

PURPOSES: Final = tuple(Purpose)
JOURNEYS: Final = tuple(Journey)
PREDICATES: Final = tuple(CancelWhen)
OWN: Final = 127
"""In the place of a journey: one of the firm's own. Its name begins the anchor, so that states need no field for it."""


class Segment(StrEnum):
    """How a client pays, by transparent rules."""

    NEW = "new"
    RELIABLE = "reliable"
    SLOW = "slow"
    PROBLEM = "problem"


class TimerKind(IntEnum):
    """What becomes due, in order of precedence: tasks that expire, support, onboarding, renewal, playbooks, then statements."""

    PROMISE = 0
    SEGMENT = 1
    DELAY = 2
    ONBOARDING = 3
    RENEWAL = 4
    QUESTION = 5
    PLAYBOOK = 6
    PLAN = 7
    UNANSWERED = 8
    STATEMENT = 9
    TASK = -1  # what nobody has done is said before what follows from it


class Field(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One fact of the profile and when it was stated; of the time zone also `by` which source."""

    value: str = ""
    at: int = 0
    by: str = ""


class Consent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The latest word on one purpose; `channel` empty: every channel."""

    purpose: int
    channel: str
    granted: bool
    at: int


class Suppression(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A channel that must not be used: no such address (`hard`), the wrong person there (`wrong_contact`), a `complaint`.

    `reader_complained` is a complaint by who reads at the address, about a message to another client that has it too.
    `purpose` is the index of the one it holds for, -1: every one. With a `role` it is about the address of that person alone.
    """

    channel: str
    cause: str
    at: int
    purpose: int = -1
    role: str = ""


class Rest(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A channel that took nothing lately: it rests until `until_ms`; `times` counts the soft bounces in a row."""

    channel: str
    until_ms: int = 0
    times: int = 0


class Reaction(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Messages that left on a channel, and how many of them the client answered, read or paid upon.

    `asked_ms` is when one that asks for money last left and was not reacted to yet, 0: there is none.
    """

    channel: str
    sent: int = 0
    reacted: int = 0
    asked_ms: int = 0


class Risk(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What somebody outside says of the client's payments: `weight` in hundredths, -100 to 100, until `expires_ms`."""

    at: int
    weight: int
    expires_ms: int
    reporter: str
    reason: str


class Override(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A relationship manager's word, until `expires_ms`. Cleared before it arrived: `set_at` is still 0.

    `reasoned_at` is when it was last cleared with a reason, as a legal hold has to be; -1: that was not kept.
    """

    override_id: str
    effect: str = ""
    value: str = ""
    journey: str = ""
    author: str = ""
    reason: str = ""
    set_at: int = 0
    expires_ms: int = 0
    cleared_at: int = 0
    invoice_id: str = ""
    reasoned_at: int = -1


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
    cost: int = 0
    """What winning the client cost, in minor units of `currency`; 0: it was not told with this contract."""


class Colleague(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A person at the client, by role; empty texts where nothing was said."""

    role: str
    name: str = ""
    email: str = ""
    phone: str = ""
    locale: str = ""


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
    rests: tuple[Rest, ...] = ()
    reactions: tuple[Reaction, ...] = ()
    style: Field = Field()
    industry: Field = Field()
    colleagues: tuple[Colleague, ...] = ()
    colleagues_at: int = 0
    pace: int = 0
    pace_at: int = 0
    risk: Risk | None = None
    channel: Field = Field()
    hours: Field = Field()
    statements: Field = Field()


class Run(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where the client stands in one journey about one anchor.

    `stage` is the place behind the furthest step taken, and `passed` has a bit for each place before it that was not (see
    models.state.runs); `epoch` counts the times a step became due anew (a retraction, a broken promise), `ready_ms` is the
    earliest moment of the next step, `told` names the silence already explained for it, `human` says that a person was asked,
    `sent_ms` is when a message about the anchor last left, `waited` the step (from 1) at which an experiment's arm has waited,
    `decide_ms` is when a person was asked to decide at the end of a ladder, `tried_ms` when one last tried to speak with them,
    `last` says that the last message of a ladder has named the anchor, whatever its own stage, `anchored` is where what a run of
    the firm's own counts from was last seen: issue and due date of its invoice, or the promised day, `begun_under` is the policy
    under which it began, where it was moved to the one it is `pinned` to.
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
    sent_ms: int = 0
    pinned: str = ""
    waited: int = 0
    decide_ms: int = 0
    tried_ms: int = 0
    last: bool = False
    anchored: tuple[int, ...] = ()
    begun_under: str = ""
    passed: int = 0


class Pending(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A trigger that left and whose fate is not known yet; `asked` is the money it names, in minor units.

    Of a message about several currencies `asked_in` has each with its money, and `asked` is that of the first alone.
    Taken back, it is kept until a worker has acknowledged that: `because` is the index of the predicate, which counts only then.
    `approved` says that a person has seen it, `told` names what holds it back and was explained already.
    """

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
    retracted_ms: int = 0
    because: int = 0
    asked_in: tuple[tuple[str, int], ...] = ()
    person: str = ""
    free: bool = False
    tone: str = ""
    approved: bool = False
    told: str = ""


class Unanswered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message that left at `left_ms`; if the client is silent it may leave once more, by another channel, from `ready_ms` on.

    `stage` and `epoch` are its run's when it left, `told` names the silence explained, `again` is the trigger that said it again.
    """

    message: Pending
    stage: int
    epoch: int
    left_ms: int
    ready_ms: int
    told: str = ""
    again: str = ""


def journey_of(row: Placed) -> AnyJourney:
    """Return the journey of a run or of a message."""
    return JOURNEYS[row.journey] if row.journey != OWN else OwnJourney(row.anchor.partition(":")[0])


def place_of(journey: AnyJourney) -> int:
    """Return what runs and messages keep in the place of their journey."""
    return PLACES[journey] if isinstance(journey, Journey) else OWN


def own_anchor(journey: AnyJourney, about: str) -> str:
    """Return the anchor of a run about `about`: in a journey of the firm's own its name goes before."""
    return about if isinstance(journey, Journey) else f"{journey}:{about}"


def about_of(row: Placed) -> str:
    """Return what a run or a message is about: its anchor, without the name of a journey of the firm's own."""
    return row.anchor.partition(":")[2] if row.journey == OWN else row.anchor


class Timer(msgspec.Struct, frozen=True, array_like=True, gc=False, order=True):
    """Something that becomes due without an event, recomputed after each; of two at a moment the lower `kind` goes first."""

    due_ms: int
    kind: int
    anchor: str = ""


class Note(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A short copy of a recent decision, for `rapport inspect`."""

    at_ms: int
    outcome: str
    what: str
    reason: str


class Spoken(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A contact with one person at the client, by role."""

    at_ms: int
    person: str


class Assigned(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The arm of an experiment a company was drawn into at its first exposure, with the stratum it was in then."""

    experiment: str
    key: str
    arm: str
    stratum: str
    at_ms: int = 0


class Care(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Segment, journeys, contacts and what was decided lately.

    `answers` are fading counts (hundredths) of the client's answers by part of the day (see models.policy.hours), `tasks` what
    colleagues have and have not ended, `replied_ms` when the client last wrote to us and no task about it has ended since (or
    `replies`: about which invoice), `asked` when it last asked for each `Request`, `stays` where it stands with audiences.
    """

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
    assigned: tuple[Assigned, ...] = ()
    approvals: tuple[Approval, ...] = ()
    spoken: tuple[Spoken, ...] = ()
    unanswered: tuple[Unanswered, ...] = ()
    heard_ms: int = 0
    answers: tuple[int, ...] = ()
    tasks: tuple[Pending, ...] = ()
    replied_ms: int = 0
    asked: tuple[int, ...] = ()
    stays: tuple[Stay, ...] = ()
    replies: tuple[tuple[int, str], ...] = ()


class Forgotten(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How much of each bounded memory was given up: counted, never silent."""

    ids: int = 0
    facts: int = 0
    parked: int = 0
    rows: int = 0
    repeats: int = 0


class Memory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What makes repeated deliveries and repeated facts harmless (see models.state.memory)."""

    ring: bytes = b""
    evicted_ms: int = 0
    closed: bytes = b""
    tidied_ms: int = 0
    forgotten: Forgotten = Forgotten()


class ClientState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Everything the program knows of one client. `now_ms` is the client's logical clock; it never runs backwards.

    `feeds` are the sources through which the client's payments came, for when one of them is late.
    """

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
    habits: Habits = Habits()
    renewals: Renewals = Renewals()
    feeds: tuple[str, ...] = ()
    identity: Identity = Identity()
