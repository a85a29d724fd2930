"""What must hold of a firm after its bad days: states, outputs, mails, learners, each against the log and nothing else."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from handlers.demo.verifying import Evidence, gather_evidence
from models.events.envelope import ClientEvent, epoch_ms
from models.events.signals import DeliveryOutcome, DeliveryReported
from models.events.union import AnyClientEvent
from models.learners.published import LearnerSnapshot
from models.state.client import ClientState
from models.triggers import CHANNEL_RECORD_ADAPTER, CancelWhen, Trigger
from streams.agents.school import rules_of
from streams.agents.trainer import SLOT
from streams.engine.program import ClientProgram
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import connect_redis
from streams.wire.codec import decode_event
from streams.wire.topics import CLIENT_EVENTS, EXAMPLES, SNAPSHOTS, TRIGGERS
from tests.chaos.firm import LEARNING, Firm
from tests.integration.engine_world import read_topic
from tests.streams.test_school import Desk
from tests.waiting import until_async

_MAYBE_LEFT = frozenset({DeliveryOutcome.SENT, DeliveryOutcome.AMBIGUOUS, DeliveryOutcome.TOO_LATE})


@dataclass(frozen=True, slots=True)
class Proven:
    """Figures of a firm that was found whole. `again`: mails of a trigger beyond its first, where Redis lost what it knew."""

    records: int
    outputs: int
    mails: int
    again: int
    ambiguous: int
    snapshots: int


async def prove(firm: Firm, desk: Desk) -> Proven:
    """Hold everything against the log: DemoError or AssertionError names the first thing that is not as it must be.

    States and outputs are byte for byte those of a single-threaded fold of the log, in order, each once. No mail left twice,
    none without a trigger, and none about what was paid by then; whatever is reported as sent was mailed. The learners and
    their published versions are those of a trainer that was never disturbed, whose `desk` is given.
    """
    evidence = await gather_evidence(firm.settings)
    log = [record for records in (await read_topic(firm.settings, CLIENT_EVENTS)).values() for record in records]
    events: list[AnyClientEvent] = [event for record in log if isinstance(event := decode_event(record.value), ClientEvent)]
    triggers = _triggers(evidence)
    again = _no_mail_twice(firm, triggers)
    ambiguous = _reports_are_true(firm, events)
    _nothing_left_after_it_was_paid(firm, events, triggers)
    snapshots = await _published_as_if_undisturbed(firm.settings, desk)
    outputs = sum(map(len, evidence.outputs.values()))
    return Proven(evidence.log, outputs, len(firm.sink.mails), again, ambiguous, snapshots)


def _triggers(evidence: Evidence) -> dict[str, Trigger]:
    records = map(CHANNEL_RECORD_ADAPTER.validate_json, evidence.outputs[TRIGGERS["email"].name])
    return {record.trigger_id: record for record in records if isinstance(record, Trigger)}


def _no_mail_twice(firm: Firm, triggers: dict[str, Trigger]) -> int:
    mailed = Counter(firm.mailed())
    twice = {trigger_id: count - 1 for trigger_id, count in mailed.items() if count > 1}
    assert mailed.keys() <= triggers.keys(), f"mails without a trigger: {mailed.keys() - triggers.keys()}"
    assert twice.keys() <= firm.forgotten, f"mailed more than once: {twice.keys() - firm.forgotten}"
    return sum(twice.values())


def _reports_are_true(firm: Firm, events: Iterable[AnyClientEvent]) -> int:
    """Each mail was reported as one that left or may have left, and each that was reported as sent is there."""
    reports: defaultdict[str, set[DeliveryOutcome]] = defaultdict(set)
    for event in events:
        if isinstance(event, DeliveryReported) and event.channel == "email":
            reports[event.trigger_id].add(event.outcome)
    mailed = set(firm.mailed())
    sent = {trigger_id for trigger_id, outcomes in reports.items() if DeliveryOutcome.SENT in outcomes}
    assert sent <= mailed, f"reported as sent, and never mailed: {sent - mailed}"
    unreported = {trigger_id for trigger_id in mailed if reports[trigger_id].isdisjoint(_MAYBE_LEFT)}
    assert not unreported, f"mailed, and not reported: {unreported}"
    return sum(DeliveryOutcome.AMBIGUOUS in outcomes for outcomes in reports.values())


def _nothing_left_after_it_was_paid(firm: Firm, events: Iterable[AnyClientEvent], triggers: dict[str, Trigger]) -> None:
    """No mail asked for an invoice of which the gateway had heard on an earlier day that it was paid."""
    histories: defaultdict[str, list[AnyClientEvent]] = defaultdict(list)
    for event in events:
        histories[event.client_id].append(event)
    for trigger_id, moment in zip(firm.mailed(), firm.left, strict=True):
        trigger = triggers[trigger_id]
        if CancelWhen.INVOICES_SETTLED in trigger.cancel_when:
            paid = _settled(histories[trigger.client_id], before=moment) & set(trigger.invoice_ids)
            assert not paid, f"mail {trigger_id} of {moment:%d %b} asked for {paid}, which had been paid before that day"


def _settled(history: Iterable[AnyClientEvent], *, before: datetime) -> set[str]:
    program = ClientProgram()
    state: ClientState | None = None
    for event in history:
        if event.received_ms < epoch_ms(before):
            state = program.think(state, event).state
    rows = () if state is None else state.ledger.invoices
    return {row.invoice_id for row in rows if 0 < row.minor <= row.paid}


async def until_learned(settings: Settings) -> Desk:
    """Wait until the learners are those of a trainer that was never disturbed, and return what that one has to show."""
    own = {name.removeprefix("RAPPORT_").lower(): float(value) for name, value in LEARNING.items()}
    desk = Desk()
    desk.rules = rules_of(settings.model_copy(update=own))
    desk.learn((await read_topic(settings, EXAMPLES))[0])
    due = {learner.encode(): raw for learner, raw in desk.stored.items()}
    redis = connect_redis(settings)

    async def learned() -> bool:
        return bool(await redis.hgetall(PartitionKeys.of(settings, *SLOT).states) == due)

    try:
        await until_async(learned, timeout=60, what="learners that are those of a replay")
    finally:
        await redis.aclose()
    return desk


async def _published_as_if_undisturbed(settings: Settings, desk: Desk) -> int:
    published = (await read_topic(settings, SNAPSHOTS))[0]
    snapshots = {record.key: LearnerSnapshot.model_validate_json(record.value) for record in published if record.value}
    assert list(snapshots.values()) == desk.snapshots(), "the published versions are not those of a replay"
    return len(snapshots)
