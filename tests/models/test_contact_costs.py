"""What a contact costs is held against what it could bring in: for less none is made, and the gate says so by its own name."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.commands.policies.words import rules
from models.events.envelope import epoch_ms
from models.events.signals import DeliveryOutcome, OverrideEffect
from models.events.union import AnyClientEvent
from models.policy.document import PolicyDocument, policy_of
from models.policy.finding import Severity
from models.policy.journeys import Statement
from models.policy.leave import Verdict, known_as, may_leave
from models.policy.lint import lint
from models.policy.policy import DEFAULT_POLICY, Policy
from models.triggers import Decision, DecisionOutcome, Journey, Retraction, Trigger
from tests.models.builders import Events, ms, tick_at
from tests.models.test_journey_laws import HORIZON, Firm, stories
from tests.models.test_outcomes import state_of


def with_costs(costs: Mapping[str, float], base: Policy = DEFAULT_POLICY) -> Policy:
    return replace(base, contact_costs=MappingProxyType({**costs}))


def costing(base: Policy = DEFAULT_POLICY, **costs: float) -> Policy:
    return with_costs(costs, base)


def support(firm: Firm) -> list[Trigger]:
    return [row for row in firm.triggers if row.journey is Journey.DELAY_SUPPORT]


def said(firm: Firm) -> list[str]:
    rows = [row for row in firm.outputs if isinstance(row, Decision) and row.outcome is DecisionOutcome.SUPPRESSED]
    return [row.reasons[0] for row in rows]


def of_a_problem(build: Events, minor: int) -> list[AnyClientEvent]:
    """Return the story of a client whom a colleague speaks with first."""
    hard = build.override(0, OverrideEffect.SEGMENT, value="problem", until=300)
    return [build.profiled(0), hard, build.issued(1, "I1", minor, due=3)]


def test_a_colleague_s_quarter_of_an_hour_is_not_spent_on_a_trifle_and_that_is_said_once() -> None:
    build = Events()
    firm = Firm(policy=costing(task=15)).run(of_a_problem(build, 1_200), until_ms=ms(60))
    assert support(firm) == []
    assert said(firm) == ["12.00 EUR is less than a contact by task costs (15): it waits until more is open"]
    free = Firm().run(of_a_problem(Events(), 1_200), until_ms=ms(60))
    assert support(free)[0].channel == "task"


def test_once_more_is_open_than_it_costs_the_contact_is_made() -> None:
    build = Events()
    log = [*of_a_problem(build, 1_200), build.issued(10, "I2", 400, due=12)]
    firm = Firm(policy=costing(task=15)).run(log, until_ms=ms(30))
    (asked, *_) = support(firm)
    assert (asked.channel, set(asked.invoice_ids)) == ("task", {"I1", "I2"})
    assert ms(15) <= epoch_ms(asked.decided_at)


def test_it_is_the_way_that_a_message_would_really_take_that_counts() -> None:
    log = [Events().issued(1, "I1", 1_200, due=3)]  # no address is known: a colleague would be asked
    assert [row.channel for row in support(Firm().run(log, until_ms=ms(8)))] == ["task"]
    firm = Firm(policy=costing(task=15)).run(log, until_ms=ms(30))
    assert support(firm) == []
    assert len(said(firm)) == 1
    build = Events()
    mailed = Firm(policy=costing(task=15)).run([build.profiled(0), build.issued(1, "I1", 1_200, due=3)], until_ms=ms(8))
    assert [row.channel for row in support(mailed)] == ["email"]


def test_the_end_of_a_ladder_asks_nobody_to_decide_about_less_than_that_costs() -> None:
    def asked(policy: Policy) -> list[str]:
        build = Events()
        firm = Firm(policy=policy).run([build.profiled(0), build.issued(1, "I1", 1_200, due=3)])
        for _ in range(12):
            firm.wake(firm.due or HORIZON)
            for row in [known for known in firm.triggers if known.channel == "email"]:
                firm.feed(build.reported(_day(firm), row.trigger_id, DeliveryOutcome.SENT))
        return [row.step for row in support(firm) if row.channel == "task"]

    assert asked(DEFAULT_POLICY) == ["ladder_end"]
    assert asked(costing(task=15)) == []


def _day(firm: Firm) -> float:
    return (state_of(firm).now_ms - ms(0)) / (ms(1) - ms(0))


def test_what_costs_more_than_is_left_to_ask_for_is_taken_back_and_not_decided_anew() -> None:
    build = Events()
    firm = Firm(policy=costing(email=15)).run([build.profiled(0), build.issued(1, "I1", 2_000, due=3)], until_ms=ms(8))
    firm.feed(build.paid(8.01, minor=800))
    firm.wake(ms(40))
    assert len(support(firm)) == len([row for row in firm.outputs if isinstance(row, Retraction)]) == 1
    assert said(firm) == ["12.00 EUR is less than a contact by email costs (15): it waits until more is open"]


def test_a_policy_with_costs_takes_back_what_waits_as_soon_as_it_is_in_force() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(1, "I1", 1_200, due=3)], until_ms=ms(8))
    firm.policy = costing(email=15)
    firm.feed(tick_at(state_of(firm).now_ms))
    (back,) = [row for row in firm.outputs if isinstance(row, Retraction)]
    assert back.reasons == ("12.00 EUR is less than a contact by email costs (15): it waits until more is open",)


def test_another_policy_s_worker_refuses_it_by_that_name() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(1, "I1", 1_200, due=3)], until_ms=ms(8))
    (message,) = support(firm)
    state = state_of(firm)
    answers = [
        may_leave(state, known_as(state, message), now_ms=epoch_ms(message.not_before), policy=policy)
        for policy in (DEFAULT_POLICY, costing(email=15), costing(sms=15))
    ]
    assert [(row.verdict, row.code) for row in answers] == [
        (Verdict.LEAVE, ""),
        (Verdict.WITHDRAW, "cost"),
        (Verdict.LEAVE, ""),
    ]


def test_what_is_not_worth_a_contact_stands_in_the_statement_unless_that_costs_more_too() -> None:
    journeys = DEFAULT_POLICY.journeys
    texted = {
        segment: replace(ladder, steps=tuple(replace(step, channel="sms") for step in ladder.steps))
        for segment, ladder in journeys.delay.items()
    }
    policy = replace(DEFAULT_POLICY, journeys=replace(journeys, delay=texted, statement=Statement(1)))

    def sent(**costs: float) -> list[tuple[Journey, str]]:
        build = Events()
        log: list[AnyClientEvent] = [build.profiled(0, phone="+493090182000"), build.issued(1, "I1", 1_200, due=10)]
        firm = Firm(policy=costing(policy, **costs)).run(log, until_ms=ms(30))
        assert all("it waits for the next statement" in reason for reason in said(firm))
        return [(row.journey, row.channel) for row in firm.triggers if isinstance(row.journey, Journey)]

    assert sent()[0] == (Journey.DELAY_SUPPORT, "sms")
    assert sent(sms=15) == [(Journey.STATEMENT, "email")]
    assert sent(sms=15, email=15) == []


@given(stories(), st.sampled_from(({"email": 25.0}, {"task": 60.0}, {"email": 4.0, "task": 1_000.0, "sms": 40.0})))
@settings(max_examples=40)
def test_no_contact_about_money_ever_costs_more_than_it_asks_for_and_no_step_is_decided_in_circles(
    story: list[AnyClientEvent], costs: Mapping[str, float]
) -> None:
    firm = Firm(policy=with_costs(costs)).run(story, until_ms=HORIZON)
    for row in firm.triggers:
        if row.journey is Journey.DELAY_SUPPORT and row.statement and not row.step.startswith("approve"):
            cost = round(100 * costs.get(row.channel, 0))
            open_now: dict[str, int] = {}
            for line in row.statement:
                open_now[line.open.currency] = open_now.get(line.open.currency, 0) + line.open.minor
            assert any(total >= cost for total in open_now.values()), (row.step, row.channel, open_now)
    dear = [row for row in firm.outputs if isinstance(row, Retraction) and "costs (" in row.reasons[0]]
    assert len(dear) <= len(story)


def test_a_policy_without_costs_keeps_its_version_and_lint_and_show_speak_of_those_it_has() -> None:
    def told(**costs: float) -> PolicyDocument:
        return PolicyDocument.model_validate({"version": "2026.1", "support": {"contact_costs": costs}})

    assert policy_of(told()).version == DEFAULT_POLICY.version != policy_of(told(task=15)).version
    assert not [line for line in rules(DEFAULT_POLICY) if "costs" in line]
    (line,) = [line for line in rules(policy_of(told(task=15, sms=0.1))) if "costs" in line]
    assert "so does what is less than its contact costs: 0.1 by sms, 15 by task." in line
    found = [
        (row.path[-1], row.severity)
        for row in lint(told(task=15, sms=5, pigeon=3, email=0), channels={"email", "sms", "task"})
        if "contact_costs" in row.path
    ]
    assert found == [("pigeon", Severity.ERROR), ("sms", Severity.WARNING)]
    for wrong in (-1, 10_001, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="contact_costs"):
            told(task=wrong)
