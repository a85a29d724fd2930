"""What each feature says of a small history, worked out by hand: a sign or a unit that turns over shows here by name."""

from math import cos, log, pi, sin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.union import AnyEvent
from models.features import FEATURES, NAMES, TABLE, Feature, Landmark, lateness_features, table_of
from models.firm_view import NEW_FIRM, FirmView
from models.renewal_features import RENEWAL_FEATURES, RENEWAL_TABLE, RenewalFeature
from models.state.client import ClientState
from models.workdays import DAY_MS
from tests.models.builders import Events, ms
from tests.models.views import final

# A firm whose clients settle six days late on average, lately every second one too late, and known for two years.
SLOW_FIRM = FirmView(late_share=0.3, recent_share=0.5, mean_days=6.0, first_day=ms(13) // DAY_MS - 730)


def logit(share: float) -> float:
    return log(share / (1 - share))


def close(expected: dict[str, float]) -> object:
    return pytest.approx(expected, abs=1e-9)


def of_a_settled_client() -> dict[str, float]:
    """Three bills paid 2, 4 and 9 days late, one 44 days overdue; the asked one is promised, disputed and a quarter paid."""
    build = Events()
    bills: list[AnyEvent] = []
    for number, late in enumerate((2, 4, 9)):
        start = number * 28
        bills += [
            build.issued(start, f"I{number}", 100_000, due=start + 14),
            build.paid(start + 14 + late, f"P{number}", 100_000, f"I{number}"),
        ]
    asked: list[AnyEvent] = [
        build.issued(84, "I3", 100_000, due=98),
        build.issued(112, "I4", 200_000, due=142),
        build.disputed(113, "D1", "I4"),
        build.promised(114, "Y1", "I4", by=150),
        build.paid(115, "P3", 50_000, "I4"),
    ]
    return values(final([*bills, *asked]), "I4", day=142, seen=112, landmark=Landmark.DUE, firm=NEW_FIRM)


def of_a_late_entry(due: float) -> dict[str, float]:
    """The first bill of a client, dated day 0 and entered on day 13, and a card that was declined that day."""
    build = Events()
    state = final([build.issued(0, "I1", due=due, received=13), build.failed(13, "P1", invoice="I1")])
    return values(state, "I1", day=13, seen=13, landmark=Landmark.ISSUE, firm=SLOW_FIRM)


def values(state: ClientState, invoice: str, *, day: float, seen: float, landmark: Landmark, firm: FirmView) -> dict[str, float]:
    (row,) = (row for row in state.ledger.invoices if row.invoice_id == invoice)
    found = lateness_features(state, row, now_ms=ms(day), seen_ms=ms(seen), landmark=landmark, firm=firm)
    return dict(zip(NAMES, found, strict=True))


HISTORY = {
    # Four outcomes are known, two of them late, beside three that stand for the firm's 30 %.
    "late_share": logit(2.9 / 7) - logit(0.3),
    "known_outcomes": log(5) / 2 - 1,
    # Of the four one passed fifteen days, of the three whose thirty had passed none did, where the firm has 20 % and 10 %.
    "passed_5": logit(2.9 / 7),
    "passed_15": logit(1.6 / 7),
    "passed_30": logit(0.3 / 6),
    "no_outcome": 0.0,
    "few_outcomes": 0.0,
    "median_days": 4 * 3 / 3.5 / 15,
    "spread_days": 3.5 / 10,
    "last_days": 9 / 15,
}
BOOK = {
    "open_others": log(2),
    "overdue_others": log(2),
    "long_overdue_others": log(2),
    "oldest_overdue": log(45) / 2,
    "overdue_share": 1 / 2,
    "amount_firm": (log(2001) - 6) / 1.3,
    "amount_own": (log(2001) - log(1001)) * 4 / 5,
}
CALENDAR = {
    # Day 142 is Wednesday, 29 May; two of the three were settled on a Wednesday, one on a Friday.
    "terms": 30 / 30 - 1,
    "due_wednes": 1.0,
    "payday_wait": (2 / 3 - 3) / 2,
    "payday_habit": (2 / 3 - 0.3) * 2,
    "wait_x_median": 4 * 3 / 3.5 / 15 * (2 / 3 - 3) / 2,
    "month_sine": sin(2 * pi * 29 / 30.4),
    "month_cosine": cos(2 * pi * 29 / 30.4),
    "since_payment": log(28) / 2 - 1,
    "never_paid": 0.0,
    "gap_ratio": log(31 / 29),
    "cadence": log(29) / 2 - 1.5,
}
COURSE = {
    "disputes": log(2),
    "declines": 0.0,
    "disputed_now": 1.0,
    "promised_now": 1.0,
    "age": log(31) / 2 - 1.5,
    "paid_since": 1.0,
    "part_paid": 0.25,
    # Of three settled and one overdue, two passed five days and one fifteen; three more stand for the firm, a third of them late.
    "still_open_5": logit(3 / 7),
    "still_open_15": logit(2 / 7),
    "still_open_30": logit(2 / 7),
}
LATE_ENTRY = {
    "late_share": 0.0,
    "no_outcome": 1.0,
    "few_outcomes": 1.0,
    "known_outcomes": -1.0,
    "median_days": 6 / 15,
    "fast_days": 6 / 15,
    "slow_days": 6 / 15,
    "last_days": 6 / 15,
    "terms": 10 / 30 - 1,
    "short_terms": 1.0,
    "to_go": -3 / 30 - 0.5,
    "past_due": 3 / 15,
    "entered_late": 13.375 / 15,  # entered at nine
    "never_paid": 1.0,
    "declines": log(2),
    "firm_recent": logit(0.5) - logit(0.3),
    "year_sine": sin(2 * pi * 18 / 365.25),  # due on 18 January
    "year_cosine": cos(2 * pi * 18 / 365.25),
    "due_thurs": 1.0,
}


@pytest.mark.parametrize("expected", [HISTORY, BOOK, CALENDAR, COURSE])
def test_of_a_settled_client_each_feature_says_what_can_be_counted(expected: dict[str, float]) -> None:
    found = of_a_settled_client()
    assert {name: found[name] for name in expected} == close(expected)


def test_of_a_bill_that_was_entered_late_each_feature_says_what_can_be_counted() -> None:
    found = of_a_late_entry(due=10)
    assert {name: found[name] for name in LATE_ENTRY} == close(LATE_ENTRY)


def test_days_late_that_lie_back_count_less_the_faster_a_feature_forgets() -> None:
    found = of_a_settled_client()
    assert 0 < found["fast_days"] < 9 / 15
    assert 0 < found["slow_days"] < 9 / 15
    assert found["late_share_fast"] >= found["late_share_slow"] > 0


@pytest.mark.parametrize(
    ("due", "day", "product"),
    [(14, "mon", "monday_x_median"), (18, "fri", "friday_x_median"), (19, "satur", "saturday_x_median"), (15, "tues", None)],
)
def test_the_weekday_on_which_a_bill_falls_due_is_told_once_and_with_the_usual_delay(
    due: float, day: str, product: str | None
) -> None:
    found = of_a_late_entry(due)
    assert [name for name in NAMES if name.startswith("due_") and found[name]] == [f"due_{day}"]
    products = {"monday_x_median", "friday_x_median", "saturday_x_median"}
    assert {name: found[name] for name in products} == close({name: 6 / 15 * (name == product) for name in products})


@pytest.mark.parametrize(("rows", "table"), [(FEATURES, TABLE), (RENEWAL_FEATURES, RENEWAL_TABLE)], ids=["lateness", "renewal"])
@given(data=st.data())
def test_a_table_is_another_one_when_two_features_change_places_or_one_its_name_or_unit(
    rows: tuple[Feature | RenewalFeature, ...], table: str, data: st.DataObject
) -> None:
    columns = [(row.name, row.unit) for row in rows]
    assert table_of(columns) == table
    one, other = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=2, max_size=2, unique=True))
    name, unit = columns[one]
    swapped = list(columns)
    swapped[one], swapped[other] = swapped[other], swapped[one]
    changed = [swapped, *([*columns[:one], (n, u), *columns[one + 1 :]] for n, u in ((name, unit + "s"), (name + "_", unit)))]
    assert len({table, *map(table_of, changed)}) == 4
