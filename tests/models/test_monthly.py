"""What is too little for a message of its own is told once a month, all together, and never beside a reminder."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from types import MappingProxyType

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from models.events.envelope import epoch_ms
from models.events.signals import DeliveryOutcome, OverrideEffect
from models.events.union import AnyClientEvent
from models.money import Money
from models.policy.document import PolicyDocument, policy_of
from models.policy.journeys import Statement
from models.policy.leave import Verdict, known_as, may_leave
from models.policy.policy import DEFAULT_POLICY, ApprovalRules, Policy, stamped
from models.state.codec import encode
from models.triggers import Decision, DecisionOutcome, Journey, Retraction, Trigger
from models.workdays import DAY_MS, Window, local_day, zone_named
from tests.models.builders import Events, ms
from tests.models.carried import Carried
from tests.models.test_journey_laws import HORIZON, Firm, differs_by_promise, live_late, stories
from tests.models.test_outcomes import state_of
from tests.models.views import is_open

SMALL = 320
"""Minor units: less than five, so never a message of its own."""


def telling(day: int = 1, policy: Policy = DEFAULT_POLICY) -> Policy:
    """Return `policy` with a statement from this day of the month on."""
    return stamped(replace(policy, journeys=replace(policy.journeys, statement=Statement(day))))


MONTHLY = telling()
FEBRUARY = 24.0
"""The first of February 2024, a Thursday, at nine in London, where clients without a zone are."""


def statements(firm: Firm) -> list[Trigger]:
    return [row for row in firm.triggers if row.journey is Journey.STATEMENT and row.step == "statement"]


def told(firm: Firm) -> list[tuple[DecisionOutcome, str]]:
    rows = [row for row in firm.outputs if isinstance(row, Decision) and row.journey is Journey.STATEMENT]
    return [(row.outcome, row.reasons[0]) for row in rows]


def owing_little(build: Events, *invoices: tuple[str, int, str], until: float, policy: Policy = MONTHLY) -> Carried:
    """Return a firm whose client is late with invoices since the tenth day."""
    events: list[AnyClientEvent] = [build.profiled(0)]
    for index, (name, minor, code) in enumerate(invoices):
        events.append(build.issued(1 + index / 50, name, minor, due=10, currency=code))
    return Carried(build, policy=policy).run(events, until_ms=ms(until))


@given(stories(), st.integers(1, 28))
@settings(max_examples=60)
def test_a_statement_names_only_what_is_late_and_free_of_claims_and_each_currency_adds_up(
    story: list[AnyClientEvent], day: int
) -> None:
    firm = Firm(policy=telling(day))
    for event in story:
        firm.wake(event.received_ms)
        firm.feed(event)
    firm.wake(HORIZON)
    for row in statements(firm):
        assert row.totals
        assert sum(total.invoices for total in row.totals) == len(row.invoice_ids) == row.facts["invoice_count"]
        assert row.facts["amount_open"] == row.totals[0].open
        for total in row.totals:
            lines = [line.open for line in row.statement if line.open.currency == total.open.currency]
            assert sum((line.minor for line in lines), 0) == total.open.minor + total.credit.minor
            assert total.open.minor < 5_000  # five units, or a twentieth of what is usual, at most a thousand here
        assert all(line.due_on < local_day(epoch_ms(row.decided_at), zone_named("", "UTC")) for line in row.statement)


def test_a_statement_waits_while_the_processor_is_about_to_try_again_by_itself() -> None:
    build = Events()
    firm = owing_little(build, ("A", SMALL, "EUR"), until=FEBRUARY - 2)
    declined = build.failed(FEBRUARY - 1, minor=SMALL, invoice="A", retry=FEBRUARY + 2)
    firm.run([declined], until_ms=ms(FEBRUARY + 2.5))
    assert told(firm) == [(DecisionOutcome.HELD, "the processor is about to try the payment again by itself")]
    firm.run([], until_ms=ms(FEBRUARY + 4))
    (row,) = statements(firm)
    assert ms(FEBRUARY + 3) <= epoch_ms(row.not_before) < ms(FEBRUARY + 4)


@given(stories(), st.integers(1, 28))
@settings(max_examples=60)
def test_there_is_one_a_month_at_most_in_open_hours_and_at_its_distance_from_every_other_contact(
    story: list[AnyClientEvent], day: int
) -> None:
    policy = telling(day)
    firm = Firm(policy=policy).run(story, until_ms=HORIZON)
    retracted = {row.trigger_id for row in firm.outputs if isinstance(row, Retraction)}
    left = [row for row in firm.triggers if row.trigger_id not in retracted and row.channel == "email"]
    months = Counter(row.anchor for row in left if row.journey is Journey.STATEMENT)
    assert set(months.values()) <= {1}
    zone = zone_named(state_of(firm).person.timezone.value, policy.zone)
    for row in left:
        if row.journey is Journey.STATEMENT:
            at = epoch_ms(row.not_before)
            assert is_open(at, Window(), zone)
            since = (local_day(at, zone) - date.fromisoformat(f"{row.anchor}-{day:02}")).days
            assert 0 <= since <= 2 + 8  # a weekend, then a week; the first hour may be of the day after
    moments = sorted(epoch_ms(row.not_before) for row in left if row.step != "thank_you")
    assert all(later - earlier >= policy.min_gap_days * DAY_MS for earlier, later in pairwise(moments))


@given(stories(), st.integers(1, 28))
@settings(max_examples=60)
def test_with_statements_too_a_tick_and_an_event_wake_a_client_alike(story: list[AnyClientEvent], day: int) -> None:
    woken, late = Firm(policy=telling(day)).run(story), Firm(punctual=False, policy=telling(day))
    live_late(late, story)
    assume(not differs_by_promise(late))
    assert [output.model_dump_json() for output in late.outputs] == [output.model_dump_json() for output in woken.outputs]
    assert encode(state_of(late)) == encode(state_of(woken))


@given(stories())
@settings(max_examples=30)
def test_a_policy_without_a_day_sends_none(story: list[AnyClientEvent]) -> None:
    firm = Firm().run(story, until_ms=HORIZON)
    assert not [row for row in firm.outputs if isinstance(row, Trigger | Decision) and row.journey is Journey.STATEMENT]


@given(
    st.integers(1, 6) | st.integers(16, 28),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
)
@example(28, "Asia/Kathmandu")
@settings(max_examples=20)
def test_it_leaves_on_the_day_of_the_policy_or_the_next_business_day_of_the_clients_calendar(day: int, zone: str) -> None:
    build = Events()
    policy = telling(day)
    story: list[AnyClientEvent] = [build.profiled(0, timezone=zone), build.issued(1, "I1", SMALL, due=2)]
    (row,) = statements(Carried(build, policy=policy).run(story, until_ms=ms(60)))
    at = epoch_ms(row.not_before)
    local = local_day(at, zone_named(zone, "UTC"))
    nominal = date.fromisoformat(f"{row.anchor}-{day:02}")
    assert 0 <= (local - nominal).days <= 2
    assert local.weekday() < 5


def test_a_holiday_in_the_clients_country_moves_it() -> None:
    build = Events()
    holidays = MappingProxyType({"NO": frozenset({date(2024, 2, 1), date(2024, 2, 2)})})
    policy = telling(1, stamped(replace(DEFAULT_POLICY, holidays=holidays)))
    story: list[AnyClientEvent] = [build.profiled(0, country="NO"), build.issued(1, "I1", SMALL, due=10)]
    (row,) = statements(Firm(policy=policy).run(story, until_ms=ms(40)))
    assert row.not_before.date() == date(2024, 2, 5)


def test_money_of_several_currencies_stands_side_by_side_and_credit_is_shown() -> None:
    build = Events()
    firm = owing_little(build, ("I1", 320, "EUR"), ("I2", 200, "JPY"), ("I3", 450, "EUR"), until=12)
    firm.feed(build.credit(12.1, "C1", 250, "I3"))
    assert statements(firm) == []
    # Two hundred yen are far more than five of them.
    firm.wake(ms(40))
    (first, *_) = firm.triggers
    assert first.journey is Journey.DELAY_SUPPORT
    build = Events()
    firm = owing_little(build, ("I1", 120, "EUR"), ("I2", 320, "USD"), ("I3", 350, "EUR"), until=12)
    firm.feed(build.credit(12.1, "C1", 250, "I3"))
    firm.wake(ms(30))
    (row,) = statements(firm)
    assert [(total.open, total.credit) for total in row.totals] == [
        (Money(220, "EUR"), Money(250, "EUR")),
        (Money(320, "USD"), Money(0, "USD")),
    ]
    assert row.facts["amount_open"] == Money(220, "EUR")


def test_what_a_statement_has_named_is_told_again_only_beside_something_new() -> None:
    build = Events()
    firm = owing_little(build, ("I1", SMALL, "EUR"), until=70)
    assert [row.invoice_ids for row in statements(firm)] == [("I1",)]
    firm.feed(build.issued(70, "I2", 100, due=75))
    firm.wake(ms(100))
    assert [row.invoice_ids for row in statements(firm)] == [("I1",), ("I1", "I2")]


@pytest.mark.parametrize("journey", [Journey.DELAY_SUPPORT.value, Journey.STATEMENT.value, None])
def test_a_hold_on_support_holds_the_statement_as_its_own_does(journey: str | None) -> None:
    build = Events()
    firm = owing_little(build, ("I1", SMALL, "EUR"), until=20)
    firm.feed(build.override(20, OverrideEffect.HOLD, journey=journey, until=26))
    firm.wake(ms(25.9))
    assert statements(firm) == []
    firm.wake(ms(40))
    assert len(statements(firm)) == 1  # the hold ended within its week


def test_who_has_written_back_is_asked_for_nothing_until_somebody_has_read_it() -> None:
    build = Events()
    firm = owing_little(build, ("I1", SMALL, "EUR"), until=FEBRUARY - 0.4)
    firm.feed(build.asks(FEBRUARY - 0.3))
    firm.wake(ms(50))
    (row,) = statements(firm)
    assert epoch_ms(row.not_before) > ms(FEBRUARY + 3)
    assert told(firm)[0][0] is DecisionOutcome.HELD


def waiting(build: Events) -> Firm:
    """Return a firm whose statement was decided in the night of the client's hours and has not left."""
    first: list[AnyClientEvent] = [build.profiled(0, timezone="America/New_York"), build.issued(1, "I1", SMALL, due=10)]
    return Firm(policy=MONTHLY).run([*first, build.issued(2, "I2", 100, due=10)], until_ms=ms(FEBRUARY + 0.2))


