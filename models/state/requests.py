"""When a client last asked for each thing that a person answers, kept by its place in `Request`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from models.events.signals import Request
from models.state.client import ClientState

_PLACES: Final[Mapping[Request, int]] = MappingProxyType({request: place for place, request in enumerate(Request)})


def asked_ms(state: ClientState, request: Request) -> int:
    """Return when the client last asked for something, 0: never."""
    place, asked = _PLACES[request], state.care.asked
    return asked[place] if place < len(asked) else 0


def noted(state: ClientState, request: Request, at_ms: int) -> ClientState:
    """Remember when something was last asked for."""
    known = dict(enumerate(state.care.asked))
    known[_PLACES[request]] = max(asked_ms(state, request), at_ms)
    asked = tuple(known.get(index, 0) for index in range(max(known) + 1))
    return replace(state, care=replace(state.care, asked=asked))
