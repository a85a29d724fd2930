"""How sure one may be of a client's kind: a hidden-Markov filter over how invoices ended. The rules decide, the filter confirms.

Three hidden states (reliable, slow, problem); a client changes its state about once in seven years and then to any of them as
likely as clients are of it. What is seen is how many days after due each invoice was settled, and how long one has been open.
The filter is run over the outcomes that are remembered anyway, so it needs no memory of its own and a fact that is taken back
leaves no trace in it. Forward algorithm: L. Rabiner, A tutorial on hidden Markov models, Proceedings of the IEEE 77 (1989).
"""

from bisect import bisect_left
from dataclasses import dataclass
from math import exp
from typing import Final

from models.state.client import Segment
from models.state.history import Lateness
from models.workdays import DAY_MS

STATES: Final = (Segment.RELIABLE, Segment.SLOW, Segment.PROBLEM)
EDGES: Final = (0, 5, 15, 30, 60)
"""Days after due that bound the six kinds of ending: at most 0, 1 to 5, 6 to 15, 16 to 30, 31 to 60, more or given up."""

PRIOR: Final = (0.60, 0.28, 0.12)
ENDINGS: Final = (
    (0.62, 0.24, 0.085, 0.035, 0.015, 0.005),
    (0.16, 0.17, 0.30, 0.23, 0.11, 0.03),
    (0.07, 0.06, 0.13, 0.19, 0.27, 0.28),
)
"""P(kind of ending | state), a row for each of `STATES`."""

_YEAR_MS: Final = 365 * DAY_MS
_BEYOND: Final = tuple(tuple(sum(row[place + 1 :]) for place in range(len(EDGES))) for row in ENDINGS)
_GIVEN_UP: Final = len(EDGES)


@dataclass(frozen=True, slots=True)
class Belief:
    """Probabilities of the three states; they sum to one."""

    reliable: float
    slow: float
    problem: float

    def of(self, segment: Segment) -> float:
        """Return the probability of one segment; 0 for `new`, which is no way of paying."""
        chances = dict(zip(STATES, (self.reliable, self.slow, self.problem), strict=True))
        return chances.get(segment, 0.0)

    def toward(self, before: Segment, after: Segment) -> float:
        """Return the probability that a move goes the right way: the true state is `after`, or lies beyond it.

        Rules that say "slow" of a reliable client whom the filter holds for a problem are not contradicted by it.
        """
        if before is Segment.RELIABLE and after is Segment.SLOW:
            return self.slow + self.problem
        if before is Segment.PROBLEM and after is Segment.SLOW:
            return self.slow + self.reliable
        return self.of(after)

    def explain(self) -> str:
        """Return one line for people."""
        return "by the filter over days late: " + ", ".join(f"{state.value} {self.of(state):.0%}" for state in STATES)

    @property
    def likeliest(self) -> Segment:
        """The most probable segment, the milder of two equal ones."""
        return max(STATES, key=self.of)


def belief(past: Lateness, *, now_ms: int, switch_per_year: float) -> Belief:
    """Return how sure one may be at `now_ms`, given the latest dozen endings and what is overdue."""
    reliable, slow, problem = PRIOR
    last_ms = 0
    # Invoices settled by one payment run are one decision of the client's: together they weigh as one, by their mean.
    for settled_ms, kinds in _runs(past):
        if last_ms:
            reliable, slow, problem = _drifted(reliable, slow, problem, settled_ms - last_ms, switch_per_year)
        last_ms = settled_ms
        share = 1 / len(kinds)
        for kind in kinds:
            reliable *= ENDINGS[0][kind] ** share
            slow *= ENDINGS[1][kind] ** share
            problem *= ENDINGS[2][kind] ** share
        whole = reliable + slow + problem
        reliable, slow, problem = reliable / whole, slow / whole, problem / whole
    if last_ms:
        reliable, slow, problem = _drifted(reliable, slow, problem, now_ms - last_ms, switch_per_year)
    if past.overdue:
        # Still open: known to end later than this. Only the oldest speaks; the others may wait for the same thing.
        edge = bisect_left(EDGES, past.overdue[-1]) - 1
        reliable, slow, problem = reliable * _BEYOND[0][edge], slow * _BEYOND[1][edge], problem * _BEYOND[2][edge]
    whole = reliable + slow + problem
    return Belief(reliable / whole, slow / whole, problem / whole)


def _runs(past: Lateness) -> list[tuple[int, list[int]]]:
    found: list[tuple[int, list[int]]] = []
    for label in past.recent:
        kind = _GIVEN_UP if label.written_off else bisect_left(EDGES, label.days_late)
        if found and found[-1][0] // DAY_MS == label.settled_ms // DAY_MS:
            found[-1][1].append(kind)
        else:
            found.append((label.settled_ms, [kind]))
    return found


def _drifted(reliable: float, slow: float, problem: float, gap_ms: int, per_year: float) -> tuple[float, float, float]:
    stay = exp(-per_year * max(0, gap_ms) / _YEAR_MS)
    gone = 1 - stay
    return stay * reliable + gone * PRIOR[0], stay * slow + gone * PRIOR[1], stay * problem + gone * PRIOR[2]
