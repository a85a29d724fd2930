import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from handlers.webhooks.publisher import Budget, BusyError, MemoryPublisher
from handlers.webhooks.server import Gateway, Outcome, build_app
from handlers.webhooks.signatures import VERIFIERS
from streams.runtime import metrics
from streams.runtime.clock import ManualClock
from streams.wire.deliveries import Delivery, body_hash
from tests.handlers.signing import STANDARD_SECRET, gocardless_headers, standard_headers, stripe_headers

NOW = datetime(2031, 3, 1, 12, tzinfo=UTC)
SECRETS = {"stripe": "whsec_s", "gocardless": "gc-secret", "generic": STANDARD_SECRET, "receipts": STANDARD_SECRET}
JSON = {"content-type": "application/json; charset=utf-8"}
LIMIT = 4096


class Door:
    """A gateway with its twins, and a client in front of it."""

    def __init__(self, *, held: int = 1_000_000, sources: tuple[str, ...] = tuple(VERIFIERS)) -> None:
        self.publisher = MemoryPublisher()
        self.meter = metrics.Meter()
        self.clock = ManualClock(NOW)
        self.budget = Budget(held)
        self.gateway = Gateway(
            verifiers={source: VERIFIERS[source]([SECRETS[source]]) for source in sources},
            publisher=self.publisher,
            clock=self.clock,
            meter=self.meter,
            budget=self.budget,
            largest_body=LIMIT,
        )
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(build_app(self.gateway)), base_url="http://gateway")

    async def stripe(self, body: bytes, *, at: datetime = NOW, **headers: str) -> httpx.Response:
        signed = stripe_headers(body, secret=SECRETS["stripe"], at=at)
        return await self.client.post("/webhooks/stripe", content=body, headers={**JSON, **signed, **headers})

    def counted(self, outcome: Outcome, *, source: str = "stripe") -> float:
        return self.meter.read(metrics.INGEST_REQUESTS, source=source, outcome=outcome)


@pytest.fixture
def door() -> Door:
    return Door()


async def test_a_signed_webhook_is_published_byte_for_byte_and_stamped_once(door: Door) -> None:
    body = '{ "id":"evt_1",  "who": "Žofie" }\n'.encode()
    answer = await door.stripe(body, at=NOW - timedelta(seconds=12))
    assert (answer.status_code, answer.json()) == (200, {"status": "accepted"})
    assert door.publisher.published == [Delivery(source="stripe", body=body, received_at=NOW, delivery_id=body_hash(body))]
    assert door.counted(Outcome.ACCEPTED) == 1
    assert door.meter.read(metrics.INGEST_LAST_ACCEPTED, source="stripe") == NOW.timestamp()
    assert door.budget.held == 0


