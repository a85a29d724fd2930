"""Which messages a person sees before they leave: large sums, named clients, who just moved, no history, a new policy.

The message becomes a task with what speaks for it and a deadline; nothing else of the journey leaves meanwhile. Approved, it is
decided anew at once and leaves if it is still right; put on hold, it waits; unanswered, the softer path is taken: it is not sent.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from msgspec.structs import replace as with_fields

from models.events.envelope import epoch_ms
from models.events.signals import ApprovalAnswered, Verdict
from models.money import Money
from models.policy.journeys import Step
from models.policy.policy import Policy
from models.policy.precedence import tone_of_step, tones_said
from models.policy.silence import Silence
from models.policy.stakes import person_first
from models.policy.tones import is_above, nearest
from models.policy.turn import Turn
from models.state.approvals import APPROVED, ASKED, HELD, Approval
from models.state.client import ClientState, Pending, Run, journey_of
from models.triggers import APPROVE, DecisionOutcome, Tone
from models.workdays import DAY_MS, moment

KEPT: Final = 4
HOLD_DAYS: Final = 7
"""How long a hold without a day of its own lasts."""

_APPROVED_DAYS: Final = 7  # an approval that could not be used within these is asked for again


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as it would leave: its step and run, the money it names, and what it is about."""

    step: Step
    run: Run
    reasons: tuple[str, ...]
    amounts: tuple[Money, ...] = ()
    invoice_ids: tuple[str, ...] = ()
    contract_id: str = ""
    payment_id: str = ""


