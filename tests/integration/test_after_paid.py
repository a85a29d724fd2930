"""Stop on payment, measured on real servers: fold, mail, outcome, a payment that waited too long, and who tells of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from handlers.channels.assembly import make_channel, make_worker
from handlers.channels.redis_ledger import RedisLedgers
from handlers.channels.watch import DecisionWatch
from handlers.commands.after_paid import read_after_paid
from handlers.demo.smtp_sink import SmtpSink
from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.signals import ClientProfiled
from models.events.union import AnyClientEvent
from models.money import Money
from streams.runtime.clock import FileClock
from streams.runtime.metrics import CHANNEL_OUTCOMES, SENT_AFTER_PAID, Meter
from streams.state.redis_store import RedisStateStore, connect_redis
from tests.conftest import SettingsMaker
from tests.integration.engine_world import feed, on_the_log, until_caught_up
from tests.integration.test_preferences import working
from tests.waiting import until_async

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
MONEY = Money(125_000, "EUR")


def common(event_id: str, at: datetime) -> dict[str, object]:
    return {"event_id": event_id, "source": "test", "client_id": "ada", "occurred_at": at, "received_at": at}


async def test_a_mail_sent_while_its_payment_waited_is_counted_with_its_age(make_settings: SettingsMaker, tmp_path: Path) -> None:
    clock_file, meter = tmp_path / "clock", Meter()
    FileClock.write(clock_file, NOW)
    async with SmtpSink() as sink:
        settings = make_settings(clock_file=clock_file, smtp_port=sink.port)
        issued = {**common("e2", NOW - timedelta(days=20)), "invoice_id": "I1", "amount": MONEY}
        told: list[AnyClientEvent] = [
            ClientProfiled.model_validate({**common("e1", NOW - timedelta(days=20)), "email": "ada@client.example"}),
            InvoiceIssued.model_validate({**issued, "due_at": NOW - timedelta(days=5)}),
        ]
        paid_at = NOW - timedelta(minutes=1)
        paid = PaymentReceived.model_validate({**common("e3", paid_at), "payment_id": "p1", "invoice_id": "I1", "amount": MONEY})
        redis = connect_redis(settings)
        ledgers = RedisLedgers(redis, namespace=settings.namespace, pending_limit=settings.channel_pending_limit)
        store, watch = RedisStateStore(redis, settings), DecisionWatch(settings, meter)
        channel = make_worker(make_channel("email", settings), settings, ledgers=ledgers, store=store, meter=meter)
        with working(settings):
            async with asyncio.TaskGroup() as group:
                group.create_task(channel.run())
                group.create_task(watch.run())
                await feed(settings, on_the_log(told, settings))
                await until_async(lambda: bool(sink.mails), timeout=90, what="the reminder")
                reported = {"channel": "email", "outcome": "sent"}
                await until_async(lambda: meter.read(CHANNEL_OUTCOMES, **reported) == 1, timeout=60, what="its outcome")
                await until_caught_up(settings)
                await feed(settings, on_the_log([paid], settings))
                name = f"{SENT_AFTER_PAID.full_name}_sum"
                await until_async(
                    lambda: meter.registry.get_sample_value(name) == 60.0, timeout=60, what="the age of the payment in the metric"
                )
                channel.stop()
                watch.stop()
        await redis.aclose()
        found = await read_after_paid(settings)
    assert (found.triggered, found.ages) == (2, {"within a minute": 1})  # the reminder, and the thanks that wait for no gap
    assert found.cases[0].reasons == ("invoice I1 was asked for while its payment waited to be read",)