@pytest.mark.parametrize("what", ["wish", "hold", "paid", "disputed", "promised", "written_off"])
def test_one_that_has_not_left_is_taken_back_when_it_is_not_wanted_or_not_true_any_more(what: str) -> None:
    build = Events()
    firm = waiting(build)
    (row,) = statements(firm)
    at = FEBRUARY + 0.21
    said: dict[str, AnyClientEvent] = {
        "wish": build.profiled(at).model_copy(update={"statements": "no"}),
        "hold": build.hold(at, until=60),
        "paid": build.paid(at, "P1", 10, "I1"),
        "disputed": build.disputed(at, "D1", "I2"),
        "promised": build.promised(at, "Y1", "I2", by=40),
        "written_off": build.written_off(at, "I1"),
    }
    firm.feed(said[what])
    assert [out.trigger_id for out in firm.outputs if isinstance(out, Retraction)] == [row.trigger_id]


def test_a_reminder_that_has_come_near_meanwhile_takes_it_back_and_names_all() -> None:
    build = Events()
    firm = waiting(build)
    (row,) = statements(firm)
    answer = may_leave(state_of(firm), known_as(state_of(firm), row), now_ms=ms(FEBRUARY + 0.3), policy=MONTHLY)
    assert answer.verdict is Verdict.LEAVE
    firm.feed(build.issued(FEBRUARY + 0.25, "I3", 90_000, due=20))
    assert [out.trigger_id for out in firm.outputs if isinstance(out, Retraction)] == [row.trigger_id]
    firm.wake(ms(40))
    reminder = next(each for each in firm.triggers if each.journey is Journey.DELAY_SUPPORT)
    assert set(reminder.invoice_ids) == {"I1", "I2", "I3"}


