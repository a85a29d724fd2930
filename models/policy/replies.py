"""Whoever wrote back is read before they are written to again: a reply or a request pauses what asks for money, for a few days.

Letters promise it ("reply with the day, and we will not write before it"); somebody has to read the reply to keep that promise.
A reply to a message that named one invoice alone pauses that one; any other pauses all.
"""

from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from models.policy.policy import Policy
from models.policy.silence import Silence
from models.state.client import ClientState
from models.workdays import local_day, roll_forward, wall_ms

KEPT: Final = 4
"""Replies about single invoices that are remembered; of more, the oldest pause everything, as one about nothing in particular."""


def note_reply(state: ClientState, at_ms: int, invoice_id: str = "") -> ClientState:
    """Remember when the client last wrote back or asked for something; with an invoice, that it was about this one alone.

    A mail is told twice, as an answer to our message and as words for a person: of one moment the answer says what it is about.
    """
    care = state.care
    if invoice_id:
        replies = tuple(sorted({*care.replies, (at_ms, invoice_id)}))
        wide = [at for at, _ in replies[:-KEPT]]
        return replace(state, care=replace(care, replies=replies[-KEPT:], replied_ms=max(care.replied_ms, *wide, 0)))
    if any(at == at_ms for at, _ in care.replies):
        return state
    return replace(state, care=replace(care, replied_ms=max(care.replied_ms, at_ms)))


def note_answered(state: ClientState) -> ClientState:
    """Forget the replies: a colleague has ended the task about them."""
    return replace(state, care=replace(state.care, replied_ms=0, replies=()))


def written_about(state: ClientState, at_ms: int) -> str:
    """Return the invoice that what the client wrote at this moment is about, empty where it is about no single one."""
    return next((invoice_id for at, invoice_id in state.care.replies if at == at_ms), "")


def reply_silence(state: ClientState, policy: Policy) -> Silence | None:
    """Return why the next message about late money waits, None when it does not: they replied, and nobody has answered yet.

    It lasts `reply_days` business days of the client's own calendar, or until somebody has spoken with them or ended the task.
    """
    return _silence(state.care.replied_ms, "", state, policy)


def reply_about(state: ClientState, policy: Policy, invoice_id: str) -> Silence | None:
    """Return why an invoice is in no message for now, None when it is: they have written about this one alone."""
    at = max((at for at, named in state.care.replies if named == invoice_id), default=0)
    return _silence(at, f" about invoice {invoice_id}", state, policy)


def _silence(at: int, about: str, state: ClientState, policy: Policy) -> Silence | None:
    if not at or not policy.reply_days or state.care.last_human_ms >= at:
        return None
    zone, holidays = policy.zone_of(state), policy.holidays_of(state)
    replied = day = local_day(at, zone)
    for _ in range(policy.reply_days):
        day = roll_forward(day + timedelta(days=1), holidays)
    until = wall_ms(day, policy.window.closes, zone)
    if state.now_ms >= until:
        return None
    wrote = f"they wrote to us{about} on {replied.isoformat()}"
    return Silence("replied", (f"{wrote}: it waits until {day.isoformat()}, or until a colleague has answered",), until)
