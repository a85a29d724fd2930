"""Answered questions as an evaluation keeps them: answers in columns, questions in a temporary file, for books of any size."""

import os
import struct
from array import array
from base64 import b64decode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from tempfile import TemporaryFile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.events.envelope import epoch_ms
from models.features import FEATURES, LATE_DAYS
from models.learners.pay_range import LEVELS
from models.state.habits import mark_of
from models.triggers import Example, Question
from models.workdays import DAY_MS, moment

_ROW: Final = np.dtype(
    [
        ("landmark", "<i8"),
        ("asked_ms", "<i8"),
        ("chances", "<f8", len(LATE_DAYS)),
        ("days", "<f8", len(LEVELS)),
        ("features", "<f2", len(FEATURES)),
    ]
)
_HEAD: Final = struct.Struct(f"<2q{len(LATE_DAYS) + len(LEVELS)}d")
_NOT_GIVEN: Final = float("nan")
_BLOCK: Final = 4_096  # rows written or read at once, about a megabyte
_OPEN: Final = -(2**31)  # days late of an invoice that is open still


@dataclass(frozen=True, slots=True)
class Put:
    """A question as it was put: packed features, the chances and days given."""

    landmark: int
    asked_ms: int
    features: bytes
    chances: tuple[float, ...]
    days: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that became known at `known_ms`, and the questions that it answers: none where it only says when it was paid."""

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


class Kept:
    """Answers in the order in which they became known. A question that several of them answer is held once, on disk.

    Iterating makes each answer anew; figures of many are read by column. An invoice costs some 400 bytes of memory.
    """

    def __init__(self, rows: Iterable[Answered] = ()) -> None:
        """Keep `rows`; what is on disk vanishes with this."""
        self.clients: list[str] = []
        self.invoices: list[str] = []
        self._columns = {name: array(code) for name, code in (("over", "b"), ("late", "b"), ("days", "i"), ("due", "i"))}
        self._known = array("q")
        self._ends = array("q")
        self._places = array("i")
        self._landmarks = array("b")
        self._names: dict[str, str] = {}
        self._asked: dict[tuple[str, str], tuple[str, dict[tuple[int, int], int]]] = {}
        self._file = TemporaryFile()  # noqa: SIM115 (closed when nothing refers to it any more)
        self._waiting: list[bytes] = []
        for row in rows:
            self.add(row)

    def take(self, example: Example) -> None:
        """Keep the next example of the log."""
        questions = () if not example.over_days else tuple(map(_put, example.questions))
        self.add(
            Answered(
                example.client_id,
                example.invoice_id,
                example.over_days,
                example.late,
                example.days_late,
                example.due_day,
                epoch_ms(example.decided_at),
                questions,
            )
        )

    def add(self, row: Answered) -> None:
        """Keep the next answer."""
        client = self._names.setdefault(row.client_id, row.client_id)
        invoice, known = self._asked.get((client, row.invoice_id)) or (row.invoice_id, {})
        for put in row.questions:
            key = (put.landmark, put.asked_ms)
            if key not in known:
                known[key] = self._write(put)
            self._places.append(known[key])
        if row.over_days == LATE_DAYS[-1]:
            self._asked.pop((client, invoice), None)  # the last answer that has questions
        elif row.over_days:
            self._asked[client, invoice] = invoice, known
        self.clients.append(client)
        self.invoices.append(invoice)
        told = (row.over_days, row.late, _OPEN if row.days_late is None else row.days_late, row.due_day)
        for column, value in zip(self._columns.values(), told, strict=True):
            column.append(value)
        self._known.append(row.known_ms)
        self._ends.append(len(self._places))

    def _write(self, put: Put) -> int:
        chances = put.chances or (_NOT_GIVEN,) * len(LATE_DAYS)
        days = put.days or (_NOT_GIVEN,) * len(LEVELS)
        self._waiting.append(_HEAD.pack(put.landmark, put.asked_ms, *chances, *days) + put.features)
        self._landmarks.append(put.landmark)
        if len(self._waiting) == _BLOCK:
            self._flush()
        return len(self._landmarks) - 1

    def _flush(self) -> None:
        self._file.write(b"".join(self._waiting))
        self._file.flush()
        self._waiting.clear()

    def __len__(self) -> int:
        """Return how many answers there are."""
        return len(self._known)

    def __iter__(self) -> Iterator[Answered]:
        """Yield each answer."""
        return map(self._answer, range(len(self)))

    def _answer(self, place: int) -> Answered:
        over, late, days, due = (column[place] for column in self._columns.values())
        asked = np.array(self._places[self._start(place) : self._ends[place]], dtype=np.int64)
        questions = tuple(_read(row) for row in self.questions(asked))
        told = (bool(late), None if days == _OPEN else days, due, self._known[place], questions)
        return Answered(self.clients[place], self.invoices[place], over, *told)

    def _start(self, place: int) -> int:
        return self._ends[place - 1] if place else 0

    def column(self, name: str) -> NDArray[np.int64]:
        """Return what all answers say: `over` (days), `late` (0 or 1), `days` (late), `due` (day), `known` (ms), as a copy."""
        return np.array(self._known if name == "known" else self._columns[name], dtype=np.int64)

    def about(self, over_days: int) -> NDArray[np.int64]:
        """Return the places of the answers about `over_days`; with 0, of those that say how many days late it was."""
        found = self.column("over") == over_days
        return np.flatnonzero(found if over_days else found & (self.column("days") != _OPEN))

    def asked(self, over_days: int, landmark: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (places of answers, places of the questions put at `landmark` that they answer), in the order of answers."""
        ends = np.array(self._ends, dtype=np.int64)
        answers = np.repeat(np.arange(len(self)), np.diff(ends, prepend=0))
        places = np.array(self._places, dtype=np.int64)
        wanted = (self.column("over")[answers] == over_days) & (np.array(self._landmarks, dtype=np.int64)[places] == landmark)
        return answers[wanted], places[wanted]

    def learned_after(self, answers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return by what hash answers of one day are put in the order in which they are learned."""
        days = np.array(self._known, dtype=np.int64)[answers] // DAY_MS
        named = zip(days.tolist(), answers.tolist(), strict=True)
        marks = (mark_of(f"{day}:{self.clients[place]}:{self.invoices[place]}") for day, place in named)
        return np.fromiter(marks, dtype=np.int64, count=len(answers))

    def questions(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """Return rows (landmark, asked_ms, chances, days, features) of questions; nan where nothing was given."""
        self._flush()
        found = np.empty(len(places), _ROW)
        order = np.argsort(places, kind="stable")
        ranked = places[order]
        start = 0
        while start < len(ranked):
            first = int(ranked[start])
            end = int(np.searchsorted(ranked, first + _BLOCK))
            size = int(ranked[end - 1]) - first + 1
            block = np.frombuffer(os.pread(self._file.fileno(), size * _ROW.itemsize, first * _ROW.itemsize), _ROW)
            found[order[start:end]] = block[ranked[start:end] - first]
            start = end
        return found


def _put(asked: Question) -> Put:
    return Put(asked.landmark, asked.asked_ms, b64decode(asked.features), tuple(asked.chances), tuple(asked.days))


def _read(row: Any) -> Put:  # noqa: ANN401 (a row of a structured array)
    chances, days = tuple(row["chances"].tolist()), tuple(row["days"].tolist())
    return Put(
        int(row["landmark"]),
        int(row["asked_ms"]),
        row["features"].tobytes(),
        () if np.isnan(chances[0]) else chances,
        () if np.isnan(days[0]) else days,
    )
