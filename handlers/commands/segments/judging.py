"""How steady segments are and how well they tell clients apart: rules alone, filter alone, both."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import comb
from typing import Final, TypeAlias

from msgspec.structs import replace as with_fields

from handlers.commands.segments.living import WEEK_MS, Living, segments_of
from models.events.envelope import epoch_ms
from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.union import AnyClientEvent
from models.policy.belief import belief
from models.policy.policy import Policy
from models.state.client import ClientState, Segment
from models.state.closing import LATE_DAYS
from models.state.history import lateness
from models.workdays import DAY_MS, whole_days

NEW: Final = Segment.NEW.value
AHEAD_DAYS: Final = 90
LEAST_CLIENTS: Final = 10
_QUIET_MS: Final = 90 * DAY_MS  # a client of whom nothing is heard for so long is not counted on as a client
_YEAR_MS: Final = 365 * DAY_MS
_CLASSIC_DAYS: Final = 56

View: TypeAlias = Callable[[Living, int], dict[str, str]]
Dues: TypeAlias = Mapping[str, Sequence[tuple[int, bool]]]


@dataclass(slots=True)
class Judged:
    """One way to tell segments. `flips` are moves between reliable, slow and problem; leaving `new` is none."""

    name: str
    flips: int = 0
    client_years: float = 0.0
    rands: list[float] = field(default_factory=list)
    ahead: dict[str, list[int]] = field(default_factory=dict)

    @property
    def flips_per_year(self) -> float:
        """Moves per client and year."""
        return self.flips / self.client_years if self.client_years else 0.0

    @property
    def rand(self) -> float:
        """Mean adjusted Rand index of one week against the next; 1 where there were too few clients to say."""
        return sum(self.rands) / len(self.rands) if self.rands else 1.0

    def late_ahead(self, segment: str) -> tuple[int, float]:
        """Return (invoices falling due in the next 90 days, the share of them that was late) for a segment."""
        due, late = self.ahead.get(segment, [0, 0])
        return due, late / due if due else 0.0


def judge(events: Sequence[AnyClientEvent], policy: Policy) -> list[Judged]:
    """Live the history under the rules alone (held as long as here and eight weeks), the filter alone, and both."""
    dues = _dues(events)
    rules = policy.segments
    alone = replace(policy, segments=replace(rules, agree=0.0))
    classic = replace(policy, segments=replace(rules, agree=0.0, persist_days=_CLASSIC_DAYS))
    both = f"both: rules {rules.persist_days} days, filter {rules.agree:g}"
    ways: tuple[tuple[Policy, dict[str, View]], ...] = (
        (classic, {f"rules alone, {_CLASSIC_DAYS} days": _by_rules}),
        (alone, {f"rules alone, {rules.persist_days} days": _by_rules}),
        (policy, {"filter alone": _by_filter, both: _by_rules}),
    )
    return [judged for tried, views in ways for judged in _watch(events, tried, views, dues)]


def adjusted_rand(one: Sequence[str | int], two: Sequence[str | int]) -> float:
    """Return how far two partitions of the same things agree: 1 the same, 0 as by chance (Hubert and Arabie, 1985)."""
    pairs = comb(len(one), 2)
    cells = sum(comb(count, 2) for count in Counter(zip(one, two, strict=True)).values())
    rows, columns = (sum(comb(count, 2) for count in Counter(labels).values()) for labels in (one, two))
    expected = rows * columns / pairs if pairs else 0.0
    most = (rows + columns) / 2
    return 1.0 if most == expected else (cells - expected) / (most - expected)


def _watch(events: Sequence[AnyClientEvent], policy: Policy, views: Mapping[str, View], dues: Dues) -> list[Judged]:
    living = Living(policy)
    found = {name: Judged(name) for name in views}
    before: dict[str, dict[str, str]] = {name: {} for name in views}
    last_ms = events[-1].received_ms if events else 0
    for week, monday in enumerate(living.weeks(events)):
        for name, view in views.items():
            now = view(living, monday)
            _compare(found[name], before[name], now, living, monday)
            if not week % 4 and monday + AHEAD_DAYS * DAY_MS <= last_ms:
                _look_ahead(found[name], now, dues, monday)
            before[name] = now
    return list(found.values())


def _compare(judged: Judged, before: Mapping[str, str], now: Mapping[str, str], living: Living, monday: int) -> None:
    told = [client for client, segment in before.items() if segment != NEW and now[client] != NEW]
    judged.flips += sum(before[client] != now[client] for client in told)
    active = sum(monday - living.last_heard_ms[client] <= _QUIET_MS for client in told)
    judged.client_years += active * WEEK_MS / _YEAR_MS
    if len(told) >= LEAST_CLIENTS:
        judged.rands.append(adjusted_rand([before[client] for client in told], [now[client] for client in told]))


def _look_ahead(judged: Judged, now: Mapping[str, str], dues: Dues, monday: int) -> None:
    for client, segment in now.items():
        tally = judged.ahead.setdefault(segment, [0, 0])
        for due_ms, late in dues.get(client, ()):
            if monday < due_ms <= monday + AHEAD_DAYS * DAY_MS:
                tally[0] += 1
                tally[1] += late


def _by_rules(living: Living, monday: int) -> dict[str, str]:
    del monday
    return segments_of(living.states)


def _by_filter(living: Living, monday: int) -> dict[str, str]:
    rules = living.policy.segments
    return {client: _likeliest(state, monday, rules.switch_per_year) for client, state in living.states.items()}


def _likeliest(state: ClientState, monday: int, switch_per_year: float) -> str:
    # Who has left `new` is told by the filter from then on, so that all ways are held against the same clients.
    if state.care.segment is Segment.NEW:
        return NEW
    past = lateness(with_fields(state, now_ms=max(state.now_ms, monday)))
    return belief(past, now_ms=monday, switch_per_year=switch_per_year).likeliest.value


def _dues(events: Sequence[AnyClientEvent]) -> Dues:
    """Return per client when each invoice fell due and whether it was late, as known at the end of the history."""
    end_ms = events[-1].received_ms if events else 0
    issued: dict[tuple[str, str], int] = {}
    paid: dict[tuple[str, str], int] = {}
    for event in events:
        match event:
            case InvoiceIssued():
                issued[event.client_id, event.invoice_id] = epoch_ms(event.due_at)
            case PaymentReceived() if event.invoice_id:
                paid[event.client_id, event.invoice_id] = event.occurred_ms
            case _:
                pass
    found: dict[str, list[tuple[int, bool]]] = {}
    for key, due_ms in issued.items():
        known_ms = paid.get(key, end_ms)
        late = whole_days(known_ms - due_ms) > LATE_DAYS
        if key in paid or late:
            found.setdefault(key[0], []).append((due_ms, late))
    return found
