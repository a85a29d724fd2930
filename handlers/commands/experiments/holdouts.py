"""What care is worth: of each journey, the companies that got it held against those left without it on purpose.

A company counts once, from the moment at which a contact would have left: the same moment in both groups, for the draw is asked
last. Its figures are known when their days have passed: how late what became due in the two months after was paid, the money of
three months, and, of journeys before a renewal, whether the contract goes on. The one that the journey is for decides.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from handlers.commands.experiments.accounts import Account, main_currency
from handlers.commands.experiments.companies import decided_in_one_name
from models.events.envelope import epoch_ms
from models.events.invoices import ContractRecorded, ContractStatus
from models.events.union import AnyClientEvent
from models.learners.lift import ALARM, LEAST, Interval, RunningLift, Unit, odds_against
from models.money import exponent
from models.policy.holdout import CARED_FOR, EVERY, LEFT_OUT
from models.triggers import Decision, ExperimentArm, Journey
from models.workdays import DAY_MS

DUE_DAYS: Final = 60
COUNTED_DAYS: Final = 30
MONEY_DAYS: Final = 90
RENEWAL_GRACE_DAYS: Final = 30


class Figure(StrEnum):
    """What is compared."""

    DAYS = "days late"
    MONEY = "money received"
    RENEWED = "contracts renewed"


_AIMS: Final[Mapping[str, Figure]] = MappingProxyType(
    {
        Journey.RENEWAL.value: Figure.RENEWED,
        Journey.RENEWAL_CLIFF.value: Figure.RENEWED,
        Journey.BURST_CHECKIN.value: Figure.MONEY,
        Journey.GAP_CHECKIN.value: Figure.MONEY,
    }
)
"""What a journey is for; all others, and all care together, are for money that comes in time."""

_MATTERS: Final[Mapping[Figure, float]] = MappingProxyType({Figure.DAYS: 2.0, Figure.RENEWED: 0.05})
"""The smallest difference worth knowing."""


@dataclass(frozen=True, slots=True)
class Company:
    """One company from its first exposure on; a figure is none where it says nothing, or nothing yet."""

    client_id: str
    is_cared_for: bool
    chance: float
    stratum: str
    currency: str
    figures: Mapping[Figure, float | None]
    before: Mapping[Figure, float | None]


@dataclass(frozen=True, slots=True)
class Lift:
    """How a journey stands against its holdout. `differences`: with care less without, None where it cannot be told."""

    name: str
    aim: Figure
    companies: tuple[Company, ...]
    currency: str
    draw_odds: float
    differences: Mapping[Figure, Interval | None]
    verdict: str
    words: str

    @property
    def is_alarming(self) -> bool:
        """Say whether the sizes of the groups cannot have come from the draw."""
        return self.draw_odds >= ALARM


@dataclass(frozen=True, slots=True)
class _First:
    client_id: str
    at_ms: int
    arm: ExperimentArm
    anchor: str


def lifts_of(
    events: Sequence[AnyClientEvent],
    decisions: Sequence[Decision],
    accounts: Mapping[str, Account],
    company: Mapping[str, str],
    *,
    now_ms: int,
) -> list[Lift]:
    """Return how every journey with a holdout stands; `events` and `accounts` of companies in one name, decisions as recorded."""
    contracts = _contracts(events)
    names = {draw.name for row in decisions for draw in row.holdouts or ()}
    return [_lift(name, _first(decisions, name, company), accounts, contracts, now_ms=now_ms) for name in sorted(names)]


def _first(decisions: Iterable[Decision], name: str, company: Mapping[str, str]) -> list[_First]:
    """Return the first exposure of each company to one draw; of merged clients the draw of the one that stands holds."""
    rows = [row.model_copy(update={"experiment": draw}) for row in decisions for draw in row.holdouts or () if draw.name == name]
    found: dict[str, _First] = {}
    for row in decided_in_one_name(rows, company):
        if row.experiment is not None:
            found.setdefault(row.client_id, _First(row.client_id, epoch_ms(row.decided_at), row.experiment, row.anchor or ""))
    return sorted(found.values(), key=lambda row: (row.at_ms, row.client_id))


def _lift(
    name: str,
    first: Sequence[_First],
    accounts: Mapping[str, Account],
    contracts: Mapping[tuple[str, str], list[ContractRecorded]],
    *,
    now_ms: int,
) -> Lift:
    rows = [_company(row, accounts.get(row.client_id, Account()), contracts, now_ms=now_ms) for row in first]
    currency = main_currency(row.currency for row in rows)
    shares = [row.chance for row in rows]
    cared = sum(row.is_cared_for for row in rows)
    expected = sum(shares) / len(shares)
    odds = odds_against([cared, len(rows) - cared], [expected, 1 - expected]) if 0 < expected < 1 else 1.0
    lifts = {figure: _running(rows, figure, currency) for figure in Figure}
    aim = _AIMS.get(name, Figure.DAYS)
    verdict, words = _verdict(lifts[aim], aim, currency)
    return Lift(name, aim, tuple(rows), currency, odds, {key: row.interval() for key, row in lifts.items()}, verdict, words)


def _company(
    first: _First, account: Account, contracts: Mapping[tuple[str, str], list[ContractRecorded]], *, now_ms: int
) -> Company:
    cared_for, at_ms = first.arm.arm == CARED_FOR, first.at_ms
    code = account.currency(account.bills.values())
    unit = 10 ** exponent(code) if code else 1
    span = MONEY_DAYS * DAY_MS
    is_known = at_ms + span <= now_ms
    return Company(
        client_id=first.client_id,
        is_cared_for=cared_for,
        chance=first.arm.share if cared_for else 1 - first.arm.share,
        stratum=first.arm.stratum,
        currency=code,
        figures={
            Figure.DAYS: _days_late(account, code, at_ms) if is_known else None,
            Figure.MONEY: account.received(at_ms, at_ms + span, code) / unit if is_known and code else None,
            Figure.RENEWED: _renewed(first, contracts, now_ms=now_ms),
        },
        before={
            Figure.DAYS: account.usual_lateness(at_ms),
            Figure.MONEY: account.received(at_ms - span, at_ms, code) / unit if code else None,
            Figure.RENEWED: None,
        },
    )


def _days_late(account: Account, code: str, at_ms: int) -> float | None:
    """Return how many days after due what became due afterwards was paid, weighted by amount, each counted up to a month."""
    bills = [
        bill
        for bill in account.bills.values()
        if bill.currency == code
        and bill.minor > 0
        and at_ms < bill.due_ms <= at_ms + DUE_DAYS * DAY_MS
        and not 0 < bill.ended_ms <= bill.due_ms
    ]
    total = sum(bill.minor for bill in bills)
    waited = sum(bill.waited(bill.due_ms, bill.due_ms + COUNTED_DAYS * DAY_MS) for bill in bills)
    return waited / total / DAY_MS if total else None


def _contracts(events: Iterable[AnyClientEvent]) -> dict[tuple[str, str], list[ContractRecorded]]:
    found: dict[tuple[str, str], list[ContractRecorded]] = {}
    for event in events:
        if isinstance(event, ContractRecorded):
            found.setdefault((event.client_id, event.contract_id), []).append(event)
    return found


def _renewed(first: _First, contracts: Mapping[tuple[str, str], list[ContractRecorded]], *, now_ms: int) -> float | None:
    """Return 1 where the contract went on after the renewal that the contact was about, 0 where not, None: not known."""
    contract_id, _, _ = first.anchor.rpartition("@")
    said = contracts.get((first.client_id, contract_id), [])
    known = [row for row in said if row.received_ms <= first.at_ms and row.renews_at]
    last = max(known, key=lambda row: row.occurred_ms, default=None)
    if last is None or last.renews_at is None:
        return None
    renews_ms = epoch_ms(last.renews_at)
    edge = renews_ms + RENEWAL_GRACE_DAYS * DAY_MS
    if edge > now_ms:
        return None
    after = max((row for row in said if row.occurred_ms <= edge), key=lambda row: row.occurred_ms)
    goes_on = after.status is not ContractStatus.ENDED and after.renews_at is not None
    return float(goes_on and after.renews_at is not None and epoch_ms(after.renews_at) > renews_ms)


def _running(rows: Iterable[Company], figure: Figure, currency: str) -> RunningLift:
    lift = RunningLift()
    for row in rows:
        value = row.figures[figure]
        in_currency = figure is not Figure.MONEY or row.currency == currency
        if value is not None and in_currency and 0 < row.chance < 1:
            lift.add(Unit(row.is_cared_for, row.chance, row.stratum, value, row.before[figure]))
    return lift


def _verdict(lift: RunningLift, figure: Figure, currency: str) -> tuple[str, str]:
    found = lift.interval()
    if found is None:
        few = f"the smaller group has {min(lift.arms)} companies of which {figure.value} are known"
        return "not decidable", f"{few}; from {LEAST} on there is an answer"
    span = f"{said_of(figure, found.low, currency)} to {said_of(figure, found.high, currency)}"
    sign = -1 if figure is Figure.DAYS else 1
    if found.low > 0 or found.high < 0:
        return ("helps" if sign * found.estimate > 0 else "harms"), f"{figure.value}: {span} with care"
    least = _MATTERS.get(figure)
    if least is not None and -least <= found.low and found.high <= least:
        return "no difference", f"{figure.value}: no difference that matters, it lies within {said_of(figure, least, currency)}"
    needed = None if least is None else lift.needed(least)
    more = f"; about {needed:,} companies would tell {said_of(figure, least or 0, currency)}" if needed else ""
    return "not decidable", f"{figure.value}: anything from {span} is possible{more}"


def said_of(figure: Figure, value: float, currency: str) -> str:
    """Return a difference in words."""
    match figure:
        case Figure.DAYS:
            return f"{value:+.1f} days"
        case Figure.MONEY:
            return f"{value:+,.2f} {currency}".rstrip()
        case _:
            return f"{100 * value:+.1f} points"


def tell_lift(lift: Lift) -> Iterator[str]:
    """Yield how a journey stands against its holdout."""
    yield f"{lift.name}: {lift.verdict.upper()}, {lift.words}"
    if lift.name == EVERY:
        yield "  all care together: with care means that no draw of all care left the company out"
    for arm in (CARED_FOR, LEFT_OUT):
        rows = _arm(lift, arm)
        means = [f"{figure.value} {_mean(rows, figure, lift.currency)}" for figure in _shown(lift)]
        yield f"  {arm.replace('_', ' '):9} {len(rows):>5} companies; {'; '.join(means)}"
    if lift.is_alarming:
        yield f"  ALARM: the groups cannot have come from the draw (odds {lift.draw_odds:,.0f} : 1): believe nothing here"
    for figure in _shown(lift):
        found = lift.differences[figure]
        if found is None:
            yield f"  {figure.value}: not decidable"
        else:
            low, high = (said_of(figure, value, lift.currency) for value in (found.low, found.high))
            estimate = said_of(figure, found.estimate, lift.currency)
            yield f"  {figure.value}: {estimate} with care ({low} to {high}), {found.units} companies"


def lift_json(lift: Lift) -> dict[str, Any]:
    """Return it for programs."""
    groups = {arm: _arm(lift, arm) for arm in (CARED_FOR, LEFT_OUT)}
    return {
        "journey": lift.name,
        "aim": lift.aim.value,
        "verdict": lift.verdict,
        "words": lift.words,
        "draw_odds": lift.draw_odds,
        "alarm": lift.is_alarming,
        "currency": lift.currency,
        "companies": {arm: len(rows) for arm, rows in groups.items()},
        "known": {
            arm: {figure.value: sum(row.figures[figure] is not None for row in rows) for figure in Figure}
            for arm, rows in groups.items()
        },
        "differences": {
            figure.value: None if row is None else [row.low, row.estimate, row.high] for figure, row in lift.differences.items()
        },
    }


def _shown(lift: Lift) -> tuple[Figure, ...]:
    rest = (figure for figure in Figure if figure is not lift.aim and figure is not Figure.RENEWED)
    return (lift.aim, *rest)


def _arm(lift: Lift, arm: str) -> list[Company]:
    return [row for row in lift.companies if row.is_cared_for == (arm == CARED_FOR)]


def _mean(rows: Sequence[Company], figure: Figure, currency: str) -> str:
    known = [
        value
        for row in rows
        if (value := row.figures[figure]) is not None and (figure is not Figure.MONEY or row.currency == currency)
    ]
    if not known:
        return "not known yet"
    mean = sum(known) / len(known)
    number = f"{mean:.0%}" if figure is Figure.RENEWED else f"{mean:,.2f}" if figure is Figure.MONEY else f"{mean:.1f}"
    return f"{number} of {len(known)}"
