"""What became of a client's promises to pay: kept, broken, or nothing that counts any more."""

from typing import Final

import msgspec

WORDS: Final = 12
"""Promises that are remembered: the latest to be judged."""

_DRAWN: Final = 2.0  # toward nothing, in promises: one says little


class Word(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How one promise ended. `mark` is a 32-bit hash of it, `kept` what was found when its day had passed.

    `says` is what that counts for by now: 1 kept, -1 broken, 0 nothing (withdrawn, made anew, its invoice voided).
    """

    mark: int
    kept: bool
    says: int


def with_word(words: tuple[Word, ...], mark: int, *, kept: bool) -> tuple[Word, ...]:
    """Remember how a promise ended; a newer word on the same promise replaces the older."""
    rest = [row for row in words if row.mark != mark]
    return (*rest, Word(mark, kept, 1 if kept else -1))[-WORDS:]


def united(one: tuple[Word, ...], two: tuple[Word, ...]) -> tuple[Word, ...]:
    """Return the words of two clients who turned out to be one; those of `two` count as the earlier ones."""
    known = {row.mark for row in one}
    return (*(row for row in two if row.mark not in known), *one)[-WORDS:]


def counted(words: tuple[Word, ...]) -> tuple[int, int]:
    """Return how many promises were kept, and how many were kept or broken."""
    said = [row.says for row in words if row.says]
    return said.count(1), len(said)


def trust(words: tuple[Word, ...]) -> float:
    """Return the share of promises kept less the share broken, drawn to 0 by two promises; within 1 of 0."""
    kept, known = counted(words)
    return (2 * kept - known) / (known + _DRAWN)
