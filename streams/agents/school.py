"""The pure part of the trainer: examples in log order in, checkpoints, snapshots and activations out. No clock, no I/O.

All learners sit in one school: they have one position in the log and one day, so one write stores them all.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
import orjson
from pydantic import BaseModel, ValidationError

from models.learners.activation import LATENESS, RENEWAL
from models.learners.consistency import CHECKED, ExamplesChecked, ExamplesRegenerated
from models.learners.promotion import ActivationRule
from models.learners.subjects import SUBJECTS
from models.triggers import ExamplesWithdrawn
from streams.agents.pupil import AUTOMATIC, UNREADABLE, Pupil, Release
from streams.engine.writes import OutboxEntry, Writes
from streams.runtime.errors import DeadLetterError
from streams.runtime.settings import Settings
from streams.wire.headers import Origin, Position, origin_headers, read_origin
from streams.wire.records import Record
from streams.wire.topics import EXAMPLES

M = TypeVar("M", bound=BaseModel)

WITHDRAWN: Final = str(ExamplesWithdrawn.model_fields["kind"].default)
REGENERATED: Final = str(ExamplesRegenerated.model_fields["kind"].default)
EVERY: Final = "every"
"""Stands for the learner where a record concerns all of them, or none."""

CHECKPOINT_EXAMPLES: Final = 500
"""Examples after which progress is stored even when nothing is published: learning them again takes a moment."""

_WRITTEN: Final = 4_096  # bytes of a checkpoint per example learned, at most: full windows of a busy firm take long to write


@dataclass(frozen=True, slots=True)
class Harvest:
    """What is to be stored at a turn of the day, and the versions that are published with it."""

    writes: Writes
    releases: tuple[Release, ...] = ()


def rules_of(settings: Settings) -> dict[str, ActivationRule]:
    """Return the rule of snapshots and activations of each learner, as the settings ask for it."""
    least = {LATENESS: settings.learner_guard_answers, RENEWAL: settings.learner_guard_renewals}
    return {
        learner: ActivationRule(
            automatic=settings.learner_activation == AUTOMATIC,
            every_ms=settings.learner_snapshot_minutes * 60_000,
            every_examples=settings.learner_snapshot_examples,
            least_answers=answers,
            margin=settings.learner_guard_margin,
        )
        for learner, answers in least.items()
    }


class School:
    """All learners at their examples. The same records give the same harvests, wherever it was stopped and resumed between.

    A learner of which nothing is stored begins with the oldest example, while the others wait for it at their offset. Nothing
    is stored before it has come there.
    """

    def __init__(
        self,
        stored: Mapping[str, bytes],
        *,
        rules: Mapping[str, ActivationRule],
        partitions: int,
        offset: int = 0,
        quiet_before: int = 0,
    ) -> None:
        """Go on from what was stored at `offset`; activations are written to `partitions` partitions of the client log."""
        self.pupils = {
            row.learner: Pupil(row, stored.get(row.learner), rule=rules[row.learner], offset=offset, quiet_before=quiet_before)
            for row in SUBJECTS
        }
        self.counts: Counter[tuple[str, str]] = Counter()
        self.withdrawn: list[str] = []
        self._by_kind = {pupil.subject.kind: pupil for pupil in self.pupils.values()}
        self._offset = offset
        self._unstored_ms: tuple[int, int] | None = None
        self._quiet_before = quiet_before
        self._partitions = partitions

    @property
    def learned(self) -> dict[str, int]:
        """Return how many examples each learner has learned."""
        return {learner: pupil.trainer.learned for learner, pupil in self.pupils.items()}

    @property
    def checked_ms(self) -> int:
        """Return when stored features were last held against the log, as far as it was heard; 0: never."""
        return max(pupil.memory.checked_ms for pupil in self.pupils.values())

    @property
    def unstored_ms(self) -> int:
        """Return the log's time from the first example that no harvest holds to the newest; 0: there is none, or but one."""
        return self._unstored_ms[1] - self._unstored_ms[0] if self._unstored_ms else 0

    @property
    def distrusted(self) -> str:
        """Return why no version puts itself in force; empty where nothing speaks against it."""
        return next((pupil.memory.distrusted for pupil in self.pupils.values() if pupil.memory.distrusted), "")

    def take(self, record: Record) -> Harvest | None:
        """Take the next record of the topic; returns what to store before it, where it begins a new day and enough has passed."""
        if not record.value:
            self.counts[EVERY, "withdrawn"] += 1
            return None
        learner = EVERY
        try:
            origin = read_origin(record.headers)
            pupil = self._by_kind.get(origin.kind)
            if pupil is None:
                self._hear(record, origin)
                return None
            learner = pupil.subject.learner
            return self._teach(pupil, record, origin)
        except DeadLetterError as error:
            self.counts[learner, error.reason] += 1
            return None

    def _teach(self, pupil: Pupil, record: Record, origin: Origin) -> Harvest | None:
        learner = pupil.subject.learner
        if not pupil.is_news(record, origin):
            self.counts[learner, "repeated"] += 1
            return None
        example = pupil.read(record)
        harvest = self._turn(pupil.subject.day_of(example), record)
        began, newest = self._unstored_ms if self._unstored_ms and harvest is None else (record.timestamp, record.timestamp)
        self._unstored_ms = began, max(newest, record.timestamp)
        pupil.take(example, origin)
        self.counts[learner, "taken"] += 1
        return harvest

    def _turn(self, day: int, record: Record) -> Harvest | None:
        """Let all learn what waits, where `record` begins a new day for all; so at this place nothing waits of any."""
        trainers = [pupil.trainer for pupil in self.pupils.values()]
        if record.offset < self._offset or day <= max(trainer.day for trainer in trainers):
            return None
        turned = [trainer.turn(day) for trainer in trainers]
        return self._harvest(record) if any(turned) else None

    def _hear(self, record: Record, origin: Origin) -> None:
        """Take a record that is no example."""
        if origin.kind == WITHDRAWN:
            self._withdraw(record, origin)
        elif origin.kind == CHECKED:
            self._check(record)
        elif origin.kind == REGENERATED:
            self._regenerate(record)
        else:
            self.counts[EVERY, "other"] += 1

    def _withdraw(self, record: Record, origin: Origin) -> None:
        concerned = [pupil for pupil in self.pupils.values() if pupil.is_news(record, origin)]
        if not concerned:
            return
        client_id = ExamplesWithdrawn.model_validate_json(record.value or b"").client_id
        for pupil in concerned:
            pupil.withdraw(client_id, origin)
        self.withdrawn.append(client_id)
        self.counts[EVERY, "withdrawal"] += 1

    def _check(self, record: Record) -> None:
        checked = _read(ExamplesChecked, record)
        for pupil in self.pupils.values():
            if record.offset >= pupil.begins:
                pupil.hear(checked)
        self.counts[EVERY, "checked"] += 1

    def _regenerate(self, record: Record) -> None:
        """Begin anew where the examples of the whole log follow; they have the positions of what was learned before."""
        said = _read(ExamplesRegenerated, record)
        for pupil in self.pupils.values():
            if record.offset >= pupil.begins:
                if said.complete:
                    pupil.speak_from(max(record.offset, self._quiet_before))
                else:
                    pupil.begin_anew()
        self.counts[EVERY, "regenerated"] += 1

    def _harvest(self, record: Record) -> Harvest | None:
        pupils = list(self.pupils.values())
        news = [pupil.has_news(record) for pupil in pupils]
        least = max(CHECKPOINT_EXAMPLES, sum(len(pupil.memory.checkpoint) for pupil in pupils) // _WRITTEN)
        if not any(news) and max(pupil.unstored for pupil in pupils) < least:
            return None
        stored = [pupil.store(record, publishes=publishes) for pupil, publishes in zip(pupils, news, strict=True)]
        releases = tuple([release for release in stored if release is not None])
        writes = Writes(
            next_offset=record.offset,
            watermark_ms=max(pupil.trainer.trained_ms for pupil in pupils),
            states={pupil.subject.learner: msgspec.msgpack.encode(pupil.memory) for pupil in pupils},
            outbox=self._entries(releases, record),
        )
        return Harvest(writes, releases)

    def _entries(self, releases: tuple[Release, ...], record: Record) -> tuple[OutboxEntry, ...]:
        told = [row for release in releases for row in release.told(self._partitions)]
        return tuple(
            OutboxEntry(
                position=(at := Position(record.offset, idx)),
                topic=topic,
                partition=partition,
                key=key,
                value=value,
                headers=origin_headers(EXAMPLES.name, 0, at, kind="learner.snapshot"),
            )
            for idx, (topic, partition, key, value) in enumerate(told)
        )


def _read(contract: type[M], record: Record) -> M:
    try:
        return contract.model_validate_json(record.value or b"")
    except ValidationError as error:
        raise DeadLetterError(UNREADABLE, f"{error.error_count()} errors") from error


def is_of(record: Record, client_id: str) -> bool:
    """Return whether a record of the topic is something learned, or to be learned, about a client."""
    if not record.value or not (record.key or b"").startswith(f"{client_id}|".encode()):
        return False
    said = orjson.loads(record.value)
    return bool(said["client_id"] == client_id and said["kind"] != WITHDRAWN)
