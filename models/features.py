"""What the learners look at: every feature in one typed table, computed from the client's state at one moment.

The same function serves the live worker, the replay and `rapport evaluate`. It sees the state after the events received so far
and nothing else, so it cannot know more than was known. All values are bounded and need no scaler; one that does not apply is 0.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from math import cos, log, log1p, pi, sin
from typing import Final

from models.feature_figures import FEW, bounded, days_late, history, logit, passed
from models.firm_view import FirmView
from models.ids import derive
from models.money import exponent
from models.paydays import by_runs, next_run, payday
from models.state.balances import paid_in_effect
from models.state.client import ClientState
from models.state.habits import Habits, weekday
from models.state.history import payable_ms
from models.state.plans import is_agreed
from models.state.reckoning import owed
from models.state.rows import Invoice
from models.state.words import trust
from models.workdays import DAY_MS, moment


class Landmark(IntEnum):
    """When a question about an invoice is put: at its issue, or some days before or after it falls due."""

    ISSUE = 0
    WEEK_BEFORE = 1
    DAYS_BEFORE = 2
    DUE = 3
    WEEK_AFTER = 4


OFFSETS: Final = {Landmark.WEEK_BEFORE: -7, Landmark.DAYS_BEFORE: -3, Landmark.DUE: 0, Landmark.WEEK_AFTER: 7}
"""Days from the due date to each landmark."""

LATE_DAYS: Final = (5, 15, 30)
"""The three meanings of "late": still open when more than so many days after the due date have passed."""


class Family(StrEnum):
    """Features that are explained together."""

    HISTORY = "history"
    DAYS = "days"
    BOOK = "book"
    AMOUNT = "amount"
    TERMS = "terms"
    WEEKDAY = "weekday"
    SEASON = "season"
    CADENCE = "cadence"
    FRICTION = "friction"
    FIRM = "firm"
    PROGRESS = "progress"
    STILL_OPEN = "still_open"


class ClockUsed(StrEnum):
    """By which clock a feature is read. What moves as time alone passes is read by the client's own, which arrivals set."""

    NONE = "none"
    OCCURRED = "occurred"
    EFFECTIVE = "effective"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True)
class Feature:
    """One column: its name, unit and family, the purpose it may serve, the clock it uses and how to say it in plain words."""

    name: str
    unit: str
    family: Family
    phrase: str
    clock: ClockUsed = ClockUsed.OCCURRED
    purpose: str = "servicing"


_H, _D, _B, _A, _T, _W = Family.HISTORY, Family.DAYS, Family.BOOK, Family.AMOUNT, Family.TERMS, Family.WEEKDAY
_S, _C, _R, _F, _P, _O = Family.SEASON, Family.CADENCE, Family.FRICTION, Family.FIRM, Family.PROGRESS, Family.STILL_OPEN
_EFF, _REC, _NO = ClockUsed.EFFECTIVE, ClockUsed.RECEIVED, ClockUsed.NONE

