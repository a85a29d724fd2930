"""Answered questions as arrays, and the two baselines that need no library: the client's own share, and its median delay."""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush, heappushpop
from math import ceil
from operator import attrgetter, itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from handlers.evaluation.kept import Answered, matrix
from handlers.evaluation.metrics import Floats
from models.features import LATE_DAYS, Landmark
from models.workdays import DAY_MS

TAIL: Final = 0.4
"""Share of the questions, the latest ones, on which figures are taken; before, the learners are still young."""

_STRENGTH: Final = 4.0
_learned = attrgetter("learned")


@dataclass(frozen=True, slots=True)
class Answers:
    """Questions of one landmark and meaning of "late", in the order in which they were put."""

    landmark: Landmark
    over_days: int
    clients: tuple[str, ...]
    asked_day: Floats
    known_day: Floats
    features: Floats
    chances: Floats
    at_issue: Floats
    labels: Floats

    @property
    def tail(self) -> slice:
        """Where figures are taken."""
        return slice(int(len(self.labels) * (1 - TAIL)), None)


def answers_of(examples: Sequence[Answered], landmark: Landmark, over_days: int) -> Answers:
    """Return the questions put at `landmark` whose answer about `over_days` is known; decided ones are left out."""
    place = LATE_DAYS.index(over_days)
    rows = []
    for example in sorted((row for row in examples if row.over_days == over_days), key=_learned):
        first = next((row.chances[place] for row in example.questions if row.landmark == Landmark.ISSUE), float("nan"))
        rows += [
            (asked.asked_ms, example, asked, first)
            for asked in example.questions
            if asked.landmark == landmark and asked.chances[place] >= 0
        ]
    rows.sort(key=lambda row: row[0])
    return Answers(
        landmark=landmark,
        over_days=over_days,
        clients=tuple(row[1].client_id for row in rows),
        asked_day=np.array([row[0] // DAY_MS for row in rows], dtype=float),
        known_day=np.array([row[1].known_day for row in rows], dtype=float),
        features=matrix([row[2].features for row in rows]),
        chances=np.array([row[2].chances[place] for row in rows]),
        at_issue=np.array([row[3] if row[3] >= 0 else np.nan for row in rows]),
        labels=np.array([float(row[1].late) for row in rows]),
    )


def client_share(examples: Sequence[Answered], answers: Answers) -> Floats:
    """Return the client's shrunk share of late invoices as known when each question was put (answers of earlier days)."""
    known = sorted((row.known_day, row.client_id, row.late) for row in examples if row.over_days == answers.over_days)
    counts: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    every = [0.0, 0.0]
    found, place = [], 0
    for client, day in zip(answers.clients, answers.asked_day, strict=True):
        while place < len(known) and known[place][0] < day:
            for tally in (counts[known[place][1]], every):
                tally[0] += 1
                tally[1] += known[place][2]
            place += 1
        prior = (every[1] + 1.0) / (every[0] + 4.0)
        total, late = counts[client]
        found.append((late + _STRENGTH * prior) / (total + _STRENGTH))
    return np.array(found)


@dataclass(frozen=True, slots=True)
class Settlements:
    """Questions put at issue whose invoice is settled or has been open for thirty days: days predicted, usual, and true.

    Invoices too young for that are left out: of them only the prompt ones would be counted. `truth` is infinite and `known_day`
    too where an invoice was still open at the end. `decided` says where the end of the promised range had passed by then: that
    alone says whether it held, and does not depend on the outcome.
    """

    clients: tuple[str, ...]
    asked_day: Floats
    known_day: Floats
    features: Floats
    predicted: Floats
    median: Floats
    truth: Floats
    decided: NDArray[np.bool_]

    @property
    def tail(self) -> slice:
        """Where figures are taken."""
        return slice(int(len(self.truth) * (1 - TAIL)), None)


def settlements_of(examples: Sequence[Answered]) -> Settlements:
    """Return the questions in the order in which the invoices were issued; `predicted` has a column per level."""
    ended = {(row.client_id, row.invoice_id): row for row in examples if not row.over_days and row.days_late is not None}
    rows = sorted(_aged(examples), key=lambda row: (row[0], row[1].client_id, row[1].invoice_id))
    ends = [ended.get((row[1].client_id, row[1].invoice_id)) for row in rows]
    asked_days = [row[0] // DAY_MS for row in rows]
    clients = tuple(row[1].client_id for row in rows)
    last_day = max((row.known_day for row in examples), default=0)
    return Settlements(
        clients=clients,
        asked_day=np.array(asked_days, dtype=float),
        known_day=np.array([end.known_day if end else np.inf for end in ends], dtype=float),
        features=matrix([row[2] for row in rows]),
        predicted=np.array([row[3] for row in rows]),
        median=_medians(list(ended.values()), list(zip(asked_days, clients, strict=True))),
        truth=np.array([float(end.days_late or 0) if end else np.inf for end in ends]),
        decided=np.array([row[1].due_day + ceil(row[3][-1]) < last_day for row in rows], dtype=bool),
    )


def _aged(examples: Sequence[Answered]) -> Iterator[tuple[int, Answered, bytes, tuple[float, ...]]]:
    for example in examples:
        asked = example.questions[0]
        if example.over_days == LATE_DAYS[-1] and asked.landmark == Landmark.ISSUE and asked.days:
            yield asked.asked_ms, example, asked.features, asked.days


def _medians(ended: Sequence[Answered], asked: Sequence[tuple[int, str]]) -> Floats:
    """Return the median days late of the client's last twelve as known at each question; the firm's where there is none."""
    known = sorted(((row.known_day, row.client_id, row.days_late or 0) for row in ended), key=itemgetter(0))
    recent: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=12))
    every = RunningMedian()
    found, place = [], 0
    for day, client in asked:
        while place < len(known) and known[place][0] < day:
            recent[known[place][1]].append(known[place][2])
            every.add(known[place][2])
            place += 1
        own = recent[client]
        found.append(float(np.median(own)) if own else float(every.value))
    return np.array(found)


@dataclass(slots=True)
class RunningMedian:
    """The upper median of all that was added, found without moving half of them each time, as a sorted list does."""

    _below: list[int] = field(default_factory=list)  # negated; the smaller half, without the median
    _above: list[int] = field(default_factory=list)

    def add(self, value: int) -> None:
        """Count one more."""
        heappush(self._above, -heappushpop(self._below, -value))
        if len(self._above) > len(self._below) + 1:
            heappush(self._below, -heappop(self._above))

    @property
    def value(self) -> int:
        """The median, 0 before anything was added."""
        return self._above[0] if self._above else 0
