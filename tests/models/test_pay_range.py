"""What is promised about the day of payment holds about as often as promised, and the range is no wider than it must be."""

from math import ceil, floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.features import FEATURES, INDEX, Landmark
from models.learners.bins import WIDTH
from models.learners.days import DaysLearner
from models.learners.errors import CELLS, Errors
from models.learners.expansion import expand
from models.learners.opinions import Opinions
from models.learners.pay_range import GROUPS, INWARD, LEVELS, group_of, scale_of
from models.learners.trainer import LatenessTrainer
from models.learners.trees import TreesLearner
from tests.models.examples import example


def beginner() -> DaysLearner:
    return DaysLearner(TreesLearner(Landmark.ISSUE), np.zeros(WIDTH))


def client(*, median: float = 0.0, spread: float = 0.5) -> tuple[float, ...]:
    """Features of a client whose usual delay is `median` fifteenths of a day."""
    row = [0.0] * len(FEATURES)
    row[INDEX["median_days"]], row[INDEX["spread_days"]] = median, spread
    return tuple(row)


def promised(learner: DaysLearner, features: tuple[float, ...]) -> list[float]:
    middle, quantiles = learner.middle(features, expand(features, days=5)), learner.errors.quantiles()[group_of(features)]
    return [middle + error * scale_of(features) + inward for error, inward in zip(quantiles, INWARD, strict=True)]


def lived(
    days: list[int], *, learner: DaysLearner, features: tuple[float, ...], settled_by: int = 10_000
) -> list[tuple[bool, float]]:
    """Whether each range held and how wide it was; of what is paid after `settled_by` days only that it is open is heard."""
    found = []
    for day in days:
        low, _, _, high = promised(learner, features)
        found.append((floor(low) <= day <= ceil(high), high - low))
        if day > 30:
            learner.learn_open(features, open_days=31)
        if day <= settled_by:
            learner.learn(features, days_late=day, open_days=31 if day > 30 else None)
    return found


def test_the_range_holds_for_nine_of_ten_and_is_as_wide_as_the_delays_are() -> None:
    dice = np.random.default_rng(3)
    for deviation, widest in ((2.0, 9.0), (8.0, 32.0)):
        days = np.round(dice.normal(1, deviation, 900)).astype(int).tolist()
        found = lived(days, learner=beginner(), features=client())[200:]
        assert 0.87 < np.mean([held for held, _ in found]) < 0.93
        assert np.median([width for _, width in found]) < widest


def test_a_range_that_grew_too_wide_comes_back() -> None:
    """Payments that were months late at first must not widen the range for years."""
    dice = np.random.default_rng(4)
    wild = [100 if dice.random() < 0.15 else round(dice.normal(1, 3)) for _ in range(150)]
    calm = np.round(dice.normal(1, 3, 500)).astype(int).tolist()
    learner = beginner()
    lived(wild, learner=learner, features=client())
    assert np.median([width for _, width in lived(calm, learner=learner, features=client())[300:]]) < 16


def test_invoices_that_are_never_paid_widen_the_range_though_their_day_is_never_known() -> None:
    dice = np.random.default_rng(5)
    days = [int(day) if dice.random() > 0.15 else 200 for day in np.round(dice.normal(0, 3, 900))]
    open_ones, ignored = beginner(), beginner()
    lived(days, learner=open_ones, features=client(), settled_by=150)
    lived([day for day in days if day < 150], learner=ignored, features=client())
    assert promised(open_ones, client())[-1] > 30 > promised(ignored, client())[-1]


def test_the_trainer_hears_of_what_is_open_after_thirty_days_and_of_no_day_on_which_it_was_paid() -> None:
    def latest_day(*, late: bool) -> float:
        trainer, ended = LatenessTrainer(), {"late": late, "days_late": None if late else 0}
        settled = [example(number, over_days=0) for number in range(160)]
        for row in [*settled, *(example(number, over_days=30).model_copy(update=ended) for number in range(160, 200))]:
            trainer.take(row)
        trainer.turn(trainer.day + 1)
        (quantiles,) = (row.quantiles for row in trainer.publish().ranges if row.line.landmark == Landmark.ISSUE)
        return max(row[-1] for row in quantiles)

    assert latest_day(late=True) > 2 * latest_day(late=False)


def test_a_firm_in_its_first_weeks_promises_later_days_while_half_of_its_invoices_are_still_open() -> None:
    """The prompt are heard of first: without those that are open the range would be theirs alone."""

    def latest_day(*, late: bool) -> float:
        trainer = LatenessTrainer()
        settled = [example(number, over_days=0) for number in range(80)]
        answered = {"late": late, "days_late": None if late else 0}
        for row in [*settled, *(example(number, over_days=5).model_copy(update=answered) for number in range(80, 160))]:
            trainer.take(row)
        trainer.turn(trainer.day + 1)
        (quantiles,) = (row.quantiles for row in trainer.publish().ranges if row.line.landmark == Landmark.ISSUE)
        return max(row[2] for row in quantiles)

    assert latest_day(late=True) > 1.2 * latest_day(late=False)


