"""The demo's last page: what came in, what was decided and why not, what was mailed, one client's story, where to look next."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from handlers.channels.tasks import Task
from handlers.demo.backlog import Backlog
from handlers.demo.firm import FirmYear
from handlers.demo.learned import learned
from handlers.demo.ledger import Adopted
from handlers.demo.outage import FEED, Outage
from handlers.demo.people import Person, people
from handlers.demo.place import KEPT_STACK, Place
from handlers.demo.verifying import Evidence
from handlers.terminal.wording import general
from models.events.envelope import epoch_ms
from models.money import Money
from models.policy.in_force import NO_NEWS
from models.policy.segments import effective_segment
from models.state.balances import exposures
from models.state.client import ClientState, Segment
from models.state.codec import decode
from models.triggers import Decision, DecisionOutcome

_PARTICULARS_KEPT = 7  # reasons listed; the rest is a number
_TASKS_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Everything the last page tells."""

    year: FirmYear
    evidence: Evidence
    mails: Sequence[str]
    tasks: Sequence[Task]
    now: datetime
    victim: str
    outage: Outage
    left: Backlog
    adopted: Adopted | None

    @cached_property
    def ours(self) -> frozenset[str]:
        """The clients of the year; all others came with the book."""
        return frozenset(person.client_id for person in self.year.clients)

    @cached_property
    def states(self) -> dict[str, ClientState]:
        """The stored states, decoded."""
        return {client: decode(blob) for client, blob in self.evidence.states.items()}

    @cached_property
    def decisions(self) -> list[Decision]:
        """The decisions about the clients of the year, in order of time."""
        found = (Decision.model_validate_json(value) for value in self.evidence.outputs.get("decisions", ()) if b'"cus_' in value)
        return sorted((each for each in found if each.client_id in self.ours), key=lambda each: each.decided_at)


def summary(outcome: Outcome) -> Iterator[str]:
    """Yield the lines of the last page."""
    decisions = outcome.decisions
    yield from _events(outcome)
    yield from _segments(outcome)
    yield from _triggers(decisions)
    yield from _silences(decisions)
    yield from _feeds(outcome.outage, decisions)
    yield f"Mails       {len(outcome.mails):,} received by the SMTP sink, none twice"
    yield from _tasks(outcome.tasks)
    yield from _book(outcome)
    yield from learned(outcome.year.clients, outcome.states, outcome.evidence)
    yield from _story(outcome, decisions)
    left = outcome.left
    yield f"Lag         {left.lag} records, {left.outbox} outputs, {left.timers} timers, {left.delivering} deliveries are waiting"


def _events(outcome: Outcome) -> Iterator[str]:
    evidence, webhooks = outcome.evidence, outcome.year.webhooks
    repeated = len(webhooks) - len({webhook.event_id for webhook in webhooks})
    yield f"Events      {len(webhooks):,} signed webhooks posted, {repeated:,} of them repetitions"
    outcomes = ", ".join(f"{count:,} {name}" for name, count in sorted(evidence.outcomes.items()))
    yield f"            {evidence.log:,} records in the client log: {outcomes}; {evidence.dead_letters:,} dead letters"
    yield f"Proof       {outcome.victim} was killed half-way. The log, folded anew by one thread, gives the same"
    outputs = sum(map(len, evidence.outputs.values()))
    yield f"            {len(evidence.states):,} states and the same {outputs:,} outputs in the same order, byte for byte;"
    yield f"            {evidence.repeated:,} outputs had been published twice, and readers drop those by their position"


def _segments(outcome: Outcome) -> Iterator[str]:
    now_ms = epoch_ms(outcome.now)
    states = outcome.states
    kinds: dict[str, Counter[str]] = {}
    for person in outcome.year.clients:
        if (state := states.get(person.client_id)) is not None:
            kinds.setdefault(person.payer.value, Counter())[effective_segment(state, now_ms).value] += 1
    yield "Clients     how they were invented -> what the program made of them"
    for kind, found in kinds.items():
        segments = ", ".join(f"{found[segment.value]} {segment.value}" for segment in Segment if found[segment.value])
        yield f"            {kind:31} -> {segments}"


def _triggers(decisions: Sequence[Decision]) -> Iterator[str]:
    sent = Counter(
        (str(decision.journey), str(decision.step), str(decision.channel))
        for decision in decisions
        if decision.outcome is DecisionOutcome.TRIGGERED
    )
    said = Counter(decision.outcome for decision in decisions)
    left, paid = said[DecisionOutcome.CANCELLED_YET_DELIVERED], said[DecisionOutcome.SENT_AFTER_PAID]
    yield f"Triggers    {sum(sent.values()):,}, of which {said[DecisionOutcome.RETRACTED]:,} were taken back"
    if left or paid:
        # Here a worker that is killed is away for weeks, and a mail under way for a second is under way for days.
        yield f"            (days pass in a second here: {left:,} of these had left by then, {paid:,} mails after a payment)"
    for (journey, step, channel), count in sorted(sent.items()):
        yield f"            {count:>5,}  {journey}/{step} by {channel}"


