"""The journeys that are not about arrears: onboarding after a first payment, care before a renewal, and the playbooks.

All are windows: a step may be taken from its day on, until its validity ends. Whatever stands against it then (an open delay,
a dispute, a hold, the contact budget) is explained once; when the window closes unused, that is a decision too.
"""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from models.events.payments import PaymentReceived
from models.learnt import Learnt
from models.money import Money
from models.policy.approval import Draft, Ruling, approval_silence, ask_first
from models.policy.arbitration import loser_silence, winner
from models.policy.arrears import in_delay
from models.policy.facts import Fact
from models.policy.favourable import is_outside, windows
from models.policy.gate import pattern_ended
from models.policy.guides import guide_facts, is_later_invoice
from models.policy.holdout import draws_of
from models.policy.journeys import MissedRun, OwnEntry, Step
from models.policy.named import steps_of
from models.policy.openings import Opening, is_doubtful, openings, renewal_learnt
from models.policy.own_journeys import exit_words, line_of, named_in
from models.policy.pattern_facts import pattern_facts, pattern_words, size_of
from models.policy.policy import Policy
from models.policy.renewal_options import Option, is_tight, options_of, together
from models.policy.segments import effective_segment
from models.policy.silence import Silence, client_silence, withheld
from models.policy.timing import Anchor
from models.policy.trials import stratum_of
from models.policy.turn import Turn, find_run
from models.state.balances import has_open_dispute
from models.state.client import JOURNEYS, OWN, ClientState, Run, Timer, TimerKind, journey_of
from models.state.reckoning import gross, taken_back
from models.triggers import AnyJourney, DecisionOutcome, Journey
from models.workdays import DAY_MS

_FINAL: Final = frozenset({"reversed", "recent", "no_need"})
"""Silences that close a step at once; the others end, and then the step may still be taken."""

_ENDED: Final = "ended"


def enter_onboarding(turn: Turn, event: PaymentReceived) -> None:
    """Start the onboarding run of a client's first payment; a first payment learnt long afterwards is past thanks."""
    state, policy = turn.state, turn.policy
    run = Run(
        JOURNEYS.index(Journey.ONBOARDING),
        event.payment_id,
        ready_ms=state.now_ms,
        started_ms=event.occurred_ms,
        subject=size_of(event.amount.minor, event.amount.currency, policy),
    )
    turn.state = replace(state, care=replace(state.care, onboarded=True))
    if state.now_ms - event.occurred_ms > policy.onboarding_stale_days * DAY_MS:
        turn.put_run(replace(run, stage=1))
        reason = f"the first payment is {(state.now_ms - event.occurred_ms) // DAY_MS} days old: too late for thanks"
        turn.decide(DecisionOutcome.SUPPRESSED, (reason,), run=run, step=policy.journeys.onboarding[0].id)
        return
    turn.put_run(run)


def relationship_timers(state: ClientState, policy: Policy) -> list[Timer]:
    """Return when a step of onboarding, a renewal or a playbook becomes due, or its window closes."""
    timers: list[Timer] = []
    for opening in openings(state, policy):
        at = max(opening.from_ms, state.now_ms)
        if opening.run.told:
            silence = _silence(opening, state, policy)
            if silence is not None and silence.code == opening.run.told:
                at = max(at, min(silence.until_ms or opening.end_ms, opening.end_ms))
        # Thanks are decided at once and delivered in the next open hour; everything else is decided when it may be sent.
        if not opening.is_thanks and at < opening.end_ms:
            at = min(policy.open_hour(state, at), opening.end_ms)
        timers.append(Timer(at, opening.kind, opening.run.anchor))
    return timers


def fire_relationship(turn: Turn, timer: Timer, *, woken_ms: int) -> None:
    """Take the step that is due: send it, explain why not, or close its window."""
    state, policy = turn.state, turn.policy
    found = openings(state, policy)
    opening = next((row for row in found if (row.kind, row.run.anchor) == (timer.kind, timer.anchor)), None)
    if opening is None:
        return
    silence = _silence(opening, state, policy)
    if silence is not None and silence.code == _ENDED:
        _leave(turn, opening, silence.reasons)
    elif silence is None and woken_ms >= opening.end_ms > state.now_ms and opening.step.if_missed is MissedRun.SEQUENCE:
        _take_late(turn, opening, woken_ms)
    elif silence is not None and silence.code not in _FINAL and state.now_ms < opening.end_ms:
        _hold(turn, opening, silence)  # also where it is found late: what was the matter then is said as it would have been
    elif state.now_ms >= opening.end_ms or woken_ms >= opening.end_ms:
        found_late = (
            "found only after its last day" if state.now_ms < opening.end_ms else "no open hour was left before its last day"
        )
        reasons = silence.reasons if silence else (found_late,)
        _close(turn, opening, reasons)
    elif silence is not None:
        _close(turn, opening, silence.reasons)
    else:
        _decide_between(turn, opening, found)


