"""The memory twin of the fence: the same answers as the scripts, for simulation, backtests and fast tests."""

from collections.abc import Sequence
from itertools import islice

from streams.engine.fence import (
    Acquired,
    Birth,
    Claim,
    CommitCall,
    CommitReply,
    Held,
    Loaded,
    Missing,
    Moved,
    Refused,
    Slot,
    Verdict,
)
from streams.engine.outbox_codec import pack_entry, unpack_entry
from streams.engine.writes import OutboxEntry, Writes
from streams.state.memory_store import MemoryFenceFields, MemoryPartition, MemoryPartitions
from streams.wire.headers import Position


class MemoryFence:
    """The fence of all partitions of a deployment, in `data`."""

    def __init__(self, data: MemoryPartitions) -> None:
        """Keep everything in `data`, which a MemoryStateStore may read at the same time."""
        self._data = data

    def _at(self, slot: Slot) -> MemoryPartition:
        return self._data.at(slot.topic, slot.partition)

    async def acquire(self, slot: Slot, claim: Claim, *, birth: Birth | None = None) -> Acquired:
        """Take the partition for `claim`; a missing fence is made from `birth` when that is given."""
        at = self._at(slot)
        if at.fence is None:
            if birth is None:
                return Missing()
            at.states.clear()
            at.timers.clear()
            at.outbox.clear()
            at.fence = MemoryFenceFields(
                generation=claim.generation,
                owner=claim.owner,
                incarnation=claim.incarnation,
                next_offset=birth.next_offset,
                ver=birth.ver,
                watermark_ms=0,
                high_water=dict(birth.high_water),
            )
        fence = at.fence
        stored = (fence.incarnation, fence.generation)
        claimed = (claim.incarnation, claim.generation)
        if claimed < stored or (claimed == stored and claim.owner != fence.owner):
            return Refused(fence.incarnation)
        fence.incarnation, fence.generation = claimed
        fence.owner = claim.owner
        return Held(
            next_offset=fence.next_offset,
            ver=fence.ver,
            watermark_ms=fence.watermark_ms,
            incarnation=fence.incarnation,
            outbox_depth=len(at.outbox),
            next_due_ms=_head(at),
            high_water=dict(fence.high_water),
            regime=fence.regime,
        )

    async def load(
        self, slot: Slot, clients: Sequence[str], *, ver: str, due_until_ms: int | None = None, due_limit: int = 0
    ) -> Loaded | Moved | Missing:
        """Return the states of `clients`, and of at most `due_limit` clients with a timer due, if the version is `ver`."""
        at = self._at(slot)
        if at.fence is None:
            return Missing()
        if at.fence.ver != ver:
            return Moved(at.fence.next_offset, at.fence.ver)
        due: list[str] = []
        if due_until_ms is not None:
            ripe = sorted((moment, client.encode()) for client, moment in at.timers.items() if moment <= due_until_ms)
            due = [client.decode() for _, client in ripe[:due_limit]]
        return Loaded([at.states.get(client) for client in clients], [(client, at.states.get(client)) for client in due])

    async def commit(self, slot: Slot, call: CommitCall) -> CommitReply:
        """Write everything or nothing."""
        at = self._at(slot)
        fence = at.fence
        if fence is None:
            return CommitReply(verdict=Verdict.MISSING, next_offset=0, ver="")
        verdict = _judge(at, fence, call)
        if verdict is Verdict.OK:
            _apply(at, call.writes)
            fence.next_offset = call.writes.next_offset
            fence.watermark_ms = call.writes.watermark_ms
            fence.ver = call.ver_new
            if call.writes.regime is not None:
                fence.regime = call.writes.regime
        if verdict in {Verdict.OK, Verdict.DUP, Verdict.BACKPRESSURE}:
            return CommitReply(
                verdict=verdict,
                next_offset=fence.next_offset,
                ver=fence.ver,
                outbox_depth=len(at.outbox),
                next_due_ms=_head(at),
                outbox_head=next(iter(at.outbox), None),
            )
        return CommitReply(verdict=verdict, next_offset=fence.next_offset, ver=fence.ver)

    async def read_outbox(self, slot: Slot, *, limit: int) -> list[OutboxEntry]:
        """Return the oldest entries not trimmed yet, in order."""
        return [unpack_entry(position, packed) for position, packed in islice(self._at(slot).outbox.items(), limit)]

    async def trim(self, slot: Slot, upto: Position) -> int:
        """Forget outbox entries up to and including `upto`; returns how many are left."""
        at = self._at(slot)
        at.outbox = {position: packed for position, packed in at.outbox.items() if position > upto}
        return len(at.outbox)

    async def position(self, slot: Slot) -> int | None:
        """Return the next offset to be folded, or none without a fence."""
        fence = self._at(slot).fence
        return None if fence is None else fence.next_offset


def _head(at: MemoryPartition) -> int | None:
    return min(at.timers.values(), default=None)


def _judge(at: MemoryPartition, fence: MemoryFenceFields, call: CommitCall) -> Verdict:
    """Return what the commit script answers, check by check in its order."""
    claim = call.claim
    if fence.ver == call.ver_new:
        return Verdict.DUP
    if (fence.generation, fence.owner, fence.incarnation) != (claim.generation, claim.owner, claim.incarnation):
        return Verdict.FENCED
    if fence.ver != call.ver or fence.next_offset != call.expected:
        if fence.next_offset > call.expected:
            return Verdict.AHEAD
        return Verdict.BEHIND if fence.next_offset < call.expected else Verdict.FORKED
    if call.writes.outbox and len(at.outbox) >= call.outbox_limit:
        return Verdict.BACKPRESSURE
    return Verdict.OK


def _apply(at: MemoryPartition, writes: Writes) -> None:
    at.states.update(writes.states)
    if writes.wake_ms is not None:
        at.timers |= {client: min(at.timers.get(client, writes.wake_ms), writes.wake_ms) for client in at.states}
    for client, moment in writes.timers.items():
        if moment is None:
            at.timers.pop(client, None)
        else:
            at.timers[client] = moment
    for entry in writes.outbox:
        at.outbox[entry.position] = pack_entry(entry)
