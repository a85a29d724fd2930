"""What every channel must keep to: the conformance kit of the worker contract. A new channel joins by one entry in KITS."""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from handlers.channels.console import ConsoleChannel
from handlers.channels.contract import Channel, Content, OnAmbiguous, Recipient, Verdict
from handlers.channels.email import EmailChannel
from handlers.channels.portal import PortalChannel
from handlers.channels.sms import SmsChannel
from handlers.channels.task import TaskChannel
from handlers.channels.tasks import MemoryTaskBoard, Task
from handlers.channels.webhook import WebhookChannel
from handlers.demo.smtp_sink import SmtpSink
from handlers.mailbox.messages import MemoryMailbox, Message
from streams.runtime.settings import Settings
from streams.wire.topics import TRIGGERS
from tests.handlers.channel_bench import ScriptedChannel
from tests.handlers.channel_examples import ADA, delivery, trigger
from tests.handlers.http_sink import HttpSink
from tests.handlers.signing import STANDARD_SECRET
from tests.waiting import until_async


@dataclass
class Kit:
    """A channel, the idempotency keys its provider saw, and a way to take the provider away."""

    channel: Channel
    seen: Callable[[], list[str]]
    take_away: Callable[[], Awaitable[None]]


@asynccontextmanager
async def email(folder: Path) -> AsyncIterator[Kit]:
    del folder
    async with SmtpSink() as sink:
        fields = {"smtp_port": sink.port, "mail_from": "Firm <care@firm.example>", "smtp_timeout_seconds": 5}
        channel = EmailChannel(Settings.model_validate(fields))
        yield Kit(channel, lambda: [mail.message_id.partition("@")[0] for mail in sink.mails], sink.stop)


@asynccontextmanager
async def terminal(folder: Path) -> AsyncIterator[Kit]:
    del folder
    paper = io.StringIO()
    channel = ConsoleChannel(file=paper, width=200)

    async def take_away() -> None:
        paper.write = _refuse  # type: ignore[method-assign] # a terminal that has gone

    yield Kit(channel, lambda: re.findall(r"trigger (\S+)", paper.getvalue()), take_away)


@asynccontextmanager
async def file(folder: Path) -> AsyncIterator[Kit]:
    path = folder / "out" / "messages.jsonl"
    path.parent.mkdir()

    async def take_away() -> None:
        path.unlink(missing_ok=True)
        path.parent.rmdir()

    def seen() -> list[str]:
        return [orjson.loads(line)["trigger_id"] for line in path.read_bytes().splitlines()]

    yield Kit(ConsoleChannel(out=path), seen, take_away)


@asynccontextmanager
async def scripted(folder: Path) -> AsyncIterator[Kit]:
    del folder
    channel = ScriptedChannel()

    async def take_away() -> None:
        channel.script = [Verdict.UNAVAILABLE]

    yield Kit(channel, lambda: [message.idempotency_key for message in channel.sent], take_away)


@asynccontextmanager
async def sms(folder: Path) -> AsyncIterator[Kit]:
    del folder
    async with HttpSink() as sink:
        fields = {"sms_url": sink.url, "http_private_targets": True, "http_timeout_seconds": 5}
        channel = SmsChannel(Settings.model_validate(fields))
        yield Kit(channel, lambda: [posted.headers["idempotency-key"] for posted in sink.seen], sink.stop)


@asynccontextmanager
async def webhook(folder: Path) -> AsyncIterator[Kit]:
    del folder
    async with HttpSink() as sink:
        fields = {"channel_webhook_url": sink.url, "http_private_targets": True, "http_timeout_seconds": 5}
        channel = WebhookChannel(Settings.model_validate({**fields, "channel_webhook_secret": STANDARD_SECRET}))
        yield Kit(channel, lambda: [posted.headers["idempotency-key"] for posted in sink.seen], sink.stop)


class CountingBoard(MemoryTaskBoard):
    """Remembers every task it was given, those it knew as well."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[str] = []

    async def put(self, task: Task) -> bool:
        fresh = await super().put(task)
        self.given.append(task.task_id)
        return fresh


@asynccontextmanager
async def task(folder: Path) -> AsyncIterator[Kit]:
    del folder
    board = CountingBoard()

    async def take_away() -> None:
        board.away = True

    yield Kit(TaskChannel(board), lambda: board.given, take_away)


class CountingMailbox(MemoryMailbox):
    """Remembers every message it was given, those it knew as well."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[str] = []

    async def put(self, message: Message) -> bool:
        fresh = await super().put(message)
        self.given.append(message.message_id)
        return fresh


