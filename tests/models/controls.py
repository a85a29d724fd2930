"""Small builders of events about a whole partition: policies put in force, stops and their ends. Times as in `builders`."""

from models.events.control import HaltChanged, HaltScope, PolicyActivated, RunsMigrated
from models.policy.document import document_of
from models.policy.policy import Policy
from tests.models.builders import on


def policy_activated(
    day: float, policy: Policy, *, version: str | None = None, document: str | None = None, approvals: int = 0
) -> PolicyActivated:
    """Put `policy` in force; `version` and `document`: as somebody says they are, none: as they are."""
    return PolicyActivated(
        event_id=f"policy-{day}-{approvals}",
        source="cli",
        occurred_at=on(day),
        received_at=on(day),
        author="mia",
        reason="tried",
        version=version or policy.version,
        document=document or document_of(policy).model_dump_json(exclude_none=True),
        approvals=approvals,
    )


def halt(day: float, *, scope: HaltScope = HaltScope.ALL, target: str | None = None, halted: bool = True) -> HaltChanged:
    """Stop contact, or let it go on."""
    return HaltChanged(
        event_id=f"halt-{day}",
        source="cli",
        occurred_at=on(day),
        received_at=on(day),
        author="mia",
        reason="wrong amounts",
        scope=scope,
        target=target,
        halted=halted,
    )


def runs_migrated(
    day: float,
    to: Policy,
    *of: Policy,
    event_id: str | None = None,
    journeys: tuple[str, ...] = (),
    clients: tuple[str, ...] = (),
) -> RunsMigrated:
    """Move runs under way from `of` to a policy that was activated before; all, or those of some journeys or clients."""
    return RunsMigrated(
        event_id=event_id or f"migrated-{day}",
        source="cli",
        occurred_at=on(day),
        received_at=on(day),
        author="mia",
        reason="gentler words",
        version=to.version,
        versions=tuple(dict.fromkeys(row.version for row in of)),
        journeys=journeys or None,
        clients=clients or None,
    )
