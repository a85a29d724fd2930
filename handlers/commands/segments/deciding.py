"""Who seems to decide about money in the same months of every year, from a whole history: proposals for relationship managers."""

from collections.abc import Iterator, Sequence
from typing import Any

from models.events.envelope import epoch_ms
from models.events.invoices import ContractRecorded
from models.events.payments import PaymentReceived
from models.events.signals import OverrideEffect, OverrideSet
from models.events.union import AnyClientEvent
from models.policy.deciding import Deciding, deciding
from models.workdays import DAY_MS


def proposals(events: Sequence[AnyClientEvent]) -> dict[str, Deciding]:
    """Return by client when it seems to decide, of those of whom no manager has said it: by payments, and contracts begun."""
    days: dict[str, list[int]] = {}
    first: dict[str, int] = {}
    said: set[str] = set()
    last = 0
    for event in events:
        client, day = event.client_id, event.received_ms // DAY_MS
        first.setdefault(client, day)
        last = max(last, day)
        match event:
            case PaymentReceived():
                days.setdefault(client, []).append(event.occurred_ms // DAY_MS)
            case ContractRecorded() if event.started_at is not None:
                days.setdefault(client, []).append(epoch_ms(event.started_at) // DAY_MS)
            case OverrideSet() if event.effect is OverrideEffect.WINDOW:
                said.add(client)
            case _:
                pass
    found = ((client, deciding(own, first_day=first[client], today=last)) for client, own in sorted(days.items()))
    return {client: row for client, row in found if row is not None and client not in said}


def tell(found: dict[str, Deciding]) -> Iterator[str]:
    """Yield each proposal with the command that confirms it."""
    for client, row in found.items():
        yield f"{client}: {row.words}"
        yield f"    {row.command(client)}"
    if not found:
        yield "nobody decides in the same months of two years or more, as far as this history shows"


def as_json(found: dict[str, Deciding]) -> list[dict[str, Any]]:
    """Return the proposals for programs."""
    return [
        {"client_id": client, "window": row.value, "years": row.years, "chance": row.chance, "command": row.command(client)}
        for client, row in found.items()
    ]
