"""From answered questions to the table: each head against its baselines, days late against the client's median."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from handlers.evaluation import batch, online
from handlers.evaluation.answers import TAIL, Answers, Settlements, answers_of, client_share, settlements_of
from handlers.evaluation.drawn import Drawn, Lead, lead_of, ninety
from handlers.evaluation.hindsight import DaysKnown, SharesKnown, days_known, shares_known
from handlers.evaluation.kept import Kept
from handlers.evaluation.metrics import (
    Bin,
    Floats,
    adaptive_error,
    auc,
    calibration_error,
    log_losses,
    noise_floor,
    reliability,
)
from models.features import LATE_DAYS, Landmark
from models.learners.pay_range import GROUPS, LEVELS, group_of

JUDGED: Final = (
    (Landmark.ISSUE, 5),
    (Landmark.ISSUE, 15),
    (Landmark.WEEK_BEFORE, 5),
    (Landmark.DAYS_BEFORE, 5),
    (Landmark.DUE, 5),
    (Landmark.DUE, 15),
    (Landmark.WEEK_AFTER, 15),
    (Landmark.WEEK_AFTER, 30),
)
"""The heads that are held against the baselines."""

WHEN: Final = {
    Landmark.ISSUE: "at issue",
    Landmark.WEEK_BEFORE: "7 days before due",
    Landmark.DAYS_BEFORE: "3 days before due",
    Landmark.DUE: "on the due date",
    Landmark.WEEK_AFTER: "7 days after due",
}
_DAYS: Final = (Landmark.ISSUE, LATE_DAYS[-1])  # what the days late are judged on
_LEAST: Final = 40  # questions in the tail below which a figure would be noise
_OURS: Final = "Rapport"
AT_ISSUE: Final = "our score at issue"
"""The row that says what waiting has told: Rapport's lead over its own earlier score, on the same questions."""


@dataclass(frozen=True, slots=True)
class Row:
    """One predictor of one head on the tail, and Rapport's lead over it; over itself that is 0."""

    predictor: str
    auc: float
    auc_lead: Lead
    log_loss: float
    log_loss_lead: Lead
    calibration_error: float
    adaptive_error: float


@dataclass(frozen=True, slots=True)
class Judged:
    """One head: how many questions in the tail, the share that came true, every predictor (Rapport first), our reliability.

    `auc_range` and `log_loss_range` are Rapport's own 90 % ranges, `hindsight` what nobody could have known. `floor` is the
    calibration error in equal bins that chance alone gives perfect predictions of this number: its mean and its 95 % point;
    `floor_in_tenths` the same in tenths of the scale.
    """

    landmark: Landmark
    over_days: int
    questions: int
    clients: int
    share: float
    rows: tuple[Row, ...]
    auc_range: tuple[float, float]
    log_loss_range: tuple[float, float]
    hindsight: SharesKnown
    bins: tuple[Bin, ...]
    floor: tuple[float, float]
    floor_in_tenths: tuple[float, float]

    @property
    def title(self) -> str:
        """The question in words."""
        return f"more than {self.over_days} days late, asked {WHEN[self.landmark]}"


@dataclass(frozen=True, slots=True)
class Held:
    """How often the promises held for one group of clients: the 90 % range with its median days, the 90 % date."""

    group: str
    invoices: int
    in_range: float
    by_then: float
    width: float


@dataclass(frozen=True, slots=True)
class DaysJudged:
    """Days late predicted at issue: mean absolute errors by predictor over what was settled, Rapport's leads over the others.

    Promises are judged where the promised range had passed by the end of the history; one about an invoice that was open then
    has not held. The first of `held` is about all clients. `hindsight` is of the settled ones, none where none is.
    """

    invoices: int
    settled: int
    errors: dict[str, float]
    leads: dict[str, Lead]
    hindsight: DaysKnown | None
    held: tuple[Held, ...]


Count = Callable[..., None]
"""Told how many steps of `steps_of` more are done, and in `words` what is at work."""


def steps_of(kept: Kept, *, twins: bool) -> int:
    """Return of how many steps judging consists: each question asked, once for every twin and once for the figures."""
    sizes = sum(len(kept.asked(over_days, landmark)[0]) for landmark, over_days in JUDGED)
    days = len(kept.asked(_DAYS[1], _DAYS[0])[0])
    of_heads, of_days = _rounds(twins=twins)
    return sizes * of_heads + days * of_days


