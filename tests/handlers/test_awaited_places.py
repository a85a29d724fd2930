"""`rapport inspect client` tells what waits for a place at its reader's address from what waits for its hour or its worker."""

from dataclasses import replace
from pathlib import Path

import pytest

from handlers.channels.awaited import awaited, candidates, places_awaited
from handlers.channels.readers import MemoryReaders, Places
from handlers.channels.redis_ledger import RedisLedgers
from models.addresses import email_digest
from models.events.envelope import epoch_ms
from models.events.signals import DeliveryOutcome
from models.events.union import AnyClientEvent
from models.policy.policy import DEFAULT_POLICY
from models.triggers import Journey, Trigger
from models.workdays import DAY_MS
from streams.runtime.clock import fresh_id
from streams.runtime.settings import Settings
from streams.wire.topics import TRIGGERS
from tests.conftest import Servers
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm
from tests.models.test_outcomes import state_of
from tests.models.test_reach import people

MAIL = "ada@client.example"


def offered(build: Events, known: AnyClientEvent) -> tuple[Firm, Trigger]:
    """Return a firm whose client is about to hear of a renewal."""
    firm = Firm().run([known, build.contract(0, renews=40)], until_ms=ms(30))
    return firm, next(row for row in firm.triggers if row.journey is Journey.RENEWAL)


async def told(firm: Firm, readers: MemoryReaders, *, at_ms: int) -> list[str]:
    rows = await awaited(state_of(firm), DEFAULT_POLICY, now_ms=at_ms, readers=lambda _: readers)
    return [f"{row.row.trigger_id} {row.until_ms}" for row in rows]


async def test_a_message_waits_for_its_reader_while_others_have_every_place_at_the_address() -> None:
    build = Events()
    firm, offer = offered(build, build.profiled(0))
    readers, at = MemoryReaders(Places(per_day=1)), epoch_ms(offer.not_before)
    assert await told(firm, readers, at_ms=at) == []
    await readers.reserve(email_digest(MAIL), "another client's", now_ms=at - DAY_MS // 2)
    assert await told(firm, readers, at_ms=at) == [f"{offer.trigger_id} {at + DAY_MS // 2}"]
    (row,) = await awaited(state_of(firm), DEFAULT_POLICY, now_ms=at, readers=lambda _: readers)
    assert row.words.startswith("waits for a place at its reader's address until 20")
    assert f"pre_renewal/{offer.step} by email" in row.words
    assert row.as_json()["trigger_id"] == offer.trigger_id
    assert await told(firm, readers, at_ms=at - 1) == [], "before its hour nobody asks"
    assert await told(firm, readers, at_ms=at + DAY_MS) == []


@pytest.mark.integration
async def test_the_places_are_those_that_the_channel_s_worker_takes(servers: Servers, tmp_path: Path) -> None:
    build = Events()
    firm, offer = offered(build, build.profiled(0))
    at = epoch_ms(offer.not_before)
    given = {"redis_url": servers.redis_url, "namespace": fresh_id(), "reader_per_day": 1}
    settings = Settings.model_validate(given)
    ledgers = RedisLedgers.connect(settings)
    taken = ledgers.readers(settings.topic(TRIGGERS["email"].name), Places(per_day=1))
    await taken.reserve(email_digest(MAIL), "another client's", now_ms=at)
    (row,) = await places_awaited(settings, state_of(firm), DEFAULT_POLICY, now_ms=at)
    assert (row.row.trigger_id, row.until_ms) == (offer.trigger_id, at + DAY_MS)
    racing = Settings.model_validate({**given, "clock_file": tmp_path / "clock"})
    assert await places_awaited(racing, state_of(firm), DEFAULT_POLICY, now_ms=at) == []
    await taken.refund(email_digest(MAIL), "another client's")
    assert await places_awaited(settings, state_of(firm), DEFAULT_POLICY, now_ms=at) == []
    await ledgers.close()


async def test_the_address_is_that_of_the_person_whom_the_message_is_for() -> None:
    build = Events()
    firm, offer = offered(build, people(build, finance_lead="cfo@client.example", partner="partner@client.example"))
    at, readers = epoch_ms(offer.not_before), MemoryReaders(Places(per_day=1))
    assert offer.audience is not None
    address = {"finance_lead": "cfo@client.example", "partner": "partner@client.example"}[offer.audience.value]
    await readers.reserve(email_digest(address), "another client's", now_ms=at)
    assert len(await told(firm, readers, at_ms=at)) == 1


async def test_what_takes_no_place_waits_for_none() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(1, "I1", due=3)], until_ms=ms(8))
    (reminder,) = firm.triggers
    assert candidates(state_of(firm), DEFAULT_POLICY, now_ms=epoch_ms(reminder.not_before)) == []
    build = Events()
    firm, offer = offered(build, build.profiled(0))
    at = epoch_ms(offer.not_before)
    assert candidates(state_of(firm), DEFAULT_POLICY, now_ms=at)
    inside = replace(DEFAULT_POLICY, internal_channels=frozenset({"email", "task"}))
    assert candidates(state_of(firm), inside, now_ms=at) == []
    firm.feed(build.reported(31, offer.trigger_id, DeliveryOutcome.SENT))
    assert candidates(state_of(firm), DEFAULT_POLICY, now_ms=at) == []
