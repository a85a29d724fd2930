"""What `rapport overrides report` reads from a running system, and how it tells what it found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from handlers.commands.canary.story import is_canary
from handlers.commands.log_file import event_in
from handlers.commands.overrides.pooled import Group, by_effect, conflicting
from handlers.commands.overrides.scoring import Scored
from handlers.terminal.reading import read_shown
from models.events.envelope import ClientEvent
from models.events.union import AnyClientEvent, AnyControlEvent
from models.workdays import moment
from streams.runtime.settings import Settings
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY


async def read_log(settings: Settings) -> tuple[list[AnyClientEvent], list[AnyControlEvent]]:
    """Return the events of all clients that were ever overridden, and what put policies, learners and stops in force.

    Each in the order of its log; the rest is read, not kept. Raises RetryError.
    """
    every, concerned = list(range(settings.partitions)), Concerned()
    await read_shown(settings, CLIENT_EVENTS.name, "reading who was overridden", partitions=every, see=concerned.ask)
    if concerned.clients:
        await read_shown(settings, CLIENT_EVENTS.name, "reading their events", partitions=every, see=concerned.keep)
    return concerned.events, sorted(concerned.controls.values(), key=lambda event: event.received_ms)


@dataclass(slots=True)
class Concerned:
    """Who was ever overridden, and what the log says of them and of all; from two readings. What no worker could read is none."""

    clients: set[bytes] = field(default_factory=set)
    events: list[AnyClientEvent] = field(default_factory=list)
    controls: dict[str, AnyControlEvent] = field(default_factory=dict)

    def ask(self, record: Record) -> None:
        """Note of whom a record says that somebody overruled the policy."""
        if record.key and b'"override.set"' in (record.value or b"") and not is_canary(record.key):
            self.clients.add(record.key)

    def keep(self, record: Record) -> None:
        """Keep what a record tells of those clients, or of all."""
        if record.key not in self.clients and (record.key != CONTROL_KEY or b'"clock.ticked"' in (record.value or b"")):
            return
        event = event_in(record)
        if isinstance(event, ClientEvent):
            self.events.append(event)
        elif isinstance(event, AnyControlEvent):
            self.controls.setdefault(event.event_id, event)


def page_lines(rows: Sequence[Scored]) -> Iterator[str]:
    """Yield each override, then what may be said of an effect and author, then conflicts."""
    for row in rows:
        yield from _lines(row)
    for group in by_effect(rows):
        yield from _group_lines(group)
    for told in conflicting(rows):
        yield f"conflict: {told}"


def _lines(row: Scored) -> Iterator[str]:
    said = "" if row.learner_said is None else f", learner {row.learner_said:.0%} late"
    sums = ", ".join(map(str, row.open)) or "nothing"
    span = f"{moment(row.set_ms):%Y-%m-%d} to {moment(row.end_ms):%Y-%m-%d}"
    yield f"{row.client_id}: {row.effect} {row.value}".rstrip() + f" by {row.author}, {span} ({row.reason})"
    yield f"    then: rules {row.rules_said}{said}, {sums} open; sent {row.sent}, without it {row.would_send}"
    if row.without:
        yield f"    without it: {', '.join(row.without[:3])}{', ...' if len(row.without) > 3 else ''}"  # noqa: PLR2004 - read at a glance
    yield f"    {row.nearer}: {row.words}"


def _group_lines(row: Group) -> Iterator[str]:
    days = "" if row.usual_days is None else f", paid {row.usual_days:+.0f} days from due"
    yield f"{row.effect} by {row.author}: {row.overrides} that are over, {row.clients} clients: {row.verdict}"
    yield (
        f"    {row.late} of {row.invoices} invoices late, {row.expected:.1f} expected; {row.paid} paid{days}; "
        f"{row.replies} replies, {row.complaints} complaints; nearer: override {row.override_nearer}, "
        f"rules or learner {row.rules_nearer}, open {row.undecided}"
    )
