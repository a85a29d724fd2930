"""What a person may put in force of the learners, and the events that do it; UsageError says what is refused and the way on."""

from handlers.commands.learners.desk import Stand, order
from handlers.commands.regime_changes import author_named
from models.events.control import LearnerActivated, LearnerRole
from models.learners.published import LearnerSnapshot
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings


def champion(settings: Settings, snapshot: LearnerSnapshot, reason: str, *, pinned: bool) -> LearnerActivated:
    """Return what lets a version decide."""
    return order(
        settings,
        snapshot,
        learner=snapshot.learner,
        role=LearnerRole.CHAMPION,
        pinned=pinned,
        author=author_named(None),
        reason=reason,
    )


def challenger(settings: Settings, snapshot: LearnerSnapshot | None, reason: str, *, learner: str) -> LearnerActivated:
    """Return what has a version scored beside the one that decides; none: what ends that."""
    name = snapshot.learner if snapshot else learner
    role = LearnerRole.CHALLENGER
    return order(settings, snapshot, learner=name, role=role, pinned=False, author=author_named(None), reason=reason)


def pinned(
    settings: Settings, stand: Stand, version: str | None, reason: str, *, learner: str, anyway: bool
) -> list[LearnerActivated]:
    """Return what keeps a version, or the one that decides."""
    active = stand.active(learner=learner)
    if version is None and active is None:
        message = f"no learner of {learner} is active; name a version to pin: rapport learners list"
        raise UsageError(message)
    found = stand.version(version or (active.version if active else ""))
    trusted(stand, found, anyway=anyway)
    return [champion(settings, found, reason, pinned=True)]


def rolled_back(settings: Settings, stand: Stand, version: str, reason: str) -> list[LearnerActivated]:
    """Return what goes back to an earlier version and keeps it."""
    found = stand.version(version)
    active = stand.active(learner=found.learner)
    known = {row.version: place for place, row in enumerate(stand.of(found.learner))}
    # Versions leave the topic the oldest first: one that is not there any more is older than all that are.
    if active is not None and known.get(active.version, -1) <= known[found.version]:
        message = (
            f"{found.version} is not older than {active.version}, which decides now; to go forward: rapport learners activate"
        )
        raise UsageError(message)
    return [champion(settings, found, reason, pinned=True)]


def promoted(settings: Settings, stand: Stand, reason: str, *, learner: str, anyway: bool) -> list[LearnerActivated]:
    """Return what lets the challenger decide, and ends the challenge."""
    active = stand.active(LearnerRole.CHALLENGER, learner=learner)
    if active is None:
        message = f"there is no challenger of {learner}; begin with one: rapport learners shadow VERSION"
        raise UsageError(message)
    found = stand.version(active.version)
    trusted(stand, found, anyway=anyway)
    return [champion(settings, found, reason, pinned=False), challenger(settings, None, reason, learner=learner)]


def trusted(stand: Stand, found: LearnerSnapshot, *, anyway: bool) -> None:
    """Refuse to put another version in force while stored features differ from a replay of the log."""
    active = stand.active(learner=found.learner)
    is_other = active is None or active.version != found.version
    if stand.distrusted and is_other and not anyway:
        message = (
            f"the last check found features that differ from a replay of the log ({stand.distrusted}): a version learned from"
            " them cannot be trusted; find the cause, then rapport learners check, or say --anyway"
        )
        raise UsageError(message)
