"""What the contracts of one client are worth: chances, lifetime value, and how far the cost of winning them is paid back."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import hypot
from typing import Final

from models.learners.lifetime import Change, Lifetime, ValueTerms, curve_path, lifetime, renewals_ahead
from models.learners.renewal import PublishedRenewals
from models.learners.renewal_snapshot import Published
from models.learners.retention import FIRM
from models.learners.survival import Renewing, fit, pooled
from models.state.client import ClientState, Contract
from models.state.renewals import Fate, Period
from models.workdays import DAY_MS

_DOUBT: Final = 0.3  # standard error of the logits of a learner's path, taken together (docs/learning-trials.md: measured)


@dataclass(frozen=True, slots=True)
class Worth:
    """One running contract: the chance of its next renewal, what the renewals ahead are worth, what it has earned at what cost.

    `chance` None: too little evidence; then the value follows the curve of its type. Money is minor units.
    """

    contract_id: str
    contract_type: str
    chance: float | None
    value: Lifetime
    earned: int
    cost: int

    @property
    def is_paid_back(self) -> bool:
        """Whether the contract has earned what winning the client cost."""
        return self.earned >= self.cost


@dataclass(frozen=True, slots=True)
class Curves:
    """Renewal curve and price change by group."""

    by_group: Mapping[str, tuple[Renewing, Change]]

    def of(self, contract_type: str) -> tuple[Renewing, Change]:
        """Return those of a contract type, the firm's where it was never seen."""
        return self.by_group.get(f"type:{contract_type}") or self.by_group.get(FIRM) or _UNKNOWN


_UNKNOWN: Final = (fit((), ()), Change())


@lru_cache(maxsize=4)
def curves_of(retention: Published) -> Curves:
    """Return the fitted curves of all contract types; fitted once per published snapshot."""
    firm = retention.ages_of(FIRM)
    rows = [row for row in retention.ages if row.group == FIRM or row.group.startswith("type:")]
    return Curves({row.group: (fit(*pooled(row, firm)), Change.of(row)) for row in rows})


def worth_of(state: ClientState, scorer: PublishedRenewals, terms: ValueTerms) -> list[Worth]:
    """Return what each running contract is worth at the client's logical time, the next to renew first."""
    curves = curves_of(scorer.weights.retention)
    found = []
    for period in sorted(state.renewals.periods, key=lambda row: (row.renews_ms, row.contract_id)):
        contract = next((row for row in state.person.contracts if row.contract_id == period.contract_id), None)
        if contract is None or period.fate != Fate.OPEN or period.renews_ms <= state.now_ms:
            continue
        curve, change = curves.of(period.contract_type)
        count = renewals_ahead(period, now_ms=state.now_ms, terms=terms)
        path = scorer.path(state, period, contract, count=max(1, count))
        chances = path.chances if path else curve_path(curve, age=period.age, count=max(1, count))
        doubt = hypot(_DOUBT, path.apart) if path else curve.spread(period.age)
        value = lifetime(
            period,
            minor=contract.minor or period.minor,
            path=chances[:count],
            doubt=doubt,
            change=change,
            now_ms=state.now_ms,
            terms=terms,
        )
        groups = (f"segment:{state.care.segment.value}", f"type:{period.contract_type}")
        found.append(
            Worth(
                contract_id=period.contract_id,
                contract_type=period.contract_type,
                chance=path.chances[0] if path else None,
                value=value,
                earned=_earned(period, state.now_ms, terms),
                cost=_cost(contract, period) or terms.cost_of(groups, period.currency),
            )
        )
    return found


def _cost(contract: Contract, period: Period) -> int:
    return contract.cost if contract.currency == period.currency else 0


def _earned(period: Period, now_ms: int, terms: ValueTerms) -> int:
    """Return what is left of all periods so far, the present one as far as it has run."""
    share = min(1.0, max(0.0, (now_ms - period.began_ms) / (period.renews_ms - period.began_ms)))
    months = (period.age + share) * period.days * DAY_MS / _MONTH_MS
    return round(terms.left_of(period.earned + share * period.minor, months, period.currency))


_MONTH_MS: Final = 365.25 / 12 * DAY_MS
