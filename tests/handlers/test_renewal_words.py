"""What inspect says of contracts: chances with reasons, worth with a range, how far paid back."""

from msgspec.structs import replace

from handlers.terminal.renewal_words import renewal_json, renewal_lines
from models.events.union import AnyEvent
from models.learners.lifetime import ValueTerms
from models.learners.renewal import PublishedRenewals
from models.learners.renewal_trainer import RenewalTrainer
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
