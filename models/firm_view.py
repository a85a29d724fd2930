"""What all clients of a firm have in common, as features see it."""

from dataclasses import dataclass, field
from math import log
from typing import Final

_HISTOGRAM_LOW: Final = -60
_HISTOGRAM_HIGH: Final = 120
BINS: Final = _HISTOGRAM_HIGH - _HISTOGRAM_LOW + 1


def _logit(share: float, edge: float) -> float:
    share = min(max(share, edge), 1 - edge)
    return log(share / (1 - share))


@dataclass(frozen=True, slots=True)
class FirmView:
    """What all clients of the firm have in common, as the trainer last published it.

    `survival[d + 60]` is the share of settled invoices that took more than d days after due (d from -60 to 120); `late_beyond` of
    all invoices whose longer limits were answered the share that passed each of them.
    """

    late_share: float = 0.3
    recent_share: float = 0.3
    mean_days: float = 0.0
    log_amount: float = 6.0
    log_amount_spread: float = 1.0
    settled: float = 0.0
    survival: tuple[float, ...] = ()
    first_day: int = 0
    late_beyond: tuple[float, ...] = (0.2, 0.1)
    prior: float = field(init=False)
    lately: float = field(init=False)

    def __post_init__(self) -> None:
        """Take the logits of both shares once and not once per question; `lately` is that above `prior`."""
        prior = _logit(self.late_share, 0.01)
        object.__setattr__(self, "prior", prior)
        object.__setattr__(self, "lately", _logit(self.recent_share, 0.03) - prior)

    def longer(self, days: int) -> float:
        """Return the (weighted) number of settled invoices that took more than `days` days after due."""
        if not self.survival:
            return 0.0
        return self.survival[min(max(days - _HISTOGRAM_LOW, 0), BINS - 1)]


NEW_FIRM: Final = FirmView()


def survival_of(histogram: list[float]) -> tuple[float, ...]:
    """Return, for each day from -60 to 120, the weight of what took longer; `histogram` has `BINS` cells."""
    running, found = 0.0, [0.0] * BINS
    for place in range(BINS - 1, -1, -1):
        found[place] = running
        running += histogram[place]
    return tuple(found)


def histogram_cell(days_late: int) -> int:
    """Return the cell of the firm's histogram for so many days after due."""
    return min(max(days_late, _HISTOGRAM_LOW), _HISTOGRAM_HIGH) - _HISTOGRAM_LOW
