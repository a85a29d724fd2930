"""`python -m tests.models.prior_means FOLDER`: write anew what a new firm begins from, of the histories below.

FOLDER holds receivables.csv and ledger.csv; the other firms are invented here. For a change of the feature table or the bins; it
takes some minutes. `--without NAME` leaves out histories whose name begins so: what is written then may be judged on them.

Each history is told to the live core. What it knows of the weights of a head is taken from the second derivative where they fit
best (Laplace's approximation). Firms are draws from one normal distribution with a variance per weight, fitted by EM (empirical
Bayes: Carlin and Louis 2000, chapter 3). Its mean is shipped: that of the heads drawn further to zero, as
docs/learning-trials.md says why, and all without the calendar, which invented firms share.
"""

import sys
from base64 import b85encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from handlers.commands.book.plan import Asked
from handlers.commands.held_history import hold_history
from handlers.evaluation.answers import answers_of
from handlers.evaluation.kept import Kept
from handlers.evaluation.telling import Telling
from models.features import FEATURES, INDEX, LATE_DAYS, TABLE, Family, Landmark
from models.learners import prior
from models.learners.bins import WIDTH
from models.learners.expansion import Vector, expand
from tests.histories.books import DIALECTS, write_dialect
from tests.histories.firms import FIRMS
from tests.histories.told import write_told
from tests.histories.ways import WAYS

Matrix = NDArray[np.float64]
Known = tuple[Matrix, Vector]
"""What a history says of some weights: the inverse of their covariance, and that times their most likely values."""

PLACE: Final = Path(prior.__file__).with_name("prior_means.py")
REAL: Final = ("receivables", "ledger")
INVENTED: Final = (
    *((name, 101, 1_200) for name in FIRMS),
    ("by_date", 101, 1_200),
    *(("alone", seed, 700) for seed in (101, 102)),
    ("handful", 101, 300),
    *(("mixed", seed, 600) for seed in range(1, 9)),
    *(("mixed", seed, 1_000) for seed in (101, 102, 103)),
)
"""Firm, seed and number of bills; no figure is taken on these seeds."""

_SHRUNK: Final = 0.75
_LEAST: Final = 40  # answers below which a history says nothing of a head
_ROUNDS: Final = 6
_NARROWEST: Final = 0.04  # of the variance that a head gives a weight
_LONGEST: Final = 4.0  # step of a logit
_FLATTEST: Final = 0.5  # as the days learner smooths the absolute error
_NOISE: Final = 1.5
_UNIT: Final = 15.0
_WIDE: Final = 120
_HEAD: Final = '''"""Weights that held for other firms, written by `python -m tests.models.prior_means`, which says from what."""

from base64 import b85decode
from typing import Final

MEANS_TABLE: Final = "{table}"
"""Hash of the feature table that they are for."""

'''


def told(name: str, seed: int, count: int, folder: Path) -> Kept:
    """Return the answered questions of an invented firm."""
    bills = (FIRMS | WAYS)[name](seed, count)
    if name == "promising":
        file = write_told(folder / "book.jsonl", bills)
    else:
        file = write_dialect(folder / "book.csv", bills, DIALECTS["german"])
    return Telling().tell(hold_history(file, asked=Asked())[0]).examples


def histories(folder: Path, *, without: Sequence[str]) -> Iterator[Kept]:
    """Yield the answered questions of each history whose name begins with none of `without`."""
    for name in REAL:
        if not name.startswith(tuple(without)):
            asked = Asked(preset=name)
            yield Telling().tell(hold_history(folder / f"{name}.csv", asked=asked)[0]).examples
    for name, seed, count in INVENTED:
        if not name.startswith(tuple(without)):
            with TemporaryDirectory() as place:
                yield told(name, seed, count, Path(place))


def known_of_heads(kept: Kept) -> dict[tuple[Landmark, int], Known]:
    """Return what a history says of the weights of each head."""
    found = {}
    variances = prior.prior_variances()
    for landmark, days in prior.HEADS:
        answers = answers_of(kept, landmark, days)
        if len(answers.labels) >= _LEAST:
            found[landmark, days] = _of_labels(_wide(answers.features, days), answers.labels, variances)
    return found


def known_of_days(kept: Kept) -> dict[Landmark, Known]:
    """Return what a history says of the weights of the days late at each landmark."""
    found = {}
    for landmark in Landmark:
        features, days = settled(kept, landmark)
        if len(days) >= _LEAST:
            usual = features[:, INDEX["median_days"]].astype(np.float64)
            target = days.clip(-60, 120) / _UNIT - usual
            found[landmark] = _of_numbers(_wide(features, LATE_DAYS[0]), target, prior.days_variances())
    return found


