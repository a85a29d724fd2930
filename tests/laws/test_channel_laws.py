"""Every channel keeps the laws of the conformance kit (handlers/channels/conformance.py). A new one joins by an entry in KITS."""

import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from handlers.channels.conformance import LAWS, Kit, Law
from handlers.channels.console import ConsoleChannel
from handlers.channels.contract import Verdict
from handlers.channels.email import EmailChannel
from handlers.channels.example_kit import console
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
from tests.handlers.http_sink import HttpSink
from tests.handlers.signing import STANDARD_SECRET


@asynccontextmanager
async def email(folder: Path) -> AsyncIterator[Kit]:
    del folder
    async with SmtpSink() as sink:
        fields = {"smtp_port": sink.port, "mail_from": "Firm <care@firm.example>", "smtp_timeout_seconds": 5}
        channel = EmailChannel(Settings.model_validate(fields))

        async def make_busy() -> float:
            sink.on_rcpt.append("451 4.7.1 too many messages, try again later")
            return 0  # mail servers name no time

        yield Kit(channel, lambda: [mail.message_id.partition("@")[0] for mail in sink.mails], sink.stop, make_busy)


@asynccontextmanager
async def terminal(folder: Path) -> AsyncIterator[Kit]:
    del folder
    paper = io.StringIO()
    channel = ConsoleChannel(file=paper, width=200)

    async def take_away() -> None:
        paper.write = _refuse  # type: ignore[method-assign] # a terminal that has gone

    yield Kit(channel, lambda: re.findall(r"trigger (\S+)", paper.getvalue()), take_away)


@asynccontextmanager
async def scripted(folder: Path) -> AsyncIterator[Kit]:
    del folder
    channel = ScriptedChannel()

    async def take_away() -> None:
        channel.script = [Verdict.UNAVAILABLE]

    async def make_busy() -> float:
        channel.script = [Verdict.DEFERRED]
        return 0

    yield Kit(channel, lambda: [message.idempotency_key for message in channel.sent], take_away, make_busy)


def busy(sink: HttpSink) -> Callable[[], Awaitable[float]]:
    async def make_busy() -> float:
        sink.script.append("429 Too Many Requests\r\nRetry-After: 120")
        return 120

    return make_busy


@asynccontextmanager
async def sms(folder: Path) -> AsyncIterator[Kit]:
    del folder
    async with HttpSink() as sink:
        fields = {"sms_url": sink.url, "http_private_targets": True, "http_timeout_seconds": 5}
        channel = SmsChannel(Settings.model_validate(fields))
        yield Kit(channel, lambda: [posted.headers["idempotency-key"] for posted in sink.seen], sink.stop, busy(sink))


@asynccontextmanager
async def webhook(folder: Path) -> AsyncIterator[Kit]:
    del folder
    async with HttpSink() as sink:
        fields = {"channel_webhook_url": sink.url, "http_private_targets": True, "http_timeout_seconds": 5}
        channel = WebhookChannel(Settings.model_validate({**fields, "channel_webhook_secret": STANDARD_SECRET}))
        yield Kit(channel, lambda: [posted.headers["idempotency-key"] for posted in sink.seen], sink.stop, busy(sink))


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


KITS = [email, sms, webhook, portal, task, terminal, console, scripted]


@pytest.fixture(params=KITS, ids=lambda make: make.__name__)
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    async with request.param(tmp_path) as made:
        yield made


def _refuse(text: str) -> int:
    raise BrokenPipeError(32, "Broken pipe", text[:0])


async def test_it_serves_a_topic_of_the_table(kit: Kit) -> None:
    assert kit.channel.name in TRIGGERS


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.sentence)
async def test_it_keeps_the_law(kit: Kit, law: Law) -> None:
    await law.check(kit)
