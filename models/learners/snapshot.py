"""Bytes of learners: an explicit, checksummed, versioned form. Never pickle; nothing in it can run.

Two things are written in it: `LatenessWeights`, what a worker needs to score (published and activated through the log), and
`Checkpoint`, what the trainer needs to go on learning exactly where it stood.
"""

import struct
from hashlib import blake2b
from importlib.metadata import version
from math import isfinite
from typing import Final, TypeVar

import msgspec

from models.features import LATE_DAYS, TABLE
from models.firm_view import NEW_FIRM
from models.learners.forest import Forest, opened

FORMAT: Final = 6
"""2: with trees beside the lines; what was written in 1 had none and is read as such. 3: trees of five questions, not three.

4: with trees of their own for first invoices. 5: checkpoints alone, whose windows may hold coarse rows; releases that wrote it
read weights of it too. 6: days late have questions of their own; a worker that knows 5 would put their leaves on the wrong ones.
"""

_READ: Final = tuple(range(1, FORMAT + 1))
SIZE_LIMIT: Final = 64 * 1024
"""Most bytes of published weights: they travel through the log and are read by every worker."""

CHECKPOINT_LIMIT: Final = 8 * 1024 * 1024
"""Most bytes of a trainer's checkpoint, which only the trainer reads."""

_MAGIC: Final = b"RPL"
_SUM: Final = 16
_LIBRARIES: Final = ("numpy", "river", "scipy")


class SnapshotError(ValueError):
    """The bytes are no learner this release can use; the message says why and what to do."""


class Line(msgspec.Struct, frozen=True, array_like=True):
    """One scoring line: intercept, a slope per feature, a weight per bin (of each cut, in order). `seen`: examples learned.

    The trees of its landmark are added `trees` times; the rest of their share is in the line already.
    """

    landmark: int
    days: int
    seen: int
    intercept: float
    slopes: tuple[float, ...]
    bins: tuple[tuple[float, ...], ...]
    trees: float = 0.0


class Range(msgspec.Struct, frozen=True, array_like=True):
    """The line for the days late at one landmark, and for each group of clients the quantiles of its error in units of scale."""

    line: Line
    quantiles: tuple[tuple[float, ...], ...]


class FirmFigures(msgspec.Struct, frozen=True, array_like=True):
    """`models.firm_view.FirmView` as it is written down."""

    late_share: float
    recent_share: float
    mean_days: float
    log_amount: float
    log_amount_spread: float
    settled: float
    survival: tuple[float, ...]
    first_day: int
    late_beyond: tuple[float, ...] = NEW_FIRM.late_beyond


class FirstInvoices(msgspec.Struct, frozen=True, array_like=True):
    """The trees that are heard about first invoices, at issue, and their share in each meaning of "late"."""

    forest: Forest
    shares: tuple[float, ...]


class LatenessWeights(msgspec.Struct, frozen=True, array_like=True):
    """Everything a worker needs to answer questions about lateness. `version` names it in every decision."""

    version: str
    trained_ms: int
    learned: int
    trust: float
    lines: tuple[Line, ...]
    ranges: tuple[Range, ...]
    firm: FirmFigures
    forests: tuple[Forest, ...] = ()
    firsts: FirstInvoices | None = None


class HeadState(msgspec.Struct, frozen=True, array_like=True):
    """A head's learners with all they need to go on."""

    landmark: int
    days: int
    kalman: tuple[bytes, bytes, int]
    gradient: tuple[bytes, int]
    recalibration: tuple[bytes, bytes, int, float, float]
    blend: tuple[float, ...] = ()
    leaning: tuple[float, ...] = ()
    firsts: tuple[float, ...] = ()


class DaysState(msgspec.Struct, frozen=True, array_like=True):
    """The days learner of one landmark."""

    landmark: int
    learner: tuple[bytes, bytes, int, float, bytes]


class TreesState(msgspec.Struct, frozen=True, array_like=True):
    """The trees of one landmark with the window they are grown from."""

    landmark: int
    learner: tuple[bytes, int, int, Forest | None]


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """A trainer at one position of the log of examples; `day` is the day whose examples are still being collected."""

    position: int
    learned: int
    day: int
    trained_ms: int
    heads: tuple[HeadState, ...]
    days: tuple[DaysState, ...]
    tally: bytes
    watch: bytes
    judged: bytes = b""
    cohorts: bytes = b""
    trees: tuple[TreesState, ...] = ()
    firsts: TreesState | None = None


T = TypeVar("T", LatenessWeights, Checkpoint)
S = TypeVar("S", bound=msgspec.Struct)


class _Envelope(msgspec.Struct, array_like=True):
    kind: str
    schema: str
    libraries: dict[str, str]
    body: bytes


