"""Older versions of the contracts, lifted to the present one. Readers accept the present version and the one before it.

To change a contract incompatibly: raise `schema_version` in its class, add a function for (kind, old version) to `UPCASTS`, keep
the old example and schema. The function gets the fields of the old version and returns those of the next.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from models.events.envelope import Envelope

Fields: TypeAlias = Mapping[str, object]
Upcast: TypeAlias = Callable[[Fields], Fields]

ACCEPTED_VERSIONS_BACK: Final = 1

UPCASTS: Final[Mapping[tuple[str, int], Upcast]] = MappingProxyType({})
"""(kind, version) to the function that lifts it to the next version. None yet: every contract is at its first."""


class UnknownVersionError(ValueError):
    """The version is newer than ours, or too old."""


def version_of(contract: type[Envelope]) -> int:
    """Return the present schema version of a contract."""
    return int(contract.model_fields["schema_version"].default)


def upcast(fields: Fields, *, kind: str, current: int, upcasts: Mapping[tuple[str, int], Upcast] = UPCASTS) -> Fields:
    """Return `fields` of `kind` in version `current`; raises UnknownVersionError when no way leads there.

    A missing `schema_version` is the present one.
    """
    version = fields.get("schema_version", current)
    if not isinstance(version, int) or isinstance(version, bool):
        message = "schema_version must be an integer"
        raise UnknownVersionError(message)
    if version == current:
        return fields
    lift = upcasts.get((kind, version))
    if version != current - ACCEPTED_VERSIONS_BACK or lift is None:
        message = f"{kind} version {version} cannot be read: this is version {current}"
        raise UnknownVersionError(message)
    return {**lift(fields), "schema_version": current}
