"""What a worker needs to answer about renewals, and what their trainer needs to go on; sealed as all learners are."""

from math import isfinite

import msgspec

from models.learners.retention import Retention
from models.learners.snapshot import CHECKPOINT_LIMIT, SIZE_LIMIT, SnapshotError, seal, unseal
from models.renewal_features import RENEWAL_FEATURES, RENEWAL_TABLE


class RenewalLine(msgspec.Struct, frozen=True, array_like=True):
    """One scoring line. `seen` examples were learned, `rarer` of them had the rarer answer; `types` are intercepts per type."""

    ending: int
    landmark: int
    seen: int
    rarer: int
    intercept: float
    slopes: tuple[float, ...]
    types: tuple[float, ...]


class RenewalFigures(msgspec.Struct, frozen=True, array_like=True):
    """`models.renewal_features.RenewalFirm` as it is written down, and the mean of every feature over the questions."""

    renewed_share: float = 0.8
    recent_share: float = 0.8
    log_amount: float = 8.0
    log_amount_spread: float = 1.0
    usual: tuple[float, ...] = ()


class Ages(msgspec.Struct, frozen=True, array_like=True):
    """Of the periods after so many renewals: known, renewed; the count, sum and sum of squares of log price ratios.

    `first_...` are count and sum at first renewals, which are among the others too.
    """

    group: str
    known: tuple[int, ...]
    renewed: tuple[int, ...]
    changes: int = 0
    change: float = 0.0
    change_square: float = 0.0
    first_changes: int = 0
    first_change: float = 0.0


class Months(msgspec.Struct, frozen=True, array_like=True):
    """Of each month of contract life in one group and currency: contracts in it, ended with it, minor units billed."""

    group: str
    currency: str
    exposed: tuple[int, ...]
    ended: tuple[int, ...]
    billed: tuple[int, ...]
    prices: int = 0
    price: float = 0.0
    price_square: float = 0.0
    costs: int = 0
    cost: float = 0.0


class Published(msgspec.Struct, frozen=True, array_like=True):
    """The tallies of retention as they are written down: trailing zeros left out."""

    ages: tuple[Ages, ...] = ()
    months: tuple[Months, ...] = ()

    @classmethod
    def of(cls, tallies: Retention) -> "Published":
        """Return the tallies as they stand."""
        ages = tuple(
            Ages(
                group,
                _cut(row.known),
                _cut(row.renewed),
                row.changes,
                row.change,
                row.change_square,
                row.first_changes,
                row.first_change,
            )
            for group, row in tallies.ages.items()
        )
        months = []
        for place, row in tallies.months.items():
            group, _, currency = place.rpartition("|")
            counts = (_cut(row.exposed), _cut(row.ended), _cut(row.billed))
            months.append(Months(group, currency, *counts, row.prices, row.price, row.price_square, row.costs, row.cost))
        return cls(ages, tuple(months))

    def ages_of(self, group: str) -> Ages | None:
        """Return one group's ages, None when it was never seen."""
        return next((row for row in self.ages if row.group == group), None)

    def months_of(self, group: str, currency: str) -> Months | None:
        """Return one group's months, None when it was never seen in this currency."""
        return next((row for row in self.months if (row.group, row.currency) == (group, currency)), None)


def _cut(counts: list[int]) -> tuple[int, ...]:
    end = len(counts)
    while end and not counts[end - 1]:
        end -= 1
    return tuple(counts[:end])


class RenewalWeights(msgspec.Struct, frozen=True, array_like=True):
    """Everything a worker needs to answer questions about renewals. `version` names it in every answer."""

    version: str
    trained_ms: int
    learned: int
    trust: float
    types: tuple[str, ...]
    lines: tuple[RenewalLine, ...]
    firm: RenewalFigures = RenewalFigures()
    retention: Published = Published()


class RenewalHeadState(msgspec.Struct, frozen=True, array_like=True):
    """A head's learner with all it needs to go on."""

    ending: int
    landmark: int
    yes: int
    kalman: tuple[bytes, bytes, int]
    recalibration: tuple[bytes, bytes, int, float, float]


class RenewalCheckpoint(msgspec.Struct, frozen=True, array_like=True):
    """A trainer at one position of the log of examples."""

    position: int
    learned: int
    day: int
    trained_ms: int
    types: tuple[str, ...]
    heads: tuple[RenewalHeadState, ...]
    tally: bytes
    retention: bytes
    watch: bytes
    judged: bytes = b""
    cohorts: bytes = b""


def dump_renewal(value: RenewalWeights | RenewalCheckpoint) -> bytes:
    """Return the bytes of published weights or a checkpoint. Raises SnapshotError when they are too large or not finite."""
    if isinstance(value, RenewalWeights):
        guard_renewal(value)
        return seal(value, schema=RENEWAL_TABLE, limit=SIZE_LIMIT)
    return seal(value, schema=RENEWAL_TABLE, limit=CHECKPOINT_LIMIT)


def load_renewal(raw: bytes) -> RenewalWeights:
    """Return published weights. Raises SnapshotError for damage, another format, kind or feature table, or wild numbers."""
    weights = unseal(raw, RenewalWeights, schema=RENEWAL_TABLE)
    guard_renewal(weights)
    return weights


def load_renewal_checkpoint(raw: bytes) -> RenewalCheckpoint:
    """Return a checkpoint. Raises SnapshotError as `load_renewal` does."""
    return unseal(raw, RenewalCheckpoint, schema=RENEWAL_TABLE)


def guard_renewal(weights: RenewalWeights) -> None:
    """Refuse weights that do not fit the table, or with a number that is not finite: one of them would poison every score."""
    for line in weights.lines:
        if len(line.slopes) != len(RENEWAL_FEATURES) or len(line.types) != len(weights.types):
            message = f"a line of {len(line.slopes)} slopes and {len(line.types)} types does not fit: publish the snapshot again"
            raise SnapshotError(message)
        if not all(map(isfinite, (line.intercept, *line.slopes, *line.types))):
            message = f"the renewal line {line.ending}/{line.landmark} holds a number that is not finite: roll back"
            raise SnapshotError(message)
