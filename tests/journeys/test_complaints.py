"""What users of other systems complain about, one test each: the name is the complaint turned into our promise."""

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from models.events.signals import Colleague, DeliveryOutcome, OverrideEffect, Purpose, Role
from models.events.union import AnyClientEvent
from models.policy.gate import still_allowed
from models.policy.leave import Verdict, known_as, may_leave
from models.policy.policy import DEFAULT_POLICY
from models.state.balances import items
from models.state.client import ClientState
from models.triggers import CancelWhen, Decision, DecisionOutcome, ExamplesWithdrawn, Retraction, Trigger
from streams.agents.readers import INTAKE_READERS
from streams.engine.memory_pipeline import MemoryPipeline
from streams.engine.program import ClientProgram
from streams.runtime.clock import fresh_id
from streams.wire.codec import encode_event
from streams.wire.dead_letters import read_dead_letter
from streams.wire.records import PlainRecord
from streams.wire.topics import DEAD_LETTERS
from tests.conftest import Servers
from tests.handlers import channel_examples
from tests.handlers.channel_bench import Bench
from tests.models.builders import Events, eur, ms, on, tick_at
from tests.models.controls import halt
from tests.models.test_in_force import Governed, late
from tests.models.test_journey_laws import Firm
from tests.models.test_unanswered import Delivering
from tests.simulator.run import Simulator


def _late(build: Events, *, invoices: int = 1) -> list[AnyClientEvent]:
    """Return a client with invoices due on day 10 and a cent of difference between them."""
    return [
        build.profiled(0),
        *(build.issued(1 + index / 24, f"I{index + 1}", 50_000 + index, due=10) for index in range(invoices)),
    ]


def _support(firm: Firm) -> list[Trigger]:
    return [trigger for trigger in firm.triggers if trigger.invoice_ids]


def _state(firm: Firm) -> ClientState:
    assert firm.state is not None
    return firm.state


def _decisions(firm: Firm) -> list[Decision]:
    return [output for output in firm.outputs if isinstance(output, Decision)]


def _says(firm: Firm, words: str) -> bool:
    return any(words in decision.reasons[0] for decision in _decisions(firm))


def _taken_back(firm: Firm) -> list[tuple[str, CancelWhen]]:
    return [(output.trigger_id, output.because) for output in firm.outputs if isinstance(output, Retraction)]


def test_01_nobody_is_reminded_although_they_have_paid_or_are_about_to_be_charged() -> None:
    build = Events()
    firm = Firm().run(_late(build), until_ms=ms(14.05))
    (reminder,) = _support(firm)
    firm.feed(build.paid(14.1, minor=50_000))
    assert _taken_back(firm) == [(reminder.trigger_id, CancelWhen.INVOICES_SETTLED)]
    assert not still_allowed(_state(firm), reminder, now_ms=ms(14.2)).allowed
    build = Events()
    for news, words in (
        (build.failed(12, minor=50_000, retry=15), "try the payment again"),
        (build.pending(12, minor=50_000, expected=14), "is under way"),
        (build.paid(12, minor=50_000, invoice=None), "cash or credit on account covers"),
    ):
        silent = Firm().run([*_late(build), news], until_ms=ms(14.05))
        assert not _support(silent)
        assert _says(silent, words)
    charged = Firm().run(_late(build), until_ms=ms(14.05))
    charged.feed(build.pending(14.1, minor=50_000, expected=16))
    assert [because for _, because in _taken_back(charged)] == [CancelWhen.INVOICES_PROMISED]
    unheard = Governed().hear(late(9, since=8.5))  # our own lag is no fault of the client's
    unheard.run([build.paid(0.5, "P0", 500, None), *_late(build)], until_ms=ms(14.05))
    assert not _support(unheard)
    assert _says(unheard, "no news from test since")


