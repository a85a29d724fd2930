from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from handlers.channels.assembly import configured, make_channel
from handlers.channels.contract import Channel, Content, OnAmbiguous, Recipient, SendResult, Verdict
from handlers.channels.http_provider import is_public
from handlers.channels.presend import LastLook
from handlers.channels.sms import SmsChannel
from handlers.channels.webhook import WebhookChannel
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from tests.handlers.channel_bench import Bench, ScriptedChannel
from tests.handlers.channel_examples import NOW, delivery, trigger
from tests.handlers.http_sink import CUT, HANG, HttpSink
from tests.handlers.signing import STANDARD_SECRET

TO = Recipient(name="Ada", email="ada@client.example", phone="+4930901820")


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with HttpSink() as opened:
        yield opened


@pytest.mark.parametrize(("name", "setting"), [("sms", "RAPPORT_SMS_URL"), ("webhook", "RAPPORT_CHANNEL_WEBHOOK_URL")])
def test_a_channel_whose_provider_nobody_named_says_which_setting_names_it(name: str, setting: str) -> None:
    with pytest.raises(UsageError, match=f"{setting} is not set: .*{setting}=https://"):
        make_channel(name, settings_for(None))


def settings_for(url: str | None, **fields: object) -> Settings:
    common = {
        "sms_url": url,
        "sms_token": "token-1",
        "sms_sender": "Ferro",
        "channel_webhook_url": url,
        "channel_webhook_secret": STANDARD_SECRET,
        "http_timeout_seconds": 0.5,
        "http_private_targets": True,
    }
    return Settings.model_validate({**common, **fields})


@pytest.fixture(params=["sms", "webhook"])
def channel(request: pytest.FixtureRequest, sink: HttpSink) -> Channel:
    return make_channel(request.param, settings_for(sink.url))


