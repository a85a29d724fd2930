"""The policy as a document that people write and review: every number and every step, typed, with defaults for what is left out.

Text becomes a `PolicyDocument` at the edge (`streams.wire.policy_file`); here it becomes the frozen `Policy` the program decides
by, and a policy becomes a document again. Nothing is read from disk.
"""

from dataclasses import asdict, fields, replace
from datetime import date
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field, StringConstraints, field_validator

from models.patterns import PatternRules
from models.policy.audience_document import AudienceDocument
from models.policy.document_parts import Days, Name, Section, Share, Times, Units
from models.policy.experiment_document import ExperimentDocument
from models.policy.freshness_document import MaxAgeSection
from models.policy.guide_document import GuideDocument
from models.policy.holdout import Holdout
from models.policy.hours_document import Hours, Zone
from models.policy.journey_document import JourneysDocument, journeys_document, journeys_of
from models.policy.offer_document import OffersSection
from models.policy.own_document import OwnJourneyDocument
from models.policy.pattern_document import PatternsSection
from models.policy.policy import DEFAULT_POLICY, MOST_COST, MOST_GRACE_DAYS, ApprovalRules, Policy, RfmCuts, SegmentRules, stamped
from models.policy.renewal_options import Option
from models.policy.value_document import ValueSection
from models.state.client import Segment
from models.triggers import AnyJourney

Percent: TypeAlias = Annotated[float, Field(ge=0, le=10)]
Country: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Cuts: TypeAlias = tuple[Units, Units, Units]

_P: Final = DEFAULT_POLICY
_S: Final = DEFAULT_POLICY.segments
_R: Final = DEFAULT_POLICY.rfm
_A: Final = DEFAULT_POLICY.approval


class Contact(Section):
    """How often, when and through what a client may be contacted, over all journeys, channels and people."""

    zone: Zone | None = Field(default=None, description="Zone of clients whose own is unknown; none: the setting of the firm.")
    hours: Hours = Hours()
    channel_hours: dict[Name, Hours] = Field(
        default_factory=dict, description="Hours of single channels, such as sms; `phone` is the call list of colleagues."
    )
    holidays: dict[Country, tuple[date, ...]] = Field(default_factory=dict, description="Days without contact, per country.")
    min_gap_days: Days = Field(default=_P.min_gap_days, description="Least days between any two contacts.")
    contacts_per_month: Times = Field(default=_P.contacts_per_month, description="Most contacts within 30 days.")
    contacts_per_person: Times = Field(
        default=_P.contacts_per_person, description="Most of them with one person at the client, where people are named by role."
    )
    priority: tuple[AnyJourney, ...] = Field(
        default=_P.priority,
        description="Who goes first when several journeys want to write at once; all of ours, in order. Of the firm's own, those"
        " that are not named go last.",
    )
    internal_channels: tuple[Name, ...] = Field(
        default=tuple(sorted(_P.internal_channels)), description="Channels that reach colleagues, not the client."
    )
    fallback_channels: tuple[Name, ...] = Field(
        default=_P.fallback_channels,
        description="Other channels when an address fails or takes nothing; of several the one the client reacts to.",
    )


