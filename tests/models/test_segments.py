from typing import Final

import pytest

from models.events.signals import OverrideEffect
from models.events.union import AnyClientEvent
from models.learners.baseline import BASELINE
from models.money import Money
from models.policy.material import material_lateness
from models.policy.policy import DEFAULT_POLICY, Policy, SegmentRules
from models.policy.rfm import rfm
from models.policy.segments import effective_segment, verdict
from models.state.client import ClientState, Segment, TimerKind
from models.triggers import Decision, DecisionOutcome, Trigger
from tests.models.builders import Events, ms, on, tick
from tests.models.test_journey_laws import Firm
from tests.models.views import final


def monthly(build: Events, months: int, *, late: float, first: int = 0, minor: int = 90_000) -> list[AnyClientEvent]:
    """Return one invoice a month, each paid `late` days after it was due."""
    log: list[AnyClientEvent] = []
    for month in range(first, first + months):
        name = f"M{month}"
        log.append(build.issued(month * 30, name, minor, due=month * 30 + 14))
        log.append(build.paid(month * 30 + 14 + late, f"PM{month}", minor, name))
    return sorted(log, key=lambda event: event.received_ms)


def moves(firm: Firm) -> list[Decision]:
    return [
        output for output in firm.outputs if isinstance(output, Decision) and output.outcome is DecisionOutcome.SEGMENT_CHANGED
    ]


def test_a_new_client_stays_new_for_ninety_days() -> None:
    firm = Firm().run(monthly(Events(), 3, late=-2), until_ms=ms(89.9))
    assert not moves(firm)
    firm.wake(ms(91))
    cause, sure = moves(firm)[0].reasons
    assert cause == "from new to reliable: 3 of the last 3 invoices were on time"
    assert sure == "by the filter over days late: reliable 99%, slow 1%, problem 0%"


def test_a_client_with_too_little_history_stays_new_whatever_its_age() -> None:
    firm = Firm().run(monthly(Events(), 1, late=20), until_ms=ms(400))
    assert firm.state is not None
    assert firm.state.care.segment is Segment.NEW


def test_a_move_needs_four_weeks_of_the_same_verdict() -> None:
    build = Events()
    firm = Firm().run([*monthly(build, 5, late=-2), *monthly(build, 8, late=12, first=5)], until_ms=ms(500))
    first, second = moves(firm)
    assert first.segment == "reliable"
    assert "from reliable to slow" in second.reasons[0]
    assert firm.state is not None
    turned = ms(5 * 30 + 14 + 12)
    assert firm.state.care.segment_since_ms - turned >= DEFAULT_POLICY.segments.persist_days * 86_400_000


def test_one_bad_month_moves_nobody() -> None:
    build = Events()
    log = [*monthly(build, 6, late=-2), *monthly(build, 1, late=12, first=6), *monthly(build, 6, late=-2, first=7)]
    assert len(moves(Firm().run(log, until_ms=ms(600)))) == 1


def test_very_late_payments_make_a_problem_client() -> None:
    firm = Firm().run(monthly(Events(), 4, late=45), until_ms=ms(200))
    assert firm.state is not None
    assert firm.state.care.segment is Segment.PROBLEM


def test_one_invoice_long_past_due_makes_a_problem_of_a_client_who_pays_all_others() -> None:
    build = Events()
    log = [*monthly(build, 12, late=-2), build.issued(360, "X", 90_000, due=370)]
    days = DEFAULT_POLICY.segments.problem_overdue_days
    said = []
    for late in (days, days + 1):
        state = final([*log, build.called(370 + late)])
        said.append(verdict(state, material_lateness(state, DEFAULT_POLICY), DEFAULT_POLICY))
    assert [row.segment for row in said] == [Segment.RELIABLE, Segment.PROBLEM]
    assert said[1].cause == f"an invoice is {days + 1} days past due"


BELIEVES: Final = Policy(segments=SegmentRules(agree=0.0))
"""Rules whose filter agrees with anything: only dead band and persistence are left to hold a client where it is."""


def weekly(build: Events) -> list[AnyClientEvent]:
    """Return an invoice a week: six of the latest twelve are late on day 184, five on the next, and six and more from day 205."""
    log: list[AnyClientEvent] = []
    for week, letter in enumerate("O" * 14 + "L" + "O" * 6 + "LLLLL" + "OO" + "LLLLLL"):
        log.append(build.issued(7 * week, f"W{week}", 90_000, due=7 * week + 3))
        log.append(build.paid(7 * week + (3 if letter == "O" else 9), f"P{week}", 90_000, f"W{week}"))
    return sorted(log, key=lambda event: event.received_ms)