def test_02_a_missed_or_shifted_schedule_neither_skips_a_stage_nor_sends_two_at_once() -> None:
    build = Events()
    punctual = Firm().run(_late(build), until_ms=ms(60))
    asleep = Firm(punctual=False).run(_late(Events()))
    for day in (40, 41, 42, 55, 56, 57, 70, 71, 72, 90):  # nobody woke the client for a month, and seldom later
        asleep.feed(tick_at(ms(day)))
    steps = [trigger.step for trigger in _support(asleep)]
    assert steps == [trigger.step for trigger in _support(punctual)] == ["explain_terms", "offer_help", "ladder_end"]
    moments = [trigger.not_before for trigger in _support(asleep)]
    assert (moments[1] - moments[0]).days >= 10
    assert _says(asleep, "after it was due")
    build = Events()
    shifted = Delivering(DEFAULT_POLICY).run([*_late(build), build.amended(14.5, due=30)])
    shifted.wake(ms(90))
    assert [trigger.step for trigger in _support(shifted)] == steps
    assert _support(shifted)[1].not_before >= on(33)
    edited = Firm().run([*_late(Events()), build.amended(13.9, minor=60_000)], until_ms=ms(40))
    (first, *_) = _support(edited)
    assert (first.step, first.not_before >= on(14.9)) == ("explain_terms", True)  # who edits may not be done yet


async def test_03_no_message_is_sent_twice_when_deliveries_repeat_or_everything_runs_again() -> None:
    build = Events()
    events = [*_late(build), build.called(12)]
    once = Firm().run(events, until_ms=ms(60))
    twice = Firm().run([event for event in events for _ in range(3)], until_ms=ms(60))
    again = Firm().run(events, until_ms=ms(60))
    wanted = [trigger.trigger_id for trigger in once.triggers]
    assert [trigger.trigger_id for trigger in twice.triggers] == wanted
    assert [trigger.trigger_id for trigger in again.triggers] == wanted
    assert len(set(wanted)) == len(wanted)
    assert _state(twice) == _state(again) == _state(once)
    bench = Bench()
    await bench.open()
    for _ in range(2):  # the engine publishes again what it published before it died
        await bench.take(channel_examples.trigger())
        await bench.work()
    assert [message.idempotency_key for message in bench.channel.sent] == ["t1"]


def test_04_many_open_invoices_make_one_message_with_credit_notes_taken_off() -> None:
    build = Events()
    story = [*_late(build, invoices=4), build.credit(8, minor=10_000, invoice="I1"), build.disputed(9, "D1", "I3")]
    firm = Firm().run(story, until_ms=ms(14))
    (only,) = _support(firm)
    assert sorted(only.invoice_ids) == ["I1", "I2", "I4"]  # what is disputed does not ride along
    assert only.facts["amount_open"] == eur(50_000 + 50_001 + 50_003 - 10_000)
    assert [line.open for line in only.statement] == [eur(50_000), eur(50_001), eur(50_003)]
    assert [total.credit for total in only.totals] == [eur(10_000)]


def test_05_a_promise_or_a_plan_pauses_the_sequence_and_it_resumes_by_itself_when_that_is_broken() -> None:
    build = Events()
    firm = Firm().run([*_late(build), build.promised(11, "Y1", "I1", by=30)], until_ms=ms(29))
    assert not _support(firm)
    assert _says(firm, "payment of invoice I1 is promised")
    firm.wake(ms(45))
    assert _support(firm)
    assert _says(firm, "was not kept")
    later = Events()
    softer = Delivering(DEFAULT_POLICY).run([*_late(later), later.promised(24.2, "Y1", "I1", by=30)], until_ms=ms(40))
    assert [trigger.step for trigger in _support(softer)] == ["explain_terms", "offer_help", "offer_help"]
    agreed = Events()
    paying = Firm().run([*_late(agreed), agreed.planned(11, "L1", "I1", parts=((40, 25_000), (70, 25_000)))], until_ms=ms(39))
    assert not _support(paying)
    assert _says(paying, "a plan covers invoice I1")
    paying.wake(ms(110))
    assert [trigger.step for trigger in _support(paying)][:2] == ["missed_instalment", "plan_check"]
    assert _says(paying, "the plan holds no more")
    paused = Firm().run([*_late(Events()), build.hold(11, until=20)], until_ms=ms(19.9))
    assert not _support(paused)
    assert _says(paused, "on hold by sam")
    paused.wake(ms(22))
    assert [trigger.step for trigger in _support(paused)] == ["explain_terms"]


