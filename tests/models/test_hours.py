"""At which hour and through which channel a client is written to: learnt from answers and payments, never from opened mails."""

from dataclasses import replace as with_policy
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.events.envelope import epoch_ms
from models.events.payments import PaymentMethod
from models.events.signals import ClientAsked, ClientProfiled, DeliveryOutcome, OverrideEffect, Purpose, Request
from models.events.union import AnyClientEvent
from models.policy.hours import EXPLORED, PARTS, explain_hour, heard_at, hour_of, learnt_part
from models.policy.leave import known_as, may_leave
from models.policy.policy import DEFAULT_POLICY
from models.policy.reach import reaction_rate, way_to
from models.state.client import ClientState
from models.state.codec import decode, encode
from models.state.describe import describe
from models.state.evolve import evolve
from models.workdays import DAY_MS, HOUR_MS, Window, moment
from tests.models.builders import Events, ms, on
from tests.models.test_journey_laws import Firm
from tests.models.test_outcomes import state_of
from tests.models.test_reach import WIDE, told
from tests.models.views import final, is_open

BERLIN = ZoneInfo("Europe/Berlin")
LATE = len(PARTS) - 1
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"])


def client(*hours: int, zone: str = "Europe/Berlin") -> ClientState:
    """Return a client who answered at these hours of their own day."""
    known = Events().profiled(0).model_copy(update={"timezone": zone})
    state = final([known])
    for day, hour in enumerate(hours):
        at = datetime(2024, 3, 1, hour, 30, tzinfo=ZoneInfo(zone)) + timedelta(days=day)
        state = heard_at(state, epoch_ms(at), DEFAULT_POLICY)
    return state


def moved(state: ClientState, at_ms: int) -> tuple[int, str]:
    """Return the hour of a message that is not among those that explore."""
    found = [hour_of(state, DEFAULT_POLICY, at_ms=at_ms, what=f"message {number}") for number in range(20)]
    return next((row for row in found if row[1]), found[0])


@given(hours=st.lists(st.integers(0, 23), max_size=40), at=st.integers(0, 2 * 365 * 24), zone=ZONES, what=st.text(max_size=5))
def test_a_message_is_never_sent_outside_the_welcome_hours_nor_more_than_a_day_later(
    hours: list[int], at: int, zone: str, what: str
) -> None:
    state, at_ms = client(*hours, zone=zone), ms(at / 24)
    found, why = hour_of(state, DEFAULT_POLICY, at_ms=at_ms, what=what)
    first = DEFAULT_POLICY.open_hour(state, at_ms)
    assert DEFAULT_POLICY.open_hour(state, found) == found
    assert first <= found <= first + DAY_MS
    assert bool(why) == (found != first)


@given(hours=st.lists(st.integers(0, 23), max_size=40))
def test_what_is_learnt_was_answered_most_among_the_welcome_parts_of_the_day(hours: list[int]) -> None:
    state = client(*hours)
    part = learnt_part(state, DEFAULT_POLICY)
    assert (part is None) == (explain_hour(state, DEFAULT_POLICY) == "")
    if part is not None:
        assert state.care.answers[part] == max(state.care.answers)
    assert decode(encode(state)) == state


def wishing(hours: str, *answers: int, zone: str) -> ClientState:
    """Return a client who said when to be written to, and who answered at other hours."""
    wish = Events().profiled(200).model_copy(update={"hours": hours, "event_id": "wish"})
    return evolve(client(*answers, zone=zone), wish)


SAID = st.tuples(st.integers(0, 22), st.integers(1, 23)).map(lambda drawn: (drawn[0], min(23, sum(drawn))))


@given(said=SAID, at=st.integers(0, 2 * 365 * 24), zone=ZONES, hours=st.lists(st.integers(0, 23)))
def test_said_hours_beat_learnt_ones_and_never_quiet_ones(said: tuple[int, int], at: int, zone: str, hours: list[int]) -> None:
    begins, ends = said
    state = wishing(f"{begins:02}:00-{ends:02}:00", *hours, zone=zone)
    found, why = hour_of(state, DEFAULT_POLICY, at_ms=ms(at / 24), what="message")
    assert is_open(found, DEFAULT_POLICY.window, ZoneInfo(zone))
    clock = moment(found).astimezone(ZoneInfo(zone)).time()
    opens, closes = DEFAULT_POLICY.window.opens.hour, DEFAULT_POLICY.window.closes.hour
    is_met = begins < closes and ends > opens
    assert time(begins) <= clock < time(ends) or not is_met
    # A wish for all of the welcome hours, or for none of them, leaves what was learnt as it is.
    assert ("as they asked" in why) == (is_met and (begins > opens or ends < closes))


