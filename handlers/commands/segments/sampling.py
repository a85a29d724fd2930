"""A sample of the clients of a history, and what is found in it extrapolated to all of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, inf, lgamma
from typing import Any, Final

from handlers.commands.held import Held, held
from handlers.terminal.waiting import shown
from models.events.signals import ClientDelegated, ClientMerged
from models.events.union import AnyClientEvent
from models.ids import derive
from streams.runtime.errors import UsageError

_ERROR: Final = 0.05
_WONDER: Final = _ERROR / 2 * (1 + 1e-9)  # logarithms are not exact: 1 in 40 must not be more than 2.5 %


@dataclass(frozen=True, slots=True)
class Sample:
    """The events of the clients that were drawn, and how many clients there are in all."""

    events: Held
    clients: int


@dataclass(frozen=True, slots=True)
class Extrapolated:
    """How many of all `clients` are as those found in a sample: about how many, and the ends of the 95 % interval."""

    clients: int
    about: int
    least: int
    most: int

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"clients": self.clients, "movers": self.about, "least": self.least, "most": self.most}


def sample(events: Sequence[AnyClientEvent], *, clients: int) -> Sample:
    """Return all that a history tells of `clients` of its clients, or a few more: who is one company with another comes with it.

    Who is drawn depends on the names alone, so it is the same clients each time, whatever else the history tells. Raises
    UsageError where nobody would be drawn.
    """
    if clients <= 0:
        message = f"--sample {clients}: say of how many clients, more than 0"
        raise UsageError(message)
    companies = _companies(shown(events, "reading who there is"))
    everybody = sum(map(len, companies))
    taken = set[str]()
    for company in sorted(companies, key=lambda names: derive("sample", min(names))):
        if len(taken) >= clients:
            break
        taken |= company
    drawn = (event for event in shown(events, "drawing the sample") if event.client_id in taken)
    return Sample(held(drawn), everybody)


def extrapolated(found: int, *, drawn: int, clients: int) -> Extrapolated:
    """Return how many of all `clients` are to be expected where `found` of `drawn` were.

    The interval holds all numbers under which as few, or as many, would be found with more than 2.5 % (hypergeometric, drawn
    without putting back: J. P. Buonaccorsi, A note on confidence intervals for proportions in finite populations, The American
    Statistician 41 (1987)). Clients count as drawn one by one, although companies are drawn whole.
    """
    least, most = found, clients - (drawn - found)
    low = _first(least, most, lambda many: _at_most(drawn - found, drawn, clients - many, clients) > _WONDER)
    high = _first(least, most, lambda many: _at_most(found, drawn, many + 1, clients) <= _WONDER)
    return Extrapolated(clients, round(found * clients / drawn) if drawn else 0, low, high)


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Return the first number of a range from which on `holds` is true, the last where it never is."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _at_most(found: int, drawn: int, marked: int, clients: int) -> float:
    """Return how likely at most `found` of `drawn` are among the `marked` of `clients`."""
    fewest = max(0, drawn - (clients - marked))
    return sum(
        exp(_ways(marked, k) + _ways(clients - marked, drawn - k) - _ways(clients, drawn)) for k in range(fewest, found + 1)
    )


def _ways(many: int, few: int) -> float:
    if not 0 <= few <= many:
        return -inf
    return lgamma(many + 1) - lgamma(few + 1) - lgamma(many - few + 1)


def _companies(events: Iterable[AnyClientEvent]) -> list[set[str]]:
    """Return all clients, those together that were ever merged or paid for by one another."""
    found: dict[str, set[str]] = {}
    for event in events:
        company = found.setdefault(event.client_id, {event.client_id})
        match event:
            case ClientMerged(into=other) | ClientDelegated(payer=str(other)):
                for name in found.setdefault(other, {other}) - company:
                    company.add(name)
                    found[name] = company
            case _:
                continue
    return list({id(company): company for company in found.values()}.values())
