"""What providers and clients say about our messages, the whole loop on real servers.

Signed receipt, gateway, intake, fold: suppression of the right kind, contact given back, the same lineage on another channel.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import orjson
import pytest
from pydantic import SecretStr

from handlers.channels.assembly import make_channel, make_worker
from handlers.channels.redis_ledger import RedisLedgers
from handlers.demo.smtp_sink import SmtpSink
from models.events.envelope import epoch_ms
from models.events.payments import PaymentReceived
from models.events.signals import ClientProfiled, Purpose
from models.events.union import AnyClientEvent
from models.money import Money
from models.policy.gate import refusal
from models.policy.reach import reaction_rate, rest_of
from models.state.client import PURPOSES, ClientState
from models.state.codec import decode
from models.triggers import CHANNEL_RECORD_ADAPTER, Trigger
from streams.runtime.clock import FileClock
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.codec import encode_event
from streams.wire.policy_file import default_policy_text
from streams.wire.topics import DEAD_LETTERS, SIGNALS, TRIGGERS
from tests.conftest import SettingsMaker
from tests.handlers.signing import STANDARD_SECRET, standard_headers
from tests.integration.channel_at_hand import running
from tests.integration.engine_world import feed, on_the_log, read_topic, to_topic, until_caught_up
from tests.integration.test_gateway import kafka_found, serving
from tests.integration.test_preferences import NOW, working
from tests.waiting import until_async

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CLIENTS = ("ada", "bo", "cy", "di", "ed")
PHONES = {name: f"+4930901820{place}0" for place, name in enumerate(CLIENTS)}


@pytest.fixture
def settings(make_settings: SettingsMaker, tmp_path: Path, sink: SmtpSink) -> Settings:
    clock_file, policy_file = tmp_path / "clock", tmp_path / "policy.yaml"
    FileClock.write(clock_file, NOW)
    policy_file.write_text(
        default_policy_text().replace("fallback_channels: []", "fallback_channels: [portal]"), encoding="utf-8"
    )
    return make_settings(
        clock_file=clock_file,
        policy_file=policy_file,
        webhook_secrets={"receipts": [SecretStr(STANDARD_SECRET)]},
        webhook_port=0,
        smtp_port=sink.port,
    )


@asynccontextmanager
async def delivering(settings: Settings, *names: str) -> AsyncIterator[None]:
    redis = connect_redis(settings)
    ledgers = RedisLedgers(redis, namespace=settings.namespace, pending_limit=settings.channel_pending_limit)
    store = RedisStateStore(redis, settings)
    workers = [make_worker(make_channel(name, settings), settings, ledgers=ledgers, store=store, meter=Meter()) for name in names]
    async with AsyncExitStack() as stack:
        stack.push_async_callback(redis.aclose)
        for worker in workers:
            await stack.enter_async_context(running(worker))
        yield


async def told(http: httpx.AsyncClient, kind: str, number: int, **data: object) -> None:
    """Post one signed receipt, as the provider does."""
    body = orjson.dumps({"type": kind, "timestamp": NOW.isoformat(), "data": data})
    signed = standard_headers(body, secret=STANDARD_SECRET, at=NOW, message_id=f"msg_{number}")
    answer = await http.post("/webhooks/receipts", content=body, headers={"content-type": "application/json", **signed})
    assert answer.status_code == 200


def first_payments() -> tuple[list[AnyClientEvent], list[AnyClientEvent]]:
    """Return what is told about each client, and that each has paid for the first time."""
    profiles: list[AnyClientEvent] = []
    payments: list[AnyClientEvent] = []
    for name in CLIENTS:
        common = {"source": "test", "occurred_at": NOW - timedelta(hours=1), "received_at": NOW, "client_id": name}
        reach = {"email": f"{name}@client.example", "phone": PHONES[name]}
        profiles.append(ClientProfiled.model_validate({**common, "event_id": f"profile-{name}", **reach}))
        paid = {"payment_id": f"p-{name}", "amount": Money(125_000, "EUR")}
        payments.append(PaymentReceived.model_validate({**common, "event_id": f"paid-{name}", **paid}))
    return profiles, payments


async def triggers(settings: Settings, channel: str) -> dict[str, Trigger]:
    found = await read_topic(settings, TRIGGERS[channel])
    records = [CHANNEL_RECORD_ADAPTER.validate_json(record.value or b"") for rows in found.values() for record in rows]
    return {record.client_id: record for record in records if isinstance(record, Trigger)}


async def outcomes(settings: Settings) -> list[tuple[str, str, str]]:
    found = await read_topic(settings, SIGNALS)
    reports = [json.loads(record.value or b"") for rows in found.values() for record in rows]
    return [(row["client_id"], row["channel"], row["outcome"]) for row in reports if row["kind"] == "delivery.reported"]


async def states(settings: Settings, names: Sequence[str]) -> dict[str, ClientState]:
    redis = connect_redis(settings)
    store = RedisStateStore(redis, settings)
    found = {name: decode(await store.read(name) or b"") for name in names}
    await redis.aclose()
    return found


async def test_receipts_bounces_complaints_replies_and_stop_come_back_as_what_they_are(
    settings: Settings, sink: SmtpSink
) -> None:
    async with serving(settings) as http, delivering(settings, "email", "portal"):
        await kafka_found(http)
        with working(settings, RAPPORT_POLICY_FILE=str(settings.policy_file)):
            told_first, paid = first_payments()
            told_first.append(told_first[CLIENTS.index("cy")].model_copy(update={"event_id": "profile-guy", "client_id": "guy"}))
            await feed(settings, [to_topic(SIGNALS, encode_event(event)) for event in told_first])
            await until_caught_up(settings)  # whose number it is must be known before an invoice is paid or a text arrives
            await feed(settings, on_the_log(paid, settings))
            await until_async(lambda: len(sink.mails) == len(CLIENTS), timeout=90, what="a mail for each")

            async def reported() -> bool:
                return len(await outcomes(settings)) == len(CLIENTS)

            await until_async(reported, timeout=60, what="the outcomes of the mails")
            await until_caught_up(settings)
            mailed = await triggers(settings, "email")
            named = {name: f"<{mailed[name].trigger_id}@firm.example>" for name in CLIENTS}
            await told(http, "message.bounced", 1, reference=named["ada"], permanent=True, reason="550 5.1.1")
            await told(http, "message.bounced", 2, reference=named["bo"], permanent=False)
            await told(http, "message.complained", 3, reference=named["cy"])
            await told(http, "message.replied", 4, reference=named["di"], auto=True, text="STOP, I am on holiday")
            await told(http, "message.replied", 5, reference=named["ed"], text="thank you, that helps")
            await told(http, "message.received", 6, **{"from": PHONES["di"], "text": "STOP"})

            async def laid_out() -> bool:
                return ("ada", "portal", "sent") in await outcomes(settings)

            await until_async(laid_out, timeout=90, what="the message laid out in the portal")
            await until_caught_up(settings)
    known = await states(settings, (*CLIENTS, "guy"))
    again = (await triggers(settings, "portal"))["ada"]

    # A hard bounce: the address, not the client. The same message goes on by another way, in one lineage.
    assert (again.lineage, again.step) == (mailed["ada"].lineage, mailed["ada"].step)
    assert again.trigger_id != mailed["ada"].trigger_id
    assert [(row.channel, row.cause) for row in known["ada"].person.suppressions] == [("email", "hard")]
    assert not known["ada"].care.contacts  # thanks for money answer it: they take no place in the budget, by whichever way
    # A soft bounce rests for a day and is no opt-out.
    now_ms = epoch_ms(NOW + timedelta(hours=1))
    assert rest_of(known["bo"], "email", now_ms) == epoch_ms(NOW + timedelta(days=1))
    assert refusal(known["bo"], Purpose.RELATIONSHIP, "email") is None
    # A complaint is about what it was about: mails about open work still come.
    assert refusal(known["cy"], Purpose.RELATIONSHIP, "email") == "email is suppressed (complaint)"
    assert refusal(known["cy"], Purpose.SERVICING, "email") is None
    # And about an address: another client with the same one hears of it, about the same.
    (shared,) = known["guy"].person.suppressions
    assert (shared.channel, shared.cause, PURPOSES[shared.purpose]) == ("email", "reader_complained", Purpose.RELATIONSHIP)
    # An automatic answer is nothing; a word alone ends texts and no mails.
    assert refusal(known["di"], Purpose.RELATIONSHIP, "email") is None
    assert refusal(known["di"], Purpose.SERVICING, "sms") == "the client does not want servicing contact"
    # An answer is what a channel is preferred for.
    assert reaction_rate(known["ed"], "email") > reaction_rate(known["di"], "email")
    assert sum(map(len, (await read_topic(settings, DEAD_LETTERS)).values())) == 0