def test_06_part_payments_leave_right_amounts_and_an_invoice_is_not_taken_for_settled() -> None:
    build = Events()
    firm = Firm().run([*_late(build), build.paid(11, minor=20_000)], until_ms=ms(14))
    (asked,) = _support(firm)
    assert asked.facts["amount_open"] == eur(30_000)
    firm.feed(build.paid(14.5, "P2", 10_000))
    assert [item.rest for item in items(_state(firm).ledger, ms(15))] == [20_000]
    firm.wake(ms(20))
    assert _support(firm)[-1].facts["amount_open"] == eur(20_000)
    build = Events()
    several = Firm().run([*_late(build, invoices=2), build.paid(11, "P1", 60_000, None), build.paid(11.1, "P2", 20_000, "I2")])
    assert [(item.covered, item.rest) for item in items(_state(several).ledger, ms(12))] == [(50_000, 0), (10_000, 20_001)]
    several.feed(build.refunded(12, "R1", "P2", 15_000))
    assert [item.left for item in items(_state(several).ledger, ms(12))] == [50_000, 45_001]
    several.feed(build.refunded(13, "R2", "P1", 55_000))
    assert [item.covered for item in items(_state(several).ledger, ms(13))] == [5_000, 0]
    contested = build.disputed(11.2, "D1", "I2", minor=10_000)
    claimed = Firm().run([*_late(Events(), invoices=2), build.paid(11, "P1", 60_000, None), contested])
    assert [(item.covered, item.rest) for item in items(_state(claimed).ledger, ms(12))] == [(50_000, 0), (10_000, 30_001)]
    shared = [build.paid(11, "P1", 20_000, "I1"), build.paid(11.1, "P1", 10_000, "I2")]  # one payment of two invoices
    both = Firm().run([*_late(Events(), invoices=2), *shared])
    assert [item.rest for item in items(_state(both).ledger, ms(12))] == [30_000, 40_001]
    fees = Firm().run([*_late(Events()), build.paid(11, "P1", 49_800, "I1")], until_ms=ms(60))
    assert not _support(fees)  # what the bank has kept is no delay
    assert _says(fees, "too little for a message of its own")


def test_07_nobody_is_written_to_at_night_or_on_a_weekend_or_holiday_of_their_own() -> None:
    holiday = date(2024, 1, 22)
    policy = replace(DEFAULT_POLICY, holidays={"IE": frozenset({holiday})})
    for zone in ("Pacific/Auckland", "America/Los_Angeles", "Asia/Kathmandu"):
        build = Events()
        story: list[AnyClientEvent] = [
            build.profiled(0, timezone=zone, country="IE"),
            build.issued(1, due=10),
            build.issued(2, "I2", due=40),
        ]
        firm = Firm(policy=policy).run(story, until_ms=ms(80))
        assert firm.triggers
        for trigger in firm.triggers:
            local = trigger.not_before.astimezone(ZoneInfo(zone))
            assert local.weekday() < 5
            assert local.date() != holiday
            assert 8 <= local.hour < 18
    firm = Firm().run(_late(Events()), until_ms=ms(14))
    (reminder,) = _support(firm)
    night = may_leave(_state(firm), known_as(_state(firm), reminder), now_ms=ms(14.6), policy=firm.policy)
    assert (night.verdict, night.until_ms) == (Verdict.HOLD, firm.policy.open_hour(_state(firm), ms(14.6)))


def test_08_one_budget_holds_across_journeys_and_who_lost_is_written_down_with_the_reason() -> None:
    build = Events()
    story: list[AnyClientEvent] = [build.profiled(0), build.issued(1, due=10), build.contract(1.5, renews=28)]
    firm = Firm().run([*story, build.paid(9, "P0", 500, None)], until_ms=ms(60))
    quiet = [decision for decision in _decisions(firm) if decision.outcome in {DecisionOutcome.HELD, DecisionOutcome.SUPPRESSED}]
    assert any(decision.journey == "pre_renewal" and "overdue" in decision.reasons[0] for decision in quiet)
    scarce = Firm(policy=replace(DEFAULT_POLICY, contacts_per_month=2)).run([*_late(Events()), build.called(13)], until_ms=ms(60))
    first, second, *_ = (trigger for trigger in _support(scarce) if trigger.channel == "email")
    assert (first.not_before >= on(16), second.not_before >= on(43)) == (True, True)  # the call counts for gap and month
    assert _says(scarce, "at least 3 days lie between")
    assert _says(scarce, "2 contacts within 30 days are enough")
    small = [build.paid(24.5 + part / 9, f"P{part}", 900) for part in range(5)]
    crowded = Firm().run([build.profiled(0), build.contract(0.1, renews=40), *small], until_ms=ms(60))
    moments = sorted(each.not_before for each in crowded.triggers if each.step != "thank_you")
    assert [trigger.journey for trigger in crowded.triggers][1:3] == ["burst_checkin", "pre_renewal"]
    assert all((later - earlier).days >= DEFAULT_POLICY.min_gap_days for earlier, later in pairwise(moments))
    assert _says(crowded, "burst_checkin/how_is_it_going goes first")
    stopped = Governed().hear(halt(12)).run(_late(Events()), until_ms=ms(14.5))
    assert not stopped.triggers
    assert _says(stopped, "stopped by mia")  # held and told, never dropped in silence


