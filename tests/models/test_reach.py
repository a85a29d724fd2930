"""Fallback with one lineage, rests after soft bounces, complaints by purpose, and the channel that the client reacts to."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.signals import DeliveryOutcome, DeliveryReported, OverrideEffect, Purpose, Role
from models.events.union import AnyClientEvent
from models.policy.gate import refusal
from models.policy.policy import DEFAULT_POLICY, Policy
from models.policy.reach import SOFT_BOUNCES, heard, reaction_rate, rest_of, way_to
from models.state.client import ClientState
from models.state.describe import describe
from models.triggers import Retraction, Trigger
from models.workdays import DAY_MS, moment
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm
from tests.models.test_outcomes import state_of
from tests.models.views import final

DUE = 3
WIDE = replace(DEFAULT_POLICY, fallback_channels=("sms", "portal"))


def overdue(build: Events, *, phone: str | None = "+493090182000") -> Firm:
    log: list[AnyClientEvent] = [build.profiled(0, phone=phone), build.issued(0, "I1", due=DUE)]
    return Firm(policy=WIDE).run(log, until_ms=ms(8))


def told(state: ClientState, build: Events, *outcomes: DeliveryOutcome, channel: str = "email", day: float = 8) -> ClientState:
    for outcome in outcomes:
        state = heard(state, build.reported(day, "t", outcome, channel=channel))
    return state


def test_a_hard_bounce_leads_to_the_next_channel_at_once_with_the_same_lineage_and_no_second_contact() -> None:
    build = Events()
    firm = overdue(build)
    (first,) = firm.triggers
    firm.feed(build.reported(8, first.trigger_id, DeliveryOutcome.BOUNCED_HARD))
    second = firm.triggers[1]
    assert (first.channel, second.channel, second.step) == ("email", "sms", first.step)
    assert second.lineage == first.lineage
    assert second.trigger_id != first.trigger_id
    assert "the e-mail address does not exist, so sms is used" in second.reasons
    assert state_of(firm).care.contacts == (), "what bounced was no contact: its place in the budget is free again"
    firm.feed(build.reported(8.1, second.trigger_id, DeliveryOutcome.SENT, channel="sms"))
    assert len(state_of(firm).care.contacts) == 1


def test_the_person_comes_last_when_every_channel_has_failed() -> None:
    build = Events()
    firm = overdue(build)
    for channel in ("email", "sms"):
        firm.feed(build.reported(8, firm.triggers[-1].trigger_id, DeliveryOutcome.BOUNCED_HARD, channel=channel))
    assert [trigger.channel for trigger in firm.triggers] == ["email", "sms", "portal"]
    assert len({trigger.lineage for trigger in firm.triggers}) == 1


def test_a_soft_bounce_lets_the_address_rest_and_a_mail_that_arrives_ends_the_rest() -> None:
    build = Events()
    state = final([build.profiled(0)])
    for times in range(1, SOFT_BOUNCES):
        state = told(state, build, DeliveryOutcome.BOUNCED_SOFT)
        assert rest_of(state, "email", ms(8)) == ms(8) + min(7, 2 ** (times - 1)) * DAY_MS
    assert refusal(state, Purpose.SERVICING, "email") is None, "it is no opt-out"
    assert rest_of(told(state, build, DeliveryOutcome.SENT), "email", ms(8)) == 0
    assert refusal(told(state, build, DeliveryOutcome.BOUNCED_SOFT), Purpose.SERVICING, "email") == "email is suppressed (hard)"


def test_without_another_channel_a_message_waits_for_the_end_of_the_rest() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(0, "I1", due=DUE)], until_ms=ms(8))
    firm.feed(build.reported(8, firm.triggers[0].trigger_id, DeliveryOutcome.BOUNCED_SOFT))
    firm.wake(ms(8.9))
    assert len(firm.triggers) == 1
    firm.wake(ms(10.5))
    assert [trigger.channel for trigger in firm.triggers] == ["email", "email"]


def wished(build: Events, day: float, channel: str) -> AnyClientEvent:
    return build.profiled(day, phone="+493090182000").model_copy(update={"channel": channel})


def test_a_wish_for_another_channel_holds_for_what_was_decided_and_has_not_left_yet_too() -> None:
    build = Events()
    firm = overdue(build)
    (first,) = firm.triggers
    firm.feed(wished(build, 8, "sms"))
    second = firm.triggers[1]
    (back,) = (row for row in firm.outputs if isinstance(row, Retraction))
    assert (back.trigger_id, back.reasons) == (first.trigger_id, ("the client asked to be reached by sms",))
    assert (second.step, second.channel, second.lineage) == (first.step, "sms", first.lineage)
    firm.feed(wished(build, 8.1, "sms"))
    assert len(firm.triggers) == 2, "said twice it is one wish"
    firm.feed(build.reported(8.2, first.trigger_id, DeliveryOutcome.TOO_LATE))
    firm.wake(ms(12))
    assert len(firm.triggers) == 2, "the mail was gone already: it is not said by text as well"
    assert second.trigger_id in {row.trigger_id for row in firm.outputs if isinstance(row, Retraction)}


@pytest.mark.parametrize("channel", ["email", "webhook"])
def test_a_wish_for_the_same_channel_or_one_that_the_policy_has_not_takes_nothing_back(channel: str) -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(wished(build, 8, channel))
    assert [row.channel for row in firm.triggers] == ["email"]
    assert not any(isinstance(row, Retraction) for row in firm.outputs)


def test_a_wish_takes_nothing_back_that_has_expired_unheard() -> None:
    build = Events()
    firm = overdue(build)
    firm.wake(ms(14))
    assert state_of(firm).care.pending[0].expires_ms < ms(14)
    firm.feed(wished(build, 14, "sms"))
    assert [row.channel for row in firm.triggers] == ["email"]


def test_a_wish_takes_nothing_back_that_a_manager_sends_by_another_channel() -> None:
    build = Events()
    chosen = build.override(0.5, OverrideEffect.CHANNEL, until=90, value="portal")
    log: list[AnyClientEvent] = [build.profiled(0), build.issued(0, "I1", due=DUE), chosen]
    firm = Firm(policy=WIDE).run(log, until_ms=ms(8))
    firm.feed(wished(build, 8, "sms"))
    assert [row.channel for row in firm.triggers] == ["portal"]


@pytest.mark.parametrize("purpose", [Purpose.SERVICING, None])
def test_a_complaint_holds_for_its_purpose_or_for_all_where_none_is_named(purpose: Purpose | None) -> None:
    build = Events()
    event = build.reported(8, "t", DeliveryOutcome.COMPLAINED)
    state = heard(final([build.profiled(0)]), event.model_copy(update={"purpose": purpose}))
    assert refusal(state, Purpose.SERVICING, "email") == "email is suppressed (complaint)"
    assert (refusal(state, Purpose.RELATIONSHIP, "email") is None) == (purpose is Purpose.SERVICING)


def test_an_address_that_does_not_exist_is_tried_again_when_the_client_later_asks_for_the_channel_by_name() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0, phone="+493090182000")]

    def shut(*words: AnyClientEvent, day: float = 8) -> bool:
        state = told(final([*log, *words]), build, DeliveryOutcome.BOUNCED_HARD, day=day)
        found, why = way_to(state, WIDE, channel="email", purpose=Purpose.SERVICING, at_ms=ms(12))
        refused = refusal(state, Purpose.SERVICING, "email")
        assert (refused is None) == (found == "email"), "the gate and the choice of the channel agree"
        assert refused in {None, "email is suppressed (hard)"}
        assert why == (("the e-mail address does not exist, so sms is used",) if refused else ())
        return refused is not None

    asked = build.consent(9, Purpose.RELATIONSHIP, granted=True, channel="email")
    assert not shut(asked)
    assert shut()
    assert shut(asked, day=10), "what was said before the bounce says nothing about the address"
    assert shut(build.consent(9, granted=True)), "a yes to contact is none to this address"
    assert shut(build.consent(9, granted=True, channel="sms"))


def test_people_read_which_channel_is_shut_since_when_and_until_when_or_until_what() -> None:
    build = Events()

    def said(state: ClientState) -> list[str]:
        return [line for line in describe(state) if "email" in line]

    known = final([build.profiled(0)])
    assert said(told(known, build, DeliveryOutcome.BOUNCED_HARD)) == [
        "email is suppressed since 2024-01-16: the address does not exist; until there is a new one or the client asks for email"
    ]
    (wrong,) = said(told(known, build, DeliveryOutcome.WRONG_CONTACT))
    assert wrong.startswith(
        "email is suppressed since 2024-01-16: the address reaches the wrong person; until there is a new one"
    )
    assert said(told(known, build, DeliveryOutcome.BOUNCED_SOFT)) == ["email rests until 2024-01-17: soft bounces (1 in a row)"]
    complaint = build.reported(8, "t", DeliveryOutcome.COMPLAINED).model_copy(update={"purpose": Purpose.PROMOTION})
    assert said(heard(known, complaint)) == [
        "email is suppressed for promotion contact since 2024-01-16: a complaint; until the client allows that again"
    ]
    word = build.consent(9, Purpose.PROMOTION, granted=True, channel="email")
    assert said(heard(final([build.profiled(0), word]), complaint)) == ["allows promotion contact by email since 2024-01-17"]
    assert said(told(final([build.profiled(0), word]), build, DeliveryOutcome.BOUNCED_HARD)) == said(
        heard(final([build.profiled(0), word]), complaint)
    )
    refused = final([build.profiled(0), build.consent(1, Purpose.PROMOTION, channel="email")])
    assert said(refused) == ["refuses promotion contact by email since 2024-01-09: until the client says otherwise"]


def test_whoever_refused_mails_is_not_written_to_by_text_message_instead() -> None:
    build = Events()
    firm = Firm(policy=WIDE)
    firm.run([build.profiled(0, phone="+493090182000"), build.consent(0, channel="email"), build.issued(0, "I1", due=DUE)])
    firm.wake(ms(30))
    assert firm.triggers == []


def test_what_the_client_asked_for_beats_what_was_learnt_and_never_a_refusal_or_a_policy() -> None:
    build = Events()
    wish = build.profiled(0, phone="+493090182000")
    asked = wish.model_validate({**wish.model_dump(), "channel": "sms"})
    state = told(final([asked]), build, DeliveryOutcome.SENT, DeliveryOutcome.REPLIED)

    def way(state: ClientState, purpose: Purpose = Purpose.SERVICING, policy: Policy = WIDE) -> str:
        return way_to(state, policy, channel="email", purpose=purpose, at_ms=ms(9))[0]

    assert reaction_rate(state, "email") > reaction_rate(state, "sms")
    assert way(state) == "sms"
    assert way(state, Purpose.RELATIONSHIP) == "email", "a phone buzzes for open work alone"
    assert way(state, policy=DEFAULT_POLICY) == "email", "the firm does not write texts"
    assert way(told(state, build, DeliveryOutcome.BOUNCED_HARD, channel="sms")) == "email"
    refused = final([asked, build.consent(1, channel="sms")])
    assert way(refused) == "email"


def test_of_several_channels_the_one_the_client_reacts_to_is_used() -> None:
    build = Events()
    state = final([build.profiled(0, email=None, phone="+493090182000")])
    assert way_to(state, WIDE, channel="email", purpose=Purpose.SERVICING, at_ms=ms(8))[0] == "sms"
    state = told(state, build, DeliveryOutcome.SENT, DeliveryOutcome.DELIVERED, channel="portal")
    state = told(state, build, DeliveryOutcome.SENT, DeliveryOutcome.DELIVERED, channel="sms")
    found, _ = way_to(state, WIDE, channel="email", purpose=Purpose.SERVICING, at_ms=ms(8))
    assert found == "portal", "a text that was delivered was not read by that"


def test_a_text_message_is_for_open_work_only() -> None:
    state = final([Events().profiled(0, email=None, phone="+493090182000")])
    found, _ = way_to(state, WIDE, channel="email", purpose=Purpose.RELATIONSHIP, at_ms=ms(8))
    assert found == "portal"


@given(outcomes=st.lists(st.sampled_from(list(DeliveryOutcome)), max_size=200))
def test_whatever_is_reported_the_counts_stay_small_and_the_rate_is_a_share(outcomes: list[DeliveryOutcome]) -> None:
    build = Events()
    state = told(final([build.profiled(0)]), build, *outcomes)
    assert all(0 <= row.reacted <= row.sent <= 64 for row in state.person.reactions)
    assert 0 < reaction_rate(state, "email") < 1
    assert len(state.person.rests) <= 1


def test_an_outcome_that_says_nothing_about_the_channel_leaves_the_state_as_it_is() -> None:
    build = Events()
    state = final([build.profiled(0)])
    expired: DeliveryReported = build.reported(8, "t", DeliveryOutcome.EXPIRED)
    assert heard(state, expired) is state


def bounced_later(build: Events, firm: Firm, day: float = 8.2) -> None:
    """Report the last message as taken by the server, and a while later as bounced: nobody has that address."""
    last = firm.triggers[-1]
    firm.feed(build.reported(day - 0.1, last.trigger_id, DeliveryOutcome.SENT, channel=last.channel))
    firm.feed(build.reported(day, last.trigger_id, DeliveryOutcome.BOUNCED_HARD, channel=last.channel))


def test_a_bounce_after_the_server_took_the_mail_gives_the_contact_back_and_goes_on_with_the_same_lineage() -> None:
    build = Events()
    issued = build.issued(0, "I1", due=DUE), build.issued(0.1, "I2", due=DUE)
    firm = Firm(policy=WIDE).run([build.profiled(0, phone="+493090182000"), *issued], until_ms=ms(8))
    bounced_later(build, firm)
    first, second = firm.triggers
    assert (first.channel, second.channel, second.step) == ("email", "sms", first.step)
    assert second.lineage == first.lineage
    assert second.invoice_ids == first.invoice_ids == ("I1", "I2")
    assert state_of(firm).care.contacts == ()
    assert {run.stage for run in state_of(firm).care.runs} == {1}


def test_news_of_a_step_that_others_have_followed_changes_no_step() -> None:
    build = Events()
    firm = overdue(build)
    first = firm.triggers[0]
    firm.feed(build.reported(8.1, first.trigger_id, DeliveryOutcome.SENT))
    firm.wake(ms(25))
    second = firm.triggers[1]
    firm.feed(build.reported(25, second.trigger_id, DeliveryOutcome.SENT))
    firm.feed(build.reported(25.1, first.trigger_id, DeliveryOutcome.BOUNCED_SOFT))
    assert [run.stage for run in state_of(firm).care.runs] == [2]
    assert len(state_of(firm).care.contacts) == 2


def test_the_same_bounce_told_by_two_sources_moves_a_step_back_once() -> None:
    build = Events()
    firm = overdue(build, phone=None)
    bounced_later(build, firm)
    first = firm.triggers[0]
    stages = [run.stage for run in state_of(firm).care.runs]
    firm.feed(build.reported(8.3, first.trigger_id, DeliveryOutcome.BOUNCED_HARD))
    assert [run.stage for run in state_of(firm).care.runs] == stages


def people(build: Events, **emails: str) -> AnyClientEvent:
    known = build.profiled(0, phone="+493090182000")
    rows = [{"role": role, "name": role.title(), "email": email} for role, email in emails.items()]
    return known.model_validate({**known.model_dump(), "colleagues": rows})


def test_when_the_payers_address_is_wrong_the_next_person_is_asked_then_the_profile_then_another_channel() -> None:
    build = Events()
    known = people(build, accounts_payable="ap@client.example", finance_lead="cfo@client.example")
    firm = Firm(policy=WIDE).run([known, build.issued(0, "I1", due=DUE)], until_ms=ms(8))
    for step in range(4):
        bounced_later(build, firm, 8.2 + step)
        firm.wake(ms(8.8 + step))
    seen = [(row.channel, None if row.audience is None else row.audience.value) for row in firm.triggers]
    assert seen == [
        ("email", "accounts_payable"),
        ("email", "finance_lead"),
        ("email", None),
        ("sms", "accounts_payable"),
        ("portal", "accounts_payable"),
    ]
    assert len({row.lineage for row in firm.triggers}) == 1
    assert state_of(firm).care.contacts == ()
    assert {row.role for row in state_of(firm).person.suppressions} == {"accounts_payable", "finance_lead", ""}, (
        "of the profile both address and number"
    )


def test_a_new_address_of_a_person_or_a_new_number_lifts_what_was_known_of_the_old_one() -> None:
    build = Events()
    known = people(build, accounts_payable="ap@client.example")
    firm = Firm(policy=WIDE).run([known, build.issued(0, "I1", due=DUE)], until_ms=ms(8))
    bounced_later(build, firm)
    assert refusal(state_of(firm), Purpose.SERVICING, "email") is None, "others at the client still get mails"
    moved = known.model_validate(
        {
            **known.model_dump(),
            "event_id": "moved",
            "occurred_at": build.called(9).occurred_at,
            "received_at": build.called(9).received_at,
            "colleagues": [{"role": "accounts_payable", "name": "Bo", "email": "new@client.example"}],
        }
    )
    firm.feed(moved)
    assert state_of(firm).person.suppressions == ()
    state = heard(state_of(firm), build.reported(9.5, "t", DeliveryOutcome.BOUNCED_HARD, channel="sms"))
    renumbered = Firm(policy=WIDE)
    renumbered.state = state
    renumbered.feed(build.profiled(10, phone="+493090182111"))
    assert state_of(renumbered).person.suppressions == ()


def test_a_person_with_an_address_is_reached_though_the_profile_has_none() -> None:
    build = Events()
    bare = build.profiled(0, email=None)
    known = bare.model_validate({**bare.model_dump(), "colleagues": [{"role": "accounts_payable", "email": "ap@c.example"}]})
    firm = Firm().run([known, build.issued(0, "I1", due=DUE)], until_ms=ms(8))
    assert [trigger.channel for trigger in firm.triggers] == ["email"]


@pytest.mark.parametrize("journey", ["support", "onboarding"])
def test_a_complaint_that_names_no_purpose_holds_for_that_of_its_message(journey: str) -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0), build.issued(0, "I1", due=DUE)]
    if journey == "onboarding":
        log.append(build.paid(1))
    firm = Firm().run(log, until_ms=ms(8))
    (trigger,) = firm.triggers
    firm.feed(build.reported(8.1, trigger.trigger_id, DeliveryOutcome.SENT))
    firm.feed(build.reported(8.2, trigger.trigger_id, DeliveryOutcome.COMPLAINED))
    state = state_of(firm)
    assert refusal(state, trigger.purpose, "email") == "email is suppressed (complaint)"
    other = Purpose.RELATIONSHIP if trigger.purpose is Purpose.SERVICING else Purpose.SERVICING
    assert refusal(state, other, "email") is None


def test_a_complaint_about_a_message_whose_step_is_due_anew_since_still_holds_for_its_purpose_alone() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0), build.issued(0, "I1", due=DUE)]
    firm = Firm().run(log, until_ms=ms(8))
    (trigger,) = firm.triggers
    firm.feed(build.reported(8.1, trigger.trigger_id, DeliveryOutcome.SENT))
    firm.feed(build.promised(8.2, by=9))
    firm.wake(ms(20))
    (again,) = [row for row in firm.triggers if row.step == trigger.step and row is not trigger]
    firm.feed(build.reported(20.1, again.trigger_id, DeliveryOutcome.SENT))
    firm.feed(build.reported(20.2, trigger.trigger_id, DeliveryOutcome.COMPLAINED))
    assert refusal(state_of(firm), Purpose.SERVICING, "email") == "email is suppressed (complaint)"
    assert refusal(state_of(firm), Purpose.RELATIONSHIP, "email") is None


def not_me(build: Events, day: float, message: Trigger) -> DeliveryReported:
    """Return what the click behind a link of `message` says."""
    said = build.reported(day, message.trigger_id, DeliveryOutcome.WRONG_CONTACT)
    return said.model_copy(update={"event_id": f"not-me-{day}", "role": message.audience})


def test_who_is_the_wrong_person_is_written_to_no_more_and_the_next_one_is_at_once() -> None:
    build = Events()
    known = people(build, accounts_payable="ap@client.example", finance_lead="cfo@client.example")
    firm = Firm(policy=WIDE).run([known, build.issued(0, "I1", due=DUE)], until_ms=ms(8))
    first = firm.triggers[0]
    firm.feed(build.reported(8.2, first.trigger_id, DeliveryOutcome.SENT))
    firm.feed(not_me(build, 8.3, first))
    firm.wake(ms(8.8))
    assert [(row.channel, row.audience) for row in firm.triggers] == [
        ("email", Role.ACCOUNTS_PAYABLE),
        ("email", Role.FINANCE_LEAD),
    ]
    assert [(row.cause, row.role) for row in state_of(firm).person.suppressions] == [("wrong_contact", "accounts_payable")]
    moved = people(build, accounts_payable="new@client.example", finance_lead="cfo@client.example")
    later = ms(9)
    firm.feed(moved.model_copy(update={"event_id": "p2", "occurred_at": moment(later), "received_at": moment(later)}))
    assert state_of(firm).person.suppressions == (), "another address is another person"


def test_a_click_of_the_wrong_person_is_about_nobody_but_them_however_late_and_often_it_comes() -> None:
    build = Events()
    known = people(build, accounts_payable="ap@client.example", finance_lead="cfo@client.example")
    firm = Firm(policy=WIDE).run([known, build.issued(0, "I1", due=DUE)], until_ms=ms(8))
    first = firm.triggers[0]
    firm.feed(build.reported(8.2, first.trigger_id, DeliveryOutcome.SENT))
    firm.feed(not_me(build, 8.3, first))
    firm.feed(not_me(build, 8.4, first))
    firm.feed(build.paid(9, "P1", 100_000, "I1"))
    firm.wake(ms(150))
    firm.feed(not_me(build, 151, first))
    assert {(row.cause, row.role) for row in state_of(firm).person.suppressions} == {("wrong_contact", "accounts_payable")}


def test_a_click_of_somebody_who_is_no_contact_any_more_closes_no_address() -> None:
    build = Events()
    firm = overdue(build)
    stranger = not_me(build, 8.3, firm.triggers[0]).model_copy(update={"role": Role.PARTNER})
    firm.feed(stranger)
    assert state_of(firm).person.suppressions == ()


def test_nobody_writes_to_the_wrong_persons_address_when_it_is_the_only_one_and_a_colleague_is_asked() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0, phone=None), build.issued(0, "I1", due=DUE)], until_ms=ms(8))
    firm.feed(build.reported(8.3, firm.triggers[0].trigger_id, DeliveryOutcome.WRONG_CONTACT))
    firm.wake(ms(10))
    assert firm.triggers[-1].channel == "task"
    assert any("reaches somebody else" in reason for reason in firm.triggers[-1].reasons)
