from dataclasses import replace
from datetime import timedelta

import pytest

from handlers.channels.contract import ContentError, Limits, OnAmbiguous, Recipient, Verdict
from handlers.channels.lane import Continue, Pause, Reopen, SeekTo
from handlers.channels.ledger import Owner
from handlers.channels.memory_ledger import MemoryLedgers
from handlers.channels.presend import LastLook
from models.addresses import email_digest
from models.events.envelope import epoch_ms
from models.events.signals import DeliveryOutcome
from models.ids import derive
from streams.runtime.errors import RetryError
from streams.runtime.metrics import CHANNEL_CIRCUIT_OPEN, CHANNEL_WAITING, CONTACT_SUPPRESSED
from tests.handlers.channel_bench import Bench, ScriptedChannel
from tests.handlers.channel_examples import ADA, NOW, record, retraction, trigger
from tests.waiting import until_async

HOUR = timedelta(hours=1)


@pytest.fixture
async def bench() -> Bench:
    made = Bench()
    await made.open()
    return made


async def test_a_trigger_is_sent_once_and_its_outcome_goes_to_signals(bench: Bench) -> None:
    assert await bench.take(trigger()) == Continue(claimed=1)
    await bench.work()
    (message,) = bench.channel.sent
    assert (message.idempotency_key, message.address, message.attempt) == ("t1", "ada@client.example", 1)
    (event,) = await bench.outcomes()
    assert event.event_id == derive("delivery", "t1", "sent", 1)
    assert (event.client_id, event.channel, event.outcome) == ("ada", "email", DeliveryOutcome.SENT)
    assert (event.occurred_at, event.received_at) == (NOW, NOW)
    assert bench.topic.records[0][:2] == ("signals", b"ada")


@pytest.mark.parametrize("verdict", [Verdict.ACCEPTED, Verdict.BOUNCED, Verdict.UNCERTAIN])
async def test_an_outcome_says_where_the_message_went_as_a_digest_and_what_kind_it_was(bench: Bench, verdict: Verdict) -> None:
    bench.channel.script.append(verdict)
    await bench.take(trigger())
    await bench.work()
    (event,) = await bench.outcomes()
    assert (event.address, event.purpose) == (email_digest("ada@client.example"), trigger().purpose)
    assert b"ada@client.example" not in bench.topic.records[0][2]


async def test_records_seen_again_are_filtered_and_nothing_is_sent_twice(bench: Bench) -> None:
    await bench.take(trigger("a"), trigger("b"))
    again = [record(trigger("a"), offset=2, src_offset=0), record(trigger("b"), offset=3, src_offset=1)]
    assert await bench.lane.take(again) == Continue(claimed=0)
    assert bench.lane.filtered == 2
    await bench.work()
    assert [message.idempotency_key for message in bench.channel.sent] == ["a", "b"]


async def test_triggers_that_the_client_library_loses_again_and_again_are_never_taken_for_absent(bench: Bench) -> None:
    bench.on_topic = [0, 1, 2]
    first, lost, last = record(trigger("a"), offset=0), record(trigger("b"), offset=1), record(trigger("c"), offset=2)
    assert await bench.lane.take([first, last]) == SeekTo(1)
    for _ in range(3):
        assert await bench.lane.take([last]) == SeekTo(1)
    assert await bench.lane.take([lost, last]) == Continue(claimed=2)
    await bench.work()
    assert [message.idempotency_key for message in bench.channel.sent] == ["a", "b", "c"]


async def test_a_hole_that_is_in_the_topic_itself_is_passed_when_the_topic_was_asked(bench: Bench) -> None:
    bench.on_topic = [0, 7]
    first, last = record(trigger("a"), offset=0), record(trigger("b"), offset=7)
    assert await bench.lane.take([first, last]) == SeekTo(1)
    assert await bench.lane.take([last]) == SeekTo(1)
    assert await bench.lane.take([last]) == Continue(claimed=1)


async def test_a_trigger_for_later_is_held_until_its_time(bench: Bench) -> None:
    await bench.take(trigger(not_before=NOW + HOUR))
    assert await bench.turn() == 0
    bench.pass_time(business=HOUR)
    assert await bench.turn() == 1


async def test_a_trigger_past_its_expiry_is_never_sent_even_while_the_provider_is_away(bench: Bench) -> None:
    await bench.take(trigger(expires_at=NOW + HOUR))
    bench.pass_time(business=HOUR)
    await bench.work()
    await bench.dispatch.sweep([bench.lane])
    assert bench.channel.sent == []
    assert await bench.told() == [("t1", "expired")]


