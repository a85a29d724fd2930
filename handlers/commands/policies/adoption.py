"""Taking over an existing receivables book: who would be contacted, at which stage, and not more than so many a day.

Until the takeover nothing is sent: each client is on hold from before its first event. From then on one client after the other is
released, the largest stake first. What is overdue by more than the policy adopts by itself waits for a person.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from handlers.commands.policies.trying import Contact, Life, live
from models.events.envelope import epoch_ms
from models.events.signals import OverrideEffect, OverrideSet
from models.events.union import AnyClientEvent
from models.ids import derive
from models.policy.policy import Policy
from models.state.balances import items
from models.state.client import ClientState
from models.workdays import DAY_MS, moment

AUTHOR: Final = "adoption"
HORIZON_DAYS: Final = 60
_HELD_DAYS: Final = 365
_PERSON: Final = "a person decides"


@dataclass(frozen=True, slots=True)
class Start:
    """When a client's journeys begin. `released_on` None: only after a person has looked; `first` None: nothing is due soon."""

    client_id: str
    released_on: date | None
    first: Contact | None
    why: str


@dataclass(frozen=True, slots=True)
class Adoption:
    """The plan, and the life that shows what it comes to."""

    as_of: datetime
    per_day: int
    starts: tuple[Start, ...]
    holds: tuple[OverrideSet, ...]
    life: Life

    def load(self) -> list[tuple[date, int, int]]:
        """Return for each day how many clients hear from us for the first time, and how many contacts leave in all."""
        firsts = Counter(start.first.at.date() for start in self.starts if start.first is not None)
        every = Counter(contact.at.date() for contact in self.life.contacts)
        return [(day, firsts[day], every[day]) for day in sorted(every)]

    def as_json(self) -> dict[str, Any]:
        """Return the plan for programs."""
        return {
            "as_of": self.as_of.isoformat(),
            "per_day": self.per_day,
            "policy": self.life.policy.version,
            "starts": [
                {
                    "client_id": start.client_id,
                    "released_on": start.released_on and start.released_on.isoformat(),
                    "why": start.why,
                    "first": start.first and start.first.as_json(),
                }
                for start in self.starts
            ],
            "days": [{"day": day.isoformat(), "first_contacts": firsts, "contacts": every} for day, firsts, every in self.load()],
        }


def plan(policy: Policy, events: Sequence[AnyClientEvent], *, as_of: datetime, per_day: int) -> Adoption:
    """Return the plan of taking over a book at `as_of`, with at most `per_day` first contacts on a day."""
    until_ms = epoch_ms(as_of) + HORIZON_DAYS * DAY_MS
    clients = list(dict.fromkeys(event.client_id for event in events))
    first_seen: dict[str, int] = {}
    for event in events:
        first_seen[event.client_id] = min(first_seen.get(event.client_id, event.received_ms), event.received_ms)
    today = live(policy, _held(events, dict.fromkeys(clients, as_of), first_seen), until_ms=epoch_ms(as_of))
    waiting = {client: _too_old(today.simulation.states[client], policy) for client in clients}
    never = as_of + timedelta(days=_HELD_DAYS)
    free = {client: never if waiting[client] else as_of for client in clients}
    wanted = _firsts(live(policy, _held(events, free, first_seen), until_ms=until_ms))
    released = _spread(wanted, today, as_of=as_of, per_day=per_day)
    ends = {client: never if waiting[client] else released.get(client, as_of) for client in clients}
    life = live(policy, _held(events, ends, first_seen), until_ms=until_ms)
    firsts = _firsts(life)
    starts = [
        Start(
            client,
            None if waiting[client] else ends[client].date(),
            firsts.get(client),
            waiting[client] or ("; ".join(firsts[client].trigger.reasons[:2]) if client in firsts else "nothing becomes due"),
        )
        for client in clients
    ]
    starts.sort(key=lambda start: (start.first is None, start.first.at if start.first else as_of, start.client_id))
    holds = tuple(_hold(client, ends[client], first_seen[client]) for client in clients)
    return Adoption(as_of, per_day, tuple(starts), holds, life)


