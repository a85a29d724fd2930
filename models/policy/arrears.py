"""Which overdue invoices may be asked for, from when on, and why the others may not. Facts only; delay_support decides."""

from collections.abc import Collection
from typing import Final

import msgspec
from msgspec.structs import replace

from models.money import Money
from models.policy.causes import Hypothesis, hypothesis
from models.policy.facts import Fact
from models.policy.foresight import foreseen, has_habit
from models.policy.gate import hold_on, hold_words, release_of
from models.policy.journeys import Ladder
from models.policy.material import owing, telling
from models.policy.offers import Way
from models.policy.policy import Policy
from models.policy.precedence import urgency_ms
from models.policy.replies import reply_about
from models.policy.segments import courtesy_days, effective_segment, is_unproven
from models.policy.silence import Silence
from models.policy.stakes import COST, too_dear, too_little
from models.state.balances import items
from models.state.client import JOURNEYS, ClientState, Run, Segment
from models.state.history import next_retry_ms, usual_amount
from models.state.plans import PLAN_GRACE_MS, Standing, is_agreed
from models.state.reckoning import IN_FLIGHT_BANK_DAYS, TRANSFER_BANK_DAYS, Item, dispute_open, left
from models.state.rows import Invoice, Ledger, Promise
from models.state.runs import is_begun
from models.triggers import Journey
from models.workdays import DAY_MS, bank_days_on, local_day, rolled_ms

_JOURNEY: Final = JOURNEYS.index(Journey.DELAY_SUPPORT)
_POSSIBLE: Final = {
    "plan_possible": Way.PLAN,
    "later_possible": Way.DEFERRAL,
    "split_possible": Way.SPLIT,
    "method_possible": Way.METHOD,
    "contact_possible": Way.CONTACT,
}
_NO_RUN: Final = Run(_JOURNEY, "")


class Arrear(msgspec.Struct, frozen=True):
    """One open invoice, its run, when its next step is due by itself (`core_ms`) and with every claim on it (`ready_ms`).

    `rest_ms`: until when no message names it: a claim on it has just ended, it was just edited, or it was announced for later.
    """

    item: Item
    run: Run
    core_ms: int
    ready_ms: int
    silence: Silence | None
    ladder: Ladder
    due_ms: int
    rest_ms: int

    @property
    def instalment(self) -> Standing | None:
        """The plan of which an instalment is missing; None where the invoice as a whole is meant."""
        standing = self.item.standing
        return standing if standing is not None and standing.is_missed and not standing.is_broken else None

    @property
    def is_exhausted(self) -> bool:
        """Say whether its ladder has no further step, or a last message that named it has said so."""
        return self.run.last or self.run.stage >= len(self.ladder.steps)

    @property
    def invoice(self) -> Invoice:
        """The invoice itself."""
        return self.item.invoice


def arrears(state: ClientState, policy: Policy) -> list[Arrear]:
    """Return all open invoices at the state's time, oldest due first."""
    rows = items(state.ledger, state.now_ms)
    # A client may have hundreds of open invoices: what is the same for all of them is found once.
    runs, is_claimed = _runs(state), _is_claimed(state.ledger)
    found = [_arrear(row, runs, state, policy, is_claimed=is_claimed) for row in rows]
    # Who has been asked about anything that is still open does not pay as always.
    if not policy.foresight_days or not has_habit(state) or any(is_begun(row.run) for row in found):
        return found
    return [_foreseen(row, found[0].due_ms, state, policy) if row.silence is None else row for row in found]


