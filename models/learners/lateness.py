"""Scores lateness from published weights: one question about one invoice, and one score for the client.

Everything a worker does per question is here: features, a dot product per meaning of "late", the days range. Pure Python on
tuples: for sixty numbers it beats an array library.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from operator import mul
from typing import Final

from models.features import INDEX, LATE_DAYS, OFFSETS, PACKED, Landmark, is_first, lateness_features, pack, unpack
from models.firm_view import FirmView
from models.learners.baseline import BASELINE
from models.learners.bins import CUTS
from models.learners.chance import bounded, sigmoid
from models.learners.explanation import explain, explain_day
from models.learners.forest import NO_TREES, SHARE, UNDER, Trees, Walk, joined, opened, weighed
from models.learners.pay_range import DAYS_UNIT, INWARD, LEVELS, group_of, scale_of
from models.learners.scorer import DECIDED, PER_CHANCE, PER_DAY, Explained, Score, Scorer
from models.learners.snapshot import FirmFigures, FirstInvoices, LatenessWeights, Line
from models.state.client import ClientState
from models.state.habits import Asked, Watch, last_question
from models.state.rows import Invoice
from models.workdays import DAY_MS

RIPE: Final = 60  # answers after which a head stands on its own; before, it is blended with the plain conditional share
EVIDENCE: Final = 3  # known outcomes of a client below which the answer is "too little history"
_MEDIAN: Final = INDEX["median_days"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A line with its trees, ready for scoring. `share` is where the conditional share of its meaning of "late" stands."""

    intercept: float
    slopes: tuple[float, ...]
    cuts: tuple[tuple[int, tuple[float, ...], tuple[float, ...]], ...]
    ripeness: float
    share: int
    trees: Trees = NO_TREES

    def value(self, features: tuple[float, ...], walk: Walk | None = None) -> float:
        """Return the prediction; `walk` is the way through the trees where it is known already."""
        total: float = self.intercept + sum(map(mul, self.slopes, features))
        for place, points, weights in self.cuts:
            total += weights[bisect_left(points, features[place])]
        if self.trees.tests:
            total += self.trees.value(walk or self.trees.walk(features))
        return total

    def chance(self, features: tuple[float, ...], walk: Walk | None = None) -> float:
        """Return the probability; a young line is blended with the client's conditional share, in the logit."""
        value = self.value(features, walk)
        if self.ripeness < 1.0:
            value = self.ripeness * value + (1.0 - self.ripeness) * features[self.share]
        return bounded(sigmoid(value))


def compiled(line: Line, trees: Trees = NO_TREES) -> Compiled:
    """Return `line` ready for scoring, with its share of `trees`: those of its landmark and meaning of "late", or for days."""
    trees, constant = weighed(trees, line.trees)
    cuts = tuple(
        (cut.place, cut.points, weights) for cut, weights in zip(CUTS[line.days], line.bins, strict=True) if any(weights)
    )
    share = INDEX[f"still_open_{line.days}"]
    return Compiled(line.intercept + constant, line.slopes, cuts, min(1.0, line.seen / RIPE), share, trees)


def of_firsts(lines: Mapping[int, Compiled], firsts: FirstInvoices) -> dict[int, Compiled]:
    """Return what is said of first invoices, by days: the lines at issue, leaning toward trees of their own."""
    rows = zip(LATE_DAYS, firsts.shares, firsts.forest.intercepts, opened(firsts.forest)[:-1], strict=True)
    return {days: _leaned_to(lines[days], trees, share, intercept, days) for days, share, intercept, trees in rows}


def _leaned_to(line: Compiled, trees: Trees, share: float, intercept: float, days: int) -> Compiled:
    trees, constant = weighed(trees, share)
    slopes = [(1.0 - share) * slope for slope in line.slopes]
    for name in UNDER:
        slopes[INDEX[f"{name}_{days}"]] += share * SHARE
    return replace(
        line,
        intercept=(1.0 - share) * line.intercept + share * intercept + constant,
        slopes=tuple(slopes),
        cuts=tuple((place, points, tuple((1.0 - share) * weight for weight in weights)) for place, points, weights in line.cuts),
        trees=joined(weighed(line.trees, 1.0 - share)[0], trees),
    )


