"""One payment through every station, by the code that runs in production, with memory in the place of servers."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import orjson

from handlers.channels.content import Writer
from handlers.channels.contract import Recipient
from handlers.demo import stripe_objects as stripe
from handlers.demo.people import people
from handlers.demo.stripe_objects import Bill
from handlers.webhooks.publisher import Budget, MemoryPublisher
from handlers.webhooks.server import Gateway, build_app
from handlers.webhooks.signatures import StripeVerifier
from models.events.envelope import epoch_ms
from models.learners.baseline import BASELINE
from models.policy.leave import known_as, may_leave
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.state.describe import describe_change
from models.transition import transition
from models.triggers import Decision, Trigger
from streams.agents.intake import interpret_webhook
from streams.runtime.clock import ManualClock
from streams.runtime.metrics import Meter
from streams.wire.codec import encode_event
from streams.wire.deliveries import Delivery
from streams.wire.partitioning import partition_of
from streams.wire.records import PlainRecord
from streams.wire.topics import CLIENT_EVENTS, WEBHOOKS

_PAID_AT = datetime(2025, 2, 4, 14, 20, tzinfo=UTC)
_SECRET = "whsec_readme"
_PARTITIONS = 8


def follow_a_payment() -> str:
    """Return the stations of one card payment as lines of text."""
    return "```text\n" + "\n".join(asyncio.run(_follow())) + "\n```"


async def _follow() -> list[str]:
    person = people()[5]
    bill = Bill(
        invoice_id=stripe.object_id("in", "readme"), person=person, amount=180_000, issued_at=_PAID_AT - timedelta(days=12)
    )
    delivered = [
        await _post("customer.created", stripe.customer(person, created=bill.issued_at), bill.issued_at),
        await _post("invoice.finalized", stripe.invoice(bill), bill.issued_at),
    ]
    state = None
    for delivery in delivered:
        state, _ = _fold(state, delivery)
    body = stripe.envelope("charge.succeeded", stripe.charge(bill, attempt=1, amount=bill.amount, at=_PAID_AT), at=_PAID_AT)
    paid = await _post("charge.succeeded", stripe.charge(bill, attempt=1, amount=bill.amount, at=_PAID_AT), _PAID_AT)
    return [*_arrival(body, paid), *_decided(state, paid)]


async def _post(kind: str, content: stripe.Object, at: datetime) -> Delivery:
    publisher, meter = MemoryPublisher(), Meter()
    gateway = Gateway(
        verifiers={"stripe": StripeVerifier([_SECRET])},
        publisher=publisher,
        clock=ManualClock(at + timedelta(seconds=2)),
        meter=meter,
        budget=Budget(1_000_000),
        largest_body=262_144,
    )
    body = stripe.envelope(kind, content, at=at)
    headers = {"Stripe-Signature": stripe.signature(body, secret=_SECRET, at=at), "Content-Type": "application/json"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app(gateway)), base_url="http://gateway") as client:
        answer = await client.post("/webhooks/stripe", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return publisher.published[0]


def _record(delivery: Delivery) -> PlainRecord:
    return PlainRecord(
        topic=WEBHOOKS.name,
        partition=0,
        offset=0,
        timestamp=epoch_ms(delivery.received_at),
        key=delivery.key,
        value=delivery.body,
        headers=delivery.to_headers(),
    )


def _fold(state: ClientState | None, delivery: Delivery) -> tuple[ClientState | None, list[Trigger | Decision]]:
    outputs: list[Trigger | Decision] = []
    for event in interpret_webhook(_record(delivery)).told():
        thought = transition(state, event, policy=DEFAULT_POLICY, scorer=BASELINE)
        state = thought.state
        outputs += [output for output in thought.outputs if isinstance(output, Trigger | Decision)]
    return state, outputs


def _station(where: str, said: str) -> str:
    return f"{where:33} {said}"


def _arrival(body: bytes, paid: Delivery) -> Iterator[str]:
    server = f"handlers/webhooks/server.py: {len(body)} bytes, signature held, 200 after Kafka's ack"
    yield _station("POST /webhooks/stripe", server)
    yield _station(f"topic {WEBHOOKS.name}", f"key {paid.delivery_id[:16]}..., received_at {paid.received_at.isoformat()}")
    (event,) = interpret_webhook(_record(paid)).told()
    told = orjson.loads(encode_event(event))
    yield _station("translated", f"streams/sources/stripe.py: {told['kind']}, {told['amount']}, {told['method']}")
    partition = partition_of(event.client_id, _PARTITIONS)
    log = f"key {event.client_id}, partition {partition} of {_PARTITIONS}, event {event.event_id}"
    yield _station(f"topic {CLIENT_EVENTS.name}", log)


def _decided(state: ClientState | None, paid: Delivery) -> Iterator[str]:
    after, outputs = _fold(state, paid)
    assert after is not None
    for change in describe_change(state, after):
        yield _station("folded", f"models/transition.py: {change}")
    (trigger,) = [output for output in outputs if isinstance(output, Trigger)]
    (decision,) = [output for output in outputs if isinstance(output, Decision)]
    yield _station(f"topic triggers.{trigger.channel}", f"{trigger.journey}/{trigger.step}, id {trigger.trigger_id}")
    yield _station("", f"not before {trigger.not_before:%Y-%m-%d %H:%M}, expires {trigger.expires_at:%Y-%m-%d %H:%M} UTC")
    yield _station("", f"unless {', '.join(trigger.cancel_when)}")
    yield _station("topic decisions", f"{decision.outcome}: {'; '.join(decision.reasons)}")
    answer = may_leave(after, known_as(after, trigger), now_ms=epoch_ms(trigger.not_before), policy=DEFAULT_POLICY)
    yield _station("last look before sending", f"models/policy/leave.py: {answer.verdict.value}")
    person = after.person
    recipient = Recipient(email=person.email.value, name=person.name.value, locale=person.locale.value)
    content = Writer(firm_name="Your firm").write(trigger, recipient)
    yield _station(f"mail to {person.email.value}", f"handlers/channels/email.py: {content.subject!r}")
    yield _station("topic signals", "delivery.reported: sent; in client.events it counts for the gap between contacts")