def earliest(state: ClientState, policy: Policy) -> tuple[int, str] | None:
    """Return (when, which) the first open invoice may need anything at all, None when none is open. Cheap: asks no claims."""
    if state.ledger.plans:
        return min(((row.core_ms, row.invoice.invoice_id) for row in arrears(state, policy)), default=None)
    first: tuple[int, str] | None = None
    runs = _runs(state)
    grace_ms = courtesy_days(state, policy) * DAY_MS
    for invoice in state.ledger.invoices:
        # Due dates only roll forward: one that is later than the first found as it stands need not be rolled to know it.
        if invoice.settled_ms or (first is not None and invoice.due_ms + grace_ms > first[0]) or not left(invoice):
            continue
        run = runs.get(invoice.invoice_id, _NO_RUN)
        found = (_core_ms(invoice, run, state, policy), invoice.invoice_id)
        if first is None or found < first:
            first = found
    return first


def ladder_of(run: Run, state: ClientState, policy: Policy) -> Ladder:
    """Return the ladder of a run: the one it was begun on, so that a move to another segment skips no step; else the client's."""
    return policy.of_run(run).journeys.delay[
        Segment(run.subject) if is_begun(run) and run.subject else effective_segment(state, state.now_ms)
    ]


def due_since(due_ms: int, state: ClientState, policy: Policy) -> int:
    """Return the end of the courtesy grace after the rolled due date, which holds two bank days where it is that long.

    So a transfer made on the day itself has arrived, also over a weekend.
    """
    zone, holidays, days = policy.zone_of(state), policy.holidays_of(state), courtesy_days(state, policy)
    due = rolled_ms(due_ms, zone, holidays)
    return max(due + days * DAY_MS, bank_days_on(due, min(days, TRANSFER_BANK_DAYS), zone, holidays))


def too_early(invoice_ids: Collection[str], state: ClientState, policy: Policy) -> str | None:
    """Return why a message that asks for these invoices speaks too early by now, None where it does not."""
    for item in items(state.ledger, state.now_ms):
        invoice = item.invoice
        if invoice.invoice_id not in invoice_ids:
            continue
        if due_since(invoice.due_ms, state, policy) > state.now_ms:
            return f"invoice {invoice.invoice_id} is not late by now: its due day, or the courtesy after it, was moved"
        if _announced_ms(invoice, state, policy) > state.now_ms:
            return f"payment of invoice {invoice.invoice_id} is announced for a later day by now"
    return None


def in_delay(state: ClientState, policy: Policy) -> bool:
    """Say whether money that is worth a message is late: what support will never write about keeps nobody from care."""
    grace_ms = courtesy_days(state, policy) * DAY_MS
    if not any(not row.settled_ms and row.due_ms + grace_ms <= state.now_ms and left(row) for row in state.ledger.invoices):
        return False  # at a glance: most clients owe nothing late
    late = (row for row in owing(state) if due_since(row[0], state, policy) <= state.now_ms)
    return bool(telling(late, state, policy))


def promise_ends(promise: Promise, state: ClientState, policy: Policy) -> int:
    """Return when a promise that nobody takes back is judged: a transfer made on its day has arrived, also over holidays."""
    return _banked(promise.promised_ms, TRANSFER_BANK_DAYS, state, policy)


def small_or_retried(found: list[Arrear], state: ClientState, policy: Policy, *, by: str) -> Silence | None:
    """Return why these invoices together are not worth a message now: too small, or the processor is about to try again.

    `by`: the channel it would leave by, whose cost may be more than they come to.
    """
    sums = sums_of(found)
    small = too_little(sums, state, policy)
    if small is not None:
        return Silence("small", (small,))
    dear = too_dear(sums, policy, by)
    if dear is not None:
        return Silence(COST, (dear,))
    return retried(state, policy)


def retried(state: ClientState, policy: Policy) -> Silence | None:
    """Return why nobody needs to write now: the processor is about to try a payment again, None where it is not."""
    retry = next_retry_ms(state)
    if retry is not None and retry < state.now_ms + policy.retry_days * DAY_MS:
        return Silence("retry", ("the processor is about to try the payment again by itself",), retry + DAY_MS)
    return None


