"""What stands in the way of contact that somebody could change: one line each, "it would leave if ...", with who and how.

What ends by itself (hours, distances, the month's budget) is no such thing, nor is what nobody should change to write sooner.
"""

from collections.abc import Iterator

from models.events.control import HaltScope
from models.policy.monthly import NO
from models.regime import Regime
from models.state.approvals import ASKED
from models.state.client import PURPOSES, ClientState, journey_of
from models.state.person import OF_ADDRESS, in_force, is_lifted
from models.state.plans import is_agreed
from models.state.reckoning import dispute_open, promise_holds
from models.triggers import Journey
from models.workdays import moment


def would_leave_if(state: ClientState, regime: Regime) -> list[str]:
    """Return what would have to change for messages to this client to leave that do not now; nothing where nothing waits.

    Something waits if money is open, or a message was decided and has not left.
    """
    if state.erased_ms or state.identity.into or not (state.care.pending or state.ledger.invoices):
        return []
    rows = (*_regime(state, regime), *_people(state), *_wishes(state), *_claims(state), *_unseen(state))
    more = f" (one of {len(rows)} things in the way)" if len(rows) > 1 else ""
    return [f"it would leave if {row}{more}" for row in rows]


def _regime(state: ClientState, regime: Regime) -> Iterator[str]:
    for halt in regime.halts:
        if halt.scope is HaltScope.EXPERIMENT:
            continue  # it gives every company the step as it stands, and holds nothing back
        what = f"{halt.scope.value} {halt.target}".strip()
        yield f"the stop of {what} by {halt.author} were lifted: rapport resume {what}"
    for feed in regime.late_among(state.feeds):
        yield f"{feed.feed} delivered again, or somebody says that it does: rapport feeds on-time {feed.feed}"


def _people(state: ClientState) -> Iterator[str]:
    for row in state.person.overrides:
        if row.effect in {"hold", "legal_hold"} and in_force(row, state.now_ms):
            what = _of(row.invoice_id) or (f" of {row.journey}" if row.journey else "")
            command = f"rapport overrides lift {state.client_id} {row.override_id[:12]}"
            command += ' --reason "..."' if row.effect == "legal_hold" else ""
            hold = row.effect.replace("_", " ")
            yield f"the {hold}{what} by {row.author} were lifted before {moment(row.expires_ms):%Y-%m-%d}: {command}"
    for asked in state.care.approvals:
        if asked.answer == ASKED:
            yield f"somebody approved {asked.step}: rapport tasks done {asked.trigger_id[:12]} --outcome approved"


def _wishes(state: ClientState) -> Iterator[str]:
    person = state.person
    latest = {(row.purpose, row.channel): row for row in sorted(person.consents, key=lambda row: (row.at, not row.granted))}
    for (purpose, channel), row in latest.items():
        if not row.granted:
            by = f" by {channel}" if channel else ""
            yield f"the client allowed {PURPOSES[purpose].value} contact{by} again: their word alone counts"
    if person.statements.value == NO:
        yield "the client wanted monthly statements again, as far as those are meant: their word alone counts"
    for closed in person.suppressions:
        if any(not is_lifted(person, closed, purpose=index) for index in range(len(PURPOSES)) if closed.purpose in {-1, index}):
            how = "an address that works were entered" if closed.cause in OF_ADDRESS else "the client asked for it again"
            yield f"{how} for {closed.channel}, which is suppressed ({closed.cause})"
    if not (person.email.value or person.phone.value or any(row.email or row.phone for row in person.colleagues)):
        yield "an address or a telephone number of the client were known"


def _claims(state: ClientState) -> Iterator[str]:
    ledger = state.ledger
    for dispute in ledger.disputes:
        if dispute_open(dispute) and not dispute.lost:  # what was lost stays out of collection whatever anybody does
            yield f"dispute {dispute.dispute_id}{_of(dispute.invoice_id)} were settled"
    for promise in ledger.promises:
        if promise_holds(promise, state.now_ms):
            day = moment(promise.promised_ms)
            yield f"the promise to pay{_of(promise.invoice_id)} by {day:%Y-%m-%d} were withdrawn, or not kept"
    for plan in ledger.plans:
        if is_agreed(plan):
            yield f"the plan of {len(plan.parts)} instalments{_of(plan.invoice_id)} were ended, or not kept"


def _unseen(state: ClientState) -> Iterator[str]:
    adopted = [row for row in state.care.runs if row.told == "adopt" and journey_of(row) is Journey.DELAY_SUPPORT]
    if adopted:
        names = ", ".join(row.anchor for row in adopted[:3])
        command = f"rapport overrides set {state.client_id} --effect release"
        yield f"a person released what was taken over long overdue ({names}): {command}"


def _of(invoice_id: str) -> str:
    return f" of invoice {invoice_id}" if invoice_id else ""
