"""What a score would be if one thing were otherwise: per family of features the smallest plain change that moves its tier.

A change is made to the client's state, never to a figure: invoices that were paid on time have endings, answers and payment days
that say so together, and every figure follows. The question about the next invoice is then put again, at the moment at which it
was put; figures that the change leaves alone stay as they were stored. It is asked for by people who look, not in the fold.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from models.features import PACKED, Family, Landmark, lateness_features, pack, unpack
from models.learners import changes
from models.learners.lateness import LatenessScorer, next_watch
from models.learners.outside import with_risk
from models.learners.scorer import Scorer
from models.learners.shadow import Watched
from models.money import Money
from models.state.client import ClientState
from models.state.habits import Asked, Watch, last_question, without_issue
from models.state.history import usual_amount
from models.state.rows import Invoice
from models.workdays import DAY_MS, moment

TIERS: Final = (0.25, 0.5)
"""Where the chance of paying late is told as another one."""

TIER_NAMES: Final = ("unlikely", "possible", "likely")
_MOST: Final = 6  # invoices that a change may be about
_TERMS: Final = (7, 14, 21, 30, 45, 60)


@dataclass(frozen=True, slots=True)
class Otherwise:
    """One thing that could be otherwise, the state in which it is, and the score there."""

    family: Family
    change: str
    state: ClientState
    chance: float
    instead_of: float

    @property
    def words(self) -> str:
        """The counterfactual for people."""
        return f"{self.change} this would be {self.chance:.0%} ({tier_of(self.chance)}), not {self.instead_of:.0%}"


def tier_of(chance: float) -> str:
    """Return the name of the tier that a chance of paying late is in."""
    return TIER_NAMES[bisect_right(TIERS, round(chance, 2))]


def otherwise(state: ClientState, scorer: Scorer) -> list[Otherwise]:
    """Return per family the smallest change that takes the score into another tier, in the order of the families.

    None of those families is in it of which nobody could change anything (the season, how all clients pay), or of which no plain
    change moves the tier. Empty with too little history, and where the invoice that the score is about is not kept any more.
    """
    watch = next_watch(state)
    if watch is not None and all(row.invoice_id != watch.invoice_id for row in state.ledger.invoices):
        return []  # the invoice that the score is about has collapsed: nothing can be asked about it anew
    base = chance_in(state, state, scorer)
    if base is None:
        return []
    found: dict[Family, Otherwise] = {}
    for family, change, changed in _changes(state):
        if family in found or changed is state:
            continue
        chance = chance_in(changed, state, scorer)
        if chance is not None and tier_of(chance) != tier_of(base):
            found[family] = Otherwise(family, change, changed, chance, base)
    return [found[family] for family in Family if family in found]


def chance_in(changed: ClientState, state: ClientState, scorer: Scorer) -> float | None:
    """Return the score in a changed state, None with too little history.

    Learners are asked anew about the invoice that the score is about; the figures that are the same before and after the change
    are those that were stored with the question. Rules look at the state alone.
    """
    champion = scorer.champion if isinstance(scorer, Watched) else scorer
    watch = next_watch(state)
    if isinstance(champion, LatenessScorer) and watch is not None:
        changed = _asked_anew(changed, state, watch, champion)
    score = with_risk(champion.score(changed), changed)
    return None if score is None else score.probability


def _asked_anew(changed: ClientState, state: ClientState, watch: Watch, champion: LatenessScorer) -> ClientState:
    asked = last_question(watch)
    if len(asked.features) != PACKED:
        return changed  # of another release: the rules speak until its next landmark
    before, after = (_figures(each, watch, asked, champion) for each in (state, changed))
    rows = zip(before, after, unpack(asked.features), strict=True)
    figures = unpack(pack([new if new != old else stored for old, new, stored in rows]))
    own = _watch(changed, watch.invoice_id)
    overdue = asked.at_ms // DAY_MS - own.due_day
    chances = champion.chances(figures, landmark=Landmark(asked.landmark), overdue=overdue)
    anew = replace(own, asked=(replace(asked, features=pack(list(figures)), chances=chances),))
    watches = tuple(anew if row is own else row for row in changed.habits.watches)
    return replace(changed, habits=replace(changed.habits, watches=watches))


def _figures(state: ClientState, watch: Watch, asked: Asked, champion: LatenessScorer) -> tuple[float, ...]:
    """Return the figures of a question put to a state; at its issue an invoice is not one of the issued ones yet."""
    own = _watch(state, watch.invoice_id)
    landmark = Landmark(asked.landmark)
    if landmark is Landmark.ISSUE:
        state = replace(state, habits=without_issue(state.habits, own.log_amount))
    invoice = _invoice(state, watch.invoice_id)
    return tuple(
        lateness_features(state, invoice, now_ms=asked.at_ms, seen_ms=watch.seen_ms, landmark=landmark, firm=champion.firm)
    )


def _changes(state: ClientState) -> Iterator[tuple[Family, str, ClientState]]:
    """Yield what could be otherwise, of each family the smallest first."""
    for count in range(1, _MOST + 1):
        yield (
            Family.HISTORY,
            f"had the last {_invoices(count)} that came late been paid on time",
            changes.last_on_time(state, count),
        )
        yield (
            Family.HISTORY,
            f"had the last {_invoices(count)} that came on time been paid ten days late",
            changes.last_late(state, count),
        )
    watch = next_watch(state)
    if watch is None:
        return
    invoice, asked = _invoice(state, watch.invoice_id), last_question(watch)
    others = len(changes.overdue_others(state, invoice.invoice_id))
    for count in range(1, min(_MOST, others) + 1):
        yield (
            Family.BOOK,
            f"had {_others(count, others)} been paid when due",
            changes.book_settled(state, invoice.invoice_id, count),
        )
    usual = usual_amount(state, invoice.currency) or invoice.minor
    for minor, why in (
        (usual, ", their usual amount"),
        (invoice.minor // 2, ", half of it"),
        (invoice.minor // 4, ", a quarter of it"),
    ):
        yield Family.AMOUNT, f"were it about {Money(minor, invoice.currency)}{why},", changes.of_amount(state, invoice, minor)
    if asked.landmark == Landmark.ISSUE:
        yield from _due(state, invoice)
    yield Family.FRICTION, "with the dispute settled", changes.dispute_settled(state, invoice.invoice_id)
    yield Family.FRICTION, "with a promise to pay within a week of its due date", changes.promised(state, invoice, asked.at_ms)
    yield Family.FRICTION, "had no payment been declined", changes.decline_free(state)
    if asked.landmark != Landmark.ISSUE:
        yield Family.PROGRESS, "had half of it been paid", changes.half_paid(state, invoice, asked.at_ms)


def _due(state: ClientState, invoice: Invoice) -> Iterator[tuple[Family, str, ClientState]]:
    terms = (invoice.due_ms - invoice.issued_ms) // DAY_MS
    for days in sorted(_TERMS, key=lambda days: abs(days - terms)):
        day = moment(invoice.due_ms + (days - terms) * DAY_MS)
        yield (
            Family.TERMS,
            f"with {days} days to pay, until {day:%-d %b}, instead of {terms}",
            changes.due_moved(state, invoice, days - terms),
        )
    for days in (1, -1, 2, -2, 3, -3):
        day = moment(invoice.due_ms + days * DAY_MS)
        yield Family.WEEKDAY, f"were it due on {day:%A %-d %b}", changes.due_moved(state, invoice, days)


def _invoices(count: int) -> str:
    return "invoice" if count == 1 else f"{count} invoices"


def _others(count: int, others: int) -> str:
    if count == others:
        return "the other overdue invoice" if others == 1 else f"all {others} other overdue invoices"
    return "the oldest other overdue invoice" if count == 1 else f"the oldest {count} other overdue invoices"


def _watch(state: ClientState, invoice_id: str) -> Watch:
    return next(row for row in state.habits.watches if row.invoice_id == invoice_id)


def _invoice(state: ClientState, invoice_id: str) -> Invoice:
    return next(row for row in state.ledger.invoices if row.invoice_id == invoice_id)
