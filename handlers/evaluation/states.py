"""The states of all clients of a history: those heard of lately as they are, the others as the bytes a worker would store."""

from collections import OrderedDict
from typing import Final

from models.state.client import ClientState
from models.state.codec import decode, encode

AWAKE: Final = 1_000
"""States held ready: a few dozen kilobytes each, where their bytes are a few."""


class States:
    """Keeps one state per client; a history of any number of clients needs little more memory than their bytes."""

    def __init__(self, awake: int = AWAKE) -> None:
        """Start with no clients; `awake` states at most are held ready."""
        self._awake: OrderedDict[str, ClientState] = OrderedDict()
        self._asleep: dict[str, bytes] = {}
        self._most = awake

    def __len__(self) -> int:
        """Return how many clients are known."""
        return len(self._awake) + len(self._asleep)

    def get(self, client: str) -> ClientState | None:
        """Return the state of a client, none before the first."""
        state = self._awake.get(client)
        if state is None and client in self._asleep:
            return decode(self._asleep[client])
        return state

    def put(self, client: str, state: ClientState) -> None:
        """Keep the state of a client in the place of what was known."""
        self._asleep.pop(client, None)
        self._awake[client] = state
        self._awake.move_to_end(client)
        if len(self._awake) > self._most:
            longest, forgotten = self._awake.popitem(last=False)
            self._asleep[longest] = encode(forgotten)
