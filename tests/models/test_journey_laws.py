"""Laws of the journeys: over any history, whatever wakes the client."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Self

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.events.envelope import epoch_ms
from models.events.signals import DeliveryOutcome, DeliveryReported, Purpose
from models.events.union import AnyClientEvent, AnyEvent
from models.ids import derive
from models.learners.baseline import BASELINE
from models.policy.leave import Verdict, known_as, may_leave
from models.policy.policy import DEFAULT_POLICY, Policy, stamped
from models.state.client import ClientState
from models.state.closing import STATE_LIMIT_BYTES
from models.state.codec import encode
from models.transition import transition
from models.triggers import AnyOutput, CancelWhen, Decision, Journey, Retraction, Trigger
from models.workdays import DAY_MS, Window, zone_named
from streams.wire.codec import encode_output
from tests.models.builders import CLIENT, Events, ms, tick_at
from tests.models.stories import arriving, facts
from tests.models.views import fold, is_open

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Nowhere/Town")


class Firm:
    """Folds events as the engine does: wakes the client when a timer is due, at once or with the next event."""

    def __init__(self, *, punctual: bool = True, policy: Policy = DEFAULT_POLICY) -> None:
        self.policy = policy
        self.punctual = punctual
        self.state: ClientState | None = None
        self.due: int | None = None
        self.outputs: list[AnyOutput] = []

    def feed(self, event: AnyEvent) -> None:
        result = transition(self.state, event, policy=self.policy, scorer=BASELINE)
        self.state, self.due = result.state, result.next_due_ms
        self.outputs += result.outputs

    def wake(self, until_ms: int) -> None:
        while self.due is not None and self.due <= until_ms:
            self.feed(tick_at(self.due))

    def run(self, events: Sequence[AnyEvent], *, until_ms: int | None = None) -> Self:
        for event in events:
            if self.punctual:
                self.wake(event.received_ms)
            self.feed(event)
        if until_ms is not None:
            self.wake(until_ms)
        return self

    @property
    def triggers(self) -> list[Trigger]:
        return [output for output in self.outputs if isinstance(output, Trigger)]


@st.composite
def stories(draw: st.DrawFn) -> list[AnyClientEvent]:
    """Return a plausible half year: invoices, payments in any order, disputes, promises, holds, outcomes that come back."""
    build = Events()
    story: list[AnyClientEvent] = []
    zone = draw(st.sampled_from((*ZONES, None)))
    story.append(build.profiled(0, timezone=zone))
    if draw(st.booleans()):
        story.append(build.contract(0.1, renews=draw(st.integers(20, 150))))
    for index in range(draw(st.integers(1, 5))):
        invoice, day = f"I{index}", draw(st.integers(0, 60)) + index / 64
        amount, code = draw(st.sampled_from((300, 20_000, 100_000))), draw(st.sampled_from(("EUR", "EUR", "USD")))
        story.append(build.issued(day, invoice, amount, due=day + 14, currency=code))
        for part in range(draw(st.integers(0, 2))):
            paid = day + draw(st.integers(1, 90)) + (part + 1) / 48
            story.append(
                build.paid(paid, f"P{index}{part}", draw(st.sampled_from((amount, amount // 2))), invoice, currency=code)
            )
        if draw(st.booleans()):
            story.append(_trouble(draw, build, invoice, index, day))
    return sorted(story, key=lambda event: (event.received_ms, event.event_id))


def _trouble(draw: st.DrawFn, build: Events, invoice: str, index: int, day: float) -> AnyClientEvent:
    start = day + draw(st.integers(10, 50)) + 1 / 96
    makers: tuple[Callable[[], AnyClientEvent], ...] = (
        lambda: build.disputed(start, f"D{index}", invoice),
        lambda: build.promised(start, f"Y{index}", invoice, by=start + draw(st.integers(1, 20))),
        lambda: build.hold(start, until=start + draw(st.integers(1, 30)), override=f"O{index}"),
        lambda: build.pending(start, f"P{index}0", 20_000, invoice, expected=start + 4),
        lambda: build.failed(start, f"F{index}", 20_000, invoice, retry=start + 2),
        lambda: build.consent(start, Purpose.SERVICING),
        lambda: build.credit(start, f"C{index}", 10_000, invoice),
        lambda: build.called(start),
        lambda: build.voided(start, invoice),
        lambda: build.refunded(start, f"R{index}", f"P{index}0", 20_000),
    )
    return draw(st.sampled_from(makers))()


HORIZON = ms(240)


def live_late(late: Firm, story: Sequence[AnyEvent]) -> None:
    """Live a story so that nobody looks for up to a day before each event."""
    for event in story:
        if late.due is not None and event.received_ms - late.due >= DAY_MS:
            late.wake(event.received_ms - DAY_MS)  # nobody is found more than a day late: steps stay valid
        late.feed(event)


def differs_by_promise(late: Firm) -> bool:
    """Say whether a step waited until the day on which its window closes, while nobody looked.

    A message is not sent after its window (MissedRun), so who looks only afterwards says so and sends nothing.
    """
    found_late = "found only after its last day"
    return any(isinstance(output, Decision) and found_late in output.reasons for output in late.outputs)


@given(stories())
@settings(max_examples=60)
def test_a_tick_and_an_event_wake_a_client_alike(story: list[AnyClientEvent]) -> None:
    woken, late = Firm().run(story), Firm(punctual=False)
    live_late(late, story)
    assume(not differs_by_promise(late))
    assert [output.model_dump_json() for output in late.outputs] == [output.model_dump_json() for output in woken.outputs]
    assert late.state is not None
    assert woken.state is not None
    assert encode(late.state) == encode(woken.state)


@given(stories())
@settings(max_examples=60)
def test_a_replay_gives_identical_bytes(story: list[AnyClientEvent]) -> None:
    first, second = Firm().run(story, until_ms=HORIZON), Firm().run(story, until_ms=HORIZON)
    assert [output.model_dump_json() for output in first.outputs] == [output.model_dump_json() for output in second.outputs]
    assert first.state is not None
    assert second.state is not None
    assert encode(first.state) == encode(second.state)


@given(stories())
@settings(max_examples=60)
def test_what_the_core_says_unchecked_is_what_its_contract_would_have_made_of_it(story: list[AnyClientEvent]) -> None:
    for output in Firm().run(story, until_ms=HORIZON).outputs:
        contract = type(output)
        checked = contract.model_validate(output.model_dump())
        assert checked == output
        assert set(vars(output)) == set(contract.model_fields)
        assert checked.model_dump_json() == output.model_dump_json()
        written = encode_output(output)
        assert contract.model_validate_json(written) == output
        assert json.loads(written) == json.loads(output.model_dump_json(exclude_none=True))


@given(stories())
@settings(max_examples=60)
def test_nobody_is_contacted_in_quiet_hours(story: list[AnyClientEvent]) -> None:
    firm = Firm().run(story, until_ms=HORIZON)
    for trigger in firm.triggers:
        assert firm.state is not None
        zone = zone_named(firm.state.person.timezone.value, DEFAULT_POLICY.zone)
        moment = epoch_ms(trigger.not_before)
        assert is_open(moment, Window(), zone), (trigger.not_before, zone)
        assert trigger.decided_at <= trigger.not_before < trigger.expires_at


SPARING = stamped(replace(DEFAULT_POLICY, version="sparing", min_gap_days=12, contacts_per_month=2))
"""Under the default policy a client's steps lie further apart by themselves than its gap and its month ask for."""


