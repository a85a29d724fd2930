"""Every source and its translator. A new source is one pure file and one line here."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from models.events.union import AnyClientEvent
from streams.runtime.errors import DeadLetterError
from streams.sources import generic, gocardless, stripe
from streams.sources.payload import Payload, parse_object, validated
from streams.wire.dead_letters import Reason


class Translator(Protocol):
    """Turns what a sender wrote into events. Pure: the same body gives the same events, whenever it is read."""

    def __call__(self, body: Payload, *, source: str, received_at: datetime) -> list[AnyClientEvent]:
        """Return the events; none for a delivery that says nothing about a client. Raises DeadLetterError only."""
        ...


TRANSLATORS: Final[Mapping[str, Translator]] = MappingProxyType(
    {"stripe": stripe.translate, "gocardless": gocardless.translate, "generic": generic.translate}
)


def translate(source: str, body: bytes | None, *, received_at: datetime) -> list[AnyClientEvent]:
    """Return the events in a raw webhook body; none when it is known to say nothing about a client.

    Raises DeadLetterError with a reason when the body cannot be read, PartlyUnreadableError (which holds the readable
    events) when a part of it cannot.
    """
    translator = TRANSLATORS.get(source)
    if translator is None:
        known = ", ".join(TRANSLATORS)
        raise DeadLetterError(Reason.UNKNOWN_SOURCE, f"no translator for source {source[:60]!r}; there are: {known}")
    payload = parse_object(body)
    return validated(lambda: translator(payload, source=source, received_at=received_at))
