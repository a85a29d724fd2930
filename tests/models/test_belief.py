"""The filter over days late, and how rules and filter move a client together."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from models.events.union import AnyClientEvent
from models.money import Money
from models.policy.belief import ENDINGS, PRIOR, STATES, Belief, belief
from models.policy.policy import DEFAULT_POLICY
from models.policy.resegment import RECHECKS
from models.state.client import Segment, TimerKind
from models.state.history import Lateness
from models.state.rhythm import Label
from models.workdays import DAY_MS
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm
from tests.models.test_segments import monthly, moves

WEEKLY = 7 * DAY_MS


def past(*days: int, overdue: tuple[int, ...] = (), every: int = 30) -> Lateness:
    """Return a past of invoices settled so many days late, a month apart from the first."""
    labels = tuple(Label((place + 1) * every * DAY_MS, late, 100, "EUR") for place, late in enumerate(days))
    count = len(days) + len(overdue)
    return Lateness(count, 0, 0, len(overdue), max(overdue, default=0), labels, tuple(sorted(overdue)))


def sure(known: Lateness, *, after: int = 0) -> Belief:
    last = known.recent[-1].settled_ms if known.recent else 0
    return belief(known, now_ms=last + after * DAY_MS, switch_per_year=0.15)


PASTS = st.builds(
    past,
    st.integers(-20, 120),
    st.integers(-20, 120),
    st.integers(-20, 120),
    overdue=st.lists(st.integers(6, 400), max_size=3).map(tuple),
    every=st.integers(0, 60),
)


def test_each_state_ends_its_invoices_somehow() -> None:
    for row in ENDINGS:
        assert abs(sum(row) - 1) < 1e-9
    assert abs(sum(PRIOR) - 1) < 1e-9


@given(known=PASTS, after=st.integers(0, 2_000))
def test_a_belief_is_a_distribution(known: Lateness, after: int) -> None:
    found = sure(known, after=after)
    assert abs(found.reliable + found.slow + found.problem - 1) < 1e-9
    assert all(0 <= found.of(segment) <= 1 for segment in STATES)
    assert found.of(found.likeliest) == max(found.of(segment) for segment in STATES)


@given(known=PASTS)
def test_without_news_a_belief_fades_to_what_clients_are_in_general(known: Lateness) -> None:
    bare = structs.replace(known, overdue=())
    distances = [
        sum(abs(sure(bare, after=days).of(s) - p) for s, p in zip(STATES, PRIOR, strict=True)) for days in (0, 900, 9_000)
    ]
    assert distances == sorted(distances, reverse=True)


@given(known=PASTS, days=st.integers(-20, 120))
def test_what_was_settled_in_one_run_counts_once(known: Lateness, days: int) -> None:
    label = Label(known.recent[-1].settled_ms + WEEKLY, days, 100, "EUR")
    once, thrice = (structs.replace(known, recent=(*known.recent, *[label] * times)) for times in (1, 3))
    one, three = sure(once), sure(thrice)
    assert all(abs(one.of(segment) - three.of(segment)) < 1e-9 for segment in STATES)


def test_nothing_known_is_what_clients_are_in_general() -> None:
    assert sure(past()) == Belief(*PRIOR)


def test_a_prompt_client_with_one_forgotten_invoice_is_still_believed_reliable() -> None:
    assert sure(past(*[-1] * 12)).reliable > 0.99
    assert sure(past(*[-1] * 12, overdue=(40,))).likeliest is Segment.RELIABLE
    assert sure(past(*[-1] * 8, 40, 45, 50)).likeliest is Segment.PROBLEM


def test_who_pays_ten_days_late_is_slow_and_who_pays_after_months_a_problem() -> None:
    assert sure(past(8, 12, 9, 14)).slow > 0.9
    assert sure(past(50, 70, 45)).problem > 0.9
    assert sure(past(8, 12, overdue=(70,))).problem > sure(past(8, 12)).problem


def test_a_move_is_an_event_with_before_after_cause_certainty_and_money() -> None:
    build = Events()
    log = [*monthly(build, 5, late=-2), *monthly(build, 6, late=12, first=5), build.issued(335, "OPEN", 50_000, due=360)]
    firm = Firm().run(sorted(log, key=lambda event: event.received_ms), until_ms=ms(360))
    change = moves(firm)[1].change
    assert change is not None
    assert (change.before, change.after) == ("reliable", "slow")
    assert "of the last" in change.cause
    assert change.held_days >= DEFAULT_POLICY.segments.persist_days
    assert change.certainty is not None
    assert change.certainty >= DEFAULT_POLICY.segments.agree
    assert change.received is not None
    assert change.received.currency == "EUR"
    assert all(isinstance(row, Money) for row in change.open)


def doubtful(build: Events) -> list[AnyClientEvent]:
    """Return a client with half of its last invoices a single day over the grace: late by the rules, hardly by the filter."""
    log = monthly(build, 6, late=-2)
    for month in range(6, 20):
        log += monthly(build, 1, late=6 if month % 2 else -2, first=month)
    return log


def test_the_rules_alone_move_nobody_whom_the_filter_believes_otherwise() -> None:
    alone = replace(DEFAULT_POLICY, segments=replace(DEFAULT_POLICY.segments, agree=0.0))
    both, rules = (Firm(policy=policy).run(doubtful(Events()), until_ms=ms(700)) for policy in (DEFAULT_POLICY, alone))
    assert [row.change.after for row in moves(rules) if row.change] == ["reliable", "slow"]
    assert [row.change.after for row in moves(both) if row.change] == ["reliable"]


def test_a_verdict_without_consent_is_looked_at_again_a_few_times_and_then_left_alone() -> None:
    firm = Firm().run(doubtful(Events()), until_ms=ms(600))
    looks = 0
    while firm.due is not None and firm.due < ms(2_000):
        assert firm.state is not None
        looks += any(row.due_ms == firm.due and row.kind == TimerKind.SEGMENT for row in firm.state.care.timers)
        firm.wake(firm.due)
    assert 0 < looks <= RECHECKS + 1
    assert firm.state is not None
    assert firm.state.care.candidate is Segment.SLOW
    assert firm.state.care.segment is Segment.RELIABLE


def test_disputes_speak_for_themselves() -> None:
    build = Events()
    log = monthly(build, 8, late=-2)
    log += [build.disputed(100 + 30 * place, f"D{place}", f"M{place + 3}") for place in range(3)]
    log += [build.dispute_closed(110 + 30 * place, f"D{place}") for place in range(3)]
    firm = Firm().run(sorted(log, key=lambda event: event.received_ms), until_ms=ms(260))
    assert "3 disputes within a year" in [row.change.cause for row in moves(firm) if row.change]


def test_a_quarrel_of_a_week_moves_nobody_for_two_months_as_no_lateness_does() -> None:
    build = Events()
    log = monthly(build, 12, late=-2)
    log += [build.disputed(300 + day, f"D{day}", None) for day in range(3)]
    log += [build.dispute_closed(303, f"D{day}") for day in range(3)]
    firm = Firm().run(sorted(log, key=lambda event: event.received_ms), until_ms=ms(359))
    assert [row.change.after for row in moves(firm) if row.change] == ["reliable"]
    firm.wake(ms(380))
    assert [row.change.after for row in moves(firm) if row.change] == ["reliable", "problem"]


def test_who_is_hard_to_tell_stays_new_for_six_months_at_most() -> None:
    build = Events()
    log = [*monthly(build, 1, late=-2), *monthly(build, 1, late=9, first=1), *monthly(build, 1, late=1, first=2)]
    firm = Firm().run(log, until_ms=ms(179))
    assert not moves(firm)
    firm.wake(ms(181))
    change = moves(firm)[0].change
    assert change is not None
    assert change.after in {"reliable", "slow"}


@given(known=PASTS)
def test_a_move_by_one_step_may_be_backed_by_what_lies_beyond_it(known: Lateness) -> None:
    found = sure(known)
    assert found.toward(Segment.RELIABLE, Segment.SLOW) == found.slow + found.problem
    assert found.toward(Segment.PROBLEM, Segment.SLOW) == found.slow + found.reliable
    for before in Segment:
        assert found.toward(before, Segment.RELIABLE) == found.reliable
        assert found.toward(before, Segment.PROBLEM) == found.problem
