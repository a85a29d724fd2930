"""The journeys as tables of frozen data: what is sent when, how it speaks, and what stops it. No rule lives here.

Days are calendar days; every contact waits for the next open hour of the client's own day. `after_days` counts from the
anchor for onboarding (the first payment), renewal (negative: before it) and the playbooks (the day their pattern was complete),
and from the previous step for delay support (from due date plus grace for its first step).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from models.events.payments import PaymentMethod
from models.events.signals import Purpose
from models.patterns import Pattern
from models.policy.timing import Anchor, Timing
from models.state.client import Segment
from models.triggers import AnyJourney, CancelWhen, Journey, Tone

_ALWAYS: Final = (CancelWhen.CONSENT_WITHDRAWN, CancelWhen.ON_HOLD, CancelWhen.CLIENT_ERASED)
_DELAY: Final = (CancelWhen.INVOICES_SETTLED, CancelWhen.INVOICES_DISPUTED, CancelWhen.INVOICES_PROMISED, *_ALWAYS)
_ONBOARDING: Final = (CancelWhen.PAYMENT_REVERSED, CancelWhen.INVOICES_DISPUTED, *_ALWAYS)
_RENEWAL: Final = (CancelWhen.CONTRACT_ENDED, CancelWhen.CONTRACT_RENEWED, CancelWhen.INVOICES_DISPUTED, *_ALWAYS)


class MissedRun(StrEnum):
    """What becomes of a step that is found only after its last day, because nothing ran when it was due.

    `latest`: it is left out, what is due now decides. `sequence`: it is taken when it is found, and what follows keeps its
    distance. `review`: a person looks first (support only). Support never goes further than one step past the last one sent.
    """

    LATEST = "latest"
    SEQUENCE = "sequence"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Step:
    """One contact of a journey; it may be sent up to `valid_days` after it became due. `why` is its reason in plain words.

    `missed` none: support is taken in sequence, of everything else only the latest.
    A receipt answers a payment at once: it takes no place in the contact budget and waits for none.
    `timing`: when it is due in a journey of the firm's own; there `after_days` says nothing.
    `unanswered_hours`: so long after it left, without an answer or payment, it may leave once more by another channel; 0: never.
    """

    id: str
    after_days: int
    valid_days: int
    tone: Tone
    purpose: Purpose
    cancel_when: tuple[CancelWhen, ...]
    why: str
    channel: str = "email"
    missed: MissedRun | None = None
    receipt: bool = False
    unanswered_hours: int = 0
    timing: Timing | None = None

    @property
    def if_missed(self) -> MissedRun:
        """What becomes of it when it is found too late."""
        return self.missed or (MissedRun.SEQUENCE if self.purpose is Purpose.SERVICING else MissedRun.LATEST)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Delay support for one segment: `human` asks a person; with `human_first` nothing is sent before a person was asked."""

    steps: tuple[Step, ...]
    human: Step
    human_first: bool = False


def _support(step: str, after_days: int, tone: Tone, why: str) -> Step:
    return Step(step, after_days, 5, tone, Purpose.SERVICING, _DELAY, why)


_PERSON: Final = Step(
    "personal_contact",
    0,
    10,
    Tone.GENTLE,
    Purpose.SERVICING,
    _DELAY,
    "a person asks first, before anything is sent",
    channel="task",
)

CONTACT_CHECK: Final = Step(
    "contact_check",
    0,
    14,
    Tone.GENTLE,
    Purpose.SERVICING,
    _DELAY,
    "a reliable client suddenly turns late: do invoices still reach the right person?",
    channel="task",
)

LADDER_END: Final = Step(
    "ladder_end",
    14,
    14,
    Tone.GENTLE,
    Purpose.SERVICING,
    _DELAY,
    "the ladder is at its end and money is open: a person decides how it goes on",
    channel="task",
)
"""So long after the last message of any ladder; `after_days` is also the rest that the last message has."""

INSTALMENT_LADDER: Final = Ladder(
    (
        _support("missed_instalment", 0, Tone.GENTLE, "an instalment has not come: say so once, gently, and offer other days"),
        Step(
            "plan_check",
            7,
            10,
            Tone.GENTLE,
            Purpose.SERVICING,
            _DELAY,
            "the instalment is still open: a person asks what has changed",
            channel="task",
        ),
    ),
    _PERSON,
)
"""What follows a missed instalment, whatever the client's segment: the plan shows good will, so the tone stays gentle."""

