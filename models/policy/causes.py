"""Why an open invoice may not be paid yet, as far as it can be seen: which help a message offers first, and nothing else.

A hypothesis never decides whether, when or how firmly anybody is written to; a law holds that. The client's own words count most,
then what has happened, then habits; without a sign there is no hypothesis, and the message is the neutral one.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from models.events.delays import DisputeReason
from models.events.signals import Industry, Request
from models.state.balances import items
from models.state.client import ClientState
from models.state.closing import LATE_DAYS
from models.state.history import decline_streak, refused_ms
from models.state.person import HARD, OF_ADDRESS, is_lifted
from models.state.plans import is_agreed
from models.state.promises import unkept
from models.state.reckoning import Item, applied, dispute_open
from models.state.requests import asked_ms
from models.workdays import DAY_MS, moment

FRESH_MS: Final = 120 * DAY_MS
"""For so long a dispute, a request or a promise says something about what is open now."""

DECLINES_MS: Final = 60 * DAY_MS
LEAST: Final = 5
"""Settled invoices, or days of payment, below which nobody has a habit."""

_SOFT: Final = 2
_SPREAD_DAYS: Final = 7
_SHORTEST_RUN: Final = 5
_EVEN: Final = 4  # runs miss their day by at most a quarter of the gap between them


class Cause(StrEnum):
    """Why money may be late."""

    DISPUTE = "dispute"
    CONTACT = "contact"
    CASH = "cash"
    METHOD = "method"
    PROCESS = "process"
    FORGOT = "forgot"


_WORDS: Final = {
    Cause.DISPUTE: "something is not settled for them",
    Cause.CONTACT: "it reaches the wrong contact",
    Cause.CASH: "cash is short",
    Cause.METHOD: "the way of paying failed",
    Cause.PROCESS: "it waits in their process",
    Cause.FORGOT: "it was forgotten",
}


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The likeliest cause (none: nothing is seen), what speaks for it, and what speaks for others."""

    cause: Cause | None = None
    evidence: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The hypothesis as a reason of a decision; none without one."""
        if self.cause is None:
            return ()
        also = f" (also seen: {'; '.join(self.besides)})" if self.besides else ""
        return (f"probably {_WORDS[self.cause]}: {'; '.join(self.evidence)}{also}",)


def hypothesis(state: ClientState, invoice_ids: Collection[str]) -> Hypothesis:
    """Return why these open invoices may be late, as of the state's time."""
    found = [row for row in items(state.ledger, state.now_ms) if row.invoice.invoice_id in invoice_ids]
    seen = [(cause, words) for cause, look in _SIGNS for words in look(state, found)] if found else []
    if not seen:
        return Hypothesis()
    first = seen[0][0]
    return Hypothesis(
        first,
        tuple(words for cause, words in seen if cause is first),
        tuple(words for cause, words in seen if cause is not first),
    )


def of_overdue(state: ClientState) -> Hypothesis:
    """Return why what is overdue now and may be asked for is late; for who explains a client."""
    late = [row for row in items(state.ledger, state.now_ms) if row.rest and row.invoice.due_ms < state.now_ms]
    return hypothesis(state, {row.invoice.invoice_id for row in late})


def _contested(state: ClientState, found: Sequence[Item]) -> Iterator[str]:
    named = {"", *(row.invoice.invoice_id for row in found)}
    for row in state.ledger.disputes:
        if row.invoice_id not in named or row.reason == DisputeReason.DETAILS:
            continue
        about = f"invoice {row.invoice_id}" if row.invoice_id else "what is open"
        if row.lost:
            continue
        if dispute_open(row):
            yield f"a part of {about} is disputed"
        elif row.opened_at and row.closed_at > state.now_ms - FRESH_MS:
            yield f"a dispute about {about} ended on {_day(row.closed_at)}"


def _asks_for_a_contact(state: ClientState, found: Sequence[Item]) -> Iterator[str]:
    del found
    asked, person = _asked(state, Request.CONTACT), state.person
    if asked and asked > max(person.email.at, person.colleagues_at):
        yield f"they asked for another contact on {_day(asked)}"


def _asks_for_a_plan(state: ClientState, found: Sequence[Item]) -> Iterator[str]:
    named = {row.invoice.invoice_id for row in found}
    asked = max(_asked(state, Request.PLAN), _asked(state, Request.LATER))
    agreed = any(row.agreed_at >= asked and row.invoice_id in named and is_agreed(row) for row in state.ledger.plans)
    if asked and not agreed:
        yield f"they asked for a plan or a later day on {_day(asked)}"