def test_said_hours_hold_for_every_message_also_when_it_leaves_late_and_say_why() -> None:
    build = Events()
    profile = build.profiled(0, timezone="Europe/Berlin").model_copy(update={"hours": "15:00-16:00"})
    log: list[AnyClientEvent] = [profile, build.paid(1, "P0", 5_000, None), build.issued(30, "I1", due=33)]
    firm = Firm().run(log, until_ms=ms(60))
    told = [row for row in firm.triggers if row.channel == "email"]
    assert {row.step for row in told} > {"thank_you"}
    for row in told:
        assert row.not_before.astimezone(BERLIN).hour == 15
    assert any("sent from 15:00 to 16:00 their time, as they asked" in row.reasons for row in told)
    late = epoch_ms(told[-1].not_before) + 2 * HOUR_MS
    at_ms = may_leave(final(log), known_as(final(log), told[-1]), now_ms=late, policy=DEFAULT_POLICY).until_ms
    assert at_ms is not None
    assert moment(at_ms).astimezone(BERLIN).hour == 15
    assert at_ms > late


def test_the_later_word_about_hours_holds_and_any_takes_it_back() -> None:
    build = Events()
    words = [(3, "any"), (1, "09:00-10:00"), (2, "15:00-16:00")]
    log = [build.profiled(day, received=4).model_copy(update={"hours": hours}) for day, hours in words]
    assert DEFAULT_POLICY.window_of(final(log)) == DEFAULT_POLICY.window
    assert DEFAULT_POLICY.window_of(final(log[1:])).opens == time(15)
    assert "wants to be written to at 15:00-16:00, their time" in describe(final(log[1:]))


@pytest.mark.parametrize("hours", ["9:00-12:00", "09:00-24:00", "09:00-09:59", "17:00-09:00", "09:00", "always"])
def test_hours_that_are_none_are_refused_with_what_is_wrong(hours: str) -> None:
    with pytest.raises(ValidationError, match="hours"):
        ClientProfiled.model_validate({**Events().profiled(0).model_dump(), "hours": hours})


def test_few_or_mixed_answers_teach_nothing() -> None:
    for hours in ([], [16, 16], [8, 11, 13, 16, 9, 10, 14, 17]):
        assert learnt_part(client(*hours), DEFAULT_POLICY) is None
    assert learnt_part(client(*[16] * 4), DEFAULT_POLICY) == LATE


def test_a_message_waits_for_the_part_of_the_day_in_which_they_answer_and_says_so() -> None:
    state = client(*[16] * 6)
    friday = epoch_ms(datetime(2024, 3, 22, 8, tzinfo=BERLIN))
    found, why = moved(state, friday)
    assert moment(found).astimezone(BERLIN).time() == PARTS[LATE][0]
    assert (found - friday) // 3_600_000 == 7
    assert why == "sent from 15:00 their time: they answer mostly in the late afternoon (100% of recent answers)"
    within = friday + 8 * 3_600_000
    assert moved(state, within) == (within, "")
    # In the early morning people: on Friday at noon their hour is on Monday, which is more than a day away.
    assert moved(client(*[9] * 8), friday + 4 * 3_600_000) == (friday + 4 * 3_600_000, "")


def test_a_habit_that_has_changed_is_unlearnt() -> None:
    assert learnt_part(client(*[16] * 20), DEFAULT_POLICY) == LATE
    assert learnt_part(client(*[16] * 20, *[10] * 12), DEFAULT_POLICY) != LATE
    assert learnt_part(client(*[16] * 20, *[10] * 40), DEFAULT_POLICY) == 1


def test_one_message_in_eight_goes_as_if_nothing_were_learnt_and_always_the_same_one() -> None:
    state, at = client(*[16] * 6), epoch_ms(datetime(2024, 3, 20, 8, tzinfo=BERLIN))
    asked = [hour_of(state, DEFAULT_POLICY, at_ms=at, what=f"I{number}") for number in range(800)]
    plain = sum(not why for _, why in asked)
    assert 0.7 < plain * EXPLORED / 800 < 1.3
    assert asked == [hour_of(state, DEFAULT_POLICY, at_ms=at, what=f"I{number}") for number in range(800)]