DELAY_LADDERS: Final[Mapping[Segment, Ladder]] = MappingProxyType(
    {
        Segment.NEW: Ladder(
            (
                _support("explain_terms", 0, Tone.EDUCATIONAL, "a new client may not know the terms and ways to pay yet"),
                _support("offer_help", 10, Tone.EDUCATIONAL, "still open: offer help, a plan or another way to pay"),
            ),
            _PERSON,
        ),
        Segment.RELIABLE: Ladder(
            (
                _support("friendly_note", 0, Tone.GENTLE, "a reliable client has probably overlooked it"),
                _support("offer_help", 10, Tone.GENTLE, "unusual for this client: offer help once, then leave it to a person"),
            ),
            _PERSON,
        ),
        Segment.SLOW: Ladder(
            (
                _support("clear_dates", 0, Tone.STRUCTURED, "this client pays in the end: clear dates help"),
                _support("offer_plan", 10, Tone.STRUCTURED, "still open: offer a plan or a later date"),
                _support("agree_date", 14, Tone.STRUCTURED, "still open: ask for one date to rely on"),
            ),
            _PERSON,
        ),
        Segment.PROBLEM: Ladder(
            (
                _support("firm_dates", 5, Tone.FIRM, "a person has asked: now clear dates and the ways out"),
                _support("last_offer", 10, Tone.FIRM, "still open: a last offer of a plan before people decide"),
            ),
            _PERSON,
            human_first=True,
        ),
    }
)

STATEMENT: Final = Step(
    "statement",
    0,
    7,
    Tone.GENTLE,
    Purpose.SERVICING,
    _DELAY,
    "what is too little for a message of its own, once a month and all together",
    missed=MissedRun.LATEST,
)

ONBOARDING_STEPS: Final = (
    Step("thank_you", 0, 5, Tone.GENTLE, Purpose.RELATIONSHIP, _ONBOARDING, "first payment: thanks and next steps", receipt=True),
    Step("outcome_check", 30, 14, Tone.GENTLE, Purpose.RELATIONSHIP, _ONBOARDING, "thirty days on: ask about outcomes"),
)

RENEWAL_STEPS: Final = (
    Step(
        "renewal_options", -14, 8, Tone.GENTLE, Purpose.RELATIONSHIP, _RENEWAL, "two weeks before billing: progress and options"
    ),
    Step("deferral_offer", -5, 3, Tone.GENTLE, Purpose.RELATIONSHIP, _RENEWAL, "budget timing may differ: offer to defer"),
)


@dataclass(frozen=True, slots=True)
class Season:
    """Days of every year, both included, as `MM-DD`; `first` after `last` goes over the New Year."""

    first: str
    last: str

    def holds(self, day: str) -> bool:
        """Say whether `day` (`MM-DD`) lies in it."""
        if self.first <= self.last:
            return self.first <= day <= self.last
        return day >= self.first or day <= self.last


@dataclass(frozen=True, slots=True)
class CliffEntry:
    """A contract renews in one of the `seasons` in which many do."""

    seasons: tuple[Season, ...] = (Season("06-15", "06-30"), Season("12-10", "12-31"))


@dataclass(frozen=True, slots=True)
class SurgeEntry:
    """At least `payments` arrived in the `season` that has just ended, twice as fast as in the rest of the year before it."""

    season: Season = Season("01-10", "04-20")
    payments: int = 4


@dataclass(frozen=True, slots=True)
class PatternEntry:
    """A named pattern in the client's rhythm has become complete (see models.patterns)."""

    pattern: Pattern


class Size(StrEnum):
    """The class of an amount, by the policy's limits for micro and large payments."""

    MICRO = "micro"
    STANDARD = "standard"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class OwnEntry:
    """What begins a journey of the firm's own: an event, named by its anchor, where every condition that is given holds.

    Of several values in one condition one is enough. `exits` end it early, besides what must. `once`: never again for a client.
    """

    anchor: Anchor
    segments: tuple[Segment, ...] = ()
    service_lines: tuple[str, ...] = ()
    contract_types: tuple[str, ...] = ()
    methods: tuple[PaymentMethod, ...] = ()
    sizes: tuple[Size, ...] = ()
    pattern: Pattern | None = None
    exits: tuple[CancelWhen, ...] = ()
    once: bool = False
    title: str = ""
    audiences: tuple[str, ...] = ()


Entry: TypeAlias = CliffEntry | SurgeEntry | PatternEntry | OwnEntry


@dataclass(frozen=True, slots=True)
class Playbook:
    """A journey that begins with a pattern. One run per occurrence of it, and none within `cooldown_days` of the one before."""

    journey: AnyJourney
    entry: Entry
    steps: tuple[Step, ...]
    cooldown_days: int
    enabled: bool = True