@given(stories())
@settings(max_examples=60)
def test_contacts_keep_their_distance(story: list[AnyClientEvent]) -> None:
    firm = Firm(policy=SPARING).run(story, until_ms=HORIZON)
    retracted = {output.trigger_id for output in firm.outputs if output.kind == "retraction"}
    moments = sorted(
        epoch_ms(trigger.not_before)
        for trigger in firm.triggers
        if trigger.channel == "email"
        and trigger.trigger_id not in retracted
        and trigger.step != "thank_you"  # a receipt is exempt
    )
    for earlier, later in pairwise(moments):
        assert later - earlier >= SPARING.min_gap_days * DAY_MS
    for index, moment in enumerate(moments):
        within = [other for other in moments[: index + 1] if other > moment - 30 * DAY_MS]
        assert len(within) <= SPARING.contacts_per_month


@given(stories(), st.lists(st.integers(5, 120), min_size=1, max_size=4))
@settings(max_examples=40)
def test_a_call_by_a_colleague_counts_as_a_contact_for_every_journey(story: list[AnyClientEvent], days: list[int]) -> None:
    build = Events()
    calls = [build.called(day + 1 / 7).model_copy(update={"event_id": f"call-{day}"}) for day in sorted(set(days))]
    both = sorted([*story, *calls], key=lambda event: (event.received_ms, event.event_id))
    firm = Firm().run(both, until_ms=HORIZON)
    for trigger in firm.triggers:
        decided = epoch_ms(trigger.decided_at)
        # What is due at the very moment of a call is decided first; the look before sending keeps its distance then.
        known = [call.occurred_ms for call in calls if call.received_ms < decided]
        if (
            known and trigger.channel not in DEFAULT_POLICY.internal_channels and trigger.step != "thank_you"
        ):  # a receipt is exempt
            assert epoch_ms(trigger.not_before) - known[-1] >= DEFAULT_POLICY.min_gap_days * DAY_MS, trigger


