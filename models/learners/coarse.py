"""Questions in a third of their bytes, for windows of many: of a feature only between which of fifteen points it lies.

Trees ask about points. Asked at these, a coarse row answers as the question itself would; only what lies under the trees is no
question and is kept as a number.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.features import FEATURES, LATE_DAYS, PACKED
from models.learners.boosting import POINTS, Floats, shares_under, usual_days

_ANYWHERE: Final = (-1.2, -0.5, -0.15, 0.0, 0.15, 0.5, 1.2)
"""Points of every feature besides its own: what is alike in all rows at first may differ later, as the season does."""

_COUNT: Final = len(POINTS) + len(_ANYWHERE)  # fifteen: sixteen places between them, half a byte
_HALF: Final = 4  # bits
_CODES: Final = (len(FEATURES) + 1) // 2
_NUMBERS: Final = "<e"
_UNDER: Final = np.dtype(
    (_NUMBERS, len(LATE_DAYS) + 1)
)  # what lies under the trees: a logit per meaning of "late", and the usual days
COARSE: Final = _CODES + _UNDER.itemsize
"""Bytes of a coarse row."""


class Coarse:
    """The points of each feature, ascending; where it has fewer than fifteen, the rest is infinite."""

    def __init__(self, points: Floats) -> None:
        """Take a row of points per feature."""
        self.points = points
        self._across = np.ascontiguousarray(points.T)  # adding up across features is what is fast

    @classmethod
    def of(cls, features: Floats) -> "Coarse":
        """Return the points for rows like these: quantiles of each feature, and some that are the same for all."""
        cuts = np.quantile(features, POINTS, axis=0, method="lower")
        points = np.full((len(FEATURES), _COUNT), np.inf, dtype=np.float32)
        for place in range(len(FEATURES)):
            own = np.unique(np.concatenate([cuts[:, place], np.array(_ANYWHERE, dtype="<f2")]).astype(np.float32))
            points[place, : len(own)] = own
        return cls(points)

    def pack(self, features: bytes) -> bytes:
        """Return the coarse row of a question as it was stored."""
        values = np.frombuffer(features, dtype=_NUMBERS).astype(np.float32)
        codes = np.zeros(2 * _CODES, dtype=np.uint8)
        codes[: len(values)] = np.add.reduce(values > self._across, axis=0, dtype=np.uint8)
        row = values[np.newaxis]
        under = np.append(shares_under(row), usual_days(row)).astype(_NUMBERS)
        return (codes[::2] << _HALF | codes[1::2]).tobytes() + under.tobytes()

    def features(self, rows: bytes) -> Floats:
        """Return the features of packed rows, each as the next point at or above it (beyond the last: one more)."""
        pairs = _raw(rows)[:, :_CODES]
        codes = np.stack([pairs >> _HALF, pairs & (1 << _HALF) - 1], axis=2).reshape(len(pairs), -1)[:, : len(FEATURES)]
        finite = np.isfinite(self.points)
        beyond = np.where(finite, self.points, -np.inf).max(axis=1, keepdims=True) + 1
        said = np.concatenate([np.where(finite, self.points, beyond), beyond], axis=1)
        found: Floats = said[np.arange(len(FEATURES)), codes]
        return found

    def dump(self) -> bytes:
        """Return what `load` reads: half-precision numbers, as features are."""
        return self.points.astype(_NUMBERS).tobytes()

    @classmethod
    def load(cls, raw: bytes) -> "Coarse":
        """Return what `dump` wrote."""
        return cls(np.frombuffer(raw, dtype=_NUMBERS).reshape(len(FEATURES), _COUNT).astype(np.float32))


DUMPED: Final = PACKED * _COUNT
"""Bytes of dumped points."""


def under_of(rows: bytes) -> Floats:
    """Return what lies under the trees, of packed rows: a logit per meaning of "late", and the usual days behind."""
    return np.ascontiguousarray(_raw(rows)[:, _CODES:]).view(_NUMBERS).astype(np.float32)


def _raw(rows: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(rows, dtype=np.uint8).reshape(-1, COARSE)
