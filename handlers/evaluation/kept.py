"""Answered questions as an evaluation keeps them: much smaller than the events they came as, for books of any size."""

from base64 import b64decode
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from handlers.evaluation.metrics import Floats
from models.events.envelope import epoch_ms
from models.features import FEATURES
from models.state.habits import mark_of
from models.triggers import Example, Question
from models.workdays import DAY_MS, moment


@dataclass(frozen=True, slots=True)
class Put:
    """A question as it was put: packed features, the chances and days given; kept once for all its answers."""

    landmark: int
    asked_ms: int
    features: bytes
    chances: tuple[float, ...]
    days: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that became known at `known_ms`, and the questions that it answers."""

    client_id: str
    invoice_id: str
    over_days: int
    late: bool
    days_late: int | None
    due_day: int
    known_ms: int
    questions: tuple[Put, ...]

    @property
    def decided_at(self) -> datetime:
        """When the answer became known."""
        return moment(self.known_ms)

    @property
    def known_day(self) -> int:
        """The day (since 1970-01-01 UTC) on which the answer became known."""
        return self.known_ms // DAY_MS

    @property
    def learned(self) -> tuple[int, int, int]:
        """The place in the order in which answers are learned: by day, then as a hash says."""
        return self.known_day, mark_of(f"{self.known_day}:{self.client_id}:{self.invoice_id}"), self.over_days


@dataclass(slots=True)
class Keeper:
    """Turns examples into what is kept; questions of one invoice are shared by its answers."""

    _put: dict[tuple[str, str], dict[tuple[int, int], Put]] = field(default_factory=dict)

    def keep(self, example: Example, *, last: bool) -> Answered:
        """Return what is kept of `example`; after the `last` answer of an invoice its questions are not looked for again."""
        key = (example.client_id, example.invoice_id)
        known = self._put.setdefault(key, {})
        found = []
        for asked in example.questions:
            place = (asked.landmark, asked.asked_ms)
            if place not in known:
                known[place] = _put(asked)
            found.append(known[place])
        if last:
            del self._put[key]
        return Answered(
            example.client_id,
            example.invoice_id,
            example.over_days,
            example.late,
            example.days_late,
            example.due_day,
            epoch_ms(example.decided_at),
            tuple(found),
        )


def _put(asked: Question) -> Put:
    return Put(asked.landmark, asked.asked_ms, b64decode(asked.features), tuple(asked.chances), tuple(asked.days))


def matrix(packed: list[bytes]) -> Floats:
    """Return packed features as rows of numbers."""
    return np.frombuffer(b"".join(packed), dtype="<f2").reshape(len(packed), len(FEATURES)).astype(np.float64)
