"""What the facts say against a trigger: the predicates it hangs on. Whether it may leave is said by models.policy.leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from models.events.envelope import epoch_ms
from models.events.invoices import ContractStatus
from models.events.payments import PaymentMethod
from models.events.signals import OverrideEffect, Purpose, Role
from models.journey_names import names_of
from models.money import Money
from models.patterns import Pattern
from models.policy.audience import own_address, reader_among
from models.state.balances import has_open_dispute, items
from models.state.client import (
    PREDICATES,
    PURPOSES,
    ClientState,
    Contract,
    Override,
    Pending,
    Unanswered,
    about_of,
    journey_of,
    place_of,
)
from models.state.person import OF_ADDRESS, in_force, is_lifted
from models.state.reckoning import Item, gross, taken_back
from models.state.rows import METHODS
from models.triggers import AnyJourney, CancelWhen, Journey, Trigger
from models.workdays import DAY_MS, moment

_DEBIT: Final = METHODS.index(PaymentMethod.BANK_DEBIT)
_RUNNING = frozenset({ContractStatus.ACTIVE.value, ContractStatus.TRIAL.value, ContractStatus.PAST_DUE.value})


@dataclass(frozen=True, slots=True)
class GateResult:
    """`because` names the predicate that holds; None with `allowed` False means that the trigger has expired."""

    allowed: bool
    because: CancelWhen | None = None
    reasons: tuple[str, ...] = ()


_MERGED: Final = PREDICATES.index(CancelWhen.CLIENT_MERGED)  # asked of every message: no client answers for another's name
_OPEN = GateResult(allowed=True)
Against: TypeAlias = tuple[CancelWhen, str] | None


def still_allowed(state: ClientState, trigger: Trigger, *, now_ms: int) -> GateResult:
    """Say whether what `trigger` is about still stands at `now_ms`, also of one that was delivered long ago.

    Whether it may leave is more than that: see `models.policy.leave`.
    """
    return check(state, pending_of(trigger), now_ms=now_ms)


def check(state: ClientState, row: Pending, *, now_ms: int) -> GateResult:
    """Ask every predicate of a pending trigger; the first that holds is named."""
    if now_ms >= row.expires_ms:
        return GateResult(allowed=False, reasons=("it has expired",))
    for index in (_MERGED, *row.cancel_when):
        verdict = _holds(PREDICATES[index], state, row, now_ms)
        if verdict is not None:
            return GateResult(allowed=False, because=verdict[0], reasons=(verdict[1],))
    return _OPEN


def pending_of(trigger: Trigger) -> Pending:
    """Return the part of a trigger that the gate needs."""
    asked = _asked(trigger)
    return Pending(
        trigger_id=trigger.trigger_id,
        journey=place_of(trigger.journey),
        anchor=trigger.anchor,
        step=trigger.step,
        channel=trigger.channel,
        purpose=PURPOSES.index(trigger.purpose),
        not_before_ms=epoch_ms(trigger.not_before),
        expires_ms=epoch_ms(trigger.expires_at),
        cancel_when=tuple(PREDICATES.index(predicate) for predicate in trigger.cancel_when),
        invoice_ids=trigger.invoice_ids,
        contract_id=trigger.contract_id or "",
        payment_id=trigger.payment_id or "",
        asked=asked[0].minor if asked else 0,
        asked_in=asked_in(asked),
        person=trigger.audience.value if trigger.audience else "",
        tone=trigger.tone.value,
    )


def _asked(trigger: Trigger) -> tuple[Money, ...]:
    if trigger.facts.get("invoice_count") != len(trigger.invoice_ids):
        return ()  # it speaks of more than it hangs on: a task to check a contact stays right while anything is overdue
    alone = trigger.facts.get("amount_open")
    return tuple(total.open for total in trigger.totals) or ((alone,) if isinstance(alone, Money) else ())


def asked_in(asked: Sequence[Money]) -> tuple[tuple[str, int], ...]:
    """Return what a message about several currencies asks for in each; nothing for one, whose invoices say which it is."""
    return tuple((money.currency, money.minor) for money in asked) if len(asked) > 1 else ()


def refusal(state: ClientState, purpose: Purpose, channel: str, *, reader: str = "") -> str | None:
    """Return why the client must not be contacted for `purpose` on `channel`, None when it is allowed.

    `reader` is the role that a message is for: what is wrong with the profile's address is nothing to who has one of their own.

    Unknown means yes for servicing (the contract is the basis) and relationship (legitimate interest), no for promotion.
    No suppression ends by itself. A complaint is lifted by the client alone, with a later word that names purpose and channel;
    an address that does not exist by a new one, or by a later word that names its channel.
    """
    index = PURPOSES.index(purpose)
    for suppression in state.person.suppressions:
        if suppression.channel == channel and suppression.purpose in {-1, index} and not suppression.role:
            if is_lifted(state.person, suppression, purpose=index):
                continue
            if suppression.cause in OF_ADDRESS and reader and _has_own(state, Role(reader), purpose, channel):
                continue
            return f"{channel} is suppressed ({suppression.cause})"
    latest = None
    for row in state.person.consents:
        newer = latest is None or (row.at, not row.granted) > (latest.at, not latest.granted)
        if row.purpose == index and row.channel in {"", channel} and newer:
            latest = row
    if latest is None:
        return "promotion needs a consent that was never given" if purpose is Purpose.PROMOTION else None
    return None if latest.granted else f"the client does not want {purpose.value} contact"


def _has_own(state: ClientState, reader: Role, purpose: Purpose, channel: str) -> bool:
    return bool(own_address(reader_among(state, (reader,), purpose, channel), channel))


def hold_of(state: ClientState, journey: AnyJourney, at_ms: int) -> Override | None:
    """Return the hold of a relationship manager on this journey, the one that lasts longest; None without one.

    One on a single invoice is none on its journey: see `hold_on`.
    """
    return _override(state, OverrideEffect.HOLD, journey, at_ms)


def hold_on(state: ClientState, invoice_id: str, at_ms: int) -> Override | None:
    """Return the hold on this invoice alone, the one that lasts longest; None without one."""
    rows = (row for row in state.person.overrides if row.effect == OverrideEffect.HOLD.value and row.invoice_id == invoice_id)
    return max((row for row in rows if in_force(row, at_ms)), key=lambda row: row.expires_ms, default=None)


def held_by(state: ClientState, row: Pending, at_ms: int) -> str | None:
    """Return the hold that a message stands under, on its journey or on an invoice that it names; None without one."""
    hold = hold_of(state, journey_of(row), at_ms)
    if hold is not None:
        return f"on hold by {hold.author}: {hold.reason}"
    if not state.person.overrides:
        return None
    holds = ((name, hold_on(state, name, at_ms)) for name in row.invoice_ids)
    return next((hold_words(name, hold) for name, hold in holds if hold is not None), None)


def hold_words(invoice_id: str, hold: Override) -> str:
    """Return what decisions say of a hold on one invoice."""
    return f"invoice {invoice_id} is on hold by {hold.author}: {hold.reason}"


def legal_hold_of(state: ClientState, at_ms: int) -> Override | None:
    """Return what stops every message to this client, of whatever purpose and journey, the one that lasts longest.

    Tasks for colleagues go on: that a lawyer has the matter in hand is no reason to forget it.
    """
    rows = [row for row in state.person.overrides if row.effect == OverrideEffect.LEGAL_HOLD.value and in_force(row, at_ms)]
    return max(rows, key=lambda row: row.expires_ms, default=None)


def legal_words(hold: Override) -> str:
    """Return what decisions say of a legal hold."""
    return f"on legal hold by {hold.author}: {hold.reason}"


def release_of(state: ClientState, journey: AnyJourney, at_ms: int) -> Override | None:
    """Return the release of a relationship manager for this journey, None without one."""
    return _override(state, OverrideEffect.RELEASE, journey, at_ms)


def renewal_anchor(contract: Contract) -> str:
    """Return what a renewal run is about: the contract and the day of its renewal (UTC)."""
    return f"{contract.contract_id}@{_date(contract.renews_ms // DAY_MS)}"


def pattern_anchor(pattern: Pattern, day: int) -> str:
    """Return what the run of a playbook is about: the pattern, and the day since 1970-01-01 from which it counts."""
    return f"{pattern.value}@{_date(day)}"


def pattern_ended(state: ClientState, anchor: str) -> str | None:
    """Return why the pattern of a playbook's run is over, None while it is not (or does not end)."""
    name, _, day = anchor.partition("@")
    days, methods = state.rhythm.pay_days, state.rhythm.methods
    if name == Pattern.WIDENING_GAP.value and days and _date(days[-1]) > day:
        return f"a payment came on {_date(days[-1])}: the client is back"
    if name == Pattern.DECLINE_STREAK.value and methods and methods[_DEBIT]:
        return "the client pays by bank debit already"
    return None


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return moment(day * DAY_MS).date().isoformat()