def reopen(turn: Turn, journey: AnyJourney, anchor: str, *, ready_ms: int, tries: int) -> None:
    """Make the step of an undelivered message of this run due anew, while its window lasts."""
    run = find_run(turn.state, journey, anchor)
    if run is None:
        return
    attempts = run.attempts + tries
    closed = attempts >= turn.policy.attempts
    stage = run.stage if closed else max(0, run.stage - 1)
    turn.put_run(replace(run, stage=stage, epoch=run.epoch + 1, ready_ms=ready_ms, attempts=attempts, closed=closed, told=""))


def go_on(turn: Turn, journey: AnyJourney, anchor: str, *, at_ms: int) -> None:
    """Count the step of a message of this run that left although it was taken back: the opposite of `reopen`."""
    run = find_run(turn.state, journey, anchor)
    if run is None or run.closed:
        return
    steps = [step for _, step in steps_of(journey, turn.policy.of_run(run).journeys)]
    stage, ready = run.stage + 1, at_ms + _distance_ms(steps, run.stage)
    is_over = run.journey == OWN and stage >= len(steps)
    turn.put_run(replace(run, stage=stage, ready_ms=max(run.ready_ms, ready), told="", closed=is_over))


def _decide_between(turn: Turn, opening: Opening, found: list[Opening]) -> None:
    """Send, unless another that could be sent now goes first: then that one is named, and this waits."""
    state, policy = turn.state, turn.policy
    if opening.step.channel in policy.internal_channels:
        _send_or_withhold(turn, opening, ())  # a colleague is asked: no contact with the client, nothing to win
        return
    left_out = withheld(state, policy, opening.journey, purpose=opening.step.purpose)
    trial = turn.waits(opening.step, opening.run) if left_out is None else None  # who is left out is in no experiment
    if trial is not None:
        turn.wait(trial, opening.run, [replace(opening.run, ready_ms=max(opening.run.ready_ms, opening.from_ms))])
        return
    rivals = [
        row
        for row in found
        if row.from_ms <= state.now_ms < row.end_ms
        and row.step.channel not in policy.internal_channels
        and (row is opening or _is_rival(turn, row))
    ]
    first = winner(rivals, policy) or opening
    if first is opening:
        _send_or_withhold(turn, opening, [row for row in rivals if row is not opening])
    else:
        lost = loser_silence(first, at_ms=state.now_ms, policy=policy)
        _hold(turn, opening, lost, ready_ms=lost.until_ms)  # the winner leaves at this very moment, after this


def _is_rival(turn: Turn, row: Opening) -> bool:
    """Say whether another opening could be sent now."""
    if _silence(row, turn.state, turn.policy) is not None or turn.waits(row.step, row.run) is not None:
        return False
    return withheld(turn.state, turn.policy, row.journey, purpose=row.step.purpose) is None


def _send_or_withhold(turn: Turn, opening: Opening, losers: Sequence[Opening]) -> None:
    """Take a step against which nothing stands any more, or leave it out where the company was drawn into a holdout."""
    state, policy, journey, purpose = turn.state, turn.policy, opening.journey, opening.step.purpose
    left_out = withheld(state, policy, journey, purpose=purpose)
    if policy.holdout.percent or policy.holdout.journeys.get(journey):
        stratum, out = stratum_of(state, policy), left_out is not None
        turn.draws = draws_of(
            state.client_id, journey, purpose=purpose, holdout=policy.holdout, stratum=stratum, at_ms=state.now_ms, out=out
        )
    if left_out is None:
        _send(turn, opening, losers)
    else:
        _close(turn, opening, left_out.reasons)
    turn.draws = ()


def _hold(turn: Turn, opening: Opening, silence: Silence, *, ready_ms: int = 0) -> None:
    turn.put_run(replace(opening.run, told=silence.code, ready_ms=max(opening.run.ready_ms, opening.from_ms, ready_ms)))
    turn.decide(DecisionOutcome.HELD, silence.reasons, run=opening.run, step=opening.step.id)