async def test_a_trigger_that_the_last_look_finds_too_late_is_reported_as_expired(bench: Bench) -> None:
    bench.looks = [LastLook(allowed=False, code="expired", reasons=("no open hour is left before it expires",))]
    await bench.take(trigger())
    await bench.work()
    assert bench.channel.sent == []
    (event,) = await bench.outcomes()
    assert (event.outcome, event.reason) == (DeliveryOutcome.EXPIRED, "no open hour is left before it expires")


async def test_a_retraction_before_sending_cancels_and_is_acknowledged(bench: Bench) -> None:
    await bench.take(trigger(), retraction())
    await bench.work()
    assert bench.channel.sent == []
    (event,) = await bench.outcomes()
    assert (event.outcome, event.reason) == (DeliveryOutcome.RETRACTED, "invoices_settled")


async def test_a_retraction_while_sending_is_too_late(bench: Bench) -> None:
    bench.channel.gate.clear()
    await bench.take(trigger())
    await bench.dispatch.turn([bench.lane])
    await until_async(lambda: bench.channel.sent)
    await bench.take(retraction())
    bench.channel.gate.set()
    await bench.dispatch.settled([bench.lane], seconds=10)
    assert await bench.told() == [("t1", "sent"), ("t1", "too_late")]


async def test_the_last_look_stops_what_is_no_longer_right(bench: Bench) -> None:
    bench.looks = [LastLook(allowed=False, code="invoices_settled", reasons=("invoice R-17 was paid",))]
    await bench.take(trigger())
    await bench.work()
    assert bench.channel.sent == []
    (event,) = await bench.outcomes()
    assert (event.outcome, event.reason) == (DeliveryOutcome.SUPPRESSED, "invoices_settled; invoice R-17 was paid")
    assert bench.meter.read(CONTACT_SUPPRESSED, reason="invoices_settled") == 1


async def test_what_is_right_but_not_now_is_held_and_looked_at_again(bench: Bench) -> None:
    morning = NOW + 12 * HOUR
    bench.looks = [LastLook(allowed=True, recipient=ADA, not_before_ms=epoch_ms(morning))]
    await bench.take(trigger())
    await bench.work()
    assert bench.channel.sent == []
    bench.pass_time(business=12 * HOUR)
    await bench.work()
    assert await bench.told() == [("t1", "sent")]


async def test_a_client_of_whom_nothing_is_known_is_not_contacted(bench: Bench) -> None:
    bench.states.state = None
    await bench.take(trigger())
    await bench.work()
    assert await bench.told() == [("t1", "suppressed")]


async def test_a_client_without_an_address_fails_with_that_reason(bench: Bench) -> None:
    bench.looks = [LastLook(allowed=True, recipient=Recipient(name="Ada"))]
    await bench.take(trigger())
    await bench.work()
    (event,) = await bench.outcomes()
    assert event.outcome is DeliveryOutcome.FAILED
    assert (event.reason or "").startswith("no_address")


async def test_a_message_that_cannot_be_written_fails_with_what_is_missing(bench: Bench) -> None:
    bench.write_error = ContentError("the fact 'amount' is missing")
    await bench.take(trigger())
    await bench.work()
    (event,) = await bench.outcomes()
    assert (event.outcome, event.reason) == (DeliveryOutcome.FAILED, "content: the fact 'amount' is missing")


@pytest.mark.parametrize(
    ("verdict", "outcome"), [(Verdict.BOUNCED, "bounced_hard"), (Verdict.REFUSED, "failed"), (Verdict.UNCERTAIN, "ambiguous")]
)
async def test_a_final_verdict_is_reported_and_not_tried_again(bench: Bench, verdict: Verdict, outcome: str) -> None:
    bench.channel.script = [verdict]
    await bench.take(trigger())
    await bench.work()
    bench.pass_time(operating=10 * HOUR)
    await bench.work()
    assert len(bench.channel.sent) == 1
    assert await bench.told() == [("t1", outcome)]


async def test_a_deferred_message_comes_again_after_its_pause_and_not_before(bench: Bench) -> None:
    bench.channel.script = [Verdict.DEFERRED]
    await bench.take(trigger())
    await bench.work()
    assert len(bench.channel.sent) == 1
    bench.pass_time(operating=timedelta(seconds=2))
    await bench.work()
    assert [message.attempt for message in bench.channel.sent] == [1, 2]
    assert [event.event_id for event in await bench.outcomes()] == [derive("delivery", "t1", "sent", 2)]


