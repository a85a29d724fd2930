"""Whether the conditions hold under which a journey of the firm's own begins. Pure."""

from dataclasses import dataclass
from typing import Final

from models.events.payments import PaymentMethod
from models.money import Money
from models.patterns import find_pattern
from models.policy.belonging import first_of
from models.policy.journeys import OwnEntry, Playbook
from models.policy.pattern_facts import size_of
from models.policy.playbooks import is_cooling
from models.policy.policy import Policy
from models.policy.segments import effective_segment
from models.state.client import ClientState
from models.state.runs import runs_of

MOST_WAITING: Final = 24
"""Two years of runs, each begun a month after the one before: the shortest cooldown there is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What an event, or a contract that is to renew, tells: what it is about, since when, how much, for what, how paid."""

    about: str
    started_ms: int
    amount: Money | None = None
    service_line: str = ""
    contract_id: str = ""
    method: PaymentMethod | None = None


def size_seen(seen: Seen, policy: Policy) -> str:
    """Return the class of the amount, empty where none is known."""
    return size_of(seen.amount.minor, seen.amount.currency, policy) if seen.amount else ""


def holds(entry: OwnEntry, seen: Seen, state: ClientState, policy: Policy) -> bool:
    """Say whether every condition that is given holds; what nobody knows meets none."""
    if not _is_of(entry, state, policy):
        return False
    if entry.service_lines and seen.service_line not in entry.service_lines:
        return False
    if entry.methods and seen.method not in entry.methods:
        return False
    if entry.sizes and size_seen(seen, policy) not in entry.sizes:
        return False
    if entry.contract_types and not _types(seen, state) & set(entry.contract_types):
        return False
    return entry.pattern is None or find_pattern(state, entry.pattern, policy.patterns) is not None


def _is_of(entry: OwnEntry, state: ClientState, policy: Policy) -> bool:
    """Say whether the client is one of those a journey is for."""
    if entry.segments and effective_segment(state, state.now_ms) not in entry.segments:
        return False
    return not entry.audiences or first_of(state, entry.audiences, policy) is not None


def may_begin(state: ClientState, playbook: Playbook, *, anchor: str = "") -> bool:
    """Say whether neither the cooldown nor a run that was to be the only one keeps a journey from beginning about `anchor`.

    A run that has waited before its first message (see `Run.started_ms`) has not begun, and keeps nobody from it. Nor do more
    than `MOST_WAITING` runs of it wait for a step: they are kept until then, and a state stays bounded.
    """
    if sum(not run.closed and run.anchor != anchor for run in runs_of(state, playbook.journey)) >= MOST_WAITING:
        return False
    if isinstance(playbook.entry, OwnEntry) and playbook.entry.once:
        return not any(run.started_ms and run.anchor != anchor for run in runs_of(state, playbook.journey))
    return not is_cooling(state, playbook, anchor=anchor)


def _types(seen: Seen, state: ClientState) -> set[str]:
    """Return the types of the contract it belongs to, else of all that the client has."""
    known = [row for row in state.person.contracts if row.contract_id == seen.contract_id] if seen.contract_id else []
    return {row.contract_type for row in known or state.person.contracts}