@given(stories())
@settings(max_examples=60)
def test_no_step_is_skipped_or_repeated(story: list[AnyClientEvent]) -> None:
    firm = Firm().run(story, until_ms=HORIZON)
    assert len({trigger.trigger_id for trigger in firm.triggers}) == len(firm.triggers)
    assert_steps_in_order(firm, DEFAULT_POLICY)


UNSENT = frozenset({DeliveryOutcome.FAILED, DeliveryOutcome.BOUNCED_SOFT})


def assert_steps_in_order(firm: Firm, policy: Policy) -> None:
    """A message speaks one step past the furthest that has named its invoice; whoever rides along has heard none as far.

    What was taken back, or is reported among the outputs as not delivered, was not heard; a promise or a plan that did not hold
    takes an invoice one step back.
    """
    order = {step.id: place for ladder in policy.journeys.delay.values() for place, step in enumerate(ladder.steps)}
    heard: dict[str, set[int]] = defaultdict(set)
    spoken: dict[str, tuple[int, tuple[str, ...]]] = {}
    for output in firm.outputs:
        if isinstance(output, Retraction) or (isinstance(output, DeliveryReported) and output.outcome in UNSENT):
            back, named = spoken.pop(output.trigger_id, (0, ()))
            for invoice in named:
                heard[invoice].discard(back)
        if isinstance(output, Decision) and output.step in {"promise", "plan"} and output.anchor and heard[output.anchor]:
            last = max(heard[output.anchor])
            heard[output.anchor] = heard[output.anchor] - {last} | set(range(last)[-1:])
        if isinstance(output, Trigger) and output.journey is Journey.DELAY_SUPPORT and output.step in order:
            place = order[output.step]
            assert place == max(heard[output.anchor], default=-1) + 1, output
            assert all(place > max(heard[invoice], default=-1) for invoice in output.invoice_ids), output
            for invoice in output.invoice_ids:
                heard[invoice].add(place)
            spoken[output.trigger_id] = place, output.invoice_ids


@given(stories())
@settings(max_examples=60)
def test_every_trigger_passes_its_own_gate_when_decided(story: list[AnyClientEvent]) -> None:
    firm = Firm()
    for event in story:
        while firm.due is not None and firm.due <= event.received_ms:
            _checked(firm, tick_at(firm.due))
        _checked(firm, event)


def _checked(firm: Firm, event: AnyEvent) -> None:
    seen = len(firm.outputs)
    firm.feed(event)
    fresh = firm.outputs[seen:]
    gone = {output.trigger_id for output in fresh if isinstance(output, Retraction)}
    refused = {
        output.trigger_id for output in fresh if isinstance(output, Retraction) and output.because is CancelWhen.DECIDED_ANEW
    }
    assert refused.isdisjoint(output.trigger_id for output in fresh if isinstance(output, Trigger))
    for output in fresh:
        if isinstance(output, Trigger) and output.trigger_id not in gone:
            assert firm.state is not None
            answer = may_leave(firm.state, known_as(firm.state, output), now_ms=firm.state.now_ms, policy=firm.policy)
            assert answer.verdict is not Verdict.WITHDRAW, answer


