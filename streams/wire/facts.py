"""What a sender's earlier deliveries told about its ids: small flat facts under an address, in a closed set of names.

An *address* is `<source>:<id>`: a payment processor's id, which is unique within that source. Facts are kept as they are told,
name to text; only names, ids, digests, amounts and dates that a later delivery may lack, never how to reach people or banks.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

Facts: TypeAlias = Mapping[str, str]
"""Facts about one id by name: those of LINKS and VALUES."""

Known: TypeAlias = Mapping[str, Facts]
"""Facts by address."""

NOTHING: Final[Facts] = MappingProxyType({})
NOBODY: Final[Known] = MappingProxyType({})

LINKS: Final = (
    *("charge", "payment_intent", "invoice"),
    *("refund", "payment", "subscription", "instalment_schedule", "mandate"),
    "address",
)
"""Facts that are themselves ids of the same source; whoever asks about an id is told about these as well."""

VALUES: Final = ("customer", "client_id", "invoice_id", "amount", "currency", "charge_date", "purpose")

LARGEST_FACT_BYTES: Final = 255
"""A longer text is no id, amount or date: it is left out. With 16 names an entry holds about 4 KB at most, usually 150 bytes."""

FURTHEST: Final = 16
"""Most ids that are looked at on behalf of one."""

HELD_BY: Final = "client:"
"""Begins the name of each client that has an id, where several may: one person may stand for many. See `shared`."""

REFUSED: Final = "refused:"
"""Begins the name of what was said against an address. See `streams.sources.addresses`."""

_NAMES: Final = frozenset((*LINKS, *VALUES))


def address(source: str, named: str) -> str:
    """Return where facts about the id `named` are kept."""
    return f"{source}:{named}"


def facts(**told: str | None) -> Facts:
    """Return those of `told` that are facts and short enough to be one; raises KeyError for a name outside the closed set."""
    if unknown := told.keys() - _NAMES:
        raise KeyError(*sorted(unknown))
    return {name: value for name, value in told.items() if value is not None and fits(value)}


def shared(client_id: str) -> Facts:
    """Return facts that name a client as one of those who have an id, whoever else has it, and as the latest who said so."""
    return {HELD_BY + client_id: client_id, "client_id": client_id} if fits(client_id) else {}


def clients_of(said: Facts) -> tuple[str, ...]:
    """Return all clients who have an id, in the order of their names."""
    known = {value for name, value in said.items() if name.startswith(HELD_BY)}
    return tuple(sorted(known | {said["client_id"]})) if "client_id" in said else tuple(sorted(known))


def fits(value: str) -> bool:
    """Return whether `value` can be kept: not empty, not too long, and text that UTF-8 can write."""
    return 0 < len(value.encode(errors="replace")) <= LARGEST_FACT_BYTES and value.isprintable()


def merged(told: Iterable[tuple[str, Facts]]) -> dict[str, Facts]:
    """Return facts by address; of one name told twice, the later telling counts."""
    together: dict[str, dict[str, str]] = {}
    for place, said in told:
        if said:
            together.setdefault(place, {}).update(said)
    return dict(together)
