"""`rapport learners budget`: what contracts leave per segment and type, and where a little more care would pay."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from handlers.commands.book.plan import Asked
from handlers.commands.learners.desk import read_stand
from handlers.commands.options import FormOption, JsonOption, PolicyOption
from handlers.commands.policies.choosing import chosen_policy
from handlers.commands.segments.living import Living
from handlers.commands.simulate import events_of
from handlers.terminal.documents import in_json
from models.learners.activation import RENEWAL
from models.learners.budget import DEFINITIONS, BudgetRow
from models.learners.budget import budget as rows_of
from models.learners.renewal_snapshot import Published, load_renewal
from models.learners.retention import Retention
from models.money import Money
from models.policy.policy import Policy
from models.regime import encode_regime
from streams.engine.program import ClientProgram
from streams.runtime.settings import load_settings


def budget(
    file: Annotated[Path | None, Parameter(help="A history with contracts (jsonl); none: the running trainer.")] = None,
    /,
    *,
    policy: PolicyOption = None,
    form: FormOption = None,
    as_json: JsonOption = False,
    asked: Asked | None = None,
) -> int:
    """Show what a contract leaves per segment and contract type, what serving it costs, and where more care would pay.

    Value is what remains after margin, service and the cost of winning, within `value.horizon_years`, on average, with the range
    of nine of ten. A shift of the budget of care is suggested only where ranges do not meet; what one group gains others give,
    at most `value.most_shift` of a group's in a quarter. It shows where money came from, not what more care would cause: try a
    shift as an experiment. Nothing acts upon it.

    Example: rapport learners budget history.jsonl

    Exit codes: 0 shown, 1 no renewal is answered yet or a server is away, 2 wrong usage.
    """
    known, chosen = _standing(policy) if file is None else _told(file, form=form, asked=asked or Asked(), policy=policy)
    rows = [] if known is None else rows_of(known, chosen.value)
    if as_json:
        print(in_json({"definitions": DEFINITIONS, "policy": chosen.version, "groups": [*map(_as_json, rows)]}))
    elif rows:
        print("\n".join(budget_lines(rows, chosen)))
    else:
        print("no renewal is answered yet: nothing is known of what contracts leave")
    return 0 if rows else 1


def budget_lines(rows: Sequence[BudgetRow], policy: Policy) -> Iterator[str]:
    """Yield the table and what is suggested."""
    yield f"per contract won, within {policy.value.horizon_years:g} years; definitions {DEFINITIONS}, policy {policy.version}"
    yield f"{'group':28} {'contracts':>9} {'value':>15} {'from':>15} {'to':>15} {'service':>14}  paid back after"
    for row in rows:
        value, low, high, service = (Money(part, row.currency) for part in (row.expected, row.low, row.high, row.servicing))
        said = row.payback.words if row.payback.cost else "what winning cost is not known"
        yield f"{row.group:28} {row.contracts:>9,} {value!s:>15} {low!s:>15} {high!s:>15} {service!s:>14}  {said}"
    for row in rows:
        if row.why:
            shift = f"{row.shift:+.1%} of its budget of care this quarter" if row.shift else "no shift"
            yield f"{row.group} ({row.currency}): {shift}; {row.why}"


def _as_json(row: BudgetRow) -> dict[str, Any]:
    names = ("group", "currency", "contracts", "expected", "low", "high", "servicing", "shift", "why")
    return {**{name: getattr(row, name) for name in names}, "payback_months": row.payback.months}


def _told(file: Path, *, form: FormOption, asked: Asked, policy: Path | None) -> tuple[Published, Policy]:
    chosen, tallies = chosen_policy(policy), Retention()
    events = sorted(events_of(file, form=form, asked=asked), key=lambda event: event.received_ms)
    for example in Living(chosen).live(events).renewals:
        tallies.see(example)
    return Published.of(tallies), chosen


def _standing(policy: Path | None) -> tuple[Published | None, Policy]:
    """Return what the running trainer knows, and the policy that was named, else the one in force."""
    started = chosen_policy(policy)
    stand = asyncio.run(read_stand(load_settings()))
    chosen = started if policy is not None else ClientProgram(started).under(encode_regime(stand.regimes[0])).policy
    active = stand.active(learner=RENEWAL)
    return (None if active is None else load_renewal(active.snapshot).retention), chosen
