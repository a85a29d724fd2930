"""Reading a client under any name it ever had."""

from typing import Final

from models.state.client import ClientState
from models.state.codec import decode
from streams.state.ports import StateStore

_FURTHEST: Final = 16
"""Merges that are followed: while a circle of merges is on its way, nobody in it stands yet."""


async def read_standing(store: StateStore, client_id: str) -> ClientState | None:
    """Return the state of a client, or of whom it was merged into; None for one not known. Raises RetryError."""
    state = None
    for _ in range(_FURTHEST):
        blob = await store.read(client_id)
        state = None if blob is None else decode(blob)
        if state is None or not state.identity.into:
            return state
        client_id = state.identity.into
    return state