_CHECK: Final = (CancelWhen.PATTERN_ENDED, CancelWhen.INVOICES_DISPUTED, *_ALWAYS)
_QUIET: Final = (CancelWhen.INVOICES_DISPUTED, *_ALWAYS)


_ENDING: Final = frozenset({Pattern.WIDENING_GAP, Pattern.DECLINE_STREAK})
"""Patterns that are over when a payment comes, or another way of paying."""


def cancels_of(entry: Entry) -> tuple[CancelWhen, ...]:
    """Return what must stop a message of a playbook, by what begins it."""
    match entry:
        case CliffEntry():
            return _RENEWAL
        case PatternEntry(pattern=pattern) if pattern in _ENDING:
            return _CHECK
        case OwnEntry(anchor=anchor, exits=exits):
            required = {Anchor.PAYMENT: _ONBOARDING, Anchor.RENEWAL: _RENEWAL}.get(anchor, _QUIET)
            return (*(predicate for predicate in exits if predicate not in required), *required)
        case SurgeEntry() | PatternEntry():
            return _QUIET


def _care(
    step: str, after_days: int, valid_days: int, cancels: tuple[CancelWhen, ...], why: str, *, channel: str = "email"
) -> Step:
    return Step(step, after_days, valid_days, Tone.GENTLE, Purpose.RELATIONSHIP, cancels, why, channel=channel)


PLAYBOOKS: Final = (
    Playbook(
        Journey.RENEWAL_CLIFF,
        CliffEntry(),
        (_care("early_planning", -45, 14, _RENEWAL, "many renew in these weeks: plan before the rush"),),
        cooldown_days=80,
    ),
    Playbook(
        Journey.SEASON_CLEANUP,
        SurgeEntry(),
        (_care("tidy_up", 7, 21, _QUIET, "the season is over: help to put things in order, no offer"),),
        cooldown_days=300,
    ),
    Playbook(
        Journey.BANK_DEBIT,
        PatternEntry(Pattern.DECLINE_STREAK),
        (_care("steadier_way", 2, 21, _CHECK, "cards fail more often: bank debit would spare the trouble"),),
        cooldown_days=180,
    ),
    Playbook(
        Journey.BURST_CHECKIN,
        PatternEntry(Pattern.SMALL_BURST),
        (_care("how_is_it_going", 2, 14, _QUIET, "many small payments at once: ask how it goes before offering anything"),),
        cooldown_days=90,
    ),
    Playbook(
        Journey.GAP_CHECKIN,
        PatternEntry(Pattern.WIDENING_GAP),
        (
            _care("keeping_in_touch", 0, 14, _CHECK, "quiet for longer than usual: ask, and expect nothing"),
            _care("personal_word", 21, 14, _CHECK, "still quiet: a colleague who knows the client decides", channel="task"),
        ),
        cooldown_days=180,
    ),
)


@dataclass(frozen=True, slots=True)
class Statement:
    """The monthly statement: it may leave from this `day` of the month on, or from the next business day; 0: never."""

    day: int = 0
    step: Step = STATEMENT


@dataclass(frozen=True, slots=True)
class Journeys:
    """All tables a policy uses."""

    delay: Mapping[Segment, Ladder] = field(default_factory=lambda: DELAY_LADDERS)
    onboarding: tuple[Step, ...] = ONBOARDING_STEPS
    renewal: tuple[Step, ...] = RENEWAL_STEPS
    playbooks: tuple[Playbook, ...] = PLAYBOOKS
    contact_check: Step = CONTACT_CHECK
    ladder_end: Step = LADDER_END
    instalment: Ladder = INSTALMENT_LADDER
    own: tuple[Playbook, ...] = ()
    statement: Statement = Statement()

    @property
    def every_playbook(self) -> tuple[Playbook, ...]:
        """The playbooks, and the journeys of the firm's own."""
        return (*self.playbooks, *self.own) if self.own else self.playbooks

    def all_steps(self) -> Iterator[Step]:
        """Yield every step there is, those for a person included."""
        yield from (step for _, step in self.named_steps())

    def named_steps(self) -> Iterator[tuple[AnyJourney, Step]]:
        """Yield every step with its journey."""
        for ladder in (*self.delay.values(), self.instalment):
            yield from ((Journey.DELAY_SUPPORT, step) for step in (*ladder.steps, ladder.human))
        yield from ((Journey.ONBOARDING, step) for step in self.onboarding)
        yield from ((Journey.RENEWAL, step) for step in self.renewal)
        yield from ((Journey.DELAY_SUPPORT, step) for step in (self.contact_check, self.ladder_end))
        yield Journey.STATEMENT, self.statement.step
        for playbook in self.every_playbook:
            yield from ((playbook.journey, step) for step in playbook.steps)
