"""Questions about invoices and when their answers become known: the label queue, kept in the client's own state.

An invoice is asked about when it is issued and, while it is open, at the landmarks around its due date. Features and prediction
are stored with the question. The answers are released on a fixed schedule, whether the client paid early or not at all: "more
than 5 days late" is answered for everybody when day 5 has passed. Were prompt payers' answers used when they pay, every learner
would first see a burst of good news. An invoice that is still open is late, but its number of days stays unknown (censored).
"""

from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from math import inf
from operator import is_not
from typing import Final

from msgspec.structs import replace

from models.events.envelope import epoch_ms
from models.features import LATE_DAYS, OFFSETS, PACKED, TABLE, Landmark, log_amount_of
from models.learners.scorer import DECIDED, PER_CHANCE, PER_DAY, Scorer
from models.state.answers import Answer, answer_of
from models.state.balances import paid_in_effect
from models.state.client import ClientState
from models.state.habits import (
    Asked,
    Ending,
    Habits,
    Watch,
    features_of,
    mark_of,
    with_answer,
    with_correction,
    with_ending,
    with_issue,
    with_longer,
    with_question,
    with_watch,
    without_answer,
    without_ending,
    without_issue,
    without_watch,
)
from models.state.plans import agreed_due_ms
from models.state.promises import words_by_now
from models.state.reckoning import is_credited, is_given_up, is_live, owed
from models.state.rows import Invoice
from models.triggers import Cohort, Example, Question, built
from models.workdays import DAY_MS, moment


@dataclass(frozen=True, slots=True)
class _Step:
    offset: int
    landmark: Landmark | None = None
    over_days: int = 0


GIVEN_UP_DAYS: Final = 121
"""Days after due when an invoice that is still open is not waited for any more."""

SCHEDULE: Final = tuple(
    sorted(
        [_Step(offset, landmark=landmark) for landmark, offset in OFFSETS.items()]
        + [_Step(days + 1, over_days=days) for days in LATE_DAYS]
        + [_Step(GIVEN_UP_DAYS)],
        key=lambda step: step.offset,
    )
)
"""Steps of a watch, in days from the due date; each at the start of that day, before its payments."""

_OFFSETS: Final = tuple(step.offset for step in SCHEDULE)


def next_question_ms(habits: Habits) -> int | None:
    """Return when the next step of any watch is due, in epoch ms."""
    watches = habits.watches
    if not watches:
        return None
    offsets = _OFFSETS
    return min([watch.due_day + offsets[watch.stage] for watch in watches]) * DAY_MS


def notice(before: ClientState, after: ClientState, scorer: Scorer) -> tuple[ClientState, list[Example]]:
    """Compare the ledgers around one event: ask about new invoices, note settled ones, take back what was taken back."""
    if before.ledger is after.ledger:
        return after, []
    words = words_by_now(after.habits.words, after.ledger, after.now_ms)
    if words is not after.habits.words:
        after = replace(after, habits=replace(after.habits, words=words))
    old_rows, rows = before.ledger.invoices, after.ledger.invoices
    covered = paid_in_effect(after.ledger, after.now_ms)
    known = set(map(id, old_rows))
    examples: list[Example] = []
    state = after
    # A client may have hundreds of invoices, of which an event changes one or two: most stand where they stood.
    for row in (*compress(rows, map(is_not, rows, old_rows)), *rows[len(old_rows) :]):
        if id(row) in known:
            continue
        earlier = next((old for old in old_rows if old.invoice_id == row.invoice_id), None)
        state = _changed(state, earlier, row, scorer, examples, is_covered=row.invoice_id in covered)
    return _covered_since(state, covered, examples), examples