def judge_heads(kept: Kept, *, twins: bool, count: Count) -> Iterator[Judged]:
    """Yield each judged head that has enough questions and both outcomes; `twins`: beside other learners."""
    for landmark, over_days in JUDGED:
        steps = len(kept.asked(over_days, landmark)[0])
        count(0, words=f"judging more than {over_days} days, {WHEN[landmark]}")
        answers = answers_of(kept, landmark, over_days)
        tail = answers.labels[answers.tail] if len(answers.labels) else answers.labels
        if len(tail) < _LEAST or len(np.unique(tail)) < len((True, False)):
            count(steps * _rounds(twins=twins)[0])
            continue
        yield _judge(kept, answers, twins=twins, count=count, steps=steps)
        count(steps)


def why_none(kept: Kept) -> str:
    """Return in a sentence why no head has figures."""
    late = answers_of(kept, Landmark.ISSUE, LATE_DAYS[0]).labels
    if len(late) * TAIL < _LEAST:
        return (
            f"too few answered questions for any figure about lateness: {len(late):,} at issue, and a head needs 100, of which "
            "the latest 40 are judged"
        )
    if not len(kept.about(0)):
        return f"nobody paid in this history, of {len(late):,} invoices; is settled_on the column with the dates of payment?"
    often = "all but" if late.any() and not late.all() else "all"
    paid = "more than" if late.mean() > 1 / 2 else "no more than"
    return (
        f"{often} {len(late):,} invoices were {paid} {LATE_DAYS[0]} days late, the latest without an exception: nobody can be "
        "told from the others"
    )


_TWINS: Final = (("logistic regression", batch.logistic), ("LightGBM", batch.lightgbm_classifier))


def _refit() -> tuple[tuple[str, batch.Fit], ...]:
    """Return the batch learners that are installed."""
    return _TWINS if batch.is_installed() else ()


def _rounds(*, twins: bool) -> tuple[int, int]:
    """Return how often each question is gone over, of a head and of the days: for the figures and for every other learner."""
    refit = _refit()
    return (2 + len(refit), 2 + bool(refit)) if twins else (1, 1)


def _judge(kept: Kept, answers: Answers, *, twins: bool, count: Count, steps: int) -> Judged:
    share = client_share(kept, answers)
    predictors = {_OURS: answers.chances, "client's shrunk share": share}
    if answers.landmark is not Landmark.ISSUE:
        predictors[AT_ISSUE] = np.where(np.isnan(answers.at_issue), answers.chances, answers.at_issue)
    what = f"more than {answers.over_days} days, {WHEN[answers.landmark]}"
    if twins:
        count(0, words=f"teaching {online.NAME}: {what}")
        predictors[online.NAME] = online.chances_online(
            asked=answers.asked_day,
            known=answers.known_day,
            features=answers.features,
            labels=answers.labels,
            done=_in_parts(count, steps, of=len(answers.asked_day)),
        )
        every = batch.refit_days(answers.asked_day[answers.tail])
        for name, fit in _refit():
            count(0, words=f"refitting {name}: {what}")
            predictors[f"{name} {batch.often(every)}"] = batch.refit_regularly(
                fit,
                every=every,
                asked=answers.asked_day,
                known=answers.known_day,
                features=answers.features,
                targets=answers.labels,
                before=share,
                first=answers.tail.start,
                done=_in_parts(count, steps, of=len(answers.asked_day) - answers.tail.start),
            )
    count(0, words=f"judging {what}")
    tail = answers.tail
    labels, drawn = answers.labels[tail], Drawn(answers.clients[tail])
    rows, auc_range, log_loss_range = _compared({name: chances[tail] for name, chances in predictors.items()}, labels, drawn)
    return Judged(
        landmark=answers.landmark,
        over_days=answers.over_days,
        questions=len(labels),
        clients=drawn.clients,
        share=float(labels.mean()),
        rows=rows,
        auc_range=auc_range,
        log_loss_range=log_loss_range,
        hindsight=shares_known(answers.labels, answers.clients, tail),
        bins=tuple(reliability(answers.chances[tail], labels)),
        floor=noise_floor(answers.chances[tail]),
        floor_in_tenths=noise_floor(answers.chances[tail], calibration_error),
    )


def _compared(
    predictors: Mapping[str, Floats], labels: Floats, drawn: Drawn
) -> tuple[tuple[Row, ...], tuple[float, float], tuple[float, float]]:
    """Return a row for each predictor, Rapport held against all of them, and Rapport's own 90 % ranges of AUC and log loss."""
    ranked = {name: auc(chances, labels) for name, chances in predictors.items()}
    losses = {name: log_losses(chances, labels) for name, chances in predictors.items()}
    aucs = {name: drawn.aucs(chances, labels) for name, chances in predictors.items()}
    means = {name: drawn.means(lost) for name, lost in losses.items()}
    telling = drawn.telling(labels)
    rows = tuple(
        Row(
            predictor=name,
            auc=ranked[name],
            auc_lead=lead_of(ranked[_OURS] - ranked[name], aucs[_OURS] - aucs[name], clients=telling),
            log_loss=float(losses[name].mean()),
            log_loss_lead=lead_of(float(losses[name].mean() - losses[_OURS].mean()), means[name] - means[_OURS], clients=telling),
            calibration_error=calibration_error(chances, labels),
            adaptive_error=adaptive_error(chances, labels),
        )
        for name, chances in predictors.items()
    )
    return rows, ninety(aucs[_OURS]), ninety(means[_OURS])


