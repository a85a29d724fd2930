"""The running deployment as it stands: every client's committed state, what is in force, what was decided and has not left."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from handlers.commands.policies.trying import Life
from handlers.commands.simulation import Simulation
from handlers.terminal.waiting import shown
from models.events.envelope import epoch_ms
from models.policy.policy import Policy
from models.regime import decode_regime
from models.state.client import ClientState
from models.state.codec import decode
from models.triggers import Trigger
from models.workdays import moment
from streams.engine.program import ClientProgram
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.reading import read_each
from streams.wire.topics import TRIGGERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a look ahead begins from. `travelling` says that partitions are not all under the same regime yet."""

    now_ms: int
    states: tuple[ClientState, ...]
    waiting: tuple[Trigger, ...]
    bound: ClientProgram
    travelling: bool

    def life_until(self, until_ms: int) -> Life:
        """Return what leaves and what does not, up to a moment, if nothing arrives."""
        life = Life(self.bound.policy, simulation=Simulation(policy=self.bound.policy, scorer=self.bound.scorer))
        life.simulation.resume(shown(self.states, "looking ahead"), self.waiting, now_ms=self.now_ms)
        life.expect(self.waiting)
        life.take(life.simulation.run_until(until_ms))
        return life

    def assumed(self) -> Iterator[str]:
        """Yield what the look ahead takes for given, a sentence each."""
        regime = self.bound.regime
        at = f"{moment(self.now_ms):%Y-%m-%d %H:%M} UTC"
        yield f"{len(self.states):,} clients as committed at {at}; nobody pays, writes or decides meanwhile"
        yield f"policy {self.bound.policy.version}; a sequence begun under an earlier version keeps it, if not moved"
        learners = ", ".join(f"{row.version} ({row.role.value})" for row in regime.learners)
        yield f"learners in force stay: {learners}" if learners else "scores by the rules: no learner is in force"
        for row in regime.halts:
            yield f"stopped by {row.author} until somebody resumes it: {f'{row.scope.value} {row.target}'.strip()} ({row.reason})"
        for late in regime.feeds:
            yield f"{late.feed} stays late, as it is since {moment(late.late_ms):%Y-%m-%d %H:%M}"
        yield f"{len(self.waiting):,} messages were decided and have not left; channels deliver at the first moment they may"
        if self.travelling:
            yield "a change is on its way through the partitions; what holds in the first of them is taken for all"


def read_standing(settings: Settings, started: Policy) -> Standing:
    """Read it. `started` is the policy that holds where none was activated. RetryError where a server is away."""
    return asyncio.run(_read(settings, started))


async def _read(settings: Settings, started: Policy) -> Standing:
    redis = connect_redis(settings)
    store = RedisStateStore(redis, settings)
    try:
        regimes = await store.regimes()
        states = {state.client_id: state async for blob in store.every() if not (state := decode(blob)).erased_ms}
    finally:
        await redis.aclose()
    if not states:
        message = f"no client is known in namespace {settings.namespace!r} at the server of REDIS_URL; rapport lag shows why"
        raise UsageError(message)
    pending = {row.trigger_id for state in states.values() for row in state.care.pending if not row.retracted}
    waiting = await _triggers(settings, pending)
    halves = [decode_regime(blob) for blob in regimes]
    return Standing(
        now_ms=epoch_ms(make_clock(settings.clock_file).now()),
        states=tuple(states[name] for name in sorted(states)),
        waiting=tuple(waiting[name] for name in sorted(waiting)),
        bound=ClientProgram(policy=started).under(regimes[0]),
        travelling=any(row.heard != halves[0].heard for row in halves),
    )


async def _triggers(settings: Settings, pending: set[str]) -> dict[str, Trigger]:
    """Return the messages called `pending`, from their topics."""
    found: dict[str, Trigger] = {}

    def see(record: Any) -> None:  # noqa: ANN401 - what a client library returned
        if record.value is not None and b'"kind":"trigger"' in record.value:
            trigger = Trigger.model_validate_json(record.value)
            if trigger.trigger_id in pending:
                found[trigger.trigger_id] = trigger

    if pending:
        for topic in TRIGGERS.values():
            await read_each(settings, topic.name, partitions=list(range(settings.partitions)), see=see)
    return found
