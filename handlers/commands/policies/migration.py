"""What would change for runs under way if they went on by another policy: who would get which steps, when, in which tone."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from shlex import quote
from typing import Any, Final

from msgspec.structs import replace

from models.events.control import PolicyActivated, RunsMigrated
from models.policy.ahead import Ahead, ahead
from models.policy.migrating import Move, moves
from models.regime import Regime, encode_regime
from models.state.client import JOURNEYS, ClientState, journey_of
from models.triggers import Journey
from models.workdays import moment
from streams.engine.program import ClientProgram

SHOWN: Final = 50
SUPPORT: Final = JOURNEYS.index(Journey.DELAY_SUPPORT)
GAINED, LOST, DAY, TONE, WAY = "gained", "lost", "another day", "another tone", "another way"
KINDS: Final = (GAINED, LOST, DAY, TONE, WAY)


@dataclass(frozen=True, slots=True)
class Changed:
    """A step that only one of the two has ahead, or that both have; `kinds` say how it differs, none where it does not."""

    step: str
    before: Ahead | None
    after: Ahead | None
    kinds: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "step": self.step,
            "changes": list(self.kinds),
            "before": _ahead_json(self.before),
            "after": _ahead_json(self.after),
        }


@dataclass(frozen=True, slots=True)
class Row:
    """One run that would go on by another policy, and each step of it that is to come, before and after."""

    client_id: str
    move: Move
    steps: tuple[Changed, ...]

    @property
    def taken(self) -> tuple[str, ...]:
        """The steps that the run has taken."""
        return tuple(step.id for step in self.move.before[: self.move.run.stage])

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        run, by = self.move.run, self.move.by
        return {
            "client_id": self.client_id,
            "journey": journey_of(run).value,
            "anchor": run.anchor,
            "policy": by.of,
            "taken": list(self.taken),
            "waits": self.move.waits or None,
            "steps": [row.as_json() for row in self.steps],
        }


@dataclass(frozen=True, slots=True)
class Preview:
    """What a migration to `version` would do; `versions` are the policies that runs would leave."""

    version: str
    versions: tuple[str, ...]
    rows: tuple[Row, ...]

    def counts(self) -> dict[str, Counter[str]]:
        """Return per journey how many runs would move, and how many of their steps would differ in which way."""
        found: dict[str, Counter[str]] = {}
        for row in self.rows:
            count = found.setdefault(journey_of(row.move.run).value, Counter())
            count["runs"] += 1
            count.update(kind for step in row.steps for kind in step.kinds)
        return dict(sorted(found.items()))

    def as_json(self) -> dict[str, Any]:
        """Return everything for programs."""
        names = ("runs", *KINDS)
        return {
            "policy": self.version,
            "from": list(self.versions),
            "runs": len(self.rows),
            "clients": len({row.client_id for row in self.rows}),
            "journeys": {name: {what.replace(" ", "_"): row[what] for what in names} for name, row in self.counts().items()},
            "moves": [row.as_json() for row in self.rows],
        }


def others_than(version: str, regime: Regime) -> tuple[str, ...]:
    """Return the policies that runs may follow and that are not `version`, in order."""
    known = {row.version for row in regime.policies} | ({regime.base.version} if regime.base else set())
    return tuple(sorted(known - {version}))


@dataclass(frozen=True, slots=True)
class Scope:
    """The journeys and clients whose runs are meant; none named: every one."""

    journeys: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()

    def has_client(self, state: ClientState) -> bool:
        """Say whether runs of a client are meant."""
        return not self.clients or state.client_id in self.clients

    def has_run(self, move: Move) -> bool:
        """Say whether runs of a journey are meant."""
        return not self.journeys or journey_of(move.run).value in self.journeys

    @property
    def options(self) -> str:
        """The options that say the same to the command, each with a blank before it."""
        named = [("--journey", name) for name in self.journeys] + [("--client", name) for name in self.clients]
        return "".join(f" {option} {quote(name)}" for option, name in named)


def unknown(scope: Scope, bound: ClientProgram, states: Iterable[ClientState]) -> str | None:
    """Return what of a scope is not known, and what is; None where all of it is."""
    journeys = {journey.value for journey in Journey} | {row.journey.value for row in bound.policy.journeys.own}
    clients: dict[str, ClientState] = {}
    for state in states:
        clients[state.client_id] = state
        journeys |= {journey_of(run).value for run in state.care.runs}
    for name in scope.journeys:
        if name not in journeys:
            return f"no journey {name!r} is known here; there are: {', '.join(sorted(journeys))}"
    for name in scope.clients:
        if name not in clients:
            return f"no client {name!r} is known here"
        if into := clients[name].identity.into:
            return f"{name} is part of {into} since they were merged, and so are its journeys: name {into}"
    return None


def preview(
    bound: ClientProgram,
    states: Iterable[ClientState],
    *,
    now_ms: int,
    target: PolicyActivated | None,
    scope: Scope,
) -> Preview:
    """Return what would change under `bound` if runs in `scope` went on by the policy in force.

    Or by `target` once that is activated.
    """
    blob = encode_regime(bound.regime)
    if target is not None:
        blob = bound.govern(blob, target)
    program = bound.under(blob)
    version, versions = program.policy.version, others_than(program.policy.version, program.regime)
    if not versions:
        return Preview(version, (), ())
    at = moment(now_ms)
    said = RunsMigrated(
        event_id="preview",
        source="preview",
        occurred_at=at,
        received_at=at,
        author="preview",
        reason="preview",
        version=version,
        versions=versions,
    )
    policy = bound.under(program.govern(blob, said)).policy
    rows = []
    for known in filter(scope.has_client, states):
        state = replace(known, now_ms=max(known.now_ms, now_ms))
        for move in filter(scope.has_run, moves(state, policy)):
            old, new = ahead(state, policy, move.run, move.before), ahead(_as_moved(state, move), policy, move.moved, move.after)
            rows.append(Row(state.client_id, move, tuple(_changes(old, new))))
    return Preview(version, versions, tuple(rows))


def tell(found: Preview, *, regime: Regime) -> Iterator[str]:
    """Yield a preview for people."""
    if not found.versions:
        yield f"Nothing to move: no run can have been begun under another policy than {found.version}."
        return
    rows = found.rows
    told = ", ".join(f"{version}{_since(version, regime)}" for version in found.versions)
    yield f"To {found.version}, from {told}:"
    now = sum(not row.move.waits for row in rows)
    people = len({row.client_id for row in rows})
    later = f", {len(rows) - now:,} more when what is on its way has ended" if len(rows) > now else ""
    yield f"{_count(now, 'run')} under way would go on by it{later}; {_count(people, 'client')}"
    if not rows:
        return
    yield ""
    yield f"{'journey':28} {'runs':>6} " + " ".join(f"{kind:>12}" for kind in KINDS)
    for name, count in found.counts().items():
        yield f"{name:28} {count['runs']:>6,} " + " ".join(f"{count[kind]:>12,}" for kind in KINDS)
    for row in rows[:SHOWN]:
        yield ""
        yield from _row_lines(row)
    if len(rows) > SHOWN:
        yield f"\nand {len(rows) - SHOWN:,} more runs; --client and --journey name some, --json shows all"


def _row_lines(row: Row) -> Iterator[str]:
    run = row.move.run
    taken = ", ".join(row.taken) or "a person was asked"
    yield f"{row.client_id}: {journey_of(run).value} about {run.anchor}, begun under {row.move.by.of}; taken: {taken}"
    if row.move.waits:
        yield f"  waits: {row.move.waits}, and it moves then"
    for changed in row.steps:
        match changed.before, changed.after:
            case None, Ahead() as after:
                yield f"  + {changed.step:22} {_words(after)}"
            case Ahead() as before, None:
                yield f"  - {changed.step:22} {_words(before)}"
            case Ahead() as before, Ahead() as after if changed.kinds:
                yield f"  ~ {changed.step:22} {_words(before)} -> {_words(after)}"
            case _, Ahead() as after:
                yield f"    {changed.step:22} {_words(after)}"
            case _:
                pass
    if not any(changed.after for changed in row.steps):
        end = ": a person decides about what is open then" if run.journey == SUPPORT else ""
        yield f"    nothing is ahead any more{end}"


def _as_moved(state: ClientState, move: Move) -> ClientState:
    runs = tuple(move.moved if row is move.run else row for row in state.care.runs)
    return replace(state, care=replace(state.care, runs=runs))


def _changes(old: list[Ahead], new: list[Ahead]) -> Iterator[Changed]:
    before, after = ({row.step.id: row for row in rows} for rows in (old, new))
    for name, row in after.items():
        known = before.get(name)
        yield Changed(name, known, row, (GAINED,) if known is None else tuple(_differs(known, row)))
    yield from (Changed(name, row, None, (LOST,)) for name, row in before.items() if name not in after)


def _differs(before: Ahead, after: Ahead) -> Iterator[str]:
    if moment(before.at_ms).date() != moment(after.at_ms).date():
        yield DAY
    if before.tone != after.tone:
        yield TONE
    if before.step.channel != after.step.channel:
        yield WAY


def _words(row: Ahead) -> str:
    return f"{moment(row.at_ms):%Y-%m-%d} {row.tone} by {row.step.channel}"


def _ahead_json(row: Ahead | None) -> dict[str, str] | None:
    return None if row is None else {"day": moment(row.at_ms).date().isoformat(), "tone": row.tone, "channel": row.step.channel}


def _since(version: str, regime: Regime) -> str:
    active = regime.policy(version)
    return "" if active is None else f" (in force from {moment(active.since_ms):%Y-%m-%d} on)"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
