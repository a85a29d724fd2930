"""What was answered about a client's invoices: whether each was still open after its grace, and after the longer limits."""

from collections.abc import Iterable
from typing import Final

import msgspec

LONGER: Final = 2
"""Limits beyond the grace about which every invoice is asked (15 and 30 days)."""


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Whether one invoice was still open when its grace had passed. `mark` is a 32-bit hash of the invoice.

    `longer` says the same of the longer limits, as far as they have passed.
    """

    mark: int
    late: bool
    longer: tuple[bool, ...] = ()


def answer_of(mark: int, days_late: int, limits: tuple[int, ...]) -> Answer:
    """Return the answer about an invoice that took `days_late` days, with regard to the grace and the longer `limits`."""
    late, *longer = [days_late > limit for limit in limits]
    return Answer(mark, late, tuple(longer))


def longer_answered(answers: tuple[Answer, ...], mark: int, *, place: int, late: bool) -> tuple[Answer, ...]:
    """Return the answers with what is known about one invoice and the longer limit in that `place`."""
    return tuple(
        [
            Answer(row.mark, row.late, (*row.longer, late)) if row.mark == mark and len(row.longer) == place else row
            for row in answers
        ]
    )


def counted(answers: Iterable[Answer]) -> list[int]:
    """Return how many were answered and how many of those were late: by the grace, then by each longer limit."""
    found = [0, 0] * (1 + LONGER)
    for row in answers:
        for place, late in enumerate((row.late, *row.longer)):
            found[2 * place] += 1
            found[2 * place + 1] += late
    return found
