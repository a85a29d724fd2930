"""What a state cannot take: said before an event is folded, so that live, replay, simulation and back-test refuse alike."""

from dataclasses import dataclass
from typing import Final

from models.events.envelope import ClientEvent
from models.state.client import ClientState
from models.state.closing import no_place

LEAST_ABSURD: Final = 2**55
"""Minor units from which an amount is refused: 256 smaller ones add up within 64 bits, in which states and messages keep sums."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event is not folded: a short `reason`, as dead letters name it, and cause and fix for people."""

    reason: str
    cause: str


def refusal(state: ClientState, event: ClientEvent) -> Refusal | None:
    """Return why `event` is not folded: no sum could hold its amount, or the state has no place for it; None where it is."""
    cause = _no_sum_holds(event)
    if cause is not None:
        return Refusal("bad_schema", cause)
    cause = no_place(state, event)
    return None if cause is None else Refusal("no_place", cause)


def _no_sum_holds(event: ClientEvent) -> str | None:
    amounts = [getattr(event, "amount", None), *(part.amount for part in getattr(event, "instalments", ()))]
    for amount in amounts:
        if amount is not None and amount.minor >= LEAST_ABSURD:
            return f"amount: {amount} is more than anybody owes; fix: in minor units 1250.00 EUR is 125000, and JPY has none"
    return None
