import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from handlers.cli import run
from streams.agents.intake import interpret_webhook
from streams.engine.lag_export import LagExport
from streams.runtime.errors import DeadLetterError
from streams.runtime.metrics import DLQ_DEPTH, DLQ_OLDEST_AGE, Meter
from streams.runtime.settings import Settings, load_settings
from streams.wire.dead_letters import DeadLetter, settled_by
from streams.wire.headers import Origin
from streams.wire.reading import read_topic
from streams.wire.records import PlainRecord, Record
from streams.wire.topics import DEAD_LETTERS, WEBHOOKS
from tests.streams.stripe_samples import dispute, event

pytestmark = pytest.mark.integration


@pytest.fixture
def deployment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The settings of this test as the environment of the command line."""
    for name, value in {"KAFKA_BOOTSTRAP": settings.kafka_bootstrap, "RAPPORT_TOPIC_PREFIX": settings.topic_prefix}.items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    yield settings
    load_settings.cache_clear()


def nameless(number: int) -> PlainRecord:
    body = event("charge.dispute.created", dispute(charge=f"ch_{number}"), event_id=f"evt_{number}")
    headers = (("source", b"stripe"), ("received_at", b"2026-01-01T00:00:00+00:00"), ("delivery_id", b"d"))
    return PlainRecord(topic="webhooks", partition=1, offset=number, timestamp=0, key=b"d", value=body, headers=headers)


def fail(settings: Settings, records: Sequence[Record]) -> None:
    """Do what the intake stage does with records that cannot be read."""

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap) as producer:
            for idx, record in enumerate(records):
                with pytest.raises(DeadLetterError) as raised:
                    interpret_webhook(record).told()
                letter = DeadLetter.of(record, raised.value, stage="intake", src_topic=WEBHOOKS.name)
                origin = Origin(src_topic=WEBHOOKS.name, src_partition=1, src_offset=idx, idx=0, kind="dead_letter")
                await producer.send_and_wait(
                    settings.topic(DEAD_LETTERS.name),
                    key=letter.key,
                    value=letter.value,
                    headers=[*origin.to_headers()[3:], *letter.to_headers()],
                )

    asyncio.run(send())


def webhooks(settings: Settings) -> list[Record]:
    found = asyncio.run(read_topic(settings, WEBHOOKS.name, partitions=list(range(settings.partitions))))
    return [record for records in found.values() for record in records]


def waiting(settings: Settings) -> tuple[float, float]:
    """Return how many letters wait and for how long, as the lag exporter tells it."""

    async def read() -> tuple[float, float]:
        meter = Meter()
        export = LagExport(settings, meter)
        try:
            await export.read()
        finally:
            await export.close()
        return meter.read(DLQ_DEPTH), meter.read(DLQ_OLDEST_AGE)

    return asyncio.run(read())


def letters_at(settings: Settings) -> list[int]:
    """Return the offsets of the two newest letters."""
    found = asyncio.run(read_topic(settings, DEAD_LETTERS.name, partitions=[0]))
    return [record.offset for record in found[0] if settled_by(record) is None][-2:]


def test_letters_are_listed_shown_mended_and_driven_again_once(
    deployment: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    records = [nameless(number) for number in range(5)]
    fail(deployment, records)

    assert run(["dead-letters", "list", "--reason", "no_client", "--limit", "2"]) == 0
    said = capsys.readouterr().out
    assert "5 dead letters among 5 records" in said
    assert "0:4" in said
    assert "0:1" not in said
    assert run(["dead-letters", "list", "--source", "gocardless"]) == 0
    assert "0 dead letters among 5 records" in capsys.readouterr().out
    assert run(["dead-letters", "list", "--last", "2"]) == 0
    assert "3 older records were not read" in capsys.readouterr().out

    file = tmp_path / "body.json"
    assert run(["dead-letters", "show", "0:3", "--save", str(file)]) == 0
    assert "metadata.client_id" in " ".join(capsys.readouterr().out.split())
    assert file.read_bytes() == records[3].value

    body = json.loads(file.read_text())
    body["data"]["object"]["metadata"]["client_id"] = "cus_9"
    file.write_text(json.dumps(body))
    assert run(["dead-letters", "redrive", "0:3", "--edit", str(file), "--note", "asked the client"]) == 0
    (mended,) = webhooks(deployment)
    assert {read.client_id for read in interpret_webhook(mended).told()} == {"cus_9"}
    assert mended.key == b"d"

    assert run(["dead-letters", "redrive", "--reason", "no_client", "--dry-run"]) == 0
    assert "4 dead letters would be driven again" in capsys.readouterr().out
    assert len(webhooks(deployment)) == 1
    assert run(["dead-letters", "redrive", "--reason", "no_client"]) == 0
    assert run(["dead-letters", "redrive", "--reason", "no_client"]) == 0
    driven = capsys.readouterr().out.splitlines()[-2:]
    assert (
        driven[0]
        == "4 dead letters were driven again. 1 had been driven again or dismissed before; --again drives them once more."
    )
    assert (
        driven[1]
        == "0 dead letters were driven again. 5 had been driven again or dismissed before; --again drives them once more."
    )
    back = webhooks(deployment)
    originals = [records[number].value for number in (0, 1, 2, 4)]
    assert sorted(str(record.value) for record in back) == sorted(str(value) for value in [*originals, file.read_bytes()])
    assert {dict(record.headers)["source"] for record in back} == {b"stripe"}
    assert {dict(record.headers)["redriven"] for record in back} == {b"0:%d" % number for number in range(5)}

    fail(deployment, [nameless(9), nameless(10)])
    assert waiting(deployment)[0] == 2
    places = [f"0:{found}" for found in letters_at(deployment)]
    assert run(["dead-letters", "dismiss", places[0], "--note", "the sender's own test"]) == 0
    assert waiting(deployment)[0] == 1
    assert run(["dead-letters", "redrive", "--reason", "no_client", "--dry-run"]) == 0
    assert "1 dead letters would be driven again" in capsys.readouterr().out
    assert run(["dead-letters", "dismiss", places[1], "--note", "likewise"]) == 0
    assert waiting(deployment) == (0, 0)

    assert run(["dead-letters", "redrive", "--all", "--again", "--limit", "2"]) == 0
    assert len(webhooks(deployment)) == 7
    assert run(["dead-letters", "list"]) == 0
    assert "(driven again)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["redrive"], "say --all"),
        (["redrive", "--all", "--edit", "x.json"], "exactly one letter"),
        (["redrive", "0:1", "--edit", "missing.json"], "cannot be read"),
        (["redrive", "seven"], "is no place of a dead letter"),
        (["show", "0:7"], "no dead letter is at 0:7"),
        (["redrive", "0:7"], "no dead letter that fits is at 0:7"),
    ],
)
def test_what_cannot_work_is_said_with_the_way_out(
    deployment: Settings, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert deployment.topic_prefix
    assert run(["dead-letters", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_while_kafka_is_away_the_command_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:1")
    load_settings.cache_clear()
    assert run(["dead-letters", "list"]) == 1
    load_settings.cache_clear()
    assert "rapport stack up" in capsys.readouterr().err