def is_running(contract: Contract) -> bool:
    """Say whether a contract may renew."""
    return contract.status in _RUNNING


def _override(state: ClientState, effect: OverrideEffect, journey: AnyJourney, at_ms: int) -> Override | None:
    rows = [
        row
        for row in state.person.overrides
        if row.effect == effect.value and not row.invoice_id and row.journey in {"", *names_of(journey)} and in_force(row, at_ms)
    ]
    return max(rows, key=lambda row: row.expires_ms) if rows else None


def _holds(predicate: CancelWhen, state: ClientState, row: Pending, now_ms: int) -> Against:  # noqa: PLR0911 - one return per predicate
    match predicate:
        case CancelWhen.CLIENT_ERASED | CancelWhen.CLIENT_MERGED:
            return _gone(predicate, state)
        case CancelWhen.CONSENT_WITHDRAWN:
            why = refusal(state, PURPOSES[row.purpose], row.channel, reader=row.person)
            return (predicate, why) if why else None
        case CancelWhen.ON_HOLD:
            why = held_by(state, row, now_ms)
            return (predicate, why) if why else None
        case CancelWhen.INVOICES_SETTLED | CancelWhen.INVOICES_DISPUTED | CancelWhen.INVOICES_PROMISED:
            return _invoices(predicate, state, row, now_ms)
        case CancelWhen.PAYMENT_REVERSED:
            return (predicate, "the payment was refunded, charged back or returned") if _reversed(state, row) else None
        case CancelWhen.CONTRACT_ENDED | CancelWhen.CONTRACT_RENEWED:
            return _contract(predicate, state, row)
        case CancelWhen.PATTERN_ENDED:
            why = pattern_ended(state, row.anchor)
            return (predicate, why) if why else None
        case CancelWhen.CLIENT_ANSWERED:
            return (predicate, "the client has answered since it was first said") if _answered_first(state, row) else None
        case CancelWhen.EARLIER_UNSENT | CancelWhen.DECIDED_ANEW:
            return None  # said by the outcome of the step before (models.policy.outcomes), or by the gate as a whole


