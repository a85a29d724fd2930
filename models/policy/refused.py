"""An address that another client has too was refused: what waits to go there does not, and is decided anew without it."""

from msgspec.structs import replace

from models.addresses import digest_of
from models.events.signals import AddressRefused
from models.policy.audience import own_address, reader_among, roles_for
from models.policy.named import step_called
from models.policy.outcomes import take_back
from models.policy.reach import refused
from models.policy.turn import Turn, find_run
from models.state.client import PURPOSES, ClientState, Pending, journey_of
from models.triggers import CancelWhen, Tone


def address_refused(turn: Turn, event: AddressRefused) -> None:
    """Write to this address no more, where the client has it, and take back what is on its way there."""
    before = turn.state
    after = refused(before.person, event)
    if after is before.person:
        return
    turn.state = replace(before, person=after)
    why = ("the address it would go to has just been refused, for another client",)
    for row in before.care.pending:
        is_meant = row.channel == event.channel and event.purpose in {None, PURPOSES[row.purpose]}
        if is_meant and not row.retracted and _goes_to(turn, before, row) == event.address:
            take_back(turn, row, CancelWhen.DECIDED_ANEW, why, known_ms=before.now_ms)


def _goes_to(turn: Turn, state: ClientState, row: Pending) -> str:
    """Return the digest of the address that a message goes to; the profile's where nobody can say for whom it is."""
    journey, purpose, person = journey_of(row), PURPOSES[row.purpose], state.person
    run = find_run(state, journey, row.anchor)
    step = None if run is None else step_called(row.step, journey, turn.policy.of_run(run).journeys)
    roles = () if step is None or not row.tone else roles_for(journey, purpose, Tone(row.tone))
    own = own_address(reader_among(state, roles, purpose, row.channel), row.channel)
    return digest_of(row.channel, own or {"email": person.email.value, "sms": person.phone.value}.get(row.channel, ""))
