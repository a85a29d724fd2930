"""What a decision read of something learnt, for people: how old it was, and the features that the learner saw."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any, Final

from models.features import FEATURES, TABLE, unpack
from models.learnt import Learnt, LearntKind
from models.policy.freshness import told
from models.renewal_features import RENEWAL_FEATURES, RENEWAL_TABLE, unpack_renewal


def learnt_lines(rows: tuple[Learnt, ...], *, with_values: bool) -> Iterator[str]:
    """Yield a line for each value that was read and, where asked for, one for each feature that was not nought."""
    for row in rows:
        if row.what is LearntKind.SEGMENT and not row.value:
            continue  # to be new is no way of paying: there is nothing to be sure of
        by = f", by {row.version}" if row.version else ""
        yield f"read {told(row)}; {_value(row)}{by}"
        if not with_values or row.features is None:
            continue
        values = values_of(row)
        if values is None:
            yield f"  its features are of another table ({row.table}): the release that made the decision can name them"
            continue
        yield from (f"  {name} {value:,.4g}: {_PHRASES[name]}" for name, value in values.items() if value)


def values_of(row: Learnt) -> dict[str, float] | None:
    """Return the features that a learner saw, by name; None where there are none, or of a table that this release lacks."""
    if row.features is None:
        return None
    raw = b64decode(row.features)
    if row.table == TABLE:
        return {feature.name: round(value, 4) for feature, value in zip(FEATURES, unpack(raw), strict=True)}
    if row.table == RENEWAL_TABLE:
        return {feature.name: round(value, 4) for feature, value in zip(RENEWAL_FEATURES, unpack_renewal(raw), strict=True)}
    return None


def learnt_json(row: Learnt) -> dict[str, Any]:
    """Return one value that was read, with its features by name instead of packed."""
    said = row.model_dump(mode="json", exclude_none=True, exclude={"features"})
    values = values_of(row)
    return said if values is None else {**said, "values": values}


def _value(row: Learnt) -> str:
    match row.what:
        case LearntKind.PAY_DATE:
            return f"{row.value:,.3g} days from the due date"
        case LearntKind.SCORE | LearntKind.RENEWAL | LearntKind.SEGMENT:
            return f"{row.value:.0%}"


_PHRASES: Final = {row.name: row.phrase for row in RENEWAL_FEATURES} | {row.name: row.phrase for row in FEATURES}
