"""Curves by onboarding month, service line and contract type, kept online in bounded memory, and the seasons of a firm."""

from datetime import date, timedelta
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.commands.learners.curves import cohort_lines, season_lines
from models.events.union import AnyEvent
from models.learners.cohorts import DAYS, LEAST, MONTHS_KEPT, NAMES, PayCohorts, PayTally, RenewalCohorts, cohort_rows
from models.learners.renewal_trainer import RenewalTrainer
from models.learners.seasons import Mark, SeasonTally, halves_of, stretches
from models.learners.snapshot import Checkpoint, dump, load
from models.learners.trainer import LatenessTrainer
from models.triggers import Cohort, Example, RenewalExample
from tests.models.builders import Events, tick
from tests.models.examples import example, noise, trained
from tests.models.renewal_examples import renewal_example
from tests.models.test_renewals import agreed
from tests.models.views import fold, outputs_of

AUDIT: Final = Cohort(onboarded="2025-03", service_line="audit", contract_type="retainer")
EPOCH: Final = date(1970, 1, 1)


def answered(number: int, *, days: int | None, cohort: Cohort | None = AUDIT) -> Example:
    """Return the last answer of an invoice with terms of 30 days, paid so many days after it was issued; none: still open."""
    asked = example(number, over_days=30)
    issued = asked.questions[0].asked_ms // 86_400_000
    late = None if days is None else issued + days - asked.due_day
    return asked.model_copy(update={"late": late is None or late > 30, "days_late": late, "cohort": cohort})


def renewed(number: int, cohort: Cohort | None = AUDIT) -> RenewalExample:
    return renewal_example(number).model_copy(update={"cohort": cohort})


def told(kinds: list[int | None]) -> PayTally:
    cohorts = PayCohorts()
    for number, days in enumerate(kinds):
        cohorts.see(answered(number, days=days))
    return cohorts.groups["line:audit"]


@given(st.lists(st.integers(0, 59), min_size=LEAST, max_size=60))
def test_where_all_have_paid_the_curve_is_the_share_paid(days: list[int]) -> None:
    curve = told(list(days)).curve()
    for edge, share in zip(DAYS, curve, strict=True):
        if share is not None:
            assert share == pytest.approx(sum(each <= edge for each in days) / len(days))
    assert curve[0] is not None


@given(st.lists(st.one_of(st.none(), st.integers(0, 200)), max_size=60))
def test_a_curve_never_falls_and_an_open_invoice_is_neither_paid_nor_never_paid(days: list[int | None]) -> None:
    known = [share for share in told([*days, *[3] * LEAST]).curve() if share is not None]
    assert known == sorted(known)
    assert all(0 <= share <= 1 for share in known)
    # Paid more than 30 days after due is open when it is asked last: nobody can tell it from one that is never paid.
    assert told([*days, 3]).paid == told([None if each is not None and each > 60 else each for each in days] + [3]).paid


def test_each_invoice_counts_once_by_its_last_answer_and_for_the_cohort_it_had_when_issued() -> None:
    build = Events()
    story: list[AnyEvent] = [build.profiled(0), agreed(0.1, 365)]
    for number in range(20):  # beyond what the ledger keeps of closed invoices
        bill = build.issued(1 + number, f"I{number}", due=10 + number)
        story.append(bill.model_copy(update={"service_line": "audit", "contract_id": "K1"}))
    story += [build.paid(25 + number / 10, f"P{number}", invoice=f"I{number}") for number in range(20)]
    found = [row for row in outputs_of(fold([*story, tick(90)])) if isinstance(row, Example)]
    last = [row for row in found if row.over_days == 30]
    assert {row.invoice_id for row in last} == {f"I{number}" for number in range(20)}
    assert {row.cohort for row in last} == {Cohort(onboarded="2024-01", service_line="audit", contract_type="retainer")}
    assert {row.cohort for row in found if row.over_days != 30} == {None}
    cohorts = PayCohorts()
    for row in found:
        cohorts.see(row)
    assert {name: tally.invoices for name, tally in cohorts.groups.items()} == dict.fromkeys(
        ("firm", "month:2024-01", "line:audit", "type:retainer"), 20
    )


def test_a_renewal_tells_its_cohort() -> None:
    story: list[AnyEvent] = [Events().profiled(0), agreed(0.1, 200), agreed(190, 565), tick(250)]
    (found,) = [row for row in outputs_of(fold(story)) if isinstance(row, RenewalExample)]
    assert found.cohort == Cohort(onboarded="2024-01", contract_type="retainer")


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 40)), max_size=120))
def test_memory_is_bounded_and_the_latest_months_stay(rows: list[tuple[int, int]]) -> None:
    pay, renewals = PayCohorts(), RenewalCohorts()
    for number, (month, name) in enumerate(rows):
        cohort = Cohort(onboarded=f"{2000 + month // 12}-{month % 12 + 1:02}", service_line=f"s{name}", contract_type=f"t{name}")
        pay.see(answered(number, days=20, cohort=cohort))
        renewals.see(renewed(number, cohort))
    assert pay.groups.keys() == renewals.groups.keys()
    assert len(pay.groups) <= 1 + MONTHS_KEPT + 2 * NAMES
    seen = sorted({f"month:{2000 + month // 12}-{month % 12 + 1:02}" for month, _ in rows})
    assert sorted(name for name in pay.groups if name.startswith("month:")) == seen[-MONTHS_KEPT:]
    assert not rows or pay.groups["firm"].invoices == len(rows)


