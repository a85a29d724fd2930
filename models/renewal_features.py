"""What the renewal learners look at: one typed table, computed from the client's state when a question about a contract is put.

As in `models.features`: live worker, replay and evaluation share the function, it sees the state after the events received so far
and nothing else, every value is bounded and needs no scaler, and what does not apply is 0.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from math import exp, log, log1p
from typing import Final

from msgspec.structs import replace

from models.events.invoices import ContractStatus
from models.features import ClockUsed, table_of
from models.money import exponent
from models.state.balances import has_open_dispute, paid_in_effect
from models.state.client import ClientState, Contract
from models.state.history import cadence, decline_streak
from models.state.reckoning import left
from models.state.renewals import Period
from models.state.windows import total
from models.workdays import DAY_MS, moment


class RenewalLandmark(IntEnum):
    """When a question about a renewal is put."""

    QUARTER = 0
    MONTH = 1
    FORTNIGHT = 2


LEADS: Final = {RenewalLandmark.QUARTER: 90, RenewalLandmark.MONTH: 30, RenewalLandmark.FORTNIGHT: 14}
"""Days from each landmark to the renewal. The last one is when the pre-renewal journey begins."""


class Ending(IntEnum):
    """What is asked about a renewal: whether it comes, whether it comes for more, whether the client leaves."""

    RENEWED = 0
    RAISED = 1
    LEFT = 2


class RenewalFamily(StrEnum):
    """Features that are explained together."""

    TENURE = "tenure"
    HISTORY = "history"
    PRICE = "price"
    PAYING = "paying"
    FRICTION = "friction"
    ACTIVITY = "activity"
    SEASON = "season"
    STATUS = "status"
    FIRM = "firm"


_T, _H, _P, _L = RenewalFamily.TENURE, RenewalFamily.HISTORY, RenewalFamily.PRICE, RenewalFamily.PAYING
_F, _A, _S, _U = RenewalFamily.FRICTION, RenewalFamily.ACTIVITY, RenewalFamily.SEASON, RenewalFamily.STATUS
_EFF, _REC, _NO = ClockUsed.EFFECTIVE, ClockUsed.RECEIVED, ClockUsed.NONE


@dataclass(frozen=True, slots=True)
class RenewalFeature:
    """One column, as `models.features.Feature` with families of its own; none of them may serve collection."""

    name: str
    unit: str
    family: RenewalFamily
    phrase: str
    clock: ClockUsed = ClockUsed.OCCURRED
    purpose: str = "relationship"


RENEWAL_FEATURES: Final = (
    RenewalFeature("tenure", "log years - .7", _T, "how long the contract has run", _REC),
    RenewalFeature("first_period", "0 or 1", _T, "the contract was never renewed yet"),
    RenewalFeature("renewals", "log count / 1.5", _T, "how often the contract was renewed"),
    RenewalFeature("period", "log2 years", _T, "length of a period", _EFF),
    RenewalFeature("own_renewals", "logit above the firm's", _H, "share of their contracts renewed so far"),
    RenewalFeature("own_raises", "share", _H, "share of their renewals for a higher price"),
    RenewalFeature("amount_firm", "standard deviations", _P, "price against what the firm usually agrees", _NO),
    RenewalFeature("price_step", "log ratio x 5", _P, "price against the period before", _NO),
    RenewalFeature("price_rise", "0 or 1", _P, "the price has risen by more than 2 %", _NO),
    RenewalFeature("late_share", "logit", _L, "share of their invoices paid late"),
    RenewalFeature("late_recent", "logit", _L, "how the last dozen invoices went"),
    RenewalFeature("unbilled", "0 or 1", _L, "no outcome of an invoice known yet"),
    RenewalFeature("overdue", "log count", _L, "invoices overdue today", _REC),
    RenewalFeature("oldest_overdue", "log days / 2", _L, "age of the oldest overdue invoice", _REC),
    RenewalFeature("disputes", "log count", _F, "disputes of the last year", _REC),
    RenewalFeature("disputed_now", "0 or 1", _F, "a dispute is open"),
    RenewalFeature("declines", "log count", _F, "declined payments in a row"),
    RenewalFeature("gap", "log ratio", _A, "time since the last payment against their rhythm", _REC),
    RenewalFeature("trend", "log ratio", _A, "work billed in the last 90 days against the 90 before", _REC),
    RenewalFeature("others", "log count", _A, "other running contracts"),
    RenewalFeature("june", "0 or 1", _S, "renews in the second half of June", _EFF),
    RenewalFeature("december", "0 or 1", _S, "renews in the second half of December", _EFF),
    RenewalFeature("trial", "0 or 1", _U, "the contract is a trial"),
    RenewalFeature("past_due", "0 or 1", _U, "the contract is past due"),
    RenewalFeature("paused", "0 or 1", _U, "the contract is paused"),
    RenewalFeature("firm_recent", "logit above the long run", RenewalFamily.FIRM, "how renewals go lately, over all clients"),
)
"""Every feature, in the order of the vector."""

RENEWAL_NAMES: Final = tuple(row.name for row in RENEWAL_FEATURES)
RENEWAL_INDEX: Final = {name: place for place, name in enumerate(RENEWAL_NAMES)}
RENEWAL_TABLE: Final = table_of((row.name, row.unit) for row in RENEWAL_FEATURES)
"""Hash of names, units and order; a snapshot made with another one is refused."""

_PACK: Final = struct.Struct(f"<{len(RENEWAL_FEATURES)}e")
_PRIOR_SHARE: Final = 0.3  # of late invoices, before anything is known; a fixed reference, for the learners move the rest
_PRIOR_WEIGHT: Final = 3.0
_DOZEN: Final = 12
_TENURE_SHIFT: Final = 0.7  # a contract of one year is about 0
_PRIOR_RENEWALS: Final = 2.0  # two answered renewals of their own outweigh the firm's share
_RISEN: Final = 1.02
_TREND_DAYS: Final = 90
_LEAST_BILLS: Final = 2  # in either of the two quarters, before a change of the work is told from chance
_JUNE, _DECEMBER, _SECOND_HALF = 6, 12, 15
_YEAR: Final = 365.25


@dataclass(frozen=True, slots=True)
class RenewalFirm:
    """What all contracts of the firm have in common, as the trainer last published it."""

    renewed_share: float = 0.8
    recent_share: float = 0.8
    log_amount: float = 8.0
    log_amount_spread: float = 1.0


NEW_RENEWAL_FIRM: Final = RenewalFirm()


def log_price(minor: int, currency: str) -> float:
    """Return ln(1 + price in major units)."""
    return log1p(minor / 10 ** exponent(currency)) if currency else 0.0


def pack_renewal(values: list[float]) -> bytes:
    """Return the vector as half-precision floats: what is stored with a question, and what is scored."""
    return _PACK.pack(*values)


def unpack_renewal(raw: bytes) -> tuple[float, ...]:
    """Return the vector that `pack_renewal` wrote. Raises struct.error when it has another length than the table."""
    return _PACK.unpack(raw)


def renewal_features(state: ClientState, period: Period, contract: Contract, *, now_ms: int, firm: RenewalFirm) -> list[float]:
    """Return the features of one question about the renewal that ends `period`, in table order.

    `now_ms` is when the question is put; `contract` is the latest record, `state` what was known then.
    """
    began = min(contract.started_ms or period.began_ms, period.began_ms)
    return [
        *_tenure(period, (now_ms - began) / DAY_MS),
        *_history(state, firm),
        *_price(period, contract, firm),
        *_paying(state, now_ms),
        *_friction(state, now_ms),
        *_activity(state, period, contract, now_ms),
        *_season(period.renews_ms),
        *(float(contract.status == status) for status in (ContractStatus.TRIAL, ContractStatus.PAST_DUE, ContractStatus.PAUSED)),
        _logit(_bounded(firm.recent_share, 0.03, 0.97)) - _logit(_bounded(firm.renewed_share, 0.03, 0.97)),
    ]


def aged(features: tuple[float, ...], period: Period, ahead: int, *, wait: float = 0.0) -> tuple[float, ...]:
    """Return the features of a question put again `wait` days and `ahead` renewals later, where only time has passed."""
    days = wait + ahead * period.days
    tenure, first, renewals = (RENEWAL_INDEX[name] for name in ("tenure", "first_period", "renewals"))
    later = list(features)
    later[tenure] = _tenure_value(exp(features[tenure] + _TENURE_SHIFT) - 1.0 + days / _YEAR)
    later[first] = 0.0 if ahead else features[first]
    later[renewals] = _renewals_value(period.age + ahead)
    return tuple(later)


def _tenure_value(years: float) -> float:
    return _bounded(log1p(max(0.0, years)) - _TENURE_SHIFT, -_TENURE_SHIFT, 2.0)


def _renewals_value(age: int) -> float:
    return min(log1p(age) / 1.5, 2.5)


def _tenure(period: Period, days: float) -> list[float]:
    return [
        _tenure_value(days / _YEAR),
        1.0 if period.age == 0 else 0.0,
        _renewals_value(period.age),
        _bounded(log(period.days / _YEAR) / log(2), -4.0, 2.0),
    ]


def _history(state: ClientState, firm: RenewalFirm) -> list[float]:
    past = state.renewals
    prior = _bounded(firm.renewed_share, 0.03, 0.97)
    share = (past.renewed + _PRIOR_RENEWALS * prior) / (past.known + _PRIOR_RENEWALS)
    return [
        _logit(_bounded(share, 0.03, 0.97)) - _logit(prior),
        past.raised / (past.renewed + _PRIOR_RENEWALS),
    ]


def _price(period: Period, contract: Contract, firm: RenewalFirm) -> list[float]:
    minor = contract.minor or period.minor
    if not minor:
        return [0.0, 0.0, 0.0]
    # A price announced for the coming period weighs like one that rose at the last renewal: against the latest one paid.
    base = period.minor if period.minor and minor != period.minor else period.before
    step = log(minor / base) if base else 0.0
    return [
        _bounded((log_price(minor, contract.currency) - firm.log_amount) / (firm.log_amount_spread + 0.3), -3.0, 3.0),
        _bounded(5 * step, -3.0, 3.0),
        1.0 if base and minor > _RISEN * base else 0.0,
    ]


def _paying(state: ClientState, now_ms: int) -> list[float]:
    habits, today = state.habits, now_ms // DAY_MS
    recent = habits.answers[-_DOZEN:]
    late = [row for row in state.ledger.invoices if left(row) and row.due_ms // DAY_MS < today]
    paid = paid_in_effect(state.ledger, now_ms) if late else ()
    overdue = [today - row.due_ms // DAY_MS for row in late if row.invoice_id not in paid]
    return [
        _shrunk(habits.late, habits.known),
        _shrunk(sum(row.late for row in recent), len(recent)),
        0.0 if habits.known else 1.0,
        log1p(len(overdue)),
        log1p(max(overdue, default=0)) / 2,
    ]


def _shrunk(late: float, known: int) -> float:
    share = (late + _PRIOR_WEIGHT * _PRIOR_SHARE) / (known + _PRIOR_WEIGHT)
    return _logit(_bounded(share, 0.02, 0.98)) - _logit(_PRIOR_SHARE)


def _friction(state: ClientState, now_ms: int) -> list[float]:
    disputes = sum(at > now_ms - _YEAR * DAY_MS for at in state.rhythm.disputes)
    return [log1p(disputes), float(has_open_dispute(state.ledger)), log1p(decline_streak(state))]


def _activity(state: ClientState, period: Period, contract: Contract, now_ms: int) -> list[float]:
    rhythm = cadence(replace(state, now_ms=now_ms))
    gap = _bounded(log((rhythm.gap_now + 1) / (rhythm.median_gap + 1)), -2.0, 2.0) if rhythm else 0.0
    running = sum(1 for row in state.person.contracts if row.renews_ms > now_ms and row.contract_id != period.contract_id)
    return [gap, _trend(state, contract.currency or period.currency, now_ms), log1p(running)]


def _trend(state: ClientState, currency: str, now_ms: int) -> float:
    quarter = _TREND_DAYS * DAY_MS
    late = total(state.rhythm.buckets, currency=currency, since_ms=now_ms - quarter)
    both = total(state.rhythm.buckets, currency=currency, since_ms=now_ms - 2 * quarter)
    if late.invoices < _LEAST_BILLS and both.invoices - late.invoices < _LEAST_BILLS:
        return 0.0
    usual = both.invoiced / max(1, both.invoices)  # one usual invoice more on both sides: a quarter without any is no infinity
    return _bounded(log((late.invoiced + usual) / (both.invoiced - late.invoiced + usual)), -2.0, 2.0)


def _season(renews_ms: int) -> list[float]:
    date = moment(renews_ms)
    late = date.day > _SECOND_HALF
    return [1.0 if late and date.month == _JUNE else 0.0, 1.0 if late and date.month == _DECEMBER else 0.0]


def _bounded(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _logit(share: float) -> float:
    return log(share / (1 - share))
