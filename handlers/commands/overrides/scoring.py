"""Each override held against what rules and learner would have done, once its time is over.

The client's history is lived through twice: as it was, and without this one override. What the client did is taken as it was in
both; what differs is what would have been sent. Nothing that became known after its end is read, so a reckoning once made stays.
How one override is judged is in `handlers.commands.overrides.verdicts`, many together in `handlers.commands.overrides.pooled`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from handlers.commands.overrides.lives import Life, Row, Story
from handlers.commands.overrides.outcomes import Outcome, Span, outcomes_of
from handlers.commands.overrides.verdicts import Without, judged, late_chance
from handlers.commands.simulation import Simulation
from models.events.envelope import ClientEvent, epoch_ms
from models.events.signals import DeliveryReported, OverrideCleared, OverrideEffect, OverrideSet
from models.events.union import AnyClientEvent, AnyControlEvent
from models.learners.scorer import Scorer
from models.money import Money
from models.policy.policy import Policy
from models.state.balances import exposures
from models.workdays import moment


@dataclass(frozen=True, slots=True)
class Scored:
    """One override and how it turned out. `nearer`: `override`, `rules`, or `open` where nobody can say (yet).

    `without` names the messages that would have left in its time, and did not or not so; `instead` those that did.
    """

    client_id: str
    override_id: str
    author: str
    effect: str
    value: str
    invoice_id: str
    reason: str
    set_ms: int
    end_ms: int
    is_over: bool
    rules_said: str
    learner_said: float | None
    open: tuple[Money, ...]
    outcome: Outcome
    sent: int
    would_send: int
    without: tuple[str, ...]
    instead: tuple[str, ...]
    nearer: str
    words: str

    @property
    def ended(self) -> int:
        """How many invoices fell due in its time whose lateness is known."""
        return len(self.outcome.endings)

    @property
    def late(self) -> int:
        """How many of them were late."""
        return self.outcome.late

    @property
    def expected(self) -> float:
        """The chance of being late that rules or learner gave when it was set."""
        return late_chance(self.rules_said) if self.learner_said is None else self.learner_said

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        names = ("client_id", "author", "effect", "value", "reason", "rules_said", "learner_said", "ended", "late", "sent")
        return {
            **{name: getattr(self, name) for name in names},
            "from": moment(self.set_ms).isoformat(),
            "until": moment(self.end_ms).isoformat(),
            "open": [str(money) for money in self.open],
            "would_send": self.would_send,
            "without": list(self.without),
            "instead": list(self.instead),
            "paid": self.outcome.paid,
            "usual_days": self.outcome.usual_days,
            "replies": self.outcome.replies,
            "complaints": self.outcome.complaints,
            "nearer": self.nearer,
            "words": self.words,
        }


def score(
    events: Sequence[AnyClientEvent], policy: Policy, scorer: Scorer, *, controls: Sequence[AnyControlEvent] = ()
) -> list[Scored]:
    """Return every override in a history, oldest first; those that have not ended when the history does are `open`.

    Events come in the order in which they arrived; a log may hold a delivery twice, it counts once. `controls` put policies,
    learners and stops in force as they did; before the first of them `policy` and `scorer` are.
    """
    events = list({event.event_id: event for event in reversed(events)}.values())[::-1]
    own: dict[str, list[AnyClientEvent]] = {}
    concerned = {event.client_id for event in events if isinstance(event, OverrideSet)}
    for event in events:
        if event.client_id in concerned:
            own.setdefault(event.client_id, []).append(event)
    end_ms = max((event.received_ms for event in events), default=0)
    world = _World(policy, scorer, controls, end_ms)
    found = [row for history in own.values() for row in _scored(history, world)]
    return sorted(found, key=lambda row: (row.set_ms, row.client_id))


@dataclass(frozen=True, slots=True)
class _World:
    policy: Policy
    scorer: Scorer
    controls: Sequence[AnyControlEvent]
    end_ms: int


@dataclass(frozen=True, slots=True)
class _Word:
    """An override, when it ended and how far of that is known, and the life with it and the one without."""

    event: OverrideSet
    ends_ms: int
    until_ms: int
    real: Life
    twin: Life

    @property
    def span(self) -> Span:
        return self.event.received_ms, self.until_ms


def _scored(history: Sequence[AnyClientEvent], world: _World) -> Iterator[Scored]:
    """Yield the overrides of one client. What came before each is lived through once for all of them."""
    rows = _in_order(history, world.controls)
    story = Story(Simulation(policy=world.policy, scorer=world.scorer))
    words: list[_Word] = []
    for place, row in enumerate(rows):
        if isinstance(row, OverrideSet):
            ends_ms = _end_of(row, rows[place + 1 :])
            until_ms = min(ends_ms, world.end_ms)
            story.run_until(row.received_ms)
            real, twin = (story.life(islice(rows, begin, None), until_ms=until_ms) for begin in (place, place + 1))
            words.append(_Word(row, ends_ms, until_ms, real, twin))
        story.take(row)
    outcomes = outcomes_of(history, {word.span for word in words})
    yield from (_judged(word, outcomes[word.span], is_over=word.ends_ms <= world.end_ms) for word in words)


def _judged(word: _Word, outcome: Outcome, *, is_over: bool) -> Scored:
    event, state, real, twin = word.event, word.real.before, word.real, word.twin
    without = Without(
        rules=state.care.segment.value if state else "new",
        learner=real.score.probability if real.score else None,
        real=real,
        twin=twin,
    )
    nearer, words = judged(event, outcome, without) if is_over else ("open", "still in force when the history ends")
    return Scored(
        client_id=event.client_id,
        override_id=event.override_id,
        author=event.author,
        effect=event.effect.value,
        value=event.value or event.journey or "",
        invoice_id=event.invoice_id or "",
        reason=event.reason,
        set_ms=event.received_ms,
        end_ms=word.until_ms,
        is_over=is_over,
        rules_said=without.rules,
        learner_said=without.learner,
        open=tuple(Money(row.net, row.currency) for row in exposures(state.ledger, state.now_ms) if row.net) if state else (),
        outcome=outcome,
        sent=len(real.sent),
        would_send=len(twin.sent),
        without=tuple(row.words for row in twin.only(real)),
        instead=tuple(row.words for row in real.only(twin)),
        nearer=nearer,
        words=words,
    )


def _end_of(event: OverrideSet, later: Sequence[Row]) -> int:
    """Return when an override ended: it expired, was lifted, or its author's next word took its place."""
    words = (
        row
        for row in later
        if isinstance(row, OverrideSet | OverrideCleared)
        and row.override_id == event.override_id
        and not (isinstance(row, OverrideCleared) and event.effect is OverrideEffect.LEGAL_HOLD and not row.reason)
    )
    return max(event.received_ms, min([epoch_ms(event.expires_at), *(row.received_ms for row in words)]))


def _in_order(events: Sequence[AnyClientEvent], controls: Sequence[AnyControlEvent]) -> list[Row]:
    """Return both in the order of their arrival, without the outcomes of messages, which each life has its own of."""
    rows: list[Row] = [row for row in events if not isinstance(row, DeliveryReported)]
    if not controls:
        return rows
    return sorted([*controls, *rows], key=lambda row: (row.received_ms, isinstance(row, ClientEvent)))
