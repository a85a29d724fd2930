"""The journeys of the firm's own: what begins one, and which facts end it. Pure.

A run is about one payment, invoice, promise or period of a contract, so it is begun once however often the event is seen.
All else is as with every other journey: one gate, one budget, one order.
"""

import sys
from typing import Final

from msgspec.structs import replace

from models.events.delays import PromiseMade
from models.events.envelope import epoch_ms
from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.union import AnyClientEvent
from models.policy.gate import check
from models.policy.journeys import OwnEntry
from models.policy.openings import Opening, anchored, own_opening
from models.policy.own_conditions import Seen, holds, may_begin, size_seen
from models.policy.timing import Anchor
from models.policy.turn import Turn, find_run
from models.state.client import OWN, PREDICATES, PURPOSES, ClientState, Pending, Run, about_of, journey_of, own_anchor
from models.triggers import CancelWhen

_FACTUAL: Final = frozenset(
    {
        CancelWhen.INVOICES_SETTLED,
        CancelWhen.INVOICES_PROMISED,
        CancelWhen.PAYMENT_REVERSED,
        CancelWhen.CONTRACT_ENDED,
        CancelWhen.CONTRACT_RENEWED,
    }
)
"""Predicates that end a run for good; the others say when it may not speak."""

_COLLAPSING: Final = frozenset({Anchor.ISSUE, Anchor.DUE, Anchor.PROMISED})
"""Anchors of which the client's own rows tell, for as long as they are kept."""


def enter_own(turn: Turn, event: AnyClientEvent) -> None:
    """Begin the firm's own journeys whose event this is, where their conditions hold."""
    for playbook in turn.policy.journeys.own:
        entry = playbook.entry
        if not playbook.enabled or not isinstance(entry, OwnEntry):
            continue
        seen = _seen(entry.anchor, event, turn.state)
        if seen is None or not holds(entry, seen, turn.state, turn.policy) or not may_begin(turn.state, playbook):
            continue
        anchor = own_anchor(playbook.journey, seen.about)
        if find_run(turn.state, playbook.journey, anchor) is not None:
            continue
        size = size_seen(seen, turn.policy)
        run = Run(OWN, anchor, started_ms=seen.started_ms, ready_ms=turn.state.now_ms, subject=size)
        # What is learnt when its first day is long over has missed nothing: it is never begun.
        if own_opening(turn.state, turn.policy, run, playbook).end_ms > turn.state.now_ms:
            turn.put_run(run)
    _note_anchors(turn)


def _note_anchors(turn: Turn) -> None:
    """Keep with each run where what it counts from lies: what is settled collapses long before a far step is due."""
    care = turn.state.care
    runs = tuple(_noted(turn, run) if run.journey == OWN and not run.closed else run for run in care.runs)
    if runs != care.runs:
        turn.state = replace(turn.state, care=replace(care, runs=runs))


def _noted(turn: Turn, run: Run) -> Run:
    begun = turn.policy.of_run(run).journeys.own
    entry = next((row.entry for row in begun if row.journey == journey_of(run)), None)
    if not isinstance(entry, OwnEntry) or entry.anchor not in _COLLAPSING:
        return run
    moments = anchored(turn.state, run, entry.anchor)
    return replace(run, anchored=moments) if moments and moments != run.anchored else run


def exit_words(opening: Opening, state: ClientState) -> str | None:
    """Return which fact has ended a run of the firm's own, None while none has."""
    if opening.ended:
        return opening.ended
    step, run = opening.step, opening.run
    invoice_ids, payment_id = named_in(opening)
    row = Pending(
        trigger_id="",
        journey=run.journey,
        anchor=run.anchor,
        step=step.id,
        channel=step.channel,
        purpose=PURPOSES.index(step.purpose),
        not_before_ms=0,
        expires_ms=sys.maxsize,
        cancel_when=tuple(PREDICATES.index(predicate) for predicate in step.cancel_when if predicate in _FACTUAL),
        invoice_ids=invoice_ids,
        contract_id=opening.contract.contract_id if opening.contract else "",
        payment_id=payment_id,
    )
    result = check(state, row, now_ms=state.now_ms)
    return None if result.allowed else result.reasons[0]


def named_in(opening: Opening) -> tuple[tuple[str, ...], str]:
    """Return the invoices and the payment that a message hangs on: none but what its run is about."""
    entry = opening.playbook.entry if opening.playbook else None
    if not isinstance(entry, OwnEntry):
        return (), ""
    about = about_of(opening.run)
    match entry.anchor:
        case Anchor.ISSUE | Anchor.DUE:
            return (about,), ""
        case Anchor.PAYMENT:
            return (), about
        case _:
            return (), ""


def line_of(opening: Opening, state: ClientState) -> str:
    """Return the service line of the invoice that a run is about, or that its payment paid; empty where nobody knows it."""
    named, payment_id = named_in(opening)
    paid = [part.invoice_id for row in state.ledger.payments if row.payment_id == payment_id for part in row.parts[:1]]
    return next((row.service_line for row in state.ledger.invoices if row.invoice_id in (*named, *paid)), "")


def _seen(anchor: Anchor, event: AnyClientEvent, state: ClientState) -> Seen | None:
    """Return what `event` tells to a journey that begins at `anchor`, None where it is not its event."""
    match event:
        case PaymentReceived() if anchor is Anchor.PAYMENT:
            invoice = next((row for row in state.ledger.invoices if row.invoice_id == event.invoice_id), None)
            line, contract = (invoice.service_line, invoice.contract_id) if invoice else ("", "")
            return Seen(event.payment_id, event.occurred_ms, event.amount, line, contract, event.method)
        case InvoiceIssued() if anchor in {Anchor.ISSUE, Anchor.DUE}:
            line, contract = event.service_line or "", event.contract_id or ""
            return Seen(event.invoice_id, state.now_ms, event.amount, line, contract)
        case PromiseMade() if anchor is Anchor.PROMISED and epoch_ms(event.promised_at) > state.now_ms:
            return Seen(event.promise_id, state.now_ms, event.amount)
        case _:
            return None
