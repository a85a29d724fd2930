"""One client pays for another: a parent for its child. What is about money lives with the one that pays, and only there.

So a payment finds its invoice whichever of the two it names, and all that is said about money is said to one company within one
contact budget. As after a merge nothing is shared: what moves are events on the log, numbered by the one that passes them on.
"""

from base64 import b64decode, b64encode
from typing import Final

from msgspec.structs import replace

from models.events.envelope import PassedOn
from models.events.signals import ClientAbsorbed, ClientDelegated, ClientEntrusted
from models.events.union import AnyClientEvent
from models.ids import derive
from models.learners.questions import notice
from models.policy.outcomes import take_back
from models.policy.turn import NOTES_KEPT, Turn
from models.state.client import JOURNEYS, ClientState, Memory, Note
from models.state.codec import decode, encode
from models.state.elsewhere import facts_named, facts_of, fingerprints, follows_money, is_about_money, noted, place_of
from models.state.habits import Habits
from models.state.identity import parts, told_to, with_child
from models.state.joining import joined_money
from models.state.reckoning import is_live
from models.state.rhythm import Rhythm
from models.state.rows import Invoice, Ledger
from models.triggers import CancelWhen, Journey
from models.workdays import moment

SOURCE: Final = "rapport"
_SUPPORT: Final = JOURNEYS.index(Journey.DELAY_SUPPORT)


def delegate(turn: Turn, event: ClientDelegated) -> None:
    """Let another client pay from now on, or this one by itself again; an earlier word changes nothing."""
    who, payer = turn.state.identity, event.payer or ""
    if (who.payer_at, who.payer) >= (event.occurred_ms, payer):
        return
    if payer in {turn.state.client_id, *parts(who)}:
        note(turn, "refused", f"{event.author} would have {payer} pay for it, which is part of it")
        return
    turn.state = replace(turn.state, identity=replace(who, payer=payer, payer_at=event.occurred_ms))
    if payer == who.payer:
        return
    if who.payer:
        _send(turn, ClientEntrusted(**_envelope(turn, who.payer)), who.payer)
        note(turn, "pays itself", f"{who.payer} does not pay for it any more: {event.reason}")
    if payer:
        hand_over(turn, event.reason, known_ms=event.received_ms)
        note(turn, "paid for", f"{payer} pays for it: {event.reason}")


def hand_over(turn: Turn, reason: str, *, known_ms: int) -> None:
    """Take back what was said about money, and hand all that is about money over to who pays; nothing where nobody else does."""
    payer, known_ms = turn.state.identity.payer, min(turn.state.now_ms, known_ms)
    if not payer:
        return
    for row in turn.state.care.pending:
        if row.invoice_ids and not row.retracted:
            take_back(turn, row, CancelWhen.CLIENT_MERGED, (f"{payer} pays for it now: {reason}",), known_ms=known_ms)
    state = turn.state
    luggage = ClientState(
        state.client_id,
        now_ms=state.now_ms,
        first_seen_ms=state.first_seen_ms,
        ledger=state.ledger,
        rhythm=state.rhythm,
        habits=state.habits,
        feeds=state.feeds,
        memory=Memory(closed=state.memory.closed),
    )
    care = replace(
        state.care,
        runs=tuple(row for row in state.care.runs if row.journey != _SUPPORT),
        unanswered=tuple(row for row in state.care.unanswered if not row.message.invoice_ids),
    )
    memory = replace(state.memory, closed=b"")
    turn.state = replace(state, ledger=Ledger(), rhythm=Rhythm(), habits=Habits(), feeds=(), care=care, memory=memory)
    packed = b64encode(encode(luggage)).decode()
    _send(turn, ClientEntrusted(**_envelope(turn, payer), state=packed), payer, facts_of(luggage))


def entrusts(turn: Turn, event: AnyClientEvent) -> bool:
    """Pass what is about money on to who has it, or who pays; False for all that is the client's own.

    A word about it takes the same way, and tells of no fact: that it names an invoice does not say that there is one.
    """
    who = turn.state.identity
    if not who.payer and not who.elsewhere:
        return False  # as for almost every client
    facts = b"" if isinstance(event, ClientAbsorbed) else facts_in(event)
    place = place_of(turn.state, event) if facts or follows_money(event) else ""
    if not place:
        return False
    _send(turn, event, place, facts)
    return True


