"""A part that learns, as the laws see it, and what such parts are taught: a thing for every number, the same for the same."""

from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

import msgspec

from models.features import LATE_DAYS, unpack
from models.learners.calibration import Recalibration
from models.learners.expansion import Vector, expand
from models.learners.gradient import GradientLogistic
from models.learners.kalman import KalmanLinear
from models.learners.renewal_trainer import RenewalHead
from tests.models.examples import example, noise, with_features

Learner: TypeAlias = Any
"""A part: they have nothing in common but what `Part` says of each."""


def same(_: Learner) -> None:
    """A part that does not know of days."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part that learns. `learn` takes the thing of a number: the same number, the same thing.

    `state` is everything that it goes on from; `restored` brings that through the codec that the trainers write with, none where
    nothing is written down. `bound`: bytes of the state that are never exceeded; 0: it has as many as at the beginning.
    `poison` learns a number that is not finite.
    """

    name: str
    kinds: tuple[type, ...]
    begin: Callable[[], Any]
    learn: Callable[[Any, int], None]
    says: Callable[[Any], Any]
    state: Callable[[Any], Any]
    restored: Callable[[Any], Any] | None
    turn: Callable[[Any], Any] = same
    bound: int = 0
    any_order: str = ""
    """Why the order of what is learned is irrelevant; empty where it is not."""
    poison: Callable[[Any, float], None] | None = None


def is_late(number: int) -> bool:
    return noise("law", number, "late") < 0.4


def near(number: int, *about: object, reach: float = 3.0) -> float:
    return reach * (2 * noise("law", number, *about) - 1)


@cache
def raw_of(number: int) -> bytes:
    return b64decode(example(number).questions[0].features)


def features_at(number: int) -> tuple[float, ...]:
    return unpack(raw_of(number))


def wide_at(number: int) -> Vector:
    return expand(features_at(number), days=LATE_DAYS[0])


PROBES: Final = tuple(features_at(number) for number in (9_001, 9_002))


def first_at(number: int) -> tuple[float, ...]:
    return unpack(b64decode(with_features(example(number), no_outcome=1.0).questions[0].features))


def through(kind: type) -> Callable[[Any], Any]:
    """Return the way over the log of a part that is a struct inside a checkpoint."""
    return lambda part: msgspec.msgpack.decode(msgspec.msgpack.encode(part), type=kind)


def dumped(begin: Callable[[], Any], *, whole: bool = True) -> Callable[[Any], Any]:
    """Return the way over the log of a part that has `dump` and `load`; `whole`: it is dumped as one thing, not as several."""

    def restored(part: Learner) -> Learner:
        fresh = begin()
        told = part.dump()
        if whole:
            fresh.load(told)
        else:
            fresh.load(*told)
        return fresh

    return restored


def of_struct(
    name: str,
    kind: type,
    *,
    learn: Callable[[Any, int], None],
    says: Callable[[Any], Any],
    bound: int,
    also: tuple[type, ...] = (),
    any_order: str = "",
    poison: Callable[[Any, float], None] | None = None,
) -> Part:
    """Return a part that is a struct inside a checkpoint; `also`: the structs within it."""
    return Part(
        name=name,
        kinds=(kind, *also),
        begin=kind,
        learn=learn,
        says=says,
        state=msgspec.msgpack.encode,
        restored=through(kind),
        bound=bound,
        any_order=any_order,
        poison=poison,
    )


def of_dumps(
    name: str,
    kind: type,
    begin: Callable[[], Any],
    *,
    learn: Callable[[Any, int], None],
    says: Callable[[Any], Any],
    whole: bool = True,
    turn: Callable[[Any], Any] = same,
    poison: Callable[[Any, float], None] | None = None,
) -> Part:
    """Return a part of a fixed size that has `dump` and `load`; `whole` as in `dumped`."""
    return Part(
        name=name,
        kinds=(kind,),
        begin=begin,
        learn=learn,
        says=says,
        state=dump_of,
        restored=dumped(begin, whole=whole),
        turn=turn,
        poison=poison,
    )


def dump_of(part: Learner) -> Learner:
    return part.dump()


def _head_parts(part: Learner) -> tuple[Any, ...]:
    if isinstance(part, RenewalHead):
        return part.kalman, part.recalibration
    return part.kalman, part.gradient, part.recalibration, part.blend, part.leaning, part.firsts


def head_state(part: Learner) -> tuple[Any, ...]:
    extra = (part.yes,) if isinstance(part, RenewalHead) else ()
    return (*(inner.dump() for inner in _head_parts(part)), *extra)


def head_restored(begin: Callable[[], Any]) -> Callable[[Any], Any]:
    """Return the way over the log of a head, which a trainer writes part by part."""

    def restored(part: Learner) -> Learner:
        fresh = begin()
        for old, new in zip(_head_parts(part), _head_parts(fresh), strict=True):
            told = old.dump()
            if isinstance(new, KalmanLinear | GradientLogistic | Recalibration):
                new.load(*told)
            else:
                new.load(told)
        if isinstance(part, RenewalHead):
            fresh.yes = part.yes
        return fresh

    return restored


def numbers_in(said: Learner) -> Iterator[float]:
    """Yield every float in what a part says, however deep."""
    if isinstance(said, float):
        yield said
    elif isinstance(said, msgspec.Struct):
        yield from numbers_in(msgspec.structs.astuple(said))
    elif isinstance(said, dict):
        yield from numbers_in(list(said.values()))
    elif isinstance(said, list | tuple):
        for inner in said:
            yield from numbers_in(inner)


def size_of(state: Learner) -> int:
    """Return the bytes that a state takes when it is written down."""
    return len(msgspec.msgpack.encode(state))
