"""How runs under way go on by another policy than the one they were begun under, from the moment at which people say so.

A run keeps its place by the names of its steps. It goes on behind the last step that it has taken and that the other table has,
at most as many steps into it as it has taken, and never behind one that both tables have and that is still to come: so nothing
is said twice, nothing that is still to come is passed over, and nobody meets more than the step after the last they got.
Tables without a name in common are counted through. What is on its way, waits for a yes or lies with a colleague ends first as
it was begun, and the run moves then. A run that has no step left is not under way: its last message may have said so.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from models.policy.delay_support import wait_days
from models.policy.journeys import Journeys, Ladder, MissedRun, Step
from models.policy.openings import openings
from models.policy.policy import Policy
from models.policy.segments import effective_segment
from models.policy.turn import Turn
from models.regime import Migration
from models.state.balances import items
from models.state.client import JOURNEYS, OWN, ClientState, Pending, Run, Segment, journey_of
from models.state.plans import instalment_anchor
from models.state.rows import Plan
from models.state.runs import is_begun
from models.triggers import DecisionOutcome, Journey
from models.workdays import DAY_MS

_DELAY: Final = JOURNEYS.index(Journey.DELAY_SUPPORT)


class Move(msgspec.Struct, frozen=True):
    """A run under way, the same as it goes on (`moved`), and the steps of both; `waits` says what has to end before it does."""

    run: Run
    moved: Run
    by: Migration
    before: tuple[Step, ...]
    after: tuple[Step, ...]
    waits: str = ""


def migrations_due(state: ClientState, policy: Policy, *, until_ms: int) -> list[int]:
    """Return the moments up to `until_ms` at which runs of this client were told to move and have not yet, in order."""
    if not policy.migrations or state.erased_ms or state.identity.into:
        return []
    told = _told(state, policy, until_ms)
    under_way = [run for run in state.care.runs if is_begun(run) and _goes_on(run, policy.of_run(run))] if told else []
    return sorted({row.since_ms for run in under_way for row in _words(run, policy, told)})


def _told(state: ClientState, policy: Policy, until_ms: int) -> list[Migration]:
    return [row for row in policy.migrations if row.since_ms <= until_ms and row.is_of(state.client_id)]


def _words(run: Run, policy: Policy, told: Iterable[Migration]) -> Iterator[Migration]:
    """Yield the words that a run is to move by: of its own policy, and about its journey."""
    version, journey = policy.of_run(run).version, journey_of(run).value
    return (row for row in told if row.of == version and row.is_about(journey))


def _goes_on(run: Run, begun: Policy) -> bool:
    """Say, at a glance, whether a run may have a step left."""
    return not run.closed and not run.last and (run.journey == _DELAY or run.stage < len(_table(run, begun.journeys)))


def migrate(turn: Turn) -> None:
    """Let every run that may by now go on by the policy that it was moved to, and say so."""
    while migrations_due(turn.state, turn.policy, until_ms=turn.state.now_ms):
        found = [row for row in moves(turn.state, turn.policy) if not row.waits]
        for row in found:
            turn.put_run(row.moved)
            step = row.after[row.moved.stage].id if row.moved.stage < len(row.after) else ""
            turn.decide(DecisionOutcome.MIGRATED, (words_of(row),), run=row.moved, step=step)
        if not found:
            return


def words_of(move: Move) -> str:
    """Return where a run goes on, from where, and who said so."""
    taken, by = ", ".join(step.id for step in move.before[: move.run.stage]) or "none", move.by
    ahead = ", ".join(step.id for step in move.after[move.moved.stage :]) or (
        "none, a person decides" if move.run.journey == _DELAY else "none"
    )
    return f"goes on by policy {by.to} instead of {by.of}, as {by.author} said ({by.reason}): taken {taken}; ahead {ahead}"


def moves(state: ClientState, policy: Policy) -> list[Move]:
    """Return the runs under way that were told to move by the state's time and have not yet, in the order of the state."""
    if not migrations_due(state, policy, until_ms=state.now_ms):
        return []
    told = _told(state, policy, state.now_ms)
    under_way, instalments = _under_way(state, policy), _anchors(state.ledger.plans)
    found = []
    for run in state.care.runs:
        by = max(_words(run, policy, told), key=lambda row: row.since_ms, default=None)  # of several the latest
        target = policy.called(by.to) if by is not None and run.anchor in under_way.get(run.journey, ()) else None
        if by is not None and target is not None and is_begun(run):
            move = _move(run, by, target, state, policy, is_instalment=run.anchor in instalments)
            if move is not None:
                found.append(move)
    return found


