"""What is foreseen of a client's contracts, in plain words: chances with reasons, worth with a range, how far paid back."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from models.learners.lifetime import Lifetime, ValueTerms, together
from models.learners.renewal import PublishedRenewals, RenewalScore
from models.learners.worth import Worth, worth_of
from models.money import Money
from models.state.client import ClientState
from models.workdays import moment


def renewal_lines(state: ClientState, scorer: PublishedRenewals | None, terms: ValueTerms) -> Iterator[str]:
    """Yield what is to be said of the contracts, nothing for a client without any."""
    if not state.renewals.periods:
        return
    if scorer is None:
        yield "renewals: no learner is active, so no chance is given; rapport run-trainer learns and activates one"
        return
    scores = {row.contract_id: row for row in scorer.standing(state)}
    worths = worth_of(state, scorer, terms)
    for worth in worths:
        yield from _contract(worth, scores.get(worth.contract_id), scorer.version)
    totals = together(row.value for row in worths)
    if len(worths) > len(totals):
        yield from (f"all contracts: {value_words(row)}" for row in totals)


def _contract(worth: Worth, score: RenewalScore | None, version: str) -> Iterator[str]:
    if score is None:
        yield f"renewal of {worth.contract_id}: too little history of renewals to say"
    else:
        extra = "" if score.raised is None else f", {score.raised:.0%} for at least a tenth more"
        extra += "" if score.left is None else f"; {score.left:.0%} that the client leaves"
        when = moment(score.renews_ms).date().isoformat()
        yield f"renewal of {worth.contract_id} on {when}: {score.renewed:.0%} likely{extra} ({version})"
        yield from (f"  {reason}" for reason in score.reasons)
        for row in score.further:
            yield from (f"  {line}" for line in row.lines())
    yield f"  {value_words(worth.value)}"
    if worth.cost:
        yield f"  {payback_words(worth)}"


def value_words(value: Lifetime) -> str:
    """Return what renewals ahead are worth, in one line."""
    low, high, expected = (Money(minor, value.currency) for minor in (value.low, value.high, value.expected))
    years = f"renewals of the next {value.horizon_years:g} years"
    return f"{years}: worth {expected} expected, between {low} and {high} in nine of ten cases"


def payback_words(worth: Worth) -> str:
    """Return how far the cost of winning the client is paid back, in one line."""
    earned, cost = Money(worth.earned, worth.value.currency), Money(worth.cost, worth.value.currency)
    if worth.is_paid_back:
        return f"has earned {earned} so far: what winning the client cost ({cost}) is paid back"
    return f"has earned {earned} of the {cost} that winning the client cost"


def renewal_json(state: ClientState, scorer: PublishedRenewals | None, terms: ValueTerms) -> list[dict[str, Any]]:
    """Return the same for programs; money in minor units."""
    if scorer is None:
        return []
    scores = {row.contract_id: row for row in scorer.standing(state)}
    return [_json(worth, scores.get(worth.contract_id)) for worth in worth_of(state, scorer, terms)]


def _json(worth: Worth, score: RenewalScore | None) -> dict[str, Any]:
    value = worth.value
    return {
        "contract_id": worth.contract_id,
        "contract_type": worth.contract_type,
        "renewed": score and score.renewed,
        "raised": score and score.raised,
        "left": score and score.left,
        "reasons": list(score.reasons) if score else [],
        "further": [asdict(row) for row in score.further] if score else [],
        "learner_version": score and score.version,
        "currency": value.currency,
        "worth": {"expected": value.expected, "low": value.low, "high": value.high, "years": value.horizon_years},
        "earned": worth.earned,
        "cost": worth.cost,
    }