@pytest.mark.parametrize("heard", [False, True])
def test_who_stops_paying_and_is_not_heard_of_any_more_moves_on_the_day_on_which_anybody_would(*, heard: bool) -> None:
    build = Events()
    story = [*monthly(build, 4, late=20), build.issued(120, "NEVER", 90_000, due=134)]
    if heard:
        story += [build.called(134 + day) for day in range(76, 200, 4)]
    firm = Firm().run(story, until_ms=ms(500))
    _, second = moves(firm)
    assert second.reasons[0] == "from slow to problem: an invoice is 104 days past due"
    assert (second.decided_at - on(134)).days == 104
    assert firm.state is not None
    assert not [timer for timer in firm.state.care.timers if timer.kind is TimerKind.SEGMENT]


def test_a_verdict_that_was_broken_by_the_dead_band_must_hold_anew() -> None:
    _, slow = moves(Firm(policy=BELIEVES).run(weekly(Events()), until_ms=ms(300)))
    assert slow.change is not None
    assert slow.change.after == "slow"
    assert slow.change.held_days == BELIEVES.segments.persist_days
    assert slow.decided_at.timestamp() * 1000 == ms(205 + BELIEVES.segments.persist_days)


def test_another_verdict_must_hold_as_long_as_the_first_would_have() -> None:
    build = Events()
    log = weekly(build)
    log += [build.disputed(215 + place / 10, f"D{place}", None) for place in range(3)]
    log += [build.dispute_closed(216, f"D{place}") for place in range(3)]
    firm = Firm(policy=BELIEVES).run(sorted(log, key=lambda event: event.received_ms), until_ms=ms(274))
    assert [row.change.after for row in moves(firm) if row.change] == ["reliable"], "slow since day 205, a problem since day 215"
    firm.wake(ms(285))
    assert [row.change.after for row in moves(firm) if row.change] == ["reliable", "problem"]


def test_who_has_just_been_moved_goes_back_no_sooner_than_anybody_else() -> None:
    build = Events()
    log = [*monthly(build, 12, late=-2), build.issued(360, "X", 90_000, due=370), build.profiled(447)]
    firm = Firm(policy=BELIEVES).run(log, until_ms=ms(479))
    assert [row.change.after for row in moves(firm) if row.change] == ["reliable", "problem"]
    firm.feed(build.paid(480, "PX", 90_000, "X"))
    for day in (481, 490, 507):
        firm.feed(build.profiled(day))
        assert firm.state is not None
        assert firm.state.care.segment is Segment.PROBLEM
    firm.wake(ms(509))
    back = moves(firm)[-1].change
    assert back is not None
    assert (back.before, back.after, back.held_days) == ("problem", "reliable", 28)


def test_a_relationship_manager_overrides_the_segment_until_the_expiry() -> None:
    build = Events()
    state = final([*monthly(build, 3, late=-2), build.override(80, OverrideEffect.SEGMENT, until=100, value="problem")])
    assert effective_segment(state, ms(90)) is Segment.PROBLEM
    assert effective_segment(state, ms(101)) is Segment.NEW
    assert state.care.segment is Segment.NEW


@pytest.mark.parametrize("names", [("A", "B"), ("B", "A"), ("A", "A")])
@pytest.mark.parametrize("first_heard", [0, 1])
def test_of_two_words_on_a_segment_the_later_holds_and_the_one_before_is_remembered(
    names: tuple[str, str], first_heard: int
) -> None:
    build = Events()
    words = [
        build.override(day, OverrideEffect.SEGMENT, until=until, override=name, value=value, received=85)
        for day, until, name, value in ((80, 120, names[0], "problem"), (82, 100, names[1], "slow"))
    ]
    state = final([*monthly(build, 3, late=-2)[:4], *(words if not first_heard else words[::-1])])
    assert effective_segment(state, ms(90)) is Segment.SLOW
    # Once it has expired another's word holds again, and of the same one the later took the place of the earlier.
    assert effective_segment(state, ms(101)) is (Segment.NEW if names[0] == names[1] else Segment.PROBLEM)


def test_a_reliable_client_turning_late_gets_a_person_first() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0), *monthly(build, 8, late=-2)]
    log += [build.issued(240, "X1", 90_000, due=250), build.issued(241, "X2", 90_000, due=251), build.called(262)]
    log.append(build.amended(263, "X2", minor=91_000))
    firm = Firm().run(log, until_ms=ms(290))
    alarms = [o for o in firm.outputs if isinstance(o, Decision) and "suddenly" in o.reasons[0]]
    assert len(alarms) == 1
    assert alarms[0].outcome is DecisionOutcome.HELD


def test_the_alarm_makes_the_next_step_a_task_for_a_person() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0), *monthly(build, 8, late=-2)]
    log += [build.issued(240, "X1", 90_000, due=250), build.issued(240.5, "X2", 90_000, due=250)]
    log.append(build.amended(261.2, "X2", minor=91_000))
    firm = Firm().run(log, until_ms=ms(290))
    steps = [(o.step, o.channel) for o in firm.outputs if isinstance(o, Trigger) and "X1" in o.invoice_ids]
    assert ("personal_contact", "task") in steps


