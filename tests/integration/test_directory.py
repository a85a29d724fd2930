"""A dispute as Stripe really sends it, through real Kafka and real Redis: it names its charge, and its client is found."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from handlers.commands.directory import tell_again
from models.events.delays import DisputeOpened
from models.events.union import AnyClientEvent
from streams.engine.failpoints import AFTER_COMMIT, BEFORE_COMMIT
from streams.engine.producer import Outgoing
from streams.runtime.settings import Settings
from streams.sources.payload import parse_object
from streams.state.keys import directory_base
from streams.state.redis_store import connect_redis
from streams.wire.dead_letters import Reason, read_dead_letter
from streams.wire.events import read_client_event
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, DEAD_LETTERS, WEBHOOKS
from tests.integration.engine_world import crew_of, feed, read_topic, until_caught_up
from tests.streams.stripe_samples import charge, dispute, event

pytestmark = pytest.mark.integration
KILLED = -9


def webhook(body: bytes, *, partition: int, more: Sequence[tuple[str, bytes]] = ()) -> Outgoing:
    headers = [("source", b"stripe"), ("received_at", b"2026-01-05T09:00:00+00:00"), ("delivery_id", b"d"), *more]
    return Outgoing(topic=WEBHOOKS.name, partition=partition, key=b"d", value=body, headers=headers)


def charged(number: int) -> bytes:
    about = charge(id=f"ch_{number}", payment_intent=f"pi_{number}", customer=f"cus_{number}", invoice=f"in_{number}")
    return event("charge.succeeded", about, event_id=f"evt_charge_{number}")


def disputed(number: int, *, of: str | None = None) -> bytes:
    about = dispute(id=f"dp_{of or number}", charge=f"ch_{number}", payment_intent=f"pi_{number}")
    return event("charge.dispute.created", about, event_id=f"evt_dispute_{of or number}")


async def on_the_log(settings: Settings) -> list[AnyClientEvent]:
    found = await read_topic(settings, CLIENT_EVENTS)
    return [read_client_event(parse_object(record.value)) for records in found.values() for record in records if record.key]


async def opened(settings: Settings) -> dict[str, tuple[str, str | None]]:
    told = [one for one in await on_the_log(settings) if isinstance(one, DisputeOpened)]
    return {one.dispute_id: (one.client_id, one.invoice_id) for one in told}


async def letters(settings: Settings) -> list[Record]:
    return (await read_topic(settings, DEAD_LETTERS))[0]


async def test_a_bare_dispute_is_told_of_the_client_and_invoice_of_its_charge(settings: Settings, tmp_path: Path) -> None:
    with crew_of(settings, tmp_path) as crew:
        crew.start()
        await feed(settings, [webhook(charged(1), partition=0), webhook(disputed(1), partition=0)])  # in one batch, or two
        await feed(settings, [webhook(charged(2), partition=0)])
        await until_caught_up(settings)
        await feed(settings, [webhook(disputed(2), partition=1)])  # another partition, later: found in Redis
        await until_caught_up(settings)
        redis = connect_redis(settings)
        lost = [key async for key in redis.scan_iter(match=f"{directory_base(settings)}*")]
        assert await redis.delete(*lost) > 3
        assert await tell_again(settings) > 3
        await redis.aclose()
        await feed(settings, [webhook(disputed(1, of="again"), partition=1)])
        await until_caught_up(settings)
    expected = {"dp_1": ("cus_1", "in_1"), "dp_2": ("cus_2", "in_2"), "dp_again": ("cus_1", "in_1")}
    assert await opened(settings) == expected
    assert await letters(settings) == []


async def test_a_dispute_that_came_too_early_is_kept_and_works_when_driven_again(settings: Settings, tmp_path: Path) -> None:
    with crew_of(settings, tmp_path) as crew:
        crew.start()
        await feed(settings, [webhook(disputed(1), partition=0)])
        await until_caught_up(settings)
        (record,) = await letters(settings)
        letter = read_dead_letter(record)
        assert letter.reason == Reason.NO_CLIENT
        assert "Redrive it after" in letter.detail
        await feed(settings, [webhook(charged(1), partition=1)])
        await until_caught_up(settings)
        assert letter.value is not None
        await feed(settings, [webhook(letter.value, partition=0, more=[("redriven", b"0:0")])])
        await until_caught_up(settings)
    assert await opened(settings) == {"dp_1": ("cus_1", "in_1")}


@pytest.mark.parametrize("place", [f"{BEFORE_COMMIT}:1", f"{AFTER_COMMIT}:1"])
async def test_what_a_killed_worker_had_read_is_remembered_by_the_next(settings: Settings, tmp_path: Path, place: str) -> None:
    await feed(settings, [webhook(charged(number), partition=0) for number in range(60)])
    with crew_of(settings, tmp_path) as crew:
        assert crew.start(RAPPORT_FAILPOINT=place).until_dead() == KILLED
        crew.start()
        await until_caught_up(settings)
        await feed(settings, [webhook(disputed(number), partition=1) for number in range(60)])
        await until_caught_up(settings)
    assert await opened(settings) == {f"dp_{number}": (f"cus_{number}", f"in_{number}") for number in range(60)}
    assert await letters(settings) == []