class Support(Section):
    """When an open invoice is late enough, large enough and certain enough to be written about."""

    grace_days: Days = Field(
        default=_P.grace_days, description="Courtesy after the due date; where it is that long, two bank days of it at least."
    )
    segment_grace: dict[Segment, Annotated[int, Field(ge=0, le=MOST_GRACE_DAYS)]] = Field(
        default_factory=dict,
        description="The courtesy of single segments in its place, e.g. as learnt by `rapport segments graces`; 14 days at most.",
    )
    settle_days: Days = Field(default=_P.settle_days, description="Rest after news of an invoice or a claim.")
    adopt_after_days: Days = Field(
        default=_P.adopt_after_days, description="Overdue by more than this when first seen: only a person starts it."
    )
    expected_limit_days: Days = Field(
        default=_P.expected_limit_days, description="Longest wait past due for an expected payment."
    )
    foresight_days: Annotated[int, Field(ge=0, le=6)] = Field(
        default=_P.foresight_days,
        description="A first message waits for who by habit (nine times in ten) pays within this, until a day after; 0: never.",
    )
    retry_days: Days = Field(default=_P.retry_days, description="Wait when the processor tries again within this.")
    reply_days: Days = Field(
        default=_P.reply_days,
        description="Business days after the client wrote back in which nothing asks for money (of a reply about one invoice:"
        " nothing asks for this one), unless a colleague has answered"
        " before. 0: none.",
    )
    guess_causes: bool = Field(
        default=_P.guess_causes,
        description="Guess from what is known why money is late, so that the help that fits comes first. No: the neutral words.",
    )
    attempts: Times = Field(default=_P.attempts, description="Undelivered tries before a person takes over.")
    small_share: Share = Field(default=_P.small_share, description="Less than this share of the usual amount waits.")
    small_units: Units = Field(default=_P.small_units, description="Less than this many currency units waits.")
    contact_costs: dict[Name, Annotated[float, Field(ge=0, le=MOST_COST)]] = Field(
        default_factory=dict,
        description="What a contact by a channel costs, in currency units; where all that is asked for is less, none is made."
        " Channels without one cost nothing.",
    )
    high_value_ratio: Annotated[float, Field(ge=1)] = Field(
        default=_P.high_value_ratio, description="From this many times the usual amount on, a person asks first."
    )


class OnboardingRules(Section):
    """What a first payment is called, and until when thanks are in time."""

    micro_units: Units = Field(default=_P.micro_units, description="Below: a micro payment.")
    large_units: Units = Field(default=_P.large_units, description="From here on: a large payment.")
    onboarding_stale_days: Days = Field(default=_P.onboarding_stale_days, description="Learnt later than this: no thanks.")


class RenewalRules(Section):
    """How often a contract's renewal is written about, and when a doubtful one begins earlier, in the same tone."""

    renewal_gap_days: Days = Field(default=_P.renewal_gap_days, description="Least days between the renewals of a contract.")
    renewal_early_below: Share = Field(
        default=_P.renewal_early_below, description="A renewal less likely than this is prepared earlier; 0: never."
    )
    renewal_early_days: Days = Field(default=_P.renewal_early_days, description="By so many days.")
    renewal_options: tuple[Option, ...] = Field(
        default=tuple(map(Option, _P.renewal_options)),
        description="What is put to a client before a renewal, in this order without a chance.",
    )
    renewal_unlikely_below: Share = Field(
        default=_P.renewal_unlikely_below, description="Less likely: a word together and less are named first; 0: never."
    )
    renewal_more_from: Share = Field(
        default=_P.renewal_more_from, description="From this chance to grow on, more is named second; 0: never."
    )

    @field_validator("renewal_options")
    @classmethod
    def _each_once_and_as_it_is(cls, value: tuple[Option, ...]) -> tuple[Option, ...]:
        if Option.SAME not in value or len(set(value)) < len(value):
            message = "name every option once, and same among them: nobody is to be told that going on as it is was no choice"
            raise ValueError(message)
        return value


class SegmentsSection(Section):
    """When a client is new, reliable, slow or a problem; shares are of the last twelve invoices."""

    new_days: Days = _S.new_days
    new_labels: Times = _S.new_labels
    persist_days: Days = Field(default=_S.persist_days, description="How long a verdict must hold before a client moves.")
    reliable_share: Share = Field(default=_S.reliable_share, description="Late at most this share: reliable.")
    slow_share: Share = Field(default=_S.slow_share, description="Late at least this share: slow.")
    problem_days: Days = Field(default=_S.problem_days, description="Later than this is severe.")
    problem_share: Share = _S.problem_share
    problem_overdue_days: Days = _S.problem_overdue_days
    problem_disputes: Times = _S.problem_disputes
    alarm_overdue_days: Days = _S.alarm_overdue_days
    alarm_quiet_share: Share = _S.alarm_quiet_share
    alarm_hold_days: Days = Field(default=_S.alarm_hold_days, description="How long an alarm waits for a person.")
    new_limit_days: Days = Field(default=_S.new_limit_days, description="Nobody with enough history is new for longer.")
    agree: Share = Field(default=_S.agree, description="Least probability by the filter for a move; 0: rules alone.")
    switch_per_year: Share = Field(default=_S.switch_per_year, description="How often a client changes its way of paying.")
    review_day: Annotated[int, Field(ge=0, le=28)] = Field(
        default=_S.review_day, description="Day after a quarter's end on which who moved is counted for review (UTC); 0: never."
    )


