"""What is learned beside each other: which examples, from which feature table, by which trainer. One table for all who ask."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from models.features import TABLE
from models.learners.activation import LATENESS, RENEWAL
from models.learners.drift import DriftWatch
from models.learners.judging import Judge
from models.learners.questions import day_known
from models.learners.renewal_trainer import RenewalTrainer, renewal_day
from models.learners.trainer import LatenessTrainer
from models.renewal_features import RENEWAL_TABLE
from models.triggers import Example, RenewalExample


class Learns(Protocol):
    """A trainer: examples in log order in, weights out. Examples of a day wait until the day turns."""

    judge: Judge
    watch: DriftWatch
    day: int
    learned: int
    trained_ms: int

    def take(self, example: Any, /) -> bool:  # noqa: ANN401 - each takes examples of its own kind
        """Take the next example of the log; returns whether its own day turned."""
        ...

    def turn(self, day: int) -> bool:
        """Learn what waits of the days before `day`; returns whether there was anything."""
        ...

    def withdraw(self, client_id: str) -> None:
        """Forget what waits of a client."""
        ...

    def save(self) -> bytes:
        """Return what `restore` goes on from; nothing may wait of earlier days."""
        ...

    def release(self) -> tuple[str, bytes]:
        """Return version and bytes of the weights as they stand."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """One learner: its name, the contract of its examples, their table, and what learns them.

    `judged` says in words which of its answers it is judged by.
    """

    learner: str
    contract: type[Example] | type[RenewalExample]
    table: str
    begin: Callable[[], Learns]
    restore: Callable[[bytes], Learns]
    day_of: Callable[[Any], int]
    judged: str

    @property
    def kind(self) -> str:
        """Kind of the records that it learns from."""
        return str(self.contract.model_fields["kind"].default)


SUBJECTS: Final = (
    Subject(
        LATENESS,
        Example,
        TABLE,
        LatenessTrainer,
        LatenessTrainer.restore,
        day_known,
        "late by more than 5 days, asked at issue",
    ),
    Subject(
        RENEWAL,
        RenewalExample,
        RENEWAL_TABLE,
        RenewalTrainer,
        RenewalTrainer.restore,
        renewal_day,
        "contract renewed, asked last before its renewal date",
    ),
)
"""All that is learned."""
