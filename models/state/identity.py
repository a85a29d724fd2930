"""Who else a client is: the names that were merged into it, or the one that it was merged into."""

from typing import Final

import msgspec

from models.events.envelope import PassedOn

MISSING_KEPT: Final = 64
"""Numbers waited for at most: what a worker could not read is a dead letter, and may be driven again."""


class Alias(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A client that is part of this one now. `heard` is the highest number it has passed on to us, `missing` are lower ones."""

    client_id: str
    heard: int = 0
    missing: tuple[int, ...] = ()


class Identity(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of a client that was merged: `into` which one and when; `told` counts what it ever passed on, `first` began this merge.

    Of a client that stands: `aliases` are those it consists of.
    """

    into: str = ""
    merged_ms: int = 0
    told: int = 0
    first: int = 0
    aliases: tuple[Alias, ...] = ()


def heard(identity: Identity, came: PassedOn) -> Identity | None:
    """Return the identity that knows of what came by `came`, None where it was known before."""
    name, number = came.path[-1], came.number
    row = next((known for known in identity.aliases if known.client_id == name), Alias(name))
    if number <= row.heard and number not in row.missing:
        return None
    skipped = range(max(row.heard + 1, came.first), number)
    missing = tuple(sorted({*row.missing, *skipped} - {number})[-MISSING_KEPT:])
    after = Alias(name, max(row.heard, number), missing)
    return msgspec.structs.replace(identity, aliases=(*(known for known in identity.aliases if known is not row), after))
