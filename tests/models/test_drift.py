"""Drift: what is noticed how soon, what is not on calm books, what it costs the learners in trust, what a restart keeps."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from math import pi
from struct import unpack
from typing import Final

import numpy as np
import pytest

from models.features import Landmark
from models.learners.drift import DriftWatch
from tests.models.examples import example, trained

_YEAR: Final = 250  # days with answers
_QUIET, _BUSY = 3, 60  # answers of a day
_NEVER: Final = 1e-300  # a delta at which nothing is sure

Day = list[tuple[float, bool]]


@dataclass(frozen=True)
class Firm:
    """A firm whose learner gives chances that are right on average, until `worse` is added to every true chance."""

    answers: int
    moods: float = 0.0  # how far all invoices of a day are off together
    month: float = 0.0  # how far chances are off in the course of a month
    swing: float = 0.0  # how the share of late ones swings with the month; the learner foresees it

    def days(self, seed: int, count: int, *, shift: int = 10**9, worse: float = 0.0) -> Iterator[Day]:
        """Yield what is answered on each day; from day `shift` on clients pay worse."""
        dice = np.random.default_rng(seed)
        for day in range(count):
            wave = np.sin(2 * pi * day / 21)
            chances = np.clip(dice.beta(1, 3, self.answers) + self.swing * (1 + wave), 0.01, 0.99)
            off = self.moods * dice.normal() + self.month * wave + (worse if day >= shift else 0.0)
            late = dice.random(self.answers) < chances + off
            yield list(zip(chances.tolist(), late.tolist(), strict=True))


CALM: Final = {
    "a firm that is paid at month ends": Firm(28, month=0.05, moods=0.1, swing=0.2),
    "a busy firm": Firm(_BUSY, moods=0.08),
    "a quiet firm": Firm(_QUIET),
}


def live(watch: DriftWatch, days: Iterator[Day] | list[Day]) -> list[int]:
    """Show `watch` the days; return those on which it alarmed."""
    alarmed = []
    for number, day in enumerate(days):
        before = watch.alarms
        for chance, label in day:
            watch.see(chance, label=label)
        watch.turn()
        if watch.alarms > before:
            alarmed.append(number)
    return alarmed


def steady(chance: float, *, late: int, days: int) -> list[Day]:
    """Return days with ten answers each, of which so many are late."""
    return [[(chance, place < late) for place in range(10)]] * days


@pytest.mark.parametrize("name", CALM)
def test_a_calm_firm_alarms_nobody_for_six_years(name: str) -> None:
    alarmed = {seed: live(DriftWatch(), CALM[name].days(seed, 6 * _YEAR)) for seed in (1, 2)}
    assert alarmed == {1: [], 2: []}


@pytest.mark.parametrize(("name", "within"), [(name, 60 if name == "a quiet firm" else 25) for name in CALM])
def test_clients_that_begin_to_pay_later_are_noticed_within_weeks(name: str, within: int) -> None:
    for seed in (1, 2):
        alarmed = live(DriftWatch(), CALM[name].days(seed, 2 * _YEAR, shift=_YEAR, worse=0.3))
        assert alarmed
        assert _YEAR < alarmed[0] <= _YEAR + within


def test_however_sure_it_is_a_small_difference_alarms_nobody() -> None:
    assert live(DriftWatch(), Firm(500).days(3, 4 * _YEAR, shift=2 * _YEAR, worse=0.03)) == []


def test_one_day_on_which_everything_is_late_is_no_drift() -> None:
    watch = DriftWatch()
    assert live(watch, [*steady(0.2, late=2, days=100), [(0.2, True)] * 900, *steady(0.2, late=2, days=100)]) == []


def test_drift_lowers_trust_and_trust_comes_back() -> None:
    watch = DriftWatch()
    live(watch, steady(0.2, late=2, days=60))
    assert watch.trust == 1.0
    live(watch, steady(0.2, late=10, days=15))
    assert watch.alarms == 1
    assert watch.trust < 1.0
    live(watch, steady(0.9, late=9, days=200))
    assert watch.trust == 1.0


@pytest.mark.parametrize(("answers", "days"), [(_QUIET, 134), (_BUSY, 24)])
def test_trust_is_back_after_so_many_days_of_learning(answers: int, days: int) -> None:
    watch = DriftWatch()
    watch.since = 0
    for _ in range(days - 1):
        live(watch, [[(0.5, place % 2 == 0) for place in range(answers)]])
    assert watch.trust < 1.0
    live(watch, [[(0.5, True)] * answers])
    assert watch.trust == 1.0


def test_more_that_are_late_alarm_nobody_where_the_learners_have_followed() -> None:
    assert live(DriftWatch(), steady(0.2, late=2, days=60) + steady(0.5, late=5, days=60)) == []
    assert live(DriftWatch(), steady(0.2, late=2, days=60) + steady(0.8, late=2, days=60)), "as many are late, chances are off"


def ever_later(seed: int) -> list[Day]:
    """Return two years of which the second gets worse day by day, by a tenth in all: the learners follow half of the way."""
    calm, worse = (
        Firm(_BUSY).days(seed, _YEAR),
        (Firm(_BUSY).days(seed + day, 1, shift=0, worse=day / 1000) for day in range(_YEAR)),
    )
    return [*calm, *chain.from_iterable(worse)]


def test_the_share_of_late_ones_tells_sooner_where_the_learners_are_off_in_its_direction() -> None:
    days = ever_later(3)
    assert live(DriftWatch(), days)[0] < live(DriftWatch(of_shares=_NEVER), days)[0]


def test_the_share_of_late_ones_counts_only_where_the_learners_are_off_in_its_direction() -> None:
    calm = steady(0.3, late=3, days=60)
    assert live(DriftWatch(of_residuals=_NEVER), calm + steady(0.6, late=6, days=60)) == [], "they follow"
    assert live(DriftWatch(of_residuals=_NEVER), calm + steady(0.67, late=6, days=60)) == [], (
        "more are late than before, and fewer than they say"
    )
    assert live(DriftWatch(of_residuals=_NEVER), calm + steady(0.53, late=6, days=60)), "more than before, and more than they say"
    assert live(DriftWatch(of_residuals=_NEVER), calm + steady(0.07, late=0, days=60)), (
        "fewer than before, and fewer than they say"
    )


def test_learners_that_come_nearer_to_the_truth_alarm_nobody() -> None:
    for nearer in (0.4, 0.6):
        assert live(DriftWatch(), steady(0.2, late=6, days=60) + steady(nearer, late=6, days=60)) == []


def test_what_both_notice_is_told_once() -> None:
    """The residual goes by a half, the share by less: it would be noticed days later, had it not begun anew."""
    assert len(live(DriftWatch(), steady(0.4, late=3, days=60) + steady(0.2, late=6, days=60))) == 1


def test_who_errs_by_as_much_as_before_in_the_other_direction_is_noticed() -> None:
    watch = DriftWatch()
    assert live(watch, steady(0.2, late=5, days=60)) == []
    assert live(watch, steady(0.8, late=5, days=60))


def test_the_trainer_shows_its_watch_the_answers_day_by_day() -> None:
    watch, trainer = DriftWatch(), trained(400)
    live(watch, [[(0.3, example(number).late) for number in range(first, first + 8)] for first in range(0, 400, 8)])
    days, shown = (array("d", each.dump()[40:]) for each in (watch, trainer.watch))
    assert len(shown) == 2 * 50 + 3 * 10, "means of both windows, and the last ten days"
    assert shown == pytest.approx(days)


def test_right_after_a_drift_recalibration_moves_faster_and_in_calm_times_as_usual() -> None:
    calm, shaken = trained(200), trained(200)
    shaken.watch.since = 0
    assert (calm.watch.pace, shaken.watch.pace) == (1.0, 20.0)
    for trainer in (calm, shaken):
        for number in range(200, 240):
            trainer.take(example(number))
        trainer.turn(trainer.day + 1)
    spreads = [unpack("4d", trainer.heads[Landmark.ISSUE, 5].recalibration.dump()[1]) for trainer in (calm, shaken)]
    assert spreads[1][0] > spreads[0][0]
    assert spreads[1][2] > spreads[0][2]


@pytest.mark.parametrize("stops", [5, 200, _YEAR + 4, 2 * _YEAR])
def test_a_watch_that_is_stopped_on_any_day_alarms_on_the_days_of_one_that_is_not(stops: int) -> None:
    days = list(Firm(_BUSY, moods=0.08).days(4, 3 * _YEAR, shift=_YEAR, worse=0.3))
    whole, stopped = DriftWatch(), DriftWatch()
    before = live(stopped, days[:stops])
    resumed = DriftWatch.load(stopped.dump())
    assert resumed.dump() == stopped.dump()
    after = [stops + day for day in live(resumed, days[stops:])]
    assert before + after == live(whole, days) != []
    assert resumed.dump() == whole.dump()


def test_a_watch_that_has_forgotten_its_first_years_goes_on_alike_after_a_restart() -> None:
    days = list(Firm(1).days(6, 2600, shift=2500, worse=0.5))
    whole, stopped = DriftWatch(), DriftWatch()
    live(stopped, days[:2490])
    resumed = DriftWatch.load(stopped.dump())
    assert len(stopped.dump()) < 2490 * 16, "two windows of which neither holds all days"
    assert [2490 + day for day in live(resumed, days[2490:])] == live(whole, days) != []


def test_what_an_earlier_release_wrote_is_read_its_windows_begin_anew() -> None:
    earlier = array("q", (100, 3)).tobytes() + array("f", [0.2, 1.7] * 500).tobytes()
    watch = DriftWatch.load(earlier)
    assert (watch.since, watch.alarms, watch.trust) == (100, 3, 0.625)
    live(watch, steady(0.2, late=2, days=1))
    again = DriftWatch.load(watch.dump())
    assert (again.since, again.alarms) == (110, 3)
    assert live(watch, steady(0.2, late=2, days=60)) == []
    assert live(watch, steady(0.2, late=10, days=15))


def test_what_releases_before_the_share_was_watched_wrote_goes_on_by_the_residual() -> None:
    days = list(Firm(_BUSY, moods=0.08).days(4, 2 * _YEAR, shift=_YEAR, worse=0.3))
    before = array("d", chain.from_iterable((sum(late - chance for chance, late in day), len(day)) for day in days[:_YEAR]))
    watch = DriftWatch.load(array("q", (400, 2)).tobytes() + b"\xff" * 8 + before.tobytes())
    assert (watch.trust, watch.alarms) == (1.0, 2)
    assert [_YEAR + day for day in live(watch, days[_YEAR:])] == live(DriftWatch(), days)
