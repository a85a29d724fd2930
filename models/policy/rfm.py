"""Recency, frequency, monetary value: three tiers everybody understands, with their cut-points shown."""

from dataclasses import dataclass
from typing import Final

from models.money import Money, exponent
from models.policy.policy import Policy
from models.state.client import ClientState
from models.state.history import money_in
from models.workdays import DAY_MS

_THIRTEEN_MONTHS: Final = 396


@dataclass(frozen=True, slots=True)
class Rfm:
    """Tiers from 1 (low) to 4 (high) and the figures they were cut from; money in the currency that brought the most payments."""

    recency: int
    frequency: int
    monetary: int
    days_since_payment: int
    payments: int
    received: Money

    def explain(self, policy: Policy) -> list[str]:
        """Return a line per tier with its figure and cut-points."""
        cuts = policy.rfm
        return [
            f"recency {self.recency} of 4: paid {self.days_since_payment} days ago (cuts {_words(cuts.recency_days)} days)",
            f"frequency {self.frequency} of 4: {self.payments} payments in 13 months (cuts {_words(cuts.frequency)})",
            f"monetary {self.monetary} of 4: {self.received} in 13 months (cuts {_words(cuts.monetary)})",
        ]


def received_by_currency(state: ClientState) -> dict[str, tuple[int, int]]:
    """Return (payments, minor units less what went back) within thirteen months by currency; currencies are never added up."""
    codes = sorted({row.currency for row in state.rhythm.buckets})
    return {code: money_in(state, code, days=_THIRTEEN_MONTHS) for code in codes}


def rfm(state: ClientState, policy: Policy) -> Rfm | None:
    """Return the tiers at the client's logical time, None before the first payment."""
    sums = received_by_currency(state)
    if not state.rhythm.last_paid_ms or not sums:
        return None
    main = max(sums, key=lambda code: (sums[code], code))
    payments = sum(count for count, _ in sums.values())
    minor = sums[main][1]
    days = max(0, state.now_ms - state.rhythm.last_paid_ms) // DAY_MS
    units = minor / 10 ** exponent(main)
    cuts = policy.rfm
    return Rfm(
        recency=1 + sum(days <= cut for cut in cuts.recency_days),
        frequency=1 + sum(payments >= cut for cut in cuts.frequency),
        monetary=1 + sum(units >= cut for cut in cuts.monetary),
        days_since_payment=days,
        payments=payments,
        received=Money(minor, main),
    )


def _words(cuts: tuple[int, int, int]) -> str:
    return ", ".join(map(str, cuts))