def asks(day: float) -> AnyClientEvent:
    return ClientAsked(
        event_id=f"asked-{day}",
        source="test",
        client_id="client-1",
        occurred_at=on(day),
        received_at=on(day),
        request=Request.CONTACT,
        channel="email",
    )


def answering(hour: int, *, times: int = 5) -> Firm:
    """Return a firm whose client (in Berlin) wrote so many times at an hour, and whose invoice then became late."""
    return Firm().run(log_of(hour, times=times), until_ms=ms(50))


def log_of(hour: int, *, times: int = 5) -> list[AnyClientEvent]:
    """Return what that firm was told."""
    build = Events()
    days = [float(10 + place) + (hour - 10) / 24 for place in range(times)]  # START is 10:00 in Berlin
    return [build.profiled(0, timezone="Europe/Berlin"), *(asks(day) for day in days), build.issued(30, "I1", due=33)]


def test_the_plan_follows_the_client_s_hour_and_colleagues_are_asked_at_once() -> None:
    support = [row for row in answering(16).triggers if row.channel == "email"]
    plain = [row for row in answering(16, times=0).triggers if row.channel == "email"]
    assert [row.step for row in support] == [row.step for row in plain]
    waits = [row for row in support if any("answer mostly" in reason for reason in row.reasons)]
    assert waits
    assert all(row.not_before.astimezone(BERLIN).time() == time(15) for row in waits)
    asked = [row for row in answering(16).triggers if row.channel == "task"]
    assert asked
    assert not any("answer mostly" in reason for row in asked for reason in row.reasons)


def test_a_first_payment_is_thanked_for_at_once() -> None:
    build = Events()
    log = [build.profiled(0), *(asks(10 + place + 0.25) for place in range(5)), build.paid(21, invoice=None)]
    (thanks, *_) = [row for row in Firm().run(log, until_ms=ms(22)).triggers if row.step == "thank_you"]
    assert thanks.not_before == thanks.decided_at


def reminded(build: Events) -> Firm:
    """Return a firm whose client was sent a mail about I1 on day 8."""
    firm = Firm(policy=WIDE).run([build.profiled(0), build.issued(0, "I1", due=3), build.issued(0, "I2", due=90)], until_ms=ms(8))
    (first,) = firm.triggers
    firm.feed(build.reported(8, first.trigger_id, DeliveryOutcome.SENT))
    return firm


@pytest.mark.parametrize(
    ("day", "invoice", "reacted"),
    [
        (9, "I1", 1),
        (11, None, 1),
        (11.5, "I1", 0),
        (9, "I2", 0),
    ],
)
def test_a_payment_of_what_was_asked_for_soon_after_is_a_reaction(day: float, invoice: str | None, reacted: int) -> None:
    build = Events()
    firm = reminded(build)
    firm.feed(build.paid(day, invoice=invoice, minor=40_000))
    firm.feed(build.paid(day + 0.1, "P2", invoice=invoice, minor=10_000))
    (row,) = state_of(firm).person.reactions
    assert (row.sent, row.reacted) == (1, reacted), "a message counts once, however often they pay upon it"


def test_a_card_tells_the_hour_a_bank_does_not_and_a_reply_is_not_counted_again_when_they_pay() -> None:
    for method, counted in ((PaymentMethod.CARD, 1), (PaymentMethod.WIRE, 0)):
        build = Events()
        firm = reminded(build)
        firm.feed(build.paid(9, method=method))
        assert sum(count > 0 for count in state_of(firm).care.answers) == counted
    build = Events()
    firm = reminded(build)
    firm.feed(build.reported(8.2, firm.triggers[0].trigger_id, DeliveryOutcome.REPLIED))
    firm.feed(build.paid(9))
    (row,) = state_of(firm).person.reactions
    assert (row.sent, row.reacted) == (1, 1)


def test_a_mail_that_was_delivered_or_opened_says_nothing_about_hour_or_channel() -> None:
    build = Events()
    firm = reminded(build)
    firm.feed(build.reported(8.3, firm.triggers[0].trigger_id, DeliveryOutcome.DELIVERED))
    assert state_of(firm).care.answers == ()
    assert [row.reacted for row in state_of(firm).person.reactions] == [0]


