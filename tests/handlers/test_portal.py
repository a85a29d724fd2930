"""The portal's API: whose token it is, what is shown, what was overtaken, and what comes back as events."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import msgspec
import pytest

from handlers.cli import run
from handlers.mailbox.messages import MemoryMailbox
from handlers.portal.api import Portal, build_portal
from handlers.portal.tokens import portal_link
from handlers.webhooks.publisher import MemoryPublisher
from models.events.delays import DisputeOpened, PromiseMade
from models.events.signals import ClientProfiled, DeliveryOutcome, DeliveryReported, Purpose
from models.money import Money
from models.state.codec import encode
from models.triggers import Journey
from streams.runtime.clock import ManualClock
from streams.runtime.errors import RetryError
from streams.runtime.metrics import PORTAL_REQUESTS, Meter
from streams.wire.links import Link, LinkKeys, LinkScope
from tests.laws.test_mailbox_laws import message
from tests.models.builders import CLIENT, Events, on
from tests.models.views import final

NOW = on(8)
KEYS = LinkKeys("k" * 40, url="https://firm.example")


@dataclass
class Store:
    """The states of all clients."""

    states: dict[str, bytes] = field(default_factory=dict)
    away: bool = False

    async def read(self, client_id: str) -> bytes | None:
        if self.away:
            problem = "Redis is away"
            raise RetryError(problem)
        return self.states.get(client_id)

    async def regime(self, client_id: str) -> bytes:
        del client_id
        return b""


@dataclass
class Place:
    """An API without servers."""

    http: httpx.AsyncClient
    mailbox: MemoryMailbox
    publisher: MemoryPublisher
    store: Store
    clock: ManualClock
    meter: Meter

    def may(self, client_id: str = CLIENT) -> dict[str, str]:
        return {"Authorization": f"Bearer {KEYS.sign(portal_link(client_id, now=NOW, life=timedelta(days=1)))}"}

    async def lay_out(self, *message_ids: str, invoice: str = "I1") -> None:
        for message_id in message_ids:
            given = message(message_id, client_id=CLIENT)
            why = given.why().model_copy(
                update={"expires_at": on(20), "not_before": on(7), "invoice_ids": (invoice,), "facts": {}}
            )
            await self.mailbox.put(msgspec.structs.replace(given, trigger=why.model_dump_json().encode()))


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    build = Events()
    overdue = final(
        [build.profiled(0), build.issued(0, "I1", due=3), build.issued(0.1, "I2", due=3), build.paid(7, invoice="I2")]
    )
    store, mailbox, publisher = Store({CLIENT: encode(overdue)}), MemoryMailbox(), MemoryPublisher()
    clock, meter = ManualClock(NOW), Meter()
    portal = Portal(
        keys=KEYS,
        mailbox=mailbox,
        store=store,
        publisher=publisher,
        clock=clock,
        meter=meter,
        zone="Europe/Berlin",
    )
    transport = httpx.ASGITransport(build_portal(portal))
    async with httpx.AsyncClient(transport=transport, base_url="https://portal.example/portal/v1") as http:
        yield Place(http, mailbox, publisher, store, clock, meter)


async def test_a_client_sees_the_newest_messages_first_page_by_page(place: Place) -> None:
    await place.lay_out("m1", "m2", "m3")
    first = (await place.http.get("/messages", params={"limit": 2}, headers=place.may())).json()
    assert [each["id"] for each in first["messages"]] == ["m3", "m2"]
    rest = (await place.http.get("/messages", params={"limit": 2, "before": first["next"]}, headers=place.may())).json()
    assert ([each["id"] for each in rest["messages"]], rest["next"]) == (["m1"], None)


async def test_a_message_whose_invoice_was_paid_is_shown_as_overtaken(place: Place) -> None:
    await place.lay_out("m1")
    await place.lay_out("m2", invoice="I2")
    found = (await place.http.get("/messages", headers=place.may())).json()["messages"]
    assert {each["id"]: each["overtaken"] for each in found} == {"m1": False, "m2": True}


async def test_reading_is_reported_once_as_delivered(place: Place) -> None:
    await place.lay_out("m1")
    for _ in range(2):
        answer = await place.http.post("/messages/m1/read", headers=place.may())
        assert answer.json()["read_at"] == "2024-01-16T09:00:00Z"
        place.clock.advance_to(on(8.1))
    (report,) = place.publisher.events
    assert isinstance(report, DeliveryReported)
    assert (report.trigger_id, report.outcome, report.channel) == ("m1", DeliveryOutcome.DELIVERED, "portal")


async def test_while_kafka_is_away_a_message_stays_unread(place: Place) -> None:
    await place.lay_out("m1")
    place.publisher.away = True
    answer = await place.http.post("/messages/m1/read", headers=place.may())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert (await place.http.get("/messages/m1", headers=place.may())).json()["read_at"] is None


async def test_a_promise_through_the_portal_is_an_event_and_repeating_it_is_the_same(place: Place) -> None:
    given = {"choice": "promise", "day": "2024-01-20", "form": "f1"}
    answers = [(await place.http.post("/answers", json=given, headers=place.may())).json() for _ in range(2)]
    assert answers[0] == answers[1]
    promise = place.publisher.events[0]
    assert isinstance(promise, PromiseMade)
    assert promise.client_id == CLIENT
    assert promise.invoice_id is None, "about everything that is open"


async def test_a_part_of_one_open_invoice_is_disputed_through_the_portal_and_no_other(place: Place) -> None:
    given = {"choice": "dispute", "invoice": "I1", "amount": "40.00 EUR", "reason": "amount", "words": "two hours", "form": "f1"}
    assert (await place.http.post("/answers", json=given, headers=place.may())).status_code == 200
    (dispute,) = place.publisher.events
    assert isinstance(dispute, DisputeOpened)
    assert (dispute.invoice_id, dispute.amount, dispute.reason, dispute.cause) == (
        "I1",
        Money(4_000, "EUR"),
        "amount",
        "two hours",
    )


async def test_a_client_may_choose_in_the_portal_how_to_be_reached(place: Place) -> None:
    given = {"choice": "channel", "channel": "portal", "form": "f1"}
    assert (await place.http.post("/answers", json=given, headers=place.may())).status_code == 200
    (wish,) = place.publisher.events
    assert isinstance(wish, ClientProfiled)
    assert (wish.channel, wish.email) == ("portal", None), "nothing else of the profile is touched"


async def test_a_client_may_say_in_the_portal_at_what_hours_to_be_written_to(place: Place) -> None:
    given = {"choice": "hours", "hours": "09:30-11:00", "form": "f1"}
    assert (await place.http.post("/answers", json=given, headers=place.may())).status_code == 200
    (wish,) = place.publisher.events
    assert isinstance(wish, ClientProfiled)
    assert (wish.hours, wish.channel) == ("09:30-11:00", None), "nothing else of the profile is touched"


@pytest.mark.parametrize(
    "given",
    [
        {"choice": "promise", "day": "2030-01-01", "form": "f"},
        {"choice": "contact", "form": "f"},
        {"choice": "channel", "form": "f", "channel": "fax"},
        {"choice": "hours", "form": "f", "hours": "11:00-09:00"},
        {"choice": "dispute", "form": "f", "invoice": "somebody-elses"},
        {"choice": "dispute", "form": "f", "amount": "40.00 EUR"},
        {"choice": "dispute", "form": "f", "invoice": "I1", "amount": "40,00"},
        {"choice": "dispute", "form": "f", "invoice": "I1", "amount": "-1 EUR"},
        {"choice": "dispute", "form": "f", "invoice": "I1", "amount": f"{10**30} EUR"},
        {"choice": "dispute", "form": "f", "reason": "weather"},
        {"choice": "unheard-of", "form": "f"},
        {"choice": "snooze", "form": ""},
        {"choice": "snooze", "form": "f", "client_id": "bob"},
    ],
)
async def test_an_answer_that_cannot_be_taken_changes_nothing_and_says_why(place: Place, given: dict[str, str]) -> None:
    answer = await place.http.post("/answers", json=given, headers=place.may())
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert place.publisher.events == []


async def test_what_may_be_answered_is_listed(place: Place) -> None:
    choices = (await place.http.get("/choices", headers=place.may())).json()["choices"]
    assert {"promise", "plan", "dispute", "contact", "snooze", "wake", "opt_out", "allow"} <= set(choices)


def other_link() -> str:
    mailed = Link(
        client_id=CLIENT,
        trigger_id="t1",
        scope=LinkScope.ANSWER,
        purpose=Purpose.SERVICING,
        journey=Journey.DELAY_SUPPORT,
        channel="email",
        expires=round(on(30).timestamp()),
    )
    return f"Bearer {KEYS.sign(mailed)}"


def strangers() -> str:
    stranger = LinkKeys("x" * 40, url="https://firm.example")
    return f"Bearer {stranger.sign(portal_link(CLIENT, now=NOW, life=timedelta(days=1)))}"


@pytest.mark.parametrize("header", ["", "Basic abc", "Bearer abc", other_link(), strangers()])
async def test_without_the_clients_own_portal_token_nothing_is_shown(place: Place, header: str) -> None:
    await place.lay_out("m1")
    for method, path in (("GET", "/messages"), ("GET", "/messages/m1"), ("POST", "/messages/m1/read"), ("POST", "/answers")):
        answer = await place.http.request(method, path, headers={"Authorization": header})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert place.publisher.events == []


async def test_a_token_ends_on_its_day(place: Place) -> None:
    token = place.may()
    place.clock.advance_to(on(9))
    assert (await place.http.get("/messages", headers=token)).json() == {"detail": "the token is expired"}


async def test_another_clients_messages_cannot_be_reached_with_a_token_of_ones_own(place: Place) -> None:
    place.store.states["bob"] = place.store.states[CLIENT]
    await place.lay_out("m1")
    assert (await place.http.get("/messages/m1", headers=place.may("bob"))).status_code == 404
    assert (await place.http.post("/messages/m1/read", headers=place.may("bob"))).status_code == 404
    assert place.publisher.events == []


async def test_of_a_client_who_asked_to_be_forgotten_nothing_is_shown_and_nothing_kept(place: Place) -> None:
    await place.lay_out("m1")
    build = Events()
    place.store.states[CLIENT] = encode(final([build.profiled(0), build.erased(1)]))
    assert (await place.http.get("/messages", headers=place.may())).status_code == 404
    assert await place.mailbox.messages(CLIENT, limit=9) == []


async def test_while_the_store_is_away_it_asks_to_come_again(place: Place) -> None:
    place.store.away = True
    assert (await place.http.get("/messages", headers=place.may())).status_code == 503
    assert place.meter.read(PORTAL_REQUESTS, outcome="away") == 1


async def test_answers_are_never_cached(place: Place) -> None:
    answer = await place.http.get("/messages", headers=place.may())
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("days", ["0", "91"])
def test_a_token_for_ever_is_not_made(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["portal", "token", "client-1", "--days", days]) == 2
    assert "cannot be taken back before its end" in capsys.readouterr().err