def settled(kept: Kept, landmark: Landmark) -> tuple[NDArray[np.float16], Vector]:
    """Return the features of the questions put at `landmark` whose invoice was paid, and how many days late that was."""
    late = kept.column("days")
    ended = {(kept.clients[place], kept.invoices[place]): int(late[place]) for place in kept.about(0).tolist()}
    answers, asked = kept.asked(LATE_DAYS[-1], landmark)
    days = np.array([ended.get((kept.clients[place], kept.invoices[place]), np.nan) for place in answers.tolist()])
    paid = np.isfinite(days)
    return kept.questions(asked[paid])["features"], days[paid]


def _wide(features: NDArray[np.float16], days: int) -> Matrix:
    return np.array([expand(tuple(row), days=days) for row in features.astype(np.float64).tolist()])


def _of_labels(wide: Matrix, labels: Vector, variances: Vector) -> Known:
    weights: Vector = np.zeros(WIDTH)
    for _ in range(_ROUNDS + 2):
        chance = 1 / (1 + np.exp(-(wide @ weights)))
        curvature = (wide * np.maximum(chance * (1 - chance), 1e-4)[:, np.newaxis]).T @ wide
        slope = wide.T @ (labels - chance) - weights / variances
        step = np.linalg.solve(curvature + np.diag(1 / variances), slope)
        weights += step * min(1.0, _LONGEST / max(float(np.abs(wide @ step).max()), 1e-9))
    return curvature, (curvature + np.diag(1 / variances)) @ weights


def _of_numbers(wide: Matrix, target: Vector, variances: Vector) -> Known:
    weights: Vector = np.zeros(WIDTH)
    for _ in range(_ROUNDS):
        off = np.abs(target - wide @ weights)
        typical = max(float(off.mean()), 0.03)
        trust = 1 / np.maximum(off / typical, _FLATTEST) / (_NOISE * typical**2)
        curvature: Matrix = (wide * trust[:, np.newaxis]).T @ wide
        sums: Vector = wide.T @ (trust * target)
        weights = cho_solve(cho_factor(curvature + np.diag(1 / variances)), sums)
    return curvature, sums


def common_mean(known: Sequence[Known], widest: Vector) -> Vector:
    """Return the mean of the distribution that the firms' weights are drawn from, by EM; one firm of zeros stands beside them."""
    mean, variances = np.zeros(WIDTH), widest.copy()
    for _ in range(_ROUNDS):
        own, spreads = [], []
        for curvature, sums in known:
            factor = cho_factor(curvature + np.diag(1 / variances))
            own.append(cho_solve(factor, sums + mean / variances))
            spreads.append(np.diag(cho_solve(factor, np.eye(WIDTH))))
        mean = np.sum(own, axis=0) / (len(known) + 1)
        apart = np.sum([(weights - mean) ** 2 + spread for weights, spread in zip(own, spreads, strict=True)], axis=0)
        variances = ((widest + apart) / (len(known) + 1)).clip(_NARROWEST * widest, widest)
    return mean


def without_calendar(mean: Vector) -> Vector:
    """Return the mean with nothing for the times of the month and of the year."""
    found = mean.copy()
    for place, row in enumerate(FEATURES, 1):
        if row.family is Family.SEASON:
            found[place] = 0.0
    return found


def means_of(
    heads: Sequence[Mapping[tuple[Landmark, int], Known]], days: Sequence[Mapping[Landmark, Known]]
) -> tuple[Matrix, Matrix]:
    """Return a row of weights per head, and one per landmark for the days late."""
    widest, of_days = prior.prior_variances(), prior.days_variances()
    return (
        np.array(
            [_SHRUNK * without_calendar(common_mean([row[head] for row in heads if head in row], widest)) for head in prior.HEADS]
        ),
        np.array([without_calendar(common_mean([row[at] for row in days if at in row], of_days)) for at in Landmark]),
    )


def write(place: Path, heads: Matrix, days: Matrix) -> None:
    """Write the module."""
    parts = [_HEAD.format(table=TABLE)]
    for name, numbers in (("MEANS", heads), ("DAYS_MEANS", days)):
        text = b85encode(numbers.astype("<f2").tobytes()).decode()  # an alphabet without quotes and backslashes
        lines = "\n".join(f'    b"{text[start : start + _WIDE]}"' for start in range(0, len(text), _WIDE))
        parts.append(f"{name}: Final = b85decode(\n{lines}\n)\n")
    place.write_text("".join(parts), encoding="utf-8")


def main(folder: str, *options: str) -> None:
    """Write the module from all histories."""
    heads, days = [], []
    for kept in histories(Path(folder), without=[name for name in options if name != "--without"]):
        heads.append(known_of_heads(kept))
        days.append(known_of_days(kept))
    write(PLACE, *means_of(heads, days))


if __name__ == "__main__":
    main(*sys.argv[1:])
