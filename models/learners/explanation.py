"""Why a client got the score it got, in plain words: grouped signed contributions and one counterfactual.

A line is a sum, so what each family of features adds is exact; a tree is asked question by question, each answer put in for that
of a feature of 0, so that what its questions add is a sum too. It is told as the probability with and without it.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from models.features import FEATURES, INDEX, Family
from models.learners.chance import sigmoid
from models.learners.forest import Trees
from models.learners.pay_range import DAYS_UNIT
from models.learners.scorer import Explained
from models.state.client import ClientState
from models.state.words import counted

_TOLD: Final = 3  # reasons beyond the third are not read
WORTH: Final = 0.15
"""Logit; a family that moves a chance less is not worth a sentence."""

_WORTH_DAYS: Final = 0.5  # a family that moves the day less is not told
UNSEEN: Final = "no single thing moves it by as much as can be seen in whole percent"
"""Told where all reasons together decide, and none of them alone."""

_USUAL: Final = INDEX["median_days"]
_FAMILY_OF: Final = tuple(row.family for row in FEATURES)
_BOOK: Final = tuple(INDEX[name] for name in ("overdue_others", "long_overdue_others", "oldest_overdue", "overdue_share"))
_QUIET: Final = frozenset({Family.FIRM, Family.SEASON})
_CALM: Final = "with no other invoice overdue today"
Group = TypeVar("Group", bound=StrEnum)
"""The families of one kind of learner."""

_WORDS: Final = {
    Family.HISTORY: "how their earlier invoices went",
    Family.DAYS: "their usual days to pay",
    Family.BOOK: "their other open invoices",
    Family.AMOUNT: "the amount",
    Family.TERMS: "the days given to pay",
    Family.WEEKDAY: "the weekday it falls due and the weekday they pay",
    Family.SEASON: "the time of the month and the year",
    Family.CADENCE: "how recently and how regularly they buy and pay",
    Family.FRICTION: "disputes, declines and promises",
    Family.FIRM: "how all clients pay lately",
    Family.PROGRESS: "what has happened since it was sent",
    Family.STILL_OPEN: "how their invoices ended that were open this long",
}


class ScoringLine(Protocol):
    """A compiled line: intercept, slopes, per cut (place, points, weights), and trees."""

    @property
    def intercept(self) -> float:
        """The constant of the sum."""
        ...

    @property
    def slopes(self) -> tuple[float, ...]:
        """A weight per feature."""
        ...

    @property
    def cuts(self) -> tuple[tuple[int, tuple[float, ...], tuple[float, ...]], ...]:
        """Weights per bin."""
        ...

    @property
    def trees(self) -> Trees:
        """What is added for features together."""
        ...

    def chance(self, features: tuple[float, ...]) -> float:
        """Return the probability."""
        ...


def contributions(line: ScoringLine, features: Sequence[float]) -> dict[Family, float]:
    """Return what each family adds to the logit; with the intercept they sum to the whole value exactly."""
    found = dict.fromkeys(Family, 0.0)
    for family, slope, value in zip(_FAMILY_OF, line.slopes, features, strict=True):
        found[family] += slope * value
    for place, points, weights in line.cuts:
        found[_FAMILY_OF[place]] += weights[bisect_left(points, features[place])]
    for place, amount in line.trees.steps(features):
        found[_FAMILY_OF[place]] += amount
    return found


def explain(line: ScoringLine, features: tuple[float, ...], state: ClientState) -> tuple[str, ...]:
    """Return at most three reasons, the strongest first, then one counterfactual where there is one."""
    chance = line.chance(features)
    parts = contributions(line, features)
    total = line.intercept + sum(parts.values())
    told = strongest(parts, quiet=_QUIET, least=WORTH)
    reasons = reasons_of([(f"{_WORDS[family]}{_figure(family, state)}", parts[family]) for family in told], total)
    if not reasons:
        reasons = [UNSEEN if told else "nothing about them stands out; the score is the firm's usual share"]
    other = counterfactual(line, features, chance)
    return (*reasons, other) if other else tuple(reasons)


def strongest(parts: Mapping[Group, float], *, quiet: Collection[Group], least: float) -> list[Group]:
    """Return the families that are told, the strongest first: at most three, none `quiet`, none that moves less than `least`."""
    ranked = sorted((family for family in parts if family not in quiet), key=lambda family: -abs(parts[family]))
    return [family for family in ranked[:_TOLD] if abs(parts[family]) >= least]


def reasons_of(named: Iterable[tuple[str, float]], total: float) -> list[str]:
    """Return in words by how much each part of the logit `total` moves the chance; nothing where the percent stays as it is."""
    chance = f"{sigmoid(total):.0%}"
    found = ((words, part, f"{sigmoid(total - part):.0%}") for words, part in named)
    told = ((words, "raises" if part > 0 else "lowers", without) for words, part, without in found if without != chance)
    return [f"{words} {verb} it from {without} to {chance}" for words, verb, without in told]


def instead(otherwise: str, other: str, now: str) -> str:
    """Return what a number would be `otherwise`; empty where it would be the same."""
    return "" if other == now else f"{otherwise} this would be {other}, not {now}"


def day_contributions(line: ScoringLine, features: Sequence[float]) -> dict[Family, float]:
    """Return what each family adds to the expected days late; with the intercept, in days too, they sum to it exactly.

    The line stands on the client's usual delay, which is told with their usual days to pay.
    """
    found = {family: DAYS_UNIT * part for family, part in contributions(line, features).items()}
    found[Family.DAYS] += DAYS_UNIT * features[_USUAL]
    return found


def explain_day(line: ScoringLine, features: tuple[float, ...], state: ClientState, *, told: float) -> Explained:
    """Return on which day payment is expected (`told` when it was asked, in days after due), and what moves it.

    At most three reasons, the strongest first, then one counterfactual where there is one.
    """
    parts = day_contributions(line, features)
    expected = _expected(line, parts)
    days = f"expected {_days(told)} from due"
    if round(expected) != round(told):
        days = f"{days} when it was asked; by the learners of now {round(expected):+d}, before the range is put around it"
    told_of = strongest(parts, quiet=_QUIET, least=_WORTH_DAYS)
    reasons = [f"{_WORDS[family]}{_figure(family, state)} moves it by {_days(parts[family])}" for family in told_of]
    if not reasons:
        reasons = ["nothing about them stands out"]
    calm = _without_book(features)
    other = "" if calm is None else instead(_CALM, _days(_expected(line, day_contributions(line, calm))), _days(expected))
    return Explained(days, (*reasons, other) if other else tuple(reasons))


def _days(count: float) -> str:
    whole = round(count)
    return f"{whole:+d} {'day' if abs(whole) == 1 else 'days'}"


def _expected(line: ScoringLine, parts: dict[Family, float]) -> float:
    return DAYS_UNIT * line.intercept + sum(parts.values())


def counterfactual(line: ScoringLine, features: tuple[float, ...], chance: float) -> str:
    """Return what the score would be with no other invoice overdue; empty where none is or nothing would change."""
    calm = _without_book(features)
    return "" if calm is None else instead(_CALM, f"{line.chance(calm):.0%}", f"{chance:.0%}")


def _without_book(features: tuple[float, ...]) -> tuple[float, ...] | None:
    """Return the features with no other invoice overdue, None where none is."""
    if not features[_BOOK[0]]:
        return None
    return tuple(0.0 if place in _BOOK else value for place, value in enumerate(features))


def _figure(family: Family, state: ClientState) -> str:
    habits = state.habits
    if family is Family.HISTORY and habits.known:
        return f" ({habits.late} of {habits.known} late)"
    if family is Family.DAYS and habits.endings:
        return f" (median {habits.median:+.0f} days from due)"
    if family is Family.FRICTION and (promises := counted(habits.words))[1]:
        return f" ({promises[0]} of {promises[1]} promises kept)"
    return ""
