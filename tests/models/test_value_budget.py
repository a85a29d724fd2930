"""The view of the budget: firms whose truth is known, and what may be suggested of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learners.budget import LEAST, BudgetRow, budget
from models.learners.lifetime import ValueTerms
from models.learners.renewal_snapshot import Months, Published
from models.learners.retention import FIRM

TERMS = ValueTerms(horizon_years=1.0, servicing_units=10, acquisition_units=100, most_shift=0.1)


def months(group: str, contracts: int, *, price: int, lost: float = 0.0, currency: str = "EUR") -> Months:
    """Return contracts of so many units a month of which a share is lost each month, over two years."""
    exposed = [round(contracts * (1 - lost) ** month) for month in range(24)]
    ended = [now - after for now, after in zip(exposed, [*exposed[1:], exposed[-1]], strict=True)]
    billed = tuple(100 * price * count for count in exposed)
    minor = 100.0 * price
    return Months(group, currency, tuple(exposed), tuple(ended), billed, contracts, contracts * minor, contracts * minor**2)


def firm(*groups: Months) -> Published:
    """Return a firm of these groups and of their sum."""
    whole = []
    for currency in sorted({row.currency for row in groups}):
        own = [row for row in groups if row.currency == currency]
        exposed, ended, billed = (
            tuple(map(sum, zip(*rows, strict=True)))
            for rows in ([row.exposed for row in own], [row.ended for row in own], [row.billed for row in own])
        )
        price, square = sum(row.price for row in own), sum(row.price_square for row in own)
        whole.append(Months(FIRM, currency, exposed, ended, billed, sum(row.prices for row in own), price, square))
    return Published((), (*whole, *groups))


def of(rows: list[BudgetRow], group: str) -> BudgetRow:
    return next(row for row in rows if row.group == group)


def test_a_group_whose_truth_is_known_is_found_in_its_range_with_its_cost_and_its_payback() -> None:
    row = of(budget(firm(months("segment:reliable", 4_000, price=100)), TERMS), "segment:reliable")
    assert row.expected == pytest.approx(12 * (100 - 10) * 100 - 10_000, rel=0.01)
    assert row.low <= row.expected <= row.high
    assert row.servicing == 12 * 10 * 100
    assert row.payback.months == 2


def test_a_shift_goes_from_who_clearly_leaves_less_to_who_clearly_leaves_more() -> None:
    rows = budget(firm(months("segment:reliable", 500, price=200), months("segment:slow", 500, price=60, lost=0.05)), TERMS)
    good, bad = of(rows, "segment:reliable"), of(rows, "segment:slow")
    assert good.shift == pytest.approx(0.1)
    assert bad.shift == pytest.approx(-0.1)
    assert good.why == "leaves more than segment:slow"
    assert of(rows, FIRM).shift == 0


def test_where_ranges_meet_or_little_is_known_nothing_is_suggested() -> None:
    alike = budget(firm(months("type:a", 60, price=100, lost=0.03), months("type:b", 60, price=101, lost=0.03)), TERMS)
    assert [row.shift for row in alike] == [0, 0, 0]
    assert of(alike, "type:a").why == "too little to say: the ranges meet"
    few = budget(firm(months("type:a", 400, price=300), months("type:b", LEAST - 1, price=20)), TERMS)
    assert [row.shift for row in few] == [0, 0, 0]
    assert of(few, "type:b").why == f"too little to say: {LEAST - 1} contracts"


def test_currencies_and_kinds_are_never_compared() -> None:
    groups = [
        months("segment:new", 500, price=10),
        months("type:a", 500, price=900),
        months("segment:slow", 500, price=900, currency="USD"),
    ]
    assert all(row.shift == 0 for row in budget(firm(*groups), TERMS))


@given(
    groups=st.lists(st.tuples(st.integers(0, 800), st.integers(20, 400), st.sampled_from([0.0, 0.02, 0.1])), max_size=5),
    most=st.floats(0, 0.5),
)
@settings(max_examples=60)
def test_no_suggestion_goes_beyond_the_bound_or_changes_the_whole_budget(
    groups: list[tuple[int, int, float]], most: float
) -> None:
    made = [months(f"type:{place}", count, price=price, lost=lost) for place, (count, price, lost) in enumerate(groups)]
    rows = budget(firm(*made), ValueTerms(most_shift=most, horizon_years=2.0))
    assert all(abs(row.shift) <= most + 1e-12 for row in rows)
    assert sum(row.contracts * row.shift for row in rows) == pytest.approx(0, abs=1e-6)
    assert all(row.low <= row.expected <= row.high for row in rows)
