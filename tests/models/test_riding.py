"""Invoices that ride along in the message of another: what has named one was said of it, whatever becomes of the other."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.delays import DisputeOutcome
from models.events.signals import DeliveryOutcome, OverrideEffect
from models.events.union import AnyClientEvent
from models.policy.policy import DEFAULT_POLICY
from models.workdays import DAY_MS
from tests.models.builders import Events, ms
from tests.models.carried import Carried
from tests.models.test_journey_laws import HORIZON, UNSENT, Firm, assert_steps_in_order
from tests.models.test_outcomes import state_of


def slow(build: Events) -> list[AnyClientEvent]:
    """Return a client whom a colleague calls slow: its ladder is the longest."""
    return [build.profiled(0), build.override(0.01, OverrideEffect.SEGMENT, until=300, override="S", value="slow")]


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Events, list[AnyClientEvent]]:
    """Return a few invoices due within weeks, and what is said, credited and paid about them in any order."""
    build = Events()
    story: list[AnyClientEvent] = slow(build) if draw(st.booleans()) else [build.profiled(0)]
    for index in range(draw(st.integers(2, 4))):
        invoice, due = f"I{index}", draw(st.integers(2, 30))
        story.append(build.issued(0.1 + index / 64, invoice, draw(st.sampled_from((60_000, 100_000))), due=due))
        for turn in range(draw(st.integers(0, 3))):
            story += _said(draw, build, invoice, f"{index}{turn}", draw(st.integers(5, 90)) + (4 * index + turn) / 96)
    return build, sorted(story, key=lambda event: (event.received_ms, event.event_id))


def _said(draw: st.DrawFn, build: Events, invoice: str, name: str, day: float) -> list[AnyClientEvent]:
    until = day + draw(st.integers(1, 25)) + 1 / 512
    kinds: tuple[Callable[[], list[AnyClientEvent]], ...] = (
        lambda: [build.disputed(day, f"D{name}", invoice)],
        lambda: [
            build.disputed(day, f"D{name}", invoice),
            build.dispute_closed(until, f"D{name}", draw(st.sampled_from(tuple(DisputeOutcome)))),
        ],
        lambda: [build.promised(day, f"Y{name}", invoice, by=until)],
        lambda: [build.promised(day, f"Y{name}", invoice, by=until + 20), build.promise_withdrawn(until, f"Y{name}")],
        lambda: [build.credit(day, f"C{name}", 25_000, invoice)],
        lambda: [build.credit(day, f"C{name}", 100_000, invoice), build.credit_voided(until, f"C{name}")],
        lambda: [build.paid(day, f"P{name}", 40_000, invoice)],
        lambda: [build.paid(day, f"P{name}", 100_000, invoice), build.charged_back(until, f"B{name}", f"P{name}", 100_000)],
    )
    return draw(st.sampled_from(kinds))()


@given(crowds(), st.booleans())
@settings(max_examples=120)
def test_no_step_is_skipped_or_repeated_for_an_invoice_whatever_rides_along(
    told: tuple[Events, list[AnyClientEvent]], is_carried: bool
) -> None:
    build, story = told
    firm = Carried(build) if is_carried else Firm()
    assert_steps_in_order(firm.run(story, until_ms=HORIZON), DEFAULT_POLICY)


class Flaky(Carried):
    """A firm whose mails end as told, then all arrive; how they ended stands among its outputs."""

    def __init__(self, build: Events, endings: list[DeliveryOutcome]) -> None:
        super().__init__(build)
        self.endings = endings

    def _deliver(self, until_ms: int) -> None:
        for row in self.state.care.pending if self.state else ():
            at = max(row.not_before_ms, state_of(self).now_ms)
            if not row.retracted and at <= until_ms:
                fails = row.channel == "email" and self.endings
                outcome = self.endings.pop() if fails else DeliveryOutcome.SENT
                event = self.build.reported((at - ms(0)) / DAY_MS, row.trigger_id, outcome, channel=row.channel)
                self.outputs.append(event)
                self.feed(event)


ENDINGS = st.lists(st.sampled_from((DeliveryOutcome.SENT, *sorted(UNSENT))), max_size=8)


@given(crowds(), ENDINGS)
@settings(max_examples=60)
def test_nor_where_messages_do_not_arrive(told: tuple[Events, list[AnyClientEvent]], endings: list[DeliveryOutcome]) -> None:
    build, story = told
    assert_steps_in_order(Flaky(build, list(endings)).run(story, until_ms=HORIZON), DEFAULT_POLICY)


def steps_naming(firm: Firm, invoice: str) -> list[str]:
    return [row.step for row in firm.triggers if invoice in row.invoice_ids and row.channel == "email"]


def test_what_an_invoice_rode_along_in_is_not_said_of_it_again() -> None:
    build = Events()
    story = [*slow(build), build.issued(0.1, "I1", due=4), build.issued(0.2, "I2", due=2)]
    firm = Carried(build).run([*story, build.disputed(28, "D1", "I2")], until_ms=ms(80))
    assert steps_naming(firm, "I1") == ["offer_plan", "agree_date"]


def test_an_invoice_begins_with_its_own_first_step_where_what_it_rode_along_in_was_not_delivered() -> None:
    build = Events()
    firm = Carried(build, away_from=12).run(
        [*slow(build), build.issued(0.1, "I1", due=4), build.issued(0.2, "I2", due=2)], until_ms=ms(17)
    )
    (row,) = state_of(firm).care.pending
    assert (row.step, row.invoice_ids) == ("offer_plan", ("I2", "I1"))
    firm.feed(build.disputed(17.1, "D1", "I2"))
    firm.feed(build.reported(17.2, row.trigger_id, DeliveryOutcome.RETRACTED))
    firm.away_ms = ms(100)
    firm.wake(ms(70))
    assert steps_naming(firm, "I1")[1:] == ["clear_dates", "offer_plan", "agree_date"]


def test_a_message_that_bounced_after_all_was_not_said_of_those_who_rode_along() -> None:
    build = Events()
    firm = Carried(build).run([*slow(build), build.issued(0.1, "I1", due=4), build.issued(0.2, "I2", due=2)], until_ms=ms(17))
    message = firm.triggers[-1]
    assert (message.step, message.invoice_ids) == ("offer_plan", ("I2", "I1"))
    firm.feed(build.disputed(17.1, "D1", "I2"))
    firm.feed(build.reported(17.2, message.trigger_id, DeliveryOutcome.BOUNCED_SOFT))
    firm.wake(ms(70))
    assert steps_naming(firm, "I1")[1:] == ["clear_dates", "offer_plan", "agree_date"]
