"""Laws of the mailbox, over both twins."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from handlers.mailbox.messages import Mailbox, MemoryMailbox, Message
from handlers.mailbox.redis_mailbox import RedisMailbox
from streams.runtime.clock import fresh_id
from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from streams.wire.codec import encode_output
from tests.conftest import Servers
from tests.handlers.channel_examples import trigger

pytestmark = pytest.mark.integration

MOST = 5


def message(message_id: str = "m1", *, client_id: str = "ada", text: str = "line\n\n好\n") -> Message:
    given = trigger(message_id, channel="portal", client_id=client_id)
    return Message(
        message_id=message_id,
        client_id=client_id,
        sent_ms=1_000,
        subject="Speak with us",
        text=text,
        html="<p>好</p>",
        trigger=encode_output(given),
    )


@pytest.fixture(params=["memory", "redis"])
async def mailbox(request: pytest.FixtureRequest) -> AsyncIterator[Mailbox]:
    if request.param == "memory":
        yield MemoryMailbox(most=MOST)
        return
    servers: Servers = request.getfixturevalue("servers")
    made = RedisMailbox(Settings.model_validate({"redis_url": servers.redis_url, "namespace": fresh_id()}), most=MOST)
    yield made
    for client in ("ada", "bob"):
        await made.forget(client)
    await made.close()


async def ids(mailbox: Mailbox, *, limit: int = 10, before: str = "", client: str = "ada") -> list[str]:
    return [each.message_id for each in await mailbox.messages(client, limit=limit, before=before)]


async def test_what_was_laid_out_is_found_as_it_was(mailbox: Mailbox) -> None:
    assert await mailbox.put(message())
    assert await mailbox.get("ada", "m1") == message()
    assert await mailbox.messages("ada", limit=10) == [message()]
    assert message().why().trigger_id == "m1"


async def test_laying_out_again_changes_nothing_read_or_not(mailbox: Mailbox) -> None:
    await mailbox.put(message())
    await mailbox.mark_read("ada", "m1", at_ms=7)
    assert not await mailbox.put(message(text="another"))
    assert await mailbox.messages("ada", limit=10) == [msgspec.structs.replace(message(), read_ms=7)]


async def test_the_newest_come_first_page_by_page(mailbox: Mailbox) -> None:
    for number in range(4):
        await mailbox.put(message(f"m{number}"))
    assert await ids(mailbox, limit=3) == ["m3", "m2", "m1"]
    assert await ids(mailbox, limit=3, before="m1") == ["m0"]
    assert await ids(mailbox, limit=3, before="m0") == []


async def test_the_oldest_make_room(mailbox: Mailbox) -> None:
    for number in range(MOST + 2):
        await mailbox.put(message(f"m{number}"))
    assert await ids(mailbox) == ["m6", "m5", "m4", "m3", "m2"]
    assert await mailbox.get("ada", "m0") is None


async def test_nobody_sees_or_marks_what_is_anothers(mailbox: Mailbox) -> None:
    await mailbox.put(message())
    assert await mailbox.get("bob", "m1") is None
    assert await mailbox.mark_read("bob", "m1", at_ms=7) is None
    assert await ids(mailbox, client="bob") == []
    assert await mailbox.get("ada", "m1") == message()


async def test_the_first_reading_holds(mailbox: Mailbox) -> None:
    await mailbox.put(message())
    for at_ms in (7, 9):
        marked = await mailbox.mark_read("ada", "m1", at_ms=at_ms)
        assert marked is not None
        assert marked.read_ms == 7
    assert await mailbox.mark_read("ada", "m2", at_ms=7) is None


async def test_a_forgotten_client_leaves_nothing(mailbox: Mailbox) -> None:
    await mailbox.put(message())
    await mailbox.put(message(client_id="bob"))
    await mailbox.mark_read("ada", "m1", at_ms=7)
    for _ in range(2):
        await mailbox.forget("ada")
    assert await ids(mailbox) == []
    assert await ids(mailbox, client="bob") == ["m1"]
    assert await mailbox.put(message())
    assert await mailbox.messages("ada", limit=10) == [message()]


async def test_a_store_that_is_away_is_an_error_that_asks_to_try_again() -> None:
    away = MemoryMailbox()
    away.away = True
    for mailbox in (away, RedisMailbox(Settings(redis_url="redis://127.0.0.1:1/0"))):
        calls = (
            mailbox.put(message()),
            mailbox.get("ada", "m1"),
            mailbox.messages("ada", limit=1),
            mailbox.mark_read("ada", "m1", at_ms=7),
            mailbox.forget("ada"),
        )
        for call in calls:
            with pytest.raises(RetryError):
                await call
        await mailbox.close()
