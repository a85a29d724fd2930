"""The sums that matter: too small for a message of their own, or large enough that a person sees the message first."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from models.money import Money, exponent
from models.policy.belonging import first_of
from models.policy.finding import Finding, Severity
from models.policy.material import least_worth
from models.policy.policy import Policy
from models.policy.segments import effective_segment
from models.state.client import ClientState, Segment
from models.workdays import DAY_MS

COST: Final = "cost"
"""The code of what stands against a contact that costs more than it could bring in."""

_HARSH: Final = frozenset({Segment.SLOW, Segment.PROBLEM})


def too_little(sums: Mapping[str, int], state: ClientState, policy: Policy, *, known_ms: int | None = None) -> str | None:
    """Return why these sums (minor units per currency) are not worth a message, None where one of them is.

    `known_ms` as for `least_worth`.
    """
    if any(total >= least_worth(code, state, policy, known_ms=known_ms) for code, total in sums.items()):
        return None
    return f"{_named(sums)} is too little for a message of its own: {_waits(policy)}"


def too_dear(sums: Mapping[str, int], policy: Policy, channel: str) -> str | None:
    """Return why these sums (minor units per currency) are not worth a contact by this channel, None where one of them is.

    What a contact can bring in is what is open at most: one that costs more is no help to the firm and a bother to the client.
    """
    cost = policy.contact_costs.get(channel, 0)
    if not cost or any(total >= round(cost * 10 ** exponent(code)) for code, total in sums.items()):
        return None
    return f"{_named(sums)} is less than a contact by {channel} costs ({cost:g}): {_waits(policy)}"


def cost_findings(costs: Mapping[str, float], small_units: int, channels: Collection[str]) -> Iterator[Finding]:
    """Yield what to object to in the costs of contacts."""
    for name, cost in sorted(costs.items()):
        path = ("support", "contact_costs", name)
        if name not in channels:
            yield Finding(path, f"no worker delivers by {name}", f"use some of {', '.join(sorted(channels))}")
        elif 0 < cost <= small_units:
            why = f"{cost:g} changes nothing: less than small_units ({small_units}) waits, whatever way it would go"
            yield Finding(path, why, f"remove it, or lower small_units below {cost:g}", Severity.WARNING)


def _named(sums: Mapping[str, int]) -> str:
    return " and ".join(str(Money(total, code)) for code, total in sums.items())


def _waits(policy: Policy) -> str:
    return "it waits for the next statement" if policy.journeys.statement.day else "it waits until more is open"


def person_first(state: ClientState, amounts: Iterable[Money], policy: Policy) -> str | None:
    """Return why a person must see a message about `amounts` first, as far as client and sums call for it; None: nobody must."""
    rules = policy.approval
    large = next((money for money in amounts if money.minor >= rules.amount_units * 10 ** exponent(money.currency)), None)
    if rules.amount_units and large is not None:
        return f"{large} is a matter for a person: from {rules.amount_units:,} {large.currency} on"
    if state.client_id in rules.clients:
        return "messages to this client are approved by a person"
    audience = first_of(state, rules.audiences, policy)
    if audience is not None:
        return f"messages to the audience {audience[0]} are approved by a person ({audience[1]})"
    segment = effective_segment(state, state.now_ms)
    if rules.moved_days and segment in _HARSH and state.care.segment_since_ms > state.now_ms - rules.moved_days * DAY_MS:
        return f"the client has been {segment.value} for less than {rules.moved_days} days"
    return None