@pytest.mark.parametrize(
    ("answer", "webhook", "sms"),
    [
        ("200 OK", Verdict.ACCEPTED, Verdict.ACCEPTED),
        ("429 Too Many Requests", Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
        ("500 Oops", Verdict.UNAVAILABLE, Verdict.UNCERTAIN),
        ("502 Bad Gateway", Verdict.UNAVAILABLE, Verdict.UNCERTAIN),
        ("503 Busy", Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
        ("400 Bad Request", Verdict.REFUSED, Verdict.REFUSED),
        ("401 Who", Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
        ("403 No", Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
        ("410 Gone", Verdict.BOUNCED, Verdict.BOUNCED),
        ("422 No", Verdict.REFUSED, Verdict.REFUSED),
        ("302 Found\r\nLocation: ITSELF", Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
        ("307 Temporary Redirect\r\nLocation: ITSELF", Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
        (HANG, Verdict.UNCERTAIN, Verdict.UNCERTAIN),
        (CUT, Verdict.UNCERTAIN, Verdict.UNCERTAIN),
        ("nonsense", Verdict.UNCERTAIN, Verdict.UNCERTAIN),
    ],
)
async def test_what_the_provider_does_becomes_a_verdict(
    sink: HttpSink, channel: Channel, answer: str, webhook: Verdict, sms: Verdict
) -> None:
    sink.script = [answer.replace("ITSELF", sink.url)]
    result = await channel.send(delivery(recipient=TO))
    assert result.verdict is (sms if channel.name == "sms" else webhook)
    assert len(sink.seen) == 1
    assert (await channel.send(delivery(recipient=TO))).verdict is Verdict.ACCEPTED


async def test_a_provider_that_is_away_is_unavailable(sink: HttpSink, channel: Channel) -> None:
    await sink.stop()
    assert (await channel.send(delivery())).verdict is Verdict.UNAVAILABLE


@pytest.mark.parametrize(("value", "seconds"), [("17", 17), ("0", 0), ("", 0), ("soon", 0), ("-5", 0), ("9" * 30, 0), ("²", 0)])
async def test_the_wait_that_a_provider_asks_for_is_passed_on(
    sink: HttpSink, channel: Channel, value: str, seconds: float
) -> None:
    sink.script = [f"429 Slow down\r\nRetry-After: {value}"]
    assert (await channel.send(delivery())).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("said_at", "until", "seconds"),
    [
        ("Mon, 02 Mar 2026 09:00:00 GMT", "Mon, 02 Mar 2026 09:02:00 GMT", 120),
        ("Mon, 02 Mar 2026 09:00:00 GMT", "Mon, 02 Mar 2026 08:00:00 GMT", 0),
        ("Mon, 02 Mar 2026 09:00:00 GMT", "Mon, 02 Mar 2026 09:02:00 -0000", 0),
        ("", "Mon, 02 Mar 2026 09:02:00 GMT", 0),
    ],
)
async def test_a_wait_until_a_moment_is_counted_by_the_providers_own_clock(
    sink: HttpSink, channel: Channel, said_at: str, until: str, seconds: float
) -> None:
    sink.script = [f"429 Slow down\r\nDate: {said_at}\r\nRetry-After: {until}"]
    assert (await channel.send(delivery())).retry_after_seconds == seconds


async def test_the_webhook_carries_message_trigger_keys_and_a_signature_that_the_standard_verifies(sink: HttpSink) -> None:
    channel = WebhookChannel(settings_for(sink.url))
    content = Content("Grüße", "Text 好\n", "<p>好</p>", "https://care.firm.example/links/x")
    await channel.send(delivery(trigger("t9"), recipient=TO, content=content))
    (posted,) = sink.seen
    assert posted.headers["idempotency-key"] == posted.headers["webhook-id"] == "t9"
    assert posted.headers["webhook-signature"] == Webhook(STANDARD_SECRET).sign("t9", NOW, posted.body.decode())
    assert posted.json["data"]["message"] == {
        "subject": "Grüße",
        "text": "Text 好\n",
        "html": "<p>好</p>",
        "opt_out_url": "https://care.firm.example/links/x",
    }
    assert posted.json["data"]["trigger"]["trigger_id"] == "t9"
    assert posted.json["data"]["recipient"]["phone"] == "+4930901820"


async def test_a_repetition_posts_the_same_bytes(sink: HttpSink, channel: Channel) -> None:
    for _ in range(2):
        await channel.send(delivery())
    assert sink.seen[0].body == sink.seen[1].body


async def test_a_text_message_is_posted_in_the_documented_shape(sink: HttpSink) -> None:
    channel = SmsChannel(settings_for(sink.url))
    await channel.send(delivery(trigger("t9"), content=Content("", "Hello 好\n", "")))
    (posted,) = sink.seen
    assert posted.json == {"to": "ada@client.example", "from": "Ferro", "text": "Hello 好", "reference": "t9"}
    assert (posted.headers["authorization"], posted.headers["idempotency-key"]) == ("Bearer token-1", "t9")


@pytest.mark.parametrize(
    ("phone", "country", "address"),
    [
        ("+49 30 901820", None, "+4930901820"),
        ("030 901820", "DE", "+4930901820"),
        ("030 901820", None, None),
        ("0049 30 901820", "DE", "+4930901820"),
        ("+1 415 555 2671", "DE", "+14155552671"),
        ("+49 1", None, None),
        ("12", "DE", None),
        ("nobody", "DE", None),
        ("", "DE", None),
        (None, None, None),
        ("030 901820", "XX", None),
    ],
)
def test_only_a_possible_number_is_an_address(
    sink: HttpSink, phone: str | None, country: str | None, address: str | None
) -> None:
    channel = SmsChannel(settings_for(sink.url))
    assert channel.address_of(Recipient(phone=phone, country=country)) == address


@hypothesis_settings(deadline=None)  # the numbers of a country are read when they are first asked for
@given(phone=st.text(max_size=60), country=st.text(max_size=3))
def test_whatever_a_profile_says_is_an_e164_number_or_none(phone: str, country: str) -> None:
    address = SmsChannel(settings_for("http://127.0.0.1:1")).address_of(Recipient(phone=phone, country=country))
    assert address is None or (address[0] == "+" and address[1:].isascii() and address[1:].isdigit() and len(address) <= 16)


@pytest.mark.parametrize(
    "url",
    [None, "", "ftp://provider.example", "provider.example", "https://", "https://user:pw@provider.example", "http://x.example"],
)
@pytest.mark.parametrize("name", ["sms", "webhook"])
def test_an_address_that_cannot_work_is_refused_at_start(url: str | None, name: str) -> None:
    with pytest.raises(UsageError, match="_URL"):
        make_channel(name, settings_for(url, http_private_targets=False))


@pytest.mark.parametrize("secret", [None, "", "whsec_%%%", "whsec_c2hvcnQ=", "whsec_好"])
def test_a_webhook_that_cannot_be_signed_is_refused_at_start(secret: str | None) -> None:
    with pytest.raises(UsageError, match="RAPPORT_CHANNEL_WEBHOOK_SECRET"):
        make_channel("webhook", settings_for("https://x.example", channel_webhook_secret=secret))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.8", "169.254.169.254", "[::ffff:127.0.0.1]"])
async def test_private_addresses_are_not_spoken_to_unless_allowed(sink: HttpSink, host: str) -> None:
    channel = SmsChannel(settings_for(f"https://{host}:{sink.port}/", http_private_targets=False))
    result = await channel.send(delivery())
    assert result.verdict is Verdict.UNAVAILABLE
    assert "not public" in result.detail
    assert sink.seen == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),
        ("fe80::1%eth0", False),
        ("224.0.0.1", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound to it
    ],
)
def test_what_counts_as_public(address: str, *, public: bool) -> None:
    assert is_public(address) is public


def test_channels_that_need_a_provider_run_only_where_one_is_named() -> None:
    assert {"sms", "webhook"}.isdisjoint(configured(Settings()))
    assert {"email", "sms", "webhook"} <= set(configured(settings_for("https://x.example")))


def test_a_text_message_is_never_sent_twice_by_ourselves_and_a_webhook_may_be(sink: HttpSink) -> None:
    assert SmsChannel(settings_for(sink.url)).on_ambiguous is OnAmbiguous.HOLD
    assert WebhookChannel(settings_for(sink.url)).on_ambiguous is OnAmbiguous.RESEND


async def test_a_webhook_whose_answer_was_lost_is_posted_again_under_the_same_key(sink: HttpSink) -> None:
    sink.script = [HANG, CUT, "500 Oops"]
    bench = Bench(real=WebhookChannel(settings_for(sink.url)))
    await bench.open()
    await bench.take(trigger("t1"))
    for _ in range(4):
        await bench.work()
        bench.pass_time(operating=timedelta(hours=1))
    assert [posted.headers["idempotency-key"] for posted in sink.seen] == ["t1"] * 4
    assert await bench.told() == [("t1", "sent")]


async def test_a_text_message_whose_answer_was_lost_is_reported_as_ambiguous_and_left_alone(sink: HttpSink) -> None:
    sink.script = [CUT]
    bench = Bench(real=SmsChannel(settings_for(sink.url)))
    bench.looks = [LastLook(allowed=True, recipient=TO)]
    await bench.open()
    await bench.take(trigger("t1"))
    await bench.work()
    bench.pass_time(operating=timedelta(hours=1))
    await bench.work()
    assert len(sink.seen) == 1
    assert await bench.told() == [("t1", "ambiguous")]


async def test_nothing_is_tried_before_the_provider_wants_it() -> None:
    bench = Bench(ScriptedChannel(script=[SendResult(Verdict.UNAVAILABLE, "busy", 600.0)]))
    await bench.open()
    await bench.take(trigger("t1"))
    await bench.work()
    bench.pass_time(operating=timedelta(seconds=599))
    await bench.work()
    assert len(bench.channel.sent) == 1
    bench.pass_time(operating=timedelta(seconds=2))
    await bench.work()
    assert await bench.told() == [("t1", "sent")]
