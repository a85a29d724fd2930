"""A book of clients of known kinds, deterministic: prompt, slow and bad payers, some of whom change their ways once."""

from datetime import date, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Final

KINDS: Final = {"reliable": (-4, 3), "slow": (4, 22), "problem": (25, 80)}
"""Days after due between which a kind pays."""

_FIRST: Final = date(2023, 1, 2)


def dice(*parts: object) -> float:
    """Return a number in [0, 1) that depends on its arguments alone."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=6).digest(), "big") / 2**48


def kind_of(client: int, month: int, *, months: int) -> str:
    """Return how a client pays in a month: every tenth turns from prompt to slow at half time."""
    first = "reliable" if client % 10 < 6 else "slow" if client % 10 < 9 else "problem"
    return "slow" if client % 10 == 0 and month >= months // 2 else first


def write_book(path: Path, *, clients: int, months: int, columns: str = "client,invoice,issued,due,settled date,amount") -> Path:
    """Write one invoice a client and month as CSV; what would be paid after the last month is blank."""
    end = _FIRST + timedelta(days=30 * months)
    lines = [columns]
    for client in range(clients):
        for month in range(months):
            issued = _FIRST + timedelta(days=30 * month + client % 28)
            due = issued + timedelta(days=14)
            low, high = KINDS[kind_of(client, month, months=months)]
            paid = due + timedelta(days=low + round((high - low) * dice(client, month)))
            amount = round(100 + 900 * dice("amount", client, month), 2)
            lines.append(f"C{client:03},I{client:03}-{month:02},{issued},{due},{paid if paid < end else ''},{amount}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
