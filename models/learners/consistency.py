"""Are the stored features what the log gives? Answered questions as they were served, held against a replay of the log.

A feature that is computed differently when it is learned than when it was served spoils every learner quietly. So a sample of
clients is folded anew, and each question that stands on the topic must have the same features, chances and answer again.
"""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from models.events.envelope import Instant
from models.features import TABLE, unpack
from models.learnt import Learnt
from models.renewal_features import RENEWAL_TABLE, unpack_renewal
from models.state.habits import mark_of
from models.triggers import Example, Question, RenewalExample, RenewalQuestion

LIMIT: Final = 0.001
"""Share of questions that may differ, lack or be too many; above it no version goes in force."""

TOLERANCE: Final = 0.002
"""Relative error up to which two features are the same: two steps of half precision."""

_BUCKETS: Final = 10_000
AnyExample = Example | RenewalExample
AnyQuestion = Question | RenewalQuestion
Read: TypeAlias = tuple[Learnt, ...]


class ExamplesChecked(BaseModel):
    """A check of stored features against a replay. While the latest to compare any has failed, no version activates itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["examples.checked"] = "examples.checked"
    schema_version: Literal[1] = 1
    checked_at: Instant
    author: str
    clients: int = Field(description="Clients whose log was folded anew.")
    questions: int = Field(description="Questions compared.")
    mismatched: int = Field(description="Of them, how many had other features, chances or another answer.")
    missing: int = Field(description="Questions that the replay gives and the topic does not hold.")
    extra: int = Field(description="Questions on the topic that the replay does not give.")
    decisions: int = Field(default=0, description="Values that decisions had read, compared with what a replay reads.")
    worst: Annotated[float, Field(ge=0)] = Field(description="Largest relative error of a feature.")
    first: str = Field(default="", description="The first difference in words.")
    passed: bool

    @property
    def says_something(self) -> bool:
        """Whether anything was compared at all: without that, nothing is known that was not known before."""
        return bool(self.questions or self.decisions)

    def distrust(self, before: str) -> str:
        """Return why no version may go in force after this check, `before` it being so; what compared nothing changes nothing."""
        if not self.says_something:
            return before
        return "" if self.passed else self.first or "stored features differ from a replay"


CHECKED: Final = str(ExamplesChecked.model_fields["kind"].default)
"""The kind of such a record, in its header and as its key."""


class ExamplesRegenerated(BaseModel):
    """The examples of the whole log are written anew: all that stood before is void. Learners begin anew where it says so.

    The first of two stands before them; until the second one, behind them, no learner publishes what it has learned of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["examples.regenerated"] = "examples.regenerated"
    schema_version: Literal[1] = 1
    regenerated_at: Instant
    author: str
    complete: bool = Field(description="False: they follow. True: they are all there.")
    examples: int = Field(description="How many they are.")


@dataclass(frozen=True, slots=True)
class Difference:
    """One question that is not the same in both; `error` is the largest relative error of its features."""

    what: Literal["mismatched", "missing", "extra"]
    words: str
    error: float = 0.0


def is_sampled(client_id: str, *, share: float, night: str) -> bool:
    """Return whether a client belongs to the sample of a night: the same answer for everybody, another sample each night."""
    return mark_of(f"{night}:{client_id}") % _BUCKETS < share * _BUCKETS


def differences(served: Mapping[bytes, AnyExample], again: Mapping[bytes, AnyExample]) -> Iterator[Difference]:
    """Yield the questions that differ, by the keys under which examples stand on their topic."""
    for key in sorted({*served, *again}):
        name = key.decode()
        mine, theirs = _questions(served.get(key)), _questions(again.get(key))
        for place in sorted({*mine, *theirs}):
            about = f"{name} at landmark {place[0]}"
            if place not in theirs:
                yield Difference("extra", f"{about}: the log gives no such question")
            elif place not in mine:
                yield Difference("missing", f"{about}: the topic does not hold it")
            else:
                yield from _compared(about, mine[place], theirs[place])
        one, two = served.get(key), again.get(key)
        if one is not None and two is not None and _answer(one) != _answer(two):
            yield Difference("mismatched", f"{name}: answered {_answer(one)}, by the log {_answer(two)}")


def decided_differently(served: Mapping[str, Read], again: Mapping[str, Read]) -> Iterator[Difference]:
    """Yield what decisions read otherwise than a replay of the log does, by the ids of decisions.

    One that only one of them knows says nothing: another release may word its reasons, and so its id, differently.
    """
    for name in sorted(served.keys() & again.keys()):
        mine = {(row.what, row.about): row for row in served[name]}
        theirs = {(row.what, row.about): row for row in again[name]}
        for what, about in sorted(mine.keys() & theirs.keys(), key=str):
            one, two = mine[what, about], theirs[what, about]
            words = f"decision {name} read the {what.value}{f' of {about}' if about else ''}"
            if (one.version, one.as_of, one.quality) != (two.version, two.as_of, two.quality):
                said, instead = (f"{row.quality.value} of {row.as_of:%Y-%m-%d %H:%M} by {row.version}" for row in (one, two))
                yield Difference("mismatched", f"{words}: {said}, by the log {instead}")
            elif one.features and two.features and one.table == two.table and one.table in {TABLE, RENEWAL_TABLE}:
                unpacked = unpack if one.table == TABLE else unpack_renewal
                error = _error(unpacked(b64decode(one.features)), unpacked(b64decode(two.features)))
                if error > TOLERANCE:
                    yield Difference("mismatched", f"{words}: a feature is off by {error:.1%}", error)
            elif _error((one.value,), (two.value,)) > TOLERANCE:
                yield Difference("mismatched", f"{words}: it was {one.value:.4g}, by the log {two.value:.4g}")


def read_by_both(served: Mapping[str, Read], again: Mapping[str, Read]) -> int:
    """Return how many values of decisions are compared."""
    return sum(min(len(served[name]), len(again[name])) for name in served.keys() & again.keys())


def questions_of(rows: Mapping[bytes, AnyExample]) -> int:
    """Return how many questions stand in examples."""
    return sum(len(row.questions) for row in rows.values())


def _questions(row: AnyExample | None) -> dict[tuple[int, int], AnyQuestion]:
    return {(asked.landmark, asked.asked_ms): asked for asked in row.questions} if row else {}


def _answer(row: AnyExample) -> tuple[object, ...]:
    match row:
        case Example():
            return row.late, row.days_late, row.due_day
        case RenewalExample():
            return row.renewed, row.raised, row.left, row.renews_day


def _compared(about: str, served: AnyQuestion, again: AnyQuestion) -> Iterator[Difference]:
    if (served.version, served.chances) != (again.version, again.chances):
        said = f"said {served.chances} by {served.version}, by the log {again.chances} by {again.version}"
        yield Difference("mismatched", f"{about}: {said}")
        return
    if served.features == again.features:
        return
    error = _error(_values(served), _values(again))
    if error > TOLERANCE:
        yield Difference("mismatched", f"{about}: a feature is off by {error:.1%}", error)


def _error(served: tuple[float, ...], again: tuple[float, ...]) -> float:
    """Return the largest relative error between two vectors."""
    pairs = zip(served, again, strict=True)
    return max((abs(one - two) / max(abs(one), abs(two), 1.0) for one, two in pairs), default=0.0)


def _values(asked: AnyQuestion) -> tuple[float, ...]:
    raw = b64decode(asked.features)
    return unpack(raw) if isinstance(asked, Question) else unpack_renewal(raw)
