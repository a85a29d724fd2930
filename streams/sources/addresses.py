"""What intake remembers of addresses, as digests: who has one, and what was said against it. Whoever has it is told, also later.

A message met no address (`bounced_hard`), or a reader who complained: that is about the address and not about one client. Those
who have it then are told at once; whoever names it in a profile later is told after the profile. Remembering and asking is one
atomic step of the directory, so of a complaint and a profile at the same time one finds the other. Each says it by an event of
its own (`address.refused`); whether the client has the address still, and whether it was erased, its own log decides.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from models.addresses import digest_of
from models.events.signals import AddressRefused, ClientProfiled, DeliveryOutcome, DeliveryReported
from models.events.union import AnyClientEvent
from models.ids import derive
from streams.sources.lookup import Reading
from streams.wire.facts import NOBODY, NOTHING, REFUSED, Facts, Known, address, clients_of, facts, merged, shared

SPACE: Final = "receipts"
"""Where addresses and our own messages are known: receipts name them."""

REFUSES: Final = frozenset({DeliveryOutcome.BOUNCED_HARD, DeliveryOutcome.COMPLAINED})
_WITH_ADDRESSES: Final = ("email", "sms")


def with_addresses(reading: Reading, known: Known) -> Reading:
    """Return the reading with what its events tell of addresses, and with whom else they concern as far as that is `known`."""
    told, wanted = learn_from(reading.events), {place for event in reading.events for place in _places(event)}
    if not told and not wanted:
        return reading
    events = [
        also for event in reading.events for also in (event, *_told_to_others(event, known), *_told_to_newcomer(event, known))
    ]
    learned = merged([*reading.learned.items(), *told.items()])
    return replace(reading, events=events, learned=learned, wanted=reading.wanted | wanted)


def learn_from(events: Sequence[AnyClientEvent]) -> Known:
    """Return what our own events tell: whose message it is and where it went, whose address is which, and which was refused."""
    told = [pair for event in events for pair in _told_by(event)]
    return merged(told) if told else NOBODY


def _told_by(event: AnyClientEvent) -> Iterator[tuple[str, Facts]]:
    match event:
        case DeliveryReported(outcome=DeliveryOutcome.SENT | DeliveryOutcome.AMBIGUOUS):
            about = facts(client_id=event.client_id, address=event.address, purpose=event.purpose)
            yield address(SPACE, event.trigger_id), about
        case DeliveryReported(address=str(digest)) if event.outcome in REFUSES and event.channel in _WITH_ADDRESSES:
            name = f"{REFUSED}{event.outcome}:{event.channel}:{event.purpose or ''}"
            yield address(SPACE, digest), {name: f"{event.occurred_at.isoformat()} {_veiled(event.client_id)}"}
        case ClientProfiled():
            for digest in _digests(event):
                yield address(SPACE, digest), shared(event.client_id)
        case _:
            return


def _places(event: AnyClientEvent) -> Iterable[str]:
    """Return where intake asks for what an event lacks: who else has an address, or what was said against those it names."""
    match event:
        case DeliveryReported(address=str(digest)) if event.outcome in REFUSES:
            return (address(SPACE, digest),)
        case ClientProfiled():
            return [address(SPACE, digest) for digest in _digests(event)]
        case _:
            return ()


def _told_to_others(event: AnyClientEvent, known: Known) -> Iterator[AddressRefused]:
    if not isinstance(event, DeliveryReported) or event.address is None or event.outcome not in REFUSES:
        return
    said = {"channel": event.channel, "address": event.address, "because": event.outcome, "purpose": event.purpose}
    for client_id in clients_of(known.get(address(SPACE, event.address), NOTHING)):
        if client_id != event.client_id:
            yield _refused(event, derive("refused", event.event_id, client_id), client_id=client_id, **said)


def _told_to_newcomer(event: AnyClientEvent, known: Known) -> Iterator[AddressRefused]:
    """Yield what was said before against the addresses that a profile names, as of when it was said.

    A complaint in answer to a message to the client itself is left out: its own state has it.
    """
    if not isinstance(event, ClientProfiled):
        return
    for digest in _digests(event):
        said = known.get(address(SPACE, digest), NOTHING)
        for name in sorted(told for told in said if told.startswith(REFUSED)):
            because, channel, purpose = name.removeprefix(REFUSED).split(":")
            at, by = said[name].split(" ")
            if because == DeliveryOutcome.COMPLAINED and by == _veiled(event.client_id):
                continue
            fields = {"channel": channel, "address": digest, "because": because, "purpose": purpose or None, "occurred_at": at}
            yield _refused(event, derive("refused", event.event_id, digest, name, at), **fields)


def _refused(event: AnyClientEvent, event_id: str, **fields: str | None) -> AddressRefused:
    by_event = {name: getattr(event, name) for name in ("source", "occurred_at", "received_at", "client_id")}
    return AddressRefused.model_validate({**by_event, **fields, "event_id": event_id})


def _digests(event: ClientProfiled) -> list[str]:
    ways = [("email", event.email), ("sms", event.phone)]
    ways += [way for row in event.colleagues or () for way in (("email", row.email), ("sms", row.phone))]
    return sorted({digest for channel, way in ways if way and (digest := digest_of(channel, way))})


def _veiled(client_id: str) -> str:
    """Return a mark by which a client knows its own complaint again, and nobody the client."""
    return derive("refusal", client_id)[:12]
