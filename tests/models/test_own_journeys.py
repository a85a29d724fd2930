"""Journeys of the firm's own run on the same engine: once per anchor, in order, and never on money that is late."""

from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from models.events.control import HaltScope
from models.events.envelope import epoch_ms
from models.events.signals import DeliveryOutcome, Purpose
from models.events.union import AnyClientEvent
from models.journey_names import MOST_LETTERS, OWN_JOURNEYS
from models.policy.document import PolicyDocument, document_of, policy_of
from models.policy.in_force import in_force
from models.policy.lint import lint
from models.policy.openings import has_openings
from models.policy.own_conditions import MOST_WAITING
from models.policy.policy import DEFAULT_POLICY, Policy
from models.regime import NOTHING_ACTIVATED, regime_after
from models.state.closing import STATE_LIMIT_BYTES
from models.state.codec import decode, encode
from models.state.runs import runs_of
from models.triggers import Decision, Journey, OwnJourney, Trigger
from models.workdays import DAY_MS
from streams.wire.codec import encode_output
from streams.wire.policy_file import read_policy, write_policy
from streams.wire.topics import CHANNELS
from tests.models.builders import Events, ms, on, tick
from tests.models.controls import halt, policy_activated
from tests.models.test_journey_laws import HORIZON, Firm, stories

NAME = "a_word_after"
STEPS = [
    {"id": "first_word", "count": 2, "unit": "days", "valid_days": 10, "why": "a first word"},
    {"id": "second_word", "count": 3, "unit": "weeks", "valid_days": 14, "why": "a second word"},
]


def declared(**changes: object) -> dict[str, Any]:
    return {
        "name": NAME,
        "title": "a word after",
        "begins": {"anchor": "payment"},
        "cooldown_days": 60,
        "steps": STEPS,
        **changes,
    }


def policy_with(*journeys: dict[str, Any], **more: object) -> Policy:
    return policy_of(PolicyDocument.model_validate({"version": "own", "own_journeys": journeys, **more}))


OWN = policy_with(
    declared(begins={"anchor": "payment", "sizes": ["standard", "large"]}),
    declared(name="with_the_invoice", begins={"anchor": "issue"}, ends_when=["invoices_settled"]),
    declared(
        name="before_the_renewal",
        begins={"anchor": "renewal"},
        steps=[{**STEPS[0], "count": -8, "unit": "weeks"}, {**STEPS[1], "count": 1, "unit": "months", "anchor": "last_contact"}],
    ),
    declared(name="when_promised", begins={"anchor": "promised"}, again=False, steps=[{**STEPS[0], "count": 0}]),
)


def own_triggers(firm: Firm) -> list[Trigger]:
    return [trigger for trigger in firm.triggers if isinstance(trigger.journey, OwnJourney)]


@given(stories())
@settings(max_examples=40)
def test_own_journeys_keep_the_laws_of_all_journeys(story: list[AnyClientEvent]) -> None:
    firm, again = (Firm(policy=OWN).run(story, until_ms=HORIZON) for _ in range(2))
    assert [output.model_dump_json() for output in firm.outputs] == [output.model_dump_json() for output in again.outputs]
    assert len({trigger.trigger_id for trigger in firm.triggers}) == len(firm.triggers)
    retracted = {output.trigger_id for output in firm.outputs if output.kind == "retraction"}
    standing = [trigger for trigger in own_triggers(firm) if trigger.trigger_id not in retracted]
    for anchor in {trigger.anchor for trigger in standing}:
        steps = [trigger.step for trigger in standing if trigger.anchor == anchor]
        assert steps == sorted(set(steps)), "each step once, the first before the second"
    moments = sorted(
        epoch_ms(trigger.not_before)
        for trigger in firm.triggers
        if trigger.channel == "email" and trigger.trigger_id not in retracted and trigger.step != "thank_you"
    )
    assert all(later - earlier >= OWN.min_gap_days * DAY_MS for earlier, later in pairwise(moments))
    for trigger in own_triggers(firm):
        assert Trigger.model_validate_json(encode_output(trigger)) == trigger
    assert firm.state is not None
    assert encode(decode(encode(firm.state))) == encode(firm.state)