def _unreached(state: ClientState, found: Sequence[Item]) -> Iterator[str]:
    del found
    for row in state.person.suppressions:
        if row.cause in OF_ADDRESS and not is_lifted(state.person, row, purpose=-1):
            flaw = "does not exist" if row.cause == HARD else "reaches somebody else"
            yield f"the {row.channel} address of {row.role or 'the client'} {flaw}"
    for rest in state.person.rests:
        if rest.times >= _SOFT:
            yield f"{rest.channel} took nothing {rest.times} times in a row"


def _declined(state: ClientState, found: Sequence[Item]) -> Iterator[str]:
    del found
    since_ms = state.now_ms - DECLINES_MS
    times = decline_streak(state, since_ms=since_ms)
    if times and (refused := refused_ms(state, since_ms=since_ms)):
        yield f"an attempt to pay was declined for good on {_day(refused)}: it takes another card or another way"
    elif times:
        yield "an attempt to pay was declined" if times == 1 else f"{times} attempts to pay were declined"


def _short(state: ClientState, found: Sequence[Item]) -> Iterator[str]:
    named = {row.invoice.invoice_id for row in found}
    for row in state.ledger.promises:
        is_judged = row.judged and row.made_at > row.withdrawn_at and row.promised_ms > state.now_ms - FRESH_MS
        if is_judged and any(item.invoice.invoice_id in named for item in unkept(row, state.ledger, state.now_ms)):
            yield f"the promise for {_day(row.promised_ms)} was not kept"
    for item in found:
        if item.standing is not None and (item.standing.is_missed or item.standing.is_broken):
            yield f"instalment {item.standing.number} of {item.standing.of} of invoice {item.invoice.invoice_id} is missing"
        if 0 < applied(item.invoice)[1] < item.left * 9:  # what lacks the last tenth was cut short, not paid in parts
            yield f"a part of invoice {item.invoice.invoice_id} was paid"


def _waits_in_their_process(state: ClientState, found: Sequence[Item]) -> Iterator[str]:
    named = {"", *(row.invoice.invoice_id for row in found)}
    if any(
        dispute_open(row) and row.reason == DisputeReason.DETAILS and row.invoice_id in named for row in state.ledger.disputes
    ):
        yield "they miss a detail on it"
    if state.person.industry.value == Industry.SLOW_PROCESS:
        yield "their industry pays by approvals"
    habits, days = state.habits, state.habits.recent_days
    due, gap = max(row.invoice.due_ms for row in found) // DAY_MS, habits.run_gap
    is_even = len(habits.runs) >= LEAST and gap >= _SHORTEST_RUN and habits.run_spread * _EVEN <= gap
    # Who pays each invoice in time has even gaps too, without any run that an invoice could wait for.
    if is_even and not _is_timely(days) and habits.runs[-1] < due:
        yield f"they pay in runs about every {gap} days, and none has come since it was due"
    if len(days) >= LEAST and days[len(days) // 2] > LATE_DAYS:
        quarter = len(days) // 4
        if days[-1 - quarter] - days[quarter] <= _SPREAD_DAYS:
            yield f"they usually pay {days[len(days) // 2]} days after due, nearly always alike"


def _slipped(state: ClientState, found: Sequence[Item]) -> Iterator[str]:
    del found
    days = state.habits.recent_days
    if len(days) >= LEAST and _is_timely(days):
        yield f"{_timely(days)} of the last {len(days)} invoices were paid on time"


_SIGNS: Final[tuple[tuple[Cause, Callable[[ClientState, Sequence[Item]], Iterator[str]]], ...]] = (
    (Cause.DISPUTE, _contested),
    (Cause.CONTACT, _asks_for_a_contact),
    (Cause.CASH, _asks_for_a_plan),
    (Cause.CONTACT, _unreached),
    (Cause.METHOD, _declined),
    (Cause.CASH, _short),
    (Cause.PROCESS, _waits_in_their_process),
    (Cause.FORGOT, _slipped),
)


def _timely(days: Sequence[int]) -> int:
    return sum(day <= LATE_DAYS for day in days)


def _is_timely(days: Sequence[int]) -> bool:
    """Say whether three in four invoices were paid on time."""
    return _timely(days) * 4 >= len(days) * 3


def _asked(state: ClientState, request: Request) -> int:
    at = asked_ms(state, request)
    return at if at > state.now_ms - FRESH_MS else 0


def _day(at_ms: int) -> str:
    return moment(at_ms).date().isoformat()
