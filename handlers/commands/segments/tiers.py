"""Cut-points of the tiers proposed from a firm's own quantiles, beside those of the policy."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import floor, log10
from types import MappingProxyType
from typing import Final

from models.money import exponent
from models.policy.policy import Policy, RfmCuts
from models.policy.rfm import Rfm, rfm
from models.state.client import ClientState

LEAST: Final = 20
"""Clients with a payment below which quantiles are an accident."""

FIELDS: Final = MappingProxyType({"recency": "recency_days", "frequency": "frequency", "monetary": "monetary"})
"""The tiers, and by which cut-points of `RfmCuts` each is told."""

_QUARTERS: Final = (0.25, 0.5, 0.75)
_TIERS: Final = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Proposal:
    """Cut-points that put about a quarter of the clients into each tier, and how many there are now and then."""

    clients: int
    cuts: RfmCuts
    now: dict[str, tuple[int, ...]]
    then: dict[str, tuple[int, ...]]

    def yaml(self) -> str:
        """Return the section for a policy file."""
        rows = (f"  {name}: {list(getattr(self.cuts, name))}" for name in FIELDS.values())
        return "\n".join(("rfm:", *rows))


def propose(states: Iterable[ClientState], policy: Policy) -> Proposal | None:
    """Return the proposal, None with fewer than `LEAST` clients who ever paid."""
    kept = list(states)
    tiers = [found for state in kept if (found := rfm(state, policy)) is not None]
    if len(tiers) < LEAST:
        return None
    units = sorted(found.received.minor / 10 ** exponent(found.received.currency) for found in tiers)
    days = sorted((found.days_since_payment for found in tiers), reverse=True)
    times = sorted(found.payments for found in tiers)
    cuts = RfmCuts(
        recency_days=_three([_at(days, share) for share in _QUARTERS], falling=True),
        frequency=_three([_at(times, share) for share in _QUARTERS], falling=False),
        monetary=_three([_rounded(_at(units, share)) for share in _QUARTERS], falling=False),
    )
    proposed = replace(policy, rfm=cuts)
    then = [found for state in kept if (found := rfm(state, proposed)) is not None]
    return Proposal(len(tiers), cuts, _counts(tiers), _counts(then))


def _counts(tiers: Sequence[Rfm]) -> dict[str, tuple[int, ...]]:
    found = {}
    for name in FIELDS:
        counts = Counter(getattr(row, name) for row in tiers)
        found[name] = tuple(counts[tier] for tier in _TIERS)
    return found


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, floor(share * len(ordered)))]


def _rounded(value: float) -> float:
    """Return a number people can remember: two leading digits."""
    if value < _TIERS[-1]:
        return value
    digits = floor(log10(value)) - 1
    return float(round(value / 10**digits) * 10**digits)


def _three(values: Sequence[float], *, falling: bool) -> tuple[int, int, int]:
    """Return whole cut-points that differ, in the order the policy asks for."""
    one, two, three = (max(0, round(value)) for value in values)
    if falling:
        two, three = min(two, max(0, one - 1)), min(three, max(0, min(two, one - 1) - 1))
    else:
        two = max(two, one + 1)
        three = max(three, two + 1)
    return one, two, three
