"""Who has paid is not late: money without an invoice's name, a trifle that lacks, credit, and what may not be asked for."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from models.events.delays import DisputeOutcome
from models.events.union import AnyClientEvent
from models.features import INDEX, Landmark, lateness_features
from models.firm_view import NEW_FIRM
from models.learners.baseline import BASELINE
from models.learners.changes import overdue_others
from models.policy.material import material_lateness
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState, Segment
from models.state.history import Lateness, lived_lateness
from models.triggers import Example
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm
from tests.models.test_segments import monthly

MINOR = 90_000


def story(paid: Callable[[Events, float, str], list[AnyClientEvent]], months: int = 8) -> Firm:
    """Return a firm with an invoice a month, due after two weeks; `paid` says what happens to each from its due day on."""
    build, log = Events(), list[AnyClientEvent]()
    for month in range(months):
        name = f"M{month}"
        log += [build.issued(month * 30, name, MINOR, due=month * 30 + 14), *paid(build, month * 30 + 14, name)]
    return Firm().run(sorted(log, key=lambda event: event.received_ms), until_ms=ms(months * 30 + 100))


def state_of(firm: Firm) -> ClientState:
    assert firm.state is not None
    return firm.state


def past(firm: Firm, day: float | None = None) -> Lateness:
    state = state_of(firm)
    return lived_lateness(state if day is None else replace(state, now_ms=ms(day)))


def unnamed(build: Events, due: float, name: str) -> list[AnyClientEvent]:
    return [build.paid(due - 2, f"P{name}", MINOR, None)]


def short(build: Events, due: float, name: str) -> list[AnyClientEvent]:
    return [build.paid(due - 2, f"P{name}", MINOR - 37, name)]


def cut(build: Events, due: float, name: str) -> list[AnyClientEvent]:
    return [*short(build, due, name), build.written_off(due + 60, name)]


def partly_credited(build: Events, due: float, name: str) -> list[AnyClientEvent]:
    return [build.paid(due - 2, f"P{name}", 80_000, name), build.credit(due + 40, f"C{name}", 10_000, name)]


def with_a_late_rest(build: Events, due: float, name: str) -> list[AnyClientEvent]:
    return [*short(build, due, name), build.paid(due + 40, f"R{name}", 37, name)]


@pytest.mark.parametrize("paid", [unnamed, short, cut, partly_credited, with_a_late_rest])
def test_who_paid_in_time_is_reliable_however_the_books_look(
    paid: Callable[[Events, float, str], list[AnyClientEvent]],
) -> None:
    firm = story(paid)
    state, found = state_of(firm), past(firm)
    assert state.care.segment is Segment.RELIABLE
    assert (found.late, found.labelled, found.overdue_now) == (0, 8, 0)
    assert (state.habits.late, state.habits.known) == (0, 8)
    assert state.habits.recent_days == (-2,) * 8
    score = BASELINE.score(state)
    assert score is not None
    assert score.probability < 0.05


def test_a_tenth_that_lacks_is_no_trifle() -> None:
    firm = story(lambda build, due, name: [build.paid(due - 2, f"P{name}", 81_000, name)])
    assert state_of(firm).care.segment is Segment.PROBLEM
    assert past(firm).overdue_now == 8


def test_what_credit_took_wholly_says_nothing_of_how_the_client_pays() -> None:
    firm = story(lambda build, due, name: [build.credit(due + 40, f"C{name}", MINOR, name)])
    state = state_of(firm)
    assert (past(firm).labelled, state.habits.known, state.habits.issued) == (0, 0, 0)
    assert state.care.segment is Segment.NEW
    assert BASELINE.score(state) is None


def test_credit_that_is_taken_back_lets_the_invoice_count_again() -> None:
    build = Events()
    log: list[AnyClientEvent] = [
        build.issued(0, "X", MINOR, due=14),
        build.credit(3, "C", MINOR, "X"),
        build.credit_voided(5, "C"),
    ]
    state = state_of(Firm().run(log, until_ms=ms(25)))
    assert (state.habits.issued, state.habits.known, state.habits.late) == (1, 1, 1)


def test_unnamed_money_that_comes_late_is_late_and_answers_every_question() -> None:
    firm = story(lambda build, due, name: [build.paid(due + 20, f"P{name}", MINOR, None)])
    state = state_of(firm)
    assert state.care.segment is Segment.SLOW
    assert state.habits.recent_days == (20,) * 8
    answers = {(row.over_days, row.late) for row in firm.outputs if isinstance(row, Example)}
    assert answers == {(0, True), (5, True), (15, True), (30, False)}
    assert not any(row.days_late not in {None, 20} for row in firm.outputs if isinstance(row, Example))


def test_unnamed_money_pays_the_oldest_and_what_bounces_paid_nothing() -> None:
    build = Events()
    log: list[AnyClientEvent] = [
        build.issued(0, "A", MINOR, due=14),
        build.issued(1, "B", MINOR, due=15),
        build.paid(10, "P", MINOR, None),
    ]
    paid = state_of(Firm().run(log, until_ms=ms(11)))
    assert [(row.invoice_id, row.settled_day > 0) for row in paid.habits.watches] == [("A", True), ("B", False)]
    bounced = state_of(Firm().run([*log, build.failed(12, "P", MINOR, None)], until_ms=ms(13)))
    assert not any(row.settled_day for row in bounced.habits.watches)
    assert not bounced.habits.endings


def test_money_that_is_named_later_says_its_own_day() -> None:
    build = Events()
    log: list[AnyClientEvent] = [
        build.issued(0, "A", MINOR, due=14),
        build.paid(10, "P", MINOR, None),
        build.paid(30, "P", MINOR, "A"),
    ]
    named = state_of(Firm().run(log, until_ms=ms(31)))
    assert named.habits.recent_days == (16,)


def test_a_retainer_paid_ahead_is_paid_on_the_day_of_the_invoice_at_the_earliest() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.paid(0, "P", 2 * MINOR, None), build.issued(100, "A", MINOR, due=114)]
    assert state_of(Firm().run(log, until_ms=ms(101))).habits.recent_days == (-14,)


def test_years_of_unnamed_money_stay_paid() -> None:
    firm = story(unnamed, months=30)
    state, found = state_of(firm), past(firm)
    assert (found.late, found.overdue_now) == (0, 0)
    assert set(state.habits.recent_days) == {-2}
    assert state.care.segment is Segment.RELIABLE


def two_overdue(build: Events) -> list[AnyClientEvent]:
    log: list[AnyClientEvent] = [build.profiled(0), *monthly(build, 8, late=-2)]
    return [*log, build.issued(240, "X1", MINOR, due=250), build.issued(241, "X2", MINOR, due=251)]


def claims(build: Events) -> dict[str, list[AnyClientEvent]]:
    return {
        "disputed": [build.disputed(245, "D1", "X1"), build.disputed(245, "D2", "X2")],
        "promised": [build.promised(245, "Y", None, by=300)],
        "on its way": [build.pending(249, "W", 2 * MINOR, None, expected=290)],
        "covered": [build.paid(249, "P", 2 * MINOR, None)],
        "short": [build.paid(249, "P1", MINOR - 100, "X1"), build.paid(249, "P2", MINOR - 100, "X2")],
    }


@pytest.mark.parametrize("claim", claims(Events()))
def test_what_may_not_be_asked_for_raises_no_alarm_and_moves_nobody(claim: str) -> None:
    build = Events()
    log: list[AnyClientEvent] = [*two_overdue(build), *claims(build)[claim]]
    firm = Firm().run(log, until_ms=ms(285))
    assert state_of(firm).care.segment is Segment.RELIABLE
    assert not state_of(firm).care.alarm_ms
    assert material_lateness(state_of(firm), DEFAULT_POLICY).overdue_now == 0


def test_the_same_without_a_claim_raises_the_alarm() -> None:
    firm = Firm().run(two_overdue(Events()), until_ms=ms(285))
    assert state_of(firm).care.alarm_ms
    assert past(firm).overdue_now == 2


def test_a_promise_that_was_not_kept_counts_from_the_due_date_again() -> None:
    build = Events()
    firm = Firm().run([*two_overdue(build), build.promised(245, "Y", None, by=260)], until_ms=ms(300))
    assert past(firm, 300).overdue == (49, 50)


def test_a_dispute_that_was_lost_by_the_client_counts_from_the_due_date_again() -> None:
    build = Events()
    log: list[AnyClientEvent] = [
        *two_overdue(build),
        build.disputed(245, "D1", None),
        build.dispute_closed(280, "D1", DisputeOutcome.WITHDRAWN),
    ]
    assert past(Firm().run(log, until_ms=ms(290)), 290).overdue == (39, 40)


def test_learners_and_counterfactuals_see_no_overdue_invoice_in_what_is_covered() -> None:
    build = Events()
    log: list[AnyClientEvent] = [
        *two_overdue(build),
        build.paid(249, "P", 2 * MINOR, None),
        build.issued(270, "X3", MINOR, due=284),
    ]
    state = state_of(Firm().run(log, until_ms=ms(271)))
    row = next(row for row in state.ledger.invoices if row.invoice_id == "X3")
    seen = lateness_features(state, row, now_ms=state.now_ms, seen_ms=state.now_ms, landmark=Landmark.WEEK_BEFORE, firm=NEW_FIRM)
    assert (seen[INDEX["overdue_others"]], seen[INDEX["oldest_overdue"]], seen[INDEX["open_others"]]) == (0, 0, 0)
    assert not overdue_others(state, "X3")
