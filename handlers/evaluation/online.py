"""The usual online learner on the same features: river's scaled logistic regression, taught in the order in which answers come.

What ours has to beat. Standardised, clipped to four deviations, stochastic gradient descent with a falling rate, for the weights
and the intercept alike: of the pipelines that river offers this one did best on histories of invoices, and more is learned in
less time by no other. It is told every answer the day after it is known; answers of a day come shuffled, as ours are, or those
who pay promptly would be heard first.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from river.compose import FuncTransformer, Pipeline
from river.linear_model import LinearRegression, LogisticRegression
from river.optim import SGD
from river.optim.losses import Absolute
from river.optim.schedulers import InverseScaling
from river.preprocessing import StandardScaler

from handlers.evaluation.metrics import Floats, Halves

NAME: Final = "river, online"

_RATE: Final = 0.05
_POWER: Final = 0.4
_FARTHEST: Final = 4.0  # deviations
_STEEPEST: Final = 1.0
_TOLD: Final = 500  # questions between two words about how far it is
_SEED: Final = 1


def chances_online(
    *, asked: Floats, known: Floats, features: Halves, labels: Floats, done: Callable[[int], None] = lambda _: None
) -> Floats:
    """Return the chance given to each question, in order of `asked` (days), by what was known before that day.

    `done` is told now and then how many questions more are answered.
    """
    model = _scaled() | LogisticRegression(SGD(_rate()), intercept_lr=_rate(), clip_gradient=_STEEPEST)
    return _lived(
        asked=asked,
        known=known,
        features=features,
        learn=lambda row, place: model.learn_one(row, bool(labels[place])),
        say=lambda row, _: model.predict_proba_one(row).get(True, 0.5),
        done=done,
    )


def days_online(
    *,
    asked: Floats,
    known: Floats,
    features: Halves,
    days: Floats,
    usual: Floats,
    done: Callable[[int], None] = lambda _: None,
) -> Floats:
    """Return the days late said of each question: the client's `usual` ones and a regression toward the absolute error on top."""
    model = _scaled() | LinearRegression(SGD(_rate()), loss=Absolute(), intercept_lr=_rate(), clip_gradient=_STEEPEST)
    return _lived(
        asked=asked,
        known=known,
        features=features,
        learn=lambda row, place: model.learn_one(row, float(days[place] - usual[place])),
        say=lambda row, place: usual[place] + model.predict_one(row),
        done=done,
    )


def _scaled() -> Pipeline:
    return StandardScaler() | FuncTransformer(_clipped)


def _rate() -> InverseScaling:
    return InverseScaling(_RATE, power=_POWER)


def _clipped(row: dict[int, float]) -> dict[int, float]:
    return {name: min(max(value, -_FARTHEST), _FARTHEST) for name, value in row.items()}


def _lived(
    *,
    asked: Floats,
    known: Floats,
    features: Halves,
    learn: Callable[[dict[int, float], int], object],
    say: Callable[[dict[int, float], int], float],
    done: Callable[[int], None],
) -> Floats:
    rows = [dict(enumerate(row)) for row in features.astype(np.float64).tolist()]
    shuffled = np.random.default_rng(_SEED).permutation(len(known))
    answers = np.lexsort((shuffled, known))
    answers = answers[np.isfinite(known[answers])]
    due = known[answers]
    found = np.empty(len(asked))
    learned = 0
    for place, day in enumerate(asked.tolist()):
        while learned < len(answers) and due[learned] < day:
            learn(rows[answers[learned]], int(answers[learned]))
            learned += 1
        found[place] = say(rows[place], place)
        if (place + 1) % _TOLD == 0:
            done(_TOLD)
    done(len(asked) % _TOLD)
    return found