class RfmSection(Section):
    """Cut-points of the tiers: days since the last payment (falling), payments and currency units in 13 months (rising)."""

    recency_days: Cuts = _R.recency_days
    frequency: Cuts = _R.frequency
    monetary: Cuts = _R.monetary


class ApprovalSection(Section):
    """Which messages a person sees before they leave. Unanswered in time, a message is not sent: the softer path."""

    amount_units: Units = Field(default=_A.amount_units, description="From so many currency units on; 0: never by amount.")
    clients: Annotated[tuple[Annotated[str, StringConstraints(min_length=1, max_length=200)], ...], Field(max_length=200)] = (
        Field(default=_A.clients, description="Every message to these.")
    )
    moved_days: Days = Field(default=_A.moved_days, description="To who turned slow or problem within so many days; 0: nobody.")
    on_abstention: bool = Field(default=_A.on_abstention, description="Where the learner says: too little history.")
    first_sends: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=_A.first_sends, description="After `rapport policy activate`, every message until so many were approved."
    )
    wait_days: Annotated[int, Field(ge=1, le=14)] = Field(default=_A.wait_days, description="How long a person has to decide.")
    channel: Name = Field(default=_A.channel, description="Where colleagues are asked.")
    audiences: Annotated[tuple[Name, ...], Field(max_length=20)] = Field(
        default=_A.audiences, description="Every message to who belongs to one of these."
    )


class HoldoutSection(Section):
    """Companies left without care that is not servicing, so that its effect can be measured: per cent, at most ten."""

    percent: Percent = Field(default=_P.holdout.percent, description="Of all companies, without any such care.")
    journeys: dict[AnyJourney, Percent] = Field(default_factory=dict, description="Of all companies, without one journey.")
    key: Annotated[str, StringConstraints(min_length=1, max_length=40)] = Field(
        default=_P.holdout.key, description="Another key draws other companies."
    )
    rotate_months: Literal[0, 6, 12, 24] = Field(
        default=0,
        description="Others are drawn by themselves after so many months, so that nobody is left out for good; 0: never.",
    )

    @classmethod
    def of(cls, holdout: Holdout) -> Self:
        """Return the section of a holdout."""
        told = {row.name: getattr(holdout, row.name) for row in fields(Holdout)}
        return cls.model_validate({**told, "journeys": dict(holdout.journeys)})

    def holdout(self) -> Holdout:
        """Return the holdout that is described."""
        return Holdout(self.percent, MappingProxyType(dict(self.journeys)), self.key, self.rotate_months)


class PolicyDocument(Section):
    """How the firm treats its clients. Durations are days, money is currency units; what is left out is the default."""

    schema_version: Literal[1] = 1
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)] = Field(
        description="Its name; every decision carries it with a digest of the whole content."
    )
    contact: Contact = Contact()
    support: Support = Support()
    offers: OffersSection = OffersSection()
    onboarding: OnboardingRules = OnboardingRules()
    renewal: RenewalRules = RenewalRules()
    segments: SegmentsSection = SegmentsSection()
    rfm: RfmSection = RfmSection()
    patterns: PatternsSection = PatternsSection()
    value: ValueSection = ValueSection()
    max_age: MaxAgeSection = MaxAgeSection()
    approval: ApprovalSection = ApprovalSection()
    holdout: HoldoutSection = HoldoutSection()
    journeys: JourneysDocument = Field(default_factory=JourneysDocument)
    audiences: Annotated[tuple[AudienceDocument, ...], Field(max_length=20)] = Field(
        default=(),
        description="Named layers upon the segments: rules on figures and traits, for approval, own journeys, experiments.",
    )
    guides: Annotated[tuple[GuideDocument, ...], Field(max_length=20)] = Field(
        default=(),
        description="What thanks for a first payment say of the way on: resources, a scheduler, a person, office hours.",
    )
    own_journeys: Annotated[tuple[OwnJourneyDocument, ...], Field(max_length=4)] = Field(
        default=(), description="Journeys of the firm's own, in words of its own (RAPPORT_TEMPLATES)."
    )
    experiments: Annotated[tuple[ExperimentDocument, ...], Field(max_length=8)] = Field(
        default=(), description="Small careful comparisons of how a step speaks, through what, and when."
    )


