"""What the commands about learners read and write: versions on the topic, regimes and the trainer's record in Redis."""

from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from handlers.commands.regime_changes import read_regimes, worded
from models.events.control import LearnerActivated, LearnerRole
from models.events.envelope import epoch_ms
from models.ids import derive
from models.learners.activation import LATENESS, RENEWAL, TABLES, verify
from models.learners.cohorts import PayCohorts, RenewalCohorts
from models.learners.consistency import CHECKED, ExamplesChecked
from models.learners.judging import Judge
from models.learners.published import LearnerSnapshot
from models.learners.renewal_trainer import RenewalTrainer
from models.learners.snapshot import SnapshotError
from models.learners.subjects import SUBJECTS, Learns, Subject
from models.learners.trainer import LatenessTrainer
from models.regime import ActiveLearner, Regime
from streams.agents.pupil import Memory
from streams.agents.trainer import SLOT
from streams.engine.redis_fence import RedisFence
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.reading import read_each, read_topic
from streams.wire.topics import EXAMPLES, SNAPSHOTS

_PATIENCE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Stand:
    """Versions by learner and training time, the regime of each partition, and the trainer's own records (none at first)."""

    versions: tuple[LearnerSnapshot, ...]
    regimes: tuple[Regime, ...]
    judges: Mapping[str, Judge] = field(default_factory=dict)
    pay: PayCohorts = field(default_factory=PayCohorts)
    renewals: RenewalCohorts = field(default_factory=RenewalCohorts)
    distrusted: str = ""
    """Why no version may be put in force, by the last check of stored features; empty: it passed, or there was none."""

    def active(self, role: LearnerRole = LearnerRole.CHAMPION, *, learner: str = LATENESS) -> ActiveLearner | None:
        """Return what the first partition has in a role; all have the same save for the moments while a change travels."""
        return self.regimes[0].learner(learner, role) if self.regimes else None

    def of(self, learner: str) -> tuple[LearnerSnapshot, ...]:
        """Return the versions of one learner, the latest last."""
        return tuple(row for row in self.versions if row.learner == learner)

    def version(self, name: str) -> LearnerSnapshot:
        """Return the version called `name`, or so begun; raises UsageError when there is none or several."""
        found = [row for row in self.versions if row.version.startswith(name)]
        exact = [row for row in found if row.version == name]
        if len(exact or found) != 1:
            known = ", ".join(row.version for row in self.versions[-5:]) or "none: no trainer has published yet"
            what = "several versions begin" if found else "no version is called or begins"
            message = f"{what} with {name!r}; the latest are {known}; see: rapport learners list"
            raise UsageError(message)
        return (exact or found)[0]


async def read_stand(settings: Settings) -> Stand:
    """Return how things stand; raises RetryError while a server is away."""
    redis = connect_redis(settings)
    try:
        # The position first: what is heard twice changes nothing, what lies between must not be missed.
        heard = await RedisFence(redis, settings).position(SLOT)
        stored = await RedisStateStore(redis, settings).kept(*SLOT, [row.learner for row in SUBJECTS])
    finally:
        await redis.aclose()
    memories = {
        row: msgspec.msgpack.decode(raw, type=Memory) for row, raw in zip(SUBJECTS, stored, strict=True) if raw is not None
    }
    trainers = {row.learner: trainer for row, memory in memories.items() if (trainer := _trainer(row, memory)) is not None}
    lateness, renewals = trainers.get(LATENESS), trainers.get(RENEWAL)
    return Stand(
        versions=await read_versions(settings),
        regimes=tuple(await read_regimes(settings)),
        judges={learner: trainer.judge for learner, trainer in trainers.items()},
        distrusted=await _distrusted(settings, memories.values(), since=heard or 0),
        pay=lateness.cohorts if isinstance(lateness, LatenessTrainer) else PayCohorts(),
        renewals=renewals.cohorts if isinstance(renewals, RenewalTrainer) else RenewalCohorts(),
    )


async def _distrusted(settings: Settings, memories: Iterable[Memory], *, since: int) -> str:
    """Return why no version may be put in force: by the trainer's record, and the checks that came after it on the topic."""
    checks: list[bytes] = []

    def see(record: Any) -> None:  # noqa: ANN401 - a record of aiokafka
        if record.key == CHECKED.encode() and record.value:
            checks.append(record.value)

    await read_each(settings, EXAMPLES.name, partitions=[0], see=see, since=since)
    return distrust_after(next((row.distrusted for row in memories if row.distrusted), ""), checks)


def distrust_after(before: str, checks: Iterable[bytes]) -> str:
    """Return why no version may be put in force after checks, the latest last; one of another release says nothing here."""
    for value in checks:
        try:
            before = ExamplesChecked.model_validate_json(value).distrust(before)
        except ValidationError:
            continue
    return before


def _trainer(subject: Subject, memory: Memory) -> Learns | None:
    try:
        return subject.restore(memory.checkpoint)
    except SnapshotError:
        return None  # of another release: what it says of itself is not comparable


async def read_versions(settings: Settings) -> tuple[LearnerSnapshot, ...]:
    """Return the versions on the topic that were not taken off it, oldest first."""
    latest: dict[bytes, bytes | None] = {}
    for record in (await read_topic(settings, SNAPSHOTS.name, partitions=[0]))[0]:
        latest[record.key] = record.value
    found = [LearnerSnapshot.model_validate_json(value) for value in latest.values() if value]
    return tuple(sorted(found, key=lambda row: (row.learner, row.trained_at, row.learned)))


@worded()
def order(
    settings: Settings,
    snapshot: LearnerSnapshot | None,
    *,
    role: LearnerRole,
    pinned: bool,
    author: str,
    reason: str,
    learner: str,
) -> LearnerActivated:
    """Return the event that puts a version, or none, in force. Raises UsageError for one that no worker could score by."""
    now = make_clock(settings.clock_file).now()
    version = snapshot.version if snapshot else "none"
    event = LearnerActivated(
        event_id=derive("control", "person", learner, role.value, version, epoch_ms(now)),
        source="rapport learners",
        occurred_at=now,
        received_at=now,
        author=author,
        reason=reason,
        learner=learner,
        version=version,
        role=role,
        pinned=pinned,
        snapshot=snapshot.snapshot if snapshot else "",
    )
    if snapshot is None:
        return event
    table = TABLES.get(snapshot.learner, "")
    if snapshot.table != table:
        message = (
            f"{version} was made from the feature table {snapshot.table}, this release has {table}: retrain from the examples"
            f" (rapport run-trainer --afresh {snapshot.learner}), or roll back to the release that made it"
        )
        raise UsageError(message)
    try:
        verify(event)
    except SnapshotError as error:
        message = f"{version} cannot be activated: {error}"
        raise UsageError(message) from error
    return event


def size_of(snapshot: LearnerSnapshot) -> int:
    """Return the bytes of a version."""
    return len(b64decode(snapshot.snapshot))