def test_a_run_begins_once_per_anchor_and_not_again_within_its_cooldown() -> None:
    build = Events()
    policy = policy_with(declared())
    told: list[AnyClientEvent] = [
        build.profiled(0),
        build.paid(1, payment="P1"),
        build.paid(1, payment="P1"),
        build.paid(20, payment="P2"),
    ]
    firm = Firm(policy=policy).run([*told, build.paid(70, payment="P3")], until_ms=ms(200))
    assert [(row.anchor, row.step) for row in own_triggers(firm)] == [
        (f"{NAME}:P1", "first_word"),
        (f"{NAME}:P1", "second_word"),
        (f"{NAME}:P3", "first_word"),
        (f"{NAME}:P3", "second_word"),
    ]
    once = Firm(policy=policy_with(declared(again=False))).run([*told, build.paid(400, payment="P4")], until_ms=ms(500))
    assert {row.anchor for row in own_triggers(once)} == {f"{NAME}:P1"}


def test_a_journey_taken_out_of_the_policy_ends_its_runs_with_a_decision() -> None:
    build = Events()
    firm = Firm(policy=policy_with(declared())).run([build.profiled(0), build.paid(1, payment="P1")], until_ms=ms(5))
    assert [row.step for row in own_triggers(firm)] == ["first_word"]
    firm.policy = DEFAULT_POLICY
    firm.run([tick(6)], until_ms=ms(200))
    assert [row.step for row in own_triggers(firm)] == ["first_word"]
    ended = [
        row
        for row in firm.outputs
        if isinstance(row, Decision) and row.reasons[0].endswith("is no journey of the policy any more")
    ]
    assert [(row.journey, row.anchor, row.outcome.value) for row in ended] == [(NAME, f"{NAME}:P1", "suppressed")]


def test_a_run_keeps_the_steps_of_the_version_it_began_under() -> None:
    build = Events()
    old, new = (
        policy_with(declared(steps=[STEPS[0], {**STEPS[1], "count": weeks, "why": why}]))
        for weeks, why in ((3, "old"), (8, "new"))
    )
    known, first = {old.version: old, new.version: new}, regime_after(NOTHING_ACTIVATED, policy_activated(0, old))
    firm = Firm(policy=in_force(old, first, base=old, find=known.get))
    firm.run([build.profiled(0), build.paid(1, payment="P1")], until_ms=ms(5))
    firm.policy = in_force(new, regime_after(first, policy_activated(6, new)), base=old, find=known.get)
    firm.run([tick(7)], until_ms=ms(100))
    second = own_triggers(firm)[1]
    assert (second.step, second.policy_version, second.reasons[0]) == ("second_word", old.version, "old")
    assert second.decided_at.date() == on(22).date()


def test_a_run_is_closed_after_its_last_step_and_opened_again_where_that_did_not_arrive() -> None:
    build = Events()
    policy = policy_with(declared(steps=STEPS[:1]))
    firm = Firm(policy=policy).run([build.profiled(0), build.paid(1, payment="P1"), build.paid(2, payment="P2")], until_ms=ms(40))
    assert firm.state is not None
    done = replace(firm.state.care, runs=tuple(runs_of(firm.state, OwnJourney(NAME))))
    assert [run.closed for run in done.runs] == [True]
    assert not has_openings(replace(firm.state, care=done), policy), "nobody looks for its next step ever after"
    (sent,) = own_triggers(firm)
    firm.feed(build.reported(41, sent.trigger_id, DeliveryOutcome.BOUNCED_SOFT))
    assert [run.closed for run in runs_of(firm.state, OwnJourney(NAME))] == [False]


