"""What a person agreed or was told in a task: days and amounts for one invoice, which of them a word is about. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from models.events.delays import DisputeReason
from models.money import Money
from streams.runtime.errors import UsageError


@dataclass(frozen=True, slots=True)
class Matter:
    """What a promise or a dispute is about: one invoice of the task or, `invoice_id` empty, all of them; a part; of what kind."""

    invoice_id: str = ""
    amount: Money | None = None
    reason: DisputeReason | None = None

    def invoices_of(self, named: Sequence[str]) -> tuple[str | None, ...]:
        """Return the invoices that are meant where the task names `named`; None: everything. Raises UsageError."""
        if self.invoice_id and named and self.invoice_id not in named:
            message = f"the task is not about {self.invoice_id!r} but about {', '.join(named)}"
            raise UsageError(message)
        meant = (self.invoice_id,) if self.invoice_id else tuple(named)
        if self.amount is not None and len(meant) != 1:
            message = f"a part is a part of one invoice; say which: --invoice {named[0] if named else 'INV-1'}"
            raise UsageError(message)
        return meant or (None,)


def read_matter(invoice_id: str, amount: str, reason: DisputeReason | None) -> Matter:
    """Return what a promise or a dispute is about, `amount` as `400.00 EUR` or empty. Raises UsageError."""
    try:
        part = Money.read(amount) if amount else None
    except ValueError as error:
        message = f'{amount!r} is no amount ({error}); write it with its currency: --amount "400.00 EUR"'
        raise UsageError(message) from error
    return Matter(invoice_id, part, reason)


_EXAMPLE: Final = '--instalment "2026-03-20 400.00 EUR"'


@dataclass(frozen=True, slots=True)
class AgreedPlan:
    """Instalments for `invoice_id`, in the order of their days; empty: the one invoice that the task names."""

    instalments: tuple[tuple[date, Money], ...]
    invoice_id: str = ""

    def invoice_of(self, named: Sequence[str]) -> str:
        """Return the invoice that is meant where the task names `named`. Raises UsageError when that is not one."""
        known = self.invoice_id or (named[0] if len(named) == 1 else "")
        if not known:
            message = f"a plan is about one invoice; say which: --invoice {named[0] if named else 'INV-1'}"
            raise UsageError(message)
        return known


def read_plan(instalments: Sequence[str], invoice_id: str) -> AgreedPlan | None:
    """Return the plan that `2026-03-20 400.00 EUR` and its like describe, None without any. Raises UsageError."""
    if not instalments:
        return None
    return AgreedPlan(tuple(sorted(map(_instalment, instalments), key=lambda row: row[0])), invoice_id)


def _instalment(text: str) -> tuple[date, Money]:
    try:
        day, _, amount = text.strip().partition(" ")
        return date.fromisoformat(day), Money.read(amount)
    except ValueError as error:
        message = f"{text!r} is no instalment ({error}); write a day, an amount and a currency: {_EXAMPLE}"
        raise UsageError(message) from error
