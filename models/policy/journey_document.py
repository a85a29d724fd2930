"""The journeys of a policy as people write them: steps, ladders per segment, and playbooks with what begins them."""

from types import MappingProxyType
from typing import Annotated, Final, TypeAlias

from pydantic import Field, StringConstraints

from models.events.signals import Purpose
from models.patterns import Pattern
from models.policy.document_parts import Days, Name, Section, Times, Words
from models.policy.journeys import (
    CliffEntry,
    Entry,
    Journeys,
    Ladder,
    MissedRun,
    OwnEntry,
    PatternEntry,
    Playbook,
    Season,
    Statement,
    Step,
    SurgeEntry,
    cancels_of,
)
from models.state.client import Segment
from models.triggers import AnyJourney, CancelWhen, Journey, Tone

_JOURNEYS: Final = Journeys()
SUPPORT_CANCELS: Final = _JOURNEYS.delay[Segment.NEW].human.cancel_when
ONBOARDING_CANCELS: Final = _JOURNEYS.onboarding[0].cancel_when
RENEWAL_CANCELS: Final = _JOURNEYS.renewal[0].cancel_when
_Day: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$|^(0[13-9]|1[0-2])-(29|30)$|^(0[13578]|1[02])-31$")
]


class StepDocument(Section):
    """One contact. `purpose` and `cancel_when` are the journey's unless they are given."""

    id: Name = Field(description="Its name; with the tone it chooses the template.")
    after_days: Annotated[int, Field(ge=-400, le=400)] = Field(
        description="Days from the step before (support) or from the anchor (others: negative is before it)."
    )
    valid_days: Annotated[int, Field(ge=1, le=90)] = Field(description="It may still be sent this many days after it was due.")
    tone: Tone
    why: Words = Field(description="Its reason, in words for people.")
    channel: Name = "email"
    receipt: bool = Field(
        default=False, description="It answers a payment at once: it waits for no contact budget and takes none."
    )
    purpose: Purpose | None = None
    cancel_when: tuple[CancelWhen, ...] | None = None
    missed: MissedRun | None = Field(
        default=None,
        description="When it is found after its last day, because nothing ran: `latest` leaves it out, `sequence` takes it then"
        " and what follows keeps its distance, `review` asks a person first (support only). None: support `sequence`, else"
        " `latest`.",
    )
    unanswered_hours: Annotated[int, Field(ge=0, le=24 * 60)] = Field(
        default=0,
        description="So many hours after it left, without an answer or payment, it may leave once more by another of"
        " contact.fallback_channels, within valid_days and the contact budget (72: three days; support only). 0: never.",
    )


Steps: TypeAlias = Annotated[tuple[StepDocument, ...], Field(min_length=1, max_length=12)]


class LadderDocument(Section):
    """Support for one segment, step by step. With `person_first` a colleague asks before anything is sent."""

    person_first: bool = False
    person: StepDocument | None = Field(default=None, description="What a colleague is asked to do; none: the journey's.")
    steps: Steps


class Ladders(Section):
    """A ladder for each segment."""

    new: LadderDocument
    reliable: LadderDocument
    slow: LadderDocument
    problem: LadderDocument


class SupportJourney(Section):
    """Support while money is late: a ladder per segment."""

    purpose: Purpose = Purpose.SERVICING
    cancel_when: tuple[CancelWhen, ...] = SUPPORT_CANCELS
    person: StepDocument = Field(description="What a colleague is asked to do when a person goes first.")
    contact_check: StepDocument = Field(
        default_factory=lambda: _step_document(_JOURNEYS.contact_check, (Purpose.SERVICING, SUPPORT_CANCELS)),
        description="What a colleague is asked to do besides when a reliable client suddenly turns late.",
    )
    ladder_end: StepDocument = Field(
        default_factory=lambda: _step_document(_JOURNEYS.ladder_end, (Purpose.SERVICING, SUPPORT_CANCELS)),
        description="What a colleague is asked to decide, so long after the last message of a ladder, while money is open.",
    )
    instalment: LadderDocument = Field(
        default_factory=lambda: _instalment_document(_JOURNEYS),
        description="What follows an instalment that was not paid, whatever the client's segment.",
    )
    ladders: Ladders


class StatementJourney(Section):
    """What is too little for a message of its own, told once a month and all together."""

    day: Annotated[int, Field(ge=0, le=28)] = Field(
        default=_JOURNEYS.statement.day,
        description="It may leave from this day of the month on, or from the next business day of the client's country (1: the"
        " first business day). 0: never.",
    )
    purpose: Purpose = Purpose.SERVICING
    cancel_when: tuple[CancelWhen, ...] = SUPPORT_CANCELS
    step: StepDocument = Field(
        default_factory=lambda: _step_document(_JOURNEYS.statement.step, (Purpose.SERVICING, SUPPORT_CANCELS)),
        description="The message; `after_days` says nothing here.",
    )