@given(st.lists(st.floats(-8, 8), min_size=4, max_size=4).map(sorted), st.integers(0, 3))
def test_an_invoice_that_was_open_three_times_is_one_error(errors_of: list[float], group: int) -> None:
    errors = Errors()
    five, fifteen, thirty, paid = errors_of
    errors.see_open(group, five)
    errors.see_open(group, fifteen, open_after=five)
    errors.see_open(group, thirty, open_after=fifteen)
    assert 0.999 < errors.rows[group].sum() < 1.5
    errors.see(group, paid, open_after=thirty)
    assert 0.999 < errors.rows[group].sum() < 2.0


def test_groups_of_clients_keep_ranges_of_their_own() -> None:
    dice, learner = np.random.default_rng(6), beginner()
    prompt, slow = client(median=0.0, spread=0.0), client(median=2.0, spread=0.0)
    for calm, wild in zip(dice.normal(0, 1, 400), dice.normal(30, 12, 400), strict=True):
        learner.learn(prompt, days_late=round(calm))
        learner.learn(slow, days_late=round(wild))
    narrow, wide = (promised(learner, features) for features in (prompt, slow))
    assert wide[-1] - wide[0] > 4 * (narrow[-1] - narrow[0])


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-60, 60), st.booleans()), max_size=60))
def test_shares_add_up_and_levels_rise_whatever_was_seen(seen: list[tuple[int, float, bool]]) -> None:
    errors = Errors()
    for group, error, is_open in seen:
        if is_open:
            errors.see_open(group, error)
            errors.see(group, error + 1.0, open_after=error)
        else:
            errors.see(group, error)
    for group in range(len(GROUPS)):
        assert abs(errors.shares(group).sum() - 1.0) < 1e-9
        assert (errors.rows >= 0).all()
    for row in errors.quantiles():
        assert list(row) == sorted(row)
        assert len(row) == len(LEVELS)


def test_errors_continue_from_their_bytes() -> None:
    errors, again = Errors(), Errors()
    for place in range(40):
        errors.see(1, place / 10)
    again.load(errors.dump())
    assert again.quantiles() == errors.quantiles()
    assert again.rows.shape == (len(GROUPS) + 1, CELLS)


def test_a_learner_of_an_older_release_keeps_its_line_and_begins_its_range_anew() -> None:
    learner, again, older = beginner(), beginner(), beginner()
    for day in range(60):
        learner.learn(client(), days_late=day % 11)
    again.load(*learner.dump())
    assert promised(again, client()) == promised(learner, client())
    assert again.dump() == learner.dump()
    mean, packed, seen, typical, errors = learner.dump()
    older.load(mean, packed, seen, typical, np.zeros(20).tobytes())
    assert older.errors.quantiles() == Errors().quantiles()
    assert older.line.value(expand(client(), days=5)) == learner.line.value(expand(client(), days=5))
    older.load(mean, packed, seen, typical, errors[:-16])  # it had two opinions fewer: the range is kept
    assert older.errors.quantiles() == learner.errors.quantiles()
    assert older.opinions.weights == beginner().opinions.weights


def test_of_several_opinions_the_one_that_was_nearer_lately_weighs_most() -> None:
    opinions = Opinions([0.0] * 3)
    assert opinions.weights == [1 / 3] * 3
    for _ in range(100):
        opinions.see([9.0, 1.0, 5.0], typical=3.0)
    assert opinions.weights[1] > 0.9
    for _ in range(300):
        opinions.see([1.0, 9.0, 5.0], typical=3.0)
    assert opinions.weights[0] > 0.9
    assert abs(sum(opinions.weights) - 1.0) < 1e-9


def test_the_published_line_says_what_the_opinions_say_together() -> None:
    learner, dice = beginner(), np.random.default_rng(8)
    for _ in range(200):
        row = list(client(median=float(dice.normal(0.3, 0.4)), spread=0.3))
        row[INDEX["payday_days"]] = row[INDEX["median_days"]] + float(dice.normal(0, 0.3))
        learner.learn(tuple(row), days_late=round(15 * row[INDEX["payday_days"]]))
    features = tuple(row)
    wide = expand(features, days=5)
    published = 15 * (features[INDEX["median_days"]] + float(learner.weights() @ wide))
    assert abs(published - learner.middle(features, wide)) < 1e-9
    assert learner.opinions.weights[1] > learner.opinions.weights[2]
