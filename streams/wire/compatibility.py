"""Would a reader of the new schema still understand what writers of the old one send? Compares two JSON Schemas."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias, cast

Schema: TypeAlias = Mapping[str, object]

_NOTHING: Final[Schema] = {}
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Return in words what was valid under `old` and is not under `new`; an empty list is a compatible change.

    Adding an optional field, widening a limit or an enumeration and accepting one more type are compatible. Removing,
    renaming, retyping or tightening a field, and requiring one that was optional, are not.
    """
    return list(_compare(old, new, (old, new), at=""))


def _compare(old: Schema, new: Schema, roots: tuple[Schema, Schema], *, at: str) -> Iterator[str]:
    theirs, ours = _variants(old, roots[0]), _variants(new, roots[1])
    if len(theirs) == len(ours) == 1:
        yield from _same_kind(theirs[0], ours[0], roots, at=at)
        return
    for variant in theirs:
        likely = [list(_same_kind(variant, candidate, roots, at=at)) for candidate in ours]
        if likely and all(likely):
            yield min(likely, key=len)[0]


def _same_kind(old: Schema, new: Schema, roots: tuple[Schema, Schema], *, at: str) -> Iterator[str]:
    where = at or "the event"
    if (old.get("type"), old.get("format")) != (new.get("type"), new.get("format")):
        yield f"{where}: was {_kind(old)}, is {_kind(new)}"
        return
    lost = sorted(str(value) for value in _values(old) - _values(new)) if _values(new) else []
    if lost or (_values(new) and not _values(old)):
        yield f"{where}: no longer accepts {', '.join(lost) or 'any value'}"
    yield from _limits(old, new, where=where)
    if old.get("type") == "object":
        yield from _fields(old, new, roots, at=at)
    if old.get("type") == "array":
        yield from _compare(_inner(old, "items"), _inner(new, "items"), roots, at=f"{at}[]")


def _fields(old: Schema, new: Schema, roots: tuple[Schema, Schema], *, at: str) -> Iterator[str]:
    theirs, ours = _inner(old, "properties"), _inner(new, "properties")
    for name in theirs:
        path = f"{at}.{name}" if at else name
        if name in ours:
            yield from _compare(_inner(theirs, name), _inner(ours, name), roots, at=path)
        elif new.get("additionalProperties") is False:
            yield f"{path}: was removed or renamed"
    for name in sorted(_names(new) - _names(old)):
        yield f"{f'{at}.' if at else ''}{name}: is required, and was not"


def _limits(old: Schema, new: Schema, *, where: str) -> Iterator[str]:
    for name, sign in (*((name, 1) for name in _UPPER), *((name, -1) for name in _LOWER)):
        was, now = old.get(name), new.get(name)
        if isinstance(now, int | float) and (not isinstance(was, int | float) or sign * now < sign * was):
            yield f"{where}: {name} is {now:g}, was {'unlimited' if was is None else f'{was:g}'}"
    if new.get("pattern") is not None and new.get("pattern") != old.get("pattern"):
        yield f"{where}: pattern is {new['pattern']}, was {old.get('pattern', 'free')}"


def _variants(schema: Schema, root: Schema) -> list[Schema]:
    resolved = _resolve(schema, root)
    for name in ("anyOf", "oneOf"):
        choices = resolved.get(name)
        if isinstance(choices, list):
            return [variant for choice in choices for variant in _variants(choice, root)]
    return [resolved]


def _resolve(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    return _resolve(_inner(_inner(root, "$defs"), reference.rpartition("/")[2]), root)


def _inner(schema: Schema, name: str) -> Schema:
    value = schema.get(name)
    return cast("Schema", value) if isinstance(value, dict) else _NOTHING


def _values(schema: Schema) -> frozenset[object]:
    listed = schema.get("enum")
    if isinstance(listed, list):
        return frozenset(listed)
    return frozenset({schema["const"]}) if "const" in schema else frozenset()


def _names(schema: Schema) -> set[str]:
    listed = schema.get("required")
    return set(listed) if isinstance(listed, list) else set()


def _kind(schema: Schema) -> str:
    said = schema.get("format") or schema.get("type")
    return str(said) if said else "anything"