async def test_a_message_that_is_deferred_too_often_is_given_up(bench: Bench) -> None:
    bench.channel.script = [Verdict.DEFERRED] * 9
    await bench.take(trigger())
    for _ in range(9):
        await bench.work()
        bench.pass_time(operating=2 * HOUR)
    assert len(bench.channel.sent) == bench.channel.limits.attempts
    (event,) = await bench.outcomes()
    assert event.outcome is DeliveryOutcome.FAILED
    assert (event.reason or "").startswith("gave up after 3 attempts")


async def test_an_uncertain_attempt_is_repeated_where_repetitions_are_dropped() -> None:
    bench = Bench(ScriptedChannel(script=[Verdict.UNCERTAIN], on_ambiguous=OnAmbiguous.RESEND))
    await bench.open()
    await bench.take(trigger())
    await bench.work()
    bench.pass_time(operating=HOUR)
    await bench.work()
    assert await bench.told() == [("t1", "sent")]


async def test_a_channel_that_breaks_its_contract_leaves_an_uncertain_attempt(bench: Bench) -> None:
    bench.channel.script = [ZeroDivisionError("a bug")]
    await bench.take(trigger())
    await bench.work()
    (event,) = await bench.outcomes()
    assert (event.outcome, event.reason) == (DeliveryOutcome.AMBIGUOUS, "the channel failed: ZeroDivisionError")


async def test_a_trigger_that_cannot_be_prepared_waits_and_lets_others_pass(bench: Bench) -> None:
    bench.write_error = ZeroDivisionError("a bug")
    await bench.take(trigger("bad"))
    await bench.work()
    bench.write_error = None
    await bench.take(trigger("good"))
    await bench.work()
    assert await bench.told() == [("good", "sent")]
    bench.pass_time(operating=HOUR)
    await bench.work()
    assert await bench.told() == [("good", "sent"), ("bad", "sent")]


async def test_while_the_state_store_is_away_nothing_is_begun(bench: Bench) -> None:
    bench.states.away = True
    await bench.take(trigger())
    await bench.turn()
    assert bench.channel.sent == []
    bench.states.away = False
    await bench.work()
    assert await bench.told() == [("t1", "sent")]


async def test_after_a_row_of_failures_the_provider_is_spared_and_one_probe_reopens(bench: Bench) -> None:
    bench.channel.limits = Limits(concurrency=1, per_second=10_000)
    bench.channel.script = [Verdict.UNAVAILABLE] * 5
    await bench.take(*(trigger(f"t{number}") for number in range(8)))
    await bench.work()
    assert len(bench.channel.sent) == 5
    assert bench.meter.read(CHANNEL_CIRCUIT_OPEN, provider="scripted") == 1
    await bench.take(retraction("t7"))
    assert await bench.told() == [("t7", "retracted")], "bookkeeping goes on while the provider is away"


async def test_an_outage_alone_never_uses_up_the_attempts_of_a_message(bench: Bench) -> None:
    bench.channel.script = [Verdict.UNAVAILABLE] * 4
    await bench.take(trigger())
    for _ in range(5):
        await bench.work()
        bench.pass_time(operating=2 * HOUR)
    assert await bench.told() == [("t1", "sent")]


async def test_no_more_is_under_way_than_the_limit_allows_however_much_waits(bench: Bench) -> None:
    bench.channel.gate.clear()
    await bench.take(*(trigger(f"t{number}") for number in range(50)))
    assert [await bench.dispatch.turn([bench.lane]) for _ in range(3)] == [3, 0, 0]
    await until_async(lambda: bench.channel.at_once == 3)
    assert bench.dispatch.running == 3
    bench.channel.gate.set()
    await bench.dispatch.settled([bench.lane], seconds=10)
    await bench.work()
    assert (len(bench.channel.sent), bench.channel.most_at_once) == (50, 3)


async def test_a_partition_with_much_to_do_does_not_starve_another(bench: Bench) -> None:
    other = bench.new_lane(1)
    await bench.open(other)
    await bench.take(*(trigger(f"t{number}") for number in range(30)))
    await other.take([record(trigger("other"), offset=0)])
    for _ in range(3):
        await bench.turn(lanes=[bench.lane, other])
    assert "other" in [message.idempotency_key for message in bench.channel.sent]


async def test_a_revoked_partition_begins_nothing_but_may_finish_what_it_began(bench: Bench) -> None:
    bench.channel.gate.clear()
    await bench.take(trigger("a"))
    await bench.dispatch.turn([bench.lane])
    await until_async(lambda: bench.channel.sent)
    await bench.take(trigger("b"))
    bench.lane.close()
    assert await bench.dispatch.turn([bench.lane]) == 0
    successor = bench.new_lane()
    await bench.open(successor, generation=2)
    bench.channel.gate.set()
    await bench.dispatch.settled([bench.lane], seconds=10)
    assert await bench.told() == [("a", "sent")]
    await bench.turn(lanes=[successor])
    assert await bench.told() == [("a", "sent"), ("b", "sent")]


