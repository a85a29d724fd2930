"""Two policies over one history: who would be in another segment, who would join or leave an audience, since when and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from handlers.commands.segments.living import Living
from handlers.commands.segments.sampling import Extrapolated, extrapolated, sample
from models.events.union import AnyClientEvent
from models.policy.belonging import audiences_of
from models.policy.policy import Policy
from models.state.client import ClientState
from models.triggers import Decision
from models.workdays import moment

_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Shift:
    """A client that stands in another segment under the new policy: from where, to where, since when, and why."""

    client_id: str
    before: str
    after: str
    since: date
    cause: str

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"client_id": self.client_id, "from": self.before, "to": self.after, "since": f"{self.since}", "cause": self.cause}


@dataclass(frozen=True, slots=True)
class Belonging:
    """A client that joins or leaves an audience: the Monday since which it belongs without a break, and why it does."""

    client_id: str
    audience: str
    joins: bool
    since: date
    cause: str

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        what = "joins" if self.joins else "leaves"
        return {
            "client_id": self.client_id,
            "audience": self.audience,
            "change": what,
            "since": f"{self.since}",
            "cause": self.cause,
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """What changes between two policies at the end of a history, and how many moves each made on the way.

    `drawn_of`: so many clients the history has, where only a sample of them was lived; 0: all were.
    """

    old: str
    new: str
    clients: int
    moves: tuple[int, int]
    shifts: tuple[Shift, ...]
    belongings: tuple[Belonging, ...]
    drawn_of: int = 0

    @property
    def of_all(self) -> Extrapolated | None:
        """How many of all clients would stand elsewhere, by a sample; None where all were looked at."""
        if self.drawn_of <= self.clients:
            return None
        return extrapolated(len(self.movers), drawn=self.clients, clients=self.drawn_of)

    @property
    def at_most(self) -> int:
        """How many clients would stand elsewhere: all that were found, or the upper end of what a sample says of all."""
        return len(self.movers) if self.of_all is None else self.of_all.most

    @property
    def movers(self) -> frozenset[str]:
        """Clients that stand in another segment or audience at the end, each once."""
        return frozenset([*(row.client_id for row in self.shifts), *(row.client_id for row in self.belongings)])

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "against": {"version": self.old, "moves": self.moves[0]},
            "policy": {"version": self.new, "moves": self.moves[1]},
            "clients": self.clients,
            "of_all": None if self.of_all is None else self.of_all.as_json(),
            "movers": [row.as_json() for row in self.shifts],
            "audiences": [row.as_json() for row in self.belongings],
        }


def shifts(
    old: Mapping[str, ClientState],
    new: Mapping[str, ClientState],
    old_moves: Mapping[str, Decision],
    new_moves: Mapping[str, Decision],
) -> Iterator[Shift]:
    """Yield who stands elsewhere in `new` than in `old`, with the last move that brought them there, or that they do not make."""
    for client, state in sorted(new.items()):
        after = _segment(state)
        before = _segment(old[client]) if client in old else after
        if before == after:
            continue
        made, missed = new_moves.get(client), old_moves.get(client)
        if missed is not None and missed.change is not None and _is_not_made(missed, made, after):
            cause = f"it does not move to {before}: {missed.change.cause}"
            yield Shift(client, before, after, missed.decided_at.date(), cause)
        elif made is not None and made.change is not None:
            yield Shift(client, before, after, made.decided_at.date(), made.change.cause)


def compare(events: Sequence[AnyClientEvent], old: Policy, new: Policy) -> Trial:
    """Live a history under both policies, in the order in which it arrived, and return what differs at its end."""
    (was, were), (becomes, belong) = (_live(events, policy) for policy in (old, new))
    changed = []
    for client, audience in sorted(were.keys() ^ belong.keys()):
        joins = (client, audience) in belong
        since_ms, cause = (belong if joins else were)[client, audience]
        changed.append(Belonging(client, audience, joins, moment(since_ms).date(), cause))
    found = shifts(was.states, becomes.states, last_moves(was.moves), last_moves(becomes.moves))
    counts = len(was.moves), len(becomes.moves)
    return Trial(old.version, new.version, len(becomes.states), counts, tuple(found), tuple(changed))


def compare_sample(events: Sequence[AnyClientEvent], old: Policy, new: Policy, *, clients: int | None) -> Trial:
    """Do the same for a sample of so many clients; None: for all."""
    if clients is None:
        return compare(events, old, new)
    drawn = sample(events, clients=clients)
    return replace(compare(drawn.events, old, new), drawn_of=drawn.clients)


def last_moves(moves: Sequence[Decision]) -> dict[str, Decision]:
    """Return the last move of each client."""
    return {row.client_id: row for row in moves}


def tell(found: Trial) -> Iterator[str]:
    """Yield what changes, for people."""
    of_all = found.of_all
    whole = "" if of_all is None else f" of {of_all.clients:,}, drawn by their names"
    yield f"{found.clients:,} clients{whole}; {found.moves[0]:,} moves under {found.old}, {found.moves[1]:,} under {found.new}"
    yield from shift_lines(found.shifts)
    for joins, words in ((True, "join"), (False, "leave")):
        rows = [row for row in found.belongings if row.joins is joins]
        for name in sorted({row.audience for row in rows}):
            own = [row for row in rows if row.audience == name]
            yield f"{len(own):,} {words} the audience {name}{_more(len(own))}"
            yield from (f"  {row.client_id}, since {row.since}: {row.cause}" for row in own[:_SHOWN])
    if not found.shifts and not found.belongings:
        yield f"nobody {whole and 'of these '}would stand elsewhere at the end of this history"
    if of_all is not None:
        yield (
            f"of all {of_all.clients:,} clients about {of_all.about:,} would stand elsewhere;"
            f" 95 % interval: {of_all.least:,} to {of_all.most:,}"
        )


def shift_lines(rows: Sequence[Shift]) -> Iterator[str]:
    """Yield who would stand in another segment."""
    if rows:
        yield f"{len(rows):,} clients would stand in another segment{_more(len(rows))}"
    for row in rows[:_SHOWN]:
        yield f"  {row.client_id}: {row.before} -> {row.after}, since {row.since}: {row.cause}"


def _live(events: Sequence[AnyClientEvent], policy: Policy) -> tuple[Living, dict[tuple[str, str], tuple[int, str]]]:
    """Return a life and who belongs to which audience at its end: since which Monday without a break, and why."""
    living = Living(policy)
    members: dict[tuple[str, str], tuple[int, str]] = {}
    for monday in living.weeks(events):
        if not policy.audiences:
            continue
        now = {(client, name): why for client, row in living.states.items() for name, why in audiences_of(row, policy).items()}
        members = {key: (members[key][0] if key in members else monday, why) for key, why in now.items()}
    return living, members


def _segment(state: ClientState) -> str:
    return state.care.segment.value


def _is_not_made(missed: Decision, made: Decision | None, stays: str) -> bool:
    """Say whether a client stands where it stands because the last move of the other life is not made in this one."""
    begins_there = missed.change is not None and missed.change.before == stays
    return begins_there and (made is None or made.decided_at <= missed.decided_at)


def _more(count: int) -> str:
    return f", the first {_SHOWN} (all with --json):" if count > _SHOWN else ":"
