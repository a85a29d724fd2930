"""What messages may offer: only what the table permits, always one way out; and what a client asks beyond it goes to a person."""

import re
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from handlers.channels.contract import Recipient
from models.events.signals import Request
from models.events.union import AnyClientEvent
from models.money import Money
from models.policy.causes import Cause
from models.policy.offer_document import OffersSection
from models.policy.offers import EVERY_WAY, IN_PARTS, Offers, Terms, Way
from models.policy.policy import DEFAULT_POLICY, Policy, stamped
from models.state.client import Segment
from tests.handlers.letters import LOCALES, TO_CLIENTS, WRITERS, variants
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm

ABOUT_MONEY = [step for name, step in TO_CLIENTS.items() if name.startswith("delayed_payment_support/")]
NAMED = {
    "plan_possible": r"(?i)(?<!will )\bplan\b|smaller p|ratenplan|kleinere|échéancier|petits"
    r"|más pequeños",
    "later_possible": r"(?i)another date|later d|date to one that|anderer tag|späterer|späteren|plus tardive|autre date"
    r"|posterior|otra fecha",
    "method_possible": r"(?i)another way to pay|card or direct|how it is paid|zahlungsart|karte oder|moyen de paiement"
    r"|la carte ou|forma de pago|tarjeta o dom",
    "contact_possible": r"(?i)another contact|somebody else|anderer ansprech|jemand anderes|jemand anderen|autre contact"
    r"|autre personne|otro contacto|otra persona",
}


def under(**terms: object) -> Policy:
    table = {segment: replace(Terms(), **terms) for segment in Segment}  # type: ignore[arg-type] # as Terms has them
    return stamped(replace(DEFAULT_POLICY, offers=Offers(MappingProxyType(table))))


@pytest.mark.parametrize("language", LOCALES)
@pytest.mark.parametrize("fact", NAMED)
def test_no_message_names_a_way_that_is_not_offered_to_its_reader(language: str, fact: str) -> None:
    reader = Recipient(name="Ada", locale=LOCALES[language])
    for journey, step in ABOUT_MONEY:
        if step.id in {"friendly_note", "explain_terms"} and fact == "method_possible":
            continue  # how one can pay at all stays said
        for name, trigger in variants(journey, step):
            withheld = trigger.model_copy(update={"facts": {**trigger.facts, fact: False}})
            for channel in ("email", "sms"):
                content = WRITERS[language].write(withheld.model_copy(update={"channel": channel}), reader)
                found = re.search(NAMED[fact], f"{content.subject}\n{content.text}")
                assert found is None, (name, channel, found)


def test_without_plans_a_split_is_named_and_without_both_neither() -> None:
    journey, step = TO_CLIENTS["delayed_payment_support/offer_help.gentle.j2"]
    ((_, trigger),) = variants(journey, step)
    said = [
        WRITERS["en"].write(trigger.model_copy(update={"facts": {**trigger.facts, **facts}}), Recipient(name="Ada")).text
        for facts in ({"plan_possible": False}, {"plan_possible": False, "split_possible": False})
    ]
    assert ["a part now, and the rest on a later day" in text for text in said] == [True, False]


def test_the_limits_of_the_table_are_in_the_help_for_who_is_short_of_cash() -> None:
    build = Events()
    story: list[AnyClientEvent] = [build.profiled(0), build.issued(0, due=10), build.paid(5, "P1", 20_000)]
    firm = Firm(policy=under(most_instalments=3, most_days=30)).run(story, until_ms=ms(16))
    (trigger,) = [row for row in firm.triggers if row.invoice_ids]
    assert (trigger.facts["cause"], trigger.facts["most_instalments"], trigger.facts["most_days"]) == ("cash", 3, 30)
    text = WRITERS["en"].write(trigger, Recipient(name="Ada")).text
    assert "- up to 3 smaller payments\n- a part now, and the rest on a later day\n- a later day, at most 30 days on" in text


def test_a_small_amount_is_not_offered_in_parts_and_a_cause_narrows_what_is_offered() -> None:
    offers = Offers({Segment.SLOW: Terms(least_units=500)}, {Cause.PROCESS: frozenset({Way.CONTACT})})
    assert offers.ways(Segment.SLOW, None, Money(49_999, "EUR")) == EVERY_WAY - IN_PARTS
    assert offers.ways(Segment.SLOW, None, Money(50_000, "EUR")) == EVERY_WAY
    assert offers.ways(Segment.SLOW, None, Money(499, "JPY")) == EVERY_WAY - IN_PARTS
    assert offers.ways(Segment.SLOW, Cause.PROCESS, Money(50_000, "EUR")) == {Way.CONTACT}


@given(
    ways=st.sets(st.sampled_from(Way), min_size=1),
    least=st.sampled_from((0, 500)),
    causes=st.dictionaries(st.sampled_from(Cause), st.sets(st.sampled_from(Way), min_size=1).map(tuple), max_size=2),
)
@settings(max_examples=60)
def test_a_table_that_is_accepted_leaves_a_way_out_of_every_message(
    ways: set[Way], least: int, causes: dict[Cause, tuple[Way, ...]]
) -> None:
    document: dict[str, object] = {"slow": {"ways": tuple(ways), "least_units": least}, "causes": causes}
    is_empty = any(not (ways & set(named) - (IN_PARTS if least else set())) for named in (EVERY_WAY, *causes.values()))
    if is_empty:
        with pytest.raises(ValidationError, match="would offer no way out"):
            OffersSection.model_validate(document)
        return
    offers = OffersSection.model_validate(document).offers()
    for cause in (None, *Cause):
        for minor in (1, 10_000_000):
            assert offers.ways(Segment.SLOW, cause, Money(minor, "EUR"))


def promised(build: Events, day: float, *, by: float, source: str = "link") -> Firm:
    promise = build.promised(day, by=by).model_copy(update={"source": source})
    story: list[AnyClientEvent] = [build.profiled(0), build.issued(0, due=20), promise]
    return Firm(policy=under(most_days=30)).run(story, until_ms=ms(48))


@pytest.mark.parametrize(("by", "asked"), [(49.0, 0), (52.0, 1)])
def test_a_promise_beyond_the_table_holds_and_a_person_is_asked(by: float, asked: int) -> None:
    firm = promised(Events(), 5, by=by)
    tasks = [row for row in firm.triggers if row.step == "answer_request"]
    assert [task.facts["request"] for task in tasks] == [Request.LATER.value] * asked
    assert all("30 are offered without asking. The promise holds meanwhile" in task.reasons[1] for task in tasks)
    assert [row for row in firm.triggers if row.channel == "email"] == [], "made before the due date, it defers the first message"


def test_what_a_colleague_has_agreed_to_asks_nobody_again() -> None:
    assert promised(Events(), 5, by=80, source="rapport").triggers == []


def test_who_is_asked_for_a_plan_is_told_what_may_be_agreed_at_once() -> None:
    build = Events()
    (task,) = Firm(policy=under(most_instalments=4, most_days=45)).run([build.profiled(0), build.asks(1)]).triggers
    assert "offered without asking: up to 4 instalments, up to 45 days later" in task.reasons