def test_a_step_that_is_far_away_is_taken_whatever_happens_until_then() -> None:
    build = Events()
    policy = policy_with(declared(steps=[{**STEPS[0], "count": 6, "unit": "months"}]))
    calls = [build.called(day) for day in (135, 150)]
    firm = Firm(policy=policy).run([build.profiled(0), build.issued(1), build.paid(10), *calls], until_ms=ms(400))
    assert [(row.step, row.decided_at.date()) for row in own_triggers(firm)] == [("first_word", on(192).date())]


def test_runs_that_wait_for_years_stay_few() -> None:
    build = Events()
    steps = [{**STEPS[0], "count": 400, "unit": "months"}]
    names = [f"{'a' * 38}_{index}" for index in range(4)]
    policy = policy_with(*(declared(name=name, cooldown_days=30, steps=steps) for name in names))
    firm = Firm(policy=policy).run([build.paid(31.0 * index, payment=f"{index:0>200}") for index in range(60)])
    assert firm.state is not None
    assert {name: len(runs_of(firm.state, OwnJourney(name))) for name in names} == dict.fromkeys(names, MOST_WAITING)
    assert len(encode(firm.state)) < STATE_LIMIT_BYTES


def test_what_was_withdrawn_and_then_made_anew_stands() -> None:
    def story(*told: AnyClientEvent, anchor: str, count: int) -> list[str]:
        steps = [{**STEPS[0], "count": count}]
        firm = Firm(policy=policy_with(declared(begins={"anchor": anchor}, steps=steps)))
        return [row.step for row in own_triggers(firm.run([build.profiled(0), *told], until_ms=ms(40)))]

    build = Events()
    voided, anew = build.voided(1), build.issued(1.2, due=60)
    assert story(voided, anew, anchor="issue", count=5) == ["first_word"]
    assert story(anew, build.voided(1.1, received=2), anchor="issue", count=5) == ["first_word"]
    assert story(anew, build.voided(2), anchor="issue", count=5) == []
    issued, made = build.issued(0.5, due=60), build.promised(3, by=25)
    assert story(issued, build.promise_withdrawn(2), made, anchor="promised", count=-2) == ["first_word"]
    assert story(issued, made, build.promise_withdrawn(2, received=4), anchor="promised", count=-2) == ["first_word"]
    assert story(issued, made, build.promise_withdrawn(4), anchor="promised", count=-2) == []


@pytest.mark.parametrize(("anchor", "count", "day"), [("issue", 90, 91), ("due", 60, 80), ("promised", 70, 80)])
def test_whoever_pays_at_once_hears_of_it_as_late_as_the_firm_wants(anchor: str, count: int, day: int) -> None:
    def story(*told: AnyClientEvent) -> list[tuple[str, date]]:
        policy = policy_with(declared(begins={"anchor": anchor}, steps=[{**STEPS[0], "count": count}]))
        firm = Firm(policy=policy).run([build.profiled(0), *told, *calls], until_ms=ms(200))
        return [(row.step, row.decided_at.date()) for row in own_triggers(firm)]

    build = Events()
    calls = [build.called(spoken) for spoken in (48, 60, 70)]
    first: list[AnyClientEvent] = [
        build.issued(1, due=18),
        build.promised(2, by=9),
        build.amended(3, due=20),
        build.promised(3, by=10),
        build.paid(5),
    ]
    assert story(*first) == [("first_word", on(day).date())]
    gone = build.promise_withdrawn(6) if anchor == "promised" else build.voided(6)
    assert story(*first, gone) == []
    assert story(*first, build.delegated(6, "payer-1")) == []


