"""Every number the program decides by, in one frozen value with a version that is written into each decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from models.events.signals import Purpose
from models.learners.lifetime import ValueTerms
from models.patterns import PatternRules
from models.policy.audiences import Audience
from models.policy.experiments import Experiment
from models.policy.freshness import MaxAge
from models.policy.guides import Guide
from models.policy.holdout import Holdout
from models.policy.journeys import Journeys
from models.policy.offers import Offers
from models.policy.version import content_version
from models.regime import Migration
from models.state.client import ClientState, Run, Segment
from models.triggers import AnyJourney, Journey
from models.workdays import NO_HOLIDAYS, Window, bounded, narrowed, next_allowed, zone_named

TASK: Final = "task"
"""Where colleagues get work with a due time, and say how it ended."""

CONSOLE: Final = "console"
"""Where colleagues only read: nobody can answer there."""


@dataclass(frozen=True, slots=True)
class SegmentRules:
    """When a client is new, reliable, slow or a problem. Shares are of the last twelve invoices.

    Between `reliable_share` and `slow_share` lies the dead band: there nobody moves. A move needs `persist_days` of the same
    verdict and a probability of at least `agree` from the filter (see models.policy.belief; 0 leaves it out), in which a client
    changes its state `switch_per_year` times. Who is new stays new for `new_days` and until `new_labels` invoices have ended;
    then until rules and filter agree, but no longer than `new_limit_days`. After an alarm nobody moves and nothing more is sent
    by itself until a person has spoken with the client, or `alarm_hold_days` have passed without it.
    """

    new_days: int = 90
    new_labels: int = 3
    persist_days: int = 28
    reliable_share: float = 0.25
    slow_share: float = 0.45
    problem_days: int = 30
    problem_share: float = 0.35
    problem_overdue_days: int = 75
    problem_disputes: int = 3
    alarm_overdue_days: int = 10
    alarm_quiet_share: float = 0.2
    new_limit_days: int = 180
    alarm_hold_days: int = 21
    agree: float = 0.5
    switch_per_year: float = 0.15
    review_day: int = 5
    """Day after a quarter's end on which its review is made by itself; 0: never."""


@dataclass(frozen=True, slots=True)
class RfmCuts:
    """Cut-points of the tiers 1 (low) to 4 (high): days since last payment, payments and whole currency units in 13 months."""

    recency_days: tuple[int, int, int] = (180, 75, 35)
    frequency: tuple[int, int, int] = (3, 8, 20)
    monetary: tuple[int, int, int] = (1_000, 10_000, 50_000)


@dataclass(frozen=True, slots=True)
class ApprovalRules:
    """Which messages a person sees first, in a task that waits `wait_days`; 0, none and False leave a rule out.

    From `amount_units` whole currency units on; to `clients` by name and to `audiences`; to who turned slow or problem within
    `moved_days`; where the learner abstains; and of a policy that was just activated until `first_sends` have been approved.
    """

    amount_units: int = 0
    clients: tuple[str, ...] = ()
    moved_days: int = 0
    on_abstention: bool = False
    first_sends: int = 0
    wait_days: int = 2
    channel: str = TASK
    audiences: tuple[str, ...] = ()


MOST_GRACE_DAYS: Final = 14
"""The longest courtesy of a segment: later than that, silence helps nobody."""

MOST_COST: Final = 10_000.0
"""Most units that a contact may cost; more is a slip of the pen."""

PHONE: Final = "phone"
"""Calls by colleagues, where a policy names hours of single channels."""

INTRUSIVE: Final = frozenset({"sms", PHONE})
"""Ways that ring or buzz where the client is."""

EARLIEST, LATEST = time(8), time(21)
"""The outer bound of these, in the client's own time, whatever hours are welcome otherwise."""