def due_questions(state: ClientState, *, until_ms: int, scorer: Scorer) -> tuple[ClientState, list[Example]]:
    """Carry out the steps due by `until_ms`, in the order of their time and of first sight; the clock moves along."""
    watches = state.habits.watches
    dues = [_due_ms(watch) for watch in watches]
    if not dues or min(dues) > until_ms:
        return state, []
    examples: list[Example] = []
    kept = list(watches)
    while dues and (at_ms := min(dues)) <= until_ms:
        place = dues.index(at_ms)
        state, watch = _step(state, kept[place], at_ms, scorer, examples)
        if watch is None:
            del kept[place], dues[place]
        else:
            kept[place], dues[place] = watch, _due_ms(watch)
    return replace(state, habits=replace(state.habits, watches=tuple(kept))), examples


def _due_ms(watch: Watch) -> int:
    return (watch.due_day + _OFFSETS[watch.stage]) * DAY_MS


def _covered_since(state: ClientState, covered: frozenset[str], examples: list[Example]) -> ClientState:
    """Note the open invoices that money without their name has come to cover, or covers no longer: it changes none of them."""
    habits = state.habits
    noted = {row.invoice_id: bool(row.settled_day) for row in habits.watches}
    for row in state.ledger.invoices:
        is_covered = row.invoice_id in covered
        was_covered = noted.get(row.invoice_id)
        if row.settled_ms or is_covered is was_covered or not owed(row) or not _counts(row):
            continue
        if was_covered is None:
            # What is not watched any more was answered long ago: that it is covered is no news, that it no longer is may be.
            mark = mark_of(row.invoice_id)
            was_covered = is_covered or any(known.mark == mark for known in habits.endings)
        if is_covered is not was_covered:
            state = _settled(state, row, examples, is_covered=is_covered)
    return state


def _changed(
    state: ClientState, earlier: Invoice | None, row: Invoice, scorer: Scorer, examples: list[Example], *, is_covered: bool
) -> ClientState:
    lived = earlier is not None and _counts(earlier)
    lives = _counts(row)
    if lives and not lived:
        state = _issued(state, row, scorer)
    elif lived and not lives:
        return _voided(state, row)
    elif not lives:
        return state
    elif earlier is not None and (earlier.due_ms != row.due_ms or state.ledger.plans):
        state = _moved(state, row)
    return _settled(state, row, examples, is_covered=is_covered)


def _counts(row: Invoice) -> bool:
    """Say whether an invoice was ever to be paid: issued, neither voided nor wholly credited."""
    return bool(row.issued_at) and is_live(row) and not is_credited(row)


def _issued(state: ClientState, row: Invoice, scorer: Scorer) -> ClientState:
    now, amount, due_day = state.now_ms, log_amount_of(row), row.due_ms // DAY_MS
    overdue = now // DAY_MS - due_day
    asked: tuple[Asked, ...] = ()
    if overdue <= LATE_DAYS[-1] and not row.settled_ms:
        asked = (scorer.assess(state, row, now_ms=now, seen_ms=now, landmark=Landmark.ISSUE),)
    habits = with_issue(state.habits, now, amount)
    if overdue > LATE_DAYS[0] and not row.settled_ms:
        # Entered when its first grace had passed: late, and known at once.
        habits = with_answer(habits, answer_of(mark_of(row.invoice_id), overdue, _passed(overdue)))
    # What lies in the past is not asked any more: the first step still ahead.
    stage = next((place for place, step in enumerate(SCHEDULE) if step.offset > overdue), None)
    if stage is not None:
        habits = with_watch(
            habits, Watch(row.invoice_id, due_day, now, amount, stage, 0, asked, row.service_line, _contract_type(state, row))
        )
    return replace(state, habits=habits)


def _voided(state: ClientState, row: Invoice) -> ClientState:
    mark = mark_of(row.invoice_id)
    habits = without_issue(state.habits, log_amount_of(row))
    habits = without_watch(without_ending(without_answer(habits, mark), mark), row.invoice_id)
    return replace(state, habits=habits)