def sums_of(found: list[Arrear]) -> dict[str, int]:
    """Return what may be asked for on these invoices, in minor units per currency, in the order of their codes."""
    sums: dict[str, int] = {}
    for row in found:
        code = row.invoice.currency
        sums[code] = sums.get(code, 0) + row.item.rest
    return dict(sorted(sums.items()))


def facts_of(found: list[Arrear], carrying: Arrear, state: ClientState, policy: Policy, why: Hypothesis) -> dict[str, Fact]:
    """Return the facts a servicing message about these invoices may state; `why` is what `why_late` says of them."""
    zone = policy.zone_of(state)
    oldest = min(found, key=lambda row: row.due_ms)
    plan = carrying.instalment
    return {
        "name": state.person.name.value,
        "invoice_numbers": ", ".join(row.invoice.invoice_id for row in found[:5]),
        "invoice_count": len(found),
        "amount_open": Money(sums_of(found)[carrying.invoice.currency], carrying.invoice.currency),
        "due_date": local_day(oldest.due_ms, zone).isoformat(),
        "days_overdue": max(0, (local_day(state.now_ms, zone) - local_day(oldest.due_ms, zone)).days),
        "service_line": carrying.invoice.service_line,
        "part_paid": any(row.invoice.paid for row in found),
        **offered(found, carrying, state, policy, why),
        **({"instalment": plan.number, "instalments": plan.of} if plan else {}),
    }


def offered(found: list[Arrear], carrying: Arrear, state: ClientState, policy: Policy, why: Hypothesis) -> dict[str, Fact]:
    """Return the likeliest cause and the ways out that a message about these invoices may offer by itself."""
    cause, segment = why.cause, effective_segment(state, state.now_ms)
    code = carrying.invoice.currency
    ways, terms = policy.offers.ways(segment, cause, Money(sums_of(found)[code], code)), policy.offers.segments[segment]
    return {
        "cause": cause.value if cause else "",
        **{name: way in ways for name, way in _POSSIBLE.items()},
        "most_instalments": terms.most_instalments,
        "most_days": terms.most_days,
    }


def why_late(found: list[Arrear], carrying: Arrear, state: ClientState, policy: Policy) -> Hypothesis:
    """Return why these invoices may be late; nothing of an instalment, of which a plan says enough, or where nobody may guess."""
    if carrying.instalment or not policy.guess_causes:
        return Hypothesis()
    return hypothesis(state, {row.invoice.invoice_id for row in found})


def is_high_value(found: list[Arrear], state: ClientState, policy: Policy) -> bool:
    """Say whether the sum in any currency is far above what this client is usually asked for: then a person comes first."""
    for code, total in sums_of(found).items():
        usual = usual_amount(state, code)
        if usual is not None and total >= policy.high_value_ratio * usual:
            return True
    return False


def _runs(state: ClientState) -> dict[str, Run]:
    """Return the runs of this journey by what they are about; of several the first, as `find_run` does."""
    return {run.anchor: run for run in reversed(state.care.runs) if run.journey == _JOURNEY}


def _is_claimed(ledger: Ledger) -> bool:
    """Say whether anything may hold back an invoice, or have held it back: without, `_claims` has nothing to find."""
    return bool(ledger.disputes or ledger.promises or ledger.plans) or any(row.pending for row in ledger.payments)


def _arrear(item: Item, runs: dict[str, Run], state: ClientState, policy: Policy, *, is_claimed: bool) -> Arrear:
    invoice, plan = item.invoice, item.standing
    missing = plan is not None and plan.is_missed and not plan.is_broken
    anchor = plan.anchor if plan is not None and missing else invoice.invoice_id
    run = runs.get(anchor) or Run(_JOURNEY, anchor)
    due_ms = plan.due_ms if plan is not None and missing else invoice.due_ms
    if plan is not None and missing:
        core = max(due_since(due_ms, state, policy), plan.plan.agreed_at + policy.settle_days * DAY_MS, run.ready_ms)
        ladder = policy.of_run(run).journeys.instalment
    else:
        core = _core_ms(invoice, run, state, policy)
        ladder = ladder_of(run, state, policy)
    ready, until = _claims(item, state, policy) if is_claimed else (0, 0)
    silence = _silence(item, run, state, policy, until)
    rest = max(ready, _settled_ms(invoice, policy), _announced_ms(invoice, state, policy))
    return Arrear(item, run, core, max(core, ready), silence, ladder, due_ms, rest)


