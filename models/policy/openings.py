"""The windows of every journey that is not about arrears: which step of which run may be taken, from when until when."""

from collections.abc import Iterator

import msgspec

from models.events.signals import Purpose
from models.learnt import Learnt, Quality
from models.money import Money
from models.policy.favourable import favourable_ms
from models.policy.freshness import renewal_read
from models.policy.gate import is_running, renewal_anchor
from models.policy.journeys import CliffEntry, MissedRun, OwnEntry, Playbook, Step
from models.policy.own_conditions import Seen, holds, may_begin
from models.policy.playbooks import is_cooling, is_in_season
from models.policy.policy import Policy
from models.policy.renewal_options import asked_of
from models.policy.segments import is_unproven
from models.policy.timing import Anchor, due_ms
from models.policy.turn import find_run
from models.state.client import (
    JOURNEYS,
    OWN,
    ClientState,
    Contract,
    Run,
    TimerKind,
    about_of,
    journey_of,
    own_anchor,
    place_of,
)
from models.state.reckoning import is_live
from models.state.windows import day_of
from models.triggers import AnyJourney, Journey, Tone
from models.workdays import DAY_MS

_DELAY = JOURNEYS.index(Journey.DELAY_SUPPORT)
_ONBOARDING = JOURNEYS.index(Journey.ONBOARDING)
_RENEWAL = JOURNEYS.index(Journey.RENEWAL)
_NO_PLAYBOOKS = frozenset({_DELAY, _ONBOARDING, _RENEWAL, OWN})


class Opening(msgspec.Struct, frozen=True):
    """One step of a run and the window in which it may be taken (epoch ms)."""

    kind: TimerKind
    run: Run
    step: Step
    from_ms: int
    end_ms: int
    contract: Contract | None = None
    playbook: Playbook | None = None
    ended: str = ""
    """Why there is nothing to take any more; empty while there is."""

    @property
    def journey(self) -> AnyJourney:
        """The journey it belongs to."""
        return journey_of(self.run)

    @property
    def is_thanks(self) -> bool:
        """Say whether it answers a payment at once: thanks are owed whatever else is open."""
        return self.kind is TimerKind.ONBOARDING and not self.step.after_days


def openings(state: ClientState, policy: Policy) -> list[Opening]:
    """Return the next step of every run that has one, in the order of journeys."""
    found = [*_onboarding(state, policy), *_renewals(state, policy), *_playbooks(state, policy)]
    if policy.journeys.own or any(run.journey == OWN for run in state.care.runs):
        found += _own(state, policy)
    return found


def has_openings(state: ClientState, policy: Policy) -> bool:
    """Say, at a glance, whether `openings` could return any."""
    if state.person.contracts:
        return True
    if not state.care.runs:
        return False
    return any(not run.closed and run.journey != _DELAY and _has_steps(run, policy) for run in state.care.runs)


def _has_steps(run: Run, policy: Policy) -> bool:
    """Say whether a run that is not about arrears may have a step left. A pinned one may have more than the policy in force."""
    if run.journey == OWN:
        return True
    if run.journey == _ONBOARDING:
        return bool(run.pinned) or run.stage < len(policy.journeys.onboarding)
    journey = JOURNEYS[run.journey]
    return any(row.journey is journey and (run.pinned or run.stage < len(row.steps)) for row in policy.journeys.playbooks)


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
    read = None if is_unproven(state, policy) else renewal_learnt(state, contract, policy)
    return read is not None and read.quality is not Quality.STALE and read.value < policy.renewal_early_below


def renewal_learnt(state: ClientState, contract: Contract, policy: Policy) -> Learnt | None:
    """Return the chance last given for the renewal ahead as it is read where the earlier beginning would be; None without one.

    That moment is the same whenever it is asked about, so it does not matter how often a client is woken.
    """
    if not policy.renewal_early_below:
        return None
    asked = asked_of(state, contract)
    if asked is None:
        return None
    run = find_run(state, Journey.RENEWAL, renewal_anchor(contract)) or Run(_RENEWAL, renewal_anchor(contract))
    first_days = policy.of_run(run).journeys.renewal[0].after_days if policy.of_run(run).journeys.renewal else 0
    early_ms = contract.renews_ms + (first_days - policy.renewal_early_days) * DAY_MS
    return renewal_read(asked, contract.contract_id, max(early_ms, asked.at_ms), policy.max_age)


def _playbooks(state: ClientState, policy: Policy) -> Iterator[Opening]:
    contracts = state.person.contracts
    running = {run.journey for run in state.care.runs if not run.closed}
    if not contracts and running <= _NO_PLAYBOOKS:
        return  # most clients are in no playbook at all
    for playbook in policy.journeys.playbooks:
        if not playbook.enabled:
            continue
        if isinstance(playbook.entry, CliffEntry):
            if contracts:
                yield from _cliffs(state, playbook, playbook.entry, policy)
            continue
        index = place_of(playbook.journey)
        if index not in running:
            continue
        for run in state.care.runs:
            if run.journey == index and not run.closed:
                own = _as_begun(run, playbook, policy)
                if run.stage < len(own.steps):
                    yield _opening(run, own, run.started_ms)


def _as_begun(run: Run, playbook: Playbook, policy: Policy) -> Playbook:
    """Return the playbook of the policy a run was begun under."""
    begun = policy.of_run(run).journeys.every_playbook
    return next((row for row in begun if row.journey == playbook.journey), playbook)


def _cliffs(state: ClientState, playbook: Playbook, entry: CliffEntry, policy: Policy) -> Iterator[Opening]:
    for contract in state.person.contracts:
        if not is_running(contract) or contract.renews_ms <= state.now_ms:
            continue
        if not is_in_season(day_of(contract.renews_ms), entry.seasons):
            continue
        anchor = renewal_anchor(contract)
        known = find_run(state, playbook.journey, anchor)
        run = known or Run(place_of(playbook.journey), anchor, subject=contract.contract_id)
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