class OnboardingJourney(Section):
    """Care after a first payment; `after_days` counts from that payment."""

    purpose: Purpose = Purpose.RELATIONSHIP
    cancel_when: tuple[CancelWhen, ...] = ONBOARDING_CANCELS
    steps: Steps


class RenewalJourney(Section):
    """Care before a contract renews; `after_days` counts from that day and is negative."""

    purpose: Purpose = Purpose.RELATIONSHIP
    cancel_when: tuple[CancelWhen, ...] = RENEWAL_CANCELS
    steps: Steps


class SeasonDocument(Section):
    """Days of every year, both included, as month and day."""

    first: _Day
    last: _Day


class CliffDocument(Section):
    """Begins when a contract renews in one of these seasons; `after_days` counts from the renewal and is negative."""

    seasons: Annotated[tuple[SeasonDocument, ...], Field(min_length=1, max_length=6)]


class SurgeDocument(Section):
    """Begins when a season has ended in which so many payments came, twice the usual pace; `after_days` counts from its end."""

    season: SeasonDocument
    payments: Times


class PatternDocument(Section):
    """Begins when a named pattern is complete (`rapport inspect client` shows them); `after_days` counts from then."""

    pattern: Pattern


EntryDocument: TypeAlias = CliffDocument | SurgeDocument | PatternDocument


class PlaybookDocument(Section):
    """Care that begins with a pattern, a season or a crowded renewal. One run per occurrence, none within `cooldown_days`."""

    enabled: bool = True
    entry: EntryDocument
    cooldown_days: Days
    purpose: Purpose = Purpose.RELATIONSHIP
    cancel_when: tuple[CancelWhen, ...] | None = Field(default=None, description="None: what its entry calls for.")
    steps: Steps


def _instalment_document(journeys: Journeys) -> LadderDocument:
    return _ladder_document(journeys.instalment, journeys.delay[Segment.NEW].human)


def _ladder_document(ladder: Ladder, person: Step) -> LadderDocument:
    home = (Purpose.SERVICING, SUPPORT_CANCELS)
    return LadderDocument(
        person_first=ladder.human_first,
        person=None if ladder.human == person else _step_document(ladder.human, home),
        steps=tuple(_step_document(step, home) for step in ladder.steps),
    )


def _support_document(journeys: Journeys) -> SupportJourney:
    person = journeys.delay[Segment.NEW].human
    home = (Purpose.SERVICING, SUPPORT_CANCELS)
    ladders = {segment.value: _ladder_document(ladder, person) for segment, ladder in journeys.delay.items()}
    return SupportJourney(
        person=_step_document(person, home),
        contact_check=_step_document(journeys.contact_check, home),
        ladder_end=_step_document(journeys.ladder_end, home),
        instalment=_instalment_document(journeys),
        ladders=Ladders.model_validate(ladders),
    )


def _onboarding_document(journeys: Journeys) -> OnboardingJourney:
    home = (Purpose.RELATIONSHIP, ONBOARDING_CANCELS)
    return OnboardingJourney(steps=tuple(_step_document(step, home) for step in journeys.onboarding))


def _renewal_document(journeys: Journeys) -> RenewalJourney:
    home = (Purpose.RELATIONSHIP, RENEWAL_CANCELS)
    return RenewalJourney(steps=tuple(_step_document(step, home) for step in journeys.renewal))


def _step_document(step: Step, home: tuple[Purpose, tuple[CancelWhen, ...]]) -> StepDocument:
    purpose, cancels = home
    return StepDocument(
        id=step.id,
        after_days=step.after_days,
        valid_days=step.valid_days,
        tone=step.tone,
        why=step.why,
        channel=step.channel,
        receipt=step.receipt,
        purpose=None if step.purpose is purpose else step.purpose,
        cancel_when=None if step.cancel_when == cancels else step.cancel_when,
        missed=step.missed,
        unanswered_hours=step.unanswered_hours,
    )


def _playbook_document(playbook: Playbook) -> PlaybookDocument:
    home = (Purpose.RELATIONSHIP, cancels_of(playbook.entry))
    return PlaybookDocument(
        enabled=playbook.enabled,
        entry=_entry_document(playbook.entry),
        cooldown_days=playbook.cooldown_days,
        steps=tuple(_step_document(step, home) for step in playbook.steps),
    )


def _entry_document(entry: Entry) -> EntryDocument:
    match entry:
        case CliffEntry(seasons=seasons):
            return CliffDocument(seasons=tuple(SeasonDocument(first=row.first, last=row.last) for row in seasons))
        case SurgeEntry(season=season, payments=payments):
            return SurgeDocument(season=SeasonDocument(first=season.first, last=season.last), payments=payments)
        case PatternEntry(pattern=pattern):
            return PatternDocument(pattern=pattern)
        case OwnEntry():
            message = "a journey of the firm's own stands in a section of its own"
            raise TypeError(message)