def test_a_channel_is_learnt_when_both_were_tried_and_what_people_say_beats_it() -> None:
    build = Events()
    outcomes = [DeliveryOutcome.SENT, DeliveryOutcome.REPLIED]
    plain = final([build.profiled(0, phone="+493090182000")])
    tried = told(plain, build, *[DeliveryOutcome.SENT] * 8)
    state = told(tried, build, *outcomes * 6, channel="sms")

    def way(state: ClientState, *, purpose: Purpose = Purpose.SERVICING, wish: str | None = None) -> tuple[str, tuple[str, ...]]:
        return way_to(state, WIDE, channel="email", purpose=purpose, at_ms=ms(9), wish=wish)

    assert reaction_rate(state, "sms") > reaction_rate(state, "email") + 0.3
    assert way(state) == ("sms", ("they react to sms clearly more than to email",))
    assert way(told(tried, build, *outcomes * 2, channel="sms"))[0] == "email", "two messages are an accident"
    assert way(told(plain, build, *outcomes * 6, channel="sms"))[0] == "email", "mail was never tried"
    assert way(state, purpose=Purpose.RELATIONSHIP)[0] == "email", "a phone buzzes for open work alone"
    assert way(state, wish="")[0] == "email", "somebody with more say has chosen"
    wish = build.profiled(1, phone="+493090182000").model_copy(update={"channel": "email"})
    asked = final([wish])
    both = told(told(asked, build, *[DeliveryOutcome.SENT] * 8), build, *outcomes * 6, channel="sms")
    assert way(both)[0] == "email", "the client has said so"


def test_a_manager_s_channel_beats_what_was_learnt() -> None:
    build = Events()
    log: list[AnyClientEvent] = [
        build.profiled(0, phone="+493090182000"),
        build.override(0.5, OverrideEffect.CHANNEL, until=90, value="email"),
        build.issued(1, "I1", due=DUE),
    ]
    firm = Firm(policy=WIDE).run(log[:2], until_ms=ms(0.8))
    state = told(state_of(firm), build, *[DeliveryOutcome.SENT] * 8)
    firm.state = told(state, build, *[DeliveryOutcome.SENT, DeliveryOutcome.REPLIED] * 6, channel="sms")
    firm.run(log[2:], until_ms=ms(12))
    assert {row.channel for row in firm.triggers} == {"email"}


DUE = 4


WINDOWS = st.tuples(st.integers(0, 22), st.integers(1, 23)).map(
    lambda row: Window(time(min(row)), time(max(row) + (row[0] == row[1])))
)


@given(WINDOWS, WINDOWS | st.none(), st.integers(0, 2 * 365 * 24), ZONES)
def test_a_channel_has_hours_of_its_own_and_nobody_is_texted_or_called_before_eight_or_after_nine(
    general: Window, own: Window | None, at: int, zone: str
) -> None:
    windows = {} if own is None else {"sms": own, "phone": own, "portal": own}
    policy, state = with_policy(DEFAULT_POLICY, window=general, channel_windows=windows), client(zone=zone)
    for channel in ("sms", "phone", "portal", "email"):
        clock = moment(policy.open_hour(state, ms(at / 24), channel)).astimezone(ZoneInfo(zone)).time()
        welcome = own if own is not None and channel != "email" else general
        if channel in {"sms", "phone"}:
            assert time(8) <= clock < time(21)
            welcome = welcome if welcome.opens < time(21) and welcome.closes > time(8) else Window(time(8), time(21))
        assert welcome.opens <= clock < welcome.closes


def test_a_text_leaves_in_the_hours_of_texts_and_a_worker_keeps_it_until_then() -> None:
    policy = with_policy(DEFAULT_POLICY, channel_windows={"sms": Window(time(14), time(16))})
    build = Events()
    profile = build.profiled(0, phone="+3531234567", timezone="Europe/Berlin").model_copy(update={"channel": "sms"})
    log: list[AnyClientEvent] = [profile, build.issued(1, "I1", due=3)]
    firm = Firm(policy=with_policy(policy, fallback_channels=("sms",))).run(log, until_ms=ms(20))
    text = next(row for row in firm.triggers if row.channel == "sms")
    assert text.not_before.astimezone(BERLIN).hour == 14
    late = epoch_ms(text.not_before) + 3 * HOUR_MS
    held = may_leave(final(log), known_as(final(log), text), now_ms=late, policy=policy)
    assert held.code == "hours"
    assert moment(held.until_ms).astimezone(BERLIN).hour == 14
