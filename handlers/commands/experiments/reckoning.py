"""What came of an experiment: one outcome per company, the difference between arms in days and money, and what would stop it.

A company counts from its first exposure on, once, whatever came later (clustering by company needs no more). Its outcome is known
when the experiment's days have passed: how long what was open then took to be paid, weighted by amount and counted up to those
days, and how much money came. Its own past is what the outcome is adjusted by.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from handlers.commands.experiments.accounts import Account, Bill, main_currency
from models.events.delays import DisputeOpened
from models.events.envelope import epoch_ms
from models.events.signals import ConsentChanged, DeliveryOutcome, DeliveryReported, OverrideEffect, OverrideSet
from models.events.union import AnyClientEvent
from models.learners.lift import ALARM, ANYWHERE, LEAST, Interval, RunningLift, Unit, odds_against
from models.money import exponent
from models.policy.experiments import Arm, Experiment, Guardrail, share_of
from models.triggers import Decision, DecisionOutcome, ExperimentArm, Journey
from models.workdays import DAY_MS

STOP_ODDS: Final = 20.0
"""Odds against "no more often than in the first arm" from which on a guardrail stops an arm: by chance once in twenty, ever."""

_ALPHA: Final = 0.05


@dataclass(frozen=True, slots=True)
class Exposed:
    """A company in an experiment, from its first exposure on. `days` and `money` are none where they say nothing."""

    client_id: str
    arm: str
    stratum: str
    at_ms: int
    is_known: bool
    days: float | None
    days_before: float | None
    money: float | None
    money_before: float | None
    currency: str
    heard: frozenset[Guardrail]
    contacts: int


@dataclass(frozen=True, slots=True)
class Difference:
    """An arm held against the first: the ranges of the difference, what it means, and guardrails that stop it."""

    arm: str
    days: Interval | None
    money: Interval | None
    verdict: str
    words: str
    stops: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """How an experiment stands. `draw_odds`: odds that the draw is broken; beyond the alarm nothing else may be believed."""

    experiment: Experiment
    exposed: tuple[Exposed, ...]
    currency: str
    draw_odds: float
    differences: tuple[Difference, ...]

    @property
    def is_alarming(self) -> bool:
        """Say whether the sizes of the groups cannot have come from the draw."""
        return self.draw_odds >= ALARM


@dataclass(slots=True)
class _Signals:
    """What was heard of each client and when."""

    heard: dict[str, list[tuple[int, Guardrail]]] = field(default_factory=dict)
    sent: dict[str, list[int]] = field(default_factory=dict)

    def note(self, client_id: str, at_ms: int, what: Guardrail) -> None:
        self.heard.setdefault(client_id, []).append((at_ms, what))


def exposures(decisions: Iterable[Decision], name: str) -> dict[str, tuple[int, ExperimentArm]]:
    """Return the first exposure of each company (epoch ms) to the experiment `name`."""
    first: dict[str, tuple[int, ExperimentArm]] = {}
    for decision in sorted(decisions, key=lambda row: row.decided_at):
        if decision.experiment is not None and decision.experiment.name == name:
            first.setdefault(decision.client_id, (epoch_ms(decision.decided_at), decision.experiment))
    return first


def result_of(
    experiment: Experiment,
    events: Sequence[AnyClientEvent],
    decisions: Sequence[Decision],
    accounts: Mapping[str, Account],
    *,
    now_ms: int,
) -> Result:
    """Return how an experiment stands at `now_ms`."""
    signals = _signals(events, decisions)
    first = sorted(exposures(decisions, experiment.name).items(), key=lambda row: (row[1][0], row[0]))
    rows = [
        _exposed((client_id, at_ms, arm), experiment, accounts.get(client_id, Account()), signals, now_ms=now_ms)
        for client_id, (at_ms, arm) in first
    ]
    currency = main_currency(row.currency for row in rows)
    counts = [sum(row.arm == arm.name for row in rows) for arm in experiment.arms]
    odds = odds_against(counts, [share_of(arm, experiment) for arm in experiment.arms])
    others = experiment.arms[1:]
    differences = [_difference(arm, experiment, rows, currency, alpha=_ALPHA / len(others)) for arm in others]
    return Result(experiment, tuple(rows), currency, odds, tuple(differences))


def _signals(events: Iterable[AnyClientEvent], decisions: Iterable[Decision]) -> _Signals:
    found = _Signals()
    for event in events:
        match event:
            case ConsentChanged(granted=False):
                found.note(event.client_id, event.received_ms, Guardrail.OPT_OUTS)
            case DisputeOpened():
                found.note(event.client_id, event.received_ms, Guardrail.DISPUTES)
            case OverrideSet(effect=OverrideEffect.HOLD):
                found.note(event.client_id, event.received_ms, Guardrail.OVERRIDES)
            case DeliveryReported(outcome=DeliveryOutcome.COMPLAINED):
                found.note(event.client_id, event.received_ms, Guardrail.COMPLAINTS)
            case DeliveryReported(outcome=DeliveryOutcome.SENT):
                found.sent.setdefault(event.client_id, []).append(event.received_ms)
            case _:
                continue
    for decision in decisions:
        if decision.outcome is DecisionOutcome.SENT_AFTER_PAID:
            found.note(decision.client_id, epoch_ms(decision.decided_at), Guardrail.SENT_AFTER_PAID)
    return found


def _exposed(
    drawn: tuple[str, int, ExperimentArm], experiment: Experiment, account: Account, signals: _Signals, *, now_ms: int
) -> Exposed:
    client_id, at_ms, arm = drawn
    until = at_ms + experiment.horizon_days * DAY_MS
    bills = account.open_at(at_ms)
    code = account.currency(bills)
    owed = [bill for bill in bills if bill.currency == code]
    open_then = sum(bill.open_at(at_ms) for bill in owed)
    late = experiment.journey is Journey.DELAY_SUPPORT
    unit = 10 ** exponent(code) if code else 1
    if late:
        money, before = open_then - sum(bill.open_at(until) for bill in owed), open_then
    else:
        money = account.received(at_ms, until, code)
        before = account.received(at_ms - (until - at_ms), at_ms, code)
    return Exposed(
        client_id=client_id,
        arm=arm.arm,
        stratum=arm.stratum,
        at_ms=at_ms,
        is_known=until <= now_ms,
        days=_days(owed, at_ms, until) if open_then else None,
        days_before=account.usual_lateness(at_ms),
        money=money / unit if code else None,
        money_before=before / unit if code else None,
        currency=code,
        heard=frozenset(what for moment, what in signals.heard.get(client_id, ()) if at_ms <= moment <= until),
        contacts=sum(at_ms <= moment <= until for moment in signals.sent.get(client_id, ())),
    )


def _days(owed: Sequence[Bill], at_ms: int, until_ms: int) -> float:
    """Return the days until what was open was paid, weighted by amount, each counted up to `until_ms`."""
    return sum(bill.waited(at_ms, until_ms) for bill in owed) / sum(bill.open_at(at_ms) for bill in owed) / DAY_MS


def _difference(arm: Arm, experiment: Experiment, rows: Sequence[Exposed], currency: str, *, alpha: float) -> Difference:
    first = experiment.arms[0]
    chance = arm.weight / (arm.weight + first.weight)
    days, money = (RunningLift(planned=experiment.planned, alpha=alpha) for _ in range(2))
    for row in rows:
        if row.arm not in {arm.name, first.name} or not row.is_known:
            continue
        treated = row.arm == arm.name
        if row.days is not None:
            days.add(Unit(treated, chance, row.stratum, row.days, row.days_before))
        if row.money is not None and row.currency == currency:
            money.add(Unit(treated, chance, row.stratum, row.money, row.money_before))
    verdict, words = _verdict(days, experiment.least_days)
    return Difference(arm.name, days.interval(), money.interval(), verdict, words, _stops(arm, first, experiment, rows))


def _verdict(days: RunningLift, least: float) -> tuple[str, str]:
    found = days.interval()
    if found is None:
        fewest = min(days.arms)
        return (
            "not decidable",
            f"the smaller group has {fewest} companies with a known outcome; from {LEAST} on there is an answer",
        )
    if found.high < 0:
        return "sooner", f"paid {-found.high:.1f} to {-found.low:.1f} days sooner"
    if found.low > 0:
        return "later", f"paid {found.low:.1f} to {found.high:.1f} days later"
    if -least <= found.low and found.high <= least:
        return "no difference", f"no difference that matters: it lies within {least:g} days"
    needed = days.needed(least)
    more = f"; about {needed:,} companies would tell {least:g} days" if needed else ""
    return "not decidable", f"anything from {-found.low:.1f} days sooner to {found.high:.1f} later is possible{more}"


def _stops(arm: Arm, first: Arm, experiment: Experiment, rows: Sequence[Exposed]) -> tuple[str, ...]:
    own, others = ([row for row in rows if row.arm == name] for name in (arm.name, first.name))
    if not own or not others:
        return ()
    found = []
    for rail in Guardrail:
        bad, usual = (sum(rail in row.heard for row in group) for group in (own, others))
        above = bad / len(own) - usual / len(others)
        odds = odds_against([bad, usual], [arm.weight, first.weight], spread=ANYWHERE)
        if above > experiment.limits.get(rail, 0.0) and odds >= STOP_ODDS:
            what = rail.value.replace("_", " ")
            found.append(f"{what}: {bad} of {len(own)} companies against {usual} of {len(others)}")
    return tuple(found)
