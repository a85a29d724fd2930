"""Two policies over the same history: who gains or loses which contacts, and why."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from handlers.commands.policies.trying import Contact, Life
from handlers.commands.segments.shifts import Shift, shift_lines, shifts

_SHOWN: Final = 12
_NEAR: Final = timedelta(days=1)
_INSTEAD: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Change:
    """One contact that only one of the two policies makes, or that moves to another day."""

    what: str
    contact: Contact
    why: str

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"change": self.what, "why": self.why, **self.contact.as_json()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The lives of a history under an old and a new policy."""

    old: Life
    new: Life
    changes: tuple[Change, ...]
    shifts: tuple[Shift, ...] = ()

    def rows(self) -> list[tuple[str, str, str, int, int]]:
        """Return journey, step and segment with the contacts under the old and the new policy."""
        old, new = (Counter(map(_group, life.contacts)) for life in (self.old, self.new))
        return [(*group, old[group], new[group]) for group in sorted(old.keys() | new.keys())]

    def as_json(self) -> dict[str, Any]:
        """Return everything for programs."""
        names = ("journey", "step", "segment", "against", "policy")
        return {
            "against": {"version": self.old.policy.version, "contacts": len(self.old.contacts)},
            "policy": {"version": self.new.policy.version, "contacts": len(self.new.contacts)},
            "clients": len(self.new.simulation.states),
            "rows": [dict(zip(names, row, strict=True)) for row in self.rows()],
            "changes": [change.as_json() for change in self.changes],
            "movers": [row.as_json() for row in self.shifts],
        }


def compare(old: Life, new: Life) -> Comparison:
    """Hold the contacts of two lives against each other: by client, journey, anchor and step; then by day."""
    before, after = _by_key(old), _by_key(new)
    steps = {step.id for step in new.policy.journeys.all_steps()}
    of_client: dict[str, list[Contact]] = {}
    for contact in new.contacts:
        of_client.setdefault(contact.client_id, []).append(contact)
    changes: list[Change] = []
    for key in sorted(before.keys() | after.keys()):
        left, right = before.get(key, []), after.get(key, [])
        for was, becomes in zip(left, right, strict=False):
            if was.at != becomes.at:
                changes.append(Change("moved", becomes, f"from {was.at:%Y-%m-%d}: {becomes.trigger.reasons[0]}"))
        changes += [
            Change("lost", contact, _why_not(contact, new, steps, of_client.get(contact.client_id, ())))
            for contact in left[len(right) :]
        ]
        changes += [Change("gained", contact, "; ".join(contact.trigger.reasons[:2])) for contact in right[len(left) :]]
    moved = shifts(old.simulation.states, new.simulation.states, old.moves, new.moves)
    return Comparison(old, new, tuple(changes), tuple(moved))


def tell(comparison: Comparison) -> Iterator[str]:
    """Yield the comparison for people."""
    old, new = comparison.old, comparison.new
    yield f"{len(new.simulation.states):,} clients"
    yield f"before: {len(old.contacts):,} contacts by {old.policy.version}"
    yield f"after:  {len(new.contacts):,} contacts by {new.policy.version}"
    counts = Counter(change.what for change in comparison.changes)
    yield f"gained {counts['gained']:,}, lost {counts['lost']:,}, moved to another day {counts['moved']:,}"
    yield ""
    yield f"{'journey':26} {'step':20} {'segment':9} {'before':>7} {'after':>7} {'change':>7}"
    for journey, step, segment, was, becomes in comparison.rows():
        yield f"{journey:26} {step:20} {segment:9} {was:>7,} {becomes:>7,} {becomes - was:>+7,}"
    for what, words in (("gained", "Who gains contacts"), ("lost", "Who loses contacts"), ("moved", "Whose contacts move")):
        yield from _examples([change for change in comparison.changes if change.what == what], words)
    if comparison.shifts:
        yield ""
        yield from shift_lines(comparison.shifts)
    yield ""
    yield "What clients did is taken as it was; nobody knows how they would have answered."


def _examples(changes: list[Change], words: str) -> Iterator[str]:
    if not changes:
        return
    clients = len({change.contact.client_id for change in changes})
    yield ""
    more = f", the first {_SHOWN} (all with --json)" if len(changes) > _SHOWN else ""
    yield f"{words}: {len(changes):,} of {clients:,} clients{more}"
    for change in sorted(changes, key=lambda change: (change.contact.at, change.contact.client_id))[:_SHOWN]:
        contact = change.contact
        yield f"  {contact.at:%Y-%m-%d} {contact.client_id}: {contact.trigger.step} ({contact.trigger.segment}): {change.why}"


def _why_not(contact: Contact, new: Life, steps: Collection[str], contacts: Iterable[Contact]) -> str:
    """Return why a contact of the old policy is none of the new one's, which has `steps` and makes `contacts` with the client."""
    client_id, journey, anchor, step = contact.key
    if step not in steps:
        return "the new policy has no such step"
    silence = new.silences.get((client_id, journey, anchor))
    if silence is not None and silence.decided_at >= contact.at - _NEAR:
        return f"{silence.outcome.value}: {silence.reasons[0]}"
    others = [
        other
        for other in contacts
        if other.trigger.step != step
        and abs(other.at - contact.at) <= _INSTEAD
        and set(other.trigger.invoice_ids) & set(contact.trigger.invoice_ids)
    ]
    if others:
        nearest = min(others, key=lambda other: abs(other.at - contact.at))
        return f"instead {nearest.trigger.step} on {nearest.at:%Y-%m-%d}"
    return "settled, or the history ends, before it is due"


def _by_key(life: Life) -> dict[tuple[str, str, str, str], list[Contact]]:
    found: dict[tuple[str, str, str, str], list[Contact]] = {}
    for contact in life.contacts:
        found.setdefault(contact.key, []).append(contact)
    return found


def _group(contact: Contact) -> tuple[str, str, str]:
    return (contact.trigger.journey.value, contact.trigger.step, contact.trigger.segment)
