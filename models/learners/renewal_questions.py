"""Questions about renewals and when their answers become known: the label queue of contracts, kept in the client's own state.

A question is put 90, 30 and 14 days before a renewal, as far as the contract was known by then and its fate was open. All are
answered on one schedule, some days after the renewal date: early word, late word and no word alike, so that neither the prompt
renewals nor the loud cancellations are learned first.

What counts: **renewed** - the record moves the renewal date on by at least half a period, or the contract is billed past it;
**raised** - renewed at a price at least a tenth higher; **left** - at the answer nothing runs any more and nothing was billed.
"""

from base64 import b64encode
from typing import Final

from msgspec.structs import replace

from models.events.invoices import ContractStatus
from models.learners.questions import cohort_of
from models.learners.renewal_scorer import UNSAID, RenewalScorer
from models.learners.scorer import PER_CHANCE
from models.renewal_features import LEADS, RENEWAL_TABLE, RenewalLandmark
from models.state.client import ClientState, Contract
from models.state.renewals import Fate, Period, RenewalAsked, Renewals, latest_period, with_period
from models.triggers import RenewalExample
from models.workdays import DAY_MS, moment

GRACE_DAYS: Final = 30
"""Days after the renewal date until its answer is released; half a period where that is shorter."""

RAISED: Final = 1.1
"""From this ratio of prices on a renewal counts as raised: an index clause is not an upgrade."""

_STANDARD_DAYS: Final = (30, 91, 182, 365)  # of a period, where a record first seen in mid-life does not say
_SLACK_DAYS: Final = 3
_LONGEST_FIRST_DAYS: Final = 400  # a contract that began longer ago than this has been renewed before
_SCHEDULE: Final = tuple(sorted(RenewalLandmark, key=lambda landmark: -LEADS[landmark]))


def next_renewal_ms(renewals: Renewals) -> int | None:
    """Return when the next step of any period is due, in epoch ms."""
    return min(map(_due_ms, renewals.periods)) if renewals.periods else None


def notice_contracts(before: ClientState, after: ClientState) -> ClientState:
    """Compare the contracts around one event: begin, move, renew or end the periods they are in."""
    if before.person.contracts is after.person.contracts:
        return after
    known = {id(row) for row in before.person.contracts}
    renewals = after.renewals
    for row in after.person.contracts:
        if id(row) not in known:
            renewals = _recorded(renewals, row, after.now_ms)
    return after if renewals is after.renewals else replace(after, renewals=renewals)


def due_renewals(state: ClientState, *, until_ms: int, scorer: RenewalScorer) -> tuple[ClientState, list[RenewalExample]]:
    """Carry out the steps due by `until_ms`, in the order of their time and of first sight."""
    examples: list[RenewalExample] = []
    while True:
        first = min(state.renewals.periods, key=_due_ms, default=None)
        if first is None or _due_ms(first) > until_ms:
            return state, examples
        state = _step(state, first, scorer, examples)


