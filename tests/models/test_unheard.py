"""A message of whose fate nothing was heard: it is no delivered step, and nothing firmer leaves before its word has come."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.events.envelope import epoch_ms
from models.events.signals import DeliveryOutcome
from models.events.union import AnyClientEvent
from models.policy.gate import earlier_unheard, pending_of, still_allowed
from models.policy.leave import known_as
from models.policy.outcomes import WORD_EXPECTED_MS
from models.policy.policy import DEFAULT_POLICY
from models.state.describe import describe
from models.triggers import CancelWhen, Decision, Journey, Retraction, Trigger
from models.workdays import DAY_MS
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import HORIZON, Firm, stories
from tests.models.test_outcomes import state_of
from tests.models.test_unanswered import Delivering

LOOK_AGAIN_MS = 3_600_000


class Interrupted(Delivering):
    """A firm whose channel worker is down from time to time; back, it works off what waited, as channel workers do."""

    def __init__(self, down: Sequence[tuple[int, int]]) -> None:
        super().__init__(DEFAULT_POLICY)
        self.down = down
        self.left: list[Trigger] = []

    def report(self, at_ms: int, trigger_id: str, channel: str, outcome: DeliveryOutcome = DeliveryOutcome.SENT) -> None:
        up = next((end for begin, end in self.down if begin <= at_ms < end), None)
        trigger = next(row for row in self.triggers if row.trigger_id == trigger_id)
        if up is not None:
            self.posted[trigger_id] = (up, channel)
            return
        if at_ms >= epoch_ms(trigger.expires_at):
            super().report(at_ms, trigger_id, channel, DeliveryOutcome.EXPIRED)
        elif earlier_unheard(state_of(self), known_as(state_of(self), trigger), now_ms=at_ms) is not None:
            self.posted[trigger_id] = (at_ms + LOOK_AGAIN_MS, channel)
        else:
            self.left.append(trigger)
            super().report(at_ms, trigger_id, channel, outcome)


def late(build: Events) -> list[AnyClientEvent]:
    return [build.profiled(0), build.issued(0, "I1", due=2)]


def test_what_expired_unsent_gives_its_contact_back_and_is_said_before_anything_else() -> None:
    build = Events()
    firm = Firm().run(late(build), until_ms=ms(18))
    first, second = firm.triggers
    assert (first.step, second.step) == ("explain_terms", "offer_help")
    assert earlier_unheard(state_of(firm), pending_of(second), now_ms=ms(18)) is not None, (
        "a worker that is back keeps it until it knows"
    )
    assert earlier_unheard(state_of(firm), pending_of(first), now_ms=ms(18)) is None
    firm.feed(build.reported(18, first.trigger_id, DeliveryOutcome.EXPIRED))
    (taken,) = (row for row in firm.outputs if isinstance(row, Retraction))
    assert (taken.trigger_id, taken.because) == (second.trigger_id, CancelWhen.EARLIER_UNSENT)
    assert state_of(firm).care.contacts == ()
    firm.wake(ms(21))
    assert [trigger.step for trigger in firm.triggers] == ["explain_terms", "offer_help", "explain_terms"]
    assert still_allowed(state_of(firm), firm.triggers[-1], now_ms=ms(21)).allowed


def test_it_is_said_in_the_log_of_decisions_and_by_inspect() -> None:
    build = Events()
    firm = Firm().run(late(build), until_ms=ms(13))
    firm.feed(build.issued(13, "I2", due=60))
    expired = [line for line in describe(state_of(firm)) if "without a word from the channel" in line]
    assert expired == [
        "pending: delayed_payment_support/explain_terms by email, expired 2024-01-20 08:00 without a word from the channel"
    ]
    firm.feed(build.reported(14, firm.triggers[0].trigger_id, DeliveryOutcome.EXPIRED))
    said = [row.reasons[0] for row in firm.outputs if isinstance(row, Decision)]
    assert "email did not send it before it expired: it counts as no contact, and its step is due anew" in said
    assert not [line for line in describe(state_of(firm)) if "without a word" in line]


def test_a_word_that_it_left_after_all_counts_as_ever() -> None:
    build = Events()
    firm = Firm().run(late(build), until_ms=ms(18))
    first, second = firm.triggers
    firm.feed(build.reported(7, first.trigger_id).model_copy(update={"received_at": build.called(18).received_at}))
    assert state_of(firm).care.contacts == (ms(7),)
    assert earlier_unheard(state_of(firm), pending_of(second), now_ms=ms(18)) is None


def test_what_comes_after_a_step_that_was_taken_back_is_taken_back_with_it() -> None:
    build = Events()
    firm = Firm().run(late(build), until_ms=ms(8))
    state = state_of(firm)
    (first,) = state.care.pending
    second = replace(first, trigger_id="second", step="offer_help", not_before_ms=ms(14), invoice_ids=("I1", "I2"))
    third = replace(first, trigger_id="third", step="offer_help", not_before_ms=ms(20), invoice_ids=("I2", "I3"))
    firm.state = replace(state, care=replace(state.care, pending=(first, second, third)))
    firm.feed(build.reported(21, first.trigger_id, DeliveryOutcome.EXPIRED))
    back = {row.trigger_id: row.because for row in firm.outputs if isinstance(row, Retraction)}
    assert back == {"second": CancelWhen.EARLIER_UNSENT, "third": CancelWhen.EARLIER_UNSENT}


def test_who_never_hears_anything_counts_it_as_a_contact_in_the_end() -> None:
    build = Events()
    firm = Firm().run(late(build), until_ms=ms(8))
    (row,) = state_of(firm).care.pending
    firm.feed(build.issued((row.expires_ms + WORD_EXPECTED_MS - ms(0)) / DAY_MS - 1, "I2", due=90))
    assert row.trigger_id in {known.trigger_id for known in state_of(firm).care.pending}
    firm.feed(build.issued((row.expires_ms + WORD_EXPECTED_MS - ms(0)) / DAY_MS + 1, "I3", due=90))
    assert row.trigger_id not in {known.trigger_id for known in state_of(firm).care.pending}
    assert row.not_before_ms in state_of(firm).care.contacts


@given(stories(), st.lists(st.tuples(st.integers(10, 90), st.integers(1, 28)), max_size=3))
@settings(max_examples=80)
def test_nobody_gets_a_firmer_step_than_the_one_after_the_last_that_was_delivered(
    story: list[AnyClientEvent], outages: list[tuple[int, int]]
) -> None:
    apart = list[tuple[int, int]]()  # outages that follow on each other could outlast the time for which a word is waited for
    for begin, length in sorted(outages):
        if not apart or begin > apart[-1][1]:
            apart.append((begin, begin + length))
    firm = Interrupted([(ms(begin), ms(end)) for begin, end in apart]).run(story, until_ms=HORIZON)
    order = {step.id: place for ladder in DEFAULT_POLICY.journeys.delay.values() for place, step in enumerate(ladder.steps)}
    delivered: Counter[str] = Counter()
    for trigger in firm.left:
        if trigger.journey is Journey.DELAY_SUPPORT and trigger.step in order:
            assert order[trigger.step] <= delivered[trigger.anchor], (trigger.step, trigger.decided_at)
            delivered.update(trigger.invoice_ids)
    assert len({trigger.trigger_id for trigger in firm.left}) == len(firm.left)
