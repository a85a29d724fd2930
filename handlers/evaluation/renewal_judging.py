"""How good the renewal learners were: chances as given at the time, frozen after so many answers, values and paybacks."""

from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from msgspec.structs import replace

from handlers.evaluation.drawn import Drawn, ninety
from handlers.evaluation.metrics import Bin, Floats, auc, calibration_error, log_loss, reliability
from models.learners.lifetime import ValueTerms
from models.learners.renewal import PublishedRenewals
from models.learners.renewal_trainer import RenewalTrainer, renewal_day
from models.learners.worth import worth_of
from models.renewal_features import Ending, RenewalLandmark, unpack_renewal
from models.state.client import ClientState
from models.triggers import RenewalExample
from models.workdays import DAY_MS

AFTER: Final = (50, 200, 800)
"""Answers after which the learners are frozen and held against all later questions."""

Truth = Mapping[tuple[str, int], tuple[float, float]]
"""(contract, day of renewal) to the true chances of a renewal and of a raise, where the world is a made-up one."""

WORDS: Final = {Ending.RENEWED: "renewed", Ending.RAISED: "renewed for more", Ending.LEFT: "client leaves"}
_STRENGTH: Final = 4.0
_LEAST: Final = 40
_ORACLE: Final = {Ending.RENEWED: 0, Ending.RAISED: 1}


@dataclass(frozen=True, slots=True)
class ChanceRow:
    """One predictor: figures with a 90 % interval of the AUC."""

    predictor: str
    auc: float
    auc_range: tuple[float, float]
    log_loss: float
    calibration_error: float


@dataclass(frozen=True, slots=True)
class ChancesJudged:
    """One question: how many, the share that came true, the predictors, our reliability."""

    ending: Ending
    landmark: RenewalLandmark
    title: str
    questions: int
    share: float
    rows: tuple[ChanceRow, ...]
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    example: RenewalExample
    features: tuple[float, ...]
    chances: tuple[float, ...]
    asked_ms: int


def judge_chances(
    examples: Sequence[RenewalExample], truth: Truth, leads: Mapping[RenewalLandmark, int]
) -> Iterator[ChancesJudged]:
    """Yield every question that has enough answers of both kinds, with the chances exactly as they were given."""
    for ending in Ending:
        for landmark in RenewalLandmark:
            rows = [row for row in _asked(examples, landmark) if row.chances[ending] >= 0]
            labels = np.array([float(_label(row.example, ending)) for row in rows])
            if len(rows) < _LEAST or len(np.unique(labels)) < len((True, False)):
                continue
            predictors = {
                "Rapport": np.array([row.chances[ending] for row in rows]),
                "share of the contract type": _type_share(examples, rows, ending),
            }
            if truth and ending in _ORACLE:
                predictors["the truth"] = np.array([_true(row.example, truth, ending) for row in rows])
            yield _judged(
                f"{WORDS[ending]}, asked {leads[landmark]} days before",
                predictors,
                ending=ending,
                landmark=landmark,
                labels=labels,
                rows=rows,
            )


def judge_after(examples: Sequence[RenewalExample], truth: Truth) -> Iterator[tuple[int, ChancesJudged]]:
    """Yield (answers learned, figures on all later renewals) for learners frozen after so many answers."""
    landmark, ending = RenewalLandmark.FORTNIGHT, Ending.RENEWED
    trainer, learned = RenewalTrainer(), 0
    ordered = sorted((row for row in examples if row.questions), key=renewal_day)
    for count in AFTER:
        for example in ordered[learned:count]:
            trainer.take(example)
        learned = count
        rows = _asked(ordered[count:], landmark)
        labels = np.array([float(row.example.renewed) for row in rows])
        if len(rows) < _LEAST or len(np.unique(labels)) < len((True, False)):
            return
        trainer.turn(renewal_day(ordered[count - 1]) + 1)
        scorer = PublishedRenewals(trainer.publish())
        given = [scorer.chances(row.features, landmark=landmark, contract_type=row.example.contract_type)[ending] for row in rows]
        if min(given) < 0:
            continue
        predictors = {f"Rapport after {count} answers": np.array(given) / 10_000}
        if truth:
            predictors["the truth"] = np.array([_true(row.example, truth, ending) for row in rows])
        yield (
            count,
            _judged("renewed, asked 14 days before", predictors, ending=ending, landmark=landmark, labels=labels, rows=rows),
        )


