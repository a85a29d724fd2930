"""How everything outside the fold reads a client's state."""

from typing import Protocol


class StateStore(Protocol):
    """Reads what the fold has committed. Only the fold writes, through the fence, so there is no write here."""

    async def read(self, client_id: str) -> bytes | None:
        """Return the encoded state of the client (`models.state.codec.decode` reads it), or none for an unknown client.

        The answer is a committed state, perhaps a moment old; raises RetryError while the store is away.
        """
        ...
