"""What the end of a task tells the core: events with derived ids, so that telling it twice is harmless. Pure."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, TypeVar, assert_never
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from handlers.channels.task_plan import AgreedPlan, Matter
from handlers.channels.tasks import Done, Task, TaskOutcome
from models.events.delays import DisputeOpened, Instalment, PlanAgreed, PromiseMade
from models.events.envelope import ClientEvent
from models.events.signals import (
    ApprovalAnswered,
    ContactLogged,
    DeliveryOutcome,
    DeliveryReported,
    OverrideEffect,
    OverrideSet,
    Verdict,
)
from models.events.union import AnyClientEvent
from models.ids import derive
from streams.runtime.errors import UsageError
from streams.wire.events import explain

WRONG_CONTACT_DAYS: Final = 14
"""How long mails rest after a wrong contact, so that somebody can find the right one."""

_LONGEST_CAUSE: Final = 200
_ALL: Final = Matter()
_ABOUT_INVOICES: Final = frozenset({TaskOutcome.PROMISE, TaskOutcome.DISPUTE})
_LAST_MINUTE: Final = time(23, 59)
E = TypeVar("E", bound=ClientEvent)


def events_of(
    task: Task, done: Done, *, promised: date | None, zone: ZoneInfo, plan: AgreedPlan | None = None, matter: Matter = _ALL
) -> tuple[AnyClientEvent, ...]:
    """Return the events that say how `task` ended; `matter`: what a promise or a dispute is about.

    UsageError when a promise or a plan names no day, when another ending names one, or a matter that it does not have.
    """
    if (done.outcome is TaskOutcome.PROMISE) != (promised is not None):
        message = "a promise needs its day, and nothing else has one: --outcome promise --day 2026-03-20"
        raise UsageError(message)
    if (done.outcome is TaskOutcome.PLAN) != (plan is not None):
        message = 'a plan needs its instalments, and nothing else has any: --outcome plan --instalment "2026-03-20 400.00 EUR"'
        raise UsageError(message)
    if (matter.amount or matter.invoice_id) and done.outcome not in _ABOUT_INVOICES:
        message = "only a promise or a dispute is about one invoice or a part of it: --outcome dispute --invoice INV-1"
        raise UsageError(message)
    if matter.reason and done.outcome is not TaskOutcome.DISPUTE:
        message = "only a dispute has a reason: --outcome dispute --reason work"
        raise UsageError(message)
    try:
        return tuple(_Telling(task, done, matter).events(promised, zone, plan))
    except ValidationError as error:
        message = f"such a plan cannot be agreed: {explain(error)}"
        raise UsageError(message) from error


class _Telling:
    def __init__(self, task: Task, done: Done, matter: Matter) -> None:
        self._task = task
        self._done = done
        self._matter = matter
        self._at = datetime.fromtimestamp(done.at_ms / 1000, UTC)

    def events(self, promised: date | None, zone: ZoneInfo, plan: AgreedPlan | None) -> Iterator[AnyClientEvent]:
        done = self._done
        match done.outcome:
            case TaskOutcome.REACHED:
                yield from self._spoken()
            case TaskOutcome.PROMISE:
                yield from self._spoken()
                moment = datetime.combine(promised or date.max, _LAST_MINUTE, zone)
                yield from self._about_invoices(PromiseMade, "promise", promised_at=moment)
            case TaskOutcome.PLAN:
                yield from self._spoken()
                yield from self._agreed(plan, zone)
            case TaskOutcome.DISPUTE:
                yield from self._spoken()
                cause = done.note[:_LONGEST_CAUSE] or None
                yield from self._about_invoices(DisputeOpened, "dispute", cause=cause, reason=self._matter.reason)
            case TaskOutcome.NO_ANSWER:
                yield self._reported(DeliveryOutcome.FAILED, "no answer")
            case TaskOutcome.WRONG_CONTACT:
                yield self._reported(DeliveryOutcome.FAILED, "wrong contact")
                yield self._hold()
            case TaskOutcome.APPROVED | TaskOutcome.HELD:
                verdict = Verdict.APPROVE if done.outcome is TaskOutcome.APPROVED else Verdict.HOLD
                yield self._make(
                    ApprovalAnswered,
                    "verdict",
                    trigger_id=self._task.task_id,
                    verdict=verdict,
                    author=done.author,
                    note=done.note[:120] or None,
                    tone=done.tone or None,
                    channel=done.channel or None,
                    until=datetime.fromtimestamp(done.until_ms / 1000, UTC) if done.until_ms else None,
                )
            case _:
                assert_never(done.outcome)

    def _agreed(self, plan: AgreedPlan | None, zone: ZoneInfo) -> Iterator[AnyClientEvent]:
        if plan is None:
            return
        invoice_id = plan.invoice_of(self._task.trigger.invoice_ids)
        parts = tuple(
            Instalment(due_at=datetime.combine(day, _LAST_MINUTE, zone), amount=amount) for day, amount in plan.instalments
        )
        plan_id = derive("task.plan", self._task.task_id, invoice_id)
        yield self._make(PlanAgreed, f"plan {invoice_id}", plan_id=plan_id, invoice_id=invoice_id, instalments=parts)

    def _spoken(self) -> Iterator[AnyClientEvent]:
        yield self._reported(DeliveryOutcome.DELIVERED, self._done.outcome.value)
        note = self._done.note[:1000] or None
        yield self._make(ContactLogged, "contact", channel="task", author=self._done.author, note=note)

    def _reported(self, outcome: DeliveryOutcome, words: str) -> AnyClientEvent:
        reason = f"{words}: {self._done.note}"[:500] if self._done.note else words
        return self._make(
            DeliveryReported, "report", trigger_id=self._task.task_id, channel="task", outcome=outcome, reason=reason
        )

    def _hold(self) -> AnyClientEvent:
        trigger = self._task.trigger
        return self._make(
            OverrideSet,
            "hold",
            override_id=derive("task.wrong", trigger.client_id, trigger.journey.value),
            effect=OverrideEffect.HOLD,
            journey=trigger.journey.value,
            reason=f"wrong contact: {self._done.note}"[:500],
            author=self._done.author,
            expires_at=self._at + timedelta(days=WRONG_CONTACT_DAYS),
        )

    def _about_invoices(self, kind: type[E], name: str, **fields: Any) -> Iterator[E]:  # noqa: ANN401 - as the event's
        for invoice_id in self._matter.invoices_of(self._task.trigger.invoice_ids):
            fact_id = derive(f"task.{name}", self._task.task_id, invoice_id or "")
            about = {"invoice_id": invoice_id, "amount": self._matter.amount, f"{name}_id": fact_id}
            yield self._make(kind, f"{name} {invoice_id}", **about, **fields)

    def _make(self, kind: type[E], subject: str, **fields: Any) -> E:  # noqa: ANN401 - as the event's
        return kind(
            event_id=derive("task.event", self._task.task_id, self._done.outcome.value, subject),
            source="tasks",
            occurred_at=self._at,
            received_at=self._at,
            client_id=self._task.trigger.client_id,
            **fields,
        )
