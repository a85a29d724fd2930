"""Who belongs to an audience, asked when something is decided: who fits its rules, belongs, as long as they hold.

What needs to last is in the figures: thirteen months, a year, the days in a segment. An audience with a dwell time takes its time
besides, both ways; where a client stands with it is kept in the state (see models.policy.dwelling).
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from models.money import exponent
from models.policy.audiences import Audience, Between, Figure, OneOf, Rule, Trait
from models.policy.policy import Policy
from models.policy.rfm import received_by_currency
from models.policy.segments import YEAR_MS, effective_segment, late_of
from models.state.balances import exposures
from models.state.client import ClientState
from models.state.habits import mark_of
from models.state.history import lived_lateness
from models.state.stays import Stay
from models.workdays import DAY_MS, moment


def belongs(state: ClientState, audience: Audience) -> str | None:
    """Return why a client belongs to an audience at its logical time, in words; None where it does not."""
    if not audience.dwell_days:
        return fits(state, audience)
    stay = stay_in(state, audience)
    if stay is None or not stay.since_ms or state.erased_ms or state.identity.into:
        return None
    why = fits(state, audience) or f"it leaves when its rules have not held for {audience.dwell_days} days"
    return f"{why}, since {moment(stay.since_ms):%Y-%m-%d}"


def stay_in(state: ClientState, audience: Audience) -> Stay | None:
    """Return where a client stands with an audience that has a dwell time, None where nothing was seen of it."""
    mark = mark_of(audience.name)
    return next((row for row in state.care.stays if row.mark == mark), None)


def fits(state: ClientState, audience: Audience) -> str | None:
    """Return why the rules of an audience hold for a client at its logical time, in words; None where they do not."""
    if state.erased_ms or state.identity.into:
        return None
    told = [_held(state, rule) for rule in audience.every]
    if None in told:
        return None
    chosen = next((words for rule in audience.either if (words := _held(state, rule)) is not None), None)
    if audience.either and chosen is None:
        return None
    return ", ".join(words for words in (*told, chosen) if words)


def first_of(state: ClientState, names: Iterable[str], policy: Policy) -> tuple[str, str] | None:
    """Return the first of the audiences named that a client belongs to, with why; the others are not asked about."""
    known = {row.name: row for row in policy.audiences}
    asked = ((name, belongs(state, known[name])) for name in names if name in known)
    return next(((name, why) for name, why in asked if why is not None), None)


def audiences_of(state: ClientState, policy: Policy) -> dict[str, str]:
    """Return the audiences of a policy that a client belongs to, each with why."""
    found = ((row.name, belongs(state, row)) for row in policy.audiences)
    return {name: why for name, why in found if why is not None}


def _held(state: ClientState, rule: Rule) -> str | None:
    match rule:
        case Between():
            value = FIGURES[rule.figure](state)
            if value is None or (rule.at_least is not None and value < rule.at_least):
                return None
            held = rule.at_most is None or value <= rule.at_most
            return f"{rule.figure.value} {value:,.10g}" if held else None
        case OneOf():
            found = next((word for word in TRAITS[rule.trait](state) if word in rule.words), None)
            return None if found is None else f"{rule.trait.value} {found}"


def _client_days(state: ClientState) -> float:
    return (state.now_ms - state.first_seen_ms) // DAY_MS


def _days_in_segment(state: ClientState) -> float:
    return (state.now_ms - (state.care.segment_since_ms or state.first_seen_ms)) // DAY_MS


def _received(state: ClientState) -> float:
    """Return what came in within 13 months, in the currency that brought most of it; currencies are never added up."""
    return max((minor / 10 ** exponent(code) for code, (_, minor) in received_by_currency(state).items()), default=0.0)


def _payments(state: ClientState) -> float:
    return sum(payments for payments, _ in received_by_currency(state).values())


def _open(state: ClientState) -> float:
    return max((row.net / 10 ** exponent(row.currency) for row in exposures(state.ledger, state.now_ms)), default=0.0)


def _late_share(state: ClientState) -> float | None:
    late, recent = late_of(lived_lateness(state))
    return late / recent if recent else None


FIGURES: Final[Mapping[Figure, Callable[[ClientState], float | None]]] = MappingProxyType(
    {
        Figure.CLIENT_DAYS: _client_days,
        Figure.DAYS_IN_SEGMENT: _days_in_segment,
        Figure.RECEIVED_UNITS: _received,
        Figure.PAYMENTS: _payments,
        Figure.OPEN_UNITS: _open,
        Figure.OVERDUE_INVOICES: lambda state: lived_lateness(state).overdue_now,
        Figure.OLDEST_OVERDUE_DAYS: lambda state: lived_lateness(state).oldest_overdue_days,
        Figure.ENDED_INVOICES: lambda state: lived_lateness(state).labelled,
        Figure.LATE_SHARE: _late_share,
        Figure.DISPUTES: lambda state: sum(at > state.now_ms - YEAR_MS for at in state.rhythm.disputes),
    }
)
"""How each figure is read; None: it is not known of this client, and no rule about it holds."""

TRAITS: Final[Mapping[Trait, Callable[[ClientState], list[str]]]] = MappingProxyType(
    {
        Trait.SEGMENT: lambda state: [effective_segment(state, state.now_ms).value],
        Trait.COUNTRY: lambda state: [state.person.country.value],
        Trait.INDUSTRY: lambda state: [state.person.industry.value],
        Trait.CONTRACT_TYPE: lambda state: [row.contract_type for row in state.person.contracts],
    }
)
"""How each trait is read; a client with several contracts has several types."""