def _in_parts(count: Count, steps: int, *, of: int) -> Callable[[int], None]:
    """Return what hears how many `of` all questions more are done and counts `steps` altogether."""
    return lambda more: count(steps * more / of)


def judge_days(kept: Kept, *, twins: bool, count: Count) -> DaysJudged | None:
    """Return how good the days were, none without enough settled invoices."""
    steps = len(kept.asked(_DAYS[1], _DAYS[0])[0])
    count(0, words="judging the days late")
    found = settlements_of(kept)
    tail = found.tail
    truth = found.truth[tail]
    if len(truth) < _LEAST:
        count(steps * _rounds(twins=twins)[1])
        return None
    predictors = {_OURS: found.predicted[tail, LEVELS.index(0.5)], "client's median of 12": found.median[tail]}
    if twins:
        predictors |= {name: days[tail] for name, days in _other_days(found, count, steps).items()}
    count(steps)
    paid = np.isfinite(truth)
    off = {name: np.abs(truth - days)[paid] for name, days in predictors.items()} if paid.any() else {}
    return DaysJudged(
        invoices=len(truth),
        settled=int(paid.sum()),
        errors={name: float(errors.mean()) for name, errors in off.items()},
        leads=_leads_of_days(off, [client for client, ended in zip(found.clients[tail], paid, strict=True) if ended]),
        hindsight=_days_in_hindsight(found) if paid.any() else None,
        held=tuple(_promises(found)),
    )


def _leads_of_days(off: Mapping[str, Floats], clients: Sequence[str]) -> dict[str, Lead]:
    drawn = Drawn(clients)
    means = {name: drawn.means(errors) for name, errors in off.items()}
    return {
        name: lead_of(float(errors.mean() - off[_OURS].mean()), means[name] - means[_OURS], clients=drawn.clients)
        for name, errors in off.items()
    }


def _promises(found: Settlements) -> Iterator[Held]:
    """Yield how the promises held for all clients, then for each group."""
    tail = found.tail
    truth, decided = found.truth[tail], found.decided[tail]
    low, _, by_then, high = (found.predicted[tail, LEVELS.index(level)] for level in LEVELS)
    # Days are whole: a range that ends within a day includes it.
    inside = (truth >= np.floor(low)) & (truth <= np.ceil(high))
    groups = np.array([group_of(tuple(row.tolist())) for row in found.features[tail]])
    for name, rows in (("all clients", decided), *((name, decided & (groups == place)) for place, name in enumerate(GROUPS))):
        if rows.sum() >= _LEAST:
            yield Held(
                name,
                int(rows.sum()),
                float(inside[rows].mean()),
                float((truth <= np.ceil(by_then))[rows].mean()),
                float(np.median((np.ceil(high) - np.floor(low))[rows])),
            )


def _days_in_hindsight(found: Settlements) -> DaysKnown:
    settled = np.isfinite(found.truth)
    judged = np.zeros(len(settled), dtype=np.bool_)
    judged[found.tail] = True
    clients = [client for client, ended in zip(found.clients, settled, strict=True) if ended]
    return days_known(found.truth[settled], clients, judged[settled])


def _other_days(found: Settlements, count: Count, steps: int) -> dict[str, Floats]:
    """Return the days late that other learners say of each question."""
    count(0, words=f"teaching {online.NAME}: the days late")
    said = {
        f"{online.NAME} (absolute error)": online.days_online(
            asked=found.asked_day,
            known=found.known_day,
            features=found.features,
            days=found.truth,
            usual=found.median,
            done=_in_parts(count, steps, of=len(found.truth)),
        )
    }
    if batch.is_installed():
        every = batch.refit_days(found.asked_day[found.tail])
        count(0, words="refitting LightGBM: the days late")
        said[f"LightGBM (absolute error) {batch.often(every)}"] = batch.refit_regularly(
            batch.lightgbm_days,
            every=every,
            asked=found.asked_day,
            known=found.known_day,
            features=found.features,
            targets=found.truth,
            before=found.median,
            first=found.tail.start,
            done=_in_parts(count, steps, of=len(found.truth) - found.tail.start),
        )
    return said
