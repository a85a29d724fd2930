"""Batch twins, refit every month on the answers known by then: logistic regression and LightGBM. Needs `rapport[evaluate]`.

What they cost is bounded: they are refit only where figures are taken, on long histories less often than monthly (the table says
how often), and on the latest answers only.
"""

import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

import numpy as np

from handlers.evaluation.metrics import Floats, Halves

REFIT_DAYS: Final = 30
_REFITS: Final = 24  # at most
_ROWS: Final = 40_000  # the latest answers known, at most
_LEAST: Final = 50  # answers, and both outcomes among them, before a first fit
_EXTRA: Final = ("sklearn", "lightgbm")

Fit = Callable[[Floats, Floats], Callable[[Floats], Floats]]


@lru_cache(1)
def is_installed() -> bool:
    """Say whether the optional libraries are there, with what they need of the system: LightGBM loads libgomp."""
    try:
        for name in _EXTRA:
            import_module(name)
    except (ImportError, OSError):
        return False
    return True


def refit_days(judged: Floats) -> int:
    """Return after how many days to refit over the days `judged` (ascending): a month, or longer on a long history."""
    span = int(judged[-1] - judged[0]) + 1 if len(judged) else 0
    return max(REFIT_DAYS, -(-span // _REFITS))


def often(days: int) -> str:
    """Return in words how often a twin is refit."""
    return "monthly" if days == REFIT_DAYS else f"every {days} days"


def refit_regularly(
    fit: Fit,
    *,
    every: int,
    asked: Floats,
    known: Floats,
    features: Halves,
    targets: Floats,
    before: Floats,
    first: int,
    done: Callable[[int], None] = lambda _: None,
) -> Floats:
    """Return predictions in order of `asked` (days) from place `first` on: each fit saw only what was known before its day.

    `before` are the predictions until a first fit is possible, and those ahead of `first`. `done` is told after each fit how
    many more there are now.
    """
    found = before.copy()
    start = first
    while start < len(asked):
        end = int(np.searchsorted(asked, asked[start] + every, side="left"))
        rows = np.flatnonzero(known < asked[start])
        if len(rows) > _ROWS:
            rows = rows[np.argsort(known[rows], kind="stable")[-_ROWS:]]
        if len(rows) >= _LEAST and len(np.unique(targets[rows])) > 1:
            fitted = fit(features[rows].astype(np.float64), targets[rows])
            found[start:end] = fitted(features[start:end].astype(np.float64))
        end = max(end, start + 1)
        done(end - start)
        start = end
    return found


def logistic(features: Floats, labels: Floats) -> Callable[[Floats], Floats]:
    """Fit a regularised logistic regression on scaled features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted: Any = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(features, labels)
    return lambda rows: np.asarray(fitted.predict_proba(rows)[:, 1], dtype=np.float64)


_TREES: Final = {
    "n_estimators": 150,
    "learning_rate": 0.04,
    "num_leaves": 15,
    "min_child_samples": 20,
    "subsample": 0.8,
    "subsample_freq": 1,
    "colsample_bytree": 0.7,
    "reg_lambda": 5.0,
    "n_jobs": 1,
    "random_state": 1,
    "deterministic": True,
    "verbose": -1,
}


def lightgbm_classifier(features: Floats, labels: Floats) -> Callable[[Floats], Floats]:
    """Fit gradient-boosted trees for a yes or no."""
    from lightgbm import LGBMClassifier

    fitted: Any = LGBMClassifier(**_TREES).fit(features, labels)
    return lambda rows: _quiet(lambda: fitted.predict_proba(rows)[:, 1])


def lightgbm_days(features: Floats, days: Floats) -> Callable[[Floats], Floats]:
    """Fit gradient-boosted trees for the median of a number."""
    from lightgbm import LGBMRegressor

    fitted: Any = LGBMRegressor(objective="l1", **_TREES).fit(features, days)
    return lambda rows: _quiet(lambda: fitted.predict(rows))


def _quiet(predict: Callable[[], Any]) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # trees fitted on bare arrays remind of column names they never had
        return np.asarray(predict(), dtype=np.float64)
