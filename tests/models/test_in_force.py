"""What the regime of a partition does to decisions: stops, late sources, and versions to which begun runs are pinned."""

from dataclasses import replace

from hypothesis import given, settings

from models.events.control import FeedChanged, HaltScope
from models.events.union import AnyClientEvent, AnyControlEvent
from models.policy.policy import DEFAULT_POLICY, Policy, stamped
from models.state.client import Segment
from models.triggers import Decision, DecisionOutcome, Journey, Trigger
from models.workdays import DAY_MS
from streams.engine.program import ClientProgram
from tests.models.builders import Events, ms, on
from tests.models.controls import halt, policy_activated
from tests.models.test_journey_laws import HORIZON, Firm, stories

BASE = {"source": "cli", "author": "mia"}


def late(day: float, *, feed: str = "test", since: float | None) -> FeedChanged:
    return FeedChanged.model_validate(
        {**BASE, "event_id": f"feed-{day}", "occurred_at": on(day), "received_at": on(day), "reason": "nothing comes"}
        | {"feed": feed, "late_since": None if since is None else on(since)}
    )


class Governed(Firm):
    """A firm whose partition hears control events."""

    def __init__(self) -> None:
        super().__init__()
        self.program = ClientProgram()
        self.regime = b""

    def hear(self, event: AnyControlEvent) -> "Governed":
        self.regime = self.program.govern(self.regime, event)
        self.policy = self.program.under(self.regime).policy
        return self

    @property
    def decisions(self) -> list[Decision]:
        return [output for output in self.outputs if isinstance(output, Decision)]


def support(firm: Firm) -> list[Trigger]:
    return [trigger for trigger in firm.triggers if trigger.journey is Journey.DELAY_SUPPORT]


@given(stories())
@settings(max_examples=25)
def test_while_everything_is_stopped_nothing_is_sent_whatever_happens(story: list[AnyClientEvent]) -> None:
    firm = Governed().hear(halt(0))
    firm.run(story, until_ms=ms(60))
    assert not firm.triggers


def test_a_stop_is_written_down_once_with_its_reason_and_what_it_held_is_decided_anew_within_the_hour() -> None:
    build = Events()
    firm = Governed().hear(halt(0))
    firm.run([build.profiled(0), build.issued(1, due=10)], until_ms=ms(16))
    stopped = [row for row in firm.decisions if "stopped by mia" in row.reasons[0]]
    assert [(row.outcome, row.step) for row in stopped] == [(DecisionOutcome.HELD, "explain_terms")]
    firm.hear(halt(16, halted=False)).wake(ms(16.9))
    (sent,) = support(firm)
    assert sent.step == "explain_terms"


def test_what_a_stop_held_is_one_message_about_all_that_is_still_late_when_it_ends() -> None:
    build = Events()
    firm = Governed().hear(halt(0))
    log: list[AnyClientEvent] = [build.profiled(0), *(build.issued(1 + n / 24, f"I{n}", 100_000, due=10 + n) for n in range(4))]
    firm.run([*log, build.paid(20, "P1", 100_000, "I1"), build.disputed(21, "D1", "I2")], until_ms=ms(25))
    firm.hear(halt(25, halted=False)).wake(ms(28))
    (sent,) = [trigger for trigger in support(firm) if trigger.channel == "email"]
    assert sent.invoice_ids == ("I0", "I3")


def test_a_stopped_journey_leaves_the_others_alone() -> None:
    build = Events()
    firm = Governed().hear(halt(0, scope=HaltScope.JOURNEY, target="post_payment_onboarding"))
    firm.run([build.profiled(0), build.paid(1, "P0", 500, None), build.issued(2, due=10)], until_ms=ms(16))
    assert {trigger.journey for trigger in firm.triggers} == {Journey.DELAY_SUPPORT}