@asynccontextmanager
async def portal(folder: Path) -> AsyncIterator[Kit]:
    del folder
    mailbox = CountingMailbox()

    async def take_away() -> None:
        mailbox.away = True

    yield Kit(PortalChannel(mailbox), lambda: mailbox.given, take_away)


KITS = [email, sms, webhook, portal, task, terminal, file, scripted]


@pytest.fixture(params=KITS, ids=lambda make: make.__name__)
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    async with request.param(tmp_path) as made:
        yield made


def _refuse(text: str) -> int:
    raise BrokenPipeError(32, "Broken pipe", text[:0])


async def test_it_serves_a_topic_of_the_table(kit: Kit) -> None:
    assert kit.channel.name in TRIGGERS


async def test_its_provider_is_a_label_and_names_nobody(kit: Kit) -> None:
    assert re.fullmatch(r"[a-z0-9.-]{1,253}", kit.channel.provider)


async def test_its_limits_leave_the_lease_longer_than_an_attempt(kit: Kit) -> None:
    limits = kit.channel.limits
    assert min(limits.concurrency, limits.per_second, limits.attempts) > 0
    assert limits.lease_ms > limits.timeout_seconds * 1000


async def test_an_accepted_message_carries_its_idempotency_key(kit: Kit) -> None:
    assert (await kit.channel.send(delivery(trigger("key-1")))).verdict is Verdict.ACCEPTED
    assert kit.seen() == ["key-1"]


async def test_a_repetition_can_be_told_by_its_key(kit: Kit) -> None:
    for _ in range(2):
        await kit.channel.send(delivery(trigger("key-1")))
    assert set(kit.seen()) == {"key-1"}


async def test_it_repeats_nothing_by_itself(kit: Kit) -> None:
    await kit.channel.send(delivery(trigger("key-1")))
    assert kit.seen().count("key-1") == 1


async def test_messages_at_the_same_time_are_all_delivered(kit: Kit) -> None:
    keys = [f"key-{number}" for number in range(10)]
    results = await asyncio.gather(*(kit.channel.send(delivery(trigger(key))) for key in keys))
    assert {result.verdict for result in results} == {Verdict.ACCEPTED}
    assert sorted(kit.seen()) == sorted(keys)


@pytest.mark.parametrize(
    "hostile",
    ["\r\nBcc: eve@evil.example", "\x1b[2J\x07", "\u202eevil", "[bold]x[/bold]", "\ud83d\ude00" * 200, "好" * 500, "", "%s{0}"],
    ids=["header", "terminal", "direction", "markup", "lone surrogates", "long", "empty", "format"],
)
async def test_no_content_makes_it_raise_or_lose_the_message(kit: Kit, hostile: str) -> None:
    sane = hostile.encode("utf-16", "surrogatepass").decode("utf-16")
    content = Content(sane, f"{sane}\n", f"<p>{len(sane)}</p>")
    recipient = Recipient(name=sane, email=ADA.email)
    assert (await kit.channel.send(delivery(trigger("key-1"), recipient=recipient, content=content))).verdict is Verdict.ACCEPTED
    assert kit.seen() == ["key-1"]


async def test_a_provider_that_is_away_is_a_verdict_and_not_an_exception(kit: Kit) -> None:
    await kit.take_away()
    assert (await kit.channel.send(delivery())).verdict is Verdict.UNAVAILABLE


async def test_an_interrupted_attempt_leaves_the_channel_usable(kit: Kit) -> None:
    attempt = asyncio.create_task(kit.channel.send(delivery(trigger("key-1"))))
    await until_async(lambda: True)
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    assert (await kit.channel.send(delivery(trigger("key-2")))).verdict is Verdict.ACCEPTED


async def test_nobody_without_a_profile_is_reached_where_an_address_is_needed(kit: Kit) -> None:
    address = kit.channel.address_of(Recipient())
    assert address != ""
    assert (address is None) == (kit.channel.on_ambiguous is OnAmbiguous.HOLD)


async def test_closing_twice_is_harmless(kit: Kit) -> None:
    await kit.channel.close()
    await kit.channel.close()
