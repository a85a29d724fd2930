"""The synthetic clients: their reserved ids, what is told of them, and how an observed answer differs from the known one. Pure.

A canary is on hold for every journey before anything else is told of it, and has no address: whatever the firm's policy says,
nothing is sent for it and nobody gets a task. It never pays in full, so nothing is learned from it, and is erased when it has
answered. Reports that read the whole log leave erased clients out anyway; those that do not ask `is_canary`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec.structs import asdict

from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.signals import ClientErased, OverrideEffect, OverrideSet
from models.events.union import AnyClientEvent
from models.ids import derive
from models.money import Money
from models.state.client import ClientState
from models.triggers import Decision, DecisionOutcome
from streams.wire.partitioning import partition_of

RESERVED: Final = "rapport-canary:"
"""How the ids of synthetic clients begin; no client of a firm may be called so."""

SOURCE: Final = "rapport-canary"
CURRENCY: Final = "EUR"
_OWED: Final = 100
_PAID: Final = 40  # a part: what is paid in full would be an answer that learners learn from
_HELD: Final = timedelta(days=36_500)  # one that was left behind by a killed command stays silent for good
_TERMS: Final = timedelta(days=30)  # nothing becomes due while it is looked at
_SHOWN: Final = 3


def is_canary(client: str | bytes | None) -> bool:
    """Say whether a client's id, or the key of a record, is one of a synthetic client."""
    return client.startswith(RESERVED.encode()) if isinstance(client, bytes) else (client or "").startswith(RESERVED)


def clients_of(at: datetime, *, partitions: int) -> list[str]:
    """Return a synthetic client for each partition, in their order; another moment gives others."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        name = f"{RESERVED}{at:%Y%m%dT%H%M%S.%f}:{number}"
        found.setdefault(partition_of(name, partitions), name)
        number += 1
    return [found[partition] for partition in range(partitions)]


def told(client_id: str, at: datetime) -> tuple[AnyClientEvent, ...]:
    """Return what is told of a synthetic client at `at`: a hold, an invoice, a part of it paid."""
    invoice = derive("canary invoice", client_id)
    owed, paid = (Money(minor=minor, currency=CURRENCY) for minor in (_OWED, _PAID))
    return (
        OverrideSet(
            **_common("hold", client_id, at),
            override_id=derive("canary hold", client_id),
            effect=OverrideEffect.HOLD,
            reason="a synthetic client, which nobody may hear of",
            author=SOURCE,
            expires_at=at + _HELD,
        ),
        InvoiceIssued(**_common("invoice", client_id, at), invoice_id=invoice, amount=owed, due_at=at + _TERMS),
        PaymentReceived(
            **_common("payment", client_id, at), payment_id=derive("canary payment", client_id), invoice_id=invoice, amount=paid
        ),
    )


def forgotten(client_id: str, at: datetime) -> ClientErased:
    """Return what ends a synthetic client."""
    return ClientErased(**_common("erasure", client_id, at), requested_by=SOURCE)


def _common(what: str, client_id: str, at: datetime) -> dict[str, Any]:
    event_id = derive("canary event", client_id, what)
    return {"event_id": event_id, "source": SOURCE, "client_id": client_id, "occurred_at": at, "received_at": at}


def differing_states(known: ClientState, stored: ClientState) -> Iterator[str]:
    """Yield in words which parts of a stored state are not those of the known one, with values where they are short."""
    right, found = asdict(known), asdict(stored)
    for name in (name for name in right if right[name] != found[name]):
        words = f"{_short(found[name])}, should be {_short(right[name])}"
        yield f"its state differs in {name}: {words}"


def differing_decisions(known: Sequence[Decision], published: Sequence[Decision]) -> Iterator[str]:
    """Yield in words what was decided otherwise than it should have been, and what nobody may ever hear of."""
    right, found = ({row.decision_id: row for row in rows} for rows in (known, published))
    for name in right.keys() | found.keys():
        yield from _differing(right.get(name), found.get(name))
    for row in found.values():
        if row.outcome is DecisionOutcome.TRIGGERED:
            yield f"{_named(row)} was sent out, although synthetic clients are on hold"


def _differing(right: Decision | None, found: Decision | None) -> Iterator[str]:
    if right is None:
        if found is not None:
            yield f"{_named(found)} was decided ({found.outcome.value}), and should not have been"
    elif found is None:
        yield f"{_named(right)} should have been decided ({right.outcome.value}), and was not"
    elif right != found:
        was, should = found.model_dump(mode="json"), right.model_dump(mode="json")
        parts = [f"{name} {was[name]!r}, should be {should[name]!r}" for name in should if was[name] != should[name]]
        yield f"{_named(right)} was decided otherwise: {'; '.join(parts[:_SHOWN])}"


def _named(row: Decision) -> str:
    return f"{row.journey}/{row.step}"


def _short(value: object) -> str:
    words = str(value)
    return words if len(words) <= 120 else f"{words[:117]}..."  # noqa: PLR2004 - a line of a terminal
