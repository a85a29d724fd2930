"""The design as it is shipped, and mutants of it: each leaves out one thing that correctness rests on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from models.events.control import ClockTicked
from streams.engine.fence import CommitCall, CommitReply, Slot, Verdict
from streams.engine.fold import ClientsFold, TickBatch
from streams.wire.headers import Position
from streams.wire.records import Record
from tests.simulator.program import CountingState
from tests.simulator.worker import DistantFence
from tests.simulator.world import Published

Reader = Callable[[Sequence[Published]], list[Published]]
"""What a channel worker makes of the records of one output topic: those it accepts, in order."""


class Invariant(StrEnum):
    """What must hold, whatever happened."""

    NOTHING_LOST = "I1"
    """After quiescence the position is the end of the log; at every commit the states are the oracle's at that position."""
    IN_ORDER_ONCE = "I2"
    """What readers accepted is what the oracle put out, in its order, each once."""
    NO_PHANTOM = "I3"
    """Nothing was accepted that the oracle did not put out."""
    SENT_ONCE = "I4"
    """The provider got every trigger exactly once."""
    NOT_EARLY = "I9"
    """No trigger was decided for a moment that the broker's clock had not reached when its record arrived."""
    ALL_ACCOUNTED = "I5"
    """Applied, duplicate and dead records, ticks and control records together are the records of the log."""


def high_water(records: Sequence[Published]) -> list[Published]:
    """Accept what is beyond everything accepted before."""
    accepted: list[Published] = []
    mark = Position(-1, -1)
    for record in records:
        if record.position > mark:
            mark = record.position
            accepted.append(record)
    return accepted


def everything(records: Sequence[Published]) -> list[Published]:
    """Accept every record."""
    return list(records)


@dataclass(frozen=True, slots=True)
class Cut:
    """One text of a shipped script, and what stands in its place in a mutant."""

    text: str
    other: str = "if false then"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to build the system; `caught_by` are the invariants that notice what is missing, none for the design itself."""

    name: str
    caught_by: frozenset[Invariant] = frozenset()
    cuts: tuple[Cut, ...] = ()
    fence: type[DistantFence] = DistantFence
    reader: Reader = high_water
    fold: type[ClientsFold[CountingState]] = ClientsFold
    rereads_holes: bool = True
    watched: bool = True
    """Whether the stored states are compared after every commit too, not only when everything has come to rest."""

    climate: Mapping[str, float] = field(default_factory=dict)
    """How many times as often as usual something happens, by name."""

    def mutate(self, script: str) -> str:
        """Return the text of a script in this variant."""
        for cut in self.cuts:
            script = script.replace(cut.text, cut.other)
        return script


_STORED: Final = frozenset({Verdict.OK, Verdict.DUP})


class PositionFirst(DistantFence):
    """Moves the position, then writes the batch: what acknowledging before the work is done comes to."""

    async def commit(self, slot: Slot, call: CommitCall) -> CommitReply:
        """Write in two steps."""
        bare = replace(call.writes, states={}, timers={}, outbox=(), regime=None, wake_ms=None)
        moved = await super().commit(slot, replace(call, writes=bare, ver_new=f"{call.ver_new}-1"))
        if moved.verdict not in _STORED:
            return moved
        return await super().commit(slot, replace(call, ver=moved.ver, expected=moved.next_offset))


class PositionApart(DistantFence):
    """Writes the states, then the position: what offsets kept in another place than the state come to."""

    async def commit(self, slot: Slot, call: CommitCall) -> CommitReply:
        """Write in two steps."""
        still = replace(call.writes, next_offset=call.expected, outbox=())
        written = await super().commit(slot, replace(call, writes=still, ver_new=f"{call.ver_new}-1"))
        if written.verdict not in _STORED:
            return written
        return await super().commit(slot, replace(call, ver=written.ver))


class RegimeApart(DistantFence):
    """Does not write the regime with the batch that changed it: what control records read from elsewhere come to."""

    async def commit(self, slot: Slot, call: CommitCall) -> CommitReply:
        """Write all but the regime."""
        return await super().commit(slot, replace(call, writes=replace(call.writes, regime=None)))


class CredulousFold(ClientsFold[CountingState]):
    """Believes a tick whatever it says: what timers come to when each worker's own clock is trusted."""

    @staticmethod
    def _tick(record: Record, tick: ClockTicked, watermark_ms: int) -> TickBatch:
        return TickBatch(record, tick, max(tick.occurred_ms, watermark_ms), record.offset + 1)


_GENERATION: Final = (
    Cut("if fence[1] ~= a[1] or fence[2] ~= a[2] or fence[3] ~= a[3] then"),
    Cut("if inc < inc0 or (inc == inc0 and (gen < gen0 or (gen == gen0 and ARGV[2] ~= stored[2]))) then"),
)
_COMPARE: Final = Cut("if fence[4] ~= a[4] or fence[5] ~= a[5] then")
_CHECKED_LOAD: Final = Cut("if fence[1] ~= ARGV[1] then")

_FLICKERING: Final = MappingProxyType({"dump": 8, "roll back": 12, "rebalance": 3, "lose everything": 0, "swallow": 0})
"""Weather in which a zombie may read one history and write another: it needs a roll-back at the right moment."""

SHIPPED: Final = Variant(name="as shipped")
MUTANTS: Final = (
    Variant(name="no compare-and-set", cuts=(_COMPARE,), caught_by=frozenset({Invariant.NOTHING_LOST})),
    Variant(
        name="unchecked load, generation off",
        cuts=(_CHECKED_LOAD, *_GENERATION),
        climate=_FLICKERING,
        caught_by=frozenset({Invariant.NOTHING_LOST}),
    ),
    Variant(
        name="no high-water filter",
        reader=everything,
        caught_by=frozenset({Invariant.IN_ORDER_ONCE, Invariant.SENT_ONCE}),
    ),
    Variant(name="no continuity guard", rereads_holes=False, caught_by=frozenset({Invariant.NOTHING_LOST})),
    Variant(
        name="regime not stored with the state",
        cuts=(Cut("if #a[14] > 0 then"),),
        caught_by=frozenset({Invariant.NOTHING_LOST}),
    ),
    Variant(
        name="regime not stored with the state",
        fence=RegimeApart,
        watched=False,
        caught_by=frozenset({Invariant.NOTHING_LOST}),
    ),
    # What is stored would be wrong at once beside the oracle; here it must show in what readers got.
    Variant(name="ticks believed", fold=CredulousFold, watched=False, caught_by=frozenset({Invariant.NOT_EARLY})),
    # Between their two steps these two are wrong by nature; here a crash in between must show when all is at rest.
    Variant(
        name="position moved before the commit",
        fence=PositionFirst,
        watched=False,
        caught_by=frozenset({Invariant.NOTHING_LOST}),
    ),
    Variant(
        name="position not stored with the state",
        fence=PositionApart,
        watched=False,
        caught_by=frozenset({Invariant.NOTHING_LOST}),
    ),
)
EXTRAS: Final = (
    Variant(name="generation off", cuts=_GENERATION, climate=_FLICKERING),
    Variant(name="as shipped, Redis flickering", climate=_FLICKERING),
    Variant(name="unchecked load, generation on", cuts=(_CHECKED_LOAD,), climate=_FLICKERING),
    Variant(name="no answer DUP", cuts=(Cut("if fence[4] == a[6] then"),)),
)
"""Variants that are watched, not required to fail: what they show is in docs/chaos.md."""

VARIANTS: Final = {variant.name: variant for variant in (SHIPPED, *MUTANTS, *EXTRAS)}
