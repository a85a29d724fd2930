import asyncio
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.channels.contract import Content, Recipient, SendResult, Verdict
from handlers.channels.email import EmailChannel
from handlers.demo.smtp_sink import CUT, HANG, SmtpSink
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from tests.handlers.channel_examples import ADA, delivery


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as opened:
        yield opened


def channel_to(sink: SmtpSink, **fields: object) -> EmailChannel:
    common = {"smtp_port": sink.port, "mail_from": "Ferro & Partner <care@firm.example>", "smtp_timeout_seconds": 1.0}
    return EmailChannel(Settings.model_validate({**common, **fields}))


async def test_a_mail_arrives_with_the_trigger_id_as_message_id_and_both_parts(sink: SmtpSink) -> None:
    result = await channel_to(sink).send(delivery())
    assert result == SendResult(Verdict.ACCEPTED, "250 OK: kept")
    (mail,) = sink.mails
    assert mail.message_id == "t1@firm.example"
    assert (mail.sender, mail.recipients) == ("care@firm.example", ("ada@client.example",))
    assert mail.message["From"] == "Ferro & Partner <care@firm.example>"
    assert mail.message["To"] == "Ada Lovelace <ada@client.example>"
    assert mail.message["Subject"] == "Invoice R-17"
    assert mail.message["Date"].datetime.isoformat() == "2026-03-02T09:00:00+00:00"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.body() == "Hello Ada,\n\nthe invoice.\n"
    assert mail.body("html").strip() == "<p>Hello Ada,</p>"


@pytest.mark.parametrize(
    ("on_rcpt", "on_data", "verdict"),
    [
        (["451 4.7.1 try again later"], [], Verdict.DEFERRED),
        (["550 5.1.1 no such user"], [], Verdict.BOUNCED),
        (["550 5.7.1 relaying denied"], [], Verdict.REFUSED),
        (["421 4.3.2 going down"], [], Verdict.UNAVAILABLE),
        ([CUT], [], Verdict.UNAVAILABLE),
        ([HANG], [], Verdict.UNAVAILABLE),
        ([], ["452 4.2.2 mailbox full"], Verdict.DEFERRED),
        ([], ["554 5.6.0 content refused"], Verdict.REFUSED),
        ([], ["421 4.3.2 going down"], Verdict.UNAVAILABLE),
        ([], [CUT], Verdict.UNCERTAIN),
        ([], [HANG], Verdict.UNCERTAIN),
    ],
)
async def test_what_the_server_does_becomes_a_verdict(
    sink: SmtpSink, on_rcpt: list[str], on_data: list[str], verdict: Verdict
) -> None:
    sink.on_rcpt, sink.on_data = on_rcpt, on_data
    assert (await channel_to(sink).send(delivery())).verdict is verdict


async def test_a_dead_server_is_unavailable(sink: SmtpSink) -> None:
    channel = channel_to(sink)
    await sink.stop()
    assert (await channel.send(delivery())).verdict is Verdict.UNAVAILABLE


async def test_a_wrong_password_is_the_firms_fault_and_no_mail_is_given_up_for_it(sink: SmtpSink) -> None:
    sink.credentials = ("firm", "right")
    wrong = channel_to(sink, smtp_username="firm", smtp_password="wrong")
    assert (await wrong.send(delivery())).verdict is Verdict.UNAVAILABLE
    right = channel_to(sink, smtp_username="firm", smtp_password="right")
    assert (await right.send(delivery())).verdict is Verdict.ACCEPTED


async def test_without_the_starttls_that_is_asked_for_nothing_is_sent(sink: SmtpSink) -> None:
    assert (await channel_to(sink, smtp_starttls=True).send(delivery())).verdict is Verdict.UNAVAILABLE
    assert sink.mails == []


async def test_the_reason_never_repeats_the_address(sink: SmtpSink) -> None:
    sink.on_rcpt = ["550 5.1.1 <ada@client.example>: user unknown"]
    assert "ada@" not in (await channel_to(sink).send(delivery())).detail