def test_cohorts_that_go_differently_are_told_apart_and_the_firm_is_their_sum() -> None:
    slow = Cohort(onboarded="2025-01", service_line="advice", contract_type="project")
    pay, renewals = PayCohorts(), RenewalCohorts()
    for number in range(60):
        pay.see(answered(number, days=10 + number % 5))
        pay.see(answered(number, days=50 if number % 2 else None, cohort=slow))
        renewals.see(renewed(number))
    rows = {row.group: row for row in cohort_rows(pay, renewals)}
    assert next(iter(rows)) == "firm"
    assert rows["firm"].invoices == 120
    month = DAYS.index(30)
    assert (rows["line:audit"].paid[month], rows["line:advice"].paid[month]) == (1.0, 0.0)
    assert rows["firm"].paid[month] == pytest.approx(0.5)
    kept = rows["type:retainer"].kept
    assert list(kept) == sorted(kept, reverse=True)
    assert rows["type:project"].kept == ()
    told = list(cohort_lines(list(rows.values())))
    assert any(line.startswith("month:2025-03") for line in told)


def test_cohorts_are_saved_with_the_trainer_and_a_checkpoint_from_before_them_is_read() -> None:
    trainer = LatenessTrainer()
    for number in range(40):
        trainer.take(answered(number, days=20))
    trainer.turn(trainer.day + 1)
    assert trainer.cohorts.groups["line:audit"].invoices == 40
    assert LatenessTrainer.restore(trainer.save()).cohorts == trainer.cohorts
    before = msgspec.structs.replace(load(trained(20).save(), Checkpoint), cohorts=b"")
    assert LatenessTrainer.restore(dump(before)).cohorts == PayCohorts()
    renewals = RenewalTrainer()
    for number in range(40):
        renewals.take(renewed(number))
    renewals.turn(renewals.day + 1)
    assert sum(renewals.cohorts.groups["line:audit"].known) == 40
    assert RenewalTrainer.restore(renewals.save()).cohorts == renewals.cohorts


def test_an_erased_client_s_waiting_answers_are_in_no_curve() -> None:
    trainer = LatenessTrainer()
    for number in range(8):  # of one day, one of each client
        trainer.take(answered(number, days=20))
    trainer.withdraw("client-3")
    trainer.turn(trainer.day + 1)
    assert trainer.cohorts.groups["firm"].invoices == 7


def year_of(*, years: int, extra: int = 0, bad: float = 0.2) -> SeasonTally:
    """Return a firm with two renewals a day, `extra` more a day in the second half of June, which fail as often as `bad` says."""
    tally = SeasonTally()
    for ahead in range(365 * years):
        day = date(2022, 1, 1) + timedelta(days=ahead)
        june = day.month == 6 and day.day > 15
        for place in range(2 + extra * june):
            good = noise(ahead, place) >= (bad if june else 0.2)
            tally.see((day - EPOCH).days, good=good)
    return tally


def test_a_cliff_needs_a_crowd_in_two_years() -> None:
    for years, extra, found in ((3, 6, [("06-16", "06-30")]), (1, 6, []), (3, 1, []), (3, 0, [])):
        assert stretches(halves_of(year_of(years=years, extra=extra), crowds=True), Mark.CLIFF) == found


def test_a_freeze_and_a_favourable_time_are_told_by_how_it_goes() -> None:
    for bad, mark in ((0.7, Mark.FREEZE), (0.0, Mark.FAVOURABLE)):
        halves = halves_of(year_of(years=3, bad=bad))
        assert [row.marks for row in halves if row.first == "06-16"] == [(mark,)]
        assert sum(len(row.marks) for row in halves) == 1
    assert not any(row.marks for row in halves_of(year_of(years=3)))
    assert not any(row.marks for row in halves_of(SeasonTally()))


def test_neighbours_go_together_over_the_new_year_and_are_printed_as_the_policy_takes_them() -> None:
    tally = year_of(years=3)
    for year in (2022, 2023, 2024):
        for first in (date(year, 12, 20), date(year, 1, 3), date(year, 6, 20)):
            for number in range(90):
                tally.see((first - EPOCH).days, good=noise(year, number) > 0.2)
    halves = halves_of(tally, crowds=True)
    assert stretches(halves, Mark.CLIFF) == [("12-16", "01-15"), ("06-16", "06-30")]
    lines = list(season_lines(halves, halves_of(SeasonTally())))
    assert len([line for line in lines if " to " in line]) == 24
    assert 'seasons: [{ first: "12-16", last: "01-15" }, { first: "06-16", last: "06-30" }]' in lines[-1]