def _gone(predicate: CancelWhen, state: ClientState) -> Against:
    if predicate is CancelWhen.CLIENT_ERASED:
        return (predicate, "the client asked to be forgotten") if state.erased_ms else None
    return (predicate, f"the client was merged into {state.identity.into}") if state.identity.into else None


def is_answered(state: ClientState, row: Unanswered) -> bool:
    """Say whether the client has answered, paid or been spoken with since a message left."""
    return state.care.heard_ms >= row.left_ms


def earlier_unheard(state: ClientState, row: Pending, *, now_ms: int) -> Pending | None:
    """Return an earlier step of support for the same invoices that has expired without a word about its fate.

    Until it is known whether that one left, a later step must not: it may be the first that the client gets to see.
    """
    known = any(each.trigger_id == row.trigger_id for each in state.care.pending)
    if not known or not row.advances or journey_of(row) is not Journey.DELAY_SUPPORT:
        return None
    return next((each for each in state.care.pending if now_ms >= each.expires_ms and comes_after(row, each)), None)


def comes_after(row: Pending, earlier: Pending) -> bool:
    """Say whether a message is a later step for an invoice that an earlier one, of unknown fate, named too."""
    if earlier.retracted or not earlier.advances or earlier.journey != row.journey:
        return False
    return earlier.not_before_ms < row.not_before_ms and not set(earlier.invoice_ids).isdisjoint(row.invoice_ids)


