"""Who else a client is: the names that were merged into it, or the one that it was merged into, and who pays for whom."""

from collections.abc import Collection
from typing import Final

import msgspec
from msgspec.structs import replace

from models.events.envelope import PassedOn
from models.state.memory import united

MISSING_KEPT: Final = 64
"""Numbers waited for at most: what a worker could not read is a dead letter, and may be driven again."""


class Alias(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A client that passes on to this one. `heard` is the highest number it has passed on to us, `missing` are lower ones.

    `ended` says that it is part of this one, or paid for by it, no more; its numbers stay known.
    """

    client_id: str
    heard: int = 0
    missing: tuple[int, ...] = ()
    ended: bool = False


class Elsewhere(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Another client that has facts of this one (fingerprints, see models.state.memory); `told` counts what went there since."""

    client_id: str
    told: int = 0
    facts: bytes = b""


class Identity(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of a client that was merged: `into` which one and when; `told` counts what it ever passed on, `first` began this merge.

    Of a client that stands: `aliases` are those it consists of, `children` those it pays for, `payer` is who pays for it.
    """

    into: str = ""
    merged_ms: int = 0
    told: int = 0
    first: int = 0
    aliases: tuple[Alias, ...] = ()
    payer: str = ""
    payer_at: int = 0
    elsewhere: tuple[Elsewhere, ...] = ()
    children: tuple[Alias, ...] = ()


def parts(identity: Identity) -> tuple[str, ...]:
    """Return the names that were merged into the client."""
    return tuple(row.client_id for row in identity.aliases if not row.ended)


def without(identity: Identity, names: Collection[str]) -> Identity:
    """Return the identity of one of which clients are part no more."""
    rows = tuple(replace(row, ended=row.ended or row.client_id in names) for row in identity.aliases)
    return replace(identity, aliases=rows)


def heard(identity: Identity, came: PassedOn) -> Identity | None:
    """Return the identity that knows of what came by `came`, None where it was known before.

    What a client passes on because it was merged, and because another one has its facts, it numbers apart.
    """
    name, number = came.sender, came.number
    rows = identity.aliases if came.path else identity.children
    row = next((known for known in rows if known.client_id == name), Alias(name))
    if number <= row.heard and number not in row.missing:
        return None
    skipped = range(max(row.heard + 1, came.first), number)
    missing = tuple(sorted({*row.missing, *skipped} - {number})[-MISSING_KEPT:])
    after = replace(row, heard=max(row.heard, number), missing=missing)
    rest = (*(known for known in rows if known is not row), after)
    return replace(identity, aliases=rest) if came.path else replace(identity, children=rest)


def told_to(identity: Identity, name: str) -> int:
    """Return how many events were passed on to a client because it has facts of this one."""
    return next((row.told for row in identity.elsewhere if row.client_id == name), 0)


def with_child(identity: Identity, name: str, *, ended: bool) -> Identity:
    """Return the identity of one that pays for a client from now on, or no more."""
    row = next((known for known in identity.children if known.client_id == name), Alias(name))
    rest = (known for known in identity.children if known is not row)
    return replace(identity, children=(*rest, replace(row, ended=ended)))


def joined(one: Identity, two: Identity, name: str, other: str) -> Identity:
    """Return the identity of the client `name` with the client `other` in it: whom that consisted of, paid for, and told.

    Who pays stays who paid for `name`, unless that is part of it now.
    """
    known = {name, *parts(one)}
    rows = {row.client_id: row for row in one.aliases}
    # What `other` brings along, as number `told` + 1, may come by a detour, later than its word that it is split off again.
    is_gone = (came := rows.get(other)) is not None and came.ended and came.heard > two.told + 1
    for part in () if is_gone else dict.fromkeys((other, *parts(two))):
        if part not in known:
            rows[part] = replace(rows.get(part, Alias(part)), ended=False)
    own = {name, *(row.client_id for row in rows.values() if not row.ended)}
    children = {row.client_id: row for row in one.children}
    for row in two.children:
        if not row.ended:
            children[row.client_id] = replace(children.get(row.client_id, Alias(row.client_id)), ended=False)
    return replace(
        one,
        aliases=tuple(rows.values()),
        payer="" if one.payer in own else one.payer,
        elsewhere=_elsewhere(one, two, name),
        children=tuple(replace(row, ended=True) if row.client_id in own else row for row in children.values()),
    )


def _elsewhere(one: Identity, two: Identity, name: str) -> tuple[Elsewhere, ...]:
    """Return who has facts of either but the client itself.

    A part of it may have some on their way that it will keep, should it be split off before they arrive; else they come back.
    """
    rows = {row.client_id: row for row in one.elsewhere}
    for row in two.elsewhere:
        if row.client_id == name:
            continue
        mine = rows.get(row.client_id, Elsewhere(row.client_id))
        rows[row.client_id] = replace(mine, facts=united(mine.facts, row.facts)[0])
    return tuple(rows.values())
