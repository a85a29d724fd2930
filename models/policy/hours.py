"""At which hour a client is written to: as they said, else as their answers taught, and only while contact is welcome.

An answer is a reply, a message read in the portal, a wish, or a card payment soon after we asked for money: a person did it then.
That a mail was opened says nothing. Answers are counted by part of the client's own day and fade, so the last twenty or so count.
A part is learnt when it holds clearly more of them than its share of the welcome hours; then messages wait for it, a day at most.
One message in eight goes as if nothing were learnt, so that a habit that has changed is noticed.
"""

from datetime import time, timedelta
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from models.policy.policy import Policy
from models.state.client import ClientState
from models.state.habits import mark_of
from models.workdays import DAY_MS, moment, wall_ms

PARTS: Final = (
    (time(0), "in the early morning"),
    (time(10), "in the late morning"),
    (time(12), "in the early afternoon"),
    (time(15), "in the late afternoon"),
)
"""When each part of the day begins, and its name."""

EXPLORED: Final = 8
"""One message of so many goes at the first welcome hour whatever was learnt."""

_WHOLE: Final = 100  # one fresh answer
_FADES: Final = 0.95
_LEAST: Final = 3 * _WHOLE
_PRIOR: Final = 4 * _WHOLE  # answers spread over the welcome hours that every client is thought to have given
_CLEARLY: Final = 0.2  # above its share of the welcome hours


def heard_at(state: ClientState, at_ms: int, policy: Policy) -> ClientState:
    """Count one answer that came at a moment; the earlier ones fade."""
    counts = [round(count * _FADES) for count in state.care.answers or (0,) * len(PARTS)]
    counts[_part(moment(at_ms).astimezone(policy.zone_of(state)).time())] += _WHOLE
    return replace(state, care=replace(state.care, answers=tuple(counts)))


def learnt_part(state: ClientState, policy: Policy) -> int | None:
    """Return the part of the day in which the client clearly answers most, None where nothing is clear."""
    counts, shares = state.care.answers, _welcome(policy)
    total = sum(counts)
    if total < _LEAST:
        return None
    best = max(range(len(PARTS)), key=lambda part: counts[part] if shares[part] else -1)
    believed = (counts[best] + _PRIOR * shares[best]) / (total + _PRIOR)
    return best if believed >= shares[best] + _CLEARLY else None


def hour_of(state: ClientState, policy: Policy, *, at_ms: int, what: str, channel: str = "") -> tuple[int, str]:
    """Return when a message that could leave at `at_ms` by `channel` leaves, and why; no reason where nothing moves it.

    What the client said holds as it is, whatever was learnt. For what was learnt a message waits a day at most. `what` names
    the message: the same one is always explored, or never.
    """
    base, part = policy.open_hour(state, at_ms, channel), learnt_part(state, policy)
    window, welcome = policy.window_of(state, channel), policy.welcome(channel)
    if window != welcome:
        return base, f"sent from {window.opens:%H:%M} to {window.closes:%H:%M} their time, as they asked"
    if part is None or not mark_of(f"{state.client_id}:{what}") % EXPLORED:
        return base, ""
    zone = policy.zone_of(state)
    local = moment(base).astimezone(zone)
    if _part(local.time()) == part:
        return base, ""
    begins = max(PARTS[part][0], welcome.opens)
    for ahead in (0, 1):
        at = wall_ms(local.date() + timedelta(days=ahead), begins, zone)
        if base <= at <= base + DAY_MS and policy.open_hour(state, at, channel) == at:
            return at, f"sent from {begins:%H:%M} their time: {_words(state, part)}"
    return base, ""


def explain_hour(state: ClientState, policy: Policy) -> str:
    """Return in words what is known of the hour at which the client answers; empty where nothing is learnt."""
    part = learnt_part(state, policy)
    return "" if part is None else _words(state, part)


def _words(state: ClientState, part: int) -> str:
    counts = state.care.answers
    return f"they answer mostly {PARTS[part][1]} ({counts[part] / sum(counts):.0%} of recent answers)"


def _part(clock: time) -> int:
    return sum(clock >= begins for begins, _ in PARTS) - 1


def _welcome(policy: Policy) -> list[float]:
    """Return the share of the welcome hours that lies in each part of the day."""
    opens, closes = _minutes(policy.window.opens), _minutes(policy.window.closes)
    edges = [*(_minutes(begins) for begins, _ in PARTS), 24 * 60]
    spans = [max(0, min(closes, after) - max(opens, before)) for before, after in pairwise(edges)]
    return [span / (closes - opens) for span in spans]


def _minutes(clock: time) -> int:
    return 60 * clock.hour + clock.minute
