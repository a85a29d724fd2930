"""What inspect says of contracts: chances with reasons, worth with a range, how far paid back."""

import pytest
from msgspec.structs import replace

from handlers.terminal.renewal_words import renewal_json, renewal_lines
from models.events.union import AnyEvent
from models.learners.lifetime import ValueTerms
from models.learners.renewal import PublishedRenewals
from models.learners.renewal_trainer import RenewalTrainer
from models.learners.worth import worth_of
from models.state.client import ClientState
from tests.models.builders import Events, tick
from tests.models.renewal_examples import renewal_trained
from tests.models.test_renewals import YEAR, agreed
from tests.models.views import final

SCORER = PublishedRenewals(renewal_trained(300).publish())
TERMS = ValueTerms(acquisition_units=20_000, horizon_years=5)


def client() -> ClientState:
    build = Events()
    told: list[AnyEvent] = [agreed(0, YEAR)]
    for day in (10, 60, 110):
        told += [build.issued(day, f"I{day}", 50_000, due=day + 10), build.paid(day + 40, f"P{day}", 50_000, f"I{day}")]
    return final([*told, tick(YEAR - 25)])


def test_a_contract_is_told_with_its_chance_its_reasons_its_worth_and_its_payback() -> None:
    first, *rest = renewal_lines(client(), SCORER, TERMS)
    assert first.startswith("renewal of K1 on 2025-01-07: ")
    assert "likely" in first
    assert any("how they pay lowers it from" in line for line in rest)
    assert any(line.startswith("  renewals of the next 5 years: worth ") for line in rest)
    assert rest[-1].startswith("  has earned 11178.08 EUR of the 20000.00 EUR")
    (told,) = renewal_json(client(), SCORER, TERMS)
    assert told["worth"]["low"] <= told["worth"]["expected"] <= told["worth"]["high"]
    assert told["learner_version"] == SCORER.version


def test_where_the_share_of_the_type_has_a_say_in_a_chance_that_is_told_with_both_numbers() -> None:
    leaning = replace(SCORER.weights, trust=0.5)
    plain, leaned = (PublishedRenewals(weights).standing(client())[0] for weights in (SCORER.weights, leaning))
    assert f"{leaned.renewed:.0%}" != f"{plain.renewed:.0%}"
    say = "the plain share of the contract type has 50% of the say, as renewals went differently lately"
    assert leaned.reasons == (f"{say}: {leaned.renewed:.0%} with it, {plain.renewed:.0%} without", *plain.reasons)
    assert not any("of the say" in reason for reason in plain.reasons)


def test_a_higher_price_and_a_client_who_leaves_are_told_with_their_reasons() -> None:
    lines = list(renewal_lines(client(), SCORER, TERMS))
    (score,) = SCORER.standing(client())
    raised, left = score.further
    assert score.raised is not None
    assert score.left is not None
    assert raised.about == f"a price at least a tenth higher, if it is renewed, {score.raised / score.renewed:.0%}"
    assert left.about == f"the client leaves, by a learner of its own {score.left:.0%}"
    for row in score.further:
        assert row.reasons
        share = row.about.rpartition(" ")[2]
        assert all(f" to {share}" in reason or "nothing about them" in reason for reason in row.reasons[:3])
        place = lines.index(f"  {row.about}:")
        assert lines[place + 1] == f"    {row.reasons[0]}"
    (told,) = renewal_json(client(), SCORER, TERMS)
    assert told["further"] == [{"about": row.about, "reasons": row.reasons} for row in score.further]


def test_after_a_drift_the_share_of_the_type_has_its_say_in_what_a_contract_is_worth_too() -> None:
    leaning = PublishedRenewals(replace(SCORER.weights, trust=0.5))
    (score,) = leaning.standing(client())
    plain, leaned = (worth_of(client(), scorer, TERMS)[0] for scorer in (SCORER, leaning))
    assert leaned.chance == pytest.approx(score.renewed, abs=1e-4)
    assert plain.chance != leaned.chance
    below, above = sorted((plain.value.renewals, leaned.value.renewals))
    assert above - below > 0.01


def test_whoever_has_a_say_in_the_renewals_ahead_is_the_less_sure_the_further_they_are_apart() -> None:
    state = client()
    (period,), (contract,) = state.renewals.periods, state.person.contracts

    def apart(trust: float) -> float:
        path = PublishedRenewals(replace(SCORER.weights, trust=trust)).path(state, period, contract, count=5)
        assert path is not None
        return path.apart

    assert apart(1.0) == 0.0
    assert 0.0 < apart(0.9) < apart(0.5)


def test_a_reason_for_a_renewal_that_leaves_the_percent_as_it_is_is_not_told() -> None:
    weights = SCORER.weights
    lines = tuple(
        replace(row, intercept=-7.0, slopes=tuple(-0.3 for _ in row.slopes), types=tuple(0.3 for _ in row.types))
        for row in weights.lines
    )
    (score,) = PublishedRenewals(replace(weights, lines=lines)).standing(client())
    for reasons in (score.reasons, *(row.reasons for row in score.further)):
        assert reasons[0] == "no single thing moves it by as much as can be seen in whole percent"


def test_what_was_overdue_has_a_counterfactual() -> None:
    build = Events()
    state = final([agreed(0, YEAR), build.issued(100, due=110), tick(YEAR - 25)])
    weights = SCORER.weights
    lines = tuple(replace(row, slopes=tuple(-0.6 for _ in row.slopes)) for row in weights.lines)
    (score,) = PublishedRenewals(replace(weights, lines=lines)).standing(state)
    assert score.reasons[-1].startswith("with nothing overdue today this would be ")


def test_a_client_without_contracts_is_spared_and_an_abstention_is_said() -> None:
    assert list(renewal_lines(final([Events().issued(0)]), SCORER, TERMS)) == []
    (nothing,) = renewal_lines(client(), None, TERMS)
    assert "no learner is active" in nothing
    young = PublishedRenewals(RenewalTrainer().publish())
    first, worth, *_ = renewal_lines(client(), young, ValueTerms())
    assert first == "renewal of K1: too little history of renewals to say"
    assert "in nine of ten cases" in worth
    assert renewal_json(client(), None, TERMS) == []
