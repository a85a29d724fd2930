"""What is remembered of a client for learning: how invoices ended, and the questions about them that are still open.

Everything here follows from the ledger by comparing it before and after an event, so a fact that is taken back (a chargeback, a
voided invoice) is taken back here as well. Constant memory: the latest `KEPT` outcomes and at most `WATCHED` open questions.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import cos, pi, sin
from operator import add
from typing import Final

import msgspec

from models.state.answers import LONGER, Answer, counted, longer_answered
from models.state.memory import fingerprint
from models.state.words import Word
from models.state.words import united as united_words
from models.workdays import DAY_MS, moment

KEPT: Final = 16  # beyond sixteen outcomes the slow average (a tenth each) has forgotten all but a fifth
RECENT: Final = 12  # of which the median, the spread and the conditional shares are taken
WATCHED: Final = 128  # a client billed twice a day needs about ninety; what is beyond is counted in `unwatched`, not learned from
FAST: Final = 0.3  # a third of the weight is the last outcome: notices a change within three invoices
SLOW: Final = 0.1
DAYS_FLOOR: Final = -30  # one invoice paid a year early or late must not own an average
DAYS_CEILING: Final = 90
_MARK_BYTES: Final = 4
_WEEK: Final = 7
_FAST_DAYS: Final = 0.3
_SLOW_DAYS: Final = 0.08
_MONDAY_OFFSET: Final = 3  # 1970-01-01 was a Thursday
_PLACES: Final = tuple(range(1, KEPT + 1))
_PACES: Final = tuple((max(FAST, 1 / place), max(SLOW, 1 / place)) for place in _PLACES)
_DAYS_PACES: Final = tuple((max(_FAST_DAYS, 1 / place), max(_SLOW_DAYS, 1 / place)) for place in _PLACES)
"""Weight of each outcome in the fast and the slow average, from the first on; the first ones count like in a plain mean."""
MONTH_DAYS: Final = 30.4
RUNS_KEPT: Final = 9  # eight gaps
_FEW_RUNS: Final = 4  # payment days from which a rhythm of payment runs can be told


class Ending(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When one invoice was settled: days after due (negative: before) and the day of payment since 1970-01-01 UTC."""

    mark: int
    days_late: int
    day: int


class Asked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A question as it was put: when, from which features, and what was answered.

    `features` are half-precision floats in the order of the feature table; `chances` are P(more than 5, 15, 30 days late) in
    ten-thousandths, -1 where it was decided already; `days` are the tenths of days after due at the levels .05, .5, .9 and .95.
    `is_leaned`: the learners were trusted less when it was put, because clients lately paid differently than before.
    """

    landmark: int
    at_ms: int
    features: bytes
    chances: tuple[int, ...] = ()
    days: tuple[int, ...] = ()
    version: str = ""
    is_leaned: bool = False


class Watch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An invoice whose outcome is waited for. `stage` counts the steps of the schedule done; `settled_day` 0: still open.

    Service line and contract type are kept because the invoice itself may be gone before its last answer.

    Of the questions in `asked` only the first holds its features; each later one holds what differs from the first (exclusive
    or), which is mostly zero and takes little room when stored. `with_question` puts them in, `questions_of` takes them out.
    """

    invoice_id: str
    due_day: int
    seen_ms: int
    log_amount: float
    stage: int = 0
    settled_day: int = 0
    asked: tuple[Asked, ...] = ()
    service_line: str = ""
    contract_type: str = ""


