"""Trees beside the lines: what a sum of single features cannot say, such as "large, on short terms, to a client who checks".

A tree asks three yes-or-no questions, the same ones on every path, and has a number for each of the eight answers and each
meaning of "late". Two dozen are summed on top of three shares. One walk serves all meanings of "late". Pure Python
on tuples, as everything a worker needs.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, TypeVar

import msgspec

from models.features import FEATURES, LATE_DAYS

DEPTH: Final = 3
LEAVES: Final = 1 << DEPTH
UNDER: Final = ("still_open", "run_open", "passed")
"""The shares under the trees, one of each per meaning of "late": two of the latest invoices still open this long, one of all."""

SHARE: Final = 1 / len(UNDER)
"""What each of them weighs, in the logit."""

N = TypeVar("N", int, float)
Test = tuple[int, int, float, int, float, int, float]
"""Where a tree's leaves start, then three times the place of a feature and the point that it must exceed for a yes."""

Walk = Callable[[tuple[float, ...]], tuple[float, ...]]
"""From the leaves of all trees to those that an invoice comes to."""


class Forest(msgspec.Struct, frozen=True, array_like=True):
    """Trees of one landmark as they are written down: per meaning of "late" an intercept, then places, points and leaves.

    Places are bytes, points and leaves half-precision floats: tree by tree, leaf by leaf, a number per meaning of "late".
    """

    landmark: int
    intercepts: tuple[float, ...]
    places: bytes
    points: bytes
    leaves: bytes


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees for one meaning of "late", ready for scoring: the questions, and the leaves of all trees in a row."""

    tests: tuple[Test, ...] = ()
    leaves: tuple[float, ...] = ()

    def walk(self, features: Sequence[float]) -> Walk:
        """Return the way to the leaf of each tree; it is the same for every meaning of "late". There must be trees."""
        return itemgetter(
            *[
                start + (4 if features[one] > low else 0) + (2 if features[two] > mid else 0) + (features[three] > high)
                for start, one, low, two, mid, three, high in self.tests
            ]
        )

    def value(self, walk: Walk) -> float:
        """Return the sum of the leaves that `walk` came to."""
        return sum(walk(self.leaves))

    def steps(self, features: Sequence[float]) -> Iterator[tuple[int, float]]:
        """Yield place and amount: what each question adds when its answer is put in for that of a feature of 0, in order.

        Trees made by `weighed` say nothing where all features are 0, so the amounts add up to the value.
        """
        for test in self.tests:
            _, one, low, two, mid, three, high = test
            leaf = _neutral(test)
            for bit, place, point in ((4, one, low), (2, two, mid), (1, three, high)):
                other = leaf | bit if features[place] > point else leaf & ~bit
                yield place, self.leaves[other] - self.leaves[leaf]
                leaf = other


NO_TREES: Final = Trees()


def opened(forest: Forest) -> tuple[Trees, ...]:
    """Return the trees for each meaning of "late". Raises ValueError for bytes that are no forest."""
    count = len(forest.places) // DEPTH
    points = struct.unpack(f"<{count * DEPTH}e", forest.points)
    numbers = struct.unpack(f"<{count * LEAVES * len(LATE_DAYS)}e", forest.leaves)
    if len(forest.places) != count * DEPTH or any(place >= len(FEATURES) for place in forest.places):
        message = "its questions do not fit the feature table"
        raise ValueError(message)
    rows = zip(_parts(tuple(forest.places), DEPTH), _parts(points, DEPTH), strict=True)
    tests = tuple(
        (LEAVES * tree, one, low, two, mid, three, high) for tree, ((one, two, three), (low, mid, high)) in enumerate(rows)
    )
    return tuple(Trees(tests, numbers[meaning :: len(LATE_DAYS)]) for meaning in range(len(LATE_DAYS)))


def weighed(trees: Trees, weight: float) -> tuple[Trees, float]:
    """Return the trees times `weight`, saying nothing where all features are 0, and what they said there: it goes to a line."""
    scaled: list[float] = []
    constant = 0.0
    for test, leaves in zip(trees.tests, _parts(trees.leaves, LEAVES), strict=True):
        neutral = trees.leaves[_neutral(test)]
        constant += weight * neutral
        scaled += [weight * (leaf - neutral) for leaf in leaves]
    return Trees(trees.tests, tuple(scaled)), constant


def _neutral(test: Test) -> int:
    start, _, low, _, mid, _, high = test
    return start + (4 if low < 0 else 0) + (2 if mid < 0 else 0) + (1 if high < 0 else 0)


def _parts(numbers: tuple[N, ...], length: int) -> tuple[tuple[N, ...], ...]:
    return tuple([numbers[start : start + length] for start in range(0, len(numbers), length)])
