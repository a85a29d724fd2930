"""A complaint and a bounce are about an address: they hold for every client that has it, for as long as it does."""

from dataclasses import replace

import pytest

from models.addresses import digest_of, email_digest, phone_digest
from models.events.signals import AddressRefused, ConsentChanged, DeliveryOutcome, Purpose, Role
from models.events.union import AnyClientEvent
from models.policy.gate import refusal
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.state.describe import describe
from models.state.person import HARD, READER
from models.triggers import Retraction
from tests.models.builders import Events, ms, on
from tests.models.test_journey_laws import Firm
from tests.models.test_merging import Firm as Partitions
from tests.models.test_outcomes import state_of
from tests.models.test_reach import people
from tests.models.views import final

WIDE = replace(DEFAULT_POLICY, fallback_channels=("sms", "portal"))
SHARED = "ada@client.example"
COMPLAINED, BOUNCED = DeliveryOutcome.COMPLAINED, DeliveryOutcome.BOUNCED_HARD


def refused(
    day: float,
    because: DeliveryOutcome = COMPLAINED,
    *,
    email: str = SHARED,
    purpose: Purpose | None = Purpose.SERVICING,
    client: str = "client-1",
) -> AddressRefused:
    """Return what a message to another client met at this address."""
    return AddressRefused.model_validate(
        {
            "event_id": f"refused-{day}",
            "source": "receipts",
            "client_id": client,
            "occurred_at": on(day),
            "received_at": on(day),
            "channel": "email",
            "address": email_digest(email),
            "because": because,
            "purpose": purpose,
        }
    )


def causes(state: ClientState) -> list[tuple[str, str]]:
    return [(row.cause, row.role) for row in state.person.suppressions]


def overdue(build: Events, known: AnyClientEvent) -> Firm:
    return Firm(policy=WIDE).run([known, build.issued(0, "I1", due=3)])


@pytest.mark.parametrize("because", [COMPLAINED, BOUNCED])
def test_who_complained_as_the_reader_of_another_client_is_not_written_to_for_this_one(because: DeliveryOutcome) -> None:
    build = Events()
    firm = overdue(build, build.profiled(0, phone="+493090182000"))
    firm.feed(refused(2, because))
    firm.wake(ms(8))
    (message,) = firm.triggers
    assert message.channel == "sms"
    assert any("so sms is used" in reason for reason in message.reasons)


def test_without_another_way_a_colleague_is_asked() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(0, "I1", due=3), refused(2)], until_ms=ms(8))
    assert [row.channel for row in firm.triggers] == ["task"]


def test_a_complaint_is_about_mails_like_that_one_and_one_that_names_none_about_all() -> None:
    build = Events()
    other = final([build.profiled(0), refused(1, purpose=Purpose.PROMOTION)])
    assert refusal(other, Purpose.PROMOTION, "email") == "email is suppressed (reader_complained)"
    assert refusal(other, Purpose.SERVICING, "email") is None
    every = final([build.profiled(0), refused(1, purpose=None)])
    assert all(refusal(every, purpose, "email") for purpose in Purpose)
    firm = overdue(build, build.profiled(0))
    firm.feed(refused(2, purpose=Purpose.PROMOTION))
    firm.wake(ms(8))
    assert [row.channel for row in firm.triggers] == ["email"]


def test_of_a_person_known_by_their_role_the_next_person_is_written_to_and_only_about_that() -> None:
    build = Events()
    known = people(build, accounts_payable="ap@client.example", finance_lead="cfo@client.example")
    firm = overdue(build, known)
    firm.feed(refused(2, email="AP@Client.example "))
    assert causes(state_of(firm)) == [(READER, "accounts_payable")]
    firm.wake(ms(8))
    assert [(row.channel, row.audience) for row in firm.triggers] == [("email", Role.FINANCE_LEAD)]
    assert any("for servicing contact for the accounts payable" in line for line in describe(state_of(firm)))
    offers = overdue(build, known)
    offers.feed(refused(2, email="ap@client.example", purpose=Purpose.PROMOTION))
    offers.wake(ms(8))
    assert [row.audience for row in offers.triggers] == [Role.ACCOUNTS_PAYABLE]


def test_an_address_that_the_client_does_not_have_any_more_or_never_had_says_nothing() -> None:
    build = Events()
    log: list[AnyClientEvent] = [
        build.profiled(0),
        build.profiled(1, email="new@client.example"),
        refused(2),
        refused(3, BOUNCED),
    ]
    assert causes(final(log)) == []


def test_it_ends_with_another_address_and_a_complaint_with_the_clients_own_word_about_that_purpose() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0), refused(1), refused(1.5, BOUNCED)]
    assert causes(final(log)) == [(READER, ""), (HARD, "")]
    assert causes(final([*log, build.profiled(2, email="new@client.example")])) == []
    asked: list[AnyClientEvent] = [
        build.profiled(0),
        refused(1),
        build.consent(2, Purpose.RELATIONSHIP, granted=True, channel="email"),
    ]
    assert refusal(final(asked), Purpose.SERVICING, "email") is not None
    again = [*asked, build.consent(3, Purpose.SERVICING, granted=True, channel="email")]
    assert refusal(final(again), Purpose.SERVICING, "email") is None


