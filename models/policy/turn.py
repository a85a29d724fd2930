"""One turn of the core: the state as it is being decided upon, and what was decided so far. Never outlives a transition."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from models.events.signals import Purpose
from models.ids import derive
from models.learners.outside import with_risk
from models.learners.scorer import Score, Scorer
from models.learnt import Learnt, Quality
from models.money import Money
from models.policy.audience import audience_of
from models.policy.budget import reserve
from models.policy.facts import Fact, allowed_facts
from models.policy.freshness import score_read, told
from models.policy.gate import asked_in
from models.policy.hours import hour_of
from models.policy.journeys import Step
from models.policy.policy import Policy
from models.policy.precedence import reached_by, tone_of_step
from models.policy.segments import effective_segment, is_unproven
from models.policy.trials import Trial, exposed, trial_of
from models.policy.ways import ruling_of, way_of
from models.state.client import PREDICATES, PURPOSES, ClientState, Note, Pending, Run, journey_of, place_of
from models.state.runs import is_begun
from models.triggers import (
    AnyJourney,
    AnyOutput,
    CancelWhen,
    Decision,
    DecisionOutcome,
    ExperimentArm,
    Retraction,
    Ruled,
    SegmentChange,
    StatementItem,
    StatementTotal,
    Tone,
    Trigger,
    built,
)
from models.workdays import DAY_MS, moment

NOTES_KEPT = 5
_BASIS = {
    Purpose.SERVICING: "contract",
    Purpose.RELATIONSHIP: "legitimate_interest",
    Purpose.PROMOTION: "consent",
}


class Turn:
    """The client's state within one transition, and the outputs decided so far, in order."""

    __slots__ = ("_scored", "draws", "outputs", "policy", "scorer", "state", "unplanned")

    def __init__(self, state: ClientState, policy: Policy, scorer: Scorer) -> None:
        """Begin a turn on a state."""
        self.state = state
        self.policy = policy
        self.scorer = scorer
        self.outputs: list[AnyOutput] = []
        self.draws: tuple[ExperimentArm, ...] = ()
        """The draws of holdouts under which what is being decided stands."""
        self.unplanned = False
        """Whether the timers may be other ones than the state calls for."""
        self._scored: tuple[ClientState, Score | None, Learnt | None] | None = None

    def run(self, journey: AnyJourney, anchor: str) -> Run:
        """Return the run of `journey` about `anchor`, a fresh one where there is none."""
        return find_run(self.state, journey, anchor) or Run(place_of(journey), anchor)

    def put_run(self, run: Run) -> None:
        """Store a run in the place of the one with its journey and anchor; one that begins is pinned to the policy in force."""
        care = self.state.care
        before = next((row for row in care.runs if (row.journey, row.anchor) == (run.journey, run.anchor)), None)
        if self.policy.pin and is_begun(run) and not (before and is_begun(before)):
            run = replace(run, pinned=self.policy.pin)
        self.state = replace(self.state, care=replace(care, runs=(*(row for row in care.runs if row is not before), run)))

    def send(
        self,
        step: Step,
        run: Run,
        *,
        facts: dict[str, Fact],
        reasons: Sequence[str],
        until_ms: int = 0,
        invoice_ids: tuple[str, ...] = (),
        contract_id: str = "",
        payment_id: str = "",
        asked: tuple[Money, ...] = (),
        advances: bool = True,
        statement: tuple[StatementItem, ...] = (),
        totals: tuple[StatementTotal, ...] = (),
        again_by: str = "",
        approved: bool = False,
        learnt: tuple[Learnt, ...] = (),
    ) -> int:
        """Emit a trigger and its decision at the state's time; return its not-before. One that does not advance moves no step.

        `again_by`: the channel by which a step is said once more, while nobody has answered. `approved`: a person has seen it.
        """
        trial = trial_of(self.state, self.policy, step, run)
        if trial is not None:
            step, self.state = trial.step, exposed(self.state, trial)
        state, ruling = self.state, ruling_of(self.state, self.policy, step, run, invoice_ids)
        channel, fallback = (again_by, ()) if again_by else way_of(state, self.policy, step, run, ruling)
        not_before, hour = self._hour(step, run, channel, until_ms, at_once=bool(again_by))
        expires = _expiry(not_before, step, until_ms)
        why = (*reasons, *fallback, *([hour] if hour else ()), *ruling.words, *([trial.words] if trial else ()))
        fields = {
            **self._identity(step, run, channel, Tone(ruling.tone.value), is_again=bool(again_by)),
            "not_before": moment(not_before),
            "expires_at": moment(expires),
            "invoice_ids": invoice_ids,
            "contract_id": contract_id or None,
            "payment_id": payment_id or None,
            "facts": allowed_facts(step.purpose, facts),
            "statement": statement,
            "totals": totals if statement or len(totals) > 1 else (),
            "reasons": why,
            **_tried(trial),
        }
        trigger = built(Trigger, {name: fields[name] for name in Trigger.model_fields})  # in the contract's order
        row = _row(trigger, run, not_before_ms=not_before, expires_ms=expires, asked=asked, advances=advances, free=step.receipt)
        self.outputs.append(trigger)
        self.state = reserve(state, replace(row, approved=approved))
        self.decide(
            DecisionOutcome.TRIGGERED,
            why,
            run=run,
            step=step.id,
            channel=channel,
            trigger_id=trigger.trigger_id,
            trial=trial,
            rulings=ruling.records if again_by else reached_by(state, ruling, channel),
            learnt=learnt,
        )
        return not_before

    def _hour(self, step: Step, run: Run, channel: str, until_ms: int, *, at_once: bool) -> tuple[int, str]:
        """Return when a message may leave at the earliest, and why, where the client's own hours move it."""
        by = "" if channel in self.policy.internal_channels else channel
        first = self.policy.open_hour(self.state, self.state.now_ms, by)
        if at_once or step.receipt or not by:
            return first, ""  # thanks are said at once, and colleagues have hours of their own
        at, why = hour_of(self.state, self.policy, at_ms=first, what=f"{run.anchor}:{step.id}:{run.epoch}", channel=by)
        return (first, "") if until_ms and at >= until_ms else (at, why)

    def waits(self, step: Step, run: Run) -> Trial | None:
        """Return the trial whose arm waits at this step of a run and has not waited yet, None where nothing waits."""
        trial = trial_of(self.state, self.policy, step, run)
        return trial if trial is not None and trial.waits(run) else None

    def wait(self, trial: Trial, run: Run, runs: Iterable[Run]) -> None:
        """Record the exposure of an arm that waits, and let `runs` wait; the decision is about `run`."""
        self.state = exposed(self.state, trial)
        ready = self.state.now_ms + trial.arm.wait_days * DAY_MS
        for row in runs:
            self.put_run(replace(row, ready_ms=max(row.ready_ms, ready), waited=row.stage + 1, told=""))
        days = f"{trial.arm.wait_days} day" if trial.arm.wait_days == 1 else f"{trial.arm.wait_days} days"
        reasons = (f"{trial.words}, which waits {days} with this step",)
        self.decide(DecisionOutcome.HELD, reasons, run=run, step=trial.step.id, channel=trial.step.channel, trial=trial)

    def _identity(self, step: Step, run: Run, channel: str, tone: Tone, *, is_again: bool) -> dict[str, Any]:
        """Return the fields that follow from the step, its run and the client: what it is, how it speaks, to whom."""
        state, now, journey = self.state, self.state.now_ms, journey_of(run)
        segment = effective_segment(state, now)
        return {
            "schema_version": 1,
            "client_id": state.client_id,
            "decided_at": moment(now),
            "kind": "trigger",
            "trigger_id": trigger_id_of(state.client_id, run, step.id, run.epoch),
            "journey": journey,
            "anchor": run.anchor,
            "lineage": derive("lineage", state.client_id, journey.value, run.anchor),
            "step": step.id,
            "channel": channel,
            "purpose": step.purpose,
            "legal_basis": _BASIS[step.purpose],
            "tone": tone,
            "audience": None
            if channel in self.policy.internal_channels
            else audience_of(state, journey, step.purpose, tone, channel=channel),
            "cancel_when": step.cancel_when,
            "segment": segment.value,
            "score": score.probability if (score := self.score()) else None,
            "policy_version": self._version(run),
            "learner_version": self.scorer.version,
            **(self._once_more(step, run) if is_again else {}),
        }

    def _once_more(self, step: Step, run: Run) -> dict[str, Any]:
        """Return what differs where a step is said a second time."""
        return {
            "trigger_id": trigger_id_of(self.state.client_id, run, step.id, run.epoch, again=True),
            "cancel_when": (*step.cancel_when, CancelWhen.CLIENT_ANSWERED),
        }

    def tone(self, step: Step, run: Run) -> Tone:
        """Return the tone in which a step is said to this client now."""
        return Tone(tone_of_step(self.state, step, run, self.policy).value)

    def retract(self, row: Pending, because: CancelWhen, reasons: tuple[str, ...]) -> None:
        """Take a pending trigger back."""
        state = self.state
        fields = {
            "schema_version": 1,
            "client_id": state.client_id,
            "decided_at": moment(state.now_ms),
            "kind": "retraction",
            "trigger_id": row.trigger_id,
            "channel": row.channel,
            "because": because,
            "reasons": reasons,
        }
        self.outputs.append(built(Retraction, fields))
        run = Run(row.journey, row.anchor)
        self.decide(DecisionOutcome.RETRACTED, reasons, run=run, step=row.step, channel=row.channel, trigger_id=row.trigger_id)

    def decide(
        self,
        outcome: DecisionOutcome,
        reasons: Sequence[str],
        *,
        run: Run | None = None,
        step: str = "",
        channel: str = "",
        trigger_id: str = "",
        late_seconds: float | None = None,
        change: SegmentChange | None = None,
        trial: Trial | None = None,
        rulings: tuple[Ruled, ...] = (),
        learnt: tuple[Learnt, ...] = (),
    ) -> None:
        """Record why something was sent, held or not sent, or what became of it; `learnt` is what it read besides the score."""
        state, now = self.state, self.state.now_ms
        journey = journey_of(run) if run else None
        anchor = run.anchor if run else ""
        identity = (state.client_id, now, state.events, outcome.value, journey or "", anchor, step, trigger_id, reasons[0])
        score, learnt = self.score(), (*self._learnt(), *learnt)
        fields = {
            "schema_version": 1,
            "client_id": state.client_id,
            "decided_at": moment(now),
            "kind": "decision",
            "decision_id": derive("decision", *identity),
            "outcome": outcome,
            "journey": journey,
            "anchor": anchor or None,
            "step": step or None,
            "channel": channel or None,
            "trigger_id": trigger_id or None,
            "late_seconds": late_seconds,
            "reasons": (*reasons, *(told(read) for read in learnt if read.quality is Quality.STALE)),
            "segment": effective_segment(state, now).value,
            "score": score.probability if score else None,
            "policy_version": self._version(run),
            "learner_version": self.scorer.version,
            "challenger_score": score.challenger if score else None,
            "challenger_version": (score.challenger_version or None) if score else None,
            "change": change,
            "experiment": trial.record if trial else None,
            "holdouts": self.draws or None,
            "rulings": rulings or None,
            "learnt": learnt or None,
        }
        self.outputs.append(built(Decision, fields))
        what = f"{journey.value}/{step}" if journey else "segment"
        note = Note(now, outcome.value, what, reasons[0][:120])
        care = state.care
        self.state = replace(state, care=replace(care, notes=(*care.notes, note)[-NOTES_KEPT:]))

    def _version(self, run: Run | None) -> str:
        """Return the version of the policy whose step this is: the one that the run is pinned to."""
        known = find_run(self.state, journey_of(run), run.anchor) if run else None
        return self.policy.of_run(known).version if known else self.policy.version

    def score(self) -> Score | None:
        """Return the score now, None with too little history and where it is older than the policy lets it count."""
        return self._read()[0]

    def abstention(self) -> str | None:
        """Return why no score counts, None where one does."""
        score, read = self._read()
        if score is not None:
            return "the client is new: no score counts yet" if is_unproven(self.state, self.policy) else None
        return "there is too little history to say how this client pays" if read is None else told(read)

    def _learnt(self) -> tuple[Learnt, ...]:
        """Return how the score was read."""
        read = self._read()[1]
        return () if read is None else (read,)

    def _read(self) -> tuple[Score | None, Learnt | None]:
        """Return the score and how it is read; asked again only when something a learner may look at has changed."""
        state = self.state
        if self._scored is not None:
            then, score, read = self._scored
            same = then.ledger is state.ledger and then.rhythm is state.rhythm and then.person.risk is state.person.risk
            if same and then.now_ms == state.now_ms:
                return score, read
        score, read = score_read(self.scorer.score(state), state.now_ms, self.policy.max_age)
        self._scored = (state, with_risk(score, state), read)
        return self._scored[1], read