def test_the_baseline_abstains_under_three_known_ends() -> None:
    build = Events()
    assert BASELINE.score(final(monthly(build, 2, late=10))) is None
    score = BASELINE.score(final(monthly(Events(), 3, late=10)))
    assert score is not None
    assert score.probability == round((3 + 4 * 0.25) / 7, 4)
    assert "3 of 3 invoices" in score.reasons[0]


def test_an_invoice_open_beyond_grace_is_known_to_be_late_before_it_is_paid() -> None:
    build = Events()
    log = [*monthly(build, 3, late=-1), build.issued(100, "X", due=110)]
    before, after = final([*log, build.called(111)]), final([*log, build.called(116)])
    scores = [BASELINE.score(state) for state in (before, after)]
    assert scores[0] is not None
    assert scores[1] is not None
    assert scores[1].probability > scores[0].probability
    assert "1 overdue now" in scores[1].reasons[0]


def test_tiers_show_their_cut_points() -> None:
    state = final(monthly(Events(), 9, late=-2, minor=150_000))
    tiers = rfm(state, DEFAULT_POLICY)
    assert tiers is not None
    assert (tiers.recency, tiers.frequency, tiers.monetary) == (4, 3, 3)
    assert tiers.received == Money(9 * 150_000, "EUR")
    assert tiers.explain(DEFAULT_POLICY)[2] == "monetary 3 of 4: 13500.00 EUR in 13 months (cuts 1000, 10000, 50000)"


@pytest.mark.parametrize(("days", "count", "units"), [(180, 3, 1_000), (75, 8, 10_000), (35, 20, 50_000)])
def test_a_figure_on_a_cut_point_is_in_the_better_tier_and_just_beyond_it_is_not(days: int, count: int, units: int) -> None:
    def tiers_of(days: int, count: int, minor: int) -> tuple[int, int, int]:
        build = Events()
        log = [build.paid(0, f"P{place}", minor // count + (minor % count) * (place == 0), None) for place in range(count)]
        tiers = rfm(final([*log, build.called(days)]), DEFAULT_POLICY)
        assert tiers is not None
        return tiers.recency, tiers.frequency, tiers.monetary

    place = DEFAULT_POLICY.rfm.frequency.index(count) + 2
    assert tiers_of(days, count, units * 100) == (place, place, place)
    assert tiers_of(days + 1, count - 1, units * 100 - 1) == (place - 1, place - 1, place - 1)


def test_tiers_count_thirteen_months_so_that_a_yearly_payment_is_never_missing() -> None:
    build = Events()
    tiers = {day: rfm(final([build.paid(0, "P0", 90_000, None), build.called(day)]), DEFAULT_POLICY) for day in (390, 430)}
    assert [row and (row.payments, row.received.minor) for row in tiers.values()] == [(1, 90_000), None]


def test_money_that_went_back_makes_nobody_a_large_client() -> None:
    build = Events()
    log = [*monthly(build, 9, late=-2, minor=150_000), build.refunded(270, payment="PM8", minor=150_000)]
    log.append(build.charged_back(271, payment="PM7", minor=100_000))
    tiers = rfm(final(log), DEFAULT_POLICY)
    assert tiers is not None
    assert (tiers.payments, tiers.received) == (9, Money(1_100_000, "EUR"))
    back = rfm(final([*log, build.chargeback_reversed(272, payment="PM7", minor=100_000)]), DEFAULT_POLICY)
    assert back is not None
    assert back.received == Money(1_200_000, "EUR")


@pytest.mark.parametrize("gap", [7, 14, 30])
def test_two_months_of_another_way_of_paying_come_before_a_move(gap: int) -> None:
    build, log, turn = Events(), list[AnyClientEvent](), 200
    for day in range(0, 2 * turn, gap):
        log.append(build.issued(day, f"M{day}", 90_000, due=day + 14))
        log.append(build.paid(day + (26 if day >= turn else 12), f"P{day}", 90_000, f"M{day}"))
    late = min(day for day in range(0, 2 * turn, gap) if day >= turn) + 14
    _, moved = moves(Firm().run(sorted(log, key=lambda event: event.received_ms), until_ms=ms(2 * turn + 60)))
    assert moved.change is not None
    assert (moved.change.before, moved.change.after) == ("reliable", "slow")
    assert moved.decided_at.timestamp() * 1000 >= ms(late + 60)


def test_there_are_no_tiers_before_the_first_payment() -> None:
    assert rfm(ClientState("c"), DEFAULT_POLICY) is None
    firm = Firm().run([Events().issued(0)])
    firm.feed(tick(1))
    assert firm.state is not None
    assert rfm(firm.state, DEFAULT_POLICY) is None