def test_who_must_be_asked_by_a_person_first_gets_no_statement() -> None:
    build = Events()
    events: list[AnyClientEvent] = [build.profiled(0), build.override(0.5, OverrideEffect.SEGMENT, value="problem", until=90)]
    firm = Firm(policy=MONTHLY).run([*events, build.issued(1, "I1", SMALL, due=10)], until_ms=ms(60))
    assert statements(firm) == []
    assert told(firm)[0] == (DecisionOutcome.SUPPRESSED, "a person asks this client first, before anything is sent")


def test_one_that_bounced_after_all_is_said_again_and_one_that_left_too_late_to_be_taken_back_is_not() -> None:
    build = Events()
    events: list[AnyClientEvent] = [build.profiled(0), build.issued(1, "I1", SMALL, due=10)]
    firm = Carried(build, policy=MONTHLY).run(events, until_ms=ms(FEBRUARY + 1))
    (first,) = statements(firm)
    firm.feed(build.reported(FEBRUARY + 1.1, first.trigger_id, DeliveryOutcome.BOUNCED_SOFT))
    firm.wake(ms(40))
    again = statements(firm)
    assert [row.invoice_ids for row in again] == [("I1",), ("I1",)]
    assert again[0].trigger_id != again[1].trigger_id
    firm.wake(ms(120))
    assert len(statements(firm)) == 2

    build = Events()
    late = waiting(build)
    (row,) = statements(late)
    late.feed(build.hold(FEBRUARY + 0.21, until=FEBRUARY + 2))
    late.feed(build.reported(FEBRUARY + 0.3, row.trigger_id, DeliveryOutcome.TOO_LATE))
    late.wake(ms(120))
    assert statements(late) == [row]


