"""The conformance kit finds what is wrong with a channel: one that is broken on purpose in each way that a law forbids."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from handlers.channels.check_command import check_channel as command
from handlers.channels.conformance import LAWS, Finding, Kit, MakeKit, check_channel
from handlers.channels.contract import Delivery, Limits, OnAmbiguous, Recipient, SendResult, Verdict
from streams.runtime.errors import UsageError
from tests.waiting import pause


class Carrier:
    """A channel as a stranger might write it, whole: its provider is a list."""

    name = "pigeon"
    provider = "loft.example"
    on_ambiguous = OnAmbiguous.HOLD
    limits = Limits()

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.is_away = False
        self.is_busy_for = 0.0
        self.is_closed = False

    def address_of(self, recipient: Recipient) -> str | None:
        return recipient.email

    async def send(self, message: Delivery) -> SendResult:
        await pause(0)
        if self.is_away:
            return SendResult(Verdict.UNAVAILABLE, "nobody opens")
        if self.is_busy_for:
            return SendResult(Verdict.UNAVAILABLE, "too many birds", retry_after_seconds=self.is_busy_for)
        self.taken.append(message.idempotency_key)
        return SendResult(Verdict.ACCEPTED, "taken")

    async def close(self) -> None:
        self.is_closed = True


class TalksOfClients(Carrier):
    provider = "Ada's mailbox"


class ShortLease(Carrier):
    limits = Limits(timeout_seconds=-1)


class LosesMessages(Carrier):
    async def send(self, message: Delivery) -> SendResult:
        return SendResult(Verdict.ACCEPTED, message.idempotency_key)


class DrawsKeys(Carrier):
    async def send(self, message: Delivery) -> SendResult:
        self.taken.append(f"{message.idempotency_key}-{len(self.taken)}")
        return SendResult(Verdict.ACCEPTED)


class Insists(Carrier):
    async def send(self, message: Delivery) -> SendResult:
        await super().send(message)
        return await super().send(message)


class OneAtATime(Carrier):
    is_busy = False

    async def send(self, message: Delivery) -> SendResult:
        if self.is_busy:
            return SendResult(Verdict.REFUSED, "busy")
        self.is_busy = True
        await pause(0)
        self.is_busy = False
        return await super().send(message)


class Formats(Carrier):
    async def send(self, message: Delivery) -> SendResult:
        return SendResult((await super().send(message)).verdict, message.content.subject % ())


class Raises(Carrier):
    async def send(self, message: Delivery) -> SendResult:
        if self.is_away:
            raise ConnectionRefusedError
        return await super().send(message)


class TakesBusyForNo(Carrier):
    async def send(self, message: Delivery) -> SendResult:
        return SendResult(Verdict.REFUSED, "429") if self.is_busy_for else await super().send(message)


class KnocksAgainAtOnce(Carrier):
    async def send(self, message: Delivery) -> SendResult:
        return SendResult(Verdict.UNAVAILABLE, "429") if self.is_busy_for else await super().send(message)


class Chatters(Carrier):
    async def send(self, message: Delivery) -> SendResult:
        return SendResult((await super().send(message)).verdict, f"delivered to {message.address}")


class StaysStuck(OneAtATime):
    async def send(self, message: Delivery) -> SendResult:
        return await super().send(message)


class GuessesAddresses(Carrier):
    def address_of(self, recipient: Recipient) -> str | None:
        return recipient.email or "office@client.example"


class ClosesOnce(Carrier):
    async def close(self) -> None:
        if self.is_closed:
            message = "closed already"
            raise RuntimeError(message)
        self.is_closed = True


BROKEN = {
    "its name fits a topic": TalksOfClients,
    "its limits leave": ShortLease,
    "a message it takes": LosesMessages,
    "a repetition": DrawsKeys,
    "it repeats nothing": Insists,
    "messages at the same time": OneAtATime,
    "no content": Formats,
    "a provider that is away": Raises,
    "a provider that is busy": TakesBusyForNo,
    "what it reports": Chatters,
    "an interrupted attempt": StaysStuck,
    "nobody without a profile": GuessesAddresses,
    "closing it twice": ClosesOnce,
}


def kit_of(make: Callable[[], Carrier]) -> MakeKit:
    @asynccontextmanager
    async def kit(_: Path) -> AsyncIterator[Kit]:
        channel = make()

        async def take_away() -> None:
            channel.is_away = True

        async def make_busy() -> float:
            channel.is_busy_for = 30.0
            return channel.is_busy_for

        yield Kit(channel, lambda: channel.taken, take_away, make_busy)

    return kit


def broken(findings: list[Finding]) -> list[str]:
    return [finding.law.sentence for finding in findings if finding.wrong]


async def test_a_channel_that_is_whole_keeps_every_law(tmp_path: Path) -> None:
    assert broken(await check_channel(kit_of(Carrier), tmp_path)) == []


@pytest.mark.parametrize(("law", "make"), BROKEN.items(), ids=BROKEN)
async def test_each_law_catches_the_channel_that_breaks_it_and_says_how(
    law: str, make: Callable[[], Carrier], tmp_path: Path
) -> None:
    findings = await check_channel(kit_of(make), tmp_path)
    (caught,) = [finding for finding in findings if finding.law.sentence.startswith(law)]
    assert caught.wrong


async def test_a_channel_that_asks_again_before_the_provider_said_is_caught(tmp_path: Path) -> None:
    caught = {finding.law.sentence: finding.wrong for finding in await check_channel(kit_of(KnocksAgainAtOnce), tmp_path)}
    busy = next(wrong for sentence, wrong in caught.items() if sentence.startswith("a provider that is busy"))
    assert busy == "the provider asked for 30 seconds and is given 0"


def test_every_law_has_a_channel_that_breaks_it() -> None:
    assert [law.sentence.startswith(begin) for law, begin in zip(LAWS, BROKEN, strict=True)] == [True] * len(LAWS)


insisting = kit_of(Insists)


def test_the_command_tells_which_laws_a_channel_keeps_and_fails_for_a_broken_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("handlers.channels.example_kit:console") == 0
    assert capsys.readouterr().out.endswith(f"All {len(LAWS)} laws kept\n")
    assert command("tests.laws.test_conformance:insisting") == 1
    assert "BROKEN  it repeats nothing by itself" in capsys.readouterr().out
    with pytest.raises(UsageError, match="there is no kit"):
        command("tests.laws.test_conformance:nothing")
