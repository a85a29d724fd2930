"""Where two wishes pull in different directions, one test for how each was settled: the name is the settlement."""

from dataclasses import replace

import pytest

from models.events.signals import Colleague, OverrideEffect, Purpose, Role
from models.events.union import AnyClientEvent
from models.policy.audiences import Audience, Between, Figure
from models.policy.experiments import Arm, Experiment, drawn
from models.policy.facts import ALLOWED_FACTS, ForbiddenFactError, allowed_facts
from models.policy.policy import DEFAULT_POLICY, ApprovalRules, stamped
from models.policy.tones import FIRMNESS
from models.state.client import Segment
from models.triggers import Journey, Tone, Trigger
from streams.wire.topics import CHANNELS
from tests.models.builders import Events, ms
from tests.models.test_freshness import Learned
from tests.models.test_journey_laws import Firm
from tests.models.test_otherwise import book
from tests.models.test_unanswered import Delivering

WAYS_OUT = frozenset({"plan_possible", "later_possible", "split_possible", "contact_possible"})


def _support(firm: Firm) -> list[Trigger]:
    return [trigger for trigger in firm.triggers if trigger.journey is Journey.DELAY_SUPPORT]


def _people(build: Events, *roles: Role) -> AnyClientEvent:
    people = tuple(Colleague(role=role, name=role.value, email=f"{role.value}@client.example") for role in roles)
    return build.profiled(0.1).model_copy(update={"colleagues": people})


def test_1_servicing_names_the_invoice_to_who_pays_and_nothing_else_ever_does() -> None:
    build = Events()
    story: list[AnyClientEvent] = [
        build.profiled(0),
        _people(build, Role.PROJECT_MANAGER, Role.ACCOUNTS_PAYABLE),
        build.contract(0.5, renews=60),
    ]
    firm = Firm().run([*story, build.issued(1, due=10), build.paid(30)], until_ms=ms(70))
    exact = ALLOWED_FACTS[Purpose.SERVICING] - ALLOWED_FACTS[Purpose.RELATIONSHIP]
    assert {"invoice_numbers", "amount_open", "due_date", "days_overdue"} <= exact
    for trigger in firm.triggers:
        names = "invoice_numbers" in trigger.facts
        assert names is (trigger.purpose is Purpose.SERVICING)
        assert not names or trigger.audience in {Role.ACCOUNTS_PAYABLE, None}
    assert {trigger.purpose for trigger in firm.triggers} == {Purpose.SERVICING, Purpose.RELATIONSHIP}
    for purpose in (Purpose.RELATIONSHIP, Purpose.PROMOTION):
        for name in exact:
            with pytest.raises(ForbiddenFactError):
                allowed_facts(purpose, {name: "I1"})
    nobody = Firm().run([build.profiled(0), _people(Events(), Role.PROJECT_MANAGER), build.issued(1, due=10)], until_ms=ms(15))
    assert [trigger.audience for trigger in _support(nobody)] == [None]  # who manages a project is no payer


def test_2_firm_means_clear_dates_and_ways_out_after_a_person_has_asked_and_people_decide_how_it_ends() -> None:
    build = Events()
    problem = build.override(0.1, OverrideEffect.SEGMENT, value="problem", until=300)
    story: list[AnyClientEvent] = [build.profiled(0), problem, build.issued(1, due=10)]
    talked = Delivering(DEFAULT_POLICY).run([*story, build.called(16)])
    talked.wake(ms(90))
    first, *letters, end = _support(talked)
    assert (first.step, first.channel, end.step, end.channel) == ("personal_contact", "task", "ladder_end", "task")
    assert [letter.tone for letter in letters] == [Tone.FIRM, Tone.FIRM]
    for letter in letters:
        assert all(letter.facts[name] is True for name in WAYS_OUT)
        assert "due_date" in letter.facts
    nobody_asked = Delivering(DEFAULT_POLICY).run(story)
    nobody_asked.wake(ms(90))
    assert all(FIRMNESS[letter.tone] < FIRMNESS[Tone.FIRM] for letter in _support(nobody_asked))


@pytest.mark.parametrize("arm", [Arm("help", words="offer_help"), Arm("later", wait_days=4), Arm("text", channel="sms")])
def test_3_no_arm_of_an_experiment_leaves_anybody_without_a_notice_or_a_way_out(arm: Arm) -> None:
    tried = Experiment("tried", "it helps", Journey.DELAY_SUPPORT, "explain_terms", (Arm("as_is"), arm))
    policy = stamped(replace(DEFAULT_POLICY, experiments=(tried,)))
    drawn_to = {drawn(f"c{number}", tried, stratum="new/unknown").name: f"c{number}" for number in range(99)}
    names = [drawn_to[row.name] for row in tried.arms]
    told = []
    for name in names:
        build = Events(name)
        firm = Firm(policy=policy).run([build.profiled(0, phone="+353851234567"), build.issued(1, due=10)], until_ms=ms(70))
        told.append([(row.step, row.invoice_ids, {way: row.facts[way] for way in WAYS_OUT}) for row in _support(firm)])
        assert _support(firm)[0].experiment is not None
    assert told[0] == told[1] != []


def test_4_four_segments_and_every_other_layer_is_a_parameter_that_makes_no_ladder_of_its_own() -> None:
    assert {segment.value for segment in Segment} == {"new", "reliable", "slow", "problem"}
    assert set(DEFAULT_POLICY.journeys.delay) == set(Segment)
    layer = Audience("large", "worth a look", (Between(Figure.RECEIVED_UNITS, 0, None),))
    build = Events()
    story: list[AnyClientEvent] = [build.profiled(0), build.paid(0.5, "P0", 900, None), build.issued(1, due=10)]
    layers = replace(DEFAULT_POLICY, audiences=(layer,))
    plain, layered = (Firm(policy=policy).run(story, until_ms=ms(60)) for policy in (DEFAULT_POLICY, layers))
    assert [row.step for row in layered.triggers] == [row.step for row in plain.triggers]


def test_5_who_is_held_as_new_is_scored_and_treated_as_without_a_score() -> None:
    asking = replace(DEFAULT_POLICY, approval=ApprovalRules(on_abstention=True))
    held = replace(asking, segments=replace(asking.segments, new_labels=50, new_limit_days=400))
    for policy, is_asked in ((asking, False), (held, True)):
        firm = Learned(policy=policy).run(book([3.0, 8.0, 8.0, 2.0, 9.0]), until_ms=ms(345))
        first = next(row for row in firm.triggers if "NEXT" in row.invoice_ids)
        assert first.score is not None
        assert first.step.startswith("approve_") is is_asked


def test_6_nobody_is_charged_by_us_the_processor_s_own_next_try_is_only_waited_for() -> None:
    assert {"email", "sms", "portal", "webhook", "task", "console"} == set(CHANNELS)
    build = Events()
    failed = build.failed(12, retry=15)
    firm = Firm().run([build.profiled(0), build.issued(1, due=10), failed], until_ms=ms(15.9))
    assert not _support(firm)
    firm.wake(ms(20))
    assert [row.step for row in _support(firm)] == ["explain_terms"]
