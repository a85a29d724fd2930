"""Trees beside the lines: what a sum of single features cannot say, such as "large, on short terms, to a client who checks".

A tree asks five yes-or-no questions, the same ones on every path, and has a number for each of the 32 answers and each
meaning of "late". Twenty are summed on top of three shares. One walk serves all meanings of "late"; the days late
have twenty trees of their own. Pure Python on tuples, as everything a worker needs.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import inf
from operator import itemgetter
from typing import Final, TypeVar

import msgspec

from models.features import FEATURES, LATE_DAYS

DEPTH: Final = 5
LEAVES: Final = 1 << DEPTH
UNDER: Final = ("still_open", "run_open", "passed")
"""The shares under the trees, one of each per meaning of "late": two of the latest invoices still open this long, one of all."""

SHARE: Final = 1 / len(UNDER)
"""What each of them weighs, in the logit."""

UNDER_DAYS: Final = ("median_days", "run_days")
"""What lies under the trees for the days late, in equal parts: the client's usual delay, and the payment run that is expected."""

P = TypeVar("P", bytes, tuple[int, ...], tuple[float, ...])
Test = tuple[int, int, float, int, float, int, float, int, float, int, float]
"""Where a tree's leaves start, then five times the place of a feature and the point that it must exceed for a yes."""

Walk = Callable[[tuple[float, ...]], tuple[float, ...]]
"""From the leaves of all trees to those that an invoice comes to."""


class Forest(msgspec.Struct, frozen=True, array_like=True):
    """Trees of one landmark as they are written down: per meaning of "late" an intercept, then places, points and leaves.

    Places are bytes, points and leaves half-precision floats: tree by tree, leaf by leaf, a number per meaning of "late".
    `days` are leaves for the days late, one number each in units of 15 days, and `days_places` and `days_points` the questions of
    their trees. Without these they are of a release whose days shared the questions; without `days` of one that had none.
    """

    landmark: int
    intercepts: tuple[float, ...]
    places: bytes
    points: bytes
    leaves: bytes
    days: bytes = b""
    days_places: bytes = b""
    days_points: bytes = b""


_SHALLOW: Final = 3  # questions of a tree of the releases before 0041
_NEVER: Final = struct.pack("<e", inf)  # a point that no feature exceeds
_NUMBER: Final = len(_NEVER) * len(LATE_DAYS)  # bytes of a leaf


def deepened(forest: Forest) -> Forest:
    """Return the forest with `DEPTH` questions in each tree.

    Trees of a release that asked fewer ask first what nobody answers with yes; they say what they said.
    """
    shallow, more = 1 << _SHALLOW, DEPTH - _SHALLOW
    if not forest.places or len(forest.leaves) * _SHALLOW != len(forest.places) * shallow * _NUMBER:
        return forest
    places, points = _SHALLOW, _SHALLOW * len(_NEVER)
    return msgspec.structs.replace(
        forest,
        places=b"".join([bytes(more) + part for part in _parts(forest.places, places)]),
        points=b"".join([more * _NEVER + part for part in _parts(forest.points, points)]),
        leaves=b"".join([part.ljust(LEAVES * _NUMBER, b"\0") for part in _parts(forest.leaves, shallow * _NUMBER)]),
    )


