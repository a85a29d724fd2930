"""Answered questions as arrays, and the two baselines that need no library: the client's own share, and its median delay."""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush, heappushpop
from typing import Final

import numpy as np
from numpy.typing import NDArray

from handlers.evaluation.kept import Kept
from handlers.evaluation.metrics import Floats, Halves
from models.features import LATE_DAYS, Landmark
from models.workdays import DAY_MS

TAIL: Final = 0.4
"""Share of the questions, the latest ones, on which figures are taken; before, the learners are still young."""

_STRENGTH: Final = 4.0


@dataclass(frozen=True, slots=True)
class Answers:
    """Questions of one landmark and meaning of "late", in the order in which they were put."""

    landmark: Landmark
    over_days: int
    clients: tuple[str, ...]
    asked_day: Floats
    known_day: Floats
    features: Halves
    chances: Floats
    at_issue: Floats
    labels: Floats

    @property
    def tail(self) -> slice:
        """Where figures are taken."""
        return slice(int(len(self.labels) * (1 - TAIL)), None)


def answers_of(kept: Kept, landmark: Landmark, over_days: int) -> Answers:
    """Return the questions put at `landmark` whose answer about `over_days` is known; decided ones are left out."""
    place = LATE_DAYS.index(over_days)
    answers, asked = kept.asked(over_days, landmark)
    rows = kept.questions(asked)
    given = rows["chances"][:, place] >= 0
    answers, rows = answers[given], rows[given]
    known = kept.column("known")[answers] // DAY_MS
    order = np.lexsort((kept.learned_after(answers), known, rows["asked_ms"]))
    answers, rows = answers[order], rows[order]
    return Answers(
        landmark=landmark,
        over_days=over_days,
        clients=tuple(kept.clients[answer] for answer in answers),
        asked_day=(rows["asked_ms"] // DAY_MS).astype(np.float64),
        known_day=known[order].astype(np.float64),
        features=rows["features"],
        chances=rows["chances"][:, place],
        at_issue=_at_issue(kept, answers, over_days),
        labels=kept.column("late")[answers].astype(np.float64),
    )


def _at_issue(kept: Kept, answers: NDArray[np.int64], over_days: int) -> Floats:
    """Return the chance given when each invoice was issued, nan where none was."""
    owners, asked = kept.asked(over_days, Landmark.ISSUE)
    firsts, rows = np.unique(owners, return_index=True)
    given = kept.questions(asked[rows])["chances"][:, LATE_DAYS.index(over_days)]
    found = np.full(len(kept), np.nan)
    found[firsts] = np.where(given >= 0, given, np.nan)
    return found[answers]


def client_share(kept: Kept, answers: Answers) -> Floats:
    """Return the client's shrunk share of late invoices as known when each question was put (answers of earlier days)."""
    about = kept.about(answers.over_days)
    days, late = kept.column("known")[about] // DAY_MS, kept.column("late")[about]
    known = sorted(zip(days.tolist(), (kept.clients[place] for place in about), late.tolist(), strict=True))
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
        total, late_ones = counts[client]
        found.append((late_ones + _STRENGTH * prior) / (total + _STRENGTH))
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
    features: Halves
    predicted: Floats
    median: Floats
    truth: Floats
    decided: NDArray[np.bool_]

    @property
    def tail(self) -> slice:
        """Where figures are taken."""
        return slice(int(len(self.truth) * (1 - TAIL)), None)


def settlements_of(kept: Kept) -> Settlements:
    """Return the questions in the order in which the invoices were issued; `predicted` has a column per level."""
    days_late, known = kept.column("days"), kept.column("known") // DAY_MS
    ended = {(kept.clients[place], kept.invoices[place]): place for place in kept.about(0).tolist()}
    answers, asked = kept.asked(LATE_DAYS[-1], Landmark.ISSUE)
    rows = kept.questions(asked)
    given = ~np.isnan(rows["days"][:, 0])
    answers, rows = answers[given], rows[given]
    names = [(kept.clients[answer], kept.invoices[answer]) for answer in answers]
    asked_ms = rows["asked_ms"].tolist()
    order = sorted(range(len(names)), key=lambda row: (asked_ms[row], names[row]))
    rows, due = rows[order], kept.column("due")[answers[order]]
    clients = tuple(names[row][0] for row in order)
    asked_day = rows["asked_ms"] // DAY_MS
    ends = np.array([ended.get(names[row], -1) for row in order], dtype=np.int64)
    ending = np.array(list(ended.values()), dtype=np.int64)
    ranked = ending[np.argsort(known[ending], kind="stable")]
    return Settlements(
        clients=clients,
        asked_day=asked_day.astype(np.float64),
        known_day=np.where(ends >= 0, known[ends], np.inf) if len(kept) else np.zeros(0),
        features=rows["features"],
        predicted=rows["days"],
        median=_medians(
            list(zip(known[ranked].tolist(), (kept.clients[place] for place in ranked), days_late[ranked].tolist(), strict=True)),
            zip(asked_day.tolist(), clients, strict=True),
        ),
        truth=np.where(ends >= 0, days_late[ends], np.inf) if len(kept) else np.zeros(0),
        decided=due + np.ceil(rows["days"][:, -1]) < known.max(initial=0),
    )


def _medians(ended: Sequence[tuple[int, str, int]], asked: Iterable[tuple[int, str]]) -> Floats:
    """Return the median days late of the client's last twelve as known at each question; the firm's where there is none."""
    recent: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=12))
    every = RunningMedian()
    found, place = [], 0
    for day, client in asked:
        while place < len(ended) and ended[place][0] < day:
            recent[ended[place][1]].append(ended[place][2])
            every.add(ended[place][2])
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
