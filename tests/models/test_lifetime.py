"""Lifetime value, renewal curves and paybacks: laws of the arithmetic, and what known worlds come to."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.learners.lifetime import Change, ValueTerms, lifetime, renewals_ahead, together
from models.learners.payback import payback, paybacks
from models.learners.renewal_snapshot import Ages, Months, Published
from models.learners.retention import FIRM, Retention
from models.learners.survival import fit, pooled
from models.policy.document import PolicyDocument, document_of, policy_of
from models.policy.value_document import ValueSection
from models.state.renewals import Period
from models.workdays import DAY_MS
from tests.models.renewal_examples import renewal_example

NOW = 20_000 * DAY_MS
SURE = Change(mean=0.0, spread=1e-9)


def period(days: int = 365, *, ahead: int = 30) -> Period:
    renews = NOW + ahead * DAY_MS
    return Period("K1", renews - days * DAY_MS, renews, 100_000, "EUR", "retainer")


CHANCES = st.lists(st.floats(0.02, 0.98), min_size=1, max_size=12)


@given(path=CHANCES, margin=st.floats(0.1, 1.0), growth=st.floats(-0.1, 0.1))
@settings(max_examples=40)
def test_the_expected_worth_lies_in_its_range_and_grows_with_every_chance(
    path: list[float], margin: float, growth: float
) -> None:
    def worth(chances: list[float]) -> tuple[int, int, int]:
        found = lifetime(
            period(),
            minor=100_000,
            path=chances,
            doubt=0.3,
            change=Change(growth, 0.1),
            now_ms=NOW,
            terms=ValueTerms(margin=margin),
        )
        return found.low, found.expected, found.high

    low, expected, high = worth(path)
    assert 0 <= low <= high
    assert low <= expected
    better = [min(0.99, chance + 0.01) for chance in path]
    assert worth(better)[1] > expected


def test_a_contract_that_is_renewed_with_even_odds_is_worth_the_sum_of_a_half_a_quarter_an_eighth() -> None:
    found = lifetime(period(), minor=100_000, path=[0.5, 0.5, 0.5], doubt=0.0, change=SURE, now_ms=NOW, terms=ValueTerms())
    assert found.expected == pytest.approx(87_500, abs=2)
    assert found.renewals == pytest.approx(0.875)
    assert (found.low, found.high) == (0, 300_000)


@given(chance=st.floats(0.01, 0.99), doubt=st.floats(0.0, 1.5))
def test_doubt_about_a_chance_neither_raises_nor_lowers_it(chance: float, doubt: float) -> None:
    found = lifetime(period(), minor=100_000, path=[chance], doubt=doubt, change=SURE, now_ms=NOW, terms=ValueTerms())
    assert found.renewals == pytest.approx(chance, abs=1e-3)


def test_prices_of_first_renewals_do_not_stand_for_those_of_later_ones() -> None:
    """Forty contracts keep their price at the first renewal; at each later one it rises by a tenth."""
    tallies = Retention()
    for number in range(160):
        age = number % 4
        row = renewal_example(number).model_copy(update={"renewed": True, "age": age, "minor": 100_000})
        tallies.see(row.model_copy(update={"after": 110_000 if age else 100_000}))
    (firm,) = [row for row in Published.of(tallies).ages if row.group == FIRM]
    change = Change.of(firm)
    assert change.first == pytest.approx(0.0, abs=0.012)
    assert change.mean == pytest.approx(0.0953, abs=0.005)
    worths = [
        lifetime(
            replace(period(), age=age), minor=100_000, path=[1.0, 1.0], doubt=0.0, change=change, now_ms=NOW, terms=ValueTerms()
        ).expected
        for age in (0, 1)
    ]
    assert worths[0] == pytest.approx(100_000 + 110_000, rel=0.02)
    assert worths[1] == pytest.approx(110_000 + 121_000, rel=0.02)
    # What an earlier release published tells no first renewals apart: all are alike, as before.
    before = replace(firm, first_changes=0, first_change=0.0)
    assert Change.of(before).first == pytest.approx(Change.of(before).mean)


def test_margin_service_and_discount_take_their_part() -> None:
    terms = ValueTerms(margin=0.5, servicing_units=10, discount_rate=0.1, horizon_years=1.5)
    found = lifetime(period(365, ahead=0), minor=100_000, path=[0.9, 0.9], doubt=0.0, change=SURE, now_ms=NOW, terms=terms)
    each = 50_000 - 12 * 1_000
    assert found.expected == pytest.approx(0.9 * each + 0.81 * each / 1.1, rel=2e-3)


def test_the_horizon_counts_the_renewals_within_it() -> None:
    assert renewals_ahead(period(365, ahead=30), now_ms=NOW, terms=ValueTerms(horizon_years=1)) == 1
    assert renewals_ahead(period(91, ahead=30), now_ms=NOW, terms=ValueTerms(horizon_years=1)) == 4
    assert renewals_ahead(period(365, ahead=400), now_ms=NOW, terms=ValueTerms(horizon_years=1)) == 0


def test_currencies_are_never_added() -> None:
    one = lifetime(period(), minor=100, path=[0.5], doubt=0.0, change=SURE, now_ms=NOW, terms=ValueTerms())
    found = together([one, one])
    assert [row.expected for row in found] == [2 * one.expected]
    other = lifetime(
        Period("K2", NOW - DAY_MS, NOW + DAY_MS, 5, "USD", "x"),
        minor=5,
        path=[0.5],
        doubt=0.0,
        change=SURE,
        now_ms=NOW,
        terms=ValueTerms(),
    )
    assert [row.currency for row in together([one, other])] == ["EUR", "USD"]


def test_the_curve_finds_the_share_that_was_renewed_and_rises_with_age() -> None:
    known, renewed = [400.0, 300.0, 250.0, 220.0], [300.0, 250.0, 222.0, 204.0]
    curve = fit(known, renewed)
    for age, count in enumerate(known):
        assert curve.share(age) == pytest.approx(renewed[age] / count, abs=0.03)
    assert curve.share(9) > curve.share(3)
    assert fit((), ()).share(0) == pytest.approx(0.8, abs=0.05)


def test_a_group_of_which_little_is_known_leans_on_the_firm() -> None:
    firm = Ages(FIRM, (1_000,), (800,))
    alone, both = fit(*pooled(Ages("type:x", (2,), (0,)), None)), fit(*pooled(Ages("type:x", (2,), (0,)), firm))
    assert alone.share(0) < both.share(0)
    assert both.share(0) == pytest.approx(16 / 22, abs=0.05)


def test_payback_is_the_month_in_which_the_survivors_have_earned_the_cost() -> None:
    exposed = tuple([1_000] * 12 + [500] * 12)
    ended = tuple([0] * 11 + [500] + [0] * 12)
    row = Months(FIRM, "EUR", exposed, ended, tuple(100_00 * count for count in exposed), 1_000, 1e7, 1e11)
    assert payback(row, row, ValueTerms(acquisition_units=600)).months == 6
    assert payback(row, row, ValueTerms(acquisition_units=1_500)).months == 18
    never = payback(row, row, ValueTerms(acquisition_units=600, margin=0.1, servicing_units=10))
    assert never.months is None
    assert never.words.startswith("over 60 months")
    of = ValueTerms(acquisition_units=600, acquisition_of={FIRM: 300})
    assert payback(row, row, of).months == 3


def test_how_surely_it_is_known_when_a_group_pays_back_is_told_from_the_earliest_month_to_the_latest() -> None:
    few = Months(
        FIRM,
        "EUR",
        tuple([20] * 12 + [10] * 12),
        tuple([0] * 11 + [10] + [0] * 12),
        (200_000,) * 12 + (100_000,) * 12,
        20,
        2e5,
        2.2e9,
    )
    found = payback(few, few, ValueTerms(acquisition_units=1_500))
    assert found.low is not None
    assert found.months is not None
    assert found.high is not None
    assert found.low < found.months < found.high
    assert found.words == f"{found.months} months ({found.low} to {found.high})"


def test_tallies_keep_currencies_apart_and_their_size() -> None:
    tallies = Retention()
    for number in range(50):
        tallies.see(renewal_example(number).model_copy(update={"currency": ("EUR", "USD")[number % 2], "segment": f"s{number}"}))
    published = Published.of(tallies)
    euros, dollars = published.months_of(FIRM, "EUR"), published.months_of(FIRM, "USD")
    assert euros is not None
    assert dollars is not None
    assert euros.prices == dollars.prices == 25
    assert len(published.ages) <= 24
    assert len(published.months) <= 24


def test_how_a_firm_counts_is_part_of_its_policy() -> None:
    document = PolicyDocument(
        version="v", value=ValueSection(margin=0.6, acquisition_units=900, acquisition_of={"type:retainer": 1_500})
    )
    policy = policy_of(document)
    assert policy.value.cost_of(("segment:slow", "type:retainer"), "EUR") == 150_000
    assert policy.value.cost_of(("segment:slow",), "JPY") == 900
    assert document_of(policy).value == document.value


def test_what_was_told_of_the_cost_of_winning_goes_before_what_the_policy_says() -> None:
    tallies = Retention()
    for number in range(8):
        tallies.see(renewal_example(number).model_copy(update={"age": number % 2, "cost": 300_000 * (number % 2 == 0)}))
    terms = ValueTerms(acquisition_units=9, acquisition_of={"type:retainer": 7})
    assert {row.cost for row in paybacks(Published.of(tallies), terms)} == {300_000, 900}
    unknown = Retention()
    unknown.see(renewal_example(0))
    assert {row.group: row.cost for row in paybacks(Published.of(unknown), terms)}["type:retainer"] == 700