async def test_gocardless_gets_the_204_it_asks_for(door: Door) -> None:
    body = b'{"events": []}'
    headers = {**JSON, **gocardless_headers(body, secret=SECRETS["gocardless"])}
    answer = await door.client.post("/webhooks/gocardless", content=body, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [delivery.source for delivery in door.publisher.published] == ["gocardless"]


async def test_the_senders_own_delivery_id_is_the_key_where_it_is_signed(door: Door) -> None:
    body = b'{"type": "x"}'
    headers = {**JSON, **standard_headers(body, secret=STANDARD_SECRET, at=NOW, message_id="msg_7")}
    assert (await door.client.post("/webhooks/generic", content=body, headers=headers)).status_code == 200
    assert door.publisher.published[0].key == b"msg_7"


async def test_every_refused_signature_gets_the_same_401_and_nothing_is_kept(door: Door) -> None:
    body = b'{"id": "evt_1"}'
    good = stripe_headers(body, secret=SECRETS["stripe"], at=NOW)
    wrong = [
        {},
        {"stripe-signature": "nonsense"},
        {"stripe-signature": good["stripe-signature"].replace("v1=", "v1=0")},
        stripe_headers(body, secret="another", at=NOW),
        stripe_headers(body, secret=SECRETS["stripe"], at=NOW - timedelta(hours=1)),
    ]
    answers = [await door.client.post("/webhooks/stripe", content=body, headers={**JSON, **headers}) for headers in wrong]
    assert {(answer.status_code, answer.content) for answer in answers} == {(401, b'{"error":"unauthorized"}')}
    assert len({tuple(answer.headers.items()) for answer in answers}) == 1
    assert door.publisher.published == []
    reasons = {
        reason: door.meter.read(metrics.INGEST_REFUSALS, source="stripe", reason=reason)
        for reason in ("missing", "malformed", "mismatch", "stale")
    }
    assert reasons == {"missing": 1, "malformed": 1, "mismatch": 2, "stale": 1}


def _signed(source: str, body: bytes) -> dict[str, str]:
    match source:
        case "stripe":
            return stripe_headers(body, secret=SECRETS[source], at=NOW)
        case "gocardless":
            return gocardless_headers(body, secret=SECRETS[source])
        case _:
            return standard_headers(body, secret=SECRETS[source], at=NOW)


@pytest.mark.parametrize("source", tuple(VERIFIERS))
@pytest.mark.parametrize("is_valid_first", [True, False])
async def test_a_header_that_signs_and_comes_twice_is_refused_whichever_of_the_two_holds(
    door: Door, source: str, *, is_valid_first: bool
) -> None:
    body, bad = b'{"id": "evt_1"}', _signed(source, b"another body")
    good = _signed(source, body)
    for name in good:
        # As a proxy in between may write them: the case of a name says nothing.
        two = [(name.upper(), good[name]), (name.title(), bad[name])]
        others = [pair for pair in (JSON | good).items() if pair[0] != name]
        answer = await door.client.post(
            f"/webhooks/{source}", content=body, headers=others + (two if is_valid_first else two[::-1])
        )
        assert (answer.status_code, answer.content) == (401, b'{"error":"unauthorized"}')
    assert door.publisher.published == []
    assert door.meter.read(metrics.INGEST_REFUSALS, source=source, reason="ambiguous") == len(good)


async def test_a_header_that_signs_nothing_may_come_twice(door: Door) -> None:
    body = b'{"id": "evt_1"}'
    headers = [*(JSON | _signed("stripe", body)).items(), ("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2")]
    assert (await door.client.post("/webhooks/stripe", content=body, headers=headers)).status_code == 200


async def test_a_refused_body_is_never_parsed_nor_logged(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    answer = await door.client.post(
        "/webhooks/stripe", content=b"{canary-7381", headers={**JSON, "stripe-signature": "t=1,v1=00"}
    )
    assert answer.status_code == 401
    said = capsys.readouterr()
    assert "canary-7381" not in said.out + said.err


async def test_a_source_that_is_not_configured_is_unknown_and_makes_no_label_of_its_own() -> None:
    door = Door(sources=("stripe",))
    for name in ("gocardless", "nobody", "a" * 500):
        assert (await door.client.post(f"/webhooks/{name}", content=b"{}", headers=JSON)).status_code == 404
    assert door.counted(Outcome.UNKNOWN_SOURCE, source="unknown") == 3
    assert b"nobody" not in door.meter.render()


async def test_only_post_is_allowed(door: Door) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = await door.client.request(method, "/webhooks/stripe")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("headers", [{"content-type": "text/plain"}, {"content-type": ""}, {**JSON, "content-encoding": "gzip"}])
async def test_other_content_than_plain_json_is_refused(door: Door, headers: dict[str, str]) -> None:
    answer = await door.client.post("/webhooks/stripe", content=b"{}", headers=headers)
    assert (answer.status_code, door.counted(Outcome.WRONG_TYPE)) == (415, 1)


async def test_a_body_at_the_limit_passes_and_one_byte_more_does_not(door: Door) -> None:
    assert (await door.stripe(b"x" * LIMIT)).status_code == 200
    assert (await door.stripe(b"x" * (LIMIT + 1))).status_code == 413
    assert door.counted(Outcome.TOO_LARGE) == 1


async def test_a_body_without_a_length_is_cut_off_as_it_streams_in(door: Door) -> None:
    pulled = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pulled
        for _ in range(1000):
            pulled += 1
            yield b"x" * 1024

    answer = await door.client.post("/webhooks/stripe", content=endless(), headers={**JSON, "transfer-encoding": "chunked"})
    assert answer.status_code == 413
    assert pulled <= LIMIT // 1024 + 1
    assert door.budget.held == 0


async def test_an_empty_body_and_a_missing_length_are_said_clearly(door: Door) -> None:
    empty = await door.client.post("/webhooks/stripe", content=b"", headers=JSON)
    assert (empty.status_code, empty.json()) == (400, {"error": "the body is empty"})
    request = door.client.build_request("POST", "/webhooks/stripe", headers=JSON)
    del request.headers["content-length"]
    unsaid = await door.client.send(request)
    assert (unsaid.status_code, unsaid.json()) == (411, {"error": "say the length of the body"})


async def test_while_kafka_is_away_the_sender_is_asked_to_retry_and_later_it_is_taken(door: Door) -> None:
    door.publisher.away = True
    answer = await door.stripe(b'{"id": "evt_1"}')
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert (await door.client.get("/health/ready")).status_code == 503
    assert (await door.client.get("/health/live")).status_code == 200
    door.publisher.away = False
    assert (await door.stripe(b'{"id": "evt_1"}')).status_code == 200
    assert (await door.client.get("/health/ready")).status_code == 200
    assert door.counted(Outcome.KAFKA_AWAY) == 1


async def test_when_too_many_bytes_are_held_the_next_sender_waits_outside() -> None:
    door = Door(held=1500)
    door.budget.take(1000)
    answer = await door.stripe(b"x" * 600)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert door.counted(Outcome.BUSY) == 1
    door.budget.give_back(1000)
    assert (await door.stripe(b"x" * 600)).status_code == 200
    assert door.budget.held == 0


def test_a_budget_says_which_setting_raises_it() -> None:
    budget = Budget(10)
    budget.take(7)
    with pytest.raises(BusyError, match="RAPPORT_WEBHOOK_INFLIGHT_BYTES"):
        budget.take(4)
    assert budget.held == 7
    budget.give_back(7)
    assert budget.held == 0


async def test_two_deliveries_of_one_event_are_both_published_under_one_key(door: Door) -> None:
    body = b'{"id": "evt_1"}'
    answers = await asyncio.gather(*(door.stripe(body) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({delivery.key for delivery in door.publisher.published}) == 1


async def test_the_metrics_page_speaks_of_sources_and_outcomes_only(door: Door) -> None:
    await door.stripe(b'{"id": "evt_1", "customer": "cus_canary"}')
    door.budget.take(9)
    page = (await door.client.get("/metrics")).text
    assert "rapport_ingest_bytes_in_flight 9.0" in page
    assert 'rapport_ingest_requests_total{outcome="accepted",source="stripe"} 1.0' in page
    assert "cus_canary" not in page
