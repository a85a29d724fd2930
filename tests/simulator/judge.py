"""What is wrong with a run, by invariant."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from models.triggers import Trigger
from streams.engine.fence import CommitReply, Verdict
from streams.engine.ticks import TICK_SLACK_MS
from streams.engine.writes import OutboxEntry, Outcome
from streams.wire.headers import Position
from streams.wire.topics import DEAD_LETTERS, TRIGGERS
from tests.simulator.oracle import Expected, Oracle
from tests.simulator.program import CountingProgram, CountingState
from tests.simulator.variants import Invariant, Variant
from tests.simulator.world import World

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An invariant that did not hold, and how."""

    invariant: Invariant
    detail: str


def check_commit(world: World, oracle: Oracle[CountingState], reply: CommitReply) -> list[Mismatch]:
    """Compare what is stored after a write with the oracle at the stored position."""
    if reply.verdict is not Verdict.OK:
        return []
    oracle.follow(world.log)
    at = f"stored at offset {reply.next_offset}"
    if world.server.states() != oracle.history[reply.next_offset]:
        return [Mismatch(Invariant.NOTHING_LOST, f"states {at} are not the log folded up to there")]
    if world.server.regime() != oracle.regimes[reply.next_offset]:
        return [Mismatch(Invariant.NOTHING_LOST, f"the regime {at} is not that of the log up to there")]
    return []


def check_end(world: World, oracle: Oracle[CountingState], variant: Variant) -> list[Mismatch]:
    """Judge a run that has come to rest."""
    expected = oracle.follow(world.log)
    accepted = {topic: variant.reader(records) for topic, records in world.topics.items()}
    seen = {topic: [(each.position, each.value) for each in records] for topic, records in accepted.items()}
    wanted = _by_topic(expected.outputs)
    return [
        *_stored(world, expected),
        *_order(seen, wanted),
        *_phantoms(seen, wanted),
        *_sends([value for _, value in seen.get(TRIGGERS["email"].name, [])], expected),
        *_early(world),
        *_sums(world, len(seen.get(DEAD_LETTERS.name, [])), expected),
    ]


def _stored(world: World, expected: Expected) -> list[Mismatch]:
    faults = []
    if (position := world.server.position()) != len(world.log):
        faults.append(f"position {position}, the log ends at {len(world.log)}")
    if world.server.states() != expected.states:
        faults.append("states differ from the oracle's")
    if world.server.regime() != expected.regime:
        faults.append("the regime differs from the oracle's")
    if world.server.timers() != expected.timers:
        faults.append("timers differ from the oracle's")
    if depth := world.server.outbox_depth():
        faults.append(f"{depth} outputs were never published")
    faults += [f"crash: {crash}" for crash in world.crashes + world.loop.complaints]
    return [Mismatch(Invariant.NOTHING_LOST, fault) for fault in faults]


_Seen: TypeAlias = dict[str, list[tuple[Position, bytes]]]


def _by_topic(outputs: Sequence[OutboxEntry]) -> _Seen:
    found: _Seen = {}
    for entry in outputs:
        found.setdefault(entry.topic, []).append((entry.position, entry.value))
    return found


def _order(seen: _Seen, wanted: _Seen) -> list[Mismatch]:
    return [
        Mismatch(Invariant.IN_ORDER_ONCE, f"{topic}: {len(seen.get(topic, []))} accepted, {len(wanted.get(topic, []))} expected")
        for topic in sorted(seen.keys() | wanted.keys())
        if seen.get(topic, []) != wanted.get(topic, [])
    ]


def _phantoms(seen: _Seen, wanted: _Seen) -> list[Mismatch]:
    return [
        Mismatch(Invariant.NO_PHANTOM, f"{topic}: {sorted(extra)[:_SHOWN]}")
        for topic in sorted(seen)
        if (extra := {position for position, _ in seen[topic]} - {position for position, _ in wanted.get(topic, [])})
    ]


def _sends(values: Sequence[bytes], expected: Expected) -> list[Mismatch]:
    """Let a provider that does not know repetitions take every accepted trigger."""
    sent = Counter(Trigger.model_validate_json(value).trigger_id for value in values)
    topic = TRIGGERS["email"].name
    wanted = Counter(Trigger.model_validate_json(each.value).trigger_id for each in expected.outputs if each.topic == topic)
    faults = []
    if twice := sum(1 for count in sent.values() if count > 1):
        faults.append(f"{twice} triggers were sent more than once")
    if never := len(wanted.keys() - sent.keys()):
        faults.append(f"{never} triggers were never sent")
    return [Mismatch(Invariant.SENT_ONCE, fault) for fault in faults]


def _early(world: World) -> list[Mismatch]:
    """Look at what was published, without asking the fold: a timer's trigger is decided for the moment it was due."""
    records = world.topics.get(TRIGGERS["email"].name, [])
    early = [
        each.position
        for each in records
        if _decided_ms(each.value) > world.log[each.position.src_offset].timestamp + TICK_SLACK_MS
    ]
    return [Mismatch(Invariant.NOT_EARLY, f"decided too early: {early[:_SHOWN]}")] if early else []


def _decided_ms(value: bytes) -> int:
    return int(Trigger.model_validate_json(value).decided_at.timestamp() * 1000)


def _sums(world: World, dead: int, expected: Expected) -> list[Mismatch]:
    decode = CountingProgram().decode
    states = [decode(blob) for blob in world.server.states().values()]
    folded = sum(state.applied + state.duplicates for state in states)
    about_all = expected.outcomes[Outcome.TICK] + expected.outcomes[Outcome.CONTROL]
    if folded + dead + about_all == len(world.log):
        return []
    detail = f"{folded} folded + {dead} dead + {about_all} about all are not the {len(world.log)} records of the log"
    return [Mismatch(Invariant.ALL_ACCOUNTED, detail)]
