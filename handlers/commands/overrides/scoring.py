"""Each override held against what rules and learner would have done, once its time is over.

The client's history is lived through twice: as it was, and without this one override. What the client did is taken as it was in
both; what differs is what would have been sent. A segment is judged by the invoices that fell due in its time: whose expectation
of lateness was nearer, the manager's, the rules' or the learner's (Brier score). A hold is judged by whether what was open got
paid without the messages it stopped; a release by whether payment followed what it let out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from handlers.commands.simulation import Happening, Simulation
from models.events.envelope import epoch_ms
from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.signals import DeliveryOutcome, DeliveryReported, OverrideCleared, OverrideEffect, OverrideSet
from models.events.union import AnyClientEvent
from models.learners.scorer import Scorer
from models.money import Money
from models.policy.belief import ENDINGS, PRIOR, STATES
from models.policy.policy import Policy
from models.state.balances import exposures
from models.state.client import ClientState
from models.state.closing import LATE_DAYS
from models.triggers import Trigger
from models.workdays import DAY_MS, moment, whole_days

NEARER: Final = 0.02
"""Difference of mean Brier scores from which one expectation counts as nearer."""

_ON_TIME: Final = 2  # kinds of ending that are on time: not late at all, and within the grace
_LEAST: Final = 2  # endings before an expectation can be judged
Sent: TypeAlias = tuple[int, Trigger]


@dataclass(frozen=True, slots=True)
class Scored:
    """One override and how it turned out. `nearer`: `override`, `rules`, or `open` where nobody can say (yet)."""

    client_id: str
    author: str
    effect: str
    value: str
    reason: str
    set_ms: int
    end_ms: int
    rules_said: str
    learner_said: float | None
    open: tuple[Money, ...]
    ended: int
    late: int
    sent: int
    would_send: int
    nearer: str
    words: str

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        names = ("client_id", "author", "effect", "value", "reason", "rules_said", "learner_said", "ended", "late", "sent")
        return {
            **{name: getattr(self, name) for name in names},
            "from": moment(self.set_ms).isoformat(),
            "until": moment(self.end_ms).isoformat(),
            "open": [str(money) for money in self.open],
            "would_send": self.would_send,
            "nearer": self.nearer,
            "words": self.words,
        }


@dataclass(frozen=True, slots=True)
class _Life:
    sent: tuple[Sent, ...]
    before: ClientState | None


@dataclass(frozen=True, slots=True)
class _Ending:
    """An invoice of an override's time. `is_news`: whether it would be late was not known yet when it began."""

    late: bool
    paid: bool
    is_news: bool


def score(events: Sequence[AnyClientEvent], policy: Policy, scorer: Scorer) -> list[Scored]:
    """Return every override in a history, oldest first; those that have not ended when the history does are `open`.

    A log may hold a delivery twice; it counts once.
    """
    events = list({event.event_id: event for event in reversed(events)}.values())[::-1]
    own: dict[str, list[AnyClientEvent]] = {}
    concerned = {event.client_id for event in events if isinstance(event, OverrideSet)}
    for event in events:
        if event.client_id in concerned and not isinstance(event, DeliveryReported):
            own.setdefault(event.client_id, []).append(event)
    end_ms = max((event.received_ms for event in events), default=0)
    found = [
        _scored(event, history, policy, scorer, end_ms)
        for history in own.values()
        for event in history
        if isinstance(event, OverrideSet)
    ]
    return sorted(found, key=lambda row: (row.set_ms, row.client_id))