def _foreseen(row: Arrear, oldest_ms: int, state: ClientState, policy: Policy) -> Arrear:
    """Return the row silent while the client, as always, will pay within days. Never before a person, and only the first time."""
    invoice, ladder = row.invoice, row.ladder
    if row.run.ready_ms or row.ready_ms > row.core_ms or invoice.expected_ms or urgency_ms(state, invoice.invoice_id):
        return row  # it had its day already, a claim has ended, or somebody has said when
    silence = foreseen(
        state,
        invoice,
        step_ms=row.core_ms,
        oldest_ms=oldest_ms,
        within_days=policy.foresight_days,
        ages=policy.max_age,
        by_habit=is_unproven(state, policy),
    )
    is_personal = ladder.human_first or ladder.steps[0].channel in policy.internal_channels
    if silence is None or is_personal or is_high_value([row], state, policy):
        return row
    if any(known.journey == _JOURNEY and known.anchor == row.run.anchor for known in state.care.approvals):
        return row
    return replace(row, silence=silence)


def _core_ms(invoice: Invoice, run: Run, state: ClientState, policy: Policy) -> int:
    core = due = due_since(invoice.due_ms, state, policy)
    if not run.stage and not run.human:
        ladder = ladder_of(run, state, policy)
        core += 0 if ladder.human_first else ladder.steps[0].after_days * DAY_MS
    ready = run.ready_ms
    if state.person.overrides:
        # A word on how soon moves what the ladder waits; courtesy, and the rest after a message, stay whole.
        moved = urgency_ms(state, invoice.invoice_id)
        core, rest = max(due, core + moved), run.sent_ms + policy.min_gap_days * DAY_MS if run.sent_ms else ready
        ready = max(min(ready, rest), ready + moved) if ready else 0
    core = max(core, _settled_ms(invoice, policy), ready)
    return max(core, _announced_ms(invoice, state, policy))


def _announced_ms(invoice: Invoice, state: ClientState, policy: Policy) -> int:
    """Return until when an announced payment is waited for, 0 where none was announced."""
    if not invoice.expected_ms:
        return 0
    limit = invoice.due_ms + policy.expected_limit_days * DAY_MS
    return min(invoice.expected_ms, limit) + courtesy_days(state, policy) * DAY_MS


def _settled_ms(invoice: Invoice, policy: Policy) -> int:
    """Return when the news of an invoice have settled: it became known, or was edited, and who edits may not be done yet."""
    return max(invoice.seen_ms, invoice.amended_at) + policy.settle_days * DAY_MS


def _banked(at_ms: int, days: int, state: ClientState, policy: Policy) -> int:
    """Return when so many bank days after a moment have passed for this client; never before the weekdays alone have."""
    return max(bank_days_on(at_ms, days), bank_days_on(at_ms, days, policy.zone_of(state), policy.holidays_of(state)))


def _claims(item: Item, state: ClientState, policy: Policy) -> tuple[int, int]:
    """Return (from when on claims that have ended let us ask again, when the claims that still hold end by themselves)."""
    invoice = item.invoice
    ledger, (ready, until) = state.ledger, _promises(item, state, policy)
    ready = max(ready, _after_plans(invoice, state, policy))
    fresh = courtesy_days(state, policy) * DAY_MS
    for dispute in ledger.disputes:
        if dispute.invoice_id in {"", invoice.invoice_id} and not dispute_open(dispute):
            ready = max(ready, dispute.closed_at + fresh)
    for payment in ledger.payments:
        if payment.pending and payment.pending_invoice in {"", invoice.invoice_id}:
            if payment.failed_at >= payment.pending_at:
                ready = max(ready, payment.failed_at + policy.settle_days * DAY_MS)
            elif not payment.parts and not payment.whole:
                until = max(until, _banked(payment.expected_ms, IN_FLIGHT_BANK_DAYS, state, policy))
    return max(ready, until), until


