import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from handlers.webhooks.signatures import VERIFIERS, WINDOW, Refusal, Verifier, make_verifiers
from streams.agents.intake import interpret_webhook
from streams.runtime.errors import DeadLetterError, UsageError
from streams.runtime.settings import Settings
from streams.wire.dead_letters import Reason
from streams.wire.records import PlainRecord
from tests.handlers.signing import STANDARD_SECRET, gocardless_headers, standard_headers, stripe_headers

NOW = datetime(2031, 3, 1, 12, tzinfo=UTC)  # far from the machine's clock, as in an accelerated year
BODY = '{"id": "evt_1", "name": "Žofie & 山田", "n": 1}'.encode()
SECRETS = {"stripe": "whsec_s", "gocardless": "gc-secret", "generic": STANDARD_SECRET, "receipts": STANDARD_SECRET}
TIMED = ("stripe", "generic", "receipts")
STANDARD = ("generic", "receipts")
SOURCES = tuple(VERIFIERS)


def sign(source: str, body: bytes, *, at: datetime = NOW, secret: str | None = None) -> dict[str, str]:
    secret = secret or SECRETS[source]
    match source:
        case "stripe":
            return stripe_headers(body, secret=secret, at=at)
        case "gocardless":
            return gocardless_headers(body, secret=secret)
        case _:
            return standard_headers(body, secret=secret, at=at)


def verifier(source: str, *others: str) -> Verifier:
    return VERIFIERS[source]([*others, SECRETS[source]])


@pytest.mark.parametrize("source", SOURCES)
def test_a_webhook_signed_with_a_secret_is_believed(source: str) -> None:
    assert verifier(source).refusal(BODY, sign(source, BODY), now=NOW) is None


@pytest.mark.parametrize("source", SOURCES)
def test_during_a_rotation_the_old_and_the_new_secret_both_hold(source: str) -> None:
    other = STANDARD_SECRET.replace("whsec_Y", "whsec_Z") if source in STANDARD else "another"
    both = verifier(source, other)
    assert both.refusal(BODY, sign(source, BODY), now=NOW) is None
    assert both.refusal(BODY, sign(source, BODY, secret=other), now=NOW) is None
    assert verifier(source).refusal(BODY, sign(source, BODY, secret=other), now=NOW) is Refusal.MISMATCH


