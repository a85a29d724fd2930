from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.signals import Purpose
from models.triggers import Journey
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from streams.wire.links import LONGEST_TOKEN, Link, LinkError, LinkKeys, LinkRefusal, LinkScope

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
END = NOW + timedelta(days=60)
URL = "https://care.firm.example"
OLD, NEW, OTHER = "o" * 32, "n" * 32, "x" * 32
KEYS = LinkKeys(NEW, OLD, url=URL)
words = st.text(min_size=1, max_size=80)


def link(**fields: object) -> Link:
    common = {
        "client_id": "ada",
        "trigger_id": "t1",
        "scope": LinkScope.ANSWER,
        "purpose": Purpose.SERVICING,
        "journey": Journey.DELAY_SUPPORT,
        "channel": "email",
        "expires": round(END.timestamp()),
        "invoice_ids": ("in_1",),
        "audience": "",
    }
    return Link(**{**common, **fields})  # type: ignore[arg-type] # a test names any field


links = st.builds(
    Link,
    client_id=words,
    trigger_id=words,
    scope=st.sampled_from(LinkScope),
    purpose=st.sampled_from(Purpose),
    journey=st.sampled_from(Journey),
    channel=words,
    expires=st.integers(min_value=round(NOW.timestamp()) + 1, max_value=2**40),
    invoice_ids=st.lists(words, max_size=5).map(tuple),
)


def refusal(token: str, *, keys: LinkKeys = KEYS, now: datetime = NOW) -> LinkRefusal:
    with pytest.raises(LinkError) as caught:
        keys.read(token, now=now)
    return caught.value.refusal


@given(given_link=links)
def test_what_was_signed_is_read_back_and_fits_an_address(given_link: Link) -> None:
    assert KEYS.read(KEYS.sign(given_link), now=NOW) == given_link
    assert KEYS.sign(given_link) == KEYS.sign(given_link)
    address = KEYS.address(given_link)
    assert address.startswith(f"{URL}/links/1.")
    assert set(address.rpartition("/")[2]) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


@given(given_link=links, place=st.integers(min_value=0), change=st.integers(min_value=1, max_value=255))
def test_no_token_with_one_byte_changed_is_believed(given_link: Link, place: int, change: int) -> None:
    token = bytearray(KEYS.sign(given_link).encode())
    token[place % len(token)] ^= change
    assert refusal(token.decode("latin-1")) in {LinkRefusal.MALFORMED, LinkRefusal.UNKNOWN_KEY, LinkRefusal.FORGED}


@given(token=st.text(max_size=200))
def test_nonsense_is_refused_and_never_an_accident(token: str) -> None:
    assert refusal(token) in set(LinkRefusal) - {LinkRefusal.EXPIRED}
    assert refusal(f"1.{'0' * 8}.{token}.x") in set(LinkRefusal) - {LinkRefusal.EXPIRED}


def test_a_link_ends_with_its_second_and_not_before() -> None:
    token = KEYS.sign(link())
    assert KEYS.read(token, now=END - timedelta(seconds=1)) == link()
    assert refusal(token, now=END) is LinkRefusal.EXPIRED


def test_a_retired_secret_is_believed_until_it_is_taken_out() -> None:
    before = LinkKeys(OLD, url=URL).sign(link())
    assert KEYS.read(before, now=NOW) == link()
    assert KEYS.sign(link()) != before
    assert refusal(before, keys=LinkKeys(NEW, url=URL)) is LinkRefusal.UNKNOWN_KEY


def test_a_signature_of_another_secret_under_a_known_key_id_is_forged() -> None:
    head, key_id, payload, _ = KEYS.sign(link()).split(".")
    signature = LinkKeys(OTHER, url=URL).sign(link()).rpartition(".")[2]
    assert refusal(f"{head}.{key_id}.{payload}.{signature}") is LinkRefusal.FORGED


def test_the_scope_cannot_be_widened_without_the_secret() -> None:
    token = KEYS.sign(link(scope=LinkScope.OPT_OUT))
    wide = KEYS.sign(link(scope=LinkScope.ANSWER))
    head, key_id, _, signature = token.split(".")
    assert refusal(".".join((head, key_id, wide.split(".")[2], signature))) is LinkRefusal.FORGED


def test_a_token_shows_no_more_than_ids() -> None:
    payload = KEYS.sign(link()).split(".")[2]
    raw = urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    assert b"ada" in raw
    assert urlsafe_b64encode(raw).rstrip(b"=").decode() == payload


def test_very_many_invoices_are_left_out_so_that_the_address_stays_usable() -> None:
    address = KEYS.address(link(invoice_ids=tuple(f"invoice-{number:040}" for number in range(40))))
    token = address.rpartition("/")[2]
    assert len(token) <= LONGEST_TOKEN
    assert KEYS.read(token, now=NOW) == link(invoice_ids=())


def test_without_secrets_there_are_no_links() -> None:
    assert LinkKeys.of(Settings()) is None


@pytest.mark.parametrize(
    "url", [None, "", "http://care.firm.example", "care.firm.example", "https://", "https://x/?q", "ftp://x"]
)
def test_links_need_an_address_that_is_safe(url: str | None) -> None:
    with pytest.raises(UsageError, match="RAPPORT_LINK_URL"):
        LinkKeys.of(Settings.model_validate({"link_secrets": [NEW], "link_url": url}))


@pytest.mark.parametrize("url", ["https://care.firm.example/", "http://127.0.0.1:8080", "http://localhost:8080/base/"])
def test_https_or_this_machine_will_do(url: str) -> None:
    keys = LinkKeys.of(Settings.model_validate({"link_secrets": [NEW], "link_url": url}))
    assert keys is not None
    assert keys.address(link()).startswith(f"{url.rstrip('/')}/links/")


def test_a_short_secret_is_refused_at_the_start() -> None:
    with pytest.raises(UsageError, match="RAPPORT_LINK_SECRETS"):
        LinkKeys(NEW, "short", url=URL)
