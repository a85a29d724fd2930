"""A reader of many clients: what has no place at an address waits for one, and says so where it cannot."""

from dataclasses import replace
from datetime import timedelta

import pytest

from handlers.channels.contract import Verdict
from handlers.channels.presend import LastLook
from handlers.channels.readers import MemoryReaders, Places
from models.addresses import email_digest
from models.events.envelope import epoch_ms
from models.events.signals import DeliveryOutcome
from streams.runtime.metrics import CONTACT_SUPPRESSED
from tests.handlers.channel_bench import Bench, ScriptedChannel
from tests.handlers.channel_examples import ADA, NOW, trigger

ADDRESS = email_digest("ada@client.example")
CARE = LastLook(allowed=True, recipient=ADA, takes_place=True)
DAY = timedelta(days=1)


async def bench_with(*looks: LastLook, per_day: int = 1) -> Bench:
    made = Bench(readers=MemoryReaders(Places(per_day=per_day)))
    made.looks = list(looks)
    await made.open()
    return made


async def test_what_finds_no_place_waits_for_the_next_and_leaves_then() -> None:
    bench = await bench_with(*[CARE] * 3)
    await bench.take(trigger("a", expires_at=NOW + 3 * DAY), trigger("b", expires_at=NOW + 3 * DAY))
    await bench.work()
    assert [row.idempotency_key for row in bench.channel.sent] == ["a"]
    bench.pass_time(business=DAY - timedelta(minutes=1))
    assert await bench.turn() == 0
    bench.pass_time(business=timedelta(minutes=1))
    await bench.work()
    assert [row.idempotency_key for row in bench.channel.sent] == ["a", "b"]
    assert [row.outcome for row in await bench.outcomes()] == [DeliveryOutcome.SENT, DeliveryOutcome.SENT]


async def test_what_would_wait_beyond_its_expiry_is_told_so_at_once() -> None:
    bench = await bench_with(CARE, CARE)
    await bench.take(trigger("a", expires_at=NOW + DAY), trigger("b", expires_at=NOW + DAY))
    await bench.work()
    reported = {row.trigger_id: (row.outcome, row.reason) for row in await bench.outcomes()}
    assert reported["a"][0] is DeliveryOutcome.SENT
    outcome, reason = reported["b"]
    assert outcome is DeliveryOutcome.SUPPRESSED
    assert reason is not None
    assert reason.startswith("reader; who reads there hears from us about many clients")
    assert bench.meter.read(CONTACT_SUPPRESSED, reason="reader") == 1


async def test_where_a_channel_has_no_addresses_of_its_own_nothing_waits_for_a_place() -> None:
    bench = Bench(ScriptedChannel(name="portal"), readers=MemoryReaders(Places(per_day=1)))
    bench.looks = [CARE] * 3
    await bench.open()
    await bench.take(*(trigger(name) for name in "abc"))
    await bench.work()
    assert len(bench.channel.sent) == 3


async def test_what_takes_no_place_waits_for_none() -> None:
    bench = await bench_with(CARE, *[replace(CARE, takes_place=False)] * 3)
    await bench.take(*(trigger(name) for name in "abcd"))
    await bench.work()
    assert len(bench.channel.sent) == 4


@pytest.mark.parametrize(
    ("verdict", "is_kept"),
    [
        (Verdict.ACCEPTED, True),
        (Verdict.UNCERTAIN, True),
        (Verdict.REFUSED, False),
        (Verdict.BOUNCED, False),
        (Verdict.DEFERRED, False),
        (Verdict.UNAVAILABLE, False),
    ],
)
async def test_only_what_left_or_may_have_keeps_its_place(verdict: Verdict, is_kept: bool) -> None:
    readers = MemoryReaders(Places(per_day=1))
    bench = Bench(readers=readers)
    bench.looks = [CARE]
    await bench.open()
    bench.channel.script.append(verdict)
    await bench.take(trigger("a"))
    await bench.turn()
    assert bool(await readers.reserve(ADDRESS, "other", now_ms=epoch_ms(NOW))) is is_kept


async def test_where_a_channel_has_no_addresses_of_its_own_nobody_waits() -> None:
    bench = Bench(ScriptedChannel(name="portal"), readers=MemoryReaders(Places(per_day=1)))
    bench.looks = [CARE, CARE]
    await bench.open()
    await bench.take(trigger("a"), trigger("b"))
    await bench.work()
    assert len(bench.channel.sent) == 2


async def test_who_lost_the_partition_leaves_the_place_to_who_has_it_now() -> None:
    class Overtaken(MemoryReaders):
        async def reserve(self, address: str, trigger_id: str, *, now_ms: int) -> int:
            await bench.open(bench.new_lane(), generation=2)
            return await super().reserve(address, trigger_id, now_ms=now_ms)

    readers = Overtaken(Places(per_day=1))
    bench = Bench(readers=readers)
    bench.looks = [CARE]
    await bench.open()
    await bench.take(trigger("a"))
    await bench.turn()
    assert not bench.channel.sent
    assert await MemoryReaders.reserve(readers, ADDRESS, "other", now_ms=epoch_ms(NOW))
