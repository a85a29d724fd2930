"""A channel's worker that was down until what waited for it had expired, as processes on real servers."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from handlers.demo.crew import Crew
from handlers.demo.smtp_sink import SmtpSink
from models.events.union import AnyClientEvent
from models.state.client import ClientState
from models.state.codec import decode
from models.triggers import CHANNEL_RECORD_ADAPTER, CancelWhen, Decision, Retraction, Trigger
from streams.runtime.clock import FileClock
from streams.runtime.settings import Settings
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.topics import DECISIONS, SIGNALS, TRIGGERS
from tests.commands import environment_of
from tests.conftest import SettingsMaker
from tests.integration.engine_world import feed, on_the_log, read_topic, until_caught_up
from tests.models.builders import Events, on
from tests.waiting import until_async

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FIRST_STEP, SECOND_STEP, DUE_ANEW = 8, 18, 21
"""Days: the first step for a late invoice is decided, it has expired and the second is decided, the first is due anew."""


@pytest.fixture
def settings(make_settings: SettingsMaker, tmp_path: Path, sink: SmtpSink) -> Settings:
    clock_file = tmp_path / "clock"
    FileClock.write(clock_file, on(0))
    return make_settings(clock_file=clock_file, smtp_port=sink.port)


def at_day(settings: Settings, day: float) -> None:
    assert settings.clock_file is not None
    FileClock.write(settings.clock_file, on(day))


def told() -> list[AnyClientEvent]:
    """Return what is known on the first day: `ada` has an invoice that will be late, `bo` has paid for the first time."""
    ada, bo = Events("ada"), Events("bo")
    return [ada.profiled(0), ada.issued(0, "I1", due=2), bo.profiled(0), bo.paid(0, "P1")]


async def mailed(settings: Settings, client_id: str) -> list[Trigger | Retraction]:
    found = await read_topic(settings, TRIGGERS["email"])
    records = [CHANNEL_RECORD_ADAPTER.validate_json(record.value or b"") for rows in found.values() for record in rows]
    return [record for record in records if record.client_id == client_id]


async def outcomes(settings: Settings) -> dict[str, str]:
    found = await read_topic(settings, SIGNALS)
    reports = [json.loads(record.value or b"") for rows in found.values() for record in rows]
    return {row["trigger_id"]: row["outcome"] for row in reports}


async def state_of(settings: Settings, client_id: str) -> ClientState:
    redis = connect_redis(settings)
    blob = await RedisStateStore(redis, settings).read(client_id)
    await redis.aclose()
    return decode(blob or b"")


def reaches(settings: Settings, count: int) -> Callable[[], Awaitable[bool]]:
    async def has_come() -> bool:
        return len(await mailed(settings, "ada")) >= count

    return has_come


def reports(settings: Settings, count: int) -> Callable[[], Awaitable[bool]]:
    async def have_come() -> bool:
        return len(await outcomes(settings)) >= count

    return have_come


async def test_a_worker_that_was_down_past_the_expiry_sends_nothing_stale_and_the_step_is_taken_anew(
    settings: Settings, sink: SmtpSink, tmp_path: Path
) -> None:
    environment = environment_of(settings, RAPPORT_CLOCK_FILE=str(settings.clock_file), RAPPORT_SMTP_PORT=str(settings.smtp_port))
    with Crew(tmp_path, environment=environment) as crew:
        crew.start("worker", "worker")
        crew.start("channels", "run-channels", "email")
        await feed(settings, on_the_log(told(), settings))
        await until_async(lambda: sink.mails, timeout=90, what="the mail of a channel that works")
        await until_async(reports(settings, 1), timeout=30, what="its outcome")
        crew.finish("channels")

        at_day(settings, FIRST_STEP)
        await until_async(reaches(settings, 1), timeout=30, what="the first step")
        at_day(settings, SECOND_STEP)
        await until_async(reaches(settings, 2), timeout=30, what="the second step")
        (held,) = (row for row in (await state_of(settings, "ada")).care.pending if row.advances and row.step == "explain_terms")

        crew.start("channels-back", "run-channels", "email")
        await until_async(reports(settings, 3), timeout=60, what="a word about all that had waited")
        await until_caught_up(settings)
        first, second, taken = await mailed(settings, "ada")
        heard = await state_of(settings, "ada")
        mails_so_far = len(sink.mails)

        at_day(settings, DUE_ANEW)
        await until_async(reports(settings, 4), timeout=60, what="the step that is due anew")
        await until_caught_up(settings)
        crew.raise_if_dead()

    assert isinstance(first, Trigger)
    assert isinstance(second, Trigger)
    assert isinstance(taken, Retraction)
    assert (first.step, second.step, held.trigger_id) == ("explain_terms", "offer_help", first.trigger_id)
    assert first.expires_at <= second.decided_at
    said = await outcomes(settings)
    assert (said[first.trigger_id], said[second.trigger_id]) == ("expired", "retracted")
    assert (taken.trigger_id, taken.because) == (second.trigger_id, CancelWhen.EARLIER_UNSENT)
    assert mails_so_far == 1, "nothing that had waited left"
    assert heard.care.contacts == ()  # what did not leave is no contact
    assert [row.trigger_id for row in heard.care.pending] == []

    anew = (await mailed(settings, "ada"))[-1]
    assert isinstance(anew, Trigger)
    assert (anew.step, said[anew.trigger_id]) == ("explain_terms", "sent")
    assert sink.mails[-1].message_id == f"{anew.trigger_id}@firm.example"
    assert len(sink.mails) == 2
    assert len((await state_of(settings, "ada")).care.contacts) == 1
    decisions = [
        Decision.model_validate_json(record.value or b"")
        for rows in (await read_topic(settings, DECISIONS)).values()
        for record in rows
    ]
    reasons = [reason for row in decisions for reason in row.reasons]
    assert "email did not send it before it expired: it counts as no contact, and its step is due anew" in reasons