def _silences(decisions: Sequence[Decision]) -> Iterator[str]:
    quiet = [d for d in decisions if d.outcome in (DecisionOutcome.SUPPRESSED, DecisionOutcome.HELD)]
    reasons = Counter(general(decision.reasons[0]) for decision in quiet)
    yield f"Not sent    {len(quiet):,} times something was not sent or held back, each with its reason:"
    for reason, count in reasons.most_common(_PARTICULARS_KEPT):
        yield f"            {count:>5,}  {reason}"
    rest = sum(count for _, count in reasons.most_common()[_PARTICULARS_KEPT:])
    if rest:
        yield f"            {rest:>5,}  for other reasons"


def _feeds(outage: Outage, decisions: Sequence[Decision]) -> Iterator[str]:
    if outage.silent is None or outage.noticed is None or outage.ended is None:
        return
    held = {
        (row.client_id, row.anchor, row.step)
        for row in decisions
        if row.outcome is DecisionOutcome.HELD and any(reason.startswith(f"{NO_NEWS}{FEED} ") for reason in row.reasons)
    }
    left = {
        (row.client_id, row.anchor, row.step)
        for row in decisions
        if row.outcome is DecisionOutcome.TRIGGERED and row.decided_at >= outage.ended
    }
    clients = len({client for client, _, _ in held})
    days = f"from {outage.silent:%d %b} to {outage.ended:%d %b}"
    yield f"Feeds       {FEED} was silent {days}; the watch of feeds called it late on {outage.noticed:%d %b}:"
    yield f"            {len(held)} steps for {clients} clients waited for its news; {len(held & left)} of them left afterwards"


def _tasks(tasks: Sequence[Task]) -> Iterator[str]:
    yield f"Tasks       {len(tasks):,} for colleagues (in the demo nobody does them), the last of them:"
    for task in tasks[-_TASKS_SHOWN:]:
        due = task.trigger.expires_at
        yield f"            {task.task_id[:8]}  due {due:%d %b}  {task.name or task.trigger.client_id}: {task.subject}"


def _book(outcome: Outcome) -> Iterator[str]:
    if outcome.adopted is None:
        return
    now_ms = epoch_ms(outcome.now)
    states = [state for client, state in outcome.states.items() if client not in outcome.ours]
    segments = Counter(effective_segment(state, now_ms).value for state in states)
    found = ", ".join(f"{segments[segment.value]:,} {segment.value}" for segment in Segment if segments[segment.value])
    yield f"Old book    {outcome.adopted.name}: {len(states):,} clients adopted ({found}); not one mail was sent"
    yield from (f"            in the file: {totals}" for totals in outcome.adopted.totals)
    opened = Counter[str]()
    for state in states:
        for exposure in exposures(state.ledger, now_ms):
            opened[exposure.currency] += exposure.open - exposure.part_paid - exposure.unapplied - exposure.credits
    yield from (f"            in the states: open {Money(minor, code)}" for code, minor in sorted(opened.items()))


def _story(outcome: Outcome, decisions: Sequence[Decision]) -> Iterator[str]:
    person = _protagonist(outcome.year.clients, decisions)
    mine = [decision for decision in decisions if decision.client_id == person.client_id]
    state = outcome.states[person.client_id]
    yield f"One client  {person.name} ({person.payer.value} by invention, {state.care.segment.value} by experience):"
    for decision in mine[-10:]:
        step = f"{decision.step}: " if decision.step else ""
        yield f"            {decision.decided_at:%d %b}  {decision.outcome.value:15} {step}{decision.reasons[0]}"


def _protagonist(clients: Sequence[Person], decisions: Sequence[Decision]) -> Person:
    """Return the client with the greatest variety of decisions: the best story."""
    variety: dict[str, set[tuple[str, str]]] = {}
    for decision in decisions:
        variety.setdefault(decision.client_id, set()).add((decision.outcome.value, decision.step or ""))
    return max(clients, key=lambda person: (len(variety.get(person.client_id, ())), person.client_id))


def farewell(place: Place, *, keep: bool, own: bool, seconds: float) -> Iterator[str]:
    """Yield where to look next."""
    yield ""
    yield f"Done in {seconds:.0f} s. Logs of all processes: {place.logs}"
    if not (keep and own):
        yield "Next        rapport simulate (three clients, decision by decision); rapport demo --keep (look inside afterwards)"
        return
    settings = place.settings
    yield "Kafka and Valkey go on running. To look inside:"
    yield f"export KAFKA_BOOTSTRAP={settings.kafka_bootstrap} REDIS_URL={settings.redis_url}"
    yield f"export RAPPORT_PARTITIONS={settings.partitions}"
    yield f"rapport inspect client {people()[0].client_id}"
    yield "rapport tasks list; rapport lag; rapport dead-letters list"
    yield f"rapport stack down --name {KEPT_STACK} --delete"