def _promises(item: Item, state: ClientState, policy: Policy) -> tuple[int, int]:
    """Return the same of promises alone. One of a part holds nothing back but that part."""
    ready = until = 0
    for promise in state.ledger.promises:
        if promise.invoice_id in {"", item.invoice.invoice_id} and promise.made_at:
            if promise.withdrawn_at >= promise.made_at:
                ready = max(ready, promise.withdrawn_at + policy.settle_days * DAY_MS)
            elif not (item.promised and item.rest):
                until = max(until, promise_ends(promise, state, policy))
    return ready, until


def _silence(item: Item, run: Run, state: ClientState, policy: Policy, until: int) -> Silence | None:  # noqa: PLR0911 - one return per reason reads best
    name = f"invoice {item.invoice.invoice_id}"
    if item.disputed:
        return Silence("disputed", (f"{name} is disputed: nothing is asked for until that is settled",))
    if item.planned and not item.rest and item.standing is not None and not item.standing.is_missed:
        return _planned(name, item.standing, state, policy)
    if item.promised and not item.rest:
        return Silence("promised", (f"payment of {name} is promised",), until)
    if item.in_flight:
        return Silence("in_flight", (f"a payment of {name} is under way",), until)
    if not item.rest:
        return Silence("covered", (f"cash or credit on account covers {name}",))
    if item.invoice.refunded:
        return Silence("refunded", (f"money of {name} was given back: a person decides whether it is still owed",))
    if run.closed:
        return Silence("closed", (f"messages about {name} cannot be delivered: a person is needed",))
    paused = _paused(item.invoice.invoice_id, state, policy)
    if paused is not None:
        return paused
    late_start = item.invoice.seen_ms - _asked_from(item) > policy.adopt_after_days * DAY_MS
    if late_start and not run.stage and not run.begun_under and release_of(state, Journey.DELAY_SUPPORT, state.now_ms) is None:
        return Silence("adopt", (f"{name} was long overdue when it became known: it starts only when a person releases it",))
    return None


def _paused(invoice_id: str, state: ClientState, policy: Policy) -> Silence | None:
    """Return why this invoice alone waits: somebody said so, or the client has written about it."""
    hold = hold_on(state, invoice_id, state.now_ms) if state.person.overrides else None
    if hold is not None:
        return Silence("hold", (hold_words(invoice_id, hold),), hold.expires_ms)
    return reply_about(state, policy, invoice_id) if state.care.replies else None


def _after_plans(invoice: Invoice, state: ClientState, policy: Policy) -> int:
    ended = [row.cancelled_at for row in state.ledger.plans if row.invoice_id == invoice.invoice_id and not is_agreed(row)]
    return max(ended) + policy.settle_days * DAY_MS if ended else 0


def _asked_from(item: Item) -> int:
    plan = item.standing
    return item.invoice.due_ms if plan is None or plan.is_broken else plan.due_ms


def missed_from(plan: Standing, state: ClientState, policy: Policy) -> int:
    """Return from when on the next instalment of a plan counts as missing."""
    return max(due_since(plan.due_ms, state, policy), plan.due_ms + PLAN_GRACE_MS)


def _planned(name: str, plan: Standing, state: ClientState, policy: Policy) -> Silence:
    """Return why nothing is said while a plan holds, until its next instalment may be missing."""
    day = local_day(plan.due_ms, policy.zone_of(state)).isoformat()
    which = f"instalment {plan.number} of {plan.of}" if plan.of > 1 else "all of it"
    return Silence("planned", (f"a plan covers {name}: {which} is due on {day}",), missed_from(plan, state, policy))
