"""How good the learners are, judged on answers that came after the predictions (prequentially), in bounded memory.

Judged is one question, asked when an invoice is issued: will it be more than 5 days late? Four who answer it are compared on the
same invoices: the learners as they stand (`candidate`), whoever was active when it was asked (`live`), the client's conditional
share (`rules`), and a challenger that was active beside the champion.
"""

from array import array
from itertools import groupby
from math import isfinite
from operator import itemgetter
from typing import Final

import msgspec

from models.learners.chance import log_loss

BINS: Final = 10
SAMPLE: Final = 1_000
"""Latest answers from which the AUC is computed, when it is asked for."""

_PACE: Final = 1 / 500  # of the running figures: about the last five hundred answers
_FADE: Final = 1 - _PACE


class Series(msgspec.Struct):
    """The record of one who answers. `bins` are answers, summed chances and late ones by tenth of the chance, fading."""

    version: str = ""
    answers: int = 0
    loss: float = 0.0
    bins: list[list[float]] = msgspec.field(default_factory=lambda: [[0.0, 0.0, 0.0] for _ in range(BINS)])
    recent: bytes = b""

    def see(self, chance: float, *, late: bool) -> None:
        """Count one answer and the probability given for it; one that is no number is not counted."""
        if not isfinite(chance):
            return
        self.answers += 1
        self.loss += max(_PACE, 1.0 / self.answers) * (log_loss(chance, label=late) - self.loss)
        for cell in self.bins:
            cell[:] = [value * _FADE for value in cell]
        cell = self.bins[min(int(chance * BINS), BINS - 1)]
        cell[0] += 1.0
        cell[1] += chance
        cell[2] += late
        # The sign carries the label, so that one array remembers both; one is added so that zero has a sign too.
        value = 1.0 + chance
        self.recent = (self.recent + array("f", (-value if late else value,)).tobytes())[-4 * SAMPLE :]

    def auc(self) -> float | None:
        """Return the share of (late, punctual) pairs that were told apart, none while one kind is missing; ties count half."""
        pairs = array("f")
        pairs.frombytes(self.recent)
        ranked = sorted((abs(value), value < 0) for value in pairs)
        late = sum(label for _, label in ranked)
        if late in {0, len(ranked)}:
            return None
        total, place = 0.0, 0
        for _, group in groupby(ranked, key=itemgetter(0)):
            labels = [label for _, label in group]
            total += sum(labels) * (place + (len(labels) + 1) / 2)  # all of a tie have its mean rank
            place += len(labels)
        return (total - late * (late + 1) / 2) / (late * (len(ranked) - late))

    def error(self) -> float:
        """Return the expected calibration error over tenths: how far shares are from chances, weighed by answers."""
        seen = sum(cell[0] for cell in self.bins)
        return sum(abs(cell[1] - cell[2]) for cell in self.bins) / seen if seen else 0.0


class Judge(msgspec.Struct):
    """The records of all four, and how often the 90 % range of the pay date held."""

    candidate: Series = msgspec.field(default_factory=Series)
    live: Series = msgspec.field(default_factory=Series)
    rules: Series = msgspec.field(default_factory=Series)
    challenger: Series = msgspec.field(default_factory=Series)
    beside: Series = msgspec.field(default_factory=Series)
    ranges: int = 0
    held: float = 0.0

    def see_range(self, low: float, high: float, *, days_late: int) -> None:
        """Count whether an invoice was paid within the range that was given for it; while it is open, `days_late` is at least."""
        self.ranges += 1
        self.held += max(_PACE, 1.0 / self.ranges) * ((low <= days_late <= high) - self.held)

    def see_shadow(self, version: str, chance: float, *, live: float, late: bool) -> None:
        """Count an answer of a challenger, and beside it what was decided by; a new challenger starts a new record."""
        if self.challenger.version != version:
            self.challenger, self.beside = Series(version), Series()
        self.challenger.see(chance, late=late)
        self.beside.see(live, late=late)