async def test_09_a_journey_ends_on_its_goal_at_any_moment_and_a_cancel_can_be_trusted() -> None:
    for day in (11, 13.2, 15, 23.2, 40):
        build = Events()
        firm = Firm().run([*_late(build), build.paid(day, minor=50_000)])
        before = len(_support(firm))
        firm.wake(ms(200))
        assert len(_support(firm)) == before
        for trigger in _support(firm):
            assert not still_allowed(_state(firm), trigger, now_ms=ms(day) + 1).allowed
    build = Events()
    overtaken = Firm().run([build.profiled(0), build.paid(0.9, minor=50_000), build.issued(1, minor=50_000, due=10)])
    overtaken.wake(ms(200))
    assert not _support(overtaken)  # the payment came before the invoice was known
    firm = Firm().run(_late(build), until_ms=ms(14.05))
    (reminder,) = _support(firm)
    firm.feed(build.paid(14.1, minor=50_000))
    known = known_as(_state(firm), reminder)
    assert known.retracted
    assert may_leave(_state(firm), known, now_ms=ms(14.2), policy=firm.policy).verdict is Verdict.WITHDRAW
    paused = Firm().run(_late(Events()), until_ms=ms(14.05))
    (pending,) = _support(paused)
    paused.run([build.hold(14.06, until=30), build.cleared(14.07)])  # what was taken back stays so
    assert may_leave(_state(paused), known_as(_state(paused), pending), now_ms=ms(14.1), policy=paused.policy).code == "on_hold"
    bench = Bench()
    await bench.open()
    await bench.take(channel_examples.trigger(), channel_examples.retraction())
    await bench.work()
    assert not bench.channel.sent
    assert [event.outcome for event in await bench.outcomes()] == [DeliveryOutcome.RETRACTED]


def test_10_nobody_enters_the_same_journey_twice_and_a_new_invoice_enters_again() -> None:
    build = Events()
    events = [*_late(build), build.amended(5, "I1", minor=50_500), build.paid(16, minor=50_500), build.issued(40, "I2", due=50)]
    firm = Firm().run(events, until_ms=ms(56))
    assert [(trigger.anchor, trigger.step) for trigger in _support(firm)] == [("I1", "explain_terms"), ("I2", "explain_terms")]
    runs = [(run.journey, run.anchor) for run in _state(firm).care.runs]
    assert len(set(runs)) == len(runs)
    firm.feed(build.paid(57, "P2", 10_000, "I2"))
    assert [trigger.step for trigger in firm.triggers].count("thank_you") == 1  # a second payment is no second beginning
    build = Events()
    back = Delivering(DEFAULT_POLICY).run([*_late(build), build.paid(25, minor=50_000), build.failed(30, "P1", 50_000)])
    back.wake(ms(60))
    assert [trigger.step for trigger in _support(back)] == [
        "explain_terms",
        "offer_help",
        "ladder_end",
    ]


def test_11_each_message_is_for_who_sees_to_its_matter_and_invoices_from_before_the_automation_start_when_a_person_says_so() -> (
    None
):
    build = Events()
    people = (
        Colleague(role=Role.PARTNER, name="Pat", email="pat@client.example"),
        Colleague(role=Role.ACCOUNTS_PAYABLE, name="Bo", email="bo@client.example"),
    )
    known = Firm().run(
        [*_late(build), build.profiled(0.5).model_copy(update={"colleagues": people}), build.contract(1, renews=100)],
        until_ms=ms(14),
    )
    (reminder,) = _support(known)
    assert reminder.audience is Role.ACCOUNTS_PAYABLE
    known.feed(build.paid(15, minor=50_000))
    known.wake(ms(90))
    assert {trigger.audience for trigger in known.triggers if trigger.purpose is Purpose.RELATIONSHIP} == {Role.PARTNER}
    build = Events()
    firm = Firm().run([build.profiled(100), build.issued(1, "OLD", due=15, received=100)], until_ms=ms(200))
    (task,) = _support(firm)  # a colleague is asked, and nothing is sent
    assert (task.channel, task.step) == ("task", "ladder_end")
    assert any("a person decides whether support in the delay starts" in reason for reason in task.reasons)
    assert [item.invoice.invoice_id for item in items(_state(firm).ledger, ms(200))] == ["OLD"]
    assert _says(firm, "only when a person releases it")
    firm.run([build.override(201, OverrideEffect.RELEASE, until=300)], until_ms=ms(205))
    assert [(trigger.channel, trigger.step) for trigger in _support(firm)[1:]] == [("email", "explain_terms")]