class Habits(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Outcomes and open questions of a client, with the figures that features need precomputed.

    `month_sine` and `month_cosine` (hundredths) are the mean direction of the days of the month on which the client pays, and
    `half_sine` and `half_cosine` the same for half a month, which finds who pays twice a month;
    `runs` are the latest days on which anything was paid, however much on each; `run_gap` is the median of the days between
    them, `run_spread` their quartile range; 0 while there are too few. `beyond` counts of all invoices whose longer limits were
    answered how many those were and how many passed them, limit by limit. `words` say what became of promises to pay.
    """

    issued: int = 0
    first_issue_ms: int = 0
    last_issue_ms: int = 0
    log_amounts: float = 0.0
    known: int = 0
    late: int = 0
    answers: tuple[Answer, ...] = ()
    endings: tuple[Ending, ...] = ()
    fast: float = 0.0
    slow: float = 0.0
    fast_days: float = 0.0
    slow_days: float = 0.0
    median: float = 0.0
    spread: float = 0.0
    last_days: float = 0.0
    recent_days: tuple[int, ...] = ()
    pay_weekdays: tuple[int, ...] = ()
    watches: tuple[Watch, ...] = ()
    unwatched: int = 0
    month_sine: int = 0
    month_cosine: int = 0
    half_sine: int = 0
    half_cosine: int = 0
    runs: tuple[int, ...] = ()
    run_gap: int = 0
    run_spread: int = 0
    beyond: tuple[int, ...] = (0, 0) * LONGER
    words: tuple[Word, ...] = ()


@lru_cache(maxsize=1024)
def mark_of(invoice_id: str) -> int:
    """Return the 32-bit hash under which an outcome is remembered among the client's few dozen others."""
    return int.from_bytes(fingerprint(invoice_id)[:_MARK_BYTES], "big")


def weekday(day: int) -> int:
    """Return the weekday (Monday 0) of a day since 1970-01-01."""
    return (day + _MONDAY_OFFSET) % _WEEK


def with_answer(habits: Habits, answer: Answer) -> Habits:
    """Count that an invoice was, or was not, still open after its grace."""
    return _answered(habits, (*habits.answers, answer)[-KEPT:], come=(answer,))


def with_longer(habits: Habits, mark: int, *, place: int, late: bool) -> Habits:
    """Count that an invoice was, or was not, still open after the longer limit in that `place`."""
    beyond = list(habits.beyond)
    beyond[2 * place] += 1
    beyond[2 * place + 1] += late
    answers = longer_answered(habits.answers, mark, place=place, late=late)
    return msgspec.structs.replace(habits, answers=answers, beyond=tuple(beyond))


def with_correction(habits: Habits, answer: Answer) -> Habits:
    """Put what is known now about an invoice in the place of what was answered about it."""
    gone = tuple(row for row in habits.answers if row.mark == answer.mark)
    answers = tuple(answer if row.mark == answer.mark else row for row in habits.answers)
    return _answered(habits, answers, come=(answer,) * len(gone), gone=gone)


def without_answer(habits: Habits, mark: int) -> Habits:
    """Take an answer back; one that has left the memory, or was never given, changes nothing."""
    gone = tuple(row for row in habits.answers if row.mark == mark)
    if not gone:
        return habits
    return _answered(habits, tuple(row for row in habits.answers if row.mark != mark), gone=gone)


def with_ending(habits: Habits, ending: Ending) -> Habits:
    """Remember when an invoice was settled; a newer word on the same invoice replaces the older."""
    mark, last = ending.mark, _ended_in_order(ending)
    rest = [row for row in habits.endings if row.mark != mark]
    # Of several settled by one payment run the newest counts as the latest word.
    if rest and _ended_in_order(rest[-1]) > last:
        rest.append(ending)
        rest.sort(key=_ended_in_order)
    else:
        rest.append(ending)
    return _ended(habits, tuple(rest[-KEPT:]))


def without_ending(habits: Habits, mark: int) -> Habits:
    """Forget that an invoice was settled (its money went back)."""
    endings = tuple(row for row in habits.endings if row.mark != mark)
    return habits if len(endings) == len(habits.endings) else _ended(habits, endings)


def with_issue(habits: Habits, at_ms: int, log_amount: float) -> Habits:
    """Count an invoice; `log_amount` is the natural logarithm of one plus its major units."""
    return msgspec.structs.replace(
        habits,
        issued=habits.issued + 1,
        first_issue_ms=min(habits.first_issue_ms or at_ms, at_ms),
        last_issue_ms=max(habits.last_issue_ms, at_ms),
        log_amounts=habits.log_amounts + log_amount,
    )


def without_issue(habits: Habits, log_amount: float) -> Habits:
    """Take an invoice back that was voided; the moments of issue stay, for they happened."""
    left = max(0, habits.issued - 1)
    return msgspec.structs.replace(habits, issued=left, log_amounts=habits.log_amounts - log_amount if left else 0.0)


def with_watch(habits: Habits, watch: Watch) -> Habits:
    """Add or replace the watch over one invoice, in the order of first sight; beyond `WATCHED` it is counted instead."""
    for index, row in enumerate(habits.watches):
        if row.invoice_id == watch.invoice_id:
            rows = (*habits.watches[:index], watch, *habits.watches[index + 1 :])
            return msgspec.structs.replace(habits, watches=rows)
    if len(habits.watches) >= WATCHED:
        return msgspec.structs.replace(habits, unwatched=habits.unwatched + 1)
    return msgspec.structs.replace(habits, watches=(*habits.watches, watch))


def with_question(watch: Watch, asked: Asked) -> Watch:
    """Add a question to a watch."""
    if watch.asked:
        asked = msgspec.structs.replace(asked, features=_differing(asked.features, watch.asked[0].features))
    return msgspec.structs.replace(watch, asked=(*watch.asked, asked))


def features_of(watch: Watch) -> list[bytes]:
    """Return the features of each question of a watch, in full."""
    rows = watch.asked
    if len(rows) < 2:  # noqa: PLR2004 - one question differs from nothing
        return [row.features for row in rows]
    first = rows[0].features
    return [first, *[_differing(row.features, first) for row in rows[1:]]]


def questions_of(watch: Watch) -> tuple[Asked, ...]:
    """Return the questions of a watch, each with its features in full."""
    return _crossed(watch.asked)


def last_question(watch: Watch) -> Asked:
    """Return the latest question of a watch that has one, with its features in full."""
    return _crossed((watch.asked[0], watch.asked[-1]))[-1] if len(watch.asked) > 1 else watch.asked[0]


def against_the_first(watch: Watch) -> Watch:
    """Return a watch whose questions held their features in full, as an older release kept them, in the form of this one."""
    return msgspec.structs.replace(watch, asked=_crossed(watch.asked))


def without_watch(habits: Habits, invoice_id: str) -> Habits:
    """Stop watching an invoice."""
    rows = tuple(row for row in habits.watches if row.invoice_id != invoice_id)
    return msgspec.structs.replace(habits, watches=rows)


def united(one: Habits, two: Habits, *, twice: int) -> Habits:
    """Return the habits of two clients who turned out to be one; `twice` counts the invoices that both were told of.

    Answers carry no day: those of `two` count as the earlier ones.
    """
    answered = {row.mark for row in one.answers}
    answers = [row for row in two.answers if row.mark not in answered]
    again = [row for row in two.answers if row.mark in answered]
    ended = {row.mark for row in one.endings}
    endings = sorted((*one.endings, *(row for row in two.endings if row.mark not in ended)), key=_ended_in_order)
    watching = {row.invoice_id: row for row in one.watches}
    for row in two.watches:
        if row.invoice_id not in watching or (row.settled_day and not watching[row.invoice_id].settled_day):
            watching[row.invoice_id] = row
    watches = tuple(watching.values())
    habits = msgspec.structs.replace(
        one,
        issued=max(0, one.issued + two.issued - twice),
        first_issue_ms=min(filter(None, (one.first_issue_ms, two.first_issue_ms)), default=0),
        last_issue_ms=max(one.last_issue_ms, two.last_issue_ms),
        log_amounts=one.log_amounts + (two.log_amounts * max(0, two.issued - twice) / two.issued if two.issued else 0.0),
        watches=watches[:WATCHED],
        unwatched=one.unwatched + two.unwatched + max(0, len(watches) - WATCHED),
        runs=tuple(sorted({*one.runs, *two.runs})[-RUNS_KEPT:]),
    )
    habits = msgspec.structs.replace(
        habits,
        known=one.known + two.known,
        late=one.late + two.late,
        beyond=tuple(map(add, one.beyond, two.beyond)),
        words=united_words(one.words, two.words),
    )
    habits = _answered(habits, (*answers, *one.answers)[-KEPT:], gone=again)
    return _ended(habits, tuple(endings[-KEPT:]))


def _crossed(rows: tuple[Asked, ...]) -> tuple[Asked, ...]:
    """Return the rows, the features of all but the first crossed with the first one's: from full to differing and back."""
    if len(rows) < 2:  # noqa: PLR2004 - one question differs from nothing
        return rows
    first = rows[0].features
    later = [msgspec.structs.replace(row, features=_differing(row.features, first)) for row in rows[1:]]
    return (rows[0], *later)


def _differing(features: bytes, first: bytes) -> bytes:
    many = len(features)
    return (int.from_bytes(features, "little") ^ int.from_bytes(first[:many], "little")).to_bytes(many, "little")


def _answered(habits: Habits, answers: tuple[Answer, ...], *, come: Sequence[Answer] = (), gone: Sequence[Answer] = ()) -> Habits:
    fast = slow = 0.0
    for row, (quick, steady) in zip(answers, _PACES, strict=False):
        late_then = row.late
        fast += quick * (late_then - fast)
        slow += steady * (late_then - slow)
    rows = zip((habits.known, habits.late, *habits.beyond), counted(come), counted(gone), strict=True)
    known, late, *beyond = [max(0, had + more - less) for had, more, less in rows]
    return msgspec.structs.replace(habits, answers=answers, known=known, late=late, fast=fast, slow=slow, beyond=tuple(beyond))


def _ended(habits: Habits, endings: tuple[Ending, ...]) -> Habits:
    fast = slow = 0.0
    weekdays = [0] * _WEEK
    for row, (quick, steady) in zip(endings, _DAYS_PACES, strict=False):
        days = row.days_late
        if not DAYS_FLOOR <= days <= DAYS_CEILING:
            days = DAYS_FLOOR if days < DAYS_FLOOR else DAYS_CEILING
        fast += quick * (days - fast)
        slow += steady * (days - slow)
        weekdays[(row.day + _MONDAY_OFFSET) % _WEEK] += 1
    recent = tuple(sorted([row.days_late for row in endings[-RECENT:]]))
    return msgspec.structs.replace(
        habits,
        endings=endings,
        fast_days=fast,
        slow_days=slow,
        median=_quantile(recent, 0.5),
        last_days=_last_run(endings),
        spread=_quantile(recent, 0.75) - _quantile(recent, 0.25),
        recent_days=recent,
        pay_weekdays=tuple(weekdays) if endings else (),
        **_rhythm(_runs(habits, endings)),
    )


def _ended_in_order(row: Ending) -> tuple[int, int, int]:
    return row.day, -row.days_late, row.mark


def _runs(habits: Habits, endings: tuple[Ending, ...]) -> tuple[int, ...]:
    """Return the days of payment: who pays many invoices at once has more days behind them than endings remembered."""
    days = {row.day for row in endings}
    # A day that no ending names any more was taken back, unless it is only older than what is remembered.
    forgotten = endings[0].day if len(endings) >= KEPT else 0
    return tuple(sorted(days.union(day for day in habits.runs if day < forgotten))[-RUNS_KEPT:])


def _rhythm(runs: tuple[int, ...]) -> dict[str, int | tuple[int, ...]]:
    """Return the fields about the time of the month and the gaps between payment days."""
    count = max(1, len(runs))
    # Each day of payment once: a bundle of invoices says no more about the time of the month than one.
    month_sine = month_cosine = half_sine = half_cosine = 0.0
    for day in runs:
        sine, cosine = month_phase(day)
        month_sine, month_cosine = month_sine + sine, month_cosine + cosine
        sine, cosine = month_phase(day, 2)
        half_sine, half_cosine = half_sine + sine, half_cosine + cosine
    gaps = tuple(sorted([later - earlier for earlier, later in pairwise(runs)]))
    regular = len(runs) >= _FEW_RUNS
    return {
        "runs": runs,
        "month_sine": round(100 * month_sine / count),
        "month_cosine": round(100 * month_cosine / count),
        "half_sine": round(100 * half_sine / count),
        "half_cosine": round(100 * half_cosine / count),
        "run_gap": round(_quantile(gaps, 0.5)) if regular else 0,
        "run_spread": round(_quantile(gaps, 0.75) - _quantile(gaps, 0.25)) if regular else 0,
    }


@lru_cache(maxsize=4096)
def month_phase(day: int, turns: int = 1) -> tuple[float, float]:
    """Return sine and cosine of the time of the month of a day since 1970-01-01; `turns` 2: of the half month."""
    angle = 2 * pi * turns * moment(day * DAY_MS).day / MONTH_DAYS
    return sin(angle), cos(angle)


def _last_run(endings: tuple[Ending, ...]) -> float:
    """Return the mean days late of what was settled on the last day of payment."""
    days = [row.days_late for row in endings if row.day == endings[-1].day]
    return sum(days) / len(days) if days else 0.0


def _quantile(ordered: tuple[int, ...], share: float) -> float:
    if not ordered:
        return 0.0
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def retold(habits: Habits, answers: tuple[Answer, ...], endings: tuple[Ending, ...]) -> Habits:
    """Return the habits of a client whose invoices ended otherwise: what follows from answers and endings is made anew."""
    told = _answered(habits, answers, come=answers, gone=habits.answers)
    return _ended(told, tuple(sorted(endings, key=_ended_in_order)[-KEPT:]))
