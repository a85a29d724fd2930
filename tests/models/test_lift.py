"""The interval of a difference between arms, and the alarm of a bad draw: laws, and coverage under constant looking."""

from collections.abc import Iterator
from math import exp, log
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learners.lift import ALARM, LEAST, RunningLift, Unit, odds_against
from tests.models.examples import noise

WORLDS = 150
COMPANIES = 260
DAYS = st.integers(0, 30)


def _companies(world: int, *, lift: float = 0.0, chance: float = 0.5, noisy: float = 1.0) -> Iterator[Unit]:
    """Yield companies of a made-up firm: few, lumpy, with a past that says much about how they pay; at most thirty days."""
    for number in range(COMPANIES):
        treated = noise("arm", world, number) < chance
        stratum = ("new", "slow", "reliable")[int(3 * noise("stratum", world, number))]
        before = {"new": 12.0, "slow": 20.0, "reliable": 4.0}[stratum] - 6 * log(noise("before", world, number) + 1e-9) / 2
        shock = -8 * noisy * log(noise("shock", world, number) + 1e-9) - 8 * noisy
        outcome = min(30.0, max(0.0, 0.8 * before + shock + lift * treated))
        known = None if noise("known", world, number) < 0.1 else before
        yield Unit(treated, chance, stratum, outcome, known)


def _run(units: Iterator[Unit]) -> tuple[RunningLift, list[tuple[float, float]]]:
    lift, seen = RunningLift(planned=COMPANIES), []
    for unit in units:
        lift.add(unit)
        interval = lift.interval()
        if interval is not None:
            seen.append((interval.low, interval.high))
    return lift, seen


@pytest.mark.parametrize("chance", [0.5, 0.25])
def test_whoever_looks_after_every_company_is_misled_in_no_more_worlds_than_promised(chance: float) -> None:
    misled = sum(any(low > 0 or high < 0 for low, high in _run(_companies(world, chance=chance))[1]) for world in range(WORLDS))
    assert misled <= WORLDS * 0.05


def test_lumpy_money_does_not_mislead_either() -> None:
    misled = 0
    for world in range(WORLDS):
        lift = RunningLift(planned=COMPANIES)
        wrong = False
        for number in range(COMPANIES):
            size = exp(7 + 1.2 * NormalDist().inv_cdf(min(max(noise("size", world, number), 1e-6), 1 - 1e-6)))
            paid = size * noise("paid", world, number)
            lift.add(Unit(noise("arm", world, number) < 0.5, 0.5, "all", paid, size))
            interval = lift.interval()
            wrong |= interval is not None and not interval.low <= 0 <= interval.high
        misled += wrong
    assert misled <= WORLDS * 0.05


def test_a_true_difference_is_found_and_its_size_is_right() -> None:
    found = [_run(_companies(world, lift=-8.0))[0].interval() for world in range(40)]
    estimates = [row.estimate for row in found if row is not None]
    assert -8.0 < sum(estimates) / len(estimates) < -5.0  # the cap at thirty days and at none takes some of it
    assert sum(row is not None and row.high < 0 for row in found) >= 30


def test_what_was_before_narrows_the_interval() -> None:
    with_past, without = RunningLift(), RunningLift()
    for unit in _companies(1, noisy=0.3):
        with_past.add(unit)
        without.add(Unit(unit.treated, unit.chance, "all", unit.outcome))
    one, other = with_past.interval(), without.interval()
    assert one is not None
    assert other is not None
    assert one.high - one.low < 0.7 * (other.high - other.low)


@given(st.lists(st.tuples(DAYS, DAYS), min_size=2 * LEAST, max_size=60), st.floats(0.1, 9))
@settings(max_examples=40)
def test_another_unit_of_measure_changes_the_interval_by_just_that(rows: list[tuple[int, int]], scale: float) -> None:
    plain, moved = RunningLift(), RunningLift()
    for number, (outcome, before) in enumerate(rows):
        plain.add(Unit(bool(number % 2), 0.5, "all", outcome, before))
        moved.add(Unit(bool(number % 2), 0.5, "all", outcome * scale, before))
    one, other = plain.interval(), moved.interval()
    assert one is not None
    assert other is not None
    assert other.estimate == pytest.approx(one.estimate * scale, abs=1e-6)
    assert other.high - other.low == pytest.approx((one.high - one.low) * scale, abs=1e-6)


@given(st.integers(LEAST - 3, LEAST + 3), st.integers(LEAST - 3, LEAST + 3))
def test_with_too_few_companies_in_an_arm_nothing_is_said(treated: int, others: int) -> None:
    lift = RunningLift()
    for number in range(treated + others):
        lift.add(Unit(number < treated, 0.5, "all", number % 7))
    assert (lift.interval() is None) == (min(treated, others) < LEAST)
    assert (lift.needed(2.0) is None) == (lift.interval() is None)


def test_a_chance_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        RunningLift().add(Unit(treated=True, chance=1.0, stratum="all", outcome=1.0))


def test_a_fair_draw_raises_no_alarm_however_often_one_looks_and_a_bad_one_does() -> None:
    for world in range(60):
        counts = [0, 0]
        for number in range(600):
            counts[noise("draw", world, number) < 0.5] += 1
            assert odds_against(counts, [1, 1]) < ALARM
    bad = [0, 0]
    for number in range(600):
        bad[noise("draw", "bad", number) < 0.35] += 1
    assert odds_against(bad, [1, 1]) > ALARM


@given(st.lists(st.integers(0, 50), min_size=2, max_size=4), st.integers(1, 9))
def test_the_odds_do_not_depend_on_how_shares_are_written(counts: list[int], factor: int) -> None:
    shares = [float(place + 1) for place in range(len(counts))]
    scaled = [share * factor for share in shares]
    assert odds_against(counts, shares) == pytest.approx(odds_against(counts, scaled))
    assert odds_against([0] * len(counts), shares) == pytest.approx(1.0)