PRIORITY: Final = (
    Journey.DELAY_SUPPORT,
    Journey.ONBOARDING,
    Journey.BURST_CHECKIN,
    Journey.GAP_CHECKIN,
    Journey.BANK_DEBIT,
    Journey.RENEWAL,
    Journey.RENEWAL_CLIFF,
    Journey.SEASON_CLEANUP,
)
"""Who goes first when several want to write at once: money that is late, thanks, then a check-in before any offer."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How the firm treats its clients. Durations are in days; `zone` is the firm's, used where the client's is unknown."""

    version: str = "2026.1"
    zone: str = "UTC"
    window: Window = field(default_factory=Window)
    channel_windows: Mapping[str, Window] = field(default_factory=lambda: MappingProxyType({}))
    holidays: Mapping[str, frozenset[date]] = field(default_factory=lambda: MappingProxyType({}))
    internal_channels: frozenset[str] = frozenset({CONSOLE, TASK})
    fallback_channels: tuple[str, ...] = ()
    min_gap_days: int = 3
    contacts_per_month: int = 6
    contacts_per_person: int = 6
    priority: tuple[AnyJourney, ...] = PRIORITY
    grace_days: int = 3
    segment_grace: Mapping[Segment, int] = field(default_factory=lambda: MappingProxyType({}))
    settle_days: int = 1
    adopt_after_days: int = 30
    expected_limit_days: int = 30
    foresight_days: int = 3
    retry_days: int = 3
    reply_days: int = 3
    guess_causes: bool = True
    attempts: int = 3
    small_share: float = 0.05
    small_units: int = 5
    contact_costs: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    high_value_ratio: float = 5.0
    micro_units: int = 100
    large_units: int = 5_000
    onboarding_stale_days: int = 14
    renewal_gap_days: int = 80
    renewal_early_below: float = 0.0
    renewal_early_days: int = 14
    renewal_options: tuple[str, ...] = ("same", "less", "more", "talk", "later")
    renewal_unlikely_below: float = 0.5
    renewal_more_from: float = 0.3
    segments: SegmentRules = field(default_factory=SegmentRules)
    rfm: RfmCuts = field(default_factory=RfmCuts)
    patterns: PatternRules = field(default_factory=PatternRules)
    value: ValueTerms = field(default_factory=ValueTerms)
    holdout: Holdout = field(default_factory=Holdout)
    journeys: Journeys = field(default_factory=Journeys)
    experiments: tuple[Experiment, ...] = ()
    approval: ApprovalRules = field(default_factory=ApprovalRules)
    audiences: tuple[Audience, ...] = ()
    offers: Offers = field(default_factory=Offers)
    guides: tuple[Guide, ...] = ()
    max_age: MaxAge = field(default_factory=MaxAge)

    @property
    def person_channel(self) -> str:
        """Where colleagues are asked when nothing else says it: as a task, or on the console under a policy without tasks."""
        return TASK if TASK in self.internal_channels else CONSOLE

    def zone_of(self, state: ClientState) -> ZoneInfo:
        """Return the client's zone, or the firm's where it is unknown."""
        return zone_named(state.person.timezone.value, self.zone)

    def holidays_of(self, state: ClientState) -> frozenset[date]:
        """Return the holidays of the client's country, as far as the policy was given them."""
        country = state.person.country.value
        # Calendars take half a second to load: whoever has no country must not be the one who asks for them.
        return self.holidays.get(country, NO_HOLIDAYS) if country else NO_HOLIDAYS

    def stop_of(self, journey: AnyJourney, *, channel: str, purpose: Purpose) -> str | None:
        """Return the emergency stop that reaches a contact; a policy by itself knows none (see models.policy.in_force)."""
        del journey, channel, purpose
        return None

    def is_stopped(self, experiment: str) -> bool:
        """Say whether an experiment was stopped: then every company gets the step as it stands."""
        del experiment
        return False

    def is_on_probation(self, run: Run) -> bool:
        """Say whether the messages of a run are still approved one by one because their policy is new."""
        del run
        return False

    def late_feed(self, feeds: tuple[str, ...]) -> str | None:
        """Return which source of `feeds` is late; a policy by itself knows none."""
        del feeds
        return None

    def of_run(self, run: Run) -> "Policy":
        """Return the policy whose steps a run follows; by itself, this one."""
        del run
        return self

    def called(self, version: str) -> "Policy | None":
        """Return the policy of a version; by itself it knows of no other."""
        return self if version == self.version else None

    @property
    def migrations(self) -> tuple[Migration, ...]:
        """Where runs go on that are under way by an earlier policy; by itself, nowhere else."""
        return ()

    @property
    def pin(self) -> str:
        """What a run that begins now is pinned to."""
        return ""

    def open_hour(self, state: ClientState, at_ms: int, channel: str = "") -> int:
        """Return the first moment at or after `at_ms` at which this client may be contacted, by `channel` where one is named."""
        return next_allowed(at_ms, self.window_of(state, channel), self.zone_of(state), self.holidays_of(state))

    def welcome(self, channel: str = "") -> Window:
        """Return the hours in which contact by `channel` is welcome: its own where it has some, within the outer bound."""
        welcome = self.channel_windows.get(channel, self.window)
        return bounded(welcome, EARLIEST, LATEST) if channel in INTRUSIVE else welcome

    def window_of(self, state: ClientState, channel: str = "") -> Window:
        """Return the hours in which this client is contacted: the welcome ones, and of those the ones they want.

        A wish for hours in which the firm never writes is not met: quiet hours stay quiet.
        """
        wish = state.person.hours.value
        welcome = self.welcome(channel)
        return narrowed(welcome, wish) if wish else welcome


def stamped(policy: Policy) -> Policy:
    """Return `policy` with the version that its content calls for: what it was called, and a digest of what it says."""
    return replace(policy, version=content_version(policy.version, policy))


DEFAULT_POLICY: Final = stamped(Policy())
