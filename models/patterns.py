"""Patterns in how a client pays and is billed: each with a name, what it may mean, and how to meet it.

A pattern is a pure function of the state at a moment, so a fact that is taken back takes its pattern back as well. Nothing is
stored for it. It proposes a posture; whether anything is sent is for the journeys, whether a client moves is for the rules.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import Final, TypeAlias

from models.features import ClockUsed, Family, Feature
from models.money import exponent
from models.state.client import ClientState
from models.state.history import card_declines, decline_streak, next_retry_ms
from models.state.rhythm import Bucket
from models.state.rows import METHODS
from models.state.windows import day_of
from models.workdays import DAY_MS

PatternFact: TypeAlias = str | int


class Pattern(StrEnum):
    """What is seen in the rhythm of a client."""

    SMALL_BURST = "small_burst"
    WIDENING_GAP = "widening_gap"
    MICRO_INVOICES = "micro_invoices"
    BUNDLED_INVOICES = "bundled_invoices"
    METHOD_SHIFT = "method_shift"
    DECLINE_STREAK = "decline_streak"


class Posture(StrEnum):
    """How a pattern is best met."""

    CHECK_IN = "check_in"
    EASE_BILLING = "ease_billing"
    EASE_PAYMENT = "ease_payment"
    TAKE_NOTE = "take_note"


@dataclass(frozen=True, slots=True)
class PatternRules:
    """From when on a pattern is one. `micro_units` are currency units of an average invoice."""

    burst_days: int = 14
    burst_payments: int = 4
    burst_ratio: float = 3.0
    burst_share: float = 0.5
    burst_units: int = 500
    gap_count: int = 4
    gap_ratio: float = 1.8
    gap_least_days: int = 10
    gap_lapsed_days: int = 200
    micro_invoices: int = 9
    micro_units: int = 500
    bundle_lines: int = 3
    bundle_invoices: int = 4
    shift_run: int = 3
    shift_share: float = 0.25
    declines: int = 3
    decline_days: int = 60


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a pattern may mean and how it is best met, in words for people."""

    reading: str
    posture: Posture
    advice: str


MEANINGS: Final = {
    Pattern.SMALL_BURST: Meaning(
        "trying things out, or stuck in onboarding",
        Posture.CHECK_IN,
        "ask how it goes and name a person to call; an offer can wait",
    ),
    Pattern.WIDENING_GAP: Meaning(
        "satisfied for now, a frozen budget, or unmet expectations",
        Posture.CHECK_IN,
        "ask how the work is going before offering anything",
    ),
    Pattern.MICRO_INVOICES: Meaning(
        "many small invoices: each costs both sides an approval",
        Posture.EASE_BILLING,
        "suggest one monthly invoice or a retainer; after weeks of invoices a check-in beats an offer",
    ),
    Pattern.BUNDLED_INVOICES: Meaning(
        "few invoices with many items: budgeted and approved as a whole",
        Posture.TAKE_NOTE,
        "one clear breakdown ahead of each invoice; keep the rhythm",
    ),
    Pattern.METHOD_SHIFT: Meaning(
        "another way of paying: new approver, new rules, or card trouble",
        Posture.TAKE_NOTE,
        "confirm the details of the new way of paying once; change nothing else",
    ),
    Pattern.DECLINE_STREAK: Meaning(
        "a payment method that has stopped working, rarely unwillingness",
        Posture.EASE_PAYMENT,
        "offer another way such as bank debit, never just before the processor tries again by itself",
    ),
}

_NEW_METHOD: Final = {
    "bank_debit": "procurement discipline: regular, cheap, seldom late",
    "card": "speed and easy reporting",
    "wire": "a formal approval before each payment",
    "check": "a formal approval on paper before each payment",
    "cash": "an exception worth a question",
}

PATTERNS: Final = (
    Feature("burst_payments", "payments in two weeks", Family.CADENCE, "payments lately", ClockUsed.RECEIVED, "relationship"),
    Feature("gap_ratio_paid", "own gaps", Family.CADENCE, "gap now against the usual gap", ClockUsed.RECEIVED, "relationship"),
    Feature("invoices_13w", "invoices in 13 weeks", Family.CADENCE, "how many invoices", ClockUsed.RECEIVED, "relationship"),
    Feature("mean_invoice", "currency units", Family.AMOUNT, "size of an average invoice", ClockUsed.RECEIVED, "relationship"),
    Feature("mean_lines", "items", Family.AMOUNT, "items on an invoice", ClockUsed.NONE, "relationship"),
    Feature("method_run", "payments", Family.FRICTION, "payments in a row by the same new method", purpose="relationship"),
    Feature("decline_run", "attempts", Family.FRICTION, "declined attempts in a row", ClockUsed.RECEIVED),
)
"""The figures behind the patterns as a typed table, in the order of `Measures`."""

