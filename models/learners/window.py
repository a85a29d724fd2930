"""The latest answered questions of one landmark: what trees are grown from. Bounded, and an erased client leaves it.

A row is kept when the last answer about an invoice is known, 31 days after due, so that all its answers are known at once.
"""

from collections import deque
from typing import Final, NamedTuple
from zlib import compress, decompress

import numpy as np

from models.features import LATE_DAYS, PACKED
from models.learners.boosting import Floats

SIZE: Final = 1_500
"""Questions that are kept of each landmark."""

_OPEN: Final = 127  # stands for days late of an invoice that was still open
_LEAST: Final = -100
_NUMBERS: Final = np.dtype([("mark", "<u4"), ("overdue", "i1"), ("days", "i1")])


class Row(NamedTuple):
    """A question as it was stored, days since due when it was put, days late (`_OPEN` where open), and whose it was."""

    features: bytes
    overdue: int
    days: int
    mark: int


class Window:
    """The latest rows in order; `seen` counts all that ever were."""

    def __init__(self) -> None:
        """Start empty."""
        self.rows: deque[Row] = deque(maxlen=SIZE)
        self.seen = 0

    def see(self, features: bytes, *, overdue: int, days_late: int | None, mark: int) -> None:
        """Keep one question whose last answer is known; `days_late` is None while the invoice is open."""
        days = _OPEN if days_late is None else min(max(days_late, _LEAST), _OPEN)
        self.rows.append(Row(features, min(max(overdue, _LEAST), _OPEN), days, mark))
        self.seen += 1

    def settle(self, features: bytes, *, days_late: int, mark: int) -> None:
        """Note when an invoice was paid that was still open when its last answer came, if its question is kept."""
        days = min(days_late, _OPEN - 1)
        for place, row in enumerate(self.rows):
            # Two invoices of one client may look alike: what is known of one already stays.
            if row.days == _OPEN and row.mark == mark and row.features == features:
                self.rows[place] = row._replace(days=days)
                return

    def forget(self, mark: int) -> None:
        """Let go of the rows of a client."""
        self.rows = deque((row for row in self.rows if row.mark != mark), maxlen=SIZE)

    def arrays(self) -> tuple[Floats, Floats, Floats]:
        """Return features, labels (late by more than each limit; nan where it was decided before) and days late (inf: open)."""
        features = np.frombuffer(b"".join(row.features for row in self.rows), dtype="<f2").reshape(len(self.rows), -1)
        days = np.array([row.days for row in self.rows])[:, np.newaxis]
        overdue = np.array([row.overdue for row in self.rows])[:, np.newaxis]
        labels = np.where(overdue > LATE_DAYS, np.nan, days > np.array(LATE_DAYS))
        settled = np.where(days < _OPEN, days, np.inf)[:, 0]
        return features.astype(np.float32), labels.astype(np.float32), settled.astype(np.float32)

    def dump(self) -> bytes:
        """Return what `load` continues from."""
        numbers = np.array([(row.mark, row.overdue, row.days) for row in self.rows], dtype=_NUMBERS)
        return compress(b"".join(row.features for row in self.rows) + numbers.tobytes(), level=1)

    def load(self, raw: bytes, seen: int) -> None:
        """Continue from what `dump` gave."""
        content = decompress(raw)
        count = len(content) // (PACKED + _NUMBERS.itemsize)
        numbers = np.frombuffer(content, dtype=_NUMBERS, offset=count * PACKED)
        rows = (
            Row(content[place * PACKED : (place + 1) * PACKED], overdue, days, mark)
            for place, (mark, overdue, days) in enumerate(numbers.tolist())
        )
        self.rows, self.seen = deque(rows, maxlen=SIZE), seen
