"""Every reason not to contact a client that does not come from the anchor itself: holds, wishes, the contact budget."""

from dataclasses import dataclass, replace
from typing import Final

from models.events.signals import Purpose
from models.learnt import Learnt
from models.policy.audience import audience_of
from models.policy.budget import full
from models.policy.gate import hold_of, legal_hold_of, legal_words, refusal
from models.policy.holdout import held_out
from models.policy.journeys import Step
from models.policy.policy import Policy
from models.policy.reach import has_other_way, rest_of
from models.state.client import ClientState
from models.state.person import OF_ADDRESS
from models.triggers import AnyJourney, Journey, Tone
from models.workdays import HOUR_MS

_ADDRESS: Final = tuple(f"({cause})" for cause in OF_ADDRESS)
_NEED_NEWS: Final = frozenset({Journey.DELAY_SUPPORT, Journey.BANK_DEBIT, Journey.GAP_CHECKIN, Journey.STATEMENT})
"""Journeys that begin because no money was seen: when its news are late, our lag is no fault of the client's."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Why nothing is sent now. `code` names the reason, `until_ms` when it ends by itself (0: it does not).

    `learnt` is what it rests on, of what learners said.
    """

    code: str
    reasons: tuple[str, ...]
    until_ms: int = 0
    learnt: tuple[Learnt, ...] = ()


def client_silence(
    state: ClientState,
    policy: Policy,
    journey: AnyJourney,
    step: Step,
    *,
    tone: Tone | None = None,
    receipt: bool = False,
) -> Silence | None:
    """Return the first reason against a step now, None when there is none. `tone`: where it is not the step's own.

    A receipt waits for no budget. A stop and a late source end without an event of the client's: what they hold back is asked
    about again every hour.
    """
    purpose, channel, at_ms = step.purpose, step.channel, state.now_ms
    outside = outside_reason(state, policy, journey, purpose=purpose, channel=channel)
    if outside is not None:
        return replace(outside, until_ms=at_ms + HOUR_MS)
    held = _held(state, journey, at_ms=at_ms, is_internal=channel in policy.internal_channels)
    if held is not None:
        return held
    wish = wish_of(state, purpose=purpose, channel=channel)
    if wish is not None:
        return wish
    if channel in policy.internal_channels:
        return None
    rests = rest_of(state, channel, at_ms)
    if rests and not has_other_way(state, policy, channel=channel, purpose=purpose, at_ms=at_ms):
        return Silence("rest", (f"{channel} did not take the last message: it is tried again later",), rests)
    person = audience_of(state, journey, purpose, tone or step.tone, channel=channel) if state.person.colleagues else None
    found = None if receipt else full(state, policy, at_ms=at_ms, person=person.value if person else "")
    return None if found is None else Silence(found.code, (found.reason,), found.until_ms)


def _held(state: ClientState, journey: AnyJourney, *, at_ms: int, is_internal: bool) -> Silence | None:
    hold = hold_of(state, journey, at_ms)
    if hold is not None:
        return Silence("hold", (f"on hold by {hold.author}: {hold.reason}",), hold.expires_ms)
    legal = None if is_internal else legal_hold_of(state, at_ms)
    return None if legal is None else Silence("legal_hold", (legal_words(legal),), legal.expires_ms)


def wish_of(state: ClientState, *, purpose: Purpose, channel: str) -> Silence | None:
    """Return what the client does not want."""
    # A bounced address is no refusal: another channel is used instead (see Turn.send).
    wish = refusal(state, purpose, channel)
    return Silence("consent", (wish,)) if wish is not None and not wish.endswith(_ADDRESS) else None


def withheld(state: ClientState, policy: Policy, journey: AnyJourney, *, purpose: Purpose) -> Silence | None:
    """Return what is withheld from this company on purpose; asked last, so that both groups are found at the same moment."""
    left_out = held_out(state.client_id, journey, purpose=purpose, holdout=policy.holdout, at_ms=state.now_ms)
    return None if left_out is None else Silence("holdout", (left_out,))


def outside_reason(state: ClientState, policy: Policy, journey: AnyJourney, *, purpose: Purpose, channel: str) -> Silence | None:
    """Return the emergency stop or the late source that stands against contact, whatever is known of the client."""
    stop = policy.stop_of(journey, channel=channel, purpose=purpose)
    if stop is not None:
        return Silence("stop", (stop,))
    late = policy.late_feed(state.feeds) if journey in _NEED_NEWS else None
    return None if late is None else Silence("feed", (late,))