@pytest.mark.parametrize("changes", [{"cooldown_days": 90}, {"again": False}])
def test_a_renewal_that_waited_begins_nothing_once_another_one_has(changes: dict[str, Any]) -> None:
    build = Events()
    steps = [{**STEPS[0], "count": -6, "unit": "weeks", "valid_days": 14}]
    policy = policy_with(declared(begins={"anchor": "renewal"}, steps=steps, **changes))
    contracts = [build.contract(0.1, "K1", renews=80), build.contract(0.2, "K2", renews=82)]
    alone = Firm(policy=policy).run([build.profiled(0), *contracts], until_ms=ms(120))
    held = Firm(policy=policy).run([build.profiled(0), *contracts, build.hold(35, until=45)], until_ms=ms(120))
    assert [len(own_triggers(firm)) for firm in (alone, held)] == [1, 1]
    last = [row for row in held.outputs if isinstance(row, Decision) and row.anchor == f"{NAME}:K2@{on(82).date()}"][-1]
    assert (last.outcome.value, last.reasons) == ("suppressed", ("another run of it began while this one waited",))


@pytest.mark.parametrize("anchor", ["issue", "payment"])
def test_a_message_states_the_service_line_of_what_it_is_about(anchor: str) -> None:
    build = Events()
    issued = [build.issued(1, "A"), build.issued(2, "B"), build.issued(3, "C")]
    lined = [event.model_copy(update={"service_line": line}) for event, line in zip(issued, ("tax", "audit", None), strict=True)]
    policy = policy_with(declared(begins={"anchor": anchor, "service_lines": ["audit"]}))
    paid = [build.paid(4, "P1", invoice="A"), build.paid(5, "P2", invoice="B")]
    firm = Firm(policy=policy).run([build.profiled(0), *lined, *paid], until_ms=ms(10))
    assert [row.facts["service_line"] for row in own_triggers(firm)] == ["audit"]
    unknown = Firm(policy=policy_with(declared(begins={"anchor": anchor}))).run(
        [build.profiled(0), *lined[:1], build.paid(2, "P9", invoice=None), lined[2]], until_ms=ms(10)
    )
    said = {"P9": None} if anchor == "payment" else {"A": "tax"}
    assert {row.anchor: row.facts.get("service_line") for row in own_triggers(unknown)} == {
        f"{NAME}:{about}": line for about, line in said.items()
    }


def test_every_consumer_takes_the_anchor_of_the_longest_id_and_the_longest_name() -> None:
    build = Events()
    name, long = "n" * MOST_LETTERS, "P" * 200
    renewal = declared(name=f"{name[:-1]}r", begins={"anchor": "renewal"}, steps=[{**STEPS[0], "count": -8, "unit": "weeks"}])
    told: list[AnyClientEvent] = [build.profiled(0), build.contract(0, long, renews=80), build.paid(1, payment=long)]
    firm = Firm(policy=policy_with(declared(name=name), renewal)).run(told, until_ms=ms(70))
    sent = [Trigger.model_validate_json(encode_output(row)) for row in own_triggers(firm)]
    assert {row.anchor for row in sent} == {f"{name}:{long}", f"{name[:-1]}r:{long}@{on(80).date()}"}


def test_a_payment_that_is_given_back_ends_the_run_and_what_is_late_goes_first() -> None:
    build = Events()
    firm = Firm(policy=policy_with(declared())).run(
        [build.profiled(0), build.paid(1, payment="P1"), build.refunded(1.5, payment="P1")], until_ms=ms(60)
    )
    assert own_triggers(firm) == []
    late = Firm(policy=policy_with(declared())).run(
        [build.profiled(0), build.issued(0, "I1", due=1), build.paid(20, "P2", 50_000, None)], until_ms=ms(25)
    )
    assert own_triggers(late) == []


def test_what_is_learnt_when_its_first_day_is_long_over_is_never_begun() -> None:
    build = Events()
    firm = Firm(policy=policy_with(declared())).run(
        [build.profiled(0), build.paid(1, payment="P1", received=60)], until_ms=ms(90)
    )
    assert not [row for row in firm.outputs if isinstance(row, Decision) and row.journey == NAME]


