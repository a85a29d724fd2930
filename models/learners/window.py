"""The latest answered questions of one landmark: what trees are grown from. Bounded, and an erased client leaves it.

A row is kept when the last answer about an invoice is known, 31 days after due, so that all its answers are known at once.

How many rows say something depends on the days that they take to come: in old ones clients are known less. Where many are
answered a day the window widens to a year; its rows are coarse from then on, in a third of the bytes (`coarse.py`).
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from zlib import compress, decompress

import numpy as np

from models.features import LATE_DAYS, PACKED
from models.learners.boosting import Floats
from models.learners.coarse import COARSE, DUMPED, Coarse, under_of

SIZE: Final = 1_500
"""Questions that are kept of each landmark, as they were stored."""

LARGEST: Final = 20_000
"""Questions that are kept at most, where so many are answered a day that rows are coarse."""

_SOON: Final = 180  # days in which a window fills where many are answered
_YEAR: Final = 365  # days of rows that are kept then, at most
_COARSE: Final = b"c"  # before compressed rows that are coarse; compressed bytes begin otherwise

_OPEN: Final = 127  # stands for days late of an invoice that was still open
_LEAST: Final = -100
_NUMBERS: Final = np.dtype([("mark", "<u4"), ("overdue", "i1"), ("days", "i1")])


@dataclass(slots=True)
class Row:
    """A question as it was stored or coarse, days since due when it was put, days late (`_OPEN` where open), and whose it was."""

    features: bytes
    overdue: int
    days: int
    mark: int


class Window:
    """The latest rows in order; `seen` counts all that ever were."""

    def __init__(self) -> None:
        """Start empty."""
        self.rows: deque[Row] = deque()
        self.seen = 0
        self._size = SIZE
        self._coarse: Coarse | None = None
        # Rows of open invoices, oldest first, by whose they are and what was asked: two invoices of one client may look alike.
        self._open: dict[tuple[int, bytes], deque[Row]] = {}

    def widen(self, days: int) -> None:
        """Set how many rows are kept from here on; all that were seen came in so many `days`. What is coarse stays so."""
        fast = self.seen >= SIZE and days * SIZE <= _SOON * self.seen
        if fast and self._coarse is None and len(self.rows) == SIZE:
            self._coarse = Coarse.of(self._stored())
            self._hold(Row(self._coarse.pack(row.features), row.overdue, row.days, row.mark) for row in self.rows)
        self._size = min(LARGEST, max(SIZE, _YEAR * self.seen // max(1, days))) if fast and self._coarse else SIZE

    def see(self, features: bytes, *, overdue: int, days_late: int | None, mark: int) -> None:
        """Keep one question whose last answer is known; `days_late` is None while the invoice is open."""
        days = _OPEN if days_late is None else min(max(days_late, _LEAST), _OPEN)
        while len(self.rows) >= self._size:
            oldest = self.rows.popleft()
            if oldest.days == _OPEN:
                self._next_open(oldest.mark, oldest.features)
        self._take(Row(self._kept(features), min(max(overdue, _LEAST), _OPEN), days, mark))
        self.seen += 1

    def settle(self, features: bytes, *, days_late: int, mark: int) -> None:
        """Note when an invoice was paid that was still open when its last answer came, if its question is kept."""
        row = self._next_open(mark, self._kept(features))
        if row is not None:
            row.days = min(days_late, _OPEN - 1)

    def forget(self, mark: int) -> None:
        """Let go of the rows of a client."""
        self._hold(row for row in self.rows if row.mark != mark)

    def _kept(self, features: bytes) -> bytes:
        return features if self._coarse is None else self._coarse.pack(features)

    def _hold(self, rows: Iterable[Row]) -> None:
        kept = tuple(rows)
        self.rows.clear()
        self._open.clear()
        for row in kept:
            self._take(row)

    def _take(self, row: Row) -> None:
        self.rows.append(row)
        if row.days == _OPEN:
            self._open.setdefault((row.mark, row.features), deque()).append(row)

    def _next_open(self, mark: int, features: bytes) -> Row | None:
        """Take the oldest of the open rows that look so from among them; what is known of one already stays."""
        alike = self._open.get((mark, features))
        if alike is None:
            return None
        row = alike.popleft()
        if not alike:
            del self._open[mark, features]
        return row

    def arrays(self) -> tuple[Floats, Floats, Floats]:
        """Return features, labels (late by more than each limit; nan where it was decided before) and days late (inf: open)."""
        features = self._stored() if self._coarse is None else self._coarse.features(self._joined())
        days = np.array([row.days for row in self.rows])[:, np.newaxis]
        overdue = np.array([row.overdue for row in self.rows])[:, np.newaxis]
        labels = np.where(overdue > LATE_DAYS, np.nan, days > np.array(LATE_DAYS))
        settled = np.where(days < _OPEN, days, np.inf)[:, 0]
        return features, labels.astype(np.float32), settled.astype(np.float32)

    def under(self) -> Floats | None:
        """Return what lies under the trees, a row each; None where the features say it."""
        return None if self._coarse is None else under_of(self._joined())

    def _joined(self) -> bytes:
        return b"".join(row.features for row in self.rows)

    def _stored(self) -> Floats:
        return np.frombuffer(self._joined(), dtype="<f2").reshape(len(self.rows), -1).astype(np.float32)

    def dump(self) -> bytes:
        """Return what `load` continues from."""
        numbers = np.array([(row.mark, row.overdue, row.days) for row in self.rows], dtype=_NUMBERS)
        if self._coarse is None:
            return compress(self._joined() + numbers.tobytes(), level=1)
        return _COARSE + compress(self._coarse.dump() + self._joined() + numbers.tobytes(), level=1)

    def load(self, raw: bytes, seen: int) -> None:
        """Continue from what `dump` gave."""
        is_coarse = raw.startswith(_COARSE)
        content = decompress(raw[len(_COARSE) :] if is_coarse else raw)
        if is_coarse:
            self._coarse, content = Coarse.load(content[:DUMPED]), content[DUMPED:]
        width = COARSE if is_coarse else PACKED
        count = len(content) // (width + _NUMBERS.itemsize)
        numbers = np.frombuffer(content, dtype=_NUMBERS, offset=count * width)
        rows = (
            Row(content[place * width : (place + 1) * width], overdue, days, mark)
            for place, (mark, overdue, days) in enumerate(numbers.tolist())
        )
        self._hold(rows)
        self.seen = seen
