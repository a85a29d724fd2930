"""Messages that a person sees before they leave: when, what the answer does, and what happens without one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_fields

from models.events.envelope import epoch_ms
from models.events.signals import ApprovalAnswered, OverrideEffect, Style, Verdict
from models.events.union import AnyClientEvent
from models.policy.document import document_of, policy_of
from models.policy.gate import still_allowed
from models.policy.in_force import in_force
from models.policy.policy import DEFAULT_POLICY, ApprovalRules, Policy, stamped
from models.regime import NOTHING_ACTIVATED, Regime, regime_after
from models.state.approvals import Approval
from models.state.describe import describe
from models.triggers import APPROVE, CancelWhen, Decision, DecisionOutcome, Retraction, Tone, Trigger
from models.workdays import DAY_MS
from tests.models.builders import CLIENT, Events, ms, on, tick_at
from tests.models.controls import policy_activated
from tests.models.test_journey_laws import HORIZON, Firm, differs_by_promise, live_late, stories
from tests.models.test_renewals import agreed
from tests.models.test_segments import monthly

ALWAYS = ApprovalRules(clients=(CLIENT,), wait_days=3)


def _policy(rules: ApprovalRules = ALWAYS) -> Policy:
    return stamped(replace(DEFAULT_POLICY, approval=rules))


def _late(build: Events, minor: int = 100_000) -> list[AnyClientEvent]:
    return [build.profiled(0), build.issued(1, minor=minor, due=10)]


def _asked(firm: Firm) -> list[Trigger]:
    return [row for row in firm.triggers if row.step.startswith(APPROVE)]


def _sent(firm: Firm) -> list[Trigger]:
    return [row for row in firm.triggers if not row.step.startswith(APPROVE) and row.channel == "email"]


def _answer(day: float, task: Trigger, verdict: Verdict = Verdict.APPROVE, **said: Any) -> ApprovalAnswered:  # noqa: ANN401
    return ApprovalAnswered(
        event_id=f"answer-{day}",
        source="tasks",
        client_id=CLIENT,
        occurred_at=on(day),
        received_at=on(day),
        trigger_id=task.trigger_id,
        verdict=verdict,
        author="sam",
        **said,
    )


def _waiting(rules: ApprovalRules = ALWAYS, minor: int = 100_000) -> tuple[Firm, Trigger]:
    """Return a firm whose first message about an overdue invoice waits for a person, and the task."""
    firm = Firm(policy=_policy(rules)).run(_late(Events(), minor), until_ms=ms(14))
    (task,) = _asked(firm)
    return firm, task


@pytest.mark.parametrize(
    ("rules", "minor", "why"),
    [
        (ALWAYS, 100, "approved by a person"),
        (ApprovalRules(amount_units=1_000), 100_000, "is a matter for a person"),
        (ApprovalRules(on_abstention=True), 5_000, "too little history"),
    ],
)
def test_what_a_person_must_see_becomes_a_task_with_reasons_and_a_deadline(rules: ApprovalRules, minor: int, why: str) -> None:
    firm, task = _waiting(rules, max(minor, 1_000))
    assert not _sent(firm)
    assert (task.channel, task.step) == ("task", "approve_explain_terms")
    assert why in task.reasons[0]
    assert "explain_terms by email in the tone educational" in task.reasons[1]
    assert (task.expires_at - task.not_before).days == rules.wait_days


def test_what_no_rule_names_leaves_by_itself() -> None:
    for rules in (
        ApprovalRules(),
        ApprovalRules(amount_units=1_001),
        ApprovalRules(clients=("other",)),
        ApprovalRules(moved_days=9),
    ):
        firm = Firm(policy=_policy(rules)).run(_late(Events()), until_ms=ms(14))
        assert not _asked(firm)
        assert len(_sent(firm)) == 1


def test_who_has_just_turned_slow_is_written_to_after_a_person_has_looked() -> None:
    build = Events()
    story = [build.profiled(0), *monthly(build, 10, late=12)]
    plain, careful = (Firm(policy=_policy(ApprovalRules(moved_days=days))).run(story) for days in (0, 60))
    assert not _asked(plain)
    asked = _asked(careful)
    assert asked
    assert all("has been slow for less than 60 days" in row.reasons[0] for row in asked)
    assert {row.segment for row in asked} == {"slow"}
    assert len(asked) < len([row for row in plain.triggers if row.segment == "slow" and row.channel == "email"])


def test_an_approved_message_leaves_at_once_and_says_who_approved_it() -> None:
    firm, task = _waiting()
    firm.run([_answer(14.2, task, note="spoke with them")], until_ms=ms(14.3))
    (message,) = _sent(firm)
    assert message.step == "explain_terms"
    assert "approved by sam: spoke with them" in message.reasons
    assert firm.state is not None
    assert not firm.state.care.approvals


def test_an_approver_may_soften_and_redirect_a_message_but_not_sharpen_it() -> None:
    build = Events()
    slow = build.override(0.5, OverrideEffect.SEGMENT, until=300, value="slow")
    for words, tone, heard in (
        ([slow], "gentle", Tone.GENTLE),
        ([slow], "firm", Tone.STRUCTURED),
        ([], "gentle", Tone.EDUCATIONAL),  # the first step of new clients has no other words
    ):
        firm = Firm(policy=_policy()).run([*words, *_late(Events())], until_ms=ms(14))
        (task,) = _asked(firm)
        firm.run([_answer(14.2, task, tone=tone, channel="portal")], until_ms=ms(14.3))
        (message,) = [row for row in firm.triggers if not row.step.startswith(APPROVE)]
        assert (message.tone, message.channel) == (heard, "portal")


def test_an_approver_makes_no_message_firmer_than_the_client_wishes() -> None:
    build = Events()
    slow = build.override(0.5, OverrideEffect.SEGMENT, until=300, value="slow")
    wish = build.profiled(0.7).model_copy(update={"style": Style.GENTLE})
    firm = Firm(policy=_policy()).run([slow, wish, *_late(build)], until_ms=ms(14))
    (task,) = _asked(firm)
    assert "by email in the tone gentle" in task.reasons[1], "they are asked about what would leave"
    firm.run([_answer(14.2, task, tone="structured")], until_ms=ms(14.3))
    (message,) = _sent(firm)
    assert message.tone is Tone.GENTLE


def test_a_held_message_waits_and_is_asked_about_again() -> None:
    firm, task = _waiting()
    firm.run([_answer(14.2, task, Verdict.HOLD, note="on leave", until=on(22))], until_ms=ms(21.9))
    assert not _sent(firm)
    assert len(_asked(firm)) == 1
    held = [row for row in firm.outputs if isinstance(row, Decision) and row.outcome is DecisionOutcome.HELD]
    assert "held by sam until" in held[-1].reasons[0]
    firm.wake(ms(24))
    assert len({row.trigger_id for row in _asked(firm)}) == 2


def test_without_an_answer_the_softer_path_is_taken_and_after_three_times_a_person_is_needed() -> None:
    firm, task = _waiting()
    firm.wake(ms(60))
    assert not _sent(firm)
    told = [row.reasons[0] for row in firm.outputs if isinstance(row, Decision) and row.outcome is DecisionOutcome.SUPPRESSED]
    assert sum("the softer path is taken" in reason for reason in told) == 3
    assert "a person is needed" in told[-1]
    assert len({row.trigger_id for row in _asked(firm)}) == 3
    firm.run([_answer(61, task)], until_ms=ms(70))
    assert not _sent(firm)


def test_a_payment_takes_the_question_back_and_an_answer_after_it_sends_nothing() -> None:
    firm, task = _waiting()
    firm.run([Events().paid(14.1, event_id="paid"), _answer(14.2, task)], until_ms=ms(40))
    assert [row.because for row in firm.outputs if isinstance(row, Retraction)] == [CancelWhen.INVOICES_SETTLED]
    assert not [row for row in _sent(firm) if row.invoice_ids]


def test_more_money_than_was_approved_is_put_before_a_person_again() -> None:
    firm, task = _waiting(ApprovalRules(amount_units=500))
    build = Events()
    firm.run([build.issued(14.05, "I2", 90_000, due=10.5, event_id="i2"), _answer(15.1, task)], until_ms=ms(15.15))
    assert not _sent(firm)
    assert len(_asked(firm)) == 2
    firm.run([_answer(15.2, _asked(firm)[-1])], until_ms=ms(15.25))
    assert len(_sent(firm)) == 1


def _probation(policy: Policy, approvals: int) -> Regime:
    return regime_after(NOTHING_ACTIVATED, policy_activated(0, policy, approvals=approvals))


def test_the_first_messages_of_a_new_policy_are_approved_until_enough_have_been() -> None:
    policy = policy_of(document_of(_policy(ApprovalRules(first_sends=5))))
    fresh, trusted = (in_force(policy, _probation(policy, count), base=DEFAULT_POLICY, find=lambda _: policy) for count in (5, 0))
    firm = Firm(policy=fresh).run(_late(Events()), until_ms=ms(14))
    assert "is new" in _asked(firm)[0].reasons[0]
    firm.policy = trusted
    firm.wake(ms(30))
    assert len(_sent(firm)) >= 1


@given(stories(), st.booleans())
@settings(max_examples=40)
def test_under_approval_nothing_reaches_a_client_that_nobody_approved(story: Sequence[AnyClientEvent], answers: bool) -> None:
    firm = Firm(policy=_policy())
    approved = 0
    for event in story:
        firm.run([event])
        tasks = [row for row in _asked(firm) if answers and event.received_ms < epoch_ms(row.expires_at)]
        for task in tasks[approved:]:
            at = (event.received_ms - ms(0)) / DAY_MS
            firm.feed(_answer(at, task).model_copy(update={"event_id": f"a-{task.trigger_id}"}))
            approved += 1
    firm.wake(HORIZON)
    clients = [row for row in firm.triggers if row.channel not in firm.policy.internal_channels]
    assert len(clients) <= approved
    assert all(any("approved by sam" in reason for reason in row.reasons) for row in clients)
    assert len({row.trigger_id for row in firm.triggers}) == len(firm.triggers)


@given(stories())
@settings(max_examples=30)
def test_questions_wake_alike_by_tick_and_event_and_pass_the_gate_when_they_are_put(story: Sequence[AnyClientEvent]) -> None:
    woken, late = Firm(policy=_policy()), Firm(policy=_policy(), punctual=False)
    for event in story:
        woken.run([event])
        taken_back = {row.trigger_id for row in woken.outputs if isinstance(row, Retraction)}
        for trigger in _asked(woken)[-1:]:
            now = woken.state.now_ms if woken.state else 0
            fresh = now == epoch_ms(trigger.decided_at) and trigger.trigger_id not in taken_back
            if fresh and woken.state is not None:
                assert still_allowed(woken.state, trigger, now_ms=now).allowed
    live_late(late, story)
    woken.wake(HORIZON)
    while late.due is not None and late.due <= HORIZON:
        late.feed(tick_at(late.due))
    assume(not differs_by_promise(late))
    assert late.outputs == woken.outputs


def test_inspect_tells_what_waits_for_a_person_who_answered_and_when() -> None:
    build = Events()
    firm = Firm(policy=_policy()).run(_late(build), until_ms=ms(15.5))
    (task,) = _asked(firm)
    assert firm.state is not None
    waiting = [line for line in describe(firm.state) if "approval" in line]
    what = f"delayed_payment_support/explain_terms about I1 (task {task.trigger_id[:12]})"
    assert waiting == [f"approval awaited since 2024-01-22 09:00 until 2024-01-25 09:00: {what}"]
    firm.feed(_answer(15.75, task, Verdict.HOLD, note="on leave", until=on(20)))
    assert any(
        "held by sam on 2024-01-24 03:00 until 2024-01-28 09:00: " in line and line.endswith("about I1 (on leave)")
        for line in describe(firm.state)
    ), describe(firm.state)


def test_an_approval_of_a_state_of_before_is_read_without_its_times() -> None:
    row = Approval(0, "I1", "offer_help", "t1", 5, by="sam", asked_ms=3, answered_ms=4)
    old = msgspec.msgpack.encode(msgspec.to_builtins(row)[:-2])
    assert msgspec.msgpack.decode(old, type=Approval) == with_fields(row, asked_ms=0, answered_ms=0)


def test_of_two_answers_to_one_question_the_first_holds() -> None:
    firm, task = _waiting()
    firm.run([_answer(14.2, task, Verdict.HOLD, until=on(22)), _answer(14.3, task)], until_ms=ms(21))
    assert not _sent(firm)
    assert len(_asked(firm)) == 1


def test_an_approval_that_could_not_be_used_within_a_week_is_asked_for_again() -> None:
    policy = stamped(replace(_policy(), contacts_per_month=1))
    firm = Firm(policy=policy).run(_late(Events()), until_ms=ms(14))
    (task,) = _asked(firm)
    called = Events().called(14.1).model_copy(update={"event_id": "called"})
    firm.run([called, _answer(14.2, task)], until_ms=ms(46))
    assert not _sent(firm)
    assert len({row.trigger_id for row in _asked(firm)}) == 2


def test_a_step_found_after_its_window_is_told_as_held_while_something_was_the_matter_and_closed_at_its_end() -> None:
    build = Events()
    story: list[AnyClientEvent] = [
        build.profiled(0, timezone="America/New_York"),
        build.issued(0, "I0", 300, due=14),
        build.issued(0.03, "I2", 300, due=14.03),
        agreed(0.1, 73),
        build.failed(10, "F2", 20_000, "I2", retry=12),
        build.issued(57, "I1", 300, due=71),
        build.disputed(71.03, "D1", "I1"),
    ]
    woken, late = Firm(policy=_policy()), Firm(policy=_policy(), punctual=False)
    woken.run(story)
    live_late(late, story)
    told = [(row.step, row.outcome) for row in woken.outputs if isinstance(row, Decision)][-2:]
    assert told == [("deferral_offer", DecisionOutcome.HELD), ("deferral_offer", DecisionOutcome.SUPPRESSED)]
    assert late.outputs == woken.outputs
