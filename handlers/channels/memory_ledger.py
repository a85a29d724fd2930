"""The ledger in memory: for tests, simulation and as the readable description of what the Redis twin's scripts do."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from handlers.channels.contract import OnAmbiguous
from handlers.channels.ledger import (
    EXPIRED_BEFORE_SENDING,
    INTERRUPTED,
    NOTHING_YET,
    Accepted,
    Attempt,
    Batch,
    Claim,
    Crowded,
    Depth,
    Ending,
    Entry,
    Fenced,
    Ledger,
    Missing,
    Moved,
    Owner,
    Report,
    Stage,
    Standing,
    Withdrawal,
)
from models.events.signals import DeliveryOutcome

_MAYBE_SENT = frozenset({Stage.SENT, Stage.AMBIGUOUS})


@dataclass(slots=True, kw_only=True)
class _Kept:
    client_id: str
    stage: Stage
    not_before_ms: int = 0
    expires_ms: int = 0
    attempt: int = 0
    owner_id: str = ""
    because: str = ""
    body: bytes = b""
    retry_ms: int | None = None
    lease_ms: int = 0
    done_ms: int = 0


@dataclass(slots=True)
class MemoryLedger:
    """One partition's ledger in a dictionary."""

    pending_limit: int
    owner: Owner | None = None
    standing: Standing | None = None
    kept: dict[str, _Kept] = field(default_factory=dict)
    unreported: dict[str, Report] = field(default_factory=dict)
    report_count: int = 0

    async def acquire(self, owner: Owner, *, first_offset: int | None = None) -> Standing | Missing | Fenced:
        """See `Ledger.acquire`."""
        if self.standing is None:
            if first_offset is None:
                return Missing()
            self.standing = Standing(next_offset=first_offset, high_water=NOTHING_YET, version="")
        held = self.owner
        if held is not None:
            older = (owner.incarnation, owner.generation) < (held.incarnation, held.generation)
            same = (owner.incarnation, owner.generation) == (held.incarnation, held.generation)
            if older or (same and owner.owner_id != held.owner_id):
                return Fenced(held.incarnation)
        self.owner = owner
        return self.standing

    async def accept(
        self, owner: Owner, batch: Batch, *, now_ms: int, wall_ms: int
    ) -> Accepted | Moved | Crowded | Fenced | Missing:
        """See `Ledger.accept`."""
        standing = self.standing
        if standing is None:
            return Missing()
        if standing.version == batch.version:
            return Accepted(standing=standing)
        if owner != self.owner:
            return Fenced(0 if self.owner is None else self.owner.incarnation)
        if (standing.version, standing.next_offset) != (batch.expected.version, batch.expected.next_offset):
            return Moved(standing)
        claims = sum(isinstance(entry, Claim) for entry in batch.entries)
        waiting = self._count(Stage.PREPARED)
        if claims and waiting and waiting + claims > self.pending_limit:
            return Crowded()
        return self._apply(batch, standing=standing, now_ms=now_ms, wall_ms=wall_ms)

    def _apply(self, batch: Batch, *, standing: Standing, now_ms: int, wall_ms: int) -> Accepted:
        high_water = standing.high_water
        claimed = known = filtered = retractions = 0
        for entry in batch.entries:
            if entry.position is not None and entry.position <= high_water:
                filtered += 1
                continue
            high_water = entry.position or high_water
            match entry:
                case Claim():
                    news = self._claim(entry)
                    claimed, known = claimed + news, known + (not news)
                case Withdrawal():
                    retractions += 1
                    self._withdraw(entry, now_ms=now_ms, wall_ms=wall_ms)
        self.standing = Standing(next_offset=batch.next_offset, high_water=high_water, version=batch.version)
        return Accepted(standing=self.standing, claimed=claimed, known=known, filtered=filtered, retractions=retractions)

    def _claim(self, entry: Claim) -> bool:
        if entry.trigger_id in self.kept:
            return False
        self.kept[entry.trigger_id] = _Kept(
            client_id=entry.client_id,
            stage=Stage.PREPARED,
            not_before_ms=entry.not_before_ms,
            expires_ms=entry.expires_ms,
            body=entry.body,
        )
        return True

    def _withdraw(self, entry: Withdrawal, *, now_ms: int, wall_ms: int) -> None:
        kept = self.kept.get(entry.trigger_id)
        if kept is None:
            kept = self.kept[entry.trigger_id] = _Kept(client_id=entry.client_id, stage=Stage.PREPARED)
        if kept.stage is Stage.SENDING:
            kept.because = entry.because
            return
        if kept.stage is Stage.PREPARED:
            self._close(kept, stage=Stage.RETRACTED, done_ms=wall_ms)
        outcome = DeliveryOutcome.TOO_LATE if kept.stage in _MAYBE_SENT else DeliveryOutcome.RETRACTED
        self._report(entry.trigger_id, outcome=outcome, reason=entry.because, at_ms=now_ms)

    async def ready(self, *, now_ms: int, wall_ms: int, limit: int) -> list[Entry]:
        """See `Ledger.ready`."""

        def due_ms(kept: _Kept) -> int | None:
            if kept.retry_ms is not None:
                return kept.retry_ms if kept.retry_ms <= wall_ms else None
            return kept.not_before_ms if kept.not_before_ms <= now_ms else None

        due = [
            (kept.retry_ms is None, when, key)
            for key, kept in self.kept.items()
            if kept.stage is Stage.PREPARED and (when := due_ms(kept)) is not None
        ]
        return [self._entry(key) for _, _, key in sorted(due)[:limit]]

    def _entry(self, trigger_id: str) -> Entry:
        kept = self.kept[trigger_id]
        return Entry(trigger_id=trigger_id, client_id=kept.client_id, attempt=kept.attempt, body=kept.body)

    async def begin(self, owner: Owner, entry: Entry, *, now_ms: int, lease_ms: int) -> Attempt | None:
        """See `Ledger.begin`."""
        kept = self.kept.get(entry.trigger_id)
        if owner != self.owner or kept is None:
            return None
        attempt = Attempt(trigger_id=entry.trigger_id, owner_id=owner.owner_id, number=entry.attempt + 1)
        if kept.stage is Stage.SENDING and (kept.owner_id, kept.attempt) == (attempt.owner_id, attempt.number):
            return attempt
        if kept.stage is not Stage.PREPARED or kept.attempt != entry.attempt or now_ms >= kept.expires_ms:
            return None
        kept.stage, kept.owner_id, kept.attempt, kept.lease_ms = Stage.SENDING, owner.owner_id, attempt.number, lease_ms
        kept.retry_ms = None
        return attempt

    async def finish(self, attempt: Attempt, ending: Ending, *, now_ms: int, wall_ms: int) -> Stage | None:
        """See `Ledger.finish`."""
        kept = self.kept.get(attempt.trigger_id)
        if kept is None or (kept.owner_id, kept.attempt) != (attempt.owner_id, attempt.number):
            return None
        resolved = kept.stage is Stage.AMBIGUOUS and ending.stage in {Stage.SENT, Stage.FAILED}
        if kept.stage is not Stage.SENDING and not resolved:
            return None
        if ending.stage is not Stage.PREPARED:
            self._end(attempt.trigger_id, ending, now_ms=now_ms, wall_ms=wall_ms)
        elif kept.because:
            self._end(attempt.trigger_id, Ending(stage=Stage.RETRACTED), now_ms=now_ms, wall_ms=wall_ms)
        elif now_ms >= kept.expires_ms:
            expired = Ending(stage=Stage.EXPIRED, outcome=DeliveryOutcome.EXPIRED, reason=ending.reason)
            self._end(attempt.trigger_id, expired, now_ms=now_ms, wall_ms=wall_ms)
        else:
            kept.stage, kept.retry_ms = Stage.PREPARED, ending.retry_ms
        return kept.stage

    async def settle(self, owner: Owner, trigger_id: str, ending: Ending, *, now_ms: int, wall_ms: int) -> bool:
        """See `Ledger.settle`."""
        kept = self.kept.get(trigger_id)
        if owner != self.owner or kept is None or kept.stage is not Stage.PREPARED:
            return False
        self._end(trigger_id, ending, now_ms=now_ms, wall_ms=wall_ms)
        return True

    async def hold(self, owner: Owner, trigger_id: str, *, until_ms: int) -> bool:
        """See `Ledger.hold`."""
        kept = self.kept.get(trigger_id)
        if owner != self.owner or kept is None or kept.stage is not Stage.PREPARED:
            return False
        kept.not_before_ms, kept.retry_ms = until_ms, None
        return True

    async def expire(self, owner: Owner, *, now_ms: int, wall_ms: int, limit: int) -> int:
        """See `Ledger.expire`."""
        ending = Ending(stage=Stage.EXPIRED, outcome=DeliveryOutcome.EXPIRED, reason=EXPIRED_BEFORE_SENDING)
        found = self._where(Stage.PREPARED, lambda kept: kept.expires_ms, upto=now_ms) if owner == self.owner else []
        for trigger_id in found[:limit]:
            self._end(trigger_id, ending, now_ms=now_ms, wall_ms=wall_ms)
        return len(found[:limit])

    async def recover(self, owner: Owner, *, policy: OnAmbiguous, now_ms: int, wall_ms: int, limit: int) -> int:
        """See `Ledger.recover`."""
        ending = Ending(stage=Stage.AMBIGUOUS, outcome=DeliveryOutcome.AMBIGUOUS, reason=INTERRUPTED)
        found = self._where(Stage.SENDING, lambda kept: kept.lease_ms, upto=wall_ms) if owner == self.owner else []
        for trigger_id in found[:limit]:
            kept = self.kept[trigger_id]
            if policy is OnAmbiguous.RESEND and not kept.because:
                kept.stage, kept.retry_ms = Stage.PREPARED, wall_ms
            else:
                self._end(trigger_id, ending, now_ms=now_ms, wall_ms=wall_ms)
        return len(found[:limit])

    async def reports(self, *, limit: int) -> list[Report]:
        """See `Ledger.reports`."""
        return list(self.unreported.values())[:limit]

    async def reported(self, report_ids: Sequence[str]) -> None:
        """See `Ledger.reported`."""
        for report_id in report_ids:
            self.unreported.pop(report_id, None)

    async def trim(self, *, before_ms: int, limit: int) -> int:
        """See `Ledger.trim`."""
        old = sorted(
            (kept.done_ms, key)
            for key, kept in self.kept.items()
            if kept.stage not in {Stage.PREPARED, Stage.SENDING} and kept.done_ms < before_ms
        )
        for _, key in old[:limit]:
            del self.kept[key]
        return len(old[:limit])

    async def depth(self) -> Depth:
        """See `Ledger.depth`."""
        waiting = [kept.not_before_ms for kept in self.kept.values() if kept.stage is Stage.PREPARED and kept.retry_ms is None]
        return Depth(
            prepared=self._count(Stage.PREPARED),
            sending=self._count(Stage.SENDING),
            unreported=len(self.unreported),
            oldest_due_ms=min(waiting, default=None),
        )

    def _count(self, stage: Stage) -> int:
        return sum(kept.stage is stage for kept in self.kept.values())

    def _where(self, stage: Stage, when: Callable[[_Kept], int], *, upto: int) -> list[str]:
        found: Iterable[tuple[int, str]] = ((when(kept), key) for key, kept in self.kept.items() if kept.stage is stage)
        return [key for at, key in sorted(found) if at <= upto]

    def _close(self, kept: _Kept, *, stage: Stage, done_ms: int) -> None:
        kept.stage, kept.body, kept.retry_ms, kept.done_ms = stage, b"", None, done_ms

    def _end(self, trigger_id: str, ending: Ending, *, now_ms: int, wall_ms: int) -> None:
        kept = self.kept[trigger_id]
        self._close(kept, stage=ending.stage, done_ms=wall_ms)
        if ending.outcome is not None:
            to = {"address": ending.address, "purpose": ending.purpose}
            self._report(trigger_id, outcome=ending.outcome, reason=ending.reason, at_ms=now_ms, **to)
        if kept.because:
            outcome = DeliveryOutcome.TOO_LATE if ending.stage in _MAYBE_SENT else DeliveryOutcome.RETRACTED
            self._report(trigger_id, outcome=outcome, reason=kept.because, at_ms=now_ms)
            kept.because = ""

    def _report(
        self, trigger_id: str, *, outcome: DeliveryOutcome, reason: str, at_ms: int, address: str = "", purpose: str = ""
    ) -> None:
        self.report_count += 1
        kept = self.kept[trigger_id]
        report = Report(
            report_id=f"{self.report_count}-0",
            trigger_id=trigger_id,
            client_id=kept.client_id,
            outcome=outcome,
            attempt=kept.attempt,
            reason=reason,
            at_ms=at_ms,
            address=address,
            purpose=purpose,
        )
        self.unreported[report.report_id] = report


class MemoryLedgers:
    """Ledgers that live as long as this object."""

    def __init__(self, *, pending_limit: int = 100_000) -> None:
        """Allow `pending_limit` waiting triggers per partition."""
        self._pending_limit = pending_limit
        self._opened: dict[tuple[str, int], MemoryLedger] = {}

    def open(self, topic: str, partition: int) -> Ledger:
        """See `Ledgers.open`."""
        return self._opened.setdefault((topic, partition), MemoryLedger(self._pending_limit))

    async def close(self) -> None:
        """Keep everything; memory needs no closing."""