async def test_unicode_in_names_subjects_and_text_arrives_as_it_was_written(sink: SmtpSink) -> None:
    recipient = Recipient(name="Ünïcødé 好", email="ada@client.example")
    content = Content("Rechnung über 1.250,00 €", "Grüße\n.\n..zwei Punkte\n", "<p>Grüße</p>")
    await channel_to(sink).send(delivery(recipient=recipient, content=content))
    (mail,) = sink.mails
    assert mail.message["To"].addresses[0].display_name == "Ünïcødé 好"
    assert mail.message["Subject"] == "Rechnung über 1.250,00 €"
    assert mail.body() == "Grüße\n.\n..zwei Punkte\n"


async def test_an_internationalised_address_is_used_as_it_is(sink: SmtpSink) -> None:
    result = await channel_to(sink).send(delivery(recipient=Recipient(email="jörg@exämple.example")))
    assert result.verdict is Verdict.ACCEPTED
    assert sink.mails[0].recipients == ("jörg@exämple.example",)


async def test_twenty_mails_at_a_time_do_not_mix(sink: SmtpSink) -> None:
    channel = channel_to(sink, smtp_timeout_seconds=10)
    contents = [Content(f"s{number}", f"t{number}\n", "<p></p>") for number in range(20)]
    await asyncio.gather(*(channel.send(delivery(content=content)) for content in contents))
    assert {(mail.message["Subject"], mail.body()) for mail in sink.mails} == {(f"s{n}", f"t{n}\n") for n in range(20)}


@given(name=st.text(max_size=60), subject=st.text(max_size=200))
def test_nothing_in_a_name_or_subject_can_add_a_header_or_end_the_headers(name: str, subject: str) -> None:
    channel = EmailChannel(Settings(mail_from="Firm <care@firm.example>"))
    recipient = Recipient(name=name, email="ada@client.example")
    raw = channel.compose(delivery(recipient=recipient, content=Content(subject, "text\n", "<p>html</p>")))
    mail = message_from_bytes(raw, policy=default)
    assert sorted(mail.keys()) == sorted(
        ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    )
    assert [address.addr_spec for address in mail["To"].addresses] == ["ada@client.example"]


@given(token=st.text(alphabet="abcXYZ019-_.", min_size=1, max_size=900))
def test_an_address_to_unsubscribe_is_one_unbroken_line_that_programs_can_post_to(token: str) -> None:
    channel = EmailChannel(Settings(mail_from="Firm <care@firm.example>"))
    url = f"https://care.firm.example/links/{token}"
    for recipient in (ADA, Recipient(email="jörg@exämple.example")):
        raw = channel.compose(delivery(recipient=recipient, content=Content("s", "text\n", "<p>html</p>", url)))
        assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in raw
        assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
        assert max(map(len, raw.split(b"\r\n"))) <= 998


async def test_the_headers_to_unsubscribe_survive_a_mail_server(sink: SmtpSink) -> None:
    await channel_to(sink).send(
        delivery(content=Content("s", "text\n", "<p>html</p>", "https://care.firm.example/links/" + "x" * 300))
    )
    (mail,) = sink.mails
    assert mail.message["List-Unsubscribe"] == f"<https://care.firm.example/links/{'x' * 300}>"


def test_the_same_delivery_is_the_same_mail_byte_for_byte() -> None:
    channel = EmailChannel(Settings(mail_from="Firm <care@firm.example>"))
    assert channel.compose(delivery()) == channel.compose(delivery())


@pytest.mark.parametrize("address", ["", "ada", "ada@x\r\nBcc: eve@x", "a b@x", "<ada@x>", "ada@x, eve@y", None])
def test_what_is_no_address_is_none(address: str | None) -> None:
    channel = EmailChannel(Settings(mail_from="Firm <care@firm.example>"))
    assert channel.address_of(Recipient(email=address)) is None
    assert channel.address_of(ADA) == "ada@client.example"


def test_a_sender_that_is_no_address_is_refused_at_start() -> None:
    with pytest.raises(UsageError, match="RAPPORT_MAIL_FROM"):
        EmailChannel(Settings(mail_from="Your firm"))
