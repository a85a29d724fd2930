"""One learner at school: what it has learned, how far it has read, and what it publishes of itself at a turn of the day."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec
from pydantic import ValidationError

from models.events.control import LearnerActivated
from models.events.envelope import epoch_ms
from models.learners.consistency import ExamplesChecked
from models.learners.promotion import ActivationRule
from models.learners.published import LearnerSnapshot, range_held, record_of
from models.learners.snapshot import SnapshotError
from models.learners.subjects import Learns, Subject
from models.workdays import moment
from streams.runtime.errors import DeadLetterError, FatalError
from streams.wire.codec import encode_event
from streams.wire.control import control_id
from streams.wire.headers import Origin, Position
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY, SNAPSHOTS

AUTOMATIC: Final = "automatic"
KEPT_SNAPSHOTS: Final = 60
"""Versions a person can go back to; older ones are taken off the topic. Two months, as one a day is taken."""

UNREADABLE: Final = "unreadable"
_OTHER_TABLE: Final = "other_table"
_NEVER: Final = 2**62  # an offset that no topic reaches
Told: TypeAlias = tuple[str, int, bytes | None, bytes]
"""What is to be published: topic, partition, key, value."""


class Memory(msgspec.Struct, frozen=True, array_like=True):
    """All of a learner that must not be lost, as it was when the examples before the stored offset were learned.

    `marks` is the furthest output taken of each partition of the client log, since an example may be published twice. Before
    the offset `quiet_before` nothing is published: an earlier life did, what is learned again is no news. `distrusted` says why
    no version activates itself: the last check of stored features against a replay, at `checked_ms`, found too many that differ.
    """

    checkpoint: bytes
    marks: dict[int, tuple[int, int]]
    published_ms: int = 0
    published_learned: int = 0
    stored_learned: int = 0
    drifts: int = 0
    passed: bool = False
    versions: tuple[str, ...] = ()
    quiet_before: int = 0
    distrusted: str = ""
    checked_ms: int = 0


def remembered(stored: bytes, subject: Subject) -> tuple[Learns, Memory]:
    """Return the trainer that was stored. Raises FatalError when this release cannot go on from it."""
    memory = msgspec.msgpack.decode(stored, type=Memory)
    try:
        return subject.restore(memory.checkpoint), memory
    except SnapshotError as error:
        message = (
            f"the trainer of {subject.learner} cannot go on: {error}; to begin anew from the examples:"
            f" rapport run-trainer --afresh {subject.learner}"
        )
        raise FatalError(message) from error


class Pupil:
    """One learner at its examples. `begins` is the offset of the first record that it has not learned yet."""

    def __init__(self, subject: Subject, stored: bytes | None, *, rule: ActivationRule, offset: int, quiet_before: int) -> None:
        """Go on from what was stored last, at `offset`, or begin with the oldest example."""
        self.subject = subject
        self.trainer, memory = remembered(stored, subject) if stored else (subject.begin(), Memory(b"", {}))
        self.memory = msgspec.structs.replace(memory, quiet_before=max(memory.quiet_before, quiet_before))
        self.begins = offset if stored else 0
        self.rule = rule
        self._marks = {partition: Position(*mark) for partition, mark in memory.marks.items()}

    @property
    def unstored(self) -> int:
        """Examples learned since they were last stored."""
        return self.trainer.learned - self.memory.stored_learned

    def is_news(self, record: Record, origin: Origin) -> bool:
        """Return whether a record was not taken yet."""
        mark = self._marks.get(origin.src_partition, Position(-1, -1))
        return record.offset >= self.begins and origin.position > mark

    def read(self, record: Record) -> Any:  # noqa: ANN401 - each subject has a contract of its own
        """Return the example in a record; raises DeadLetterError with the reason for what this release cannot learn."""
        try:
            example = self.subject.contract.model_validate_json(record.value or b"")
        except ValidationError as error:
            raise DeadLetterError(UNREADABLE, f"{error.error_count()} errors") from error
        if example.table != self.subject.table:
            detail = f"made from the feature table {example.table}, this release has {self.subject.table}"
            raise DeadLetterError(_OTHER_TABLE, detail)
        return example

    def take(self, example: Any, origin: Origin) -> None:  # noqa: ANN401 - likewise
        """Take an example; it waits until the day turns."""
        self._marks[origin.src_partition] = origin.position
        self.trainer.take(example)

    def withdraw(self, client_id: str, origin: Origin) -> None:
        """Forget what waits of a client."""
        self._marks[origin.src_partition] = origin.position
        self.trainer.withdraw(client_id)

    def begin_anew(self) -> None:
        """Forget what was learned, and publish nothing before `speak_from` is said. What the last check found holds on."""
        memory = self.memory
        self.trainer = self.subject.begin()
        self.memory = Memory(b"", {}, quiet_before=_NEVER, distrusted=memory.distrusted, checked_ms=memory.checked_ms)
        self._marks = {}

    def speak_from(self, offset: int) -> None:
        """Publish again, from the record at `offset` on."""
        self.memory = msgspec.structs.replace(self.memory, quiet_before=offset)

    def hear(self, checked: ExamplesChecked) -> None:
        """Take note of a check: one that failed keeps versions from activating themselves until one has compared and passed."""
        why = checked.distrust(self.memory.distrusted)
        self.memory = msgspec.structs.replace(self.memory, distrusted=why, checked_ms=epoch_ms(checked.checked_at))

    def has_news(self, record: Record) -> bool:
        """Return whether a version is to be published before `record` is taken; from the first on, time is counted by it."""
        trainer, memory, rule = self.trainer, self.memory, self.rule
        began = memory.published_ms or record.timestamp
        self.memory = msgspec.structs.replace(memory, published_ms=began)
        fresh = trainer.learned - memory.published_learned
        if not fresh or record.offset < memory.quiet_before:
            return False
        passes_now = rule.passes(trainer.judge) and not memory.passed
        return self._drifted or passes_now or rule.is_due(past_ms=record.timestamp - began, past_examples=fresh)

    @property
    def _drifted(self) -> bool:
        return self.trainer.watch.alarms > self.memory.drifts

    def store(self, record: Record, *, publishes: bool) -> "Release | None":
        """Put into the memory what was learned before `record`; returns the version, where one is published."""
        trainer, memory = self.trainer, self.memory
        passes = self.rule.passes(trainer.judge)
        release = self._release(record, passes=passes) if publishes else None
        versions = memory.versions if release is None else (*memory.versions, release.snapshot.version)
        self.memory = Memory(
            checkpoint=trainer.save(),
            marks={partition: (mark.src_offset, mark.idx) for partition, mark in self._marks.items()},
            published_ms=record.timestamp if publishes else memory.published_ms,
            published_learned=trainer.learned if publishes else memory.published_learned,
            stored_learned=trainer.learned,
            drifts=trainer.watch.alarms if publishes else memory.drifts,
            passed=memory.passed or passes,
            versions=versions[-KEPT_SNAPSHOTS:],
            quiet_before=memory.quiet_before,
            distrusted=memory.distrusted,
            checked_ms=memory.checked_ms,
        )
        return release

    def _release(self, record: Record, *, passes: bool) -> "Release":
        # After a drift the newest is the one that leans on the rules, so it is put in force if any was before.
        deserves = passes or (self._drifted and self.memory.passed)
        activated = self.rule.automatic and deserves and not self.memory.distrusted
        old = self.memory.versions[: max(0, len(self.memory.versions) + 1 - KEPT_SNAPSHOTS)]
        return Release(self._snapshot(), old, moment(record.timestamp), activated, self.rule.tell(self.trainer.judge))

    def _snapshot(self) -> LearnerSnapshot:
        trainer = self.trainer
        version, weights = trainer.release()
        return LearnerSnapshot(
            learner=self.subject.learner,
            version=version,
            table=self.subject.table,
            trained_at=moment(trainer.trained_ms),
            learned=trainer.learned,
            trust=trainer.watch.trust,
            drifts=trainer.watch.alarms,
            candidate=record_of(trainer.judge.candidate),
            rules=record_of(trainer.judge.rules),
            live=record_of(trainer.judge.live),
            range_held=range_held(trainer.judge),
            snapshot=b64encode(weights).decode(),
        )


@dataclass(frozen=True, slots=True)
class Release:
    """A version that is published, whether it is put in force and why, and the versions that it pushes off the topic."""

    snapshot: LearnerSnapshot
    old: tuple[str, ...]
    at: datetime
    activated: bool
    why: str

    def told(self, partitions: int) -> list[Told]:
        """Return the version, the old ones taken off, and the activation on every partition of the client log."""
        snapshot = self.snapshot
        told: list[Told] = [(SNAPSHOTS.name, 0, snapshot.version.encode(), snapshot.model_dump_json(exclude_none=True).encode())]
        told += [(SNAPSHOTS.name, 0, version.encode(), b"") for version in self.old]
        if self.activated:
            value = encode_event(activation(snapshot, at=self.at, reason=self.why))
            told += [(CLIENT_EVENTS.name, partition, CONTROL_KEY, value) for partition in range(partitions)]
        return told


def activation(snapshot: LearnerSnapshot, *, at: datetime, reason: str) -> LearnerActivated:
    """Return the event by which the trainer puts a snapshot in force; the same snapshot always gives the same event id."""
    return LearnerActivated(
        event_id=control_id(AUTOMATIC, snapshot.learner, snapshot.version),
        source="trainer",
        occurred_at=at,
        received_at=at.astimezone(UTC),
        author=AUTOMATIC,
        reason=reason,
        learner=snapshot.learner,
        version=snapshot.version,
        automatic=True,
        snapshot=snapshot.snapshot,
    )
