"""A firm of any size whose clients all have the same past, so that firms differ in their number of clients and in nothing else.

The states are computed once and stored for every client; the log holds only what comes after.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentMethod, PaymentReceived
from models.events.union import AnyClientEvent
from models.money import Money
from models.state.client import ClientState
from models.transition import Transition
from streams.engine.fence import Birth, Claim, CommitCall, Fence, Held, Slot, Verdict
from streams.engine.program import ClientProgram
from streams.engine.writes import Writes
from streams.wire.partitioning import partition_of
from streams.wire.topics import CLIENT_EVENTS
from tests.bench.firm import START
from tests.bench.shipped import PARTITIONS

_PAST: Final = 40
"""Turns every client has behind it, an invoice or a payment each; every other client has one more, so both come next alike."""

_TERMS: Final = timedelta(days=30)
_STEP: Final = timedelta(days=4)
"""From a client's turn to its next, in every firm: what falls due between two events is carried out with the second."""

_AT_ONCE: Final = 500


def _turn(client: str, turn: int, moment: datetime) -> AnyClientEvent:
    amount = Money(minor=10_000 + turn, currency="EUR")
    common = {"source": "bench", "occurred_at": moment, "received_at": moment, "client_id": client}
    if turn % 2 == 0:
        issued = {"event_id": f"i-{turn}", "invoice_id": f"invoice-{turn // 2}", "due_at": moment + _TERMS}
        return InvoiceIssued.model_validate({**common, **issued, "amount": amount})
    paid = {"event_id": f"p-{turn}", "payment_id": f"payment-{turn}", "invoice_id": f"invoice-{turn // 2}"}
    return PaymentReceived.model_validate({**common, **paid, "amount": amount, "method": PaymentMethod.CARD})


def _turns_before(place: int) -> int:
    return _PAST + place % 2


def next_events(count: int, *, clients: int) -> Iterator[AnyClientEvent]:
    """Yield what comes after the past: each client in turn, in an order that looks random."""
    for number in range(count):
        round_, index = divmod(number, clients)
        place = index * 7919 % clients
        turn = _turns_before(place) + round_
        yield _turn(f"client-{place}", turn, START + turn * _STEP)


class Past:
    """What all clients went through, as a state and the time of its first timer."""

    def __init__(self) -> None:
        """Live through it once for each of the two lengths."""
        self._program = ClientProgram()
        self._lived = [self._live(_turns_before(place)) for place in range(2)]

    def _live(self, turns: int) -> Transition:
        state, thought = None, None
        for turn in range(turns):
            thought = self._program.think(state, _turn("client", turn, START + turn * _STEP))
            state = thought.state
        assert thought is not None
        return thought

    def state(self, place: int) -> ClientState:
        """Return the state of the client at `place`."""
        return replace(self._lived[place % 2].state, client_id=f"client-{place}")

    def states(self, clients: int) -> dict[str, ClientState]:
        """Return the states of all clients by name."""
        return {f"client-{place}": self.state(place) for place in range(clients)}

    async def store(self, fence: Fence, *, clients: int) -> None:
        """Store all states behind `fence`, as commits that folded nothing."""
        homes: list[list[int]] = [[] for _ in range(PARTITIONS)]
        for place in range(clients):
            homes[partition_of(f"client-{place}", PARTITIONS)].append(place)
        for partition, places in enumerate(homes):
            await self._store(fence, Slot(CLIENT_EVENTS.name, partition), places)

    async def _store(self, fence: Fence, slot: Slot, places: list[int]) -> None:
        claim = Claim(generation=0, owner="bench", incarnation=0)
        ver = "0"
        held = await fence.acquire(slot, claim, birth=Birth(next_offset=0, ver=ver))
        assert isinstance(held, Held)
        for first in range(0, len(places), _AT_ONCE):
            some = places[first : first + _AT_ONCE]
            timers: Mapping[str, int | None] = {f"client-{place}": self._lived[place % 2].next_due_ms for place in some}
            states = {f"client-{place}": self._program.encode(self.state(place)) for place in some}
            writes = Writes(next_offset=0, watermark_ms=0, states=states, timers=dict(timers))
            after = f"{first + 1}"
            call = CommitCall(claim=claim, ver=ver, expected=0, ver_new=after, writes=writes, outbox_limit=1)
            assert (await fence.commit(slot, call)).verdict is Verdict.OK
            ver = after