def _silence(opening: Opening, state: ClientState, policy: Policy) -> Silence | None:
    run, step, journey = opening.run, opening.step, opening.journey
    if journey is Journey.ONBOARDING and _is_reversed(state, run.anchor):
        return Silence("reversed", ("the first payment was refunded, charged back or returned",))
    over = _over(opening, state)
    if over is not None:
        return Silence(_ENDED, (over,))
    if journey is Journey.RENEWAL:
        silence = _renewal_silence(opening, state, policy)
        if silence is not None:
            return silence
    if has_open_dispute(state.ledger):
        return Silence("disputed", ("a dispute is open: everything else is quiet until it is settled",))
    # Thanks are owed whatever else is open; every later step gives way to an open delay.
    if not opening.is_thanks and in_delay(state, policy):
        return Silence("delay", ("an invoice is overdue: support in the delay goes first",))
    silence = client_silence(state, policy, journey, step, receipt=step.receipt)
    return silence or approval_silence(state, run)


def _over(opening: Opening, state: ClientState) -> str | None:
    """Return why what a playbook's run is about is over, None while it is not."""
    if opening.ended or (opening.playbook is not None and isinstance(opening.playbook.entry, OwnEntry)):
        return exit_words(opening, state)
    return None if opening.playbook is None else pattern_ended(state, opening.run.anchor)


def _renewal_silence(opening: Opening, state: ClientState, policy: Policy) -> Silence | None:
    gap = policy.renewal_gap_days * DAY_MS
    recent = any(
        journey_of(row) is Journey.RENEWAL
        and row.subject == opening.run.subject
        and row.anchor != opening.run.anchor
        and row.started_ms > state.now_ms - gap
        for row in state.care.runs
    )
    if recent:
        return Silence("recent", (f"this contract's renewal was written about within {policy.renewal_gap_days} days",))
    contract = opening.contract
    if opening.run.stage and not is_tight(state, policy) and not (contract and is_outside(state, contract.renews_ms)):
        return Silence("no_need", ("no sign of a tight budget: a deferral is not offered",))
    return None


def _is_reversed(state: ClientState, payment_id: str) -> bool:
    return any(
        row.payment_id == payment_id and (sum(taken_back(row)) > 0 or (row.failed_at > 0 and not gross(row)))
        for row in state.ledger.payments
    )


def _leave(turn: Turn, opening: Opening, reasons: tuple[str, ...]) -> None:
    """End the whole run: what it was about is over."""
    turn.put_run(replace(opening.run, closed=True, told="", ready_ms=turn.state.now_ms))
    turn.decide(DecisionOutcome.SUPPRESSED, reasons, run=opening.run, step=opening.step.id)


def _take_late(turn: Turn, opening: Opening, woken_ms: int) -> None:
    """Take up a step that was found after its last day: it is decided as of now, and those after it keep their distance."""
    reason = f"found {(woken_ms - opening.from_ms) // DAY_MS} days after it was due: taken now, what follows keeps its distance"
    turn.put_run(replace(opening.run, told="missed", ready_ms=woken_ms))
    turn.decide(DecisionOutcome.HELD, (reason,), run=opening.run, step=opening.step.id)


def _close(turn: Turn, opening: Opening, reasons: tuple[str, ...]) -> None:
    now = turn.state.now_ms
    run = _advanced(opening, ready_ms=now)
    turn.put_run(run)
    turn.decide(DecisionOutcome.SUPPRESSED, reasons, run=run, step=opening.step.id)


def _send(turn: Turn, opening: Opening, losers: Sequence[Opening]) -> None:
    state, run, step, contract = turn.state, opening.run, opening.step, opening.contract
    facts, seen = _facts(opening, state, turn.policy)
    reasons = [*seen, step.why, f"segment {effective_segment(state, state.now_ms).value}"]
    reasons += [f"it goes before {row.journey.value}/{row.step.id}" for row in losers]
    contract_id = contract.contract_id if contract else ""
    invoice_ids, payment_id = named_in(opening)
    payment_id = run.anchor if opening.kind is TimerKind.ONBOARDING else payment_id
    amounts = (Money(contract.minor, contract.currency),) if contract and contract.minor else ()
    draft = Draft(step, run, tuple(reasons), amounts, invoice_ids=invoice_ids, contract_id=contract_id, payment_id=payment_id)
    said = ask_first(turn, draft)
    if said.ruling is Ruling.LAPSED:
        _close(turn, opening, said.reasons)
    if said.ruling is not Ruling.MAY_LEAVE:
        return
    turn.send(
        said.step,
        run,
        facts=facts,
        reasons=(*reasons, *said.reasons),
        approved=said.by_person,
        until_ms=contract.renews_ms if contract else 0,
        invoice_ids=invoice_ids,
        contract_id=contract_id,
        payment_id=payment_id,
        learnt=_learnt(opening, turn),
    )
    ready = state.now_ms + _distance_ms(_steps(opening, turn.policy), run.stage)
    turn.put_run(replace(_advanced(opening, ready_ms=ready), started_ms=run.started_ms or state.now_ms))


