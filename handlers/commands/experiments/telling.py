"""Results of experiments and steps in words and as JSON."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from handlers.commands.experiments.reckoning import Difference, Exposed, Result
from handlers.commands.experiments.steps import Row
from models.learners.lift import ALARM, Interval
from models.policy.experiments import Experiment, Guardrail, share_of

_NOTHING = "-"


def tell_experiment(experiment: Experiment) -> Iterator[str]:
    """Yield what an experiment compares, with whom and why."""
    who = ", ".join(experiment.segments) or "all"
    yield f"{experiment.name}: {experiment.hypothesis}"
    yield f"  {experiment.journey.value}/{experiment.step}, segments: {who}; key {experiment.key}"
    for arm in experiment.arms:
        changes = [
            f"words of {arm.words}" if arm.words else "",
            f"tone {arm.tone.value}" if arm.tone else "",
            f"by {arm.channel}" if arm.channel else "",
            f"{arm.wait_days} days later" if arm.wait_days else "",
        ]
        yield f"  {arm.name:16} {share_of(arm, experiment):>4.0%}  {', '.join(filter(None, changes)) or 'the step as it stands'}"
    yield (
        f"  decided by: days to pay within {experiment.horizon_days} days; {experiment.least_days:g} days would matter;"
        f" planned for {experiment.planned:,} companies"
    )


def tell_result(result: Result) -> Iterator[str]:
    """Yield how an experiment stands."""
    yield from tell_experiment(result.experiment)
    if not result.exposed:
        yield "  nobody was exposed yet"
        return
    for arm in result.experiment.arms:
        yield f"  {arm.name:16} {_group([row for row in result.exposed if row.arm == arm.name], result.currency)}"
    if result.is_alarming:
        yield f"  ALARM: the groups cannot have come from the draw (odds {result.draw_odds:,.0f} : 1): believe nothing below"
    for row in result.differences:
        yield f"  {row.arm} against {result.experiment.arms[0].name}: {row.verdict.upper()}, {row.words}"
        money = _interval(row.money, 2)
        yield f"    per company: days {_interval(row.days, 1)}, money {money} {result.currency} within the days".rstrip()
        for stop in row.stops:
            yield f"    STOP, {stop}: rapport halt experiment {result.experiment.name} --reason ..."


def result_json(result: Result) -> dict[str, Any]:
    """Return it for programs."""
    return {
        "experiment": result.experiment.name,
        "hypothesis": result.experiment.hypothesis,
        "companies": len(result.exposed),
        "draw_odds": result.draw_odds,
        "alarm": result.is_alarming,
        "alarm_from": ALARM,
        "currency": result.currency,
        "arms": {arm.name: _group_json([row for row in result.exposed if row.arm == arm.name]) for arm in result.experiment.arms},
        "differences": [_difference_json(row) for row in result.differences],
    }


def step_table(rows: Sequence[Row]) -> Table:
    """Return how steps did, a row each."""
    table = Table(box=None)
    for name in ("journey", "step", "segment", "arm"):
        table.add_column(name)
    for name in ("clients", "decided", "sent", "response", "of", "paid", "days", "of", "opt-outs", "complaints"):
        table.add_column(name, justify="right")
    for row in rows:
        response = _NOTHING if row.response is None else f"{row.response:.0%}"
        days = _NOTHING if row.median_days is None else f"{row.median_days:.1f}"
        counts = (
            len(row.companies),
            row.decided,
            row.sent,
            response,
            row.ripe,
            row.paid,
            days,
            len(row.days),
            row.opt_outs,
            row.complaints,
        )
        table.add_row(*(Text(str(cell)) for cell in (row.journey, row.step, row.segment, row.arm or _NOTHING, *counts)))
    return table


def _group(rows: Sequence[Exposed], currency: str) -> str:
    known = [row for row in rows if row.is_known]
    rails = [f"{what.value.replace('_', ' ')} {sum(what in row.heard for row in rows)}" for what in Guardrail]
    days = _mean([row.days for row in known])
    money = _mean([row.money for row in known if row.currency == currency])
    return (
        f"{len(rows)} companies, {len(known)} known; {_number(days, 1)} days, {_number(money, 2)} {currency}; "
        f"{_number(_mean([float(row.contacts) for row in rows]), 1)} contacts each; {', '.join(rails)}"
    )


def _group_json(rows: Sequence[Exposed]) -> dict[str, Any]:
    known = [row for row in rows if row.is_known]
    return {
        "companies": len(rows),
        "known": len(known),
        "mean_days": _mean([row.days for row in known]),
        "contacts": _mean([float(row.contacts) for row in rows]),
        "guardrails": {what.value: sum(what in row.heard for row in rows) for what in Guardrail},
        "strata": {name: sum(row.stratum == name for row in rows) for name in sorted({row.stratum for row in rows})},
    }


def _difference_json(row: Difference) -> dict[str, Any]:
    return {
        "arm": row.arm,
        "verdict": row.verdict,
        "words": row.words,
        "days": None if row.days is None else [row.days.low, row.days.estimate, row.days.high],
        "money": None if row.money is None else [row.money.low, row.money.estimate, row.money.high],
        "stops": list(row.stops),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _number(value: float | None, digits: int) -> str:
    return _NOTHING if value is None else f"{value:,.{digits}f}"


def _interval(found: Interval | None, digits: int) -> str:
    return (
        "not decidable"
        if found is None
        else f"{found.estimate:+,.{digits}f} ({found.low:+,.{digits}f} to {found.high:+,.{digits}f})"
    )