async def test_an_attempt_lost_in_a_crash_is_held_and_reported_as_ambiguous(bench: Bench) -> None:
    bench.channel.gate.clear()
    await bench.take(trigger())
    await bench.dispatch.turn([bench.lane])
    await until_async(lambda: bench.channel.sent)
    assert await bench.dispatch.drain(seconds=0) == 1, "as in a crash, nothing is written down"
    bench.channel.gate.set()
    bench.pass_time(operating=timedelta(seconds=bench.channel.limits.timeout_seconds * 2))
    await bench.dispatch.sweep([bench.lane])
    await bench.work()
    assert len(bench.channel.sent) == 1
    assert await bench.told() == [("t1", "ambiguous")]


async def test_outcomes_wait_in_the_ledger_while_kafka_is_away(bench: Bench) -> None:
    await bench.take(trigger())
    await bench.work()
    bench.topic.away = True
    with pytest.raises(RetryError):
        await bench.outcomes()
    bench.topic.away = False
    assert await bench.told() == [("t1", "sent")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "bad_json"),
        (b'{"kind": "trigger"}', "bad_schema"),
        (b"", "bad_json"),
        (trigger(channel="console"), "wrong_topic"),
    ],
)
async def test_an_unreadable_record_is_buried_and_its_neighbours_are_sent(bench: Bench, content: bytes, reason: str) -> None:
    await bench.take(trigger("a"), content, trigger("b"))
    await bench.work()
    assert bench.buried == [(1, reason)]
    assert await bench.told() == [("a", "sent"), ("b", "sent")]


async def test_a_record_without_our_headers_is_buried(bench: Bench) -> None:
    strange = record(trigger(), offset=0)
    await bench.lane.take([replace(strange, headers=())])
    assert bench.buried == [(0, "headers")]


async def test_a_record_that_was_put_back_by_hand_is_taken_although_its_place_is_old(bench: Bench) -> None:
    await bench.take(trigger("a"), trigger("b"))
    put_back = record(trigger("c"), offset=2, src_offset=0)
    headers = (*put_back.headers, ("redriven", b"0:7"))
    assert await bench.lane.take([replace(put_back, headers=headers)]) == Continue(claimed=1)
    again = record(trigger("c"), offset=3, src_offset=0)
    assert await bench.lane.take([replace(again, headers=headers)]) == Continue(claimed=0)


async def test_a_full_ledger_asks_to_pause_and_takes_the_same_records_later() -> None:
    bench = Bench(ledgers=MemoryLedgers(pending_limit=1))
    await bench.open()
    await bench.take(trigger("a"))
    later = [record(trigger("b"), offset=1)]
    assert await bench.lane.take(later) == Pause(1)
    await bench.work()
    assert await bench.lane.take(later) == Continue(claimed=1)


async def test_a_lane_whose_ledger_went_back_reads_again_from_there(bench: Bench) -> None:
    await bench.take(trigger("a"))
    twin = bench.new_lane()
    twin.owner, twin.standing = bench.lane.owner, bench.lane.standing
    await bench.take(trigger("b"))
    assert await twin.take([record(trigger("b"), offset=1)]) == SeekTo(2)
    assert twin.standing == bench.lane.standing


async def test_a_lane_that_lost_its_partition_asks_to_be_opened_anew(bench: Bench) -> None:
    stale = bench.new_lane()
    await stale.acquire(Owner(generation=1, owner_id="worker-1"))
    await bench.open(generation=2)
    assert await stale.take([record(trigger(), offset=0)]) == Reopen()
    assert not stale.is_open


async def test_records_fetched_before_a_seek_are_ignored(bench: Bench) -> None:
    await bench.take(trigger("a"), trigger("b"))
    assert await bench.lane.take([record(trigger("a"), offset=0)]) == Continue()
    assert bench.lane.standing is not None
    assert bench.lane.standing.next_offset == 2


async def test_the_sweep_tells_how_much_waits_without_naming_anybody(bench: Bench) -> None:
    await bench.take(trigger("a"), trigger("b", not_before=NOW + HOUR))
    await bench.dispatch.sweep([bench.lane])
    assert bench.meter.read(CHANNEL_WAITING, channel="email") == 2
    await bench.work()
    assert b"ada" not in bench.meter.render()