def dump(value: LatenessWeights | Checkpoint) -> bytes:
    """Return the bytes of published weights or a checkpoint. Raises SnapshotError when they are too large or not finite."""
    if isinstance(value, LatenessWeights):
        guard(value)
        return seal(value, schema=TABLE, limit=SIZE_LIMIT)
    return seal(value, schema=TABLE, limit=CHECKPOINT_LIMIT)


def seal(value: msgspec.Struct, *, schema: str, limit: int) -> bytes:
    """Return the bytes of one struct of a learner with the feature table `schema`. Raises SnapshotError beyond `limit` bytes."""
    envelope = _Envelope(type(value).__name__, schema, libraries_here(), msgspec.msgpack.encode(value))
    content = bytes([FORMAT]) + msgspec.msgpack.encode(envelope)
    raw = _MAGIC + blake2b(content, digest_size=_SUM).digest() + content
    if len(raw) > limit:
        message = f"a snapshot of {len(raw):,} bytes exceeds {limit:,}: learn fewer heads, or raise the limit on purpose"
        raise SnapshotError(message)
    return raw


def load(raw: bytes, kind: type[T]) -> T:
    """Return what `dump` wrote. Raises SnapshotError for damage, another format, kind or feature table, or wild numbers."""
    value = unseal(raw, kind, schema=TABLE)
    if isinstance(value, LatenessWeights):
        guard(value)
    return value


def unseal(raw: bytes, kind: type[S], *, schema: str) -> S:
    """Return what `seal` wrote. Raises SnapshotError for damage, another format, kind or feature table."""
    envelope = _opened(raw)
    if envelope.kind != kind.__name__:
        message = f"the snapshot holds {envelope.kind}, not {kind.__name__}"
        raise SnapshotError(message)
    if envelope.schema != schema:
        message = (
            f"the snapshot was made from the feature table {envelope.schema}, this release has {schema}: "
            "retrain from the examples, or roll back to the release that wrote it"
        )
        raise SnapshotError(message)
    return _decoded(envelope.body, kind)


def libraries_here() -> dict[str, str]:
    """Return names and versions of the libraries with whose numbers learners calculate, as they are installed here."""
    return {name: version(name) for name in _LIBRARIES}


def libraries_of(raw: bytes) -> dict[str, str]:
    """Return names and versions of the libraries with which a snapshot was written. Raises SnapshotError where it is damaged."""
    return _opened(raw).libraries


def _opened(raw: bytes) -> _Envelope:
    head, content = raw[: len(_MAGIC) + _SUM], raw[len(_MAGIC) + _SUM :]
    if head[: len(_MAGIC)] != _MAGIC or head[len(_MAGIC) :] != blake2b(content, digest_size=_SUM).digest():
        message = "the snapshot is damaged (checksum): publish it again from the trainer's checkpoint"
        raise SnapshotError(message)
    if not content or content[0] not in _READ:
        message = f"the snapshot has format {content[:1].hex()}, this release reads {_READ}: run the release that wrote it"
        raise SnapshotError(message)
    return _decoded(memoryview(content)[1:], _Envelope)


def _decoded(raw: bytes | memoryview, kind: type[S]) -> S:
    try:
        return msgspec.msgpack.decode(raw, type=kind)
    except msgspec.MsgspecError as error:
        message = f"the snapshot cannot be read ({error}): publish it again"
        raise SnapshotError(message) from error


def guard(weights: LatenessWeights) -> None:
    """Refuse weights with a number that is not finite: one of them would poison every score."""
    for line in (*weights.lines, *(row.line for row in weights.ranges)):
        numbers = [line.intercept, line.trees, *line.slopes, *(weight for cut in line.bins for weight in cut)]
        if not all(map(isfinite, numbers)):
            message = f"the line for landmark {line.landmark}, {line.days} days holds a number that is not finite"
            raise SnapshotError(message)
    for forest in weights.forests:
        _guard_trees(forest)
    if weights.firsts is not None:
        _guard_trees(weights.firsts.forest)
        if len(weights.firsts.shares) != len(LATE_DAYS) or not all(0 <= share <= 1 for share in weights.firsts.shares):
            message = f"the trees of first invoices have the shares {weights.firsts.shares}: publish them again"
            raise SnapshotError(message)


def _guard_trees(forest: Forest) -> None:
    try:
        meanings = opened(forest)
    except (ValueError, struct.error) as error:
        message = f"the trees for landmark {forest.landmark} cannot be read ({error}): publish them again"
        raise SnapshotError(message) from error
    leaves = [leaf for trees in meanings for leaf in trees.leaves]
    if not all(map(isfinite, (*forest.intercepts, *leaves))):
        message = f"the trees for landmark {forest.landmark} hold a number that is not finite"
        raise SnapshotError(message)
