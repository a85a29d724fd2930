"""The parts that count and judge: drift, records of who was right, tallies; and those that learn of renewals and of groups."""

from dataclasses import asdict
from typing import Final

import msgspec

from models.features import LATE_DAYS
from models.learners.cohorts import PayCohorts, PayTally, RenewalCohorts, cohort_rows
from models.learners.drift import DriftWatch
from models.learners.firm import FirmTally
from models.learners.judging import Judge, Series
from models.learners.lift import RunningLift, Unit
from models.learners.observer import SEEN, ClusterObserver
from models.learners.renewal_snapshot import Published
from models.learners.renewal_trainer import RenewalHead, RenewalTally
from models.learners.retention import AgeTally, MonthTally, Retention
from models.learners.seasons import SeasonTally, halves_of
from models.renewal_features import Ending, RenewalLandmark
from models.triggers import Cohort, Example, RenewalExample
from tests.laws.learning_part import Part, dump_of, head_restored, head_state, is_late, near, of_struct, through
from tests.models.examples import example, noise
from tests.models.renewal_examples import features_of, renewal_example


def _see_firm(part: FirmTally, number: int) -> None:
    part.see_answer(late=is_late(number), log_amount=near(number, "amount"), day=100 + number)
    part.see_longer(place=number % (len(LATE_DAYS) - 1), late=is_late(number + 1))
    part.see_settlement(number % 90 - 20)


def _see_judge(part: Judge, number: int) -> None:
    for series in (part.candidate, part.live, part.rules):
        series.see(noise("law", number, "chance"), late=is_late(number))
    part.see_range(-2.0, 9.0, days_late=number % 20)
    part.see_shadow(f"v{number // 200}", 0.4, live=0.3, late=is_late(number))


def _cohort(number: int) -> Cohort:
    month = f"{2000 + number // 12 % 60}-{number % 12 + 1:02}"
    return Cohort(onboarded=month, service_line=f"line {number % 30}", contract_type=f"type {number % 31}")


def _paid(number: int) -> Example:
    return example(number, over_days=LATE_DAYS[number % 3]).model_copy(update={"cohort": _cohort(number)})


def _few_months(number: int) -> Example:
    few = Cohort(onboarded=f"2024-{number % 12 + 1:02}", service_line=f"line {number % 3}")
    return _paid(number).model_copy(update={"cohort": few})


def _renewal(number: int) -> RenewalExample:
    told = renewal_example(number)
    return told.model_copy(update={"cohort": _cohort(number), "contract_type": f"type {number % 40}"})


def _renewal_head() -> RenewalHead:
    return RenewalHead(Ending.RENEWED, RenewalLandmark.QUARTER)


def _see_renewal_tally(part: RenewalTally, number: int) -> None:
    part.see(renewal_example(number))
    part.see_question(tuple(features_of(number)))


def _figures(number: int) -> dict[str, float]:
    return {name: near(number, name) for name in SEEN}


def _unit(number: int) -> Unit:
    return Unit(is_late(number), 0.5, f"stratum {number % 3}", near(number, "outcome"), before=near(number, "before"))


OF_COUNTS: Final = (
    Part(
        name="drift",
        kinds=(DriftWatch,),
        begin=DriftWatch,
        learn=lambda part, number: part.see(noise("law", number, "said"), label=is_late(number)),
        says=lambda part: [part.trust, part.pace, part.alarms],
        state=dump_of,
        restored=lambda part: DriftWatch.load(part.dump()),
        turn=lambda part: part.turn(),
        bound=2 * 2 * 1_024 * 8 + 4_096,
    ),
    of_struct(
        "series",
        Series,
        learn=lambda part, number: part.see(noise("law", number, "chance"), late=is_late(number)),
        says=lambda part: [part.auc(), part.error(), part.loss],
        bound=5_000,
        poison=lambda part, number: part.see(number, late=True),
    ),
    of_struct(
        "judge",
        Judge,
        learn=_see_judge,
        says=lambda part: [part.held, part.candidate.auc(), part.challenger.error(), part.beside.loss],
        bound=18_000,
    ),
    of_struct(
        "firm",
        FirmTally,
        learn=_see_firm,
        says=lambda part: asdict(part.view()),
        bound=2_000,
    ),
    of_struct(
        "cohorts of payers",
        PayCohorts,
        also=(PayTally,),
        learn=lambda part, number: part.see(_paid(number)),
        says=lambda part: [asdict(row) for row in cohort_rows(part, RenewalCohorts())],
        bound=4_000,
    ),
    Part(
        name="cohorts of payers, as many as are told apart",
        kinds=(PayCohorts,),
        begin=PayCohorts,
        learn=lambda part, number: part.see(_few_months(number)),
        says=lambda part: [asdict(row) for row in cohort_rows(part, RenewalCohorts())],
        state=lambda part: msgspec.msgpack.encode([sorted(part.groups.items()), part.due]),
        restored=through(PayCohorts),
        bound=4_000,
        any_order="it counts",
    ),
    of_struct(
        "cohorts of renewals",
        RenewalCohorts,
        learn=lambda part, number: part.see(_renewal(number)),
        says=lambda part: [asdict(row) for row in cohort_rows(PayCohorts(), part)],
        bound=12_000,
    ),
    of_struct(
        "seasons",
        SeasonTally,
        learn=lambda part, number: part.see(19_000 + 37 * number % 4_000, good=is_late(number)),
        says=lambda part: [asdict(row) for row in halves_of(part, crowds=True)],
        bound=1_000,
        any_order="it counts",
    ),
    Part(
        name="renewal head",
        kinds=(RenewalHead,),
        begin=_renewal_head,
        learn=lambda part, number: part.learn(tuple(features_of(number)), number % 4 - 1, label=is_late(number)),
        says=lambda part: [part.chance(tuple(features_of(9_001)), 1), part.line(3)],
        state=head_state,
        restored=head_restored(_renewal_head),
        poison=lambda part, number: part.learn((number,) * len(features_of(0)), 0, label=True),
    ),
    of_struct(
        "renewal tally",
        RenewalTally,
        learn=_see_renewal_tally,
        says=lambda part: part.figures(),
        bound=2_000,
    ),
    of_struct(
        "retention",
        Retention,
        also=(AgeTally, MonthTally),
        learn=lambda part, number: part.see(_renewal(number)),
        says=Published.of,
        bound=16_000,
    ),
    Part(
        name="groups of clients",
        kinds=(ClusterObserver,),
        begin=ClusterObserver,
        learn=lambda part, number: part.look(_figures(number)),
        says=lambda part: [part.seen, *(part.group_of(_figures(number)) for number in range(9_000, 9_030))],
        state=lambda part: [part.seen, *(part.group_of(_figures(number)) for number in range(9_000, 9_030))],
        restored=None,
        bound=1_000,
        poison=lambda part, number: part.look(dict.fromkeys(SEEN, number)),
    ),
    Part(
        name="lift",
        kinds=(RunningLift,),
        begin=RunningLift,
        learn=lambda part, number: part.add(_unit(number)),
        says=lambda part: [part.interval(), part.needed(0.1)],
        state=lambda part: msgspec.msgpack.encode(asdict(part)),
        restored=None,
        bound=2_000,
    ),
)