def _answered_first(state: ClientState, row: Pending) -> bool:
    waits = any(known.trigger_id == row.trigger_id for known in state.care.pending)
    return waits and any(first.again == row.trigger_id and is_answered(state, first) for first in state.care.unanswered)


def _invoices(predicate: CancelWhen, state: ClientState, row: Pending, now_ms: int) -> Against:  # noqa: PLR0911 - one return per reason reads best
    if not row.invoice_ids:
        contested = predicate is CancelWhen.INVOICES_DISPUTED and has_open_dispute(state.ledger)
        return (predicate, "a dispute is open") if contested else None
    open_items = {item.invoice.invoice_id: item for item in items(state.ledger, now_ms)}
    rest: dict[str, int] = {}
    for invoice_id in row.invoice_ids:
        item = open_items.get(invoice_id)
        if item is None:
            if predicate is CancelWhen.INVOICES_SETTLED:
                return predicate, f"nothing is open on invoice {invoice_id} any more"
            continue
        code = item.invoice.currency
        rest[code] = rest.get(code, 0) + item.rest
        if predicate is CancelWhen.INVOICES_DISPUTED and item.disputed:
            return predicate, f"invoice {invoice_id} is disputed"
        if predicate is CancelWhen.INVOICES_PROMISED and item.promised and not item.rest:
            return predicate, f"payment of invoice {invoice_id} is promised"
        if predicate is CancelWhen.INVOICES_PROMISED and _is_planned(item, row):
            return predicate, f"invoice {invoice_id} is paid in instalments"
        if predicate is CancelWhen.INVOICES_PROMISED and item.in_flight:
            return predicate, f"a payment of invoice {invoice_id} is under way"
    return _asks_too_much(predicate, row, open_items) if _less(rest, row) else None


def _asks_too_much(predicate: CancelWhen, row: Pending, open_items: Mapping[str, Item]) -> Against:
    """Return what a message that asks for more than may be asked for is overtaken by."""
    if predicate is CancelWhen.INVOICES_SETTLED and not _claimed(open_items, row):
        return predicate, "less is open than the message says: it will be decided anew"
    if predicate is CancelWhen.INVOICES_PROMISED and any(item.promised for item in _named(open_items, row)):
        return predicate, "a part of what the message asks for is promised: the rest will be decided anew"
    return None


def _less(rest: Mapping[str, int], row: Pending) -> bool:
    """Say whether less may be asked for than the message does, in any currency."""
    if row.asked_in:
        return any(rest.get(code, 0) < minor for code, minor in row.asked_in)
    return sum(rest.values()) < row.asked  # of one currency


def _claimed(open_items: Mapping[str, Item], row: Pending) -> bool:
    # A dispute or promise lowers the rest too; its own predicate names it better.
    return any(item.disputed or item.promised or item.in_flight or _is_planned(item, row) for item in _named(open_items, row))


def _named(open_items: Mapping[str, Item], row: Pending) -> list[Item]:
    return [open_items[invoice_id] for invoice_id in row.invoice_ids if invoice_id in open_items]


def is_about_instalment(row: Pending) -> bool:
    """Say whether a message of support is about instalments rather than about invoices as a whole."""
    return bool(row.invoice_ids) and row.anchor not in row.invoice_ids


def _is_planned(item: Item, row: Pending) -> bool:
    """Say whether a plan has taken the place of what the message asks for. One about an instalment is overtaken by payment."""
    return bool(item.planned) and not is_about_instalment(row)


def _reversed(state: ClientState, row: Pending) -> bool:
    return any(
        payment.payment_id == row.payment_id and (sum(taken_back(payment)) > 0 or (payment.failed_at and not gross(payment)))
        for payment in state.ledger.payments
    )


def _contract(predicate: CancelWhen, state: ClientState, row: Pending) -> Against:
    contract = next((known for known in state.person.contracts if known.contract_id == row.contract_id), None)
    if contract is None or not is_running(contract) or not contract.renews_ms:
        return (predicate, "the contract ends") if predicate is CancelWhen.CONTRACT_ENDED else None
    renewed = predicate is CancelWhen.CONTRACT_RENEWED and renewal_anchor(contract) != about_of(row)
    return (predicate, "the contract renews on another day now") if renewed else None
