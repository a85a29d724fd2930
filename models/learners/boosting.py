"""Grows trees by gradient boosting (Friedman 2001) with second-order steps, all three meanings of "late" at once.

Every tree asks the same question on all paths of a level (oblivious trees), so that the best one is found by a single product of
matrices: gradients of each node times "is feature f above point p". One structure serves the three meanings of "late", which
steadies it and lets a worker walk it once. Nothing is drawn by lot.

The days late have trees of their own, of the same kind and from the same questions to choose from: what tells a day from the next
says nothing of a limit that both are far from. They are grown toward the median, on top of what is usual.

To look for questions is what costs. So where trees stand already, half of them are new; the newer half of the others keep
their questions, behind the new ones, with new leaves from the latest examples. And of many examples each tree looks at one in so
many, the next tree at others; leaves are of all.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.features import INDEX, LATE_DAYS, Landmark
from models.learners.forest import DEPTH, LEAVES, SHARE, UNDER, UNDER_DAYS, Forest, deepened
from models.learners.pay_range import DAYS_UNIT

Floats = NDArray[np.floating[Any]]
Places = NDArray[np.intp]
Asked = tuple[Places, Floats]
"""Places and points of questions: all that may be asked, or those of one tree."""

TREES: Final = 20
ANEW: Final = 10
"""Trees that are looked for where others stand already; those that stood twice make room."""

_RATE: Final = 0.35
_DRAWN: Final = 6.0  # toward 0, in units of curvature: a leaf of few examples says little
POINTS: Final = (0.05, 0.15, 0.3, 0.45, 0.6, 0.75, 0.87, 0.95)
"""Quantiles of a feature at which it may be asked about."""

_NEWTON_STEPS: Final = 6
_LONGEST_STEP: Final = 2.0  # in logits: where shares are sure and wrong there is no curvature, and Newton alone runs away
SEARCHED: Final = 5_000
"""Examples by which the questions of a tree are chosen, at most."""

_SCREENED: Final = 1  # the level after which only questions are looked at that were among the best of it
_BEST: Final = 3  # one in so many
_BITS: Final[Places] = 1 << np.arange(DEPTH, dtype=np.intp)[::-1]  # of a leaf's number: the first question is the highest
_STILL_OPEN: Final = 45.0 / DAYS_UNIT  # late, is what an invoice counts as that was open when its row was kept
_LEAST: Final = 1.0 / DAYS_UNIT  # that the typical error counts as
_STRONGEST: Final = 3.0  # typical errors: further off pulls no more when questions are chosen
_HIGHEST: Final = 60.0 / DAYS_UNIT  # that a leaf may ask for
_USUAL: Final = [INDEX[name] for name in UNDER_DAYS]
_UNDER: Final = tuple([INDEX[f"{name}_{days}"] for days in LATE_DAYS] for name in UNDER)


def grow(
    landmark: Landmark,
    features: Floats,
    labels: Floats,
    days: Floats,
    *,
    standing: Forest | None = None,
    under: Floats | None = None,
) -> Forest:
    """Return trees for questions (rows) and their answers.

    `labels` has a column per meaning of "late", nan where it had been decided; `days` are days late, infinite where an invoice
    was still open. Of the trees that are `standing`, the first half stay, with new leaves, behind the new ones. `under` are
    `shares_under` and `usual_days` where `features` are too coarse to say.
    """
    places, points = _questions(features) if under is None else _coarse_questions(features)
    parts = _parts(features, (places, points))
    known = np.isfinite(labels).astype(np.float32)
    answers = np.nan_to_num(labels)
    logits = shares_under(features) if under is None else under[:, : len(LATE_DAYS)].copy()
    usual = usual_days(features) if under is None else under[:, -1]
    intercepts = _intercepts(logits, answers, known)
    logits += intercepts
    kept, days_kept = _kept(standing) if standing is not None else ([], [])
    wanted = TREES - len(kept)
    asked: list[Asked] = []
    leaves = []
    for number in range(TREES if len(places) else 0):
        chance = 1 / (1 + np.exp(-logits))
        slopes, curves = ((answers - chance) * known).T, (chance * (1 - chance) * known).T
        if number < wanted:
            chosen = _chosen(parts, slopes, curves, number)
            asked.append((places[chosen], points[chosen]))
        else:
            asked.append(kept[number - wanted])
        leaf = _leaf(features, *asked[-1])
        grown = _leaves(leaf, slopes, curves)
        logits += grown[leaf]
        leaves.append(grown)
    late = np.where(np.isfinite(days), days / DAYS_UNIT, _STILL_OPEN)
    days_asked, days_leaves = _days((features, parts), (places, points), late - usual, kept=days_kept)
    asked_of, points_of = _written(asked)
    days_places, days_points = _written(days_asked)
    return Forest(
        landmark=int(landmark),
        intercepts=tuple(intercepts.tolist()),
        places=asked_of,
        points=points_of,
        leaves=np.array(leaves, dtype="<f2").tobytes(),
        days=days_leaves.tobytes(),
        days_places=days_places,
        days_points=days_points,
    )


def _parts(features: Floats, questions: Asked) -> list[Floats]:
    """Return whether examples are above each point that may be asked about: every n-th, then those behind them, and so on."""
    places, points = questions
    apart = _apart(features)
    return [(features[first::apart, places] > points).astype(np.float32) for first in range(apart)]


def _apart(features: Floats) -> int:
    """Return one in how many examples a tree looks at when it asks."""
    return max(1, -(-len(features) // SEARCHED))


def _chosen(parts: list[Floats], slopes: Floats, curves: Floats, number: int) -> list[int]:
    """Return the questions of tree `number`, by the part of the examples whose turn it is."""
    apart, first = len(parts), number % len(parts)
    return _tree(parts[first], slopes[:, first::apart], curves[:, first::apart], drawn=_DRAWN / apart)


def _days(rows: tuple[Floats, list[Floats]], questions: Asked, off: Floats, *, kept: list[Asked]) -> tuple[list[Asked], Floats]:
    """Return questions and leaves of trees whose sum comes near the median of what invoices are `off` their usual delay.

    `rows` are features, and their `_parts`. The leaves of the first tree hold what all are off by. Of trees that are `kept`, the
    questions stay.
    """
    features, parts = rows
    places, points = questions
    found = np.zeros((TREES if len(places) else 0, LEAVES), dtype="<f2")
    asked: list[Asked] = []
    level = float(np.median(off))
    strongest = _STRONGEST * max(float(np.median(np.abs(off - level))), _LEAST)
    alike = np.ones((1, len(off)), dtype=np.float32)
    for number in range(len(found)):
        left = off - level
        if number < TREES - len(kept):
            chosen = _chosen(parts, left.clip(-strongest, strongest)[np.newaxis].astype(np.float32), alike, number)
            asked.append((places[chosen], points[chosen]))
        else:
            asked.append(kept[number + len(kept) - TREES])
        leaf = _leaf(features, *asked[-1])
        found[number] = level + _steps(left, leaf)
        off = off - found[number][leaf]
        level = 0.0
    return asked, found


def _steps(left: Floats, leaf: Places) -> Floats:
    """Return a number per leaf: a part of the median of what is `left` of its examples, less where they are few."""
    counts = np.bincount(leaf, minlength=LEAVES)
    # Sorted within each leaf; a median is the mean of its two middle ones, which are one where their number is odd.
    ordered = left[np.lexsort((left, leaf))]
    starts = np.cumsum(counts) - counts
    last = len(left) - 1
    low, high = starts + (counts - 1).clip(0) // 2, starts + counts // 2
    medians = (ordered[low.clip(max=last)] + ordered[high.clip(max=last)]) / 2
    found: Floats = _RATE * medians.clip(-_HIGHEST, _HIGHEST) * counts / (counts + _DRAWN)
    return found


def _kept(standing: Forest) -> tuple[list[Asked], list[Asked]]:
    """Return places and points of the trees that stay, the newest: of those for the chances, and of those for the days."""
    standing = deepened(standing)
    return _read(standing.places, standing.points), _read(standing.days_places, standing.days_points)


def _read(places: bytes, points: bytes) -> list[Asked]:
    about = np.frombuffer(places, dtype=np.uint8).reshape(-1, DEPTH).astype(np.intp)
    cuts = np.frombuffer(points, dtype="<f2").reshape(-1, DEPTH).astype(np.float32)
    return list(zip(about, cuts, strict=True))[: TREES - ANEW]


def _written(asked: list[Asked]) -> tuple[bytes, bytes]:
    places, points = [one for one, _ in asked], [one for _, one in asked]
    return np.array(places, dtype=np.uint8).tobytes(), np.array(points, dtype="<f2").tobytes()


def _leaf(features: Floats, places: Places, points: Floats) -> Places:
    """Return the leaf of every example in a tree that stands."""
    found: Places = (features[:, places] > points) @ _BITS
    return found


def shares_under(features: Floats) -> Floats:
    """Return the logits on which trees are grown: the mean of the shares under them, a column per meaning of "late"."""
    found: Floats = SHARE * np.sum([features[:, places] for places in _UNDER], axis=0)
    return found


def usual_days(features: Floats) -> Floats:
    """Return what lies under the trees for the days late, in units of 15 days."""
    found: Floats = features[:, _USUAL].mean(axis=1)
    return found


def _questions(features: Floats) -> Asked:
    """Return places and points of all questions that some example answers with yes and some with no."""
    cuts = np.quantile(features, POINTS, axis=0, method="lower")
    highest = features.max(axis=0)
    return _asked([(own := np.unique(values))[own < highest[place]] for place, values in enumerate(cuts.T)])


def _coarse_questions(features: Floats) -> Asked:
    """Return all that coarse features can be asked: whether they are above each of their values but the highest.

    They have few, which were points once; quantiles of them fall together, and half of them would not be asked about.
    """
    return _asked([np.unique(values)[:-1] for values in features[:: _apart(features)].T])


def _asked(points: list[Floats]) -> Asked:
    """Return places and points, given the points of each feature."""
    places = np.repeat(np.arange(len(points), dtype=np.intp), [len(own) for own in points])
    return places, np.concatenate(points).astype(np.float32)


def _intercepts(logits: Floats, answers: Floats, known: Floats) -> Floats:
    found = np.zeros(logits.shape[1], dtype=np.float32)
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-(logits + found)))
        step = ((answers - chance) * known).sum(0) / ((chance * (1 - chance) * known).sum(0) + 1)
        found += step.clip(-_LONGEST_STEP, _LONGEST_STEP)
    return found


def _tree(above: Floats, slopes: Floats, curves: Floats, *, drawn: float) -> list[int]:
    """Return the questions of one tree; `drawn` as `_DRAWN`, which is of all examples."""
    steps = np.concatenate([slopes, curves])
    half, width = len(slopes), above.shape[1]
    node = np.zeros(above.shape[0], dtype=np.intp)
    # Of each node, slopes and curves: of all its examples, and of those above each point. The rest is below.
    total = steps.sum(axis=1).reshape(1, -1, 1)
    sums = (steps @ above)[np.newaxis]
    chosen: list[int] = []
    asked = np.arange(width)
    for level in range(DEPTH):
        rest = total - sums
        gains = sums[:, :half] ** 2 / (sums[:, half:] + drawn) + rest[:, :half] ** 2 / (rest[:, half:] + drawn)
        gain = gains.sum((0, 1))
        if level == _SCREENED:
            # Each level costs twice the one before it; what divides two nodes badly hardly divides their parts best.
            kept = np.sort(np.argsort(-gain, kind="stable")[: -(-width // _BEST)])
            asked, above, sums, gain, width = asked[kept], above[:, kept], sums[:, :, kept], gain[kept], len(kept)
        best = int(gain.argmax())
        chosen.append(int(asked[best]))
        yes = above[:, best]
        if level + 1 < DEPTH:
            apart = np.concatenate([steps * (yes * (node == one)) for one in range(1 << level)])
            inner = (apart @ above).reshape(1 << level, len(steps), width)
            within = sums[:, :, best : best + 1]
            total = np.stack([total - within, within], axis=1).reshape(-1, len(steps), 1)
            sums = np.stack([sums - inner, inner], axis=1).reshape(-1, len(steps), width)
        node = node * 2 + yes.astype(np.intp)
    return chosen


def _leaves(leaf: Places, slopes: Floats, curves: Floats) -> Floats:
    """Return a number per leaf and meaning of "late", rounded as it will be written down."""
    sums = [
        _RATE * np.bincount(leaf, slope, LEAVES) / (np.bincount(leaf, curve, LEAVES) + _DRAWN)
        for slope, curve in zip(slopes, curves, strict=True)
    ]
    return np.stack(sums, axis=1).astype(np.float16).astype(np.float32)