def test_12_every_message_and_every_silence_says_why() -> None:
    build = Events()
    story = [*_late(build), build.contract(2, renews=30), build.disputed(14.5, "D1", "I1")]
    firm = Firm().run(story, until_ms=ms(60))
    told = _decisions(firm)
    assert {trigger.trigger_id for trigger in firm.triggers} == {
        decision.trigger_id for decision in told if decision.outcome is DecisionOutcome.TRIGGERED
    }
    retracted = [decision for decision in told if decision.outcome is DecisionOutcome.RETRACTED]
    assert [decision.trigger_id for decision in retracted] == [name for name, _ in _taken_back(firm)] != []
    silent = {str(decision.journey): decision.reasons[0] for decision in told if decision.outcome is DecisionOutcome.HELD}
    assert "a dispute is open" in silent["pre_renewal"]
    assert _says(firm, "invoice I1 is disputed: nothing is asked for until that is settled")
    assert all(decision.policy_version == DEFAULT_POLICY.version for decision in told)


def test_13_an_event_that_cannot_be_read_is_kept_with_its_bytes_and_the_reason_and_counts_once_it_is_mended() -> None:
    pipeline = MemoryPipeline(ClientProgram(), readers=INTAKE_READERS, start=datetime(2024, 1, 8, tzinfo=UTC))
    assert pipeline.receive("payments", b'{"kind": "payment.dreamt"}') == []
    (letter,) = [entry for entry in pipeline.entries if entry.topic == DEAD_LETTERS.name]
    assert letter.value == b'{"kind": "payment.dreamt"}'
    assert {"stage", "reason", "detail"} <= {name for name, _ in letter.headers}
    kept = read_dead_letter(
        PlainRecord(
            topic=letter.topic, partition=0, offset=7, timestamp=0, key=letter.key, value=letter.value, headers=letter.headers
        )
    )
    mended = encode_event(Events().paid(1, minor=50_000))
    (step,) = pipeline.receive(kept.src_topic, mended, headers=kept.redriven_headers("0:7"))
    assert step.after is not None
    assert [payment.payment_id for payment in step.after.ledger.payments] == ["P1"]


@pytest.mark.integration
def test_14_a_worker_that_hangs_dies_or_loses_its_partition_forgets_nothing_and_repeats_nothing(servers: Servers) -> None:
    simulator = Simulator(servers.redis_url, namespace=f"complaint{fresh_id()[:10]}")
    tally = simulator.run_all(range(20))
    simulator.close()
    assert not tally.failed, [run.mismatches for run in tally.failed]
    assert min(tally.faults[fault] for fault in ("kill -9", "stopped process", "rebalance", "group forgotten")) > 0
    assert tally.records > 500


def test_15_a_soft_bounce_or_a_reply_is_no_opt_out_and_an_erasure_leaves_nothing_in_the_state() -> None:
    build = Events()
    firm = Firm().run(_late(build), until_ms=ms(14))
    (first,) = _support(firm)
    firm.feed(build.reported(14.2, first.trigger_id, DeliveryOutcome.BOUNCED_SOFT))
    assert not _state(firm).person.suppressions
    firm.wake(ms(20))
    second = _support(firm)[-1]
    assert second.trigger_id != first.trigger_id
    firm.feed(build.reported(21, second.trigger_id, DeliveryOutcome.REPLIED))
    assert not _state(firm).person.suppressions
    firm.wake(ms(40))
    waits = _support(firm)[-1]
    assert waits.trigger_id not in {first.trigger_id, second.trigger_id}
    assert all(word in repr(_state(firm)) for word in ("Ada", "client.example", "I1"))
    firm.feed(build.erased(40))
    assert not any(word in repr(_state(firm)) for word in ("Ada", "client.example", "I1"))
    assert (waits.trigger_id, CancelWhen.CLIENT_ERASED) in _taken_back(firm)
    assert isinstance(firm.outputs[-1], ExamplesWithdrawn)
    assert _state(firm).erased_ms == ms(40)
