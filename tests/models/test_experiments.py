"""Experiments: who is drawn into which arm, when that is recorded, and what no arm may do."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from handlers.channels.template_facts import facts_stated
from models.events.control import HaltScope
from models.events.union import AnyClientEvent
from models.policy.document import PolicyDocument, document_of, policy_of
from models.policy.experiment_document import ArmDocument, ExperimentDocument
from models.policy.experiments import Arm, Experiment, drawn, share_of
from models.policy.holdout import Holdout
from models.policy.in_force import in_force
from models.policy.lint import errors_of, lint
from models.policy.policy import DEFAULT_POLICY, Policy, stamped
from models.regime import NOTHING_ACTIVATED, regime_after
from models.state.client import Segment
from models.triggers import Decision, DecisionOutcome, Journey, Tone, Trigger
from streams.wire.topics import CHANNELS
from tests.models.builders import Events, ms, on
from tests.models.controls import halt
from tests.models.test_journey_laws import HORIZON, Firm, differs_by_promise, live_late, stories

WORDS = Experiment(
    "helpful_words",
    "words that offer help bring the money sooner",
    Journey.DELAY_SUPPORT,
    "explain_terms",
    (Arm("as_is"), Arm("help", words="offer_help")),
)
WAITING = replace(WORDS, name="four_days", arms=(Arm("at_once"), Arm("later", wait_days=4)))
BY_TEXT = replace(WORDS, name="by_text", arms=(Arm("mail"), Arm("text", channel="sms")))


def _policy(*experiments: Experiment) -> Policy:
    return stamped(replace(DEFAULT_POLICY, experiments=experiments))


def _late(client: str, *, phone: str | None = None, invoices: int = 1) -> list[AnyClientEvent]:
    build = Events(client)
    issued = [build.issued(1 + number / 24, f"I{number}", due=10) for number in range(invoices)]
    return [build.profiled(0, phone=phone), *issued]


def _client_in(experiment: Experiment, arm: str) -> str:
    names = (f"company-{number}" for number in range(500))
    return next(name for name in names if drawn(name, experiment, stratum="new/unknown").name == arm)


def _decisions(firm: Firm) -> list[Decision]:
    return [row for row in firm.outputs if isinstance(row, Decision)]


def _exposures(firm: Firm) -> list[Decision]:
    return [row for row in _decisions(firm) if row.experiment is not None]


def _shape(trigger: Trigger) -> tuple[object, ...]:
    return (trigger.step, trigger.channel, trigger.tone, trigger.not_before, trigger.facts, trigger.cancel_when)


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    weights = draw(st.lists(st.integers(1, 9), min_size=2, max_size=4))
    arms = tuple(Arm(f"arm_{number}", weight) for number, weight in enumerate(weights))
    return replace(WORDS, name=draw(st.text("abcdef_", min_size=1, max_size=12)), key=draw(st.text(max_size=4)), arms=arms)


@given(experiments(), st.text(min_size=1, max_size=40), st.sampled_from(["new/small", "slow/large"]))
def test_a_company_is_drawn_into_the_same_arm_whenever_it_is_asked(experiment: Experiment, name: str, stratum: str) -> None:
    assert drawn(name, experiment, stratum=stratum) == drawn(name, experiment, stratum=stratum)


@given(experiments())
@settings(max_examples=20)
def test_every_stratum_is_divided_by_the_weights(experiment: Experiment) -> None:
    count = 2_000
    for stratum in ("new/small", "problem/large"):
        found = Counter(drawn(f"company-{number}", experiment, stratum=stratum).name for number in range(count))
        for arm in experiment.arms:
            share = share_of(arm, experiment)
            assert abs(found[arm.name] - count * share) < 5 * (count * share * (1 - share)) ** 0.5


def test_draws_of_two_experiments_and_of_two_keys_know_nothing_of_each_other() -> None:
    again, other = replace(WORDS, key="2"), replace(WORDS, name="other")
    for twin in (again, other):
        pairs = Counter(
            tuple(drawn(f"company-{number}", row, stratum="new/small").name for row in (WORDS, twin)) for number in range(2_000)
        )
        assert all(420 < count < 580 for count in pairs.values())


def test_the_arm_does_not_depend_on_the_order_in_which_things_become_known() -> None:
    name = _client_in(WORDS, "help")
    told = set()
    for order in permutations(_late(name, invoices=3)):
        firm = Firm(policy=_policy(WORDS)).run([row.model_copy(update={"received_at": on(2)}) for row in order], until_ms=ms(30))
        told |= {(row.experiment.arm, row.experiment.stratum) for row in _exposures(firm) if row.experiment}
    assert told == {("help", "new/unknown")}


@given(stories())
@settings(max_examples=25)
def test_whoever_is_exposed_keeps_arm_and_stratum_and_every_message_of_the_step_says_so(story: Sequence[AnyClientEvent]) -> None:
    firm = Firm(policy=_policy(WORDS, replace(WAITING, step="offer_help"))).run(story, until_ms=HORIZON)
    kept = {(row.experiment.name, row.experiment.arm, row.experiment.stratum) for row in _exposures(firm) if row.experiment}
    assert len(kept) == len({name for name, _, _ in kept})
    assert firm.state is not None
    assert kept == {(row.experiment, row.arm, row.stratum) for row in firm.state.care.assigned}
    for trigger in firm.triggers:
        assert (trigger.experiment is not None) == (
            trigger.step in {"explain_terms", "offer_help"} and trigger.channel == "email"
        )


@given(stories())
@settings(max_examples=25)
def test_an_arm_that_only_speaks_otherwise_leaves_everybody_with_the_same_messages_on_the_same_days(
    story: Sequence[AnyClientEvent],
) -> None:
    plain = Firm().run(story, until_ms=HORIZON)
    tried = Firm(policy=_policy(WORDS)).run(story, until_ms=HORIZON)
    assert [_shape(row) for row in tried.triggers] == [_shape(row) for row in plain.triggers]


@given(stories())
@settings(max_examples=25)
def test_an_arm_that_waits_wakes_alike_by_tick_and_event_and_loses_no_step(story: Sequence[AnyClientEvent]) -> None:
    policy = _policy(WAITING, replace(WAITING, name="clear", step="outcome_check", journey=Journey.ONBOARDING))
    woken = Firm(policy=policy).run(story, until_ms=HORIZON)
    late = Firm(policy=policy, punctual=False)
    live_late(late, story)
    late.wake(HORIZON)
    assume(not differs_by_promise(late))
    assert late.outputs == woken.outputs
    assert late.state == woken.state


def test_a_company_that_is_left_without_care_is_in_no_experiment_about_it() -> None:
    waits = replace(WAITING, name="clear", step="outcome_check", journey=Journey.ONBOARDING)
    for holdout in (Holdout(), Holdout(100.0)):
        policy = stamped(replace(_policy(waits), holdout=holdout))
        build = Events(_client_in(waits, "later"))
        firm = Firm(policy=policy).run([build.profiled(0), build.issued(1, due=30), build.paid(2)], until_ms=ms(60))
        assert firm.state is not None
        assert bool(firm.state.care.assigned) is not bool(holdout.percent)


def test_an_arm_that_waits_is_exposed_on_the_day_the_others_are_written_to() -> None:
    firms = {
        arm: Firm(policy=_policy(WAITING)).run(_late(_client_in(WAITING, arm), invoices=2), until_ms=ms(22))
        for arm in ("at_once", "later")
    }
    first = {arm: _exposures(firm)[0] for arm, firm in firms.items()}
    assert first["at_once"].decided_at == first["later"].decided_at
    assert [first[arm].outcome for arm in firms] == [DecisionOutcome.TRIGGERED, DecisionOutcome.HELD]
    assert "waits 4 days" in first["later"].reasons[0]
    (at_once,), (later,) = (firm.triggers[:1] for firm in firms.values())
    assert (later.not_before - at_once.not_before).days == 4
    assert later.invoice_ids == at_once.invoice_ids == ("I0", "I1")


def test_nobody_is_exposed_where_the_arms_would_not_differ() -> None:
    text = _client_in(BY_TEXT, "text")
    without_phone = Firm(policy=_policy(BY_TEXT)).run(_late(text), until_ms=ms(20))
    assert without_phone.triggers
    assert not _exposures(without_phone)
    with_phone = Firm(policy=_policy(BY_TEXT)).run(_late(text, phone="+353851234567"), until_ms=ms(20))
    assert [row.channel for row in with_phone.triggers] == ["sms"]
    assert len(_exposures(with_phone)) == 1
    capped = replace(WORDS, arms=(Arm("firm", tone=Tone.FIRM), Arm("clear", tone=Tone.STRUCTURED)))
    nobody = Firm(policy=_policy(capped)).run(_late("company-1"), until_ms=ms(20))
    assert [row.tone for row in nobody.triggers] == [Tone.EDUCATIONAL]  # the step as it stands
    assert not _exposures(nobody)


def test_an_experiment_for_one_segment_touches_no_other() -> None:
    firm = Firm(policy=_policy(replace(WORDS, segments=(Segment.SLOW,)))).run(_late("company-1"), until_ms=ms(20))
    assert firm.triggers
    assert not _exposures(firm)


def test_a_stopped_experiment_gives_everybody_the_step_as_it_stands() -> None:
    policy = _policy(WAITING)
    stop = halt(0, scope=HaltScope.EXPERIMENT, target="four_days")
    stopped = in_force(policy, regime_after(NOTHING_ACTIVATED, stop), base=policy, find=lambda _: None)
    firm = Firm(policy=stopped).run(_late(_client_in(WAITING, "later")), until_ms=ms(20))
    assert firm.triggers
    assert not _exposures(firm)


def test_experiments_survive_the_way_through_the_document() -> None:
    policy = _policy(WORDS, BY_TEXT)
    again = policy_of(PolicyDocument.model_validate_json(document_of(policy).model_dump_json()))
    assert again.experiments == policy.experiments
    assert again.version.partition("+")[2] == policy.version.partition("+")[2]


def _document(*arms: ArmDocument, **changed: object) -> PolicyDocument:
    fields = {
        "name": "words",
        "hypothesis": "other words bring the money sooner",
        "journey": Journey.DELAY_SUPPORT,
        "step": "offer_help",
        "segments": (Segment.NEW,),
        "arms": arms,
    }
    return PolicyDocument(version="tried", experiments=(ExperimentDocument.model_validate({**fields, **changed}),))


AS_IS = ArmDocument(name="as_is")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (_document(AS_IS, ArmDocument(name="same")), "changes the same"),
        (_document(AS_IS, ArmDocument(name="as_is", wait_days=1)), "there twice"),
        (_document(AS_IS, ArmDocument(name="firm", tone=Tone.FIRM)), "firmer than its readers may meet"),
        (_document(AS_IS, ArmDocument(name="late", wait_days=6)), "it would be withheld"),
        (_document(AS_IS, ArmDocument(name="asked", channel="console")), "left without the message"),
        (_document(AS_IS, ArmDocument(name="faxed", channel="fax")), "no worker delivers by fax"),
        (
            _document(AS_IS, ArmDocument(name="terse", words="friendly_note"), segments=(Segment.RELIABLE,)),
            "would not learn plan_possible",
        ),
        (_document(AS_IS, ArmDocument(name="odd", words="unheard_of")), "no template"),
        (_document(AS_IS, ArmDocument(name="late", wait_days=1), step="personal_contact"), "a person's help"),
        (_document(AS_IS, ArmDocument(name="late", wait_days=1), step="no_such_step"), "has no step"),
        (_document(AS_IS, ArmDocument(name="late", wait_days=1), segments=(Segment.SLOW,)), "has no step"),
    ],
)
def test_lint_refuses_an_experiment_that_leaves_anybody_with_less(document: PolicyDocument, says: str) -> None:
    found = errors_of(lint(document, channels=CHANNELS, facts_stated=facts_stated))
    assert any(says in row.message for row in found), found


def test_two_experiments_on_one_step_are_refused_and_a_sound_one_is_not() -> None:
    sound = _document(AS_IS, ArmDocument(name="gently", tone=Tone.GENTLE), ArmDocument(name="later", wait_days=2))
    assert not errors_of(lint(sound, channels=CHANNELS, facts_stated=facts_stated))
    (row,) = sound.experiments
    twice = sound.model_copy(update={"experiments": (row, row.model_copy(update={"name": "again"}))})
    assert {finding.path[-1] for finding in errors_of(lint(twice, channels=CHANNELS, facts_stated=facts_stated))} == {"step"}