@pytest.mark.parametrize("name", [NAME, OWN_JOURNEYS])
def test_a_stop_by_its_name_or_of_all_of_the_firms_own_holds_it(name: str) -> None:
    stopped = regime_after(NOTHING_ACTIVATED, halt(1, scope=HaltScope.JOURNEY, target=name))
    bound = in_force(policy_with(declared()), stopped, base=DEFAULT_POLICY, find=lambda _: None)
    assert bound.stop_of(OwnJourney(NAME), channel="email", purpose=Purpose.RELATIONSHIP) is not None
    assert bound.stop_of(Journey.RENEWAL, channel="email", purpose=Purpose.RELATIONSHIP) is None
    other = bound.stop_of(OwnJourney("another"), channel="email", purpose=Purpose.RELATIONSHIP)
    assert (other is None) is (name == NAME)


def test_the_document_says_all_and_an_old_policy_keeps_its_version() -> None:
    text = write_policy(document_of(OWN))
    assert policy_of(read_policy(text, name="own.yaml").document) == OWN
    assert document_of(DEFAULT_POLICY).own_journeys == ()
    assert policy_with().journeys == DEFAULT_POLICY.journeys


@pytest.mark.parametrize(
    ("changes", "path", "says"),
    [
        ({"begins": {"anchor": "last_contact"}}, "begins.anchor", "a contact of ours begins nothing"),
        ({"begins": {"anchor": "issue", "methods": ["card"]}}, "begins.methods", "nothing was paid yet"),
        ({"ends_when": ["invoices_settled"]}, "ends_when.0", "ends no run that begins at the payment"),
        ({"steps": [{**STEPS[0], "anchor": "due"}]}, "steps.0.anchor", "a run that begins at the payment knows no due"),
        ({"steps": [{**STEPS[0], "count": -1}]}, "steps.0.count", "nobody knows of the payment before it happens"),
        ({"steps": [{**STEPS[0], "unit": "hours", "at": "09:00"}]}, "steps.0.at", "hours are counted from the moment itself"),
        ({"steps": [STEPS[1], STEPS[0]]}, "steps.1.count", "comes after second_word in the list but not in time"),
        ({"steps": [{**STEPS[0], "valid_days": 40}, STEPS[1]]}, "steps.0.valid_days", "when second_word is due already"),
        ({"steps": [STEPS[0], {**STEPS[1], "id": "first_word"}]}, "steps.1.id", "first_word is there twice"),
        ({"steps": [{**STEPS[0], "tone": "firm"}]}, "steps.0.tone", "firmer than a client whose money is not late may meet"),
        ({"steps": [{**STEPS[0], "channel": "fax"}]}, "steps.0.channel", "no worker delivers by fax"),
        ({"begins": {"anchor": "renewal"}}, "steps.0.count", "once renewed, the period is another"),
    ],
)
def test_lint_refuses_what_would_never_begin_or_never_be_reached(changes: dict[str, Any], path: str, says: str) -> None:
    document = PolicyDocument.model_validate({"version": "own", "own_journeys": [declared(**changes)]})
    found = {".".join(map(str, row.path)): row.message for row in lint(document, channels=CHANNELS)}
    assert says in found[f"own_journeys.0.{path}"]


def test_names_that_are_taken_or_that_no_journey_has_are_refused() -> None:
    with pytest.raises(ValueError, match="pre_renewal is a journey of ours"):
        PolicyDocument.model_validate({"version": "own", "own_journeys": [declared(name="pre_renewal")]})
    order = [*(row.value for row in DEFAULT_POLICY.priority), NAME, "nobody"]
    document = PolicyDocument.model_validate(
        {"version": "own", "own_journeys": [declared(), declared()], "contact": {"priority": order}}
    )
    assert [row.message for row in lint(document, channels=CHANNELS)][:2] == [
        f"{NAME} is there twice",
        "there is no journey nobody",
    ]
