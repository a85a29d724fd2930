"""What a clustering observer sees in a history, and the patterns it proposes to people. It only reads: nobody is moved by it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from handlers.commands.segments.judging import LEAST_CLIENTS, adjusted_rand
from handlers.commands.segments.living import Living
from models.events.union import AnyClientEvent
from models.learners.observer import SEEN, ClusterObserver, observation
from models.policy.policy import Policy
from models.state.client import ClientState, Segment
from models.workdays import DAY_MS

_QUIET_MS: Final = 200 * DAY_MS  # of whom nothing was heard for so long is no client to find patterns in
_STANDS_OUT: Final = 0.5  # distance from the mean of all, in units of their spread, from which a figure is told
_TOLD: Final = 3
_WEEKS: Final = 13  # of a quarter
_EXAMPLES: Final = 3
_SMALL: Final = 3  # clients below which a group is an accident

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Group:
    """Clients that are alike at the end of the history: how they differ from all, and how the segments see them."""

    clients: tuple[str, ...]
    traits: tuple[str, ...]
    segments: tuple[tuple[str, int], ...]

    @property
    def proposal(self) -> str:
        """What a person could look into; empty where segments or chance explain the group."""
        if len(self.clients) < _SMALL or not self.traits:
            return ""
        name, most = self.segments[0]
        if most == len(self.clients):
            return f"all are {name}: do those who {self.traits[0]} need another rhythm of contact than other {name} clients?"
        return f"they {' and '.join(self.traits[:2])}, yet are in {len(self.segments)} segments: is there a pattern to name?"


@dataclass(frozen=True, slots=True)
class Observed:
    """All groups, the largest first, and how steady they were from one look to the next."""

    looks: int
    rand: float | None
    groups: tuple[Group, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        rows = [
            {"clients": list(row.clients), "traits": list(row.traits), "segments": dict(row.segments), "proposal": row.proposal}
            for row in self.groups
        ]
        return {"looks": self.looks, "rand_week_to_week": self.rand, "groups": rows}


def observe(events: Sequence[AnyClientEvent], policy: Policy) -> Observed:
    """Live a history and look at all clients every Monday; return the groups as of its end."""
    living, observer = Living(policy), ClusterObserver()
    rands: list[float] = []
    before: dict[str, int] = {}
    figures: dict[str, Figures] = {}
    for monday in living.weeks(events):
        figures = _figures(living, monday, policy)
        for row in figures.values():
            observer.look(row)
        now = {client: observer.group_of(row) for client, row in figures.items()}
        both = [client for client in before if client in now]
        if len(both) >= LEAST_CLIENTS:
            rands.append(adjusted_rand([before[client] for client in both], [now[client] for client in both]))
        before = now
    segments = {client: state.care.segment.value for client, state in living.states.items()}
    groups = _groups(before, figures, segments)
    return Observed(observer.seen, sum(rands) / len(rands) if rands else None, groups)


def observe_states(states: Iterable[ClientState], policy: Policy) -> Observed:
    """Look at clients as they are, as often as a quarter has weeks; return the groups. The order of `states` does not matter."""
    known = {row.client_id: row for row in states if not row.erased_ms and not row.identity.into}
    latest = max((row.now_ms for row in known.values()), default=0)
    figures: dict[str, Figures] = {}
    for client, state in sorted(known.items()):
        if latest - state.now_ms <= _QUIET_MS and state.care.segment is not Segment.NEW:
            row = observation(state, policy.patterns)
            if row is not None:
                figures[client] = row
    observer = ClusterObserver()
    for _ in range(_WEEKS):
        for row in figures.values():
            observer.look(row)
    members = {client: observer.group_of(row) for client, row in figures.items()}
    return Observed(observer.seen, None, _groups(members, figures, {name: row.care.segment.value for name, row in known.items()}))


def tell(found: Observed) -> Iterator[str]:
    """Yield the groups and proposals for people."""
    steady = "" if found.rand is None else f"; week to week Rand {found.rand:.3f}"
    yield f"{found.looks:,} looks at clients, {len(found.groups)} groups{steady}. Nobody is moved by this."
    for place, row in enumerate(found.groups, 1):
        yield f"group {place}: {len(row.clients):,} clients, {_mix(row)}; e.g. {', '.join(row.clients[:_EXAMPLES])}"
        yield f"    {', '.join(row.traits) if row.traits else 'much like the others'}"
        if row.proposal:
            yield f"    proposal: {row.proposal}"


def page(found: Observed, *, source: str) -> str:
    """Return the same as one HTML page."""
    lines = "".join(f"<p>{escape(line)}</p>\n" for line in tell(found))
    title = f"Groups among the clients of {escape(source)}"
    head = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    style = "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}</style>"
    return f"{head}<title>{title}</title>{style}<h1>{title}</h1>\n{lines}</html>\n"


def _figures(living: Living, monday: int, policy: Policy) -> dict[str, Figures]:
    found = {}
    for client in sorted(living.states):
        state = living.states[client]
        if monday - living.last_heard_ms[client] > _QUIET_MS or state.care.segment is Segment.NEW:
            continue
        row = observation(state, policy.patterns)
        if row is not None:
            found[client] = row
    return found


def _groups(members: Mapping[str, int], figures: Mapping[str, Figures], segments: Mapping[str, str]) -> tuple[Group, ...]:
    whole = list(figures.values())
    rows: dict[int, list[str]] = {}
    for client, group in members.items():
        rows.setdefault(group, []).append(client)
    found = []
    for clients in rows.values():
        counts = Counter(segments[client] for client in clients)
        traits = _traits([figures[client] for client in clients], whole)
        found.append(Group(tuple(sorted(clients)), traits, tuple(sorted(counts.items(), key=lambda row: (-row[1], row[0])))))
    return tuple(sorted(found, key=lambda row: (-len(row.clients), row.clients)))


def _traits(mine: Sequence[Figures], whole: Sequence[Figures]) -> tuple[str, ...]:
    told = []
    for name, (above, below) in SEEN.items():
        mean = sum(row[name] for row in whole) / len(whole)
        spread = (sum((row[name] - mean) ** 2 for row in whole) / len(whole)) ** 0.5
        if spread:
            distance = (sum(row[name] for row in mine) / len(mine) - mean) / spread
            told.append((abs(distance), above if distance > 0 else below))
    told.sort(key=lambda row: (-row[0], row[1]))
    return tuple(words for distance, words in told[:_TOLD] if distance >= _STANDS_OUT)


def _mix(row: Group) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in row.segments)
