"""What `rapport clients merge` writes, and what is refused before it is on the log."""

from datetime import datetime
from typing import Final

from models.events.envelope import epoch_ms
from models.events.signals import ClientMerged
from models.ids import derive
from models.state.client import ClientState
from streams.runtime.errors import UsageError

SOURCE: Final = "rapport clients"


def merge_of(
    one: ClientState | None, other: ClientState | None, *, client_id: str, into: str, reason: str, author: str, now: datetime
) -> ClientMerged:
    """Return the event that merges `client_id` into `into`, given whom the two names stand for now; raises UsageError.

    What is read here may be a moment old: should two people merge the same clients in a circle at once, one of them remains.
    """
    if one is None or other is None:
        message = f"no client {client_id if one is None else into!r} is known; rapport inspect client ID shows one"
        raise UsageError(message)
    if one.client_id == other.client_id:
        message = f"{client_id} and {into} are one client already: {one.client_id}"
        raise UsageError(message)
    for state, name in ((one, client_id), (other, into)):
        if state.client_id != name:
            message = f"{name} was merged into {state.client_id}: say that name, if that is meant"
            raise UsageError(message)
        if state.erased_ms:
            message = f"{name} asked to be forgotten: there is nothing to merge, and nothing may be kept of the other one"
            raise UsageError(message)
    return ClientMerged(
        event_id=derive("client.merged", client_id, into, epoch_ms(now)),
        source=SOURCE,
        client_id=client_id,
        occurred_at=now,
        received_at=now,
        into=into,
        author=author,
        reason=reason,
    )