def _moved(state: ClientState, row: Invoice) -> ClientState:
    watch = _watch_of(state, row.invoice_id)
    if watch is None:
        return state
    # Steps done stay done; the rest follows the new due date, or the last day of a plan agreed before the old one had passed.
    due_day = agreed_due_ms(row, state.ledger.plans) // DAY_MS
    return state if due_day == watch.due_day else replace(state, habits=with_watch(state.habits, replace(watch, due_day=due_day)))


def _settled(state: ClientState, row: Invoice, examples: list[Example], *, is_covered: bool) -> ClientState:
    if row.refunded and not row.settled_ms and not owed(row):
        return state  # the firm gave money back: how the client had paid is still how the client pays
    mark, habits, watch = mark_of(row.invoice_id), state.habits, _watch_of(state, row.invoice_id)
    remembered = next((old for old in habits.endings if old.mark == mark), None)
    day = row.settled_ms // DAY_MS if row.settled_ms and not is_given_up(row) else 0
    if is_covered and not row.settled_ms:
        # The money bears no invoice's name and so no moment for this one: it came last, or before there was an invoice.
        since = max(state.rhythm.last_paid_ms or state.now_ms, row.issued_ms) // DAY_MS
        day = remembered.day if remembered else watch.settled_day or since if watch else 0
    if day == (remembered.day if remembered else 0):
        return state
    if not day:
        habits = without_ending(habits, mark)
    else:
        days_late = day - agreed_due_ms(row, state.ledger.plans) // DAY_MS
        habits = with_ending(habits, Ending(mark, days_late, day))
        if watch is not None and (questions := _questions(watch)):
            ended, late = replace(watch, settled_day=day), days_late > LATE_DAYS[0]
            examples.append(_example(state, ended, questions, known_ms=state.now_ms, over_days=0, late=late))
        habits = _corrected(habits, mark, days_late, counted=watch is not None)
    if watch is not None:
        # Settled after its last answer: nothing is waited for any more.
        ended_late = day and SCHEDULE[watch.stage].offset == GIVEN_UP_DAYS
        habits = without_watch(habits, row.invoice_id) if ended_late else with_watch(habits, replace(watch, settled_day=day))
    return replace(state, habits=habits)


def _corrected(habits: Habits, mark: int, days_late: int, *, counted: bool) -> Habits:
    """Bring the answer in line with a settlement that was reported after the fact.

    An invoice without a watch was entered together with its end (a book that was adopted): history, but never a question.
    """
    given = next((row for row in habits.answers if row.mark == mark), None)
    if given is None:
        return habits if counted else with_answer(habits, answer_of(mark, days_late, LATE_DAYS))
    known = answer_of(mark, days_late, LATE_DAYS[: 1 + len(given.longer)])
    return habits if given == known else with_correction(habits, known)


def _passed(overdue: int) -> tuple[int, ...]:
    """Return the limits that an invoice has passed."""
    return tuple(days for days in LATE_DAYS if overdue > days)


def _step(
    state: ClientState, watch: Watch, at_ms: int, scorer: Scorer, examples: list[Example]
) -> tuple[ClientState, Watch | None]:
    """Carry out the next step of a watch; return the state, which still holds the watch as it was, and what becomes of that."""
    step = SCHEDULE[watch.stage]
    if state.now_ms < at_ms:
        state = replace(state, now_ms=at_ms)
    if step.landmark is not None:
        done = replace(watch, stage=watch.stage + 1)
        # The due date was moved to before: as of that landmark nothing can be asked any more, for the state has gone on.
        has_passed = at_ms < state.now_ms
        row = None if watch.settled_day or has_passed else _invoice_of(state, watch.invoice_id)
        if row is None:
            return state, done
        # However late the client is woken: nothing has changed its state since, so the question is put as of its own time.
        return state, with_question(done, scorer.assess(state, row, now_ms=at_ms, seen_ms=watch.seen_ms, landmark=step.landmark))
    if not step.over_days:
        return state, None
    late = not watch.settled_day or watch.settled_day - watch.due_day > step.over_days
    questions = _questions(watch, before_ms=at_ms)
    if questions:
        examples.append(_example(state, watch, questions, known_ms=state.now_ms, over_days=step.over_days, late=late))
    mark, place = mark_of(watch.invoice_id), LATE_DAYS.index(step.over_days)
    habits = (
        with_longer(state.habits, mark, place=place - 1, late=late) if place else with_answer(state.habits, Answer(mark, late))
    )
    state = replace(state, habits=habits)
    answered_all = step.over_days == LATE_DAYS[-1] and watch.settled_day
    return state, None if answered_all else replace(watch, stage=watch.stage + 1)