def _move(run: Run, by: Migration, target: Policy, state: ClientState, policy: Policy, *, is_instalment: bool) -> Move | None:
    begun = policy.of_run(run)
    ladders = None
    if journey_of(run) is Journey.DELAY_SUPPORT:
        ladders = tuple(_ladder(run, row.journeys, state, is_instalment=is_instalment) for row in (begun, target))
        before, after = (row.steps for row in ladders)
    else:
        before, after = (_table(run, row.journeys) for row in (begun, target))
    if not after or run.stage >= len(before) or run.last:
        return None
    stage = place_in(before, after, run.stage)
    fresh = replace(run, stage=stage, pinned=target.version, begun_under=run.begun_under or begun.version, told="", waited=0)
    if stage < len(after) and run.waited == run.stage + 1 and after[stage].id == before[run.stage].id:
        fresh = replace(fresh, waited=stage + 1)
    if ladders is None:
        shift = _distance(after, stage) - _distance(before, run.stage)
        fresh = replace(fresh, closed=run.journey == OWN and stage >= len(after))
    else:
        shift = _wait(fresh, ladders[1], target) - _wait(run, ladders[0], begun) if stage else 0
    if run.ready_ms:
        fresh = replace(fresh, ready_ms=max(1, run.ready_ms + shift * DAY_MS))
    return Move(run, fresh, by, tuple(before), tuple(after), _on_its_way(run, state))


def place_in(before: Sequence[Step], after: Sequence[Step], stage: int) -> int:
    """Return how many steps of `after` count as taken for a run that has taken `stage` steps of `before`."""
    places = {step.id: place for place, step in enumerate(after)}
    behind = max((places[step.id] + 1 for step in before[:stage] if step.id in places), default=0)
    coming = (places[step.id] for step in before[stage:] if step.id in places and places[step.id] >= behind)
    return min(max(stage, behind), min(coming, default=len(after)))


def _under_way(state: ClientState, policy: Policy) -> dict[int, Collection[str]]:
    """Return the anchors by journey of what may still need a step: open invoices and missed instalments, and open windows."""
    found: dict[int, set[str]] = {}
    for item in items(state.ledger, state.now_ms):
        places = found.setdefault(_DELAY, set())
        places.add(item.invoice.invoice_id)
        if item.standing is not None:
            places.add(item.standing.anchor)
    for row in openings(state, policy):
        if not row.ended:
            found.setdefault(row.run.journey, set()).add(row.run.anchor)
    return dict(found)


def _anchors(plans: Iterable[Plan]) -> set[str]:
    return {instalment_anchor(plan, number) for plan in plans for number in range(1, len(plan.parts) + 1)}


def _ladder(run: Run, journeys: Journeys, state: ClientState, *, is_instalment: bool) -> Ladder:
    if is_instalment:
        return journeys.instalment
    return journeys.delay[Segment(run.subject) if run.subject else effective_segment(state, state.now_ms)]


def _table(run: Run, journeys: Journeys) -> tuple[Step, ...]:
    """Return the steps of a journey other than support; none where a policy does not have it."""
    journey = journey_of(run)
    if journey is Journey.ONBOARDING:
        return journeys.onboarding
    if journey is Journey.RENEWAL:
        return journeys.renewal
    return next((row.steps for row in journeys.every_playbook if row.journey == journey and row.enabled), ())


def _wait(run: Run, ladder: Ladder, policy: Policy) -> int:
    return wait_days(run, ladder, policy, run.stage, human=not run.stage)


def _distance(steps: Sequence[Step], stage: int) -> int:
    """Return how many days a step keeps from the one before it, where steps are taken in sequence."""
    if not 0 < stage < len(steps) or steps[stage - 1].if_missed is not MissedRun.SEQUENCE:
        return 0
    return max(0, steps[stage].after_days - steps[stage - 1].after_days)


def _on_its_way(run: Run, state: ClientState) -> str:
    """Return what of a run has not ended yet, empty where nothing is."""
    care = state.care
    if any(_is_about(row, run, state) for row in care.pending):
        return "a message of it is on its way"
    asked = (row for row in care.approvals if row.until_ms > state.now_ms)
    if any((row.journey, row.anchor) == (run.journey, run.anchor) for row in asked):
        return "a message of it waits for a yes"
    return "a colleague has an open task about it" if any(_is_about(row, run, state) for row in care.tasks) else ""


def _is_about(row: Pending, run: Run, state: ClientState) -> bool:
    if row.journey != run.journey:
        return False
    plans = (plan for plan in state.ledger.plans if plan.invoice_id in row.invoice_ids)
    return run.anchor in {row.anchor, *row.invoice_ids, *_anchors(plans)}
