"""Laws of the journeys under any policy that lint accepts, not only under ours."""

from itertools import pairwise

from hypothesis import given, settings

from models.events.envelope import epoch_ms
from models.events.union import AnyClientEvent
from models.policy.document import PolicyDocument, document_of, policy_of
from models.policy.policy import DEFAULT_POLICY
from models.triggers import Journey, Trigger
from models.workdays import DAY_MS
from tests.models.builders import Events, ms, on
from tests.models.policy_documents import documents
from tests.models.test_journey_laws import HORIZON, Firm, assert_steps_in_order, stories


def _delivered(firm: Firm) -> list[Trigger]:
    retracted = {output.trigger_id for output in firm.outputs if output.kind == "retraction"}
    return [trigger for trigger in firm.triggers if trigger.trigger_id not in retracted]


@given(documents(), stories())
@settings(max_examples=120)
def test_no_stage_is_skipped_or_repeated_under_any_sound_policy(document: PolicyDocument, story: list[AnyClientEvent]) -> None:
    policy = policy_of(document)
    firm = Firm(policy=policy).run(story, until_ms=HORIZON)
    assert len({trigger.trigger_id for trigger in firm.triggers}) == len(firm.triggers)
    assert_steps_in_order(firm, policy)


@given(documents(), stories())
@settings(max_examples=60)
def test_windows_open_in_order_and_each_once_under_any_sound_policy(
    document: PolicyDocument, story: list[AnyClientEvent]
) -> None:
    policy = policy_of(document)
    firm = Firm(policy=policy).run(story, until_ms=HORIZON)
    journeys = policy.journeys
    tables = (journeys.onboarding, journeys.renewal, *(playbook.steps for playbook in journeys.playbooks))
    order = {step.id: place for steps in tables for place, step in enumerate(steps)}
    seen: dict[tuple[str, str], list[int]] = {}
    for trigger in _delivered(firm):
        if trigger.journey is not Journey.DELAY_SUPPORT:
            seen.setdefault((trigger.journey, trigger.anchor), []).append(order[trigger.step])
    assert all(earlier < later for places in seen.values() for earlier, later in pairwise(places)), seen


@given(documents(), stories())
@settings(max_examples=60)
def test_contacts_keep_the_distance_of_any_sound_policy(document: PolicyDocument, story: list[AnyClientEvent]) -> None:
    policy = policy_of(document)
    firm = Firm(policy=policy).run(story, until_ms=HORIZON)
    moments = sorted(epoch_ms(trigger.not_before) for trigger in _delivered(firm) if trigger.channel == "email")
    assert all(later - earlier >= policy.min_gap_days * DAY_MS for earlier, later in pairwise(moments))


@given(documents())
@settings(max_examples=60)
def test_a_document_survives_being_a_policy(document: PolicyDocument) -> None:
    policy = policy_of(document)
    assert policy_of(document_of(policy)) == policy


def test_the_first_step_waits_its_days_after_the_grace_or_after_the_person() -> None:
    default = document_of(DEFAULT_POLICY).model_dump()
    ladder = default["journeys"]["delayed_payment_support"]["ladders"]["new"]
    ladder["steps"][0]["after_days"] = 7
    for person_first, expected in ((False, [("explain_terms", 24)]), (True, [("personal_contact", 17), ("explain_terms", 24)])):
        ladder["person_first"] = person_first
        build = Events()
        firm = Firm(policy=policy_of(PolicyDocument.model_validate(default)))
        firm.run([build.profiled(0), build.issued(1, due=14), build.called(18)], until_ms=ms(25))
        told = [(trigger.step, (trigger.not_before - on(0)).days) for trigger in firm.triggers]
        assert told == expected
