"""How everything outside the fold reads a client's state, and what intake remembers of ids."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final, Protocol

from streams.wire.facts import Known

RETENTION: Final = timedelta(days=400)
"""How long what was told about an id is kept after it was told last: a year and a month, as a refund or dispute may come long
after its payment. A mandate in use is told of again with each collection."""


class StateStore(Protocol):
    """Reads what the fold has committed. Only the fold writes, through the fence, so there is no write here."""

    async def read(self, client_id: str) -> bytes | None:
        """Return the encoded state of the client (`models.state.codec.decode` reads it), or none for an unknown client.

        The answer is a committed state, perhaps a moment old; raises RetryError while the store is away.
        """
        ...

    async def regime(self, client_id: str) -> bytes:
        """Return the encoded regime of the client's partition (`models.regime.decode_regime` reads it): halts, policy, learners.

        Empty where nothing was activated yet, also for an unknown client; raises RetryError while the store is away.
        """
        ...


class Directory(Protocol):
    """Remembers what earlier deliveries told about ids, for later ones that name an id and nothing else."""

    async def exchange(self, learned: Known, wanted: Collection[str]) -> Known:
        """Remember `learned`, then return what is known about the addresses `wanted` and what they link to.

        A fact told again replaces the one before and starts its retention anew; other facts of the same address stay. What is
        unknown is absent from the answer. Repeating a call changes nothing; raises RetryError while the store is away.
        """
        ...