def _own(state: ClientState, policy: Policy) -> Iterator[Opening]:
    known = {row.journey: row for row in policy.journeys.own}
    for run in state.care.runs:
        if run.journey != OWN or run.closed:
            continue
        playbook = known.get(journey_of(run))
        if playbook is None:
            yield _over(run, policy, f"{journey_of(run)} is no journey of the policy any more", state.now_ms)
        elif not run.started_ms and not may_begin(state, playbook, anchor=run.anchor):
            yield _over(run, policy, "another run of it began while this one waited", state.now_ms)
        elif playbook.enabled and run.stage < len(_as_begun(run, playbook, policy).steps):
            yield own_opening(state, policy, run, playbook)
    for playbook in policy.journeys.own:
        if playbook.enabled and isinstance(playbook.entry, OwnEntry) and playbook.entry.anchor is Anchor.RENEWAL:
            yield from _own_renewals(state, policy, playbook, playbook.entry)


def own_waiting(state: ClientState, policy: Policy) -> set[str]:
    """Return the anchors of the runs of the firm's own that have a step left, however far away it is."""
    return {opening.run.anchor for opening in _own(state, policy)}


def _own_renewals(state: ClientState, policy: Policy, playbook: Playbook, entry: OwnEntry) -> Iterator[Opening]:
    """Yield the first step of what has not begun; a run that has is found among the runs."""
    for contract in state.person.contracts:
        if not is_running(contract) or contract.renews_ms <= state.now_ms:
            continue
        anchor = own_anchor(playbook.journey, renewal_anchor(contract))
        if find_run(state, playbook.journey, anchor) is not None or not may_begin(state, playbook, anchor=anchor):
            continue
        money = Money(contract.minor, contract.currency) if contract.minor else None
        seen = Seen(anchor, state.now_ms, money, contract.service_line, contract.contract_id)
        opening = own_opening(state, policy, Run(OWN, anchor), playbook)
        if opening.end_ms > max(state.now_ms, contract.at) and holds(entry, seen, state, policy):
            yield opening


def own_opening(state: ClientState, policy: Policy, run: Run, playbook: Playbook) -> Opening:
    """Return the next step of a run of the firm's own, and when it may be taken; it is ended where its anchor is gone."""
    own = _as_begun(run, playbook, policy)
    step, entry = own.steps[run.stage], own.entry
    contract = _contract_of(state, run) if isinstance(entry, OwnEntry) and entry.anchor is Anchor.RENEWAL else None
    base_ms = _base_ms(state, run, step.timing.anchor, contract) if step.timing else None
    if base_ms is None or step.timing is None:
        return _over(run, policy, "what it counts from is gone", state.now_ms)
    begin = due_ms(base_ms, step.timing, policy.zone_of(state), policy.holidays_of(state))
    end = begin + step.valid_days * DAY_MS
    return Opening(TimerKind.PLAYBOOK, run, step, max(begin, run.ready_ms), end, contract, own)


def _base_ms(state: ClientState, run: Run, anchor: Anchor, contract: Contract | None) -> int | None:
    """Return where the anchor of a step lies now; facts that change move it, and None means that there is none any more."""
    match anchor:
        case Anchor.PAYMENT:
            return run.started_ms
        case Anchor.ISSUE | Anchor.DUE | Anchor.PROMISED:
            moments = anchored(state, run, anchor)
            return moments[anchor is Anchor.DUE] if moments else None
        case Anchor.RENEWAL:
            return contract.renews_ms if contract else None
        case Anchor.LAST_CONTACT:
            return max((run.started_ms, state.care.last_human_ms, *state.care.contacts))


def anchored(state: ClientState, run: Run, anchor: Anchor) -> tuple[int, ...]:
    """Return when the invoice that a run is about was issued and falls due, or the promised day; nothing where it was withdrawn.

    Of what was settled and has collapsed since, the run knows. What another client pays for now is no matter of this one.
    """
    about = about_of(run)
    if anchor is Anchor.PROMISED:
        promise = next((row for row in state.ledger.promises if row.promise_id == about), None)
        if promise is not None:
            return (promise.promised_ms,) if promise.made_at > promise.withdrawn_at else ()
    else:
        invoice = next((row for row in state.ledger.invoices if row.invoice_id == about), None)
        if invoice is not None:
            return (invoice.issued_ms, invoice.due_ms) if is_live(invoice) else ()
    return () if state.identity.payer else run.anchored


def _contract_of(state: ClientState, run: Run) -> Contract | None:
    return next((row for row in state.person.contracts if row.renews_ms and renewal_anchor(row) == about_of(run)), None)


def _over(run: Run, policy: Policy, why: str, now_ms: int) -> Opening:
    """Return what ends a run that nothing is left of."""
    begun = next((row for row in policy.of_run(run).journeys.own if row.journey == journey_of(run)), None)
    step = begun.steps[run.stage] if begun and run.stage < len(begun.steps) else _NO_STEP
    return Opening(TimerKind.PLAYBOOK, run, step, now_ms, now_ms + DAY_MS, playbook=begun, ended=why)


_NO_STEP = Step("ended", 0, 1, Tone.GENTLE, Purpose.RELATIONSHIP, (), "its journey was taken out of the policy")


def _found_end_ms(step: Step, run: Run) -> int:
    """Return until when a step may be taken that counts from when it was found rather than from its own day; 0: it does not."""
    return run.ready_ms + step.valid_days * DAY_MS if step.if_missed is MissedRun.SEQUENCE else 0
