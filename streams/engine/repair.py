"""What a person may do to the fence of a partition when the workers must not decide it by themselves."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from redis.asyncio import Redis

from streams.engine.fence import Slot
from streams.engine.log_view import LogView
from streams.engine.stage import Bounds
from streams.runtime.clock import fresh_id
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import answer_of

_SCRIPT: Final = files("streams.engine").joinpath("scripts", "repair.lua")


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceView:
    """How one partition stands: in Redis (all none without a fence), and in the log."""

    slot: Slot
    next_offset: int | None
    generation: int | None
    owner: str | None
    incarnation: int | None
    outbox_depth: int
    bounds: Bounds

    @property
    def deleted(self) -> int:
        """Records that retention has deleted before they were folded."""
        return max(self.bounds.start - (self.next_offset or 0), 0)

    @property
    def condition(self) -> str:
        """Return what is wrong in one word, or `ok`."""
        if self.next_offset is None:
            return "never taken" if self.bounds.end == 0 else "no fence"
        if self.deleted:
            return "deleted before folded"
        return "beyond the log" if self.next_offset > self.bounds.end else "ok"


class Repair:
    """Looks at fences and changes them; every change is atomic and refused when the partition moved meanwhile."""

    def __init__(self, redis: Redis, settings: Settings, *, view: LogView) -> None:
        """Work on the partitions of `settings` in `redis`, whose logs `view` knows."""
        self._redis = redis
        self._settings = settings
        self._view = view
        self._script = redis.register_script(_SCRIPT.read_text(encoding="utf-8"))

    async def look(self, slots: list[Slot]) -> list[FenceView]:
        """Return how `slots` stand; raises RetryError while a server is away."""
        bounds = await self._view.read(slots)
        return [await self._look(slot, bounds[slot]) for slot in slots]

    async def _look(self, slot: Slot, bounds: Bounds) -> FenceView:
        keys = self._keys(slot)
        fields = await answer_of(self._redis.hmget(keys.fence, "next", "gen", "own", "inc"))
        depth = int(await answer_of(self._redis.xlen(keys.outbox)))
        position, generation, owner, incarnation = fields
        return FenceView(
            slot=slot,
            next_offset=_number(position),
            generation=_number(generation),
            owner=None if owner is None else owner.decode(),
            incarnation=_number(incarnation),
            outbox_depth=depth,
            bounds=bounds,
        )

    async def accept_loss(self, at: FenceView, *, records: int) -> int:
        """Go on at the beginning of the log, `records` deleted records being lost for good; returns the new position.

        Raises UsageError when nothing was deleted, or another number of records.
        """
        if not at.deleted or at.next_offset is None:
            message = f"{_name(at.slot)} lost nothing: {at.condition}; there is nothing to accept"
            raise UsageError(message)
        if records != at.deleted:
            message = (
                f"{at.deleted} records of {_name(at.slot)} were deleted before they were folded (offsets {at.next_offset} to"
                f" {at.bounds.start - 1}); to lose them for good, say --records {at.deleted}"
            )
            raise UsageError(message)
        await self._do("jump", at, to=at.bounds.start)
        return at.bounds.start

    async def supersede(self, at: FenceView) -> int:
        """Begin a new incarnation, so that whoever the broker takes for the owner may claim it; returns its number.

        Harmless while a worker works: it is refused once and claims anew. Raises UsageError without a fence.
        """
        if at.incarnation is None:
            message = f"{_name(at.slot)} has no fence yet: the worker that takes it makes one"
            raise UsageError(message)
        await self._do("supersede", at, to=at.next_offset or 0)
        return at.incarnation + 1

    async def rebuild(self, at: FenceView) -> int:
        """Forget what is stored, so that its worker folds the log again from the beginning; returns how many records that are.

        What was published is found on the output topics and not published again. Raises UsageError when the log no longer has
        its beginning: states could not be rebuilt from it.
        """
        if at.bounds.start > 0:
            message = (
                f"{_name(at.slot)} begins at offset {at.bounds.start}: what came before cannot be folded again; restore a backup"
            )
            raise UsageError(message)
        if at.next_offset is not None:
            await self._do("forget", at, to=0)
        return at.bounds.end

    async def _do(self, what: str, at: FenceView, *, to: int) -> None:
        args: list[str | int | float] = [what, at.next_offset or 0, fresh_id(), to]
        reply = await answer_of(self._script(keys=self._keys(at.slot).all(), args=args))
        if reply[0] != b"done":
            message = (
                f"{_name(at.slot)} moved on while you decided, to offset {reply[1].decode() or 'none'}; look again and repeat"
            )
            raise UsageError(message)

    def _keys(self, slot: Slot) -> PartitionKeys:
        return PartitionKeys.of(self._settings, slot.topic, slot.partition)


def _name(slot: Slot) -> str:
    return f"{slot.topic}-{slot.partition}"


def _number(value: bytes | None) -> int | None:
    return None if value is None else int(value)
