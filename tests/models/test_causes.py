"""Why money may be late: each sign in its place, the client's own words first; and that nothing but the help depends on it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.delays import DisputeReason
from models.events.payments import DeclineKind
from models.events.signals import DeliveryOutcome, Industry, Request
from models.events.union import AnyClientEvent
from models.policy.causes import Cause, Hypothesis, hypothesis, of_overdue
from models.policy.facts import ALLOWED_FACTS
from models.policy.policy import DEFAULT_POLICY, stamped
from models.triggers import Decision, Trigger
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import HORIZON, Firm, stories
from tests.models.test_outcomes import state_of

SILENT = stamped(replace(DEFAULT_POLICY, guess_causes=False))


def late(*more: AnyClientEvent, until: float = 40) -> Firm:
    """Return a firm whose client has one invoice of 1,000.00 EUR, due on day 20 and open, and of whom `more` is known."""
    build = Events()
    named = (event.model_copy(update={"event_id": f"more-{place}"}) for place, event in enumerate(more))
    story = sorted((build.profiled(0), build.issued(0.5, due=20), *named), key=lambda event: event.received_ms)
    return Firm().run(story, until_ms=ms(until))


def guess(*more: AnyClientEvent) -> Hypothesis:
    return hypothesis(state_of(late(*more)), {"I1"})


def past(days: tuple[float, ...], *, gap: float = 30) -> list[AnyClientEvent]:
    """Return earlier invoices, `gap` days apart, each paid so many days after due."""
    build, story = Events(), list[AnyClientEvent]()
    start = -gap * len(days) - 20
    for place, day in enumerate(days):
        name, at = f"old{place}", start + gap * place
        story.append(build.issued(at, name, due=at + 5))
        story.append(build.paid(at + 5 + day, f"p{place}", 100_000, name))
    return story


def test_without_a_sign_there_is_no_hypothesis() -> None:
    assert guess() == Hypothesis()
    assert guess().words == ()


def test_what_was_contested_is_spoken_of_first_and_a_missing_detail_is_their_process() -> None:
    build = Events()
    part = build.disputed(25, minor=10_000)
    assert guess(part).cause is Cause.DISPUTE
    assert guess(build.disputed(22), build.dispute_closed(24)).evidence == ("a dispute about invoice I1 ended on 2024-02-01",)
    detail = part.model_copy(update={"reason": DisputeReason.DETAILS})
    assert guess(detail).evidence == ("they miss a detail on it",)
    assert guess(detail).cause is Cause.PROCESS


def test_what_the_client_asked_for_counts_more_than_what_happened() -> None:
    build = Events()
    declined = build.failed(26)
    assert guess(declined).cause is Cause.METHOD
    assert guess(declined, build.asks(25)).words == (
        "probably cash is short: they asked for a plan or a later day on 2024-02-02 (also seen: an attempt to pay was declined)",
    )
    assert guess(declined, build.asks(25, Request.CONTACT)).cause is Cause.CONTACT


def test_a_card_that_was_refused_for_good_needs_another_and_money_ends_that() -> None:
    build = Events()
    refused = [build.failed(25, decline=DeclineKind.HARD), build.failed(26, "P2")]
    words = "an attempt to pay was declined for good on 2024-02-02: it takes another card or another way"
    assert guess(*refused).evidence == (words,)
    assert guess(*refused, build.paid(27, "P3", 1_000, None)).cause is not Cause.METHOD


def test_a_contact_that_was_changed_since_is_no_sign_any_more() -> None:
    build = Events()
    asked = build.asks(25, Request.CONTACT)
    assert guess(asked, build.profiled(26, email="ap@client.example")).cause is None


def test_an_address_that_does_not_exist_is_the_wrong_contact() -> None:
    build, firm = Events(), late(until=30)
    (trigger,) = firm.triggers
    firm.feed(build.reported(30.5, trigger.trigger_id, DeliveryOutcome.BOUNCED_HARD).model_copy(update={"event_id": "bounce"}))
    found = hypothesis(state_of(firm), {"I1"})
    assert (found.cause, found.evidence) == (Cause.CONTACT, ("the email address of the client does not exist",))


@pytest.mark.parametrize("outcome", [DeliveryOutcome.BOUNCED_HARD, DeliveryOutcome.WRONG_CONTACT])
def test_an_address_that_the_client_has_named_again_is_the_wrong_contact_no_more(outcome: DeliveryOutcome) -> None:
    build, firm = Events(), late(until=30)
    (trigger,) = firm.triggers
    firm.feed(build.reported(30.5, trigger.trigger_id, outcome).model_copy(update={"event_id": "bounce"}))
    assert hypothesis(state_of(firm), {"I1"}).cause is Cause.CONTACT
    firm.feed(build.consent(31, granted=True, channel="email").model_copy(update={"event_id": "lifted"}))
    assert hypothesis(state_of(firm), {"I1"}) == Hypothesis()


def test_a_broken_promise_and_a_part_payment_say_that_cash_is_short() -> None:
    build = Events()
    assert guess(build.promised(21, by=25)).evidence == ("the promise for 2024-02-02 was not kept",)
    assert guess(build.paid(25, "P9", 40_000)).evidence == ("a part of invoice I1 was paid",)
    assert guess(build.paid(25, "P9", 95_000)).cause is None  # the last tenth was cut short: that is another matter


def test_who_pays_alike_late_or_by_approvals_has_a_process_and_who_pays_on_time_forgot() -> None:
    assert guess(*past((12, 11, 13, 12, 12, 11))).cause is Cause.PROCESS
    assert guess(*past((1, 0, 2, 1, -3, 1), gap=37)).evidence == ("6 of the last 6 invoices were paid on time",)
    runs = past((24, 9) * 6, gap=15)  # bills twice a month, paid once
    assert "they pay in runs about every 30 days, and none has come since it was due" in guess(*runs).evidence
    assert guess(*past((1, 20, 2, 40, 9, 31), gap=37)).cause is None
    slow = Events().profiled(0.1).model_copy(update={"industry": Industry.SLOW_PROCESS})
    assert guess(slow).evidence == ("their industry pays by approvals",)


def test_the_message_and_its_decision_carry_the_hypothesis() -> None:
    firm = late(Events().failed(10), until=30)
    (trigger,) = firm.triggers
    assert trigger.facts["cause"] == "method"
    assert "probably the way of paying failed: an attempt to pay was declined" in trigger.reasons
    decision = next(row for row in firm.outputs if isinstance(row, Decision) and row.trigger_id == trigger.trigger_id)
    assert decision.reasons == trigger.reasons


def test_a_client_is_explained_by_what_is_overdue_and_not_by_what_is_paid_or_not_due_yet() -> None:
    build = Events()
    assert of_overdue(state_of(late(build.failed(26)))).cause is Cause.METHOD
    assert of_overdue(state_of(late(build.failed(10), until=15))) == Hypothesis()
    assert of_overdue(state_of(late(build.failed(26), build.paid(27, "P2", 100_000)))) == Hypothesis()


def test_only_servicing_may_state_it() -> None:
    assert [purpose.value for purpose, facts in ALLOWED_FACTS.items() if "cause" in facts] == ["servicing"]


def _without_it(firm: Firm) -> list[dict[str, object]]:
    """Return all outputs but for the hypothesis itself: whether, when, how firmly, by what, about what."""
    found = []
    for row in firm.outputs:
        said = row.model_dump(exclude={"policy_version", "facts", "reasons"})
        if isinstance(row, Trigger):
            said["facts"] = {name: value for name, value in row.facts.items() if name != "cause"}
        if isinstance(row, (Trigger, Decision)):
            said["reasons"] = [words for words in row.reasons if not words.startswith("probably ")]
        found.append(said)
    return found


@given(stories(), st.lists(st.tuples(st.integers(0, 90), st.sampled_from(Request)), max_size=3), st.booleans())
@settings(max_examples=20)
def test_a_hypothesis_changes_neither_whether_nor_when_nor_how_firmly_anybody_is_written_to(
    story: list[AnyClientEvent], asked: list[tuple[int, Request]], slow: bool
) -> None:
    build = Events()
    story += [
        build.asks(day + 1 / 7, request).model_copy(update={"event_id": f"ask{n}"}) for n, (day, request) in enumerate(asked)
    ]
    if slow:
        industry = {"industry": Industry.SLOW_PROCESS, "event_id": "slow"}
        story.append(build.profiled(0.2).model_copy(update=industry))
    story.sort(key=lambda event: (event.received_ms, event.event_id))
    guessing = Firm().run(story, until_ms=HORIZON)
    assert _without_it(guessing) == _without_it(Firm(policy=SILENT).run(story, until_ms=HORIZON))


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_words(cause: Cause) -> None:
    assert Hypothesis(cause, ("seen",)).words[0].startswith("probably ")