def _tried(trial: Trial | None) -> dict[str, Any]:
    """Return what an experiment changes of a message, and its record."""
    return {"words": (trial.arm.words or None) if trial else None, "experiment": trial.record if trial else None}


def _expiry(not_before: int, step: Step, until_ms: int) -> int:
    """Return when a message expires: with its step, or before, at the end of what it is about."""
    expires = not_before + step.valid_days * DAY_MS
    return max(min(expires, until_ms), not_before + 1) if until_ms else expires


def trigger_id_of(client_id: str, run: Run, step_id: str, epoch: int, *, again: bool = False) -> str:
    """Return the id of a step's trigger: the same in every replay; a message said once more has one of its own."""
    more = ("again",) if again else ()
    return derive("trigger", client_id, journey_of(run).value, run.anchor, step_id, epoch, *more)


def find_run(state: ClientState, journey: AnyJourney, anchor: str) -> Run | None:
    """Return the run of `journey` about `anchor`, None where there is none."""
    index = place_of(journey)
    for row in state.care.runs:
        if row.anchor == anchor and row.journey == index:
            return row
    return None


def _row(
    trigger: Trigger, run: Run, *, not_before_ms: int, expires_ms: int, asked: tuple[Money, ...], advances: bool, free: bool
) -> Pending:
    """Return what the state keeps of a trigger until it is settled."""
    return Pending(
        trigger_id=trigger.trigger_id,
        journey=run.journey,
        anchor=run.anchor,
        step=trigger.step,
        channel=trigger.channel,
        purpose=PURPOSES.index(trigger.purpose),
        not_before_ms=not_before_ms,
        expires_ms=expires_ms,
        cancel_when=tuple(PREDICATES.index(predicate) for predicate in trigger.cancel_when),
        invoice_ids=trigger.invoice_ids,
        contract_id=trigger.contract_id or "",
        payment_id=trigger.payment_id or "",
        asked=asked[0].minor if asked else 0,
        advances=advances,
        asked_in=asked_in(asked),
        person=trigger.audience.value if trigger.audience else "",
        free=free,
        tone=trigger.tone.value,
    )