def _judged(
    title: str,
    predictors: Mapping[str, Floats],
    *,
    ending: Ending,
    landmark: RenewalLandmark,
    labels: Floats,
    rows: Sequence[_Asked],
) -> ChancesJudged:
    clients = [row.example.client_id for row in rows]
    first = next(iter(predictors.values()))
    return ChancesJudged(
        ending,
        landmark,
        title,
        len(rows),
        float(labels.mean()),
        tuple(_row(name, chances, labels, clients) for name, chances in predictors.items()),
        tuple(reliability(first, labels)),
    )


def _row(name: str, chances: Floats, labels: Floats, clients: Sequence[str]) -> ChanceRow:
    span = ninety(Drawn(clients).aucs(chances, labels))
    return ChanceRow(name, auc(chances, labels), span, log_loss(chances, labels), calibration_error(chances, labels))


def _asked(examples: Sequence[RenewalExample], landmark: RenewalLandmark) -> list[_Asked]:
    found = [
        _Asked(example, unpack_renewal(b64decode(row.features)), row.chances, row.asked_ms)
        for example in examples
        for row in example.questions
        if row.landmark == landmark
    ]
    return sorted(found, key=lambda row: row.asked_ms)


def _label(example: RenewalExample, ending: Ending) -> bool:
    return {Ending.RENEWED: example.renewed, Ending.RAISED: example.raised, Ending.LEFT: example.left}[ending]


def _true(example: RenewalExample, truth: Truth, ending: Ending) -> float:
    return truth[example.contract_id, example.renews_day][_ORACLE[ending]]


def _type_share(examples: Sequence[RenewalExample], rows: Sequence[_Asked], ending: Ending) -> Floats:
    """Return the share of each question's contract type as known when it was put, drawn toward all types."""
    known = sorted(examples, key=renewal_day)
    counts: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    every = [1.0, 4.0]
    found, place = [], 0
    for row in rows:
        while place < len(known) and renewal_day(known[place]) < row.asked_ms // DAY_MS:
            for tally in (every, counts[known[place].contract_type]):
                tally[0] += _label(known[place], ending)
                tally[1] += 1
            place += 1
        yes, total = counts[row.example.contract_type]
        found.append((yes + _STRENGTH * every[0] / every[1]) / (total + _STRENGTH))
    return np.array(found)


@dataclass(frozen=True, slots=True)
class ValuesJudged:
    """Values expected at a cut against what came until the end, sums in minor units of the currency of most contracts.

    `luck` is how much of what came was chance, where the truth is known.
    """

    contracts: int
    currency: str
    years: float
    expected: int
    came: int
    held: float
    below: float
    above: float
    luck: int = 0


def judge_values(
    states: Mapping[str, ClientState],
    scorer: PublishedRenewals,
    *,
    came: Mapping[str, Sequence[tuple[int, int]]],
    now_ms: int,
    until_day: int,
    luck: int = 0,
) -> ValuesJudged | None:
    """Hold what running contracts were expected to bring by `until_day` against what came: (day of a renewal, its price)."""
    rows: defaultdict[str, list[tuple[int, int, int, int]]] = defaultdict(list)
    years = (until_day * DAY_MS - now_ms) / DAY_MS / 365.25
    terms = ValueTerms(horizon_years=years)
    for known in states.values():
        state = replace(known, now_ms=now_ms)
        for worth in worth_of(state, scorer, terms):
            renews = next(
                row.renews_ms for row in state.renewals.periods if row.contract_id == worth.contract_id and not row.fate
            )
            brought = sum(
                price for day, price in came.get(worth.contract_id, ()) if renews // DAY_MS <= day <= until_day
            )  # fmt: skip
            rows[worth.value.currency].append((worth.value.expected, worth.value.low, worth.value.high, brought))
    if not rows:
        return None
    currency, found = max(rows.items(), key=lambda item: len(item[1]))
    if len(found) < _LEAST:
        return None
    inside = [low <= brought <= high for _, low, high, brought in found]
    return ValuesJudged(
        contracts=len(found),
        currency=currency,
        years=years,
        expected=sum(row[0] for row in found),
        came=sum(row[3] for row in found),
        held=sum(inside) / len(found),
        below=sum(brought < low for _, low, _, brought in found) / len(found),
        above=sum(brought > high for _, _, high, brought in found) / len(found),
        luck=luck,
    )
