"""Patterns in a client's rhythm: found when they are there, silent when not, and gone when their facts are taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from models.events.invoices import InvoiceIssued
from models.events.payments import DeclineKind, PaymentMethod
from models.events.union import AnyClientEvent
from models.patterns import MEANINGS, PATTERNS, Pattern, PatternRules, Posture, find_pattern, measure, patterns, widening_ms
from models.policy.facts import ALLOWED_FACTS
from models.state.client import ClientState
from models.state.history import decline_streak
from tests.models.builders import Events, ms
from tests.models.stories import facts
from tests.models.views import final, fold

RULES = PatternRules()
CARD, DEBIT = PaymentMethod.CARD, PaymentMethod.BANK_DEBIT


def found(log: list[AnyClientEvent], *, at: float) -> dict[Pattern, str]:
    """Return the patterns and their words at a day, told by a staff note of that day."""
    state = final([*sorted(log, key=lambda event: event.received_ms), note(at)])
    return {row.pattern: row.words for row in patterns(state, RULES)}


def note(day: float) -> AnyClientEvent:
    """Return a staff note of its own id: time passes, nothing else."""
    return Events().called(day).model_copy(update={"event_id": f"note-{day}"})


def every(days: int, count: int, build: Events, *, minor: int = 100_000, method: PaymentMethod = CARD) -> list[AnyClientEvent]:
    return [build.paid(place * days, f"P{place}", minor, None, method=method) for place in range(count)]


def itemised(build: Events, day: float, name: str, lines: int) -> InvoiceIssued:
    return build.issued(day, name, 500_000).model_copy(update={"lines": lines})


def test_a_steady_client_shows_no_pattern() -> None:
    assert not found(every(30, 12, Events()), at=345)


def test_a_burst_of_small_payments_is_against_the_clients_own_pace_and_size() -> None:
    build = Events()
    burst = [build.paid(340 + place, f"S{place}", 9_000, None, method=CARD) for place in range(5)]
    words = found([*every(30, 12, build), *burst], at=345)
    assert words == {Pattern.SMALL_BURST: "5 payments in 14 days of 90 on average (usually 1,000)"}
    large = [build.paid(340 + place, f"L{place}", 90_000, None, method=CARD) for place in range(5)]
    assert not found([*every(30, 12, build), *large], at=345)
    assert not found([*every(3, 110, build, minor=9_000)], at=330)
    often = [*every(4, 85, build), *(build.paid(341 + place, f"O{place}", 9_000, None, method=CARD) for place in range(7))]
    assert Pattern.SMALL_BURST not in found(often, at=348)


def test_a_first_fortnight_of_small_payments_is_a_burst_without_any_history() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.paid(place, f"S{place}", 4_900, None) for place in range(4)]
    assert found(log, at=5) == {Pattern.SMALL_BURST: "4 payments in 14 days of 49 on average (no history before)"}


@pytest.mark.parametrize(("rhythm", "wide"), [(7, 17), (30, 54), (91, 164)])
def test_a_gap_is_wide_by_the_clients_own_rhythm(rhythm: int, wide: int) -> None:
    log = every(rhythm, 6, Events())
    last = 5 * rhythm
    assert Pattern.WIDENING_GAP not in found(log, at=last + wide - 1)
    assert found(log, at=last + wide)[Pattern.WIDENING_GAP].startswith(f"no payment for {wide} days, usually every {rhythm}")
    assert Pattern.WIDENING_GAP not in found(log, at=last + RULES.gap_lapsed_days + 1)


def test_a_gap_is_not_wide_before_it_is_longer_than_any_that_is_remembered() -> None:
    days = (0, 10, 20, 60, 70, 80)
    log: list[AnyClientEvent] = [
        Events().paid(day, f"P{day}", 100_000, None).model_copy(update={"event_id": f"e{day}"}) for day in days
    ]
    assert Pattern.WIDENING_GAP not in found(log, at=80 + 40)
    assert "usually every 10, never more than 40" in found(log, at=80 + 41)[Pattern.WIDENING_GAP]


def test_when_a_gap_will_be_wide_is_known_beforehand() -> None:
    state = final(every(30, 6, Events()))
    due = widening_ms(state, RULES)
    assert due is not None
    day = (due - ms(0)) / 86_400_000
    assert Pattern.WIDENING_GAP not in found(every(30, 6, Events()), at=day - 1)
    assert Pattern.WIDENING_GAP in found(every(30, 6, Events()), at=day + 0.01)
    assert widening_ms(final(every(30, 3, Events())), RULES) is None


def test_many_small_invoices_and_few_itemised_ones_are_told_apart() -> None:
    build = Events()
    weekly: list[AnyClientEvent] = [build.issued(7 * week, f"W{week}", 12_000) for week in range(13)]
    assert found(weekly, at=90) == {Pattern.MICRO_INVOICES: "13 invoices in 13 weeks of 120 on average"}
    bundled: list[AnyClientEvent] = [itemised(build, 30 * month, f"B{month}", 6) for month in range(3)]
    assert found(bundled, at=80) == {Pattern.BUNDLED_INVOICES: "3 invoices in 13 weeks with 6 items on average"}


def test_a_shift_of_method_names_both_and_what_the_new_one_means() -> None:
    build = Events()
    log = every(30, 6, build)
    log += [build.paid(180 + 30 * place, f"D{place}", 100_000, None, method=DEBIT) for place in range(3)]
    words = found(log, at=245)[Pattern.METHOD_SHIFT]
    assert words.startswith("the last 3 payments by bank debit, before mostly by card: procurement discipline")
    assert Pattern.METHOD_SHIFT not in found(log[:-1], at=215)
    mixed = [build.paid(30 * place, f"M{place}", 100_000, None, method=(CARD, DEBIT)[place % 2]) for place in range(6)]
    assert Pattern.METHOD_SHIFT not in found([*mixed, *log[-3:]], at=245)


def test_a_streak_of_declines_ends_with_money_and_fades() -> None:
    build = Events()
    log = every(30, 4, build)
    log += [build.failed(110 + 3 * place, f"F{place}", retry=122 if place == 2 else None) for place in range(3)]
    words = found(log, at=117)[Pattern.DECLINE_STREAK]
    assert words == "3 declined attempts by card since money last came; the processor tries again in 5 days"
    assert Pattern.DECLINE_STREAK not in found([*log, build.paid(118, "P9", 100_000, None)], at=119)
    assert Pattern.DECLINE_STREAK not in found(log, at=117 + RULES.decline_days)


def test_a_card_that_was_refused_for_good_is_to_be_replaced_and_says_nothing_of_cards() -> None:
    build = Events()
    log = [*every(30, 4, build), *(build.failed(110 + 3 * place, f"F{place}", decline=DeclineKind.HARD) for place in range(4))]
    assert Pattern.DECLINE_STREAK not in found(log, at=123)
    log += [build.failed(122 + place / 2, f"S{place}") for place in range(3)]
    assert found(log, at=124)[Pattern.DECLINE_STREAK].startswith("3 declined attempts by card")


@pytest.mark.parametrize(
    ("said", "usual", "by_card"),
    [
        (PaymentMethod.BANK_DEBIT, PaymentMethod.CARD, False),
        (PaymentMethod.OTHER, PaymentMethod.CARD, True),
        (PaymentMethod.OTHER, PaymentMethod.BANK_DEBIT, False),
        (PaymentMethod.CARD, PaymentMethod.WIRE, True),
    ],
)
def test_only_cards_that_fail_are_a_reason_to_speak_of_cards(said: PaymentMethod, usual: PaymentMethod, *, by_card: bool) -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.paid(30 * place, f"P{place}", 100_000, None, method=usual) for place in range(4)]
    log += [build.failed(110 + 3 * place, f"F{place}", method=said) for place in range(3)]
    assert (Pattern.DECLINE_STREAK in found(log, at=117)) is by_card
    assert decline_streak(final(log)) == 3


def test_money_that_bounces_does_not_end_a_streak_of_declines() -> None:
    build = Events()
    log = every(30, 4, build)
    log += [build.failed(110 + 3 * place, f"F{place}") for place in range(3)]
    log += [build.paid(118, "PX", 100_000, None), build.failed(119, "PX")]
    assert found(log, at=120)[Pattern.DECLINE_STREAK].startswith("4 declined attempts by card")


def test_every_pattern_has_a_reading_a_posture_and_facts_that_some_purpose_may_state() -> None:
    assert MEANINGS.keys() == set(Pattern)
    assert {row.posture for row in MEANINGS.values()} == set(Posture)
    build = Events()
    log = every(30, 6, build)
    log += [build.paid(180 + 30 * place, f"D{place}", 100_000, None, method=DEBIT) for place in range(3)]
    log += [build.failed(245 + place, f"F{place}") for place in range(3)]
    log += [build.issued(220 + 4 * place, f"W{place}", 12_000) for place in range(12)]
    readings = patterns(final([*sorted(log, key=lambda event: event.received_ms), note(302)]), RULES)
    assert len(readings) == 4
    stated = frozenset().union(*ALLOWED_FACTS.values())
    for reading in readings:
        assert reading.facts.keys() <= stated
        assert reading.meaning.advice in reading.explain()


def test_the_measures_fill_their_table() -> None:
    state = final(every(30, 6, Events()))
    assert len(measure(state, RULES).row()) == len(PATTERNS)
    assert measure(ClientState("c"), RULES).row() == (0.0,) * len(PATTERNS)
    assert not patterns(ClientState("c"), RULES)


def view(state: ClientState) -> tuple[object, ...]:
    rhythm = state.rhythm
    return patterns(state, RULES), measure(state, RULES), rhythm.pay_days, rhythm.pay_methods, rhythm.last_paid_ms


@given(
    before=st.lists(st.tuples(st.integers(0, 30), st.sampled_from((CARD, DEBIT))), max_size=10),
    minor=st.integers(1, 500_000),
    method=st.sampled_from((CARD, DEBIT, PaymentMethod.OTHER)),
    day=st.integers(0, 30),
)
def test_a_payment_that_bounces_leaves_every_pattern_as_it_was_but_for_the_decline(
    before: list[tuple[int, PaymentMethod]], minor: int, method: PaymentMethod, day: int
) -> None:
    build = Events()
    known = [build.paid(at, f"P{place}", 100_000, None, method=how) for place, (at, how) in enumerate(before)]
    state = final([*sorted(known, key=lambda event: event.received_ms), note(31)])
    came = fold([build.paid(day, "PX", minor, None, method=method, received=31)], state=state)[-1].state
    # Bounced by its own id, reported on the same day; the attempt itself counts as a decline.
    gone = fold([build.failed(day + 0.5, "PX", minor, received=31)], state=came)[-1].state
    assert gone.rhythm.failures
    assert view(gone)[2:] == view(state)[2:]
    left = {row.pattern for row in patterns(gone, RULES)} - {Pattern.DECLINE_STREAK}
    assert left == {row.pattern for row in patterns(state, RULES)} - {Pattern.DECLINE_STREAK}


@given(story=facts(), minor=st.integers(1, 500_000), day=st.integers(0, 6))
def test_an_invoice_that_is_withdrawn_leaves_every_pattern_as_it_was(story: list[AnyClientEvent], minor: int, day: int) -> None:
    state = final([*sorted(story, key=lambda event: event.received_ms), note(7)])
    build = Events()
    came = fold([build.issued(day, "NEW", minor, received=7, event_id="came")], state=state)[-1].state
    gone = build.voided(day + 0.1, "NEW", received=7).model_copy(update={"event_id": "gone"})
    after = fold([gone], state=came)[-1].state
    assert view(after) == view(state)


def test_a_state_written_before_methods_were_kept_still_gives_its_payments_back() -> None:
    build = Events()
    known = final(every(30, 4, build))
    bare = replace(known, rhythm=replace(known.rhythm, pay_methods=()))
    after = fold([build.failed(91, "P3")], state=bare)[-1].state
    assert after.rhythm.pay_days == known.rhythm.pay_days[:-1]
    assert len(after.rhythm.pay_methods) == len(after.rhythm.pay_days)
    assert find_pattern(after, Pattern.METHOD_SHIFT, RULES) is None