def _default_playbook(journey: AnyJourney) -> PlaybookDocument:
    return _playbook_document(next(row for row in _JOURNEYS.playbooks if row.journey is journey))


class JourneysDocument(Section):
    """The journeys; one that is left out is the default's."""

    delayed_payment_support: SupportJourney = Field(default_factory=lambda: _support_document(_JOURNEYS))
    post_payment_onboarding: OnboardingJourney = Field(default_factory=lambda: _onboarding_document(_JOURNEYS))
    pre_renewal: RenewalJourney = Field(default_factory=lambda: _renewal_document(_JOURNEYS))
    monthly_statement: StatementJourney = Field(default_factory=StatementJourney)
    renewal_cliff: PlaybookDocument = Field(default_factory=lambda: _default_playbook(Journey.RENEWAL_CLIFF))
    season_cleanup: PlaybookDocument = Field(default_factory=lambda: _default_playbook(Journey.SEASON_CLEANUP))
    bank_debit: PlaybookDocument = Field(default_factory=lambda: _default_playbook(Journey.BANK_DEBIT))
    burst_checkin: PlaybookDocument = Field(default_factory=lambda: _default_playbook(Journey.BURST_CHECKIN))
    gap_checkin: PlaybookDocument = Field(default_factory=lambda: _default_playbook(Journey.GAP_CHECKIN))

    def playbooks(self) -> dict[AnyJourney, PlaybookDocument]:
        """Return the playbooks by the journey they are, in the order of the document."""
        return {row.journey: getattr(self, row.journey.value) for row in _JOURNEYS.playbooks}


def journeys_document(journeys: Journeys) -> JourneysDocument:
    """Return the document of journeys, with nothing left out."""
    return JourneysDocument(
        delayed_payment_support=_support_document(journeys),
        post_payment_onboarding=_onboarding_document(journeys),
        pre_renewal=_renewal_document(journeys),
        monthly_statement=StatementJourney(
            day=journeys.statement.day,
            step=_step_document(journeys.statement.step, (Purpose.SERVICING, SUPPORT_CANCELS)),
        ),
        **{row.journey.value: _playbook_document(row) for row in journeys.playbooks},
    )


def journeys_of(document: JourneysDocument) -> Journeys:
    """Return the journeys a document describes."""
    support = document.delayed_payment_support
    ladders = {segment: getattr(support.ladders, segment.value) for segment in Segment}
    return Journeys(
        delay=MappingProxyType({segment: _ladder_of(ladder, support) for segment, ladder in ladders.items()}),
        onboarding=tuple(step_of(step, document.post_payment_onboarding) for step in document.post_payment_onboarding.steps),
        renewal=tuple(step_of(step, document.pre_renewal) for step in document.pre_renewal.steps),
        playbooks=tuple(_playbook_of(journey, playbook) for journey, playbook in document.playbooks().items()),
        contact_check=step_of(support.contact_check, support),
        ladder_end=step_of(support.ladder_end, support),
        instalment=_ladder_of(support.instalment, support),
        statement=Statement(document.monthly_statement.day, step_of(document.monthly_statement.step, document.monthly_statement)),
    )


def entry_of(document: EntryDocument) -> Entry:
    """Return what begins a playbook."""
    match document:
        case CliffDocument():
            return CliffEntry(tuple(Season(row.first, row.last) for row in document.seasons))
        case SurgeDocument():
            return SurgeEntry(Season(document.season.first, document.season.last), document.payments)
        case PatternDocument():
            return PatternEntry(document.pattern)


def _playbook_of(journey: AnyJourney, document: PlaybookDocument) -> Playbook:
    return Playbook(
        journey,
        entry_of(document.entry),
        tuple(step_of(step, document) for step in document.steps),
        document.cooldown_days,
        enabled=document.enabled,
    )


def _ladder_of(ladder: LadderDocument, journey: SupportJourney) -> Ladder:
    return Ladder(
        tuple(step_of(step, journey) for step in ladder.steps),
        step_of(ladder.person or journey.person, journey),
        human_first=ladder.person_first,
    )


JourneySection: TypeAlias = SupportJourney | OnboardingJourney | RenewalJourney | StatementJourney | PlaybookDocument


def step_of(step: StepDocument, journey: JourneySection) -> Step:
    """Return the step with what it takes over from its journey."""
    cancels = journey.cancel_when
    if cancels is None and isinstance(journey, PlaybookDocument):
        cancels = cancels_of(entry_of(journey.entry))
    return Step(
        step.id,
        step.after_days,
        step.valid_days,
        step.tone,
        step.purpose or journey.purpose,
        (cancels or ()) if step.cancel_when is None else step.cancel_when,
        step.why,
        channel=step.channel,
        missed=step.missed,
        receipt=step.receipt,
        unanswered_hours=step.unanswered_hours,
    )
