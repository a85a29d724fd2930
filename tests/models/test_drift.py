"""Drift: which window notices what, what it costs the learners in trust, how recalibration hastens, what a restart keeps."""

from struct import unpack

from models.features import Landmark
from models.learners.drift import DriftWatch
from tests.models.examples import example, trained


def test_drift_lowers_trust_and_trust_comes_back() -> None:
    watch = DriftWatch()
    for index in range(600):
        watch.see(0.2, label=index % 5 == 0)
    assert watch.trust == 1.0
    for _ in range(150):
        watch.see(0.2, label=True)
    assert watch.alarms >= 1
    assert watch.trust < 1.0
    for index in range(2_000):
        watch.see(0.9, label=index % 10 != 0)
    assert watch.trust == 1.0


def test_each_of_both_windows_notices_what_the_other_cannot() -> None:
    def alarms(chance: float, *, one_in: int) -> int:
        watch = DriftWatch()
        for index in range(600):
            watch.see(0.2, label=index % 5 == 0)
        assert watch.alarms == 0
        for index in range(600):
            watch.see(chance, label=index % one_in == 0)
        return watch.alarms

    assert alarms(0.2, one_in=5) == 0
    assert alarms(0.8, one_in=5) > 0, "as many are late as before, and another chance is given"
    assert alarms(0.5, one_in=2) > 0, "more are late than before, and the learners have followed"


def test_who_errs_by_as_much_as_before_in_the_other_direction_is_noticed() -> None:
    watch = DriftWatch()
    for chance, alarmed in ((0.2, False), (0.8, True)):
        for index in range(600):
            watch.see(chance, label=index % 2 == 0)
        assert (watch.alarms > 0) is alarmed


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


def test_after_a_restart_a_drift_is_noticed_as_soon_as_without_one() -> None:
    watch = DriftWatch()
    for index in range(600):
        watch.see(0.2, label=index % 5 == 0)
    restarted = DriftWatch.load(watch.dump())
    alarmed = []
    for each in (watch, restarted):
        seen = 0
        while not each.alarms and seen < 300:
            each.see(0.2, label=True)
            seen += 1
        alarmed.append(seen)
    assert alarmed[0] == alarmed[1] < 300
