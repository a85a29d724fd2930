"""Overrides taken together, per effect and author, and those of one client that said different things at the same time."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from handlers.commands.overrides.outcomes import SURE, Ending, surprise, usual_days
from handlers.commands.overrides.scoring import Scored
from models.events.signals import OverrideEffect
from models.workdays import moment

LEAST_INVOICES: Final = 10
LEAST_CLIENTS: Final = 3
"""Below these a group says nothing: invoices of one client are much alike."""

_HELD: Final = frozenset({OverrideEffect.HOLD.value, OverrideEffect.RELEASE.value})
_SAYING: Final = frozenset({"segment", "channel", "tone", "urgency"})


@dataclass(frozen=True, slots=True)
class Group:
    """The overrides of one effect by one author. Each invoice counts once, whatever number of words were said about it."""

    effect: str
    author: str
    overrides: int
    clients: int
    override_nearer: int
    rules_nearer: int
    undecided: int
    invoices: int
    late: int
    expected: float
    paid: int
    usual_days: float | None
    replies: int
    complaints: int
    apart: float

    @property
    def verdict(self) -> str:
        """What may be said of them."""
        if self.invoices < LEAST_INVOICES or self.clients < LEAST_CLIENTS:
            return f"too few to say ({LEAST_INVOICES} invoices of {LEAST_CLIENTS} clients are needed)"
        if abs(self.apart) < SURE:
            return "as expected without them"
        return "better than expected without them" if self.apart < 0 else "worse than expected without them"

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        names = ("effect", "author", "overrides", "clients", "override_nearer", "rules_nearer", "undecided", "invoices", "late")
        more = ("paid", "usual_days", "replies", "complaints", "verdict")
        return {name: getattr(self, name) for name in (*names, *more)} | {"expected_late": round(self.expected, 2)}


def by_author(rows: Iterable[Scored]) -> list[tuple[str, int, int, int, int]]:
    """Return (author, overrides, override nearer, rules nearer, cannot say) per author, the most active first."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row.author, Counter())[row.nearer] += 1
    order = sorted(counts, key=lambda author: (-counts[author].total(), author))
    return [
        (author, row.total(), row["override"], row["rules"], row["open"])
        for author, row in ((name, counts[name]) for name in order)
    ]


def by_effect(rows: Iterable[Scored]) -> list[Group]:
    """Return the groups of effect and author that are over, by effect, the most active author first."""
    own: dict[tuple[str, str], list[Scored]] = {}
    for row in rows:
        if row.is_over:
            own.setdefault((row.effect, row.author), []).append(row)
    found = [_group(effect, author, kept) for (effect, author), kept in own.items()]
    return sorted(found, key=lambda row: (row.effect, -row.overrides, row.author))


def _group(effect: str, author: str, rows: Sequence[Scored]) -> Group:
    endings: dict[tuple[str, str], tuple[Ending, float]] = {}
    for row in rows:
        for ending in row.outcome.endings:
            if ending.is_news and row.invoice_id in {"", ending.invoice_id}:
                endings.setdefault((row.client_id, ending.invoice_id), (ending, row.expected))
    chances = [chance for _, chance in endings.values()]
    known = [ending for ending, _ in endings.values()]
    nearer = Counter(row.nearer for row in rows)
    late = sum(ending.late for ending in known)
    return Group(
        effect=effect,
        author=author,
        overrides=len(rows),
        clients=len({client for client, _ in endings}),
        override_nearer=nearer["override"],
        rules_nearer=nearer["rules"],
        undecided=nearer["open"],
        invoices=len(known),
        late=late,
        expected=sum(chances),
        paid=sum(ending.days is not None for ending in known),
        usual_days=usual_days(known),
        replies=sum(row.outcome.replies for row in rows),
        complaints=sum(row.outcome.complaints for row in rows),
        apart=surprise(late, sum(chances), sum(chance * (1 - chance) for chance in chances)),
    )


def conflicting(rows: Sequence[Scored]) -> Iterator[str]:
    """Say in words which overrides of a client said different things about the same matter at the same time, and which held."""
    for one, two in combinations(sorted(rows, key=lambda row: (row.client_id, row.set_ms)), 2):
        if one.client_id != two.client_id or one.override_id == two.override_id or one.end_ms <= two.set_ms:
            continue
        same = one.effect == two.effect and one.effect in _SAYING and one.invoice_id == two.invoice_id
        if same and one.value != two.value:
            held = two
        elif {one.effect, two.effect} == _HELD and _meet(one, two):
            held = one if one.effect == OverrideEffect.HOLD.value else two
        else:
            continue
        span = f"{moment(two.set_ms):%Y-%m-%d} to {moment(min(one.end_ms, two.end_ms)):%Y-%m-%d}"
        yield f"{one.client_id}, {span}: {_said(one)}, {_said(two)}; {_said(held)} held"


def _meet(one: Scored, two: Scored) -> bool:
    return not one.value or not two.value or one.value == two.value


def _said(row: Scored) -> str:
    return f"{row.effect} {row.value}".rstrip() + f" by {row.author}"