def by_author(rows: Iterable[Scored]) -> list[tuple[str, int, int, int, int]]:
    """Return (author, overrides, override nearer, rules nearer, cannot say) per author, the most active first."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row.author, Counter())[row.nearer] += 1
    order = sorted(counts, key=lambda author: (-counts[author].total(), author))
    return [
        (author, row.total(), row["override"], row["rules"], row["open"])
        for author, row in ((name, counts[name]) for name in order)
    ]


def late_chance(segment: str) -> float:
    """Return the chance that an invoice is late which a segment stands for; of a new client, that of clients in general."""
    chances = [sum(row[_ON_TIME:]) for row in ENDINGS]
    for place, state in enumerate(STATES):
        if state.value == segment:
            return chances[place]
    return sum(prior * chance for prior, chance in zip(PRIOR, chances, strict=True))


def _scored(event: OverrideSet, history: Sequence[AnyClientEvent], policy: Policy, scorer: Scorer, end_ms: int) -> Scored:
    cleared = [row.occurred_ms for row in history if isinstance(row, OverrideCleared) and row.override_id == event.override_id]
    expires = min([epoch_ms(event.expires_at), *(at for at in cleared if at >= event.occurred_ms)])
    until = min(expires, end_ms)
    real = _live(history, policy, scorer, event, until_ms=until)
    twin = _live([row for row in history if not _is_about(row, event)], policy, scorer, event, until_ms=until)
    state = real.before
    score_then = scorer.score(state) if state else None
    endings = _endings(history, event.occurred_ms, until)
    sent, would = (_between(life.sent, event.occurred_ms, until, policy) for life in (real, twin))
    rules = state.care.segment.value if state else "new"
    chance = score_then.probability if score_then else None
    nearer, words = _judged(event, rules, chance, endings, (sent, would), is_over=expires <= end_ms)
    return Scored(
        client_id=event.client_id,
        author=event.author,
        effect=event.effect.value,
        value=event.value or event.journey or "",
        reason=event.reason,
        set_ms=event.occurred_ms,
        end_ms=until,
        rules_said=rules,
        learner_said=chance,
        open=tuple(Money(row.net, row.currency) for row in exposures(state.ledger, state.now_ms) if row.net) if state else (),
        ended=len(endings),
        late=sum(row.late for row in endings),
        sent=len(sent),
        would_send=len(would),
        nearer=nearer,
        words=words,
    )


def _is_about(row: AnyClientEvent, event: OverrideSet) -> bool:
    return isinstance(row, OverrideSet | OverrideCleared) and row.override_id == event.override_id


def _live(history: Sequence[AnyClientEvent], policy: Policy, scorer: Scorer, event: OverrideSet, *, until_ms: int) -> _Life:
    simulation = Simulation(policy=policy, scorer=scorer)
    waiting: dict[str, Trigger] = {}
    sent: list[Sent] = []
    before: ClientState | None = None
    for row in history:
        if row.received_ms >= event.received_ms and before is None:
            _note(simulation.run_until(event.received_ms), waiting, sent)
            before = simulation.states.get(event.client_id)
        if row.received_ms > until_ms:
            break
        _note(simulation.feed(row), waiting, sent)
    _note(simulation.run_until(until_ms), waiting, sent)
    return _Life(tuple(sent), before)


def _note(happenings: Iterator[Happening], waiting: dict[str, Trigger], sent: list[Sent]) -> None:
    for happening in happenings:
        for output in happening.outputs:
            if isinstance(output, Trigger):
                waiting[output.trigger_id] = output
        event = happening.event
        if isinstance(event, DeliveryReported) and event.outcome is DeliveryOutcome.SENT and event.trigger_id in waiting:
            sent.append((happening.at_ms, waiting.pop(event.trigger_id)))


def _between(sent: Iterable[Sent], since_ms: int, until_ms: int, policy: Policy) -> list[Sent]:
    return [(at, row) for at, row in sent if since_ms <= at <= until_ms and row.channel not in policy.internal_channels]


def _endings(history: Sequence[AnyClientEvent], since_ms: int, until_ms: int) -> list[_Ending]:
    """Return each invoice that was open in that time and fell due by its end, as far as its lateness is known."""
    due: dict[str, int] = {}
    paid: dict[str, int] = {}
    for row in history:
        if isinstance(row, InvoiceIssued):
            due[row.invoice_id] = epoch_ms(row.due_at)
        elif isinstance(row, PaymentReceived) and row.invoice_id:
            paid[row.invoice_id] = row.occurred_ms
    found = []
    for invoice, due_ms in due.items():
        ended = paid.get(invoice, until_ms + 1)
        if due_ms > until_ms or ended <= since_ms:
            continue
        late = whole_days(min(ended, until_ms) - due_ms) > LATE_DAYS
        if late or ended <= until_ms:
            found.append(_Ending(late, ended <= until_ms, due_ms + LATE_DAYS * DAY_MS >= since_ms))
    return found


def _judged(
    event: OverrideSet,
    rules: str,
    chance: float | None,
    endings: Sequence[_Ending],
    messages: tuple[Sequence[Sent], Sequence[Sent]],
    *,
    is_over: bool,
) -> tuple[str, str]:
    if not is_over:
        return "open", "still in force when the history ends"
    match event.effect:
        case OverrideEffect.SEGMENT:
            return _segment_judged(event.value or "new", rules, chance, [row.late for row in endings if row.is_news])
        case OverrideEffect.HOLD:
            return _hold_judged(endings, *messages)
        case OverrideEffect.RELEASE:
            return _release_judged(endings, *messages)
        case OverrideEffect.CHANNEL | OverrideEffect.TONE | OverrideEffect.URGENCY | OverrideEffect.WINDOW:
            return "open", "how a message speaks, through what and how soon is compared by experiments, not one by one"


def _segment_judged(said: str, rules: str, chance: float | None, endings: Sequence[bool]) -> tuple[str, str]:
    late = sum(endings)
    if len(endings) < _LEAST:
        return "open", f"{len(endings)} invoices ended in its time: too few to say"
    held = f"{late} of {len(endings)} invoices were late"
    mine, theirs = (_brier(late_chance(segment), endings) for segment in (said, rules))
    learner = "" if chance is None else f", the learner {chance:.0%} (Brier {_brier(chance, endings):.2f})"
    words = (
        f"{held}; {said} expects {late_chance(said):.0%} (Brier {mine:.2f}), "
        f"the rules' {rules} {late_chance(rules):.0%} (Brier {theirs:.2f}){learner}"
    )
    best = theirs if chance is None else min(theirs, _brier(chance, endings))
    if abs(mine - best) < NEARER:
        return "open", f"{words}: no difference worth a word"
    return ("override", words) if mine < best else ("rules", words)


def _hold_judged(endings: Sequence[_Ending], sent: Sequence[Sent], would: Sequence[Sent]) -> tuple[str, str]:
    stopped = len(would) - len(sent)
    if stopped <= 0:
        return "open", "nothing would have been sent without it"
    first = moment(would[0][0]).date().isoformat()
    words = f"{stopped} messages were not sent (the first, {would[0][1].step}, on {first})"
    if not endings:
        return "open", f"{words}; nothing fell due in its time"
    paid = sum(row.paid for row in endings)
    if paid == len(endings):
        return "override", f"{words}; all {paid} invoices were paid without them"
    if not paid:
        return "rules", f"{words}; none of {len(endings)} invoices was paid in its time"
    return "open", f"{words}; {paid} of {len(endings)} invoices were paid"


def _release_judged(endings: Sequence[_Ending], sent: Sequence[Sent], would: Sequence[Sent]) -> tuple[str, str]:
    more = len(sent) - len(would)
    if more <= 0:
        return "open", "it let nothing out that would not have been sent anyway"
    words = f"{more} messages left that would not have"
    paid = sum(row.paid for row in endings)
    if not paid:
        return "open", f"{words}; nothing was paid in its time"
    return "override", f"{words}; {paid} of {len(endings)} invoices were paid"


def _brier(chance: float, endings: Sequence[bool]) -> float:
    return sum((chance - late) ** 2 for late in endings) / len(endings)
