"""One contact budget per company and per person at it, over all journeys, channels and people.

A message about to leave reserves its place; when it has left, the place is spent; when it did not leave, or was taken back, the
place is free again. What colleagues do by hand is spent at once. Receipts and tasks for colleagues cost nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from models.policy.policy import Policy
from models.state.client import ClientState, Pending, Spoken
from models.state.person import CONTACTS_KEPT, add_contact
from models.workdays import DAY_MS, moment

MONTH_MS: Final = 30 * DAY_MS


@dataclass(frozen=True, slots=True)
class Full:
    """Why there is no room now: `code` is `gap` or `budget`, `until_ms` when there is again."""

    code: str
    reason: str
    until_ms: int


def reserve(state: ClientState, row: Pending) -> ClientState:
    """Take the place of a message that is about to leave."""
    return replace(state, care=replace(state.care, pending=(*state.care.pending, row)))


def commit(state: ClientState, trigger_id: str, *, at_ms: int, policy: Policy) -> ClientState:
    """Spend the place of a message that left at `at_ms`, also of one that had been taken back. Of no other message anything."""
    row = _row(state, trigger_id)
    if row is None:
        return state
    state = _without(state, row)
    return spend(state, at_ms=at_ms, person=row.person) if costs(row, policy) else state


def refund(state: ClientState, trigger_id: str) -> ClientState:
    """Free the place of a message that did not leave. A second time, nothing happens."""
    row = _row(state, trigger_id)
    return state if row is None else _without(state, row)


def spend(state: ClientState, *, at_ms: int, person: str = "") -> ClientState:
    """Count one contact with the company, and with the person at it where one is known."""
    state = add_contact(state, at_ms)
    if not person:
        return state
    spoken = tuple(sorted((*state.care.spoken, Spoken(at_ms, person)), key=lambda row: row.at_ms)[-CONTACTS_KEPT:])
    return replace(state, care=replace(state.care, spoken=spoken))


def unspend(state: ClientState, *, at_ms: int) -> ClientState:
    """Give back the contact that was counted at `at_ms`, or the last before it: it turned out that nobody was reached."""
    past = [each for each in state.care.contacts if each <= at_ms]
    if not past:
        return state
    contacts = list(state.care.contacts)
    contacts.remove(past[-1])
    spoken = list(state.care.spoken)
    told = next((row for row in reversed(spoken) if row.at_ms == past[-1]), None)
    if told is not None:
        spoken.remove(told)
    return replace(state, care=replace(state.care, contacts=tuple(contacts), spoken=tuple(spoken)))


def costs(row: Pending, policy: Policy) -> bool:
    """Say whether a message takes a place: one for a colleague and a receipt do not."""
    return not row.free and row.channel not in policy.internal_channels


def contact_times(state: ClientState, policy: Policy, *, person: str = "", before: Pending | None = None) -> list[int]:
    """Return when the company, or one person at it, was or is about to be contacted, oldest first.

    `before`: a message that is pending itself; of the others then only those count that go before it.
    """
    others = state.care.pending if before is None else _before(state, before, policy)
    reserved = (
        row.not_before_ms for row in others if not row.retracted and costs(row, policy) and (not person or row.person == person)
    )
    spent = (row.at_ms for row in state.care.spoken if row.person == person) if person else state.care.contacts
    return sorted((*spent, *reserved))


def room(state: ClientState, policy: Policy, *, at_ms: int, person: str = "") -> int:
    """Return how many more contacts the month before `at_ms` allows; never less than none."""
    used = sum(at > at_ms - MONTH_MS for at in contact_times(state, policy, person=person))
    return max(0, _most(state, policy, person=person) - used)


def full(state: ClientState, policy: Policy, *, at_ms: int, person: str = "", before: Pending | None = None) -> Full | None:
    """Return why no contact may be made at `at_ms`, None when one may: the gap, the company's month, the person's month.

    `before` as in `contact_times`: asked of a message that is about to leave, counting neither itself nor what comes after.
    """
    times = contact_times(state, policy, before=before)
    if not times:
        return None
    gap_ends = times[-1] + policy.min_gap_days * DAY_MS
    if at_ms < gap_ends:
        last = moment(times[-1]).date().isoformat()
        reason = f"the client was contacted on {last}: at least {policy.min_gap_days} days lie between"
        return Full("gap", reason, gap_ends)
    most = _most(state, policy)
    wish = "are enough" if most == policy.contacts_per_month else "are as many as the client wants"
    found = _over(times, most, at_ms, wish)
    if found is None and person:
        words = f"with the {person.replace('_', ' ')} are enough"
        found = _over(
            contact_times(state, policy, person=person, before=before), _most(state, policy, person=person), at_ms, words
        )
    return found


def goes_first(state: ClientState, row: Pending, *, at_ms: int, policy: Policy) -> Pending | None:
    """Return the message of unknown fate that goes before `row`, and whose gap `row` would break if both left; None without one.

    Of any two the one that may leave earlier goes first, so that none waits for another in a circle. One that was taken back may
    have left before that was known. Once it has expired it leaves no more, so the gap after its expiry ends every wait.
    """
    if not costs(row, policy) or not policy.min_gap_days:
        return None
    rows = (each for each in _before(state, row, policy) if at_ms < each.expires_ms + policy.min_gap_days * DAY_MS)
    return min(rows, key=_place, default=None)


def _over(times: Sequence[int], most: int, at_ms: int, words: str) -> Full | None:
    recent = [at for at in times if at > at_ms - MONTH_MS]
    if len(recent) < most:
        return None
    return Full("budget", f"{len(recent)} contacts within 30 days {words}", recent[len(recent) - most] + MONTH_MS)


def _most(state: ClientState, policy: Policy, *, person: str = "") -> int:
    company = min(policy.contacts_per_month, state.person.pace or policy.contacts_per_month)
    return min(company, policy.contacts_per_person) if person else company


def _before(state: ClientState, row: Pending, policy: Policy) -> Iterator[Pending]:
    return (each for each in state.care.pending if costs(each, policy) and _place(each) < _place(row))


def _place(row: Pending) -> tuple[int, str]:
    return row.not_before_ms, row.trigger_id


def _row(state: ClientState, trigger_id: str) -> Pending | None:
    return next((row for row in state.care.pending if row.trigger_id == trigger_id), None)


def _without(state: ClientState, row: Pending) -> ClientState:
    care = state.care
    return replace(state, care=replace(care, pending=tuple(known for known in care.pending if known is not row)))