def policy_of(document: PolicyDocument, *, home_zone: str = "UTC") -> Policy:
    """Return the policy a document describes, stamped with its version; `home_zone` is the firm's where the document has none."""
    contact, hours = document.contact, document.contact.hours
    return stamped(
        Policy(
            version=document.version,
            zone=contact.zone or home_zone,
            window=hours.window(),
            channel_windows=MappingProxyType({name: row.window() for name, row in sorted(contact.channel_hours.items())}),
            holidays=MappingProxyType({country: frozenset(days) for country, days in contact.holidays.items()}),
            internal_channels=frozenset(contact.internal_channels),
            fallback_channels=contact.fallback_channels,
            min_gap_days=contact.min_gap_days,
            contacts_per_month=contact.contacts_per_month,
            contacts_per_person=contact.contacts_per_person,
            priority=contact.priority,
            **{
                **document.support.model_dump(),
                "segment_grace": MappingProxyType(document.support.segment_grace),
                "contact_costs": MappingProxyType(document.support.contact_costs),
            },
            **document.onboarding.model_dump(),
            **document.renewal.model_dump(),
            segments=SegmentRules(**document.segments.model_dump()),
            rfm=RfmCuts(**document.rfm.model_dump()),
            patterns=PatternRules(**document.patterns.model_dump()),
            value=document.value.terms(),
            max_age=document.max_age.ages(),
            holdout=document.holdout.holdout(),
            journeys=replace(journeys_of(document.journeys), own=tuple(row.playbook() for row in document.own_journeys)),
            experiments=tuple(row.experiment() for row in document.experiments),
            approval=ApprovalRules(**document.approval.model_dump()),
            audiences=tuple(row.audience() for row in document.audiences),
            guides=tuple(row.guide() for row in document.guides),
            offers=document.offers.offers(),
        )
    )


def document_of(policy: Policy) -> PolicyDocument:
    """Return the document that describes `policy`, with nothing left out."""
    known = {field.name: getattr(policy, field.name) for field in fields(policy)}
    return PolicyDocument(
        version=policy.version.partition("+")[0],
        contact=Contact(
            zone=policy.zone,
            hours=Hours.of(policy.window),
            channel_hours={name: Hours.of(window) for name, window in sorted(policy.channel_windows.items())},
            holidays={country: tuple(sorted(days)) for country, days in sorted(policy.holidays.items())},
            min_gap_days=policy.min_gap_days,
            contacts_per_month=policy.contacts_per_month,
            contacts_per_person=policy.contacts_per_person,
            priority=policy.priority,
            internal_channels=tuple(sorted(policy.internal_channels)),
            fallback_channels=policy.fallback_channels,
        ),
        segments=SegmentsSection(**asdict(policy.segments)),
        rfm=RfmSection(**asdict(policy.rfm)),
        patterns=PatternsSection(**asdict(policy.patterns)),
        value=ValueSection.of(policy.value),
        max_age=MaxAgeSection.of(policy.max_age),
        approval=ApprovalSection(**asdict(policy.approval)),
        offers=OffersSection.of(policy.offers),
        holdout=HoldoutSection.of(policy.holdout),
        journeys=journeys_document(policy.journeys),
        audiences=tuple(AudienceDocument.of(row) for row in policy.audiences),
        guides=tuple(GuideDocument.of(row) for row in policy.guides),
        own_journeys=tuple(OwnJourneyDocument.of(row) for row in policy.journeys.own),
        experiments=tuple(ExperimentDocument.of(row) for row in policy.experiments),
        support=Support(**{name: known[name] for name in Support.model_fields}),
        onboarding=OnboardingRules(**{name: known[name] for name in OnboardingRules.model_fields}),
        renewal=RenewalRules(**{name: known[name] for name in RenewalRules.model_fields}),
    )
