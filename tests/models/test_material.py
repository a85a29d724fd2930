"""Money that is not worth a message, is contested, or has come and is not allocated says nothing against a client."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.union import AnyClientEvent
from models.policy.journeys import Statement
from models.policy.material import material_lateness
from models.policy.policy import DEFAULT_POLICY
from models.policy.sudden import alarm_ms
from models.state.client import Segment
from models.state.history import lateness, lived_lateness
from models.triggers import Decision, DecisionOutcome, Journey, Retraction
from models.workdays import DAY_MS
from tests.models.builders import Events, ms
from tests.models.stories import arriving, facts
from tests.models.test_journey_laws import Firm
from tests.models.test_segments import monthly
from tests.models.views import final

# A client of 900 euros a month that always paid two days early; X is due on day 190, and a contract renews on day 260.
NOTHING_OWED: dict[str, Callable[[Events], list[AnyClientEvent]]] = {
    "three euros are missing": lambda build: [build.issued(181, "X", 90_000, due=190), build.paid(189, "PX", 89_700, "X")],
    "three invoices of a euro": lambda build: [build.issued(181 + day, f"X{day}", 100, due=190 + day) for day in range(3)],
    "the money is not allocated": lambda build: [build.issued(181, "X", 90_000, due=190), build.paid(189, "PX", 90_000, None)],
    "credit on account covers it": lambda build: [
        build.issued(181, "X", 90_000, due=190),
        build.credit(189, minor=90_000, invoice=None),
    ],
}


def _regular(build: Events) -> list[AnyClientEvent]:
    paid = [*monthly(build, 6, late=-2), *monthly(build, 6, late=-2, first=7)]
    return [build.profiled(0), build.contract(100, renews=260), *paid]


def _told(firm: Firm, journey: Journey) -> list[str]:
    rows = (row for row in firm.outputs if isinstance(row, Decision) and row.journey is journey)
    return [row.step or "" for row in rows if row.outcome is DecisionOutcome.TRIGGERED]


@pytest.mark.parametrize("what", NOTHING_OWED)
def test_it_moves_nobody_and_keeps_nobody_from_care(what: str) -> None:
    build = Events()
    log = sorted([*_regular(build), *NOTHING_OWED[what](build)], key=lambda event: event.received_ms)
    firm = Firm().run(log, until_ms=ms(420))
    assert firm.state is not None
    assert (firm.state.care.segment, firm.state.care.candidate) == (Segment.RELIABLE, Segment.RELIABLE)
    assert _told(firm, Journey.RENEWAL) == ["renewal_options"]
    assert not _told(firm, Journey.DELAY_SUPPORT)


def test_an_open_dispute_makes_nobody_a_problem_however_long_the_firm_takes_with_it() -> None:
    build = Events()
    log = [*_regular(build), build.issued(181, "X", 90_000, due=190), build.disputed(188, "D1", "X")]
    state = Firm().run(sorted(log, key=lambda event: event.received_ms), until_ms=ms(420)).state
    assert state is not None
    assert lateness(state).oldest_overdue_days > DEFAULT_POLICY.segments.problem_overdue_days
    assert (material_lateness(state, DEFAULT_POLICY).overdue_now, state.care.candidate) == (0, Segment.RELIABLE)


def test_small_sums_tell_from_the_day_on_at_which_they_come_to_enough_for_a_message() -> None:
    build = Events()
    log = [*monthly(build, 6, late=-2), build.issued(200, "A", 300, due=205), build.issued(201, "B", 4_000, due=240)]
    past = material_lateness(final([*log, build.issued(202, "C", 300, due=260), build.called(280)]), DEFAULT_POLICY)
    assert past.overdue == (20,)  # at 45 euros, a twentieth of what is usual, not at the three or at the forty
    assert lateness(final(log)).labelled == 6


def test_what_ended_late_and_was_too_little_for_a_message_is_no_evidence() -> None:
    build = Events()
    log = [*monthly(build, 5, late=-2), *monthly(build, 7, late=60, first=5, minor=400)]
    state = Firm().run(sorted(log, key=lambda event: event.received_ms), until_ms=ms(500)).state
    assert state is not None
    assert state.care.segment is Segment.RELIABLE
    small = Firm().run(monthly(Events(), 12, late=60, minor=400), until_ms=ms(500)).state
    assert small is not None
    assert small.care.segment is Segment.NEW  # nothing is known of how this client pays what matters


def test_the_alarm_is_waited_for_as_long_as_only_trifles_are_overdue() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0), *monthly(build, 8, late=-2), build.issued(240, "S", 200, due=245)]
    log += [build.issued(241, "X1", 90_000, due=250), build.issued(242, "X2", 90_000, due=252)]
    policy = replace(DEFAULT_POLICY, journeys=replace(DEFAULT_POLICY.journeys, statement=Statement(1)))
    firm = Firm(policy=policy).run(log, until_ms=ms(257.5))
    assert firm.state is not None
    assert not firm.state.care.alarm_ms
    assert alarm_ms(firm.state, policy) == ms(261)
    firm.wake(ms(262))
    assert firm.state.care.alarm_ms == ms(261)


@given(facts(), st.floats(0, 1))
@settings(max_examples=60)
def test_what_is_left_out_is_never_held_against_anybody(events: list[AnyClientEvent], small_share: float) -> None:
    state = final(arriving(events, list(range(len(events)))))
    policy = replace(DEFAULT_POLICY, small_share=small_share, small_units=0)
    past, all_of_it = material_lateness(state, policy), lived_lateness(state)
    assert set(past.recent) <= set(all_of_it.recent)
    assert past.overdue_now <= all_of_it.overdue_now
    assert past.oldest_overdue_days <= all_of_it.oldest_overdue_days


def _asked_about_six_euros() -> tuple[Firm, Events]:
    """Return a client who is asked for twice three euros: enough for one of whose invoices every other is of three euros."""
    build = Events()
    small: list[AnyClientEvent] = [build.issued(0.5, "X1", 300, due=14), build.issued(12, "X2", 300, due=26)]
    large: list[AnyClientEvent] = [
        build.issued(0, "A", 20_000, due=14),
        build.paid(1, "PA", 20_000, "A"),
        build.issued(26, "B", 20_000, due=40),
    ]
    firm = Firm().run(sorted([build.profiled(0), *small, *large], key=lambda event: event.received_ms))
    while "offer_help" not in _told(firm, Journey.DELAY_SUPPORT):
        assert firm.due is not None
        firm.wake(firm.due)
    return firm, build


def _taken_back(firm: Firm) -> list[str]:
    return [why for row in firm.outputs if isinstance(row, Retraction) for why in row.reasons]


def test_what_was_worth_a_message_stays_so_when_only_the_invoices_of_the_client_grow() -> None:
    firm, build = _asked_about_six_euros()
    assert firm.state is not None
    firm.feed(build.issued((firm.state.now_ms - ms(0)) / DAY_MS + 0.1, "C", 20_000))
    assert not _taken_back(firm)