def grace_ms(period: Period) -> int:
    """Return how long after its renewal date a period is answered."""
    return min(GRACE_DAYS * DAY_MS, (period.renews_ms - period.began_ms) // 2)


def _due_ms(period: Period) -> int:
    if period.stage < len(_SCHEDULE):
        return period.renews_ms - LEADS[_SCHEDULE[period.stage]] * DAY_MS
    return period.renews_ms + grace_ms(period)


def _recorded(renewals: Renewals, contract: Contract, now_ms: int) -> Renewals:
    watch = latest_period(renewals, contract.contract_id)
    ending = contract.status == ContractStatus.ENDED or not contract.renews_ms
    if watch is None:
        running = not ending and contract.renews_ms > now_ms
        return with_period(renewals, None, _first(contract, now_ms)) if running else renewals
    if ending:
        return with_period(renewals, watch, replace(watch, fate=int(Fate.ENDING), lost_ms=watch.lost_ms or now_ms))
    half = (watch.renews_ms - watch.began_ms) // 2
    moved = contract.renews_ms - watch.renews_ms
    if moved >= half:
        return _renewed(renewals, watch, contract, now_ms)
    earlier = _renewed_before(renewals, watch, contract)
    if earlier is not None:
        # The renewal was a mistake: its new period never was, and the question is open again.
        renewals = with_period(renewals, watch, None)
        reopened = replace(earlier, fate=int(Fate.OPEN), after=0, renews_ms=contract.renews_ms)
        return with_period(renewals, earlier, _staged(reopened, now_ms))
    # The price that a raise is measured against is the one at the first question.
    price = watch.minor if watch.asked or not contract.minor else contract.minor
    changed = replace(watch, renews_ms=contract.renews_ms, fate=int(Fate.OPEN), lost_ms=0, minor=price)
    return with_period(renewals, watch, _staged(changed, now_ms))


def _renewed_before(renewals: Renewals, watch: Period, contract: Contract) -> Period | None:
    """Return the period that a record puts the contract back into, if it does."""
    for row in renewals.periods:
        if row.contract_id == watch.contract_id and row is not watch and row.fate == Fate.RENEWED:
            half = (watch.renews_ms - watch.began_ms) // 2
            if contract.renews_ms - row.renews_ms < half:
                return row
    return None


def _first(contract: Contract, now_ms: int) -> Period:
    """Return the period of a contract seen for the first time; one in mid-life gets a standard length and its likely age."""
    renews, started = contract.renews_ms, contract.started_ms or now_ms
    days = (renews - started) // DAY_MS
    age = 0
    if days > _LONGEST_FIRST_DAYS or days <= 0:
        ahead = (renews - now_ms) // DAY_MS
        length = next((row for row in _STANDARD_DAYS if ahead <= row + _SLACK_DAYS), _STANDARD_DAYS[-1])
        age = max(0, round(days / length) - 1)
        started = renews - length * DAY_MS
    price = contract.minor
    return _staged(
        Period(contract.contract_id, started, renews, price, contract.currency, contract.contract_type, age, earned=age * price),
        now_ms,
    )


def _staged(period: Period, now_ms: int) -> Period:
    """Skip what lies in the past or before the period began: such questions are not put any more, and none is put twice."""
    stage = period.stage
    while stage < len(_SCHEDULE):
        due = period.renews_ms - LEADS[_SCHEDULE[stage]] * DAY_MS
        if due >= now_ms and due > period.began_ms:
            break
        stage += 1
    return replace(period, stage=stage)


def _renewed(renewals: Renewals, watch: Period, contract: Contract, now_ms: int) -> Renewals:
    price = contract.minor or watch.minor
    done = replace(watch, fate=int(Fate.RENEWED), after=price, lost_ms=0)
    fresh = Period(
        contract.contract_id,
        watch.renews_ms,
        contract.renews_ms,
        price,
        contract.currency or watch.currency,
        contract.contract_type,
        watch.age + 1,
        before=watch.minor if (contract.currency or watch.currency) == watch.currency else 0,
        earned=watch.earned + watch.minor,
    )
    return with_period(with_period(renewals, watch, done), None, _staged(fresh, now_ms))


def _step(state: ClientState, period: Period, scorer: RenewalScorer, examples: list[RenewalExample]) -> ClientState:
    at_ms = _due_ms(period)
    if period.stage == len(_SCHEDULE):
        return _answered(state, period, at_ms, examples)
    done = replace(period, stage=period.stage + 1)
    contract = _contract_of(state, period)
    if period.fate == Fate.OPEN and contract is not None:
        # However late the client is woken: nothing has changed its state since, so the question is put as of its own time.
        asked = scorer.assess(state, period, contract, now_ms=at_ms, landmark=_SCHEDULE[period.stage])
        done = replace(done, asked=(*period.asked, asked))
    return replace(state, renewals=with_period(state.renewals, period, done))


def _answered(state: ClientState, period: Period, at_ms: int, examples: list[RenewalExample]) -> ClientState:
    contract = _contract_of(state, period)
    renewals = state.renewals
    if contract is None:
        return replace(state, renewals=with_period(renewals, period, None))
    if period.fate == Fate.OPEN and _billed_since(state, period):
        # Nobody wrote a record, but the work goes on: it rolled over.
        rolled = replace(contract, renews_ms=2 * period.renews_ms - period.began_ms)
        renewals = _renewed(renewals, period, rolled, at_ms)
        period = next(row for row in renewals.periods if row.contract_id == period.contract_id and row.fate == Fate.RENEWED)
    renewed = period.fate == Fate.RENEWED
    raised = renewed and period.minor > 0 and period.after >= RAISED * period.minor
    renewals = with_period(renewals, period, None)
    renewals = replace(
        renewals,
        known=renewals.known + 1,
        renewed=renewals.renewed + renewed,
        raised=renewals.raised + raised,
    )
    left = not renewed and not _still_here(state, renewals, period)
    examples.append(_example(state, period, contract, at_ms=at_ms, renewed=renewed, raised=raised, left=left))
    return replace(state, renewals=renewals)


def _billed_since(state: ClientState, period: Period) -> bool:
    return any(
        row.contract_id == period.contract_id and row.issued_at and row.issued_ms > period.renews_ms
        for row in state.ledger.invoices
    )


def _still_here(state: ClientState, renewals: Renewals, period: Period) -> bool:
    if any(row.fate != Fate.ENDING and row.contract_id != period.contract_id for row in renewals.periods):
        return True
    return any(row.issued_at and row.issued_ms > period.renews_ms for row in state.ledger.invoices)


def _example(
    state: ClientState, period: Period, contract: Contract, *, at_ms: int, renewed: bool, raised: bool, left: bool
) -> RenewalExample:
    began = min(contract.started_ms or period.began_ms, period.began_ms)
    # Validated as a whole, like the examples of invoices. A date that was moved back is past when that is told: known only then.
    fields = {
        "client_id": state.client_id,
        "decided_at": moment(max(at_ms, state.now_ms)),
        "contract_id": period.contract_id,
        "contract_type": period.contract_type,
        "segment": state.care.segment.value,
        "renewed": renewed,
        "raised": raised,
        "left": left,
        "age": period.age,
        "began_day": period.began_ms // DAY_MS,
        "renews_day": period.renews_ms // DAY_MS,
        "tenure_days": (period.began_ms - began) // DAY_MS,
        "minor": period.minor,
        "after": period.after if renewed else 0,
        "earned": period.earned + period.minor,
        "cost": contract.cost if contract.currency == period.currency else 0,
        "currency": period.currency,
        "table": RENEWAL_TABLE,
        "questions": tuple(_question(row) for row in period.asked if row.at_ms < at_ms),
        "cohort": cohort_of(state, contract.service_line, period.contract_type),
    }
    return RenewalExample.model_validate(fields)


def _question(row: RenewalAsked) -> dict[str, object]:
    return {
        "landmark": row.landmark,
        "asked_ms": row.at_ms,
        "features": b64encode(row.features).decode(),
        "chances": tuple([UNSAID if part == UNSAID else part / PER_CHANCE for part in row.chances]),
        "version": row.version,
    }


def _contract_of(state: ClientState, period: Period) -> Contract | None:
    return next((row for row in state.person.contracts if row.contract_id == period.contract_id), None)