def _learnt(opening: Opening, turn: Turn) -> tuple[Learnt, ...]:
    """Return the chance of a renewal as its first step read it: for what it puts to the client, and for when it begins.

    Both are the same answer; it is told twice where it was still good when the step might have begun, and is too old by now.
    """
    if opening.contract is None or opening.playbook is not None or opening.run.stage:
        return ()
    begins = renewal_learnt(turn.state, opening.contract, turn.policy)
    orders = options_of(turn.state, opening.contract, turn.policy).read
    found = {read.quality: read for read in (orders, begins) if read is not None}
    return tuple(found.values())


def _advanced(opening: Opening, *, ready_ms: int) -> Run:
    """Return the run of a step that was taken or left out; one of the firm's own is closed after its last."""
    run, playbook = opening.run, opening.playbook
    is_over = run.journey == OWN and playbook is not None and run.stage + 1 >= len(playbook.steps)
    return replace(run, stage=run.stage + 1, told="", ready_ms=ready_ms, closed=run.closed or is_over)


def _steps(opening: Opening, policy: Policy) -> Sequence[Step]:
    if opening.playbook is not None:
        return opening.playbook.steps
    journeys = policy.of_run(opening.run).journeys
    return journeys.onboarding if opening.kind is TimerKind.ONBOARDING else journeys.renewal


def _distance_ms(steps: Sequence[Step], stage: int) -> int:
    """Return how long the step after that at `stage` waits, where steps are taken in sequence."""
    both = steps[stage : stage + 2]
    if not both or both[0].if_missed is not MissedRun.SEQUENCE:
        return 0
    return max(0, both[-1].after_days - both[0].after_days) * DAY_MS


def _facts(opening: Opening, state: ClientState, policy: Policy) -> tuple[dict[str, Fact], list[str]]:
    """Return what the message may state, and what was seen, for the reasons."""
    run, contract, playbook = opening.run, opening.contract, opening.playbook
    usual = next((row.service_line for row in state.ledger.invoices if row.service_line), "")
    line = line_of(opening, state) if run.journey == OWN else usual
    facts: dict[str, Fact] = {"name": state.person.name.value, "service_line": line}
    if contract is not None:
        facts["service_line"] = contract.service_line
        facts["contract_type"] = contract.contract_type
        facts["weeks_ahead"] = max(1, round((contract.renews_ms - state.now_ms) / (7 * DAY_MS)))
        facts["deferral_possible"] = Option.LATER in policy.renewal_options
        seen = [f"contract {contract.contract_id} renews on {run.anchor.rpartition('@')[2]}"]
        if playbook is None and not run.stage and is_doubtful(state, contract, policy):
            seen.append(f"its renewal is in doubt: begun {policy.renewal_early_days} days earlier")
        if playbook is None and is_outside(state, contract.renews_ms):
            seen += [f"billing falls outside the client's budget window: {row.words}" for row in windows(state)]
        if playbook is None and not run.stage:
            put = options_of(state, contract, policy)
            facts |= {"options": " ".join(put.options), "together": together(contract, state.now_ms)}
            seen.append(put.words)
        return facts, seen
    if playbook is None:
        facts["payment_size"] = run.subject
        if is_later_invoice(state, run.anchor):
            facts["later_invoice"] = True
        return facts | guide_facts(policy.guides, effective_segment(state, state.now_ms), usual), []
    if isinstance(playbook.entry, OwnEntry) and playbook.entry.anchor is Anchor.PAYMENT and run.subject:
        facts["payment_size"] = run.subject
    return facts | pattern_facts(playbook, state, policy), pattern_words(playbook, run, state, policy)