def test_found_only_after_its_week_it_waits_for_the_next_month() -> None:
    build = Events()
    firm = owing_little(build, ("I1", SMALL, "EUR"), until=20)
    firm.punctual = False
    firm.feed(build.profiled(45))
    assert statements(firm) == []
    assert told(firm) == [
        (DecisionOutcome.SUPPRESSED, "found only after its last day: what is still open stands in the next one")
    ]
    firm.wake(ms(60))
    assert [row.anchor for row in statements(firm)] == ["2024-03"]


def test_a_person_who_wants_to_see_it_first_does_and_unanswered_it_is_left_out() -> None:
    build = Events()
    policy = stamped(replace(MONTHLY, approval=ApprovalRules(clients=("client-1",))))
    firm = owing_little(build, ("I1", SMALL, "EUR"), until=FEBRUARY + 0.5, policy=policy)
    (asked,) = [row for row in firm.triggers if row.journey is Journey.STATEMENT]
    assert (asked.step, asked.channel) == ("approve_statement", "task")
    firm.wake(ms(50))
    assert statements(firm) == []
    assert told(firm)[-1][1].startswith("nobody approved it by")


@given(st.lists(st.integers(1, 12), min_size=1, max_size=40))
@settings(max_examples=25)
def test_a_long_list_says_how_many_there_are_and_still_adds_up(amounts: Sequence[int]) -> None:
    build = Events()
    invoices = [(f"Ø-{index} №", minor, "EUR") for index, minor in enumerate(amounts)]
    (row,) = statements(owing_little(build, *invoices, until=30))
    (total,) = row.totals
    assert total.open.minor == sum(amounts)
    assert total.invoices == len(amounts) == len(row.invoice_ids)
    assert len(row.statement) == min(len(amounts), 12)


def test_a_document_without_a_word_of_statements_keeps_its_version_and_one_with_a_day_has_another() -> None:
    silent = policy_of(PolicyDocument.model_validate({"version": "a"}))
    said = policy_of(PolicyDocument.model_validate({"version": "a", "journeys": {"monthly_statement": {"day": 1}}}))
    assert silent.version.partition("+")[2] == DEFAULT_POLICY.version.partition("+")[2]
    assert said.version != silent.version
    assert silent.journeys.statement.day == 0