FEATURES: Final = (
    Feature("late_share", "logit above the firm's", _H, "share of their invoices paid late"),
    Feature("late_share_fast", "logit above the firm's", _H, "how the last few invoices went"),
    Feature("late_share_slow", "logit above the firm's", _H, "how the last dozen invoices went"),
    Feature("known_outcomes", "log count / 2 - 1", _H, "how many outcomes are known"),
    Feature("no_outcome", "0 or 1", _H, "no outcome known yet"),
    Feature("few_outcomes", "0 or 1", _H, "fewer than three outcomes known"),
    *(Feature(f"passed_{days}", "logit", _H, f"share of all their invoices that took over {days} days") for days in LATE_DAYS),
    Feature("median_days", "15 days", _D, "their usual days after the due date"),
    Feature("fast_days", "15 days", _D, "days late of the last few invoices"),
    Feature("slow_days", "15 days", _D, "days late in the longer run"),
    Feature("spread_days", "10 days", _D, "how much their payment day varies"),
    Feature("last_days", "15 days", _D, "days late of the last payment"),
    Feature("open_others", "log count", _B, "other open invoices"),
    Feature("overdue_others", "log count", _B, "other invoices overdue today", clock=_REC),
    Feature("long_overdue_others", "log count", _B, "other invoices more than five days overdue", clock=_REC),
    Feature("oldest_overdue", "log days / 2", _B, "age of the oldest overdue invoice", clock=_REC),
    Feature("overdue_share", "share", _B, "share of the open invoices that is overdue", clock=_REC),
    Feature("amount_firm", "standard deviations", _A, "amount against what the firm usually bills", clock=_NO),
    Feature("amount_own", "log ratio", _A, "amount against what they usually get", clock=_NO),
    Feature("terms", "30 days - 1", _T, "days given to pay", clock=_EFF),
    Feature("short_terms", "0 or 1", _T, "ten days or fewer to pay", clock=_EFF),
    Feature("to_go", "30 days - .5", _T, "days left until due when entered", clock=_REC),
    Feature("past_due", "15 days", _T, "already overdue when entered", clock=_REC),
    Feature("entered_late", "15 days", _T, "days between the invoice date and its entry", clock=_REC),
    *(Feature(f"due_{day}", "0 or 1", _W, f"falls due on a {day.capitalize()}day", clock=_EFF) for day in
      ("mon", "tues", "wednes", "thurs", "fri", "satur", "sun")),
    Feature("payday_wait", "2 days", _W, "days from the due date to the weekday on which they pay", clock=_EFF),
    Feature("payday_habit", "share", _W, "how much they keep to one weekday", clock=_EFF),
    Feature("wait_x_median", "product", _W, "their weekday habit together with their usual delay", clock=_EFF),
    Feature("monday_x_median", "product", _W, "due on a Monday, with their usual delay", clock=_EFF),
    Feature("friday_x_median", "product", _W, "due on a Friday, with their usual delay", clock=_EFF),
    Feature("saturday_x_median", "product", _W, "due on a Saturday, with their usual delay", clock=_EFF),
    Feature("month_sine", "sine", _S, "time of the month", clock=_EFF),
    Feature("month_cosine", "cosine", _S, "time of the month", clock=_EFF),
    Feature("year_sine", "sine", _S, "time of the year", clock=_EFF),
    Feature("year_cosine", "cosine", _S, "time of the year", clock=_EFF),
    Feature("since_payment", "log days / 2 - 1", _C, "time since their last payment", clock=_REC),
    Feature("never_paid", "0 or 1", _C, "no payment seen yet"),
    Feature("gap_ratio", "log ratio", _C, "gap since the last invoice against their rhythm", clock=_REC),
    Feature("cadence", "log days / 2 - 1.5", _C, "their rhythm of invoices"),
    Feature("disputes", "log count", _R, "past disputes"),
    Feature("declines", "log count", _R, "recent declined payments"),
    Feature("promises_kept", "share kept less share broken", _R, "how they kept their promises to pay"),
    Feature("disputed_now", "0 or 1", _R, "this invoice is disputed"),
    Feature("promised_now", "0 or 1", _R, "a promise to pay covers this invoice", clock=_REC),
    Feature("promised_days", "15 days", _R, "days from the due date to the promised day", clock=_REC),
    Feature("promise_trusted", "product", _R, "a promise covers this invoice, with how they kept earlier ones", clock=_REC),
    Feature("firm_recent", "logit above the long run", _F, "how all clients pay lately"),
    Feature("age", "log days / 2 - 1.5", _P, "days since the invoice was entered", clock=_REC),
    Feature("paid_since", "0 or 1", _P, "another payment came since"),
    Feature("part_paid", "share", _P, "part of this invoice is paid"),
    *(Feature(f"payday_open_{days}", "logit", _W,
              f"how many of their payments go over {days} days on their weekdays", clock=_REC) for days in LATE_DAYS),
    Feature("payday_days", "15 days", _W, "their usual days late, moved to the weekdays on which they pay", clock=_EFF),
    *(Feature(f"next_run_{days}", "7 days", _W, f"whether their next payment run pays within {days} days", clock=_REC)
      for days in LATE_DAYS),
    Feature("run_habit", "share", _W, "how regular their payment runs are"),
    Feature("run_age", "gaps", _C, "time since their last payment day against their rhythm", clock=_REC),
    *(Feature(f"run_open_{days}", "logit", _W, f"how likely their payment runs leave it open for over {days} days", clock=_REC)
      for days in LATE_DAYS),
    Feature("run_days", "15 days", _W, "days late of the payment run that is expected to pay it", clock=_REC),
    *(Feature(f"still_open_{days}", "logit", _O, f"of invoices still open at this point, how many took over {days} days",
              clock=_REC) for days in LATE_DAYS),
)  # fmt: skip
"""Every feature, in the order of the vector."""

