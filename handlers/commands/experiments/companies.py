"""Which clients are one company to an experiment: those merged into one, and those that one of them pays for.

Of such a company every fact is read in the name in which it was told, once; what clients passed on to each other is left out.
"""

from collections.abc import Iterable, Mapping

from models.events.signals import ClientDelegated, ClientMerged, ClientSplit
from models.events.union import AnyClientEvent
from models.triggers import Decision


def companies_of(events: Iterable[AnyClientEvent]) -> dict[str, str]:
    """Return for every client that belongs to another one the client that stands for both, as things are at the end of `events`.

    Of clients merged in a circle it is the one whose name comes first, as in the program.
    """
    into: dict[str, str] = {}
    pays: dict[str, tuple[int, str]] = {}
    for event in events:
        match event:
            case ClientMerged():
                into[event.client_id] = event.into
            case ClientSplit():
                into.pop(event.client_id, None)
            case ClientDelegated() if event.passed_on is None:
                pays[event.client_id] = max(pays.get(event.client_id, (0, "")), (event.occurred_ms, event.payer or ""))
            case _:
                continue
    leads = {child: payer for child, (_, payer) in pays.items() if payer} | into
    return {name: _standing(name, leads) for name in leads}


def names_beside(events: Iterable[AnyClientEvent]) -> set[str]:
    """Return the clients in whose names more may have been told of the companies of `events`."""
    found = set[str]()
    for event in events:
        if event.passed_on is not None:
            found |= {*event.passed_on.path, *event.passed_on.children}
        match event:
            case ClientMerged():
                found.add(event.into)
            case ClientDelegated() if event.payer:
                found.add(event.payer)
            case _:
                continue
    return found


def in_one_name(events: Iterable[AnyClientEvent], company: Mapping[str, str]) -> list[AnyClientEvent]:
    """Return what was told of every company as if it had one name, each fact once."""
    return [
        event.model_copy(update={"client_id": company[event.client_id]}) if event.client_id in company else event
        for event in events
        if event.passed_on is None
    ]


def decided_in_one_name(decisions: Iterable[Decision], company: Mapping[str, str]) -> list[Decision]:
    """Return the decisions about every company as if it had one name; of its draws those that hold.

    The arm into which the client was drawn that stands for the company holds, as it does for its next messages: what others of it
    were drawn into says nothing. Where only others were drawn, the first of them holds.
    """
    rows = sorted(decisions, key=lambda row: row.decided_at)
    holds: dict[tuple[str, str], str] = {}
    for is_own in (True, False):
        for row in rows:
            name = company.get(row.client_id, row.client_id)
            if row.experiment is not None and (row.client_id == name) == is_own:
                holds.setdefault((name, row.experiment.name), row.experiment.arm)
    found = []
    for row in rows:
        name = company.get(row.client_id, row.client_id)
        if row.experiment is None or holds[name, row.experiment.name] == row.experiment.arm:
            found.append(row if name == row.client_id else row.model_copy(update={"client_id": name}))
    return found


def _standing(name: str, leads: Mapping[str, str]) -> str:
    way = [name]
    while (following := leads.get(way[-1])) is not None:
        if following in way:
            return min(way[way.index(following) :])
        way.append(following)
    return way[-1]