def to_view(figures: FirmFigures) -> FirmView:
    """Return the firm's figures as features use them."""
    return FirmView(
        late_share=figures.late_share,
        recent_share=figures.recent_share,
        mean_days=figures.mean_days,
        log_amount=figures.log_amount,
        log_amount_spread=figures.log_amount_spread,
        settled=figures.settled,
        survival=figures.survival,
        first_day=figures.first_day,
        late_beyond=figures.late_beyond,
    )


class LatenessScorer:
    """Answers from published weights; the same weights and state always give the same answer."""

    def __init__(self, weights: LatenessWeights, *, rules: Scorer = BASELINE) -> None:
        """Compile `weights`; `rules` get their share of the score back while the learners are trusted less.

        Questions about renewals are answered as `rules` answers them.
        """
        self.renewals = rules.renewals
        self.version = weights.version
        self.trained_ms = weights.trained_ms
        self.trust = weights.trust
        self.firm = to_view(weights.firm)
        self._rules = rules
        forests = {forest.landmark: opened(forest) for forest in weights.forests}
        none = (NO_TREES,) * (len(LATE_DAYS) + 1)
        self._lines: dict[Landmark, dict[int, Compiled]] = {landmark: {} for landmark in Landmark}
        for line in weights.lines:
            trees = forests.get(line.landmark, none)[LATE_DAYS.index(line.days)]
            self._lines[Landmark(line.landmark)][line.days] = compiled(line, trees)
        self._firsts = {} if weights.firsts is None else of_firsts(self._lines[Landmark.ISSUE], weights.firsts)
        self._ranges = {
            Landmark(row.line.landmark): (compiled(row.line, forests.get(row.line.landmark, none)[-1]), row.quantiles)
            for row in weights.ranges
        }

    def assess(self, state: ClientState, invoice: Invoice, *, now_ms: int, seen_ms: int, landmark: Landmark) -> Asked:
        """Return features and prediction of one question, ready to be stored with it."""
        raw = pack(lateness_features(state, invoice, now_ms=now_ms, seen_ms=seen_ms, landmark=landmark, firm=self.firm))
        # Scored as stored: half precision, so that whoever reads the question later gets the same score.
        features = unpack(raw)
        overdue = now_ms // DAY_MS - invoice.due_ms // DAY_MS
        return Asked(
            landmark=int(landmark),
            at_ms=now_ms,
            features=raw,
            chances=self.chances(features, landmark=landmark, overdue=overdue),
            days=self.days(features, landmark=landmark, overdue=overdue),
            version=self.version,
            is_leaned=self.trust < 1.0,
        )

    def chances(self, features: tuple[float, ...], *, landmark: Landmark, overdue: int) -> tuple[int, ...]:
        """Return P(more than 5, 15, 30 days late) in ten-thousandths, falling; -1 where `overdue` days have decided it."""
        found: list[int] = []
        ceiling = 1.0
        lines = self._lines_of(landmark, features)
        walk: Walk | None = None  # one for all meanings of "late"
        for days in LATE_DAYS:
            line = lines.get(days)
            if line is None or overdue > days:
                found.append(DECIDED)
                continue
            if walk is None and line.trees.tests:
                walk = line.trees.walk(features)
            # Who is more than 15 days late is more than 5 days late.
            ceiling = min(ceiling, line.chance(features, walk))
            found.append(round(ceiling * PER_CHANCE))
        return tuple(found)

    def days(self, features: tuple[float, ...], *, landmark: Landmark, overdue: int) -> tuple[int, ...]:
        """Return the tenths of days after due at the levels .05, .5, .9 and .95: never before today."""
        line, quantiles = self._ranges[landmark]
        middle = DAYS_UNIT * (features[_MEDIAN] + line.value(features))
        scale = scale_of(features)
        levels = zip(quantiles[group_of(features)], INWARD, strict=True)
        found = [max(middle + quantile * scale + inward, float(overdue)) for quantile, inward in levels]
        found[LEVELS.index(0.5)] = max(middle, float(overdue))
        return tuple(round(value * PER_DAY) for value in sorted(found))

    def _lines_of(self, landmark: Landmark, features: tuple[float, ...]) -> dict[int, Compiled]:
        """Return the lines of a landmark by days; of first invoices those that hear trees of their own."""
        return self._firsts if self._firsts and landmark is Landmark.ISSUE and is_first(features) else self._lines[landmark]

    def score(self, state: ClientState) -> Score | None:
        """Return P(late) of the open invoice that is due first, with reasons; without one, what the rules say.

        None ("too little history") while fewer than three outcomes of the client are known, whatever the learners think.
        """
        found = _last_asked(state)
        if found is None:
            return self._rules.score(state)
        invoice_id, asked = found
        chance = self._leaned(asked.chances[0] / PER_CHANCE, state)
        return Score(
            chance,
            partial(self._reasons, asked, state),
            partial(self._further, asked, state),
            plain=chance,
            as_of_ms=asked.at_ms,
            about=invoice_id,
            features=asked.features,
            trained_ms=self.trained_ms,
            version=asked.version,
            is_leaned=asked.is_leaned or self.trust < 1.0,
        )

    def _reasons(self, asked: Asked, state: ClientState) -> tuple[str, ...]:
        features = unpack(asked.features)
        line = self._lines_of(Landmark(asked.landmark), features)[LATE_DAYS[0]]
        return (*self._since(line.chance(features), asked, state), *explain(line, features, state))

    def _further(self, asked: Asked, state: ClientState) -> tuple[Explained, ...]:
        """Say, by what is known to the learners now, the reasons for each longer delay and for the day of payment."""
        landmark, features = Landmark(asked.landmark), unpack(asked.features)
        lines = self._lines_of(landmark, features)
        longer = (
            Explained(f"more than {days} days late {lines[days].chance(features):.0%}", explain(lines[days], features, state))
            for days, chance in zip(LATE_DAYS[1:], asked.chances[1:], strict=True)
            if chance != DECIDED
        )
        told = asked.days[LEVELS.index(0.5)] / PER_DAY
        return (*longer, explain_day(self._ranges[landmark][0], features, state, told=told))

    def _since(self, now: float, asked: Asked, state: ClientState) -> Iterator[str]:
        """Say why the score is another number than the one that the reasons lead to, where people would see that it is."""
        then = asked.chances[0] / PER_CHANCE
        if f"{then:.0%}" != f"{now:.0%}":
            since = f"by what has been learned since it would be {now:.0%}, which the reasons are about"
            yield f"it was {then:.0%} when it was asked; {since}"
        leaned = self._leaned(then, state)
        if f"{leaned:.0%}" != f"{then:.0%}":
            share = f"plain rules have {1.0 - self.trust:.0%} of the say, as payers changed lately"
            yield f"{share}: {leaned:.0%} with them, {then:.0%} without"

    def opinion(self, state: ClientState) -> float | None:
        """Return what these learners themselves say of the invoice that `score` is about, None where the rules speak for it.

        The question was answered by whoever was active when it was put; this is the same question put to these.
        """
        found = _last_asked(state)
        if found is None:
            return None
        asked = found[1]
        features = unpack(asked.features)
        line = self._lines_of(Landmark(asked.landmark), features)[LATE_DAYS[0]]
        return self._leaned(line.chance(features), state)

    def _leaned(self, chance: float, state: ClientState) -> float:
        """Return the chance with the rules' share in it that a lowered trust gives back to them."""
        plain = self._rules.score(state) if self.trust < 1.0 else None
        return round(chance if plain is None else self.trust * chance + (1.0 - self.trust) * plain.probability, 4)


def _last_asked(state: ClientState) -> tuple[str, Asked] | None:
    """Return the next invoice due and the latest question about it, None with too little history or where it is decided already.

    None too where a release with another feature table put it: its next landmark is asked by this one.
    """
    watch = next_watch(state)
    if watch is None or state.habits.known < EVIDENCE:
        return None
    if state.now_ms // DAY_MS - watch.due_day >= OFFSETS[Landmark.WEEK_AFTER]:
        return None  # a due date that was moved to before leaves no question put since
    asked = last_question(watch)
    answered = len(asked.features) == PACKED and asked.chances and asked.chances[0] != DECIDED
    return (watch.invoice_id, asked) if answered else None


def next_watch(state: ClientState) -> Watch | None:
    """Return the watch over the open invoice that is due first, of those that were asked about."""
    rows = [row for row in state.habits.watches if row.asked and not row.settled_day]
    return min(rows, key=lambda row: (row.due_day, row.invoice_id), default=None)