class Ruling(Enum):
    """Whether a message may leave: `LAPSED` means that it was asked about and nobody answered in time."""

    MAY_LEAVE = "may leave"
    ASKED = "asked"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a draft, the step as a person left it, what they said, and whether they saw it."""

    ruling: Ruling
    step: Step
    reasons: tuple[str, ...] = ()
    by_person: bool = False


def approval_silence(state: ClientState, run: Run) -> Silence | None:
    """Return why the next message of a run waits for a person, None when it does not."""
    row = _row(state, run)
    if row is None or state.now_ms >= row.until_ms:
        return None
    until = f"{moment(row.until_ms):%Y-%m-%d %H:%M}"
    if row.answer == HELD:
        return Silence("held", (f"held by {row.by} until {until}: {row.note}",), row.until_ms)
    if row.answer == ASKED:
        return Silence("approval", (f"a person is asked first, until {until}",), row.until_ms)
    return None


def ask_first(turn: Turn, draft: Draft) -> Answered:
    """Say whether a message may leave; ask a person where the policy wants one and nobody has answered yet."""
    state, policy = turn.state, turn.policy
    if draft.step.channel in policy.internal_channels:
        return Answered(Ruling.MAY_LEAVE, draft.step)
    row = _row(state, draft.run)
    if row is not None and row.answer == ASKED and state.now_ms >= row.until_ms:
        _forget(turn, row)
        until = f"{moment(row.until_ms):%Y-%m-%d %H:%M}"
        return Answered(
            Ruling.LAPSED, draft.step, (f"nobody approved it by {until}: the softer path is taken and nothing is sent",)
        )
    if row is not None and row.answer == APPROVED and state.now_ms < row.until_ms and _covers(row, draft):
        _forget(turn, row)
        return Answered(
            Ruling.MAY_LEAVE,
            _edited(draft, row, policy),
            (f"approved by {row.by}{f': {row.note}' if row.note else ''}",),
            by_person=True,
        )
    why = approval_reason(turn, draft)
    if why is None:
        return Answered(Ruling.MAY_LEAVE, draft.step)
    _ask(turn, draft, row, why)
    return Answered(Ruling.ASKED, draft.step, (why,))


def approval_reason(turn: Turn, draft: Draft) -> str | None:
    """Return why a person must see a message first, None when nobody must: the first that holds."""
    if turn.policy.is_on_probation(draft.run):
        return f"the policy {turn.policy.version} is new: its first messages are approved by a person"
    why = person_first(turn.state, draft.amounts, turn.policy)
    if why is not None:
        return why
    return turn.abstention() if turn.policy.approval.on_abstention else None


def answered(turn: Turn, event: ApprovalAnswered) -> None:
    """Fold what a person decided about a message; an answer that comes after the deadline changes nothing any more."""
    state = turn.state
    row = next((known for known in state.care.approvals if known.trigger_id == event.trigger_id), None)
    if row is None or row.answer != ASKED:
        return
    now = state.now_ms
    if event.verdict is Verdict.HOLD:
        until = epoch_ms(event.until) if event.until else now + HOLD_DAYS * DAY_MS
        changed = with_fields(row, answer=HELD, until_ms=max(until, now))
    else:
        changed = with_fields(
            row,
            answer=APPROVED,
            until_ms=now + _APPROVED_DAYS * DAY_MS,
            tone=event.tone or "",
            channel=event.channel or "",
        )
    changed = with_fields(changed, by=event.author, note=event.note or "", answered_ms=event.occurred_ms)
    rows = tuple(changed if known is row else known for known in state.care.approvals)
    pending = tuple(known for known in state.care.pending if known.trigger_id != row.trigger_id)
    turn.state = with_fields(state, care=with_fields(state.care, approvals=rows, pending=pending))
    if event.verdict is Verdict.HOLD:
        silence = approval_silence(turn.state, Run(row.journey, row.anchor))
        run = turn.run(journey_of(row), row.anchor)
        turn.decide(DecisionOutcome.HELD, silence.reasons if silence else ("held",), run=run, step=row.step)
        turn.put_run(with_fields(run, told="held"))


def forget_question(turn: Turn, row: Pending) -> None:
    """Forget a question whose task was taken back; if the message comes up again, it is asked anew."""
    asked = next((known for known in turn.state.care.approvals if known.trigger_id == row.trigger_id), None)
    if asked is not None:
        _forget(turn, asked)
        run = turn.run(journey_of(row), row.anchor)
        turn.put_run(with_fields(run, epoch=run.epoch + 1, told=""))


def _ask(turn: Turn, draft: Draft, before: Approval | None, why: str) -> None:
    state, policy, step = turn.state, turn.policy, draft.step
    if before is not None:
        _forget(turn, before)
    run = draft.run if before is None else with_fields(draft.run, epoch=draft.run.epoch + 1)
    task = replace(
        step,
        id=f"{APPROVE}{step.id}",
        tone=Tone.GENTLE,
        channel=policy.approval.channel,
        valid_days=policy.approval.wait_days,
    )
    days = f"{policy.approval.wait_days} {'day' if policy.approval.wait_days == 1 else 'days'} to decide"
    tone = tone_of_step(state, step, run, policy, draft.invoice_ids).value
    about = f"{step.id} by {step.channel} in the tone {tone}; {days}"
    turn.send(
        task,
        run,
        facts={"name": state.person.name.value},
        reasons=(why, about, *draft.reasons),
        invoice_ids=draft.invoice_ids,
        contract_id=draft.contract_id,
        payment_id=draft.payment_id,
        asked=draft.amounts if draft.invoice_ids else (),
        advances=False,
    )
    sent = turn.state.care.pending[-1]
    row = Approval(
        run.journey,
        run.anchor,
        step.id,
        sent.trigger_id,
        sent.expires_ms,
        amounts=tuple((money.currency, money.minor) for money in draft.amounts),
        asked_ms=state.now_ms,
    )
    care = turn.state.care
    turn.state = with_fields(turn.state, care=with_fields(care, approvals=(*care.approvals, row)[-KEPT:]))
    turn.put_run(with_fields(run, told="approval"))


def _row(state: ClientState, run: Run) -> Approval | None:
    """Return the approval that the next message of a run rests on."""
    return next((row for row in state.care.approvals if (row.journey, row.anchor) == (run.journey, run.anchor)), None)


def _covers(row: Approval, draft: Draft) -> bool:
    """Say whether what was approved is what is to leave: the same step, and not more money."""
    approved = dict(row.amounts)
    return row.step == draft.step.id and all(money.minor <= approved.get(money.currency, 0) for money in draft.amounts)


def _edited(draft: Draft, row: Approval, policy: Policy) -> Step:
    """Return the step as a person left it: another channel, or a softer tone in which it has words, never a firmer."""
    step = draft.step
    tone = nearest(Tone(row.tone), tones_said(policy, draft.run, step)) if row.tone else step.tone
    return replace(step, tone=step.tone if is_above(tone, step.tone) else tone, channel=row.channel or step.channel)


def _forget(turn: Turn, row: Approval) -> None:
    care = turn.state.care
    rows = tuple(known for known in care.approvals if known.trigger_id != row.trigger_id)
    turn.state = with_fields(turn.state, care=with_fields(care, approvals=rows))