def tell(adoption: Adoption) -> Iterator[str]:
    """Yield the plan for people."""
    contacted = [start for start in adoption.starts if start.first is not None]
    people = [start for start in adoption.starts if start.released_on is None]
    quiet = len(adoption.starts) - len(contacted) - len(people)
    yield f"Taken over on {adoption.as_of:%Y-%m-%d} by policy {adoption.life.policy.version}: {len(adoption.starts):,} clients"
    yield (
        f"{len(contacted):,} would be contacted within {HORIZON_DAYS} days, {len(people):,} wait for a person,"
        f" for {quiet:,} nothing is due"
    )
    yield ""
    yield f"{'day':12} {'first contacts':>14} {'all contacts':>13}   (at most {adoption.per_day} first contacts a day)"
    for day, firsts, every in adoption.load():
        yield f"{day.isoformat():12} {firsts:>14,} {every:>13,}"
    yield ""
    for start in contacted:
        if start.first is not None:
            trigger = start.first.trigger
            step = f"{trigger.step} by {trigger.channel} ({trigger.segment}, {trigger.tone})"
            yield f"{start.first.at:%Y-%m-%d}  {start.client_id}: {step}: {start.why}"
    for start in people:
        yield f"{_PERSON}  {start.client_id}: {start.why}"


def _held(events: Iterable[AnyClientEvent], ends: dict[str, datetime], first_seen: dict[str, int]) -> Iterator[AnyClientEvent]:
    known: set[str] = set()
    for event in events:
        if event.client_id not in known:
            known.add(event.client_id)
            yield _hold(event.client_id, ends[event.client_id], first_seen[event.client_id])
        yield event


def _hold(client: str, until: datetime, seen_ms: int) -> OverrideSet:
    at = moment(seen_ms)
    return OverrideSet(
        event_id=derive("event", AUTHOR, client),
        source=AUTHOR,
        client_id=client,
        occurred_at=at,
        received_at=at,
        override_id=f"{AUTHOR}-{derive('hold', client)[:8]}",
        effect=OverrideEffect.HOLD,
        reason=f"the book is being taken over; released on {until:%Y-%m-%d}",
        author=AUTHOR,
        expires_at=until,
    )


def _too_old(state: ClientState, policy: Policy) -> str:
    """Return why a person decides about this client, empty where nobody needs to."""
    for item in items(state.ledger, state.now_ms):
        days = (state.now_ms - item.invoice.due_ms) // DAY_MS
        if item.rest and days > policy.adopt_after_days:
            return f"invoice {item.invoice.invoice_id} is {days} days past due, which no machine starts with"
    return ""


def _open_day(day: date, state: ClientState, policy: Policy) -> date:
    """Return the day (UTC) on which a message leaves that may leave from the beginning of `day` on: it, or the next open one."""
    return moment(policy.open_hour(state, epoch_ms(datetime(day.year, day.month, day.day, tzinfo=UTC)))).date()


def _firsts(life: Life) -> dict[str, Contact]:
    found: dict[str, Contact] = {}
    for contact in life.contacts:
        found.setdefault(contact.client_id, contact)
    return found


def _spread(wanted: dict[str, Contact], today: Life, *, as_of: datetime, per_day: int) -> dict[str, datetime]:
    """Return from when on each client is released so that no day has more than `per_day` first contacts."""
    states = today.simulation.states
    stakes = {client: sum(item.rest for item in items(states[client].ledger, states[client].now_ms)) for client in wanted}
    queue = sorted(wanted, key=lambda client: (wanted[client].at.date(), -stakes[client], client))
    taken: Counter[date] = Counter()
    released: dict[str, datetime] = {}
    for client in queue:
        day = wanted[client].at.date()
        while taken[day] >= per_day:
            day = _open_day(day + timedelta(days=1), states[client], today.policy)
        taken[day] += 1
        if day != wanted[client].at.date():
            released[client] = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return {client: max(as_of, at) for client, at in released.items()}
