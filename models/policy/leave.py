"""The gate: may this message leave? One pure function of what was decided and of what holds now, asked three times.

When a message is decided (what it refuses then is taken back at once), whenever anything is heard of its client or another policy
comes into force while it waits, and by the channel's worker just before it is sent. It leaves, is held until a moment, or is
withdrawn, with reasons: facts that have overtaken it, a tone that is firmer than may be said now, a sum that is too small by now
or a person's matter, a wish, a holdout, the contact budget, the distance to every other contact, hours.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from msgspec.structs import replace

from models.money import Money
from models.policy.arrears import in_delay, too_early
from models.policy.budget import costs, full, goes_first
from models.policy.gate import check, earlier_unheard, held_by, is_about_instalment, legal_hold_of, legal_words, pending_of
from models.policy.monthly import overtaken
from models.policy.named import step_called
from models.policy.policy import Policy
from models.policy.precedence import tone_claimed
from models.policy.replies import reply_about, reply_silence
from models.policy.silence import outside_reason, wish_of, withheld
from models.policy.stakes import COST, person_first, too_dear, too_little
from models.policy.tones import is_above
from models.policy.turn import find_run
from models.state.balances import items
from models.state.client import PREDICATES, PURPOSES, ClientState, Pending, Run, journey_of
from models.state.history import next_retry_ms
from models.triggers import CancelWhen, Journey, Tone, Trigger
from models.workdays import DAY_MS

EXPIRED: Final = "expired"
LOOK_AGAIN_MS: Final = 60_000
"""How long what ends by no moment of its own is held before it is asked about again."""

_ASKING: Final = frozenset({Journey.DELAY_SUPPORT, Journey.STATEMENT})
_OPEN_ENDED: Final = frozenset({"stop", "feed", "unheard", "earlier"})


class Verdict(Enum):
    """What becomes of a message now."""

    LEAVE = "leave"
    HOLD = "hold"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gate says. `code` names the reason, `until_ms` when one that is held is asked about again.

    `because` names the predicate of one that is withdrawn; None: no time is left in which it could leave.
    """

    verdict: Verdict
    code: str = ""
    reasons: tuple[str, ...] = ()
    until_ms: int = 0
    because: CancelWhen | None = None

    @property
    def is_open_ended(self) -> bool:
        """Say whether nobody knows when the reason of a hold ends."""
        return self.code in _OPEN_ENDED


_LEAVE: Final = Answer(Verdict.LEAVE)


def may_leave(state: ClientState, row: Pending, *, now_ms: int, policy: Policy) -> Answer:
    """Say whether the message `row` may leave at `now_ms`. Messages for colleagues and receipts are no contacts: see `costs`."""
    if row.retracted:
        because = PREDICATES[row.because]
        return Answer(Verdict.WITHDRAW, because.value, ("it was taken back",), because=because)
    facts = check(state, row, now_ms=now_ms)
    if not facts.allowed:
        code = EXPIRED if facts.because is None else facts.because.value
        return Answer(Verdict.WITHDRAW, code, facts.reasons, because=facts.because)
    if now_ms > state.now_ms:
        state = replace(state, now_ms=now_ms)
    is_internal = row.channel in policy.internal_channels
    refused = _too_dear(state, row, policy) or (None if is_internal else _refused(state, row, policy))
    if refused is not None:
        return refused
    held = _held_by_others(state, row, policy)
    if held is not None:
        return held
    waits = [(row.not_before_ms, "hours", "it waits for its hour"), *([] if is_internal else _waits(state, row, policy))]
    until, code, why = max(waits)
    if not is_internal:
        until = policy.open_hour(state, max(until, now_ms), row.channel)
    if until >= row.expires_ms:
        return Answer(Verdict.WITHDRAW, EXPIRED, (why, "no open hour is left before it expires"))
    return _LEAVE if until <= now_ms else Answer(Verdict.HOLD, code, (why,), until)


def known_as(state: ClientState, trigger: Trigger) -> Pending:
    """Return what the state keeps of a trigger; of one it does not know, what the trigger says of itself."""
    known = next((row for row in state.care.pending if row.trigger_id == trigger.trigger_id), None)
    if known is None:
        return pending_of(trigger)
    return known if known.tone else replace(known, tone=trigger.tone.value)  # decided before states remembered tones


def _refused(state: ClientState, row: Pending, policy: Policy) -> Answer | None:
    """Return what forbids the message as it was decided; its step is decided anew then, softer or not at all."""
    journey, purpose = journey_of(row), PURPOSES[row.purpose]
    hold = held_by(state, row, state.now_ms)
    if hold is not None:
        return _withdrawn("hold", hold, CancelWhen.ON_HOLD)
    legal = legal_hold_of(state, state.now_ms)
    if legal is not None:
        return _withdrawn("legal_hold", legal_words(legal), CancelWhen.ON_HOLD)
    wish = wish_of(state, purpose=purpose, channel=row.channel) or withheld(state, policy, journey, purpose=purpose)
    if wish is not None:
        because = CancelWhen.CONSENT_WITHDRAWN if wish.code == "consent" else CancelWhen.DECIDED_ANEW
        return _withdrawn(wish.code, wish.reasons[0], because)
    for code, ask in _ASKED_AGAIN:
        why = ask(state, row, policy)
        if why is not None:
            return _withdrawn(code, why)
    near = overtaken(state, policy) if journey is Journey.STATEMENT else None
    return None if near is None else _withdrawn(near.code, near.reasons[0])


def _withdrawn(code: str, why: str, because: CancelWhen = CancelWhen.DECIDED_ANEW) -> Answer:
    return Answer(Verdict.WITHDRAW, code, (why,), because=because)


