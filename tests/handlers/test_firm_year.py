import hashlib
import itertools
from collections import Counter, defaultdict
from datetime import timedelta

import orjson
import pytest
import stripe

from handlers.commands.simulation import Simulation
from handlers.demo.firm import YEAR_START, FirmYear, firm_year
from handlers.demo.people import PayerType, people
from handlers.demo.stripe_objects import signature
from models.state.balances import items
from streams.sources.registry import read_body


@pytest.fixture(scope="module")
def year() -> FirmYear:
    return firm_year()


def _digest(year: FirmYear) -> str:
    return hashlib.sha256(b"".join(webhook.body + str(webhook.at).encode() for webhook in year.webhooks)).hexdigest()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(year: FirmYear) -> None:
    assert _digest(firm_year()) == _digest(year)
    assert _digest(firm_year(seed=1)) != _digest(year)


def test_the_year_has_forty_clients_of_every_kind_in_three_currencies_and_a_few_thousand_webhooks(year: FirmYear) -> None:
    assert len(year.clients) == len({person.client_id for person in year.clients}) == 40
    assert {person.payer for person in year.clients} == set(PayerType)
    assert {person.currency for person in year.clients} == {"EUR", "USD", "JPY"}
    assert any(not person.name.isascii() for person in year.clients)
    assert 2_500 <= len(year.webhooks) <= 4_000


def test_some_deliveries_are_repeated_byte_for_byte_and_some_arrive_after_newer_ones(year: FirmYear) -> None:
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for webhook in year.webhooks:
        bodies[webhook.event_id].add(webhook.body)
    assert all(len(found) == 1 for found in bodies.values())
    repeats = len(year.webhooks) - len(bodies)
    assert 50 <= repeats <= 200
    created = [orjson.loads(webhook.body)["created"] for webhook in year.webhooks]
    assert sum(earlier > later for earlier, later in itertools.pairwise(created)) > 50


def test_nothing_is_posted_before_it_happened_and_everything_is_posted_once(year: FirmYear) -> None:
    posted = 0
    for now, webhooks in year.moments():
        assert all(webhook.at <= now for webhook in webhooks)
        assert all(orjson.loads(webhook.body)["created"] <= webhook.at.timestamp() for webhook in webhooks)
        posted += len(webhooks)
    assert posted == len(year.webhooks)


def test_the_books_agree_with_the_money_in_the_webhooks(year: FirmYear) -> None:
    owed: Counter[str] = Counter()
    for body in {webhook.event_id: webhook.body for webhook in year.webhooks}.values():
        event = orjson.loads(body)
        content, kind = event["data"]["object"], event["type"]
        if kind == "invoice.finalized":
            owed[content["customer"]] += content["amount_due"]
        elif kind == "charge.succeeded":
            owed[content["customer"]] -= content["amount"]
        elif kind == "invoice.paid" and content["paid_out_of_band"]:
            owed[content["customer"]] -= content["amount_paid"]
        elif kind == "credit_note.created":
            owed[content["customer"]] -= content["amount"]
        elif kind == "charge.refunded":
            owed[content["customer"]] += content["amount_refunded"]
        elif kind == "charge.dispute.funds_withdrawn":
            owed[content["metadata"]["client_id"]] += content["amount"]
        elif kind == "charge.dispute.funds_reinstated":
            owed[content["metadata"]["client_id"]] -= content["amount"]
    assert {client: amount for client, amount in owed.items() if amount} == {
        client: amount for client, amount in year.open_minor.items() if amount
    }
    assert min(owed.values()) >= 0


def test_every_webhook_of_the_year_can_be_read_and_the_fold_ends_with_the_firm_s_own_books(year: FirmYear) -> None:
    simulation = Simulation()
    for webhook in year.webhooks:
        for event in read_body("stripe", webhook.body, received_at=webhook.at).told():
            assert event.client_id == webhook.client_id
            for _ in simulation.feed(event):
                pass
    left = {
        client: sum(item.left for item in items(state.ledger, simulation.now_ms)) for client, state in simulation.states.items()
    }
    assert left == year.open_minor


def test_stripe_s_own_verifier_accepts_the_signature() -> None:
    short = firm_year(days=20, clients=people()[:1])
    webhook = short.webhooks[-1]
    header = signature(webhook.body, secret="whsec_demo", at=webhook.at)
    assert stripe.WebhookSignature.verify_header(webhook.body.decode(), header, "whsec_demo")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(webhook.body.decode() + " ", header, "whsec_demo")


def test_a_shorter_year_is_the_beginning_of_the_whole_one() -> None:
    short = firm_year(days=30)
    assert max(webhook.at for webhook in short.webhooks) < YEAR_START + timedelta(days=30)
    assert {webhook.event_id for webhook in short.webhooks} <= {webhook.event_id for webhook in firm_year().webhooks}
