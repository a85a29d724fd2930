"""How the steps of sequences do: response and days to pay per segment, step and arm, with the counts they rest on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, TypeAlias

from handlers.commands.experiments.accounts import Account, accounts_of
from models.events.delays import DisputeOpened, PromiseMade
from models.events.envelope import epoch_ms
from models.events.payments import PaymentReceived
from models.events.signals import ClientAsked, ConsentChanged, DeliveryOutcome, DeliveryReported
from models.events.union import AnyClientEvent
from models.triggers import Decision, DecisionOutcome
from models.workdays import DAY_MS

RESPONSE_DAYS: Final = 14
"""A client has responded who within so many days of a message pays, answers, promises, asks for something or disputes."""

COUNTED_DAYS: Final = 60
"""Days to pay are counted up to this; an invoice that stays open longer counts as so many."""

LEAST: Final = 5
"""Messages below which a row says nothing but its counts."""

_LEFT: Final = frozenset({DeliveryOutcome.SENT, DeliveryOutcome.DELIVERED, DeliveryOutcome.AMBIGUOUS, DeliveryOutcome.TOO_LATE})


Part: TypeAlias = tuple[Sequence[AnyClientEvent], Sequence[Decision], int]
"""Events in the order of `received_at`, decisions about the same clients, and the time by which both are known (epoch ms)."""


@dataclass(slots=True)
class Row:
    """The messages of one step to one segment in one arm: decided, left, answered, paid, and what they cost in goodwill."""

    segment: str
    journey: str
    step: str
    arm: str
    decided: int = 0
    sent: int = 0
    companies: set[str] = field(default_factory=set)
    ripe: int = 0
    responded: int = 0
    opt_outs: int = 0
    complaints: int = 0
    paid: int = 0
    days: list[float] = field(default_factory=list)

    @property
    def response(self) -> float | None:
        """Share of messages that were answered in time, of those old enough; none: too few."""
        return self.responded / self.ripe if self.ripe >= LEAST else None

    @property
    def median_days(self) -> float | None:
        """Days from the message until its invoice was paid, at the median; none: too few."""
        return median(self.days) if len(self.days) >= LEAST else None

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        names = ("segment", "journey", "step", "arm", "decided", "sent", "ripe", "responded", "response", "paid", "median_days")
        counts = {"clients": len(self.companies), "days_known": len(self.days)}
        return {name: getattr(self, name) for name in (*names, "opt_outs", "complaints")} | counts


@dataclass(slots=True)
class _Heard:
    """What each client did when, in the order in which it became known, and when each trigger left."""

    left: dict[str, int] = field(default_factory=dict)
    complaints: set[str] = field(default_factory=set)
    answers: dict[str, list[int]] = field(default_factory=dict)
    refusals: dict[str, list[int]] = field(default_factory=dict)


def is_message(decision: Decision) -> bool:
    """Say whether a decision is a message of a step, which is all that is counted here."""
    return decision.outcome is DecisionOutcome.TRIGGERED and decision.journey is not None and decision.trigger_id is not None


def rows_of(parts: Iterable[Part]) -> list[Row]:
    """Return how every step did, in the order of journey, step, segment and arm; each part holds all of its clients."""
    found: dict[tuple[str, ...], Row] = {}
    for events, decisions, now_ms in parts:
        heard, accounts = _heard(events), accounts_of(events)
        for decision in decisions:
            if not is_message(decision) or decision.journey is None or decision.trigger_id is None:
                continue
            arm = f"{decision.experiment.name}/{decision.experiment.arm}" if decision.experiment else ""
            key = (decision.journey.value, decision.step or "", decision.segment, arm)
            row = found.setdefault(key, Row(decision.segment, key[0], key[1], arm))
            row.decided += 1
            row.companies.add(decision.client_id)
            sent_ms = heard.left.get(decision.trigger_id)
            if sent_ms is not None:
                row.complaints += decision.trigger_id in heard.complaints
                _count(row, decision, sent_ms, heard, accounts.get(decision.client_id, Account()), now_ms=now_ms)
    return [found[key] for key in sorted(found)]


def _count(row: Row, decision: Decision, sent_ms: int, heard: _Heard, account: Account, *, now_ms: int) -> None:
    row.sent += 1
    until = sent_ms + RESPONSE_DAYS * DAY_MS
    row.opt_outs += any(sent_ms < at <= until for at in heard.refusals.get(decision.client_id, ()))
    answered = any(sent_ms < at <= until for at in heard.answers.get(decision.client_id, ()))
    if answered or until <= now_ms:
        row.ripe += 1
        row.responded += answered
    bill = account.bills.get(decision.anchor or "")
    if bill is None:
        return
    settled, limit = bill.settled_ms, sent_ms + COUNTED_DAYS * DAY_MS
    if sent_ms <= settled <= limit:
        row.paid += 1
        row.days.append((settled - sent_ms) / DAY_MS)
    elif limit <= now_ms and not 0 < settled < sent_ms:
        row.days.append(float(COUNTED_DAYS))


def _heard(events: Sequence[AnyClientEvent]) -> _Heard:
    found = _Heard()
    for event in events:
        match event:
            case DeliveryReported(outcome=DeliveryOutcome.COMPLAINED):
                found.complaints.add(event.trigger_id)
            case DeliveryReported(outcome=DeliveryOutcome.REPLIED):
                found.answers.setdefault(event.client_id, []).append(event.received_ms)
            case DeliveryReported() if event.outcome in _LEFT:
                found.left.setdefault(event.trigger_id, epoch_ms(event.occurred_at))
            case PaymentReceived() | PromiseMade() | ClientAsked() | DisputeOpened():
                found.answers.setdefault(event.client_id, []).append(event.received_ms)
            case ConsentChanged(granted=False):
                found.refusals.setdefault(event.client_id, []).append(event.received_ms)
            case _:
                continue
    return found
