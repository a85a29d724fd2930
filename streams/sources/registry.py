"""Every source and its translator. A new source is one pure file and one line here."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from models.events.union import AnyClientEvent
from streams.runtime.errors import DeadLetterError
from streams.sources import generic, gocardless, gocardless_facts, receipts, stripe, stripe_facts
from streams.sources.lookup import Lookup, Reading
from streams.sources.payload import PartlyUnreadableError, Payload, parse_object, validated
from streams.wire.dead_letters import Reason
from streams.wire.facts import NOBODY, Facts, Known, address, fits, merged


class Translator(Protocol):
    """Turns what a sender wrote into events. Pure: the same body and the same known facts give the same events."""

    def __call__(self, body: Payload, *, source: str, received_at: datetime, lookup: Lookup) -> list[AnyClientEvent]:
        """Return the events; none for a delivery that says nothing about a client. Raises DeadLetterError only.

        `lookup` is asked only for what the body itself lacks.
        """
        ...


class Learner(Protocol):
    """Says what a body tells about ids that later bodies of the same sender may only name. Pure."""

    def __call__(self, body: Payload) -> list[tuple[str, Facts]]:
        """Return ids and facts about them; raises DeadLetterError where the body is damaged, which then teaches nothing."""
        ...


TRANSLATORS: Final[Mapping[str, Translator]] = MappingProxyType(
    {"stripe": stripe.translate, "gocardless": gocardless.translate, "generic": generic.translate, "receipts": receipts.translate}
)


_LEARNERS: Final[Mapping[str, Learner]] = MappingProxyType({"stripe": stripe_facts.learn, "gocardless": gocardless_facts.learn})


def read_body(source: str, body: bytes | None, *, received_at: datetime, known: Known = NOBODY) -> Reading:
    """Return all that a raw webhook body says, with `known` filled in where it lacks a fact; never raises for a body."""
    lookup = Lookup(source, known)
    learned: Known = NOBODY
    try:
        payload = _parse(source, body)
        learned = _learn(source, payload)
        translator = TRANSLATORS[source]
        events = validated(lambda: translator(payload, source=source, received_at=received_at, lookup=lookup))
    except PartlyUnreadableError as error:
        return Reading(events=error.events, refusal=error, learned=learned, wanted=frozenset(lookup.asked))
    except DeadLetterError as error:
        return Reading(refusal=error, learned=learned, wanted=frozenset(lookup.asked))
    return Reading(events=events, learned=learned, wanted=frozenset(lookup.asked))


def _parse(source: str, body: bytes | None) -> Payload:
    if source not in TRANSLATORS:
        there = ", ".join(TRANSLATORS)
        raise DeadLetterError(Reason.UNKNOWN_SOURCE, f"no translator for source {source[:60]!r}; there are: {there}")
    return parse_object(body)


def _learn(source: str, payload: Payload) -> Known:
    learn = _LEARNERS.get(source)
    if learn is None:
        return NOBODY
    try:
        return merged((address(source, named), told) for named, told in learn(payload) if fits(named))
    except DeadLetterError:
        return NOBODY  # what is wrong with it, the translator says