def test_when_a_source_is_late_support_waits_for_its_news_and_thanks_do_not() -> None:
    build = Events()
    firm = Governed().hear(late(9, since=8.5))
    firm.run([build.profiled(0), build.issued(1, due=10), build.paid(9, "P0", 500, None)], until_ms=ms(16))
    assert [trigger.journey for trigger in firm.triggers] == [Journey.ONBOARDING]
    assert any("no news from test since" in row.reasons[0] for row in firm.decisions)
    firm.hear(late(16, since=None)).wake(ms(17))
    assert [trigger.journey for trigger in firm.triggers] == [Journey.ONBOARDING, Journey.DELAY_SUPPORT]


def test_a_late_source_holds_nobody_whose_money_comes_through_another() -> None:
    build = Events()
    firm = Governed().hear(late(9, feed="gocardless", since=8.5))
    firm.run([build.profiled(0), build.paid(0.5, "P0", 500, None), build.issued(1, due=10)], until_ms=ms(16))
    assert support(firm)


def _firmer() -> Policy:
    ladders = dict(DEFAULT_POLICY.journeys.delay)
    ladders[Segment.NEW] = replace(ladders[Segment.NEW], steps=ladders[Segment.SLOW].steps[:1])
    return stamped(replace(DEFAULT_POLICY, version="firmer", journeys=replace(DEFAULT_POLICY.journeys, delay=ladders)))


def test_a_run_keeps_the_steps_of_the_policy_it_was_begun_under_and_a_new_one_begins_under_the_policy_in_force() -> None:
    build = Events()
    first, other = stamped(replace(DEFAULT_POLICY, version="first")), _firmer()
    for before in ([], [policy_activated(0, first)]):
        firm = Governed()
        for event in before:
            firm.hear(event)
        version = firm.policy.version
        firm.run([build.profiled(0), build.issued(1, "I1", due=10)], until_ms=ms(15))
        firm.hear(policy_activated(15, other))
        firm.run([build.issued(16, "I2", due=17), build.paid(40, "P1", 100_000, "I1")], until_ms=ms(60))
        told = [(row.step, row.policy_version) for row in firm.decisions if row.outcome is DecisionOutcome.TRIGGERED]
        steps = [row for row in told if row[0] not in {"thank_you", "outcome_check"}]
        assert steps[:2] == [("explain_terms", version), ("offer_help", version)]


def test_an_invoice_that_begins_after_the_activation_follows_the_new_policy() -> None:
    build = Events()
    firm = Governed()
    firm.run([build.profiled(0), build.issued(1, "I1", due=10), build.paid(14.5, "P1", 100_000, "I1")])
    firm.hear(policy_activated(15, _firmer()))
    firm.run([build.issued(16, "I2", due=20)], until_ms=ms(60))
    assert [trigger.step for trigger in support(firm) if trigger.channel == "email"][-1:] == ["clear_dates"]
    assert support(firm)[-1].policy_version == _firmer().version


def test_a_stop_beats_the_pin() -> None:
    build = Events()
    firm = Governed().hear(policy_activated(0, stamped(replace(DEFAULT_POLICY, version="first"))))
    firm.run([build.profiled(0), build.issued(1, "I1", due=10)], until_ms=ms(15))
    assert len(support(firm)) == 1
    firm.hear(halt(15)).wake(HORIZON - DAY_MS)
    assert len(support(firm)) == 1


def test_a_run_begun_before_anything_was_activated_keeps_its_policy_when_a_restart_reads_another_file() -> None:
    build = Events()
    first = stamped(replace(DEFAULT_POLICY, version="first-file"))
    firm = Governed()
    firm.program = ClientProgram(policy=first)
    firm.policy = first
    firm.run([build.profiled(0), build.issued(1, "I1", due=10)], until_ms=ms(15))
    firm.hear(policy_activated(15, stamped(replace(DEFAULT_POLICY, version="second"))))
    restarted = ClientProgram(policy=_firmer()).under(firm.regime)
    assert firm.state is not None
    (run,) = firm.state.care.runs
    assert restarted.policy.of_run(run).version == first.version
    assert restarted.policy.of_run(run).journeys == first.journeys