def _contract_type(state: ClientState, row: Invoice) -> str:
    return next((known.contract_type for known in state.person.contracts if known.contract_id == row.contract_id), "")


def _example(
    state: ClientState, watch: Watch, put: tuple[Question, ...], *, known_ms: int, over_days: int, late: bool
) -> Example:
    last = over_days == LATE_DAYS[-1]
    fields = {
        "schema_version": 1,
        "client_id": state.client_id,
        "decided_at": moment(known_ms),
        "kind": "example",
        "invoice_id": watch.invoice_id,
        "over_days": over_days,
        "late": late,
        "days_late": watch.settled_day - watch.due_day if watch.settled_day else None,
        "due_day": watch.due_day,
        "log_amount": watch.log_amount,
        "table": TABLE,
        "questions": put,
        "cohort": cohort_of(state, watch.service_line, watch.contract_type) if last else None,
    }
    return built(Example, fields)


def cohort_of(state: ClientState, service_line: str, contract_type: str) -> Cohort:
    """Return the cohort that an answer about a client's invoice or contract belongs to."""
    return built(
        Cohort, {"onboarded": _month(state.first_seen_ms // DAY_MS), "service_line": service_line, "contract_type": contract_type}
    )


@lru_cache(maxsize=4096)
def _month(day: int) -> str:
    return f"{moment(day * DAY_MS):%Y-%m}"


def _questions(watch: Watch, *, before_ms: float = inf) -> tuple[Question, ...]:
    """Return what was asked about an invoice before a moment, by this release's feature table."""
    rows = zip(watch.asked, features_of(watch), strict=True)
    return tuple([_question(row, features) for row, features in rows if row.at_ms < before_ms and len(features) == PACKED])


def _question(row: Asked, features: bytes) -> Question:
    fields = {
        "landmark": row.landmark,
        "asked_ms": row.at_ms,
        "features": b2a_base64(features, newline=False).decode(),
        "chances": _shares(row.chances),
        "days": tuple([part / PER_DAY for part in row.days]),
        "version": row.version,
        "shadow": None,
        "shadow_version": None,
    }
    return built(Question, fields)


@lru_cache(maxsize=4096)
def _shares(chances: tuple[int, ...]) -> tuple[float, ...]:
    return tuple([DECIDED if part == DECIDED else part / PER_CHANCE for part in chances])


def _watch_of(state: ClientState, invoice_id: str) -> Watch | None:
    return next((row for row in state.habits.watches if row.invoice_id == invoice_id), None)


def _invoice_of(state: ClientState, invoice_id: str) -> Invoice | None:
    return next((row for row in state.ledger.invoices if row.invoice_id == invoice_id), None)


def day_known(example: Example) -> int:
    """Return the day (since 1970-01-01 UTC) on which the answer became known."""
    return epoch_ms(example.decided_at) // DAY_MS


def examples_in_order(examples: Sequence[Example]) -> list[Example]:
    """Return the examples of one day in the order in which they are learned: shuffled, the same for everybody.

    The order of a source may encode the outcome (books list the unpaid last); a hash of day and invoice does not.
    """
    return sorted(examples, key=_shuffled)


def _shuffled(example: Example) -> tuple[int, int, int]:
    day = day_known(example)
    return day, mark_of(f"{day}:{example.client_id}:{example.invoice_id}"), example.over_days