_QUARTER: Final = 91
_KNOWN: Final = 2  # of anything below this, nothing is usual yet
_BEFORE: Final = 3  # payments by the old method before a new one is a shift
_OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of one client at one moment. `gaps` are whole days between days of payment, oldest first."""

    burst_payments: int
    burst_expected: float
    burst_mean: float
    usual_mean: float
    gaps: tuple[int, ...]
    gap_now: int
    invoices: int
    mean_invoice: float
    mean_lines: float
    method_run: int
    methods_before: tuple[str, ...]
    method_now: str
    declines: int
    card_declines: int

    @property
    def usual_gap(self) -> float:
        """Median gap, 0 without any."""
        return float(median(self.gaps)) if self.gaps else 0.0

    def row(self) -> tuple[float, ...]:
        """Return the figures in the order of `PATTERNS`."""
        usual = self.usual_gap
        return (
            float(self.burst_payments),
            self.gap_now / usual if usual else 0.0,
            float(self.invoices),
            self.mean_invoice,
            self.mean_lines,
            float(self.method_run),
            float(self.declines),
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """A pattern that was found: in words, its figures, and what a journey may state of it."""

    pattern: Pattern
    words: str
    meaning: Meaning
    facts: dict[str, PatternFact]

    def explain(self) -> str:
        """Return one line for people."""
        return f"{self.pattern.value}: {self.words} - {self.meaning.reading}; {self.meaning.advice}"


def patterns(state: ClientState, rules: PatternRules) -> tuple[Reading, ...]:
    """Return the patterns that hold at the state's logical time, in the order of `Pattern`."""
    seen = measure(state, rules)
    found = (
        _burst(seen, rules),
        _widening(seen, rules),
        _micro(seen, rules),
        _bundled(seen, rules),
        _shift(seen, rules),
        _declines(seen, rules, state),
    )
    return tuple(row for row in found if row is not None)


def find_pattern(state: ClientState, pattern: Pattern, rules: PatternRules) -> Reading | None:
    """Return the reading of one pattern, None where it does not hold."""
    return next((row for row in patterns(state, rules) if row.pattern is pattern), None)


def widening_ms(state: ClientState, rules: PatternRules) -> int | None:
    """Return when the gap will have become wide if nothing is paid, None without a rhythm. No other comes by time alone."""
    days = sorted(set(state.rhythm.pay_days))
    gaps = _gaps(days)
    return (days[-1] + _wide_from(gaps, rules)) * DAY_MS if len(gaps) >= rules.gap_count else None


def measure(state: ClientState, rules: PatternRules) -> Measures:
    """Return the figures at the state's logical time; money is that of the currency with the most movements."""
    today = day_of(state.now_ms)
    days = sorted(set(state.rhythm.pay_days))
    buckets = _main_currency(state.rhythm.buckets)
    unit = 10 ** exponent(buckets[0].currency) if buckets else 1
    first = today - rules.burst_days + 1
    recent = [row for row in buckets if row.day >= first]
    before = [row for row in buckets if row.day < first]
    burst, earlier = sum(row.payments for row in recent), sum(row.payments for row in before)
    span = first - before[0].day if before else 0
    quarter = [row for row in buckets if row.day > today - _QUARTER]
    invoices = sum(row.invoices for row in quarter)
    lines = [row.lines for row in state.ledger.invoices if row.issued_at > row.voided_at]
    run, methods_before, method = _methods(state)
    return Measures(
        burst_payments=burst,
        burst_expected=earlier * rules.burst_days / span if span else 0.0,
        burst_mean=sum(row.money_in for row in recent) / burst / unit if burst else 0.0,
        usual_mean=sum(row.money_in for row in before) / earlier / unit if earlier else 0.0,
        gaps=tuple(_gaps(days)),
        gap_now=today - days[-1] if days else 0,
        invoices=invoices,
        mean_invoice=sum(row.invoiced for row in quarter) / invoices / unit if invoices > 0 else 0.0,
        mean_lines=sum(lines) / len(lines) if len(lines) >= _KNOWN else 0.0,
        method_run=run,
        methods_before=methods_before,
        method_now=method,
        declines=decline_streak(state, since_ms=state.now_ms - rules.decline_days * DAY_MS),
        card_declines=card_declines(state, since_ms=state.now_ms - rules.decline_days * DAY_MS),
    )