@pytest.mark.parametrize("source", SOURCES)
@given(position=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_one_changed_bit_of_the_body_is_refused(source: str, position: int, bit: int) -> None:
    changed = bytearray(BODY)
    changed[position] ^= 1 << bit
    assert verifier(source).refusal(bytes(changed), sign(source, BODY), now=NOW) in {Refusal.MISMATCH, Refusal.MALFORMED}


@pytest.mark.parametrize("source", STANDARD)
def test_bytes_that_are_no_text_are_believed_when_signed_so_that_their_sender_is_found_among_the_dead_letters(
    source: str,
) -> None:
    body = '{"type": "invoice.issued", "note": "Šofie"}'.encode("iso8859-2")
    assert verifier(source).refusal(body, sign(source, body), now=NOW) is None
    assert verifier(source).refusal(body[:-1] + b"]", sign(source, body), now=NOW) is Refusal.MISMATCH
    headers = (("source", source.encode()), ("received_at", NOW.isoformat().encode()))
    record = PlainRecord(topic="webhooks", partition=0, offset=0, timestamp=0, key=b"msg_1", value=body, headers=headers)
    with pytest.raises(DeadLetterError) as raised:
        interpret_webhook(record).told()
    assert raised.value.reason == Reason.BAD_JSON


@pytest.mark.parametrize("source", TIMED)
@pytest.mark.parametrize(
    ("skew", "verdict"),
    [
        (timedelta(0), None),
        (WINDOW, None),
        (-WINDOW, None),
        (WINDOW + timedelta(seconds=1), Refusal.STALE),
        (-WINDOW - timedelta(seconds=1), Refusal.STALE),
    ],
)
def test_the_window_is_five_minutes_both_ways_by_our_own_clock(source: str, skew: timedelta, verdict: Refusal | None) -> None:
    headers = sign(source, BODY, at=NOW + skew)
    assert verifier(source).refusal(BODY, headers, now=NOW) is verdict


@pytest.mark.parametrize("source", TIMED)
def test_a_stale_webhook_with_a_wrong_signature_is_only_wrong(source: str) -> None:
    headers = sign(source, b"another body", at=NOW - timedelta(days=9))
    assert verifier(source).refusal(BODY, headers, now=NOW) is Refusal.MISMATCH


def test_a_signed_time_that_is_moved_no_longer_holds() -> None:
    headers = sign("stripe", BODY, at=NOW - timedelta(hours=1))
    moved = headers["stripe-signature"].replace(str(int(NOW.timestamp()) - 3600), str(int(NOW.timestamp())))
    assert verifier("stripe").refusal(BODY, {"stripe-signature": moved}, now=NOW) is Refusal.MISMATCH
    two = f"t={int(NOW.timestamp())},{headers['stripe-signature']}"
    assert verifier("stripe").refusal(BODY, {"stripe-signature": two}, now=NOW) is Refusal.MISMATCH


@pytest.mark.parametrize("source", SOURCES)
def test_without_headers_a_webhook_is_refused(source: str) -> None:
    assert verifier(source).refusal(BODY, {}, now=NOW) is Refusal.MISSING


@pytest.mark.parametrize("source", SOURCES)
@given(data=st.data())
def test_no_header_and_no_body_makes_a_verifier_raise(source: str, data: st.DataObject) -> None:
    good = sign(source, BODY)
    piece = st.one_of(st.text(max_size=40), st.sampled_from(["t=", "v1,", ",", "=", " ", "t=1,v1=é", "v1,=", "1e9", "nan", "-1"]))
    headers = {name: data.draw(st.one_of(st.just(value), piece, piece.map(value.__add__))) for name, value in good.items()}
    body = data.draw(st.one_of(st.just(BODY), st.binary(max_size=40)))
    if body != BODY:
        assert verifier(source).refusal(body, headers, now=NOW) is not None
    elif headers == good:
        assert verifier(source).refusal(body, headers, now=NOW) is None
    else:
        verifier(source).refusal(body, headers, now=NOW)


def test_only_standard_webhooks_name_the_delivery_outside_the_body() -> None:
    assert [verifier(source).delivery_id(sign(source, BODY)) for source in SOURCES] == [None, None, "msg_1", "msg_1"]


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ({}, "RAPPORT_WEBHOOK_SECRETS="),
        ({"stripe": []}, "no or an empty secret for stripe"),
        ({"stripe": [" "]}, "no or an empty secret for stripe"),
        ({"strype": ["x"]}, "unknown source 'strype'; there are: stripe"),
        ({"generic": ["whsec_"]}, "a secret of generic cannot be used"),
        ({"generic": ["whsec_!"]}, "a secret of generic cannot be used"),
    ],
)
def test_a_gateway_that_could_believe_nobody_does_not_start_and_names_the_setting(
    secrets: dict[str, list[str]], said: str
) -> None:
    hidden = {source: [SecretStr(secret) for secret in values] for source, values in secrets.items()}
    with pytest.raises(UsageError, match=said) as raised:
        make_verifiers(Settings(webhook_secrets=hidden))
    assert "RAPPORT_WEBHOOK_SECRETS" in str(raised.value)


def test_every_published_vector_of_the_providers_gives_its_verdict(shared_data: Path) -> None:
    names = {"stripe": "stripe", "gocardless": "gocardless", "standardwebhooks": "generic"}
    vectors = json.loads((shared_data / "webhooks" / "signature_vectors.json").read_text())
    ours = [vector for vector in vectors if vector["provider"] in names]
    assert {vector["provider"] for vector in ours} == set(names)
    for vector in ours:
        now = datetime.fromtimestamp(vector.get("now", NOW.timestamp()), UTC)
        headers = {name.lower(): value for name, value in vector["headers"].items()}
        refusal = VERIFIERS[names[vector["provider"]]]([vector["secret"]]).refusal(vector["body"].encode(), headers, now=now)
        assert (refusal is None) == vector["valid"], vector["name"]
        if "now" in vector:
            late = VERIFIERS[names[vector["provider"]]]([vector["secret"]])
            assert late.refusal(vector["body"].encode(), headers, now=now + timedelta(seconds=301)) is Refusal.STALE