def _too_firm(state: ClientState, row: Pending, policy: Policy) -> str | None:
    del policy  # no policy raises what may be said
    if not row.tone:
        return None
    tone, run = Tone(row.tone), Run(row.journey, row.anchor)
    run = next((known for known in state.care.runs if (known.journey, known.anchor) == (row.journey, row.anchor)), run)
    claim = tone_claimed(state, tone, PURPOSES[row.purpose], run, row.invoice_ids, who=f"the step {row.step}")
    if not is_above(tone, Tone(claim.value)):
        return None
    return f"{row.tone} is firmer than may be said now: {claim.value} by {claim.level.name.lower()}, {claim.who}"


def _too_small(state: ClientState, row: Pending, policy: Policy) -> str | None:
    if journey_of(row) is not Journey.DELAY_SUPPORT:
        return None
    sums = _asked_now(state, row)
    # What is usual for the client is what was so when it was decided: a large invoice since then makes nothing open less.
    return too_little(sums, state, policy, known_ms=row.not_before_ms) if sums else None


def _too_dear(state: ClientState, row: Pending, policy: Policy) -> Answer | None:
    """Return what forbids a contact that costs more than is left to ask for. What only asks a colleague about one is none."""
    if not policy.contact_costs.get(row.channel) or not (row.advances or row.channel not in policy.internal_channels):
        return None
    sums = _asked_now(state, row)
    why = too_dear(sums, policy, row.channel) if sums else None
    return None if why is None else _withdrawn(COST, why)


def _asked_now(state: ClientState, row: Pending) -> dict[str, int]:
    """Return what is left by now of what a message asks for, in minor units per currency; nothing where it asks for no money."""
    sums: dict[str, int] = {}
    if not row.asked:
        return sums
    for item in items(state.ledger, state.now_ms):
        if item.invoice.invoice_id in row.invoice_ids:
            sums[item.invoice.currency] = sums.get(item.invoice.currency, 0) + item.rest
    return dict(sorted(sums.items()))


def _too_early(state: ClientState, row: Pending, policy: Policy) -> str | None:
    if journey_of(row) not in _ASKING or is_about_instalment(row):
        return None
    return too_early(row.invoice_ids, state, policy)


def _goes_after(state: ClientState, row: Pending, policy: Policy) -> str | None:
    """Return why other care is left for support by now; thanks for a payment are owed whatever else is open."""
    journey = journey_of(row)
    if journey in _ASKING or row.free or not in_delay(state, policy):
        return None
    run = find_run(state, journey, row.anchor)
    step = None if run is None else step_called(row.step, journey, policy.of_run(run).journeys)
    if journey is Journey.ONBOARDING and step is not None and not step.after_days:
        return None
    return "an invoice is overdue by now: support in the delay goes first"


def _unapproved(state: ClientState, row: Pending, policy: Policy) -> str | None:
    return None if row.approved else person_first(state, _amounts(state, row), policy)


_ASKED_AGAIN: Final = (
    ("tone", _too_firm),
    ("small", _too_small),
    ("early", _too_early),
    ("delay", _goes_after),
    ("approval", _unapproved),
)
"""What may forbid a message by now although it was right when it was decided, each with its code."""


def _amounts(state: ClientState, row: Pending) -> tuple[Money, ...]:
    """Return the money a message is about: what it asks for, or what its contract comes to."""
    if row.asked_in:
        return tuple(Money(minor, code) for code, minor in row.asked_in)
    if row.asked:
        codes = (known.currency for known in state.ledger.invoices if known.invoice_id in row.invoice_ids)
        return tuple(Money(row.asked, code) for code in dict.fromkeys(codes))
    return tuple(
        Money(known.minor, known.currency)
        for known in state.person.contracts
        if known.contract_id == row.contract_id and known.minor
    )


def _held_by_others(state: ClientState, row: Pending, policy: Policy) -> Answer | None:
    """Return what holds the message for as long as nobody can say: a stop, a late source, a message that goes first."""
    now, purpose = state.now_ms, PURPOSES[row.purpose]
    stop = outside_reason(state, policy, journey_of(row), purpose=purpose, channel=row.channel)
    if stop is not None:
        return Answer(Verdict.HOLD, stop.code, stop.reasons, now + LOOK_AGAIN_MS)
    code, first = "unheard", earlier_unheard(state, row, now_ms=now)
    if first is None:
        code, first = "earlier", goes_first(state, row, at_ms=now, policy=policy)
    if first is None:
        return None
    why = f"nothing is known yet of {first.step} by {first.channel}, which goes before it"
    return Answer(Verdict.HOLD, code, (why,), now + LOOK_AGAIN_MS)


def _waits(state: ClientState, row: Pending, policy: Policy) -> list[tuple[int, str, str]]:
    """Return until when the contact budget, the processor's own next attempt and words of the client's hold the message."""
    now, found = state.now_ms, list[tuple[int, str, str]]()
    room = full(state, policy, at_ms=now, person=row.person, before=row) if costs(row, policy) else None
    if room is not None:
        found.append((room.until_ms, room.code, room.reason))
    retry = next_retry_ms(state) if row.asked and journey_of(row) is Journey.DELAY_SUPPORT else None
    if retry is not None and retry < now + policy.retry_days * DAY_MS:
        found.append((retry + DAY_MS, "retry", "the processor is about to try the payment again by itself"))
    asking = journey_of(row) in _ASKING
    wrote = [reply_silence(state, policy), *(reply_about(state, policy, name) for name in row.invoice_ids)] if asking else []
    found += [(silence.until_ms, silence.code, silence.reasons[0]) for silence in wrote if silence is not None]
    return found
