"""What a person agreed in a task: days and amounts for one invoice. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from models.money import Money
from streams.runtime.errors import UsageError

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
        day, amount, currency = text.split()
        return date.fromisoformat(day), Money.parse(amount, currency)
    except ValueError as error:
        message = f"{text!r} is no instalment ({error}); write a day, an amount and a currency: {_EXAMPLE}"
        raise UsageError(message) from error
