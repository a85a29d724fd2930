"""What hindsight knows of each client: whether a goal can be reached by knowing whose invoice it is, and nothing else of it.

A client's own share or median of the very invoices judged is the best that one number per client can do; nobody knows it before.
It was fitted to what it is judged on: of a client with one invoice it knows everything. Beside it stands the share or median of
the client's *other* invoices, earlier and later, which has seen all but the one that is judged. Were a client's invoices draws
from one urn, the best number per client would be expected between the two. Who tells a client's invoices apart can do better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from handlers.evaluation.metrics import Floats, auc, log_loss

_STRENGTH: Final = 4.0  # as the client's shrunk share has it


@dataclass(frozen=True, slots=True)
class SharesKnown:
    """AUC and log loss (nats) of each client's own share of the judged questions, and of the share of all its other ones.

    `alone`: clients of whom one question only is judged.
    """

    own_auc: float
    own_log_loss: float
    others_auc: float
    others_log_loss: float
    alone: int


@dataclass(frozen=True, slots=True)
class DaysKnown:
    """Mean absolute error (days) of each client's own median of the judged invoices, and of the median of all its other ones.

    `clients` are judged, of `alone` of them one invoice only.
    """

    own: float
    others: float
    clients: int
    alone: int


def shares_known(labels: Floats, clients: Sequence[str], tail: slice) -> SharesKnown:
    """Return how good shares known in hindsight are on the questions of `tail`; the others of a client are sought among all."""
    codes = _codes(clients)
    judged, late = codes[tail], labels[tail]
    own = np.bincount(judged, late)[judged] / np.bincount(judged)[judged]
    count, lates = np.bincount(codes)[codes] - 1, np.bincount(codes, labels)[codes] - labels
    others = ((lates + _STRENGTH * labels.mean()) / (count + _STRENGTH))[tail]
    return SharesKnown(
        auc(own, late),
        log_loss(own, late),
        auc(others, late) + _pairs_within(judged, late) / 2,
        log_loss(others, late),
        _alone(judged),
    )


def days_known(days: Floats, clients: Sequence[str], judged: NDArray[np.bool_]) -> DaysKnown:
    """Return how far medians known in hindsight are off where `judged` (some are); a client's others are sought among all."""
    codes = _codes(clients)
    truth = days[judged]
    own, others = own_medians(truth, codes[judged]), other_medians(days, codes)[judged]
    return DaysKnown(
        float(np.abs(truth - own).mean()),
        float(np.abs(truth - others).mean()),
        len(np.unique(codes[judged])),
        _alone(codes[judged]),
    )


def own_medians(values: Floats, codes: NDArray[np.intp]) -> Floats:
    """Return for each value the median of all values with its code."""
    ranked, order, first, _, count = _ranked(values, codes)
    found = np.empty(len(values))
    found[order] = (ranked[first + (count - 1) // 2] + ranked[first + count // 2]) / 2
    return found


def other_medians(values: Floats, codes: NDArray[np.intp]) -> Floats:
    """Return for each value the median of all others with its code; of all values where it has none."""
    ranked, order, first, place, count = _ranked(values, codes)
    alone = count == 1
    # Without the value itself, those above it stand one place lower.
    low, high = (
        ranked[np.where(alone, 0, first + middle + (place <= middle))] for middle in ((count - 2) // 2, (count - 1) // 2)
    )
    found = np.empty(len(values))
    found[order] = np.where(alone, np.median(values), (low + high) / 2)
    return found


def _ranked(
    values: Floats, codes: NDArray[np.intp]
) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the values by code and size, their order, and of each where its code begins, its place there, how many it has."""
    order = np.lexsort((values, codes))
    counts = np.bincount(codes)
    of = codes[order]
    first = (np.cumsum(counts) - counts)[of]
    return values[order], order, first, np.arange(len(values)) - first, counts[of]


def _codes(clients: Sequence[str]) -> NDArray[np.intp]:
    found: NDArray[np.intp] = np.unique(np.array(clients), return_inverse=True)[1]
    return found


def _alone(codes: NDArray[np.intp]) -> int:
    return int((np.bincount(codes) == 1).sum())


def _pairs_within(codes: NDArray[np.intp], labels: Floats) -> float:
    """Return which share of the pairs of a late and a prompt one are of one client.

    Leaving out the one judged puts a client's late ones below its prompt ones, always: one number per client would have them tie.
    """
    late, every = np.bincount(codes, labels), np.bincount(codes)
    return float((late * (every - late)).sum() / (labels.sum() * (len(labels) - labels.sum())))