def _burst(seen: Measures, rules: PatternRules) -> Reading | None:
    count = seen.burst_payments
    if count < rules.burst_payments or count < rules.burst_ratio * seen.burst_expected:
        return None
    limit = rules.burst_share * seen.usual_mean if seen.usual_mean else rules.burst_units
    if seen.burst_mean > limit:
        return None
    against = f"usually {seen.usual_mean:,.0f}" if seen.usual_mean else "no history before"
    words = f"{count} payments in {rules.burst_days} days of {seen.burst_mean:,.0f} on average ({against})"
    return _reading(Pattern.SMALL_BURST, words, {"recent_payments": count})


def _widening(seen: Measures, rules: PatternRules) -> Reading | None:
    if len(seen.gaps) < rules.gap_count or not _wide_from(seen.gaps, rules) <= seen.gap_now <= rules.gap_lapsed_days:
        return None
    usual = seen.usual_gap
    words = f"no payment for {seen.gap_now} days, usually every {usual:g}, never more than {max(seen.gaps)}"
    facts: dict[str, PatternFact] = {"weeks_quiet": seen.gap_now // 7, "usual_weeks": max(1, round(usual / 7))}
    return _reading(Pattern.WIDENING_GAP, words, facts)


def _micro(seen: Measures, rules: PatternRules) -> Reading | None:
    if seen.invoices < rules.micro_invoices or seen.mean_invoice > rules.micro_units:
        return None
    words = f"{seen.invoices} invoices in 13 weeks of {seen.mean_invoice:,.0f} on average"
    return _reading(Pattern.MICRO_INVOICES, words, {"recent_invoices": seen.invoices})


def _bundled(seen: Measures, rules: PatternRules) -> Reading | None:
    if not 0 < seen.invoices <= rules.bundle_invoices or seen.mean_lines < rules.bundle_lines:
        return None
    words = f"{seen.invoices} invoices in 13 weeks with {seen.mean_lines:.0f} items on average"
    return _reading(Pattern.BUNDLED_INVOICES, words, {})


def _shift(seen: Measures, rules: PatternRules) -> Reading | None:
    before, now = seen.methods_before, seen.method_now
    if seen.method_run < rules.shift_run or len(before) < _BEFORE or before.count(now) > rules.shift_share * len(before):
        return None
    usual = Counter(before).most_common(1)[0][0]
    words = f"the last {seen.method_run} payments by {_plain(now)}, before mostly by {_plain(usual)}: {_NEW_METHOD[now]}"
    return _reading(Pattern.METHOD_SHIFT, words, {"recent_method": now, "usual_method": usual})


def _declines(seen: Measures, rules: PatternRules, state: ClientState) -> Reading | None:
    if seen.card_declines < rules.declines:
        return None
    retry = next_retry_ms(state)
    again = f"; the processor tries again in {max(0, retry - state.now_ms) // DAY_MS} days" if retry else ""
    words = f"{seen.card_declines} declined attempts by card since money last came{again}"
    return _reading(Pattern.DECLINE_STREAK, words, {"declines": seen.card_declines})


def _reading(pattern: Pattern, words: str, facts: dict[str, PatternFact]) -> Reading:
    return Reading(pattern, words, MEANINGS[pattern], facts)


def _wide_from(gaps: "list[int] | tuple[int, ...]", rules: PatternRules) -> int:
    """Return from how many days on a gap is wide: well beyond the usual, and longer than any that is remembered."""
    usual = median(gaps)
    return max(-int(-rules.gap_ratio * usual // 1), int(usual) + rules.gap_least_days, max(gaps) + 1)


def _gaps(days: list[int]) -> list[int]:
    return [later - earlier for earlier, later in pairwise(days)]


def _main_currency(buckets: tuple[Bucket, ...]) -> list[Bucket]:
    moves: Counter[str] = Counter()
    for row in buckets:
        moves[row.currency] += row.payments + row.invoices
    if not moves:
        return []
    main = max(sorted(moves), key=lambda code: moves[code])
    return [row for row in buckets if row.currency == main]


def _methods(state: ClientState) -> tuple[int, tuple[str, ...], str]:
    """Return (how many of the last payments came by one method, the methods before, that method); unnamed ones left out."""
    named = [METHODS[index].value for index in state.rhythm.pay_methods]
    named = [name for name in named if name != _OTHER]
    if not named:
        return 0, (), ""
    now = named[-1]
    run = next((place for place, name in enumerate(reversed(named)) if name != now), len(named))
    return run, tuple(named[:-run]), now


def _plain(method: str) -> str:
    return method.replace("_", " ")
