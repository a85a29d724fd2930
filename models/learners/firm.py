"""What all clients have in common, tallied from the examples: the priors every client is drawn toward."""

from math import sqrt

import msgspec

from models.firm_view import BINS, NEW_FIRM, FirmView, histogram_cell, survival_of
from models.state.answers import LONGER

_RECENT = 0.98  # the recent share remembers about fifty answers
_FADE = 0.9998  # the histogram about five thousand settlements
_SLOWEST = 0.005  # pace of the mean amount: about the last two hundred invoices
_FEW = 5.0  # settlements from which a mean means something
_PRIOR_LATE = 1.0
_PRIOR_KNOWN = 4.0


class FirmTally(msgspec.Struct):
    """Running figures of one firm; `view` is what the features see of them."""

    known: int = 0
    late: int = 0
    recent_known: float = 0.0
    recent_late: float = 0.0
    settled: float = 0.0
    days: float = 0.0
    amounts: int = 0
    log_amount: float = 0.0
    log_square: float = 0.0
    first_day: int = 0
    beyond: list[int] = msgspec.field(default_factory=lambda: [0, 0] * LONGER)
    histogram: list[float] = msgspec.field(default_factory=lambda: [0.0] * BINS)

    def see_answer(self, *, late: bool, log_amount: float, day: int) -> None:
        """Count one invoice whose grace has passed."""
        self.known += 1
        self.late += late
        self.recent_known = self.recent_known * _RECENT + 1.0
        self.recent_late = self.recent_late * _RECENT + late
        self.first_day = min(self.first_day or day, day)
        self.amounts += 1
        pace = max(_SLOWEST, 1.0 / self.amounts)
        distance = log_amount - self.log_amount
        self.log_amount += pace * distance
        self.log_square += pace * (distance * distance - self.log_square)

    def see_longer(self, *, place: int, late: bool) -> None:
        """Count one invoice whose longer limit in that `place` has passed."""
        self.beyond[2 * place] += 1
        self.beyond[2 * place + 1] += late

    def see_settlement(self, days_late: int) -> None:
        """Count one settled invoice. Older ones fade, so that the shape may change over the years."""
        self.histogram = [cell * _FADE for cell in self.histogram]
        self.histogram[histogram_cell(days_late)] += 1.0
        self.settled = self.settled * _FADE + 1.0
        self.days = self.days * _FADE + min(max(days_late, -60), 120)

    def view(self) -> FirmView:
        """Return the figures as features use them; a new firm is described by the defaults."""
        if not self.known and not self.settled:
            return NEW_FIRM
        share = _share(self.late, self.known)
        return FirmView(
            late_share=share,
            recent_share=(self.recent_late + 2 * share) / (self.recent_known + 2),
            mean_days=self.days / self.settled if self.settled > _FEW else 0.0,
            log_amount=self.log_amount if self.amounts else NEW_FIRM.log_amount,
            log_amount_spread=sqrt(self.log_square),
            settled=self.settled,
            survival=survival_of(self.histogram),
            first_day=self.first_day,
            late_beyond=tuple(map(_share, self.beyond[1::2], self.beyond[::2])),
        )


def _share(late: int, known: int) -> float:
    return (late + _PRIOR_LATE) / (known + _PRIOR_KNOWN)
