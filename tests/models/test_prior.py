"""What a new firm begins from: the shipped table fits today's features, and what writes it finds what firms have in common."""

from pathlib import Path

import numpy as np

from models.features import FEATURES, INDEX, TABLE, Family, Landmark
from models.learners.bins import WIDTH
from models.learners.lateness import LatenessScorer
from models.learners.prior import HEADS, days_means, prior_means, prior_variances, rows_of
from models.learners.prior_means import DAYS_MEANS, MEANS, MEANS_TABLE
from models.learners.scorer import PER_CHANCE
from models.learners.trainer import LatenessTrainer
from tests.models.prior_means import Known, common_mean, write

DUE_IN_A_MONTH = -30


def test_the_shipped_table_is_for_the_features_and_bins_of_today() -> None:
    """Else every new firm begins with nothing: run `python -m tests.models.prior_means`, as its docstring says."""
    assert MEANS_TABLE == TABLE
    assert (len(MEANS), len(DAYS_MEANS)) == (2 * len(HEADS) * WIDTH, 2 * len(Landmark) * WIDTH)
    weights = np.concatenate([*prior_means().values(), *days_means().values()])
    assert np.isfinite(weights).all()
    assert 0.2 < np.abs(weights).max() < 2.0
    season = [place for place, row in enumerate(FEATURES, 1) if row.family is Family.SEASON]
    assert not any(mean[season].any() for mean in [*prior_means().values(), *days_means().values()])


def test_a_table_for_other_features_or_bins_says_nothing() -> None:
    assert rows_of(MEANS, len(HEADS), table=TABLE).any()
    assert not rows_of(MEANS, len(HEADS), table="another").any()
    assert not rows_of(MEANS[:-2], len(HEADS), table=TABLE).any()
    assert rows_of(MEANS[:-2], len(HEADS), table=TABLE).shape == (len(HEADS), WIDTH)


def test_before_any_answer_who_was_late_so_far_is_likelier_late_than_who_never_was() -> None:
    scorer = LatenessScorer(LatenessTrainer().publish())

    def chance(*, shares: float, days: float) -> float:
        row = [0.0] * len(FEATURES)
        for name in ("late_share", "late_share_slow", "still_open_5", "payday_open_5", "run_open_5", "passed_5"):
            row[INDEX[name]] = shares
        for name in ("median_days", "last_days", "payday_days", "run_days"):
            row[INDEX[name]] = days
        return scorer.chances(tuple(row), landmark=Landmark.ISSUE, overdue=DUE_IN_A_MONTH)[0] / PER_CHANCE

    assert chance(shares=-1.5, days=-0.3) < 0.3
    assert chance(shares=1.5, days=1.0) > 0.6


def test_what_firms_have_in_common_is_found_through_what_each_has_of_its_own() -> None:
    dice, variances = np.random.default_rng(5), prior_variances()
    truth = np.zeros(WIDTH)
    truth[[3, 40]] = 0.8, -0.5
    known: list[Known] = []
    for _ in range(12):
        own = truth + dice.normal(0, 0.1, WIDTH)
        wide = dice.normal(0, 1, (400, WIDTH))
        known.append((wide.T @ wide, wide.T @ (wide @ own + dice.normal(0, 1, 400))))
    found = common_mean(known, variances)
    assert np.abs(found - truth).max() < 0.15
    silent = (np.zeros((WIDTH, WIDTH)), np.zeros(WIDTH))
    assert not common_mean([silent, silent], variances).any()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    dice = np.random.default_rng(6)
    heads, days = dice.normal(0, 0.3, (len(HEADS), WIDTH)), dice.normal(0, 0.1, (len(Landmark), WIDTH))
    write(tmp_path / "table.py", heads, days)
    read: dict[str, bytes] = {}
    exec((tmp_path / "table.py").read_text(encoding="utf-8"), read)  # noqa: S102 - the module just written
    assert np.abs(rows_of(read["MEANS"], len(HEADS), table=TABLE) - heads).max() < 1e-3
    assert np.abs(rows_of(read["DAYS_MEANS"], len(Landmark), table=TABLE) - days).max() < 1e-3