NAMES: Final = tuple(row.name for row in FEATURES)
INDEX: Final = {name: place for place, name in enumerate(NAMES)}
_NO_OUTCOME: Final = INDEX["no_outcome"]


def table_of(columns: Iterable[tuple[str, str]]) -> str:
    """Return the name of a table of features: a hash of names and units in their order."""
    return derive("features", *(f"{name}|{unit}" for name, unit in columns))[:12]


TABLE: Final = table_of((row.name, row.unit) for row in FEATURES)
"""Hash of names, units and order; a snapshot made with another one is refused."""

_PACK: Final = struct.Struct(f"<{len(FEATURES)}e")
PACKED: Final = _PACK.size  # bytes; a vector of another length was stored by a release with another table
_FIRM_WEIGHT: Final = 0.5  # what the firm's mean delay weighs beside each of a client's own
_SHORT_TERMS: Final = 10
_FLAGS: Final = tuple(tuple(float(day == falls) for day in range(7)) for falls in range(7))
_NO_BOOK: Final = (0.0,) * 5
_SEASON_DAYS: Final = 730  # before two years have passed, the time of the year is only a clock


def log_amount_of(invoice: Invoice) -> float:
    """Return ln(1 + amount in major units)."""
    return log1p(invoice.minor / 10 ** exponent(invoice.currency))


def is_first(features: tuple[float, ...]) -> bool:
    """Say whether a question is about a client of whom no outcome was known when it was put."""
    return features[_NO_OUTCOME] > 0


def pack(values: list[float]) -> bytes:
    """Return the vector as half-precision floats: what is stored with a question, and what is scored."""
    return _PACK.pack(*values)


def unpack(raw: bytes) -> tuple[float, ...]:
    """Return the vector that `pack` wrote. Raises struct.error when it has another length than the table."""
    return _PACK.unpack(raw)


def still_open(raw: bytes) -> tuple[float, float, float]:
    """Return the last features of a packed vector, `still_open_5`, `_15` and `_30`, alone."""
    return struct.unpack_from("<3e", raw, len(raw) - 6)