@dataclass(frozen=True)
class Trees:
    """Trees for one meaning of "late", ready for scoring: the questions, and the leaves of all trees in a row."""

    tests: tuple[Test, ...] = ()
    leaves: tuple[float, ...] = ()

    @cached_property
    def beyond_neutral(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """What each tree says where all features are 0, and the leaves less that: the same for whatever the trees weigh."""
        neutrals = tuple([self.leaves[_neutral(test)] for test in self.tests])
        parts = zip(neutrals, _parts(self.leaves, LEAVES), strict=True)
        return neutrals, tuple([leaf - neutral for neutral, leaves in parts for leaf in leaves])

    def walk(self, features: Sequence[float]) -> Walk:
        """Return the way to the leaf of each tree; it is the same for every meaning of "late"."""
        places = [
            start
            + (16 if features[one] > first else 0)
            + (8 if features[two] > second else 0)
            + (4 if features[three] > third else 0)
            + (2 if features[four] > fourth else 0)
            + (features[five] > fifth)
            for start, one, first, two, second, three, third, four, fourth, five, fifth in self.tests
        ]
        return itemgetter(*places) if places else tuple  # no trees: nothing told the questions apart, or none are grown yet

    def value(self, walk: Walk) -> float:
        """Return the sum of the leaves that `walk` came to."""
        return sum(walk(self.leaves))

    def steps(self, features: Sequence[float]) -> Iterator[tuple[int, float]]:
        """Yield place and amount: what each question adds when its answer is put in for that of a feature of 0, in order.

        Trees made by `weighed` say nothing where all features are 0, so the amounts add up to the value.
        """
        leaves = self.leaves
        for test in self.tests:
            leaf = _neutral(test)
            for bit, place, point in _questions(test):
                if (features[place] > point) is not (point < 0):
                    other = leaf ^ bit
                    yield place, leaves[other] - leaves[leaf]
                    leaf = other


NO_TREES: Final = Trees()
_FORESTS: Final = 16  # remembered opened: weights are published daily, trees are grown anew far more seldom


@lru_cache(_FORESTS)
def opened(forest: Forest) -> tuple[Trees, ...]:
    """Return the trees for each meaning of "late", then for the days late. Raises ValueError for bytes that are no forest."""
    forest = deepened(forest)
    tests = _tests(forest.places, forest.points)
    numbers = struct.unpack(f"<{len(tests) * LEAVES * len(LATE_DAYS)}e", forest.leaves)
    meanings = [Trees(tests, numbers[meaning :: len(LATE_DAYS)]) for meaning in range(len(LATE_DAYS))]
    own = _tests(forest.days_places, forest.days_points)
    if not own and not forest.days:
        return (*meanings, NO_TREES)
    about = own or tests  # questions that were shared, in an earlier release
    return (*meanings, Trees(about, struct.unpack(f"<{len(about) * LEAVES}e", forest.days)))


def _tests(places: bytes, points: bytes) -> tuple[Test, ...]:
    count = len(places) // DEPTH
    cuts = struct.unpack(f"<{count * DEPTH}e", points)
    if len(places) != count * DEPTH or any(place >= len(FEATURES) for place in places):
        message = "its questions do not fit the feature table"
        raise ValueError(message)
    rows = zip(_parts(tuple(places), DEPTH), _parts(cuts, DEPTH), strict=True)
    return tuple(_test(LEAVES * tree, *asked) for tree, asked in enumerate(rows))


def weighed(trees: Trees, weight: float) -> tuple[Trees, float]:
    """Return the trees times `weight`, saying nothing where all features are 0, and what they said there: it goes to a line."""
    neutrals, leaves = trees.beyond_neutral
    constant = 0.0
    for neutral in neutrals:  # one by one: later Pythons add a list up in another way, and figures would hang on the release
        constant += weight * neutral
    return Trees(trees.tests, tuple([weight * leaf for leaf in leaves])), constant


def joined(one: Trees, other: Trees) -> Trees:
    """Return the trees of both, those of `other` behind."""
    start = len(one.leaves)
    return Trees((*one.tests, *[(start + test[0], *test[1:]) for test in other.tests]), one.leaves + other.leaves)


def _test(start: int, places: tuple[int, ...], points: tuple[float, ...]) -> Test:
    one, two, three, four, five = places
    first, second, third, fourth, fifth = points
    return start, one, first, two, second, three, third, four, fourth, five, fifth


def _questions(test: Test) -> tuple[tuple[int, int, float], ...]:
    """Return the questions of a tree: the bit of its leaves that a yes sets, the place of the feature, the point."""
    _, one, first, two, second, three, third, four, fourth, five, fifth = test
    return (16, one, first), (8, two, second), (4, three, third), (2, four, fourth), (1, five, fifth)


def _neutral(test: Test) -> int:
    """Return the leaf of an invoice whose features are all 0."""
    start, _, first, _, second, _, third, _, fourth, _, fifth = test
    # Added up where they stand: reasons ask this of every tree.
    return start + 16 * (first < 0) + 8 * (second < 0) + 4 * (third < 0) + 2 * (fourth < 0) + (fifth < 0)


def _parts(row: P, length: int) -> tuple[P, ...]:
    return tuple([row[start : start + length] for start in range(0, len(row), length)])