def test_what_waits_to_go_there_is_taken_back_and_goes_another_way_at_once() -> None:
    build = Events()
    firm = overdue(build, build.profiled(0, phone="+493090182000"))
    firm.wake(ms(8))
    (first,) = firm.triggers
    firm.feed(refused(8.1, purpose=Purpose.RELATIONSHIP))
    assert [row.channel for row in firm.triggers] == ["email"]
    firm.feed(refused(8.2))
    firm.wake(ms(13))
    (back,) = [row for row in firm.outputs if isinstance(row, Retraction)]
    assert back.trigger_id == first.trigger_id
    assert [(row.channel, row.step) for row in firm.triggers] == [("email", "explain_terms"), ("sms", "explain_terms")]


def test_what_goes_to_somebody_else_at_the_client_is_left_alone() -> None:
    build = Events()
    firm = overdue(build, people(build, accounts_payable="ap@client.example"))
    firm.wake(ms(8))
    firm.feed(refused(8.2))
    assert not [row for row in firm.outputs if isinstance(row, Retraction)]
    assert causes(state_of(firm)) == [(READER, "")]


def test_who_has_an_address_of_their_own_is_written_to_once_although_the_profile_s_does_not_exist() -> None:
    build = Events()
    firm = overdue(build, people(build, accounts_payable="ap@client.example"))
    firm.feed(refused(2, BOUNCED))
    firm.wake(ms(12))
    assert [(row.channel, row.audience) for row in firm.triggers] == [("email", Role.ACCOUNTS_PAYABLE)]
    assert not [row for row in firm.outputs if isinstance(row, Retraction)]


def test_a_bounce_at_an_address_that_was_replaced_meanwhile_leaves_the_new_one_open() -> None:
    build = Events()
    firm = overdue(build, build.profiled(0))
    firm.wake(ms(8))
    firm.feed(build.profiled(8.1, email="new@client.example"))
    bounced = build.reported(8.2, firm.triggers[0].trigger_id, BOUNCED)
    firm.feed(bounced.model_copy(update={"address": email_digest(SHARED)}))
    assert causes(state_of(firm)) == []
    assert [row.channel for row in firm.triggers] == ["email", "email"]


def test_a_bounce_closes_the_address_for_everybody_at_the_client_who_has_it() -> None:
    build = Events()
    firm = overdue(build, people(build, accounts_payable=SHARED, finance_lead="cfo@client.example"))
    firm.wake(ms(8))
    bounced = build.reported(8.2, firm.triggers[0].trigger_id, BOUNCED)
    firm.feed(bounced.model_copy(update={"address": email_digest(SHARED)}))
    assert causes(state_of(firm)) == [(HARD, ""), (HARD, "accounts_payable")]


def test_after_a_merge_it_counts_where_the_one_that_remains_has_the_address() -> None:
    told: list[AnyClientEvent] = [
        Events("a").profiled(0),
        Events("b").profiled(0.5, email="b@client.example").model_copy(update={"event_id": "b"}),
        Events("c").profiled(0.1).model_copy(update={"event_id": "c"}),
        Events("a").merged(1, "b", event_id="one"),
        Events("d").merged(1, "c", event_id="two"),
        refused(2, client="a"),
        refused(2, client="d"),
    ]
    firm = Partitions().tell(told).read()
    assert causes(firm.states["b"]) == []
    assert causes(firm.states["c"]) == [(READER, "")]


def test_a_forgotten_client_has_no_address() -> None:
    build = Events()
    assert causes(final([build.profiled(0), build.erased(1), refused(2)])) == []


def stop(build: Events, day: float, number: str | None) -> ConsentChanged:
    said = build.consent(day, Purpose.SERVICING, channel="sms")
    return said.model_copy(update={"address": number and phone_digest(number)})


def test_a_word_from_a_number_alone_is_none_of_a_client_that_has_another_by_now() -> None:
    build = Events()
    moved: list[AnyClientEvent] = [build.profiled(0, phone="+49 30 90182000"), build.profiled(1, phone="+49 40 12345678")]
    assert refusal(final([*moved, stop(build, 2, "030 901820-00")]), Purpose.SERVICING, "sms") is None
    assert refusal(final([*moved, stop(build, 2, "040 12345678")]), Purpose.SERVICING, "sms") is not None
    assert refusal(final([*moved, stop(build, 2, None)]), Purpose.SERVICING, "sms") is not None
    assert refusal(final([moved[0], stop(build, 0.5, "030 901820-00"), moved[1]]), Purpose.SERVICING, "sms") is not None


def test_a_word_of_one_of_the_people_at_a_client_is_one_of_the_client() -> None:
    build = Events()
    known = build.profiled(0)
    rows = [{"role": "partner", "phone": "+49 30 90182000"}]
    log: list[AnyClientEvent] = [
        known.model_validate({**known.model_dump(), "colleagues": rows}),
        stop(build, 1, "+493090182000"),
    ]
    assert refusal(final(log), Purpose.SERVICING, "sms") is not None


def test_a_digest_is_the_same_however_an_address_is_written_and_none_where_a_channel_has_no_addresses() -> None:
    assert email_digest(" Ada@Client.EXAMPLE") == email_digest(SHARED) != email_digest("bo@client.example")
    assert digest_of("sms", "+49 (30) 901 820 00") == digest_of("sms", "030/90182000") != ""
    assert (digest_of("portal", "client-1"), digest_of("email", ""), digest_of("sms", "110")) == ("", "", "")
