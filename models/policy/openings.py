"""The windows of every journey that is not about arrears: which step of which run may be taken, from when until when."""

from collections.abc import Iterator

import msgspec

from models.learners.scorer import PER_CHANCE
from models.policy.favourable import favourable_ms
from models.policy.gate import is_running, renewal_anchor
from models.policy.journeys import CliffEntry, MissedRun, Playbook, Step
from models.policy.playbooks import is_cooling, is_in_season
from models.policy.policy import Policy
from models.policy.turn import find_run
from models.state.client import JOURNEYS, ClientState, Contract, Run, TimerKind
from models.state.windows import day_of
from models.triggers import Journey
from models.workdays import DAY_MS

_ONBOARDING = JOURNEYS.index(Journey.ONBOARDING)
_RENEWAL = JOURNEYS.index(Journey.RENEWAL)


class Opening(msgspec.Struct, frozen=True):
    """One step of a run and the window in which it may be taken (epoch ms)."""

    kind: TimerKind
    run: Run
    step: Step
    from_ms: int
    end_ms: int
    contract: Contract | None = None
    playbook: Playbook | None = None

    @property
    def journey(self) -> Journey:
        """The journey it belongs to."""
        return JOURNEYS[self.run.journey]

    @property
    def is_thanks(self) -> bool:
        """Say whether it answers a payment at once: thanks are owed whatever else is open."""
        return self.kind is TimerKind.ONBOARDING and not self.step.after_days


def openings(state: ClientState, policy: Policy) -> list[Opening]:
    """Return the next step of every run that has one, in the order of journeys."""
    return [*_onboarding(state, policy), *_renewals(state, policy), *_playbooks(state, policy)]


def has_openings(state: ClientState, policy: Policy) -> bool:
    """Say, at a glance, whether `openings` could return any."""
    if state.person.contracts:
        return True
    if not state.care.runs:
        return False
    steps = {_ONBOARDING: len(policy.journeys.onboarding)}
    steps |= {JOURNEYS.index(row.journey): len(row.steps) for row in policy.journeys.playbooks}
    # A pinned run may have more steps than the policy in force.
    return any(
        run.journey in steps and not run.closed and (run.pinned or run.stage < steps[run.journey]) for run in state.care.runs
    )


def _onboarding(state: ClientState, policy: Policy) -> Iterator[Opening]:
    for run in state.care.runs:
        if run.journey != _ONBOARDING or run.closed:
            continue
        steps = policy.of_run(run).journeys.onboarding
        if run.stage < len(steps):
            step = steps[run.stage]
            begin = run.started_ms + step.after_days * DAY_MS
            end = (begin if step.after_days else max(run.started_ms, run.ready_ms)) + step.valid_days * DAY_MS
            end = max(end, _found_end_ms(step, run))
            yield Opening(TimerKind.ONBOARDING, run, step, max(begin, run.ready_ms), end)


def _renewals(state: ClientState, policy: Policy) -> Iterator[Opening]:
    for contract in state.person.contracts:
        if is_running(contract) and contract.renews_ms > state.now_ms:
            anchor = renewal_anchor(contract)
            run = find_run(state, Journey.RENEWAL, anchor) or Run(_RENEWAL, anchor, subject=contract.contract_id)
            steps = policy.of_run(run).journeys.renewal
            if not run.closed and run.stage < len(steps):
                step = steps[run.stage]
                begin = contract.renews_ms + step.after_days * DAY_MS
                end = max(begin + step.valid_days * DAY_MS, _found_end_ms(step, run))
                if not run.stage and is_doubtful(state, contract, policy):
                    begin -= policy.renewal_early_days * DAY_MS
                if not run.stage:
                    begin = favourable_ms(state, usual_ms=begin, end_ms=end, renews_ms=contract.renews_ms) or begin
                yield Opening(TimerKind.RENEWAL, run, step, max(begin, run.ready_ms), end, contract)


def is_doubtful(state: ClientState, contract: Contract, policy: Policy) -> bool:
    """Say whether the renewal ahead was last thought less likely than the policy's limit; without a chance it is not."""
    if not policy.renewal_early_below:
        return False
    rows = [
        row for row in state.renewals.periods if (row.contract_id, row.renews_ms) == (contract.contract_id, contract.renews_ms)
    ]
    asked = rows[-1].asked[-1] if rows and rows[-1].asked else None
    return asked is not None and 0 <= asked.chances[0] < policy.renewal_early_below * PER_CHANCE


def _playbooks(state: ClientState, policy: Policy) -> Iterator[Opening]:
    for playbook in policy.journeys.playbooks:
        if not playbook.enabled:
            continue
        if isinstance(playbook.entry, CliffEntry):
            yield from _cliffs(state, playbook, playbook.entry, policy)
            continue
        index = JOURNEYS.index(playbook.journey)
        for run in state.care.runs:
            if run.journey == index and not run.closed:
                own = _as_begun(run, playbook, policy)
                if run.stage < len(own.steps):
                    yield _opening(run, own, run.started_ms)


def _as_begun(run: Run, playbook: Playbook, policy: Policy) -> Playbook:
    """Return the playbook of the policy a run was begun under."""
    begun = policy.of_run(run).journeys.playbooks
    return next((row for row in begun if row.journey is playbook.journey), playbook)


def _cliffs(state: ClientState, playbook: Playbook, entry: CliffEntry, policy: Policy) -> Iterator[Opening]:
    for contract in state.person.contracts:
        if not is_running(contract) or contract.renews_ms <= state.now_ms:
            continue
        if not is_in_season(day_of(contract.renews_ms), entry.seasons):
            continue
        anchor = renewal_anchor(contract)
        known = find_run(state, playbook.journey, anchor)
        run = known or Run(JOURNEYS.index(playbook.journey), anchor, subject=contract.contract_id)
        own = _as_begun(run, playbook, policy)
        if run.closed or run.stage >= len(own.steps):
            continue
        opening = _opening(run, own, contract.renews_ms, contract)
        # Whoever learns of the contract after the window has missed nothing: two weeks before, care goes on as usual.
        late = opening.end_ms <= max(state.now_ms, contract.at)
        if known is None and (late or is_cooling(state, playbook, subject=contract.contract_id, anchor=anchor)):
            continue
        yield opening


def _opening(run: Run, playbook: Playbook, base_ms: int, contract: Contract | None = None) -> Opening:
    step = playbook.steps[run.stage]
    begin = base_ms + step.after_days * DAY_MS
    end = max(begin + step.valid_days * DAY_MS, _found_end_ms(step, run))
    return Opening(TimerKind.PLAYBOOK, run, step, max(begin, run.ready_ms), end, contract, playbook)


def _found_end_ms(step: Step, run: Run) -> int:
    """Return until when a step may be taken that counts from when it was found rather than from its own day; 0: it does not."""
    return run.ready_ms + step.valid_days * DAY_MS if step.if_missed is MissedRun.SEQUENCE else 0
