"""A payment travels the whole way: signed HTTP request, Kafka, fold in Redis, trigger, mail, outcome."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from handlers.demo.backlog import Backlogs
from handlers.demo.crew import Crew
from handlers.demo.firm import Webhook
from handlers.demo.people import PayerType, Person
from handlers.demo.posting import Poster
from handlers.demo.smtp_sink import SmtpSink
from handlers.demo.stripe_objects import Bill, charge, customer, envelope, event_id, invoice
from handlers.demo.verifying import Evidence, check_mails, gather_evidence
from handlers.stack.ports import free_ports
from models.events.envelope import epoch_ms
from models.state.codec import decode
from models.triggers import CHANNEL_RECORD_ADAPTER, Journey, Trigger
from streams.runtime.clock import FileClock
from streams.runtime.settings import Settings
from streams.wire.reading import read_topic
from streams.wire.topics import SIGNALS, TRIGGERS
from tests.commands import environment_of
from tests.conftest import SettingsMaker
from tests.waiting import until_async

pytestmark = [pytest.mark.integration, pytest.mark.timeout(360)]

NOON = datetime(2025, 3, 12, 12, tzinfo=UTC)  # a Wednesday, within the hours of every client in Dublin
SECRET = "whsec_a_test"
PAYER = Person(
    name="Ní Dhomhnaill & Söhne",
    email="accounts@nidh.example",
    country="IE",
    timezone="Europe/Dublin",
    locale="en-IE",
    currency="EUR",
    payer=PayerType.NEW,
    typical=123_456,
    terms_days=14,
    method="card",
    retainer_months=None,
    joins_day=0,
)
BILL = Bill("in_whole_way", PAYER, 123_456, NOON)


def deliveries() -> list[Webhook]:
    told = [
        ("customer.created", customer(PAYER, created=NOON)),
        ("invoice.finalized", invoice(BILL)),
        ("charge.succeeded", charge(BILL, attempt=1, amount=BILL.amount, at=NOON)),
    ]
    return [Webhook(NOON, event_id(kind, of, at=NOON), kind, PAYER.client_id, envelope(kind, of, at=NOON)) for kind, of in told]


def environment(settings: Settings, *, clock: Path, gateway_port: int, smtp_port: int) -> dict[str, str]:
    return environment_of(
        settings,
        RAPPORT_CLOCK_FILE=str(clock),
        RAPPORT_WEBHOOK_PORT=str(gateway_port),
        RAPPORT_WEBHOOK_SECRETS=json.dumps({"stripe": [SECRET]}),
        RAPPORT_SMTP_PORT=str(smtp_port),
    )


def onboarding(evidence: Evidence) -> list[Trigger]:
    records = map(CHANNEL_RECORD_ADAPTER.validate_json, evidence.outputs[TRIGGERS["email"].name])
    return [record for record in records if isinstance(record, Trigger) and record.journey is Journey.ONBOARDING]


async def outcomes(settings: Settings, trigger_id: str) -> list[str]:
    found = await read_topic(settings, SIGNALS.name, partitions=list(range(settings.partitions)))
    reports = [json.loads(record.value) for records in found.values() for record in records]
    return [report["outcome"] for report in reports if report.get("trigger_id") == trigger_id]


async def test_a_payment_posted_twice_is_thanked_for_in_one_mail_and_leaves_what_the_oracle_says(
    make_settings: SettingsMaker, tmp_path: Path
) -> None:
    clock = tmp_path / "clock"
    FileClock.write(clock, NOON)
    settings = make_settings(clock_file=clock)
    (port,) = free_ports(1)
    async with (
        SmtpSink() as sink,
        Poster(f"http://127.0.0.1:{port}", secret=SECRET) as poster,
        Backlogs(settings) as backlogs,
    ):
        with Crew(tmp_path, environment=environment(settings, clock=clock, gateway_port=port, smtp_port=sink.port)) as crew:
            for command in ("serve-webhooks", "worker", "run-channels"):
                crew.start(command, command)
            await until_async(poster.is_ready, timeout=100, what="the gateway")
            await poster.post(deliveries(), at=NOON)
            await poster.post(deliveries(), at=NOON)
            await until_async(lambda: bool(sink.mails), timeout=150, what="the mail")
            await backlogs.settle(now_ms=epoch_ms(NOON), patience_seconds=90)
            crew.raise_if_dead()
        evidence = await gather_evidence(settings)

        (mail,) = sink.mails
        (trigger,) = onboarding(evidence)
        check_mails([mail.message_id.partition("@")[0]], evidence)
        assert mail.recipients == (PAYER.email,)
        assert PAYER.name in mail.body()
        assert await outcomes(settings, trigger.trigger_id) == ["sent"]
        assert evidence.dead_letters == 0
        assert evidence.outcomes["duplicate"] >= 3
        state = decode(evidence.states[PAYER.client_id])
        assert [(row.minor, row.paid) for row in state.ledger.invoices] == [(BILL.amount, BILL.amount)]
        assert not state.care.pending