def facts_in(event: AnyClientEvent) -> bytes:
    """Return the fingerprints of the facts that an event tells of, none where it is not about money."""
    if isinstance(event, ClientAbsorbed | ClientEntrusted):
        return _facts_known(_unpacked(event.state)) if event.state else b""
    return fingerprints(facts_named(event)) if is_about_money(event) else b""


def take_over(turn: Turn, event: ClientEntrusted) -> None:
    """Take in what a client owes and has paid for whom this one pays; or learn that it pays for itself again."""
    state = turn.state
    child = event.passed_on.children[-1] if event.passed_on and event.passed_on.children else ""
    if child and child != state.client_id:
        state = turn.state = replace(state, identity=with_child(state.identity, child, ended=event.state is None))
    if event.state is None:
        note(turn, "pays itself", f"{child} pays for itself again; what came before stays")
        return
    other = _unpacked(event.state)
    after = joined_money(state, other)
    learn_of(turn, other, replace(after, first_seen_ms=state.first_seen_ms or other.first_seen_ms))
    note(turn, "pays for", f"what {other.client_id} owes is its own to pay")


def learn_of(turn: Turn, other: ClientState, after: ClientState) -> None:
    """Put `after`, the state with another one in it, in force: only what the two together change is news to learners."""
    before = turn.state
    theirs = {row.invoice_id: row for row in other.ledger.invoices}
    mine = [_told(row, theirs.pop(row.invoice_id, row)) for row in before.ledger.invoices]
    counted = replace(before, ledger=replace(before.ledger, invoices=(*mine, *theirs.values())))
    turn.state, answers = notice(counted, after, turn.scorer)
    turn.outputs += answers


def let_go(turn: Turn, *names: str) -> None:
    """Say to clients that this one pays for them no more, because it was forgotten; without names, to all it pays for."""
    state = turn.state
    # The word must hold against the one that named the payer, which may be of the same millisecond.
    after, now = moment(state.now_ms + 1), moment(state.now_ms)
    for name in names or tuple(row.client_id for row in state.identity.children if not row.ended):
        word = ClientDelegated(
            event_id=derive("delegated", name, state.client_id, state.now_ms),
            source=SOURCE,
            client_id=name,
            occurred_at=after,
            received_at=now,
            author=SOURCE,
            reason=f"{state.client_id} paid for it and has asked to be forgotten",
        )
        turn.outputs.append(word)


def pass_by(turn: Turn, event: AnyClientEvent) -> None:
    """Do what one that was forgotten still does: pass on what names facts of others, and pay for nobody."""
    if not entrusts(turn, event) and isinstance(event, ClientEntrusted) and event.state and event.passed_on:
        let_go(turn, event.passed_on.children[-1])


def part_with_payer(turn: Turn) -> None:
    """Say to who pays that this client is no client of its own any more: who pays is a matter of the one that remains."""
    payer = turn.state.identity.payer
    if payer:
        _send(turn, ClientEntrusted(**_envelope(turn, payer)), payer)
        turn.state = replace(turn.state, identity=replace(turn.state.identity, payer=""))


def note(turn: Turn, what: str, reason: str) -> None:
    """Keep a word about who the client is, for `rapport inspect`."""
    care, row = turn.state.care, Note(turn.state.now_ms, what, "client", reason[:120])
    turn.state = replace(turn.state, care=replace(care, notes=(*care.notes, row)[-NOTES_KEPT:]))


def _send(turn: Turn, event: AnyClientEvent, place: str, facts: bytes = b"") -> None:
    state, before = turn.state, event.passed_on
    children = (*(before.children if before else ()), state.client_id)
    came = PassedOn(children=children, number=told_to(state.identity, place) + 1, first=1)
    turn.outputs.append(event.model_copy(update={"client_id": place, "passed_on": came}))
    turn.state = noted(state, place, facts, told=1)


def _envelope(turn: Turn, payer: str) -> dict[str, object]:
    state, now = turn.state, moment(turn.state.now_ms)
    return {
        "event_id": derive("entrusted", state.client_id, payer, told_to(state.identity, payer) + 1),
        "source": SOURCE,
        "client_id": payer,
        "occurred_at": now,
        "received_at": now,
    }


def _facts_known(state: ClientState) -> bytes:
    """Return the facts that a state has, and those of which it knows who has them."""
    return b"".join((facts_of(state), *(row.facts for row in state.identity.elsewhere)))


def _unpacked(packed: str) -> ClientState:
    return decode(b64decode(packed))


def _told(mine: Invoice, theirs: Invoice) -> Invoice:
    return mine if is_live(mine) else theirs
