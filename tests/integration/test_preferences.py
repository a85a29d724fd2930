"""A click in a mail, on real servers: gateway, signals, client.events, fold, and the pending trigger taken back."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from handlers.channels.links import links_of
from models.events.payments import PaymentReceived
from models.events.signals import ClientProfiled
from models.money import Money
from models.triggers import CHANNEL_RECORD_ADAPTER, CancelWhen, Journey, Retraction, Trigger
from streams.runtime.settings import Settings
from streams.wire.topics import CLIENT_EVENTS, SIGNALS, TRIGGERS
from tests.conftest import REPOSITORY
from tests.integration.engine_world import environment, feed, on_the_log, read_topic, until_caught_up
from tests.integration.test_gateway import kafka_found, serving
from tests.waiting import until_async

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


@pytest.fixture
def settings(settings_with_links: Callable[[datetime], Settings]) -> Settings:
    return settings_with_links(NOW)


@contextmanager
def working(settings: Settings, **more: str) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-m", "handlers.cli", "worker"],
        cwd=REPOSITORY,
        env=environment(settings, RAPPORT_CLOCK_FILE=str(settings.clock_file), **more),
        stdout=subprocess.DEVNULL,
    ) as worker:
        try:
            yield
        finally:
            worker.terminate()


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings) as made:
        await kafka_found(made)
        yield made


async def mailed(settings: Settings) -> list[Trigger | Retraction]:
    found = await read_topic(settings, TRIGGERS["email"])
    return [CHANNEL_RECORD_ADAPTER.validate_json(record.value or b"") for records in found.values() for record in records]


async def first_trigger(settings: Settings) -> Trigger:
    """Let the client `ada` pay for the first time, and return the thanks that are then due."""
    common = {"source": "test", "occurred_at": NOW - timedelta(hours=1), "received_at": NOW, "client_id": "ada"}
    profile = ClientProfiled.model_validate({**common, "event_id": "e1", "email": "ada@client.example"})
    money = Money(125_000, "EUR")
    paid = PaymentReceived.model_validate({**common, "event_id": "e2", "payment_id": "p1", "amount": money})
    await feed(settings, on_the_log([profile, paid], settings))
    (trigger,) = await until_async(lambda: mailed(settings), timeout=60, what="the thanks for a first payment")
    assert isinstance(trigger, Trigger)
    return trigger


async def test_a_click_takes_back_what_waits_to_be_sent_and_repeating_it_changes_nothing(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    make = links_of(settings)
    assert make is not None
    with working(settings):
        trigger = await first_trigger(settings)
        path = urlsplit(make(trigger, "de").opt_out).path
        assert (await client.get(path)).status_code == 200
        for _ in range(3):
            assert (await client.post(path, data={"List-Unsubscribe": "One-Click"})).status_code == 200

        async def retracted() -> bool:
            return len(await mailed(settings)) > 1

        await until_async(retracted, timeout=60, what="the retraction")
        await until_caught_up(settings)
    _, retraction = await mailed(settings)
    assert isinstance(retraction, Retraction)
    assert (retraction.trigger_id, retraction.because) == (trigger.trigger_id, CancelWhen.CONSENT_WITHDRAWN)
    assert sum(map(len, (await read_topic(settings, SIGNALS)).values())) == 3
    log = [record.value or b"" for records in (await read_topic(settings, CLIENT_EVENTS)).values() for record in records]
    assert sum(b"consent.changed" in value for value in log) == 3


async def test_a_wish_to_renew_is_a_task_and_a_pause_takes_back_what_waits_to_be_sent(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    make = links_of(settings)
    assert make is not None
    with working(settings):
        trigger = await first_trigger(settings)
        renewal = urlsplit(make(trigger.model_copy(update={"journey": Journey.RENEWAL}), "de").answer).path
        assert "Unverändert verlängern" in (await client.get(renewal)).text
        assert not any((await read_topic(settings, SIGNALS)).values()), "looking at the page is no wish"
        assert (await client.post(renewal, data={"choice": "renew", "form": "r"})).status_code == 200

        async def asked() -> list[bytes]:
            found = await read_topic(settings, TRIGGERS["task"])
            return [record.value or b"" for records in found.values() for record in records]

        (task,) = await until_async(asked, timeout=60, what="the task of the renewal")
        assert b"the client wants to renew as it is" in task
        answer = await client.post(urlsplit(make(trigger, "de").answer).path, data={"choice": "snooze", "form": "f"})
        assert answer.status_code == 200

        async def retracted() -> bool:
            return len(await mailed(settings)) > 1

        await until_async(retracted, timeout=60, what="the retraction")
    _, retraction = await mailed(settings)
    assert isinstance(retraction, Retraction)
    assert retraction.because is CancelWhen.ON_HOLD