def lateness_features(
    state: ClientState, invoice: Invoice, *, now_ms: int, seen_ms: int, landmark: Landmark, firm: FirmView
) -> list[float]:
    """Return the features of one question about `invoice`, in table order.

    `now_ms` is when the question is put, `seen_ms` when the invoice was first seen, both by the client's logical clock. At its
    issue the invoice must not be counted in `state.habits` yet, at the other landmarks it must be.
    """
    habits, today, due = state.habits, now_ms // DAY_MS, invoice.due_ms // DAY_MS
    at_issue = landmark is Landmark.ISSUE
    settled, mean = len(habits.recent_days), firm.mean_days
    weight = settled / (settled + _FIRM_WEIGHT)
    median = bounded((weight * habits.median + (1 - weight) * mean) / 15, -2.0, 4.0)
    count = len(habits.endings)
    rows = [row for row in state.ledger.invoices if row.invoice_id != invoice.invoice_id and owed(row)]
    payable = [payable_ms(row, state) for row in rows] if state.ledger.plans else [row.due_ms for row in rows]
    others = [today - at // DAY_MS for at in payable]
    if others and max(others) > 0 and (paid := paid_in_effect(state.ledger, now_ms)):
        others = [days for row, days in zip(rows, others, strict=True) if row.invoice_id not in paid]
    others.sort()
    floor = today - due - 1
    limits = [days if days > floor else floor for days in LATE_DAYS]  # noqa: FURB136 - as in bounded
    base = firm.longer(floor) + 3.0
    shares = [(firm.longer(limit) + 1.0) / base for limit in limits]  # of what was open that long, by the whole firm
    return [
        *history(habits.known, habits.late, habits.fast, habits.slow, firm.late_share, firm.prior),
        *passed(habits.known, habits.late, habits.beyond, firm.late_share, firm.late_beyond),
        median,
        *days_late(habits.fast_days, habits.slow_days, habits.spread, habits.last_days if count else mean, count, mean),
        *(_book(others) if others else _NO_BOOK),
        *_amount(habits, log_amount_of(invoice), firm, counted=not at_issue),
        *_terms(invoice, due, today, seen_ms, at_issue=at_issue),
        *_weekday(habits.pay_weekdays, count, due, median),
        *_season(due, today, firm),
        *_cadence(state, now_ms),
        *_friction(state, invoice, due, now_ms),
        firm.lately,
        *_progress(state, invoice, now_ms, seen_ms, at_issue=at_issue),
        *_paydays(habits, due, today, mean, (limits, shares)),
        *_still_open(habits, others, floor, limits, shares),
    ]


def _book(others: list[int]) -> list[float]:
    """`others` holds the days since each other open invoice fell due, negative before, in ascending order."""
    count = len(others)
    overdue = count - bisect_right(others, 0)
    return [
        log1p(count),
        log1p(overdue),
        log1p(count - bisect_right(others, LATE_DAYS[0])),
        log1p(others[-1]) / 2 if overdue else 0.0,
        overdue / (count + 1.0),
    ]


def _amount(habits: Habits, amount: float, firm: FirmView, *, counted: bool) -> list[float]:
    # Once it is counted among the issued ones, the invoice is taken out of the client's own mean.
    before, total = (habits.issued - 1, habits.log_amounts - amount) if counted else (habits.issued, habits.log_amounts)
    own = 0.0
    if before > 0:
        mean = total / before
        own = bounded((amount - mean) * before / (before + 1), -3.0, 3.0)
    return [bounded((amount - firm.log_amount) / (firm.log_amount_spread + 0.3), -3.0, 3.0), own]


def _terms(invoice: Invoice, due: int, today: int, seen_ms: int, *, at_issue: bool) -> list[float]:
    issued = invoice.issued_ms // DAY_MS
    terms = due - issued
    return [
        bounded(terms, 0, 120) / 30 - 1,
        1.0 if terms <= _SHORT_TERMS else 0.0,
        bounded(due - today, -30, 60) / 30 - 0.5 if at_issue else 0.0,
        bounded((today - due) / 15, 0.0, 4.0) if at_issue else 0.0,
        bounded((seen_ms / DAY_MS - issued) / 15, 0.0, 4.0),
    ]


def _weekday(counts: tuple[int, ...], total: int, due: int, median: float) -> list[float]:
    falls = weekday(due)
    flags = _FLAGS[falls]
    wait, habit = _payday_wait(counts, total, falls) if total >= FEW else (0.0, -0.3)
    return [
        *flags, wait, habit, median * wait, flags[0] * median, flags[4] * median, flags[5] * median,
    ]  # fmt: skip


@lru_cache(maxsize=4096)
def _payday_wait(counts: tuple[int, ...], total: int, falls: int) -> tuple[float, float]:
    wait = (sum([((day - falls) % 7) * count for day, count in enumerate(counts)]) / total - 3.0) / 2
    return wait, (max(counts) / total - 0.3) * 2


def _season(due: int, today: int, firm: FirmView) -> tuple[float, float, float, float]:
    season = _calendar(due)
    if not firm.first_day or today - firm.first_day < _SEASON_DAYS:
        return season[0], season[1], 0.0, 0.0
    return season


@lru_cache(maxsize=4096)
def _calendar(day: int) -> tuple[float, float, float, float]:
    date = moment(day * DAY_MS)
    month, year = 2 * pi * date.day / 30.4, 2 * pi * date.timetuple().tm_yday / 365.25
    return sin(month), cos(month), sin(year), cos(year)


def _cadence(state: ClientState, now_ms: int) -> list[float]:
    habits, paid = state.habits, state.rhythm.last_paid_ms
    gap = 0.0
    if habits.issued > 1:
        gap = (habits.last_issue_ms - habits.first_issue_ms) / DAY_MS / (habits.issued - 1)
    since = max(0.0, (now_ms - habits.last_issue_ms) / DAY_MS)
    return [
        bounded(log1p(max(0, now_ms - paid) / DAY_MS) / 2 - 1, -1.0, 2.0) if paid else 0.0,
        0.0 if paid else 1.0,
        bounded(log((since + 1) / (gap + 1)), -2.0, 2.0) if habits.issued > 1 else 0.0,
        bounded(log1p(gap) / 2 - 1.5, -2.0, 2.0) if habits.issued > 1 else 0.0,
    ]


def _friction(state: ClientState, invoice: Invoice, due: int, now_ms: int) -> list[float]:
    ledger, rhythm, words = state.ledger, state.rhythm, state.habits.words
    disputed = promised = wait = 0.0
    for dispute in ledger.disputes:
        if dispute.opened_at > dispute.closed_at and dispute.invoice_id in {"", invoice.invoice_id}:
            disputed = 1.0
    latest = 0
    for promise in ledger.promises:
        if promise.made_at <= promise.withdrawn_at or promise.invoice_id not in {"", invoice.invoice_id}:
            continue
        if promise.promised_ms >= now_ms:
            promised = 1.0
            if promise.made_at > latest:
                latest, wait = promise.made_at, bounded((promise.promised_ms // DAY_MS - due) / 15, -2.0, 4.0)
    for plan in ledger.plans:
        if plan.invoice_id == invoice.invoice_id and is_agreed(plan) and plan.parts[-1][0] >= now_ms:
            promised = 1.0
    kept = trust(words) if words else 0.0
    count = log1p(len(rhythm.disputes)), log1p(len(rhythm.failures))
    return [*count, kept, disputed, promised, wait, promised * kept]


def _progress(state: ClientState, invoice: Invoice, now_ms: int, seen_ms: int, *, at_issue: bool) -> list[float]:
    part = min(1.0, invoice.paid / invoice.minor) if invoice.minor else 0.0
    if at_issue:
        return [0.0, 0.0, part]
    age = bounded(log1p(max(0, now_ms - seen_ms) / DAY_MS) / 2 - 1.5, -2.0, 2.0)
    return [age, 1.0 if state.rhythm.last_paid_ms > seen_ms else 0.0, part]


def _still_open(habits: Habits, others: list[int], floor: int, limits: list[int], shares: list[float]) -> list[float]:
    """Conditional shares: of the invoices that were still open `floor` days after due, how many passed 5, 15 and 30.

    The client's recent settled ones and the open ones (ascending days) that have already passed the limit, shrunk to the
    firm's `shares`.
    """
    recent, many = habits.recent_days, len(others)
    total = len(recent)
    survivors = total - bisect_right(recent, floor)
    found = []
    for limit, share in zip(limits, shares, strict=True):
        beyond = many - bisect_right(others, limit) if many else 0
        passed = total - bisect_right(recent, limit) + beyond
        found.append(logit(bounded((passed + 3.0 * share) / (survivors + beyond + 3.0), 0.01, 0.99)))
    return found


def _paydays(habits: Habits, due: int, today: int, mean_days: float, firm: tuple[list[int], list[float]]) -> list[float]:
    """Return the conditional shares once more, each recent delay moved to the client's weekdays; what its payment runs say."""
    limits, shares = firm
    (left, *over), total, count = payday(habits, due, [today - due - 1, *limits])
    shares = [bounded((beyond + 2.0 * share) / (left + 2.0), 0.01, 0.99) for share, beyond in zip(shares, over, strict=True)]
    usual = (total + 2 * mean_days) / (count + 2)
    run, habit = next_run(habits, due, today)
    since = today - habits.endings[-1].day if habits.run_gap else 0
    chances, days = by_runs(habits, due, today, limits, (shares, usual))
    return [
        *[logit(share) for share in shares],
        bounded(usual / 15, -2.0, 4.0),
        *[habit * bounded((run - limit - 0.5) / 7, -1.5, 1.5) for limit in LATE_DAYS],
        habit,
        bounded(since / (habits.run_gap + 1.0), 0.0, 4.0) / 2,
        *[logit(bounded(chance, 0.01, 0.99)) for chance in chances],
        bounded(days / 15, -2.0, 4.0),
    ]
