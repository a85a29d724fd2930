"""A short cut for reading events in the plain form in which we write them ourselves, made from the contracts.

It vouches for what it returns: the contract would have read the same. For everything else - what a contract refuses, but also
what it reads by bending a little, such as a moment in another zone or a number in quotes - it returns nothing, and the
contract judges and explains. So what is accepted and refused is the contracts' matter alone; laws hold both against each other.
"""

import re
from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin

import msgspec
from pydantic import AwareDatetime
from pydantic.fields import FieldInfo

from models.events.control import ClockTicked
from models.events.envelope import ClientEvent, Envelope, Instant, PositiveMoney
from models.events.union import EVENT_KINDS, AnyLogEvent
from models.money import Money

_FINE: Final = re.compile(rb"\.\d{7}")  # a finer time than microseconds: one reader rounds it, the other cuts it off
_LARGEST_MINOR: Final = 2**63 - 1
_KNOWN: Final = frozenset({"ge", "le", "min_length", "max_length", "strip_whitespace"})
_IN_UTC: Final[object] = get_args(Instant)[1]
_POSITIVE: Final[object] = get_args(PositiveMoney)[1]


class _Field(msgspec.Struct, frozen=True):
    """How one field is read: its type, and what has to be looked at afterwards."""

    type: Any
    strip: bool = False
    moment: bool = False
    money: bool = False


class _Plan(msgspec.Struct, frozen=True):
    """How events of one contract are read."""

    contract: type[Envelope]
    blank: Mapping[str, object]  # every field in the contract's order, at its default
    names: set[str]  # shared by all events of the contract; a copy of an event copies it
    strip: tuple[str, ...]
    moments: tuple[str, ...]
    money: tuple[str, ...]


def _field(annotation: object, metadata: list[Any]) -> _Field | None:
    """Return how a field is read that was declared so, or none where only its contract can."""
    origin = get_origin(annotation)
    if origin in {Union, UnionType}:
        inner = [member for member in get_args(annotation) if member is not NoneType]
        found = _field(inner[0], metadata) if len(inner) == 1 else None
        return None if found is None else msgspec.structs.replace(found, type=found.type | None)
    if origin is Annotated:
        base, *more = get_args(annotation)
        return _field(base, [*metadata, *more])
    rules = [rule for said in metadata for rule in (said.metadata if isinstance(said, FieldInfo) else [said])]
    return _single(annotation, rules)


def _single(annotation: object, rules: list[Any]) -> _Field | None:
    if annotation is AwareDatetime:
        return _Field(Annotated[datetime, msgspec.Meta(tz=True)], moment=True) if rules == [_IN_UTC] else None
    if annotation is Money:
        return _Field(Money, money=True) if rules == [_POSITIVE] else None
    bounds = _bounds(rules)
    if annotation in {str, int} and bounds is not None:
        strip = bool(bounds.pop("strip_whitespace", None))
        return _Field(Annotated[annotation, msgspec.Meta(**bounds)], strip=strip)
    plain = (
        annotation is bool or get_origin(annotation) is Literal or (isinstance(annotation, type) and issubclass(annotation, Enum))
    )
    return _Field(annotation) if plain and not rules else None


def _bounds(rules: list[Any]) -> dict[str, Any] | None:
    """Return what `rules` demand together by name; none where one demands what this reader does not know."""
    bounds: dict[str, Any] = {}
    for rule in rules:
        if not is_dataclass(rule):
            return None
        bounds |= {field.name: said for field in dataclass_fields(rule) if (said := getattr(rule, field.name)) is not None}
    return bounds if bounds.keys() <= _KNOWN else None


def _reader(contract: type[Envelope]) -> tuple[type[msgspec.Struct], _Plan] | None:
    """Return the struct and the plan for a contract; none for one that has rules over several fields."""
    rules = contract.__pydantic_decorators__
    if rules.model_validators or rules.field_validators or rules.root_validators or rules.validators:
        return None
    found: dict[str, _Field] = {}
    for name, info in contract.model_fields.items():
        field = None if name == "kind" else _field(info.annotation, list(info.metadata))
        if field is not None:
            found[name] = field
        elif info.is_required():
            return None
    blank = {name: None if info.is_required() else info.default for name, info in contract.model_fields.items()}
    declared = [
        (name, field.type) if contract.model_fields[name].is_required() else (name, field.type, blank[name])
        for name, field in found.items()
    ]
    struct = msgspec.defstruct(
        contract.__name__, declared, tag_field="kind", tag=str(blank["kind"]), forbid_unknown_fields=True, kw_only=True, gc=False
    )
    return struct, _Plan(
        contract=contract,
        blank=blank,
        names=set(contract.model_fields),
        strip=tuple(name for name, field in found.items() if field.strip),
        moments=tuple(name for name, field in found.items() if field.moment),
        money=tuple(name for name, field in found.items() if field.money),
    )


def _readers() -> dict[type[msgspec.Struct], _Plan]:
    frequent = [contract for contract in EVENT_KINDS.values() if issubclass(contract, ClientEvent | ClockTicked)]
    return dict(made for contract in frequent if (made := _reader(contract)) is not None)


_PLANS: Final = MappingProxyType(_readers())
_DECODER: Final = msgspec.json.Decoder(Union[tuple(_PLANS)])  # noqa: UP007 - made of a tuple

PLAIN_KINDS: Final = frozenset(str(plan.blank["kind"]) for plan in _PLANS.values())
"""The kinds that have a short cut."""


def read_plain(value: bytes) -> AnyLogEvent | None:
    """Return the event in `value` if this reader vouches for it, else none."""
    try:
        found = _DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # the last: nested thousands deep
        return None
    plan = _PLANS[type(found)]
    fields = {**plan.blank, **msgspec.structs.asdict(found)}
    escaped = b"\\" in value
    if (escaped or b" " in value or not value.isascii()) and any(
        text and text != text.strip() for text in map(fields.__getitem__, plan.strip)
    ):
        return None
    for name in plan.moments:
        moment = fields[name]
        if moment is not None and moment.tzinfo is not UTC:
            return None
    for name in plan.money:
        money = fields[name]
        if money is not None and not 0 < money.minor <= _LARGEST_MINOR:
            return None
    if (escaped or value.count(b".") > 1) and _FINE.search(value) is not None:  # one dot is in the kind
        return None
    return _made(plan, fields)


def _made(plan: _Plan, fields: dict[str, object]) -> AnyLogEvent:
    """Return an event that holds `fields`, without checking them again."""
    made = plan.contract.__new__(plan.contract)
    set_field = object.__setattr__  # contracts are frozen
    set_field(made, "__dict__", fields)
    set_field(made, "__pydantic_fields_set__", plan.names)
    set_field(made, "__pydantic_extra__", None)
    set_field(made, "__pydantic_private__", None)
    return cast("AnyLogEvent", made)
