"""Whoever wrote back is read before they are written to again: a reply or a request pauses what asks for money, for a few days.

Letters promise it ("reply with the day, and we will not write before it"); somebody has to read the reply to keep that promise.
"""

from datetime import timedelta

from msgspec.structs import replace

from models.policy.policy import Policy
from models.policy.silence import Silence
from models.state.client import ClientState
from models.workdays import local_day, roll_forward, wall_ms


def note_reply(state: ClientState, at_ms: int) -> ClientState:
    """Remember when the client last wrote back or asked for something."""
    return replace(state, care=replace(state.care, replied_ms=max(state.care.replied_ms, at_ms)))


def note_answered(state: ClientState) -> ClientState:
    """Forget the reply: a colleague has ended the task about it."""
    return replace(state, care=replace(state.care, replied_ms=0))


def reply_silence(state: ClientState, policy: Policy) -> Silence | None:
    """Return why the next message about late money waits, None when it does not: they replied, and nobody has answered yet.

    It lasts `reply_days` business days of the client's own calendar, or until somebody has spoken with them or ended the task.
    """
    at = state.care.replied_ms
    if not at or not policy.reply_days or state.care.last_human_ms >= at:
        return None
    zone, holidays = policy.zone_of(state), policy.holidays_of(state)
    replied = day = local_day(at, zone)
    for _ in range(policy.reply_days):
        day = roll_forward(day + timedelta(days=1), holidays)
    until = wall_ms(day, policy.window.closes, zone)
    if state.now_ms >= until:
        return None
    words = f"they wrote to us on {replied.isoformat()}: it waits until {day.isoformat()}, or until a colleague has answered"
    return Silence("replied", (words,), until)