@given(stories(), st.integers(0, 40), st.sampled_from(("dispute", "promise", "hold", "consent")))
@settings(max_examples=150)
def test_a_reason_for_silence_never_adds_a_trigger(story: list[AnyClientEvent], at: int, kind: str) -> None:
    cut = story[: 1 + at % len(story)]
    begin = cut[-1].received_ms + 1
    day = (begin - ms(0)) / DAY_MS
    build = Events()
    extra: AnyClientEvent
    match kind:
        case "dispute":
            extra = build.disputed(day, "DX", None)
        case "promise":
            extra = build.promised(day, "YX", None, by=day + 30)
        case "hold":
            extra = build.hold(day, until=day + 30, override="OX")
        case _:
            extra = build.consent(day, Purpose.SERVICING)
    extra = extra.model_copy(update={"event_id": "extra"})
    horizon = begin + 5 * DAY_MS
    without = Firm().run(cut)
    quiet = Firm().run(cut)
    quiet.feed(extra)
    without.wake(horizon)
    quiet.wake(horizon)
    assert {trigger.trigger_id for trigger in quiet.triggers} <= {trigger.trigger_id for trigger in without.triggers}


@given(stories())
@settings(max_examples=40)
def test_each_silence_is_explained_once(story: list[AnyClientEvent]) -> None:
    firm = Firm().run(story, until_ms=HORIZON)
    ids = [output.decision_id for output in firm.outputs if output.kind == "decision"]
    assert len(set(ids)) == len(ids)
    assert len(ids) < 30 * len(story), "a silence is explained once per step, not once per event"


@given(facts(at_most=20))
@settings(max_examples=50)
def test_no_history_makes_timers_that_never_end(events: list[AnyClientEvent]) -> None:
    firm = Firm().run(arriving(events, list(range(len(events)))))
    for _ in range(300):
        if firm.due is None or firm.due > ms(400):
            break
        firm.feed(tick_at(firm.due))
    else:
        message = f"still waking: {firm.state}"
        raise AssertionError(message)


@pytest.mark.timeout(300)
def test_ten_thousand_events_stay_within_the_published_bound() -> None:
    build = Events()
    state: ClientState | None = None
    largest = 0
    for index in range(10_000):
        day = index / 40
        match index % 8:
            case 0 | 1 | 2:
                event: AnyClientEvent = build.issued(day, f"invoice-number-{index}", 1_000 + index, due=day + 30)
            case 3 | 4:
                event = build.paid(day, f"payment-number-{index}", 900 + index, f"invoice-number-{index - 3}")
            case 5:
                event = build.disputed(day, f"dispute-number-{index}", f"invoice-number-{index - 4}")
            case 6:
                event = build.credit(day, f"credit-number-{index}", 100, f"invoice-number-{index - 5}")
            case _:
                event = build.refunded(day, f"refund-number-{index}", f"payment-number-{index - 4}", 100)
        state = fold([event], state=state)[0].state
        if index % 100 == 0:
            largest = max(largest, len(encode(state)))
    assert largest < STATE_LIMIT_BYTES
    assert state is not None
    assert state.memory.forgotten.rows > 0


def test_a_trigger_id_is_the_same_whoever_derives_it() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(0, "I1", due=10)], until_ms=ms(30))
    first = firm.triggers[0]
    assert first.trigger_id == derive("trigger", CLIENT, first.journey.value, "I1", first.step, 0)
    firm.feed(build.reported(31, first.trigger_id, DeliveryOutcome.SENT))


def test_all_messages_of_a_run_share_their_lineage_and_those_of_another_do_not() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(0, "I1", due=10), build.issued(40, "I2", due=50)], until_ms=ms(70))
    lines = {(row.anchor, row.step): row.lineage for row in firm.triggers}
    assert len({line for (anchor, _), line in lines.items() if anchor == "I1"}) == 1
    assert len({anchor for anchor, _ in lines}) == len(set(lines.values())) > 1
    assert len(lines) > len(set(lines.values()))


def test_a_message_about_a_renewal_that_had_to_wait_expires_with_the_renewal() -> None:
    build = Events()
    calls = [build.called(day) for day in (45.5, 48.2, 50.2)]
    firm = Firm().run([build.profiled(0), build.contract(1, renews=60), *calls], until_ms=ms(58))
    first = next(row for row in firm.triggers if row.journey is Journey.RENEWAL)
    assert epoch_ms(first.not_before) + DEFAULT_POLICY.journeys.renewal[0].valid_days * DAY_MS > ms(60)
    assert epoch_ms(first.expires_at) == ms(60)
