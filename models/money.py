"""Money as integer minor units and an ISO 4217 code. Currencies never mix, floats never enter."""

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from pydantic import ConfigDict, Field

from models.currencies import EXPONENTS, unknown_currency

_DECIMAL = re.compile(r"(?P<sign>[+-]?)(?P<whole>\d+)(?:\.(?P<fraction>\d+))?")
_MOST = 2**63
_CODE = re.compile(r"[A-Z]{3}")


class CurrencyMismatchError(TypeError):
    """Two amounts in different currencies were added, subtracted or compared."""


def exponent(currency: str) -> int:
    """Return how many decimal digits the minor unit of `currency` has."""
    return EXPONENTS.get(currency, 2)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount: `minor` units of `currency` (`Money(1999, "EUR")` is €19.99, `Money(500, "JPY")` is ¥500)."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")  # as all contracts are; what holds Money passes it on only in part

    minor: Annotated[int, Field(strict=True, ge=-_MOST, lt=_MOST)]
    currency: str

    def __post_init__(self) -> None:
        """Refuse codes that are not three capital letters."""
        if not _CODE.fullmatch(self.currency):
            message = f"currency must be an ISO 4217 code such as EUR, got {self.currency!r}"
            raise ValueError(message)

    @classmethod
    def parse(cls, text: str, currency: str) -> Self:
        """Read a plain decimal such as `"1234.5"`; more digits than the currency has is an error, never rounded."""
        match = _DECIMAL.fullmatch(text.strip())
        if match is None:
            message = f"amount must be a plain decimal such as 1234.50, got {text!r}"
            raise ValueError(message)
        digits = exponent(currency)
        fraction = (match["fraction"] or "").rstrip("0")
        if len(fraction) > digits:
            message = f"{text!r} has more decimals than {currency} has ({digits})"
            raise ValueError(message)
        minor = int(match["whole"] + fraction.ljust(digits, "0"))
        if minor >= _MOST:
            message = f"{text!r} is more than any amount is"
            raise ValueError(message)
        return cls(-minor if match["sign"] == "-" else minor, currency)

    @classmethod
    def read(cls, text: str) -> Self:
        """Read an amount with its currency, such as `"400.00 EUR"`. ValueError for anything else, and for what is not above 0."""
        amount, _, currency = " ".join(text.split()).partition(" ")
        if (objection := unknown_currency(currency)) is not None:
            raise ValueError(objection)
        found = cls.parse(amount, currency)
        if found.minor <= 0:
            message = f"{found} is not more than nothing"
            raise ValueError(message)
        return found

    def __add__(self, other: Self) -> Self:
        """Add two amounts of one currency."""
        self._same(other)
        return type(self)(self.minor + other.minor, self.currency)

    def __sub__(self, other: Self) -> Self:
        """Subtract two amounts of one currency."""
        self._same(other)
        return type(self)(self.minor - other.minor, self.currency)

    def __str__(self) -> str:
        """Return the exact decimal and the code: `1234.50 EUR`."""
        digits = exponent(self.currency)
        sign, minor = ("-", -self.minor) if self.minor < 0 else ("", self.minor)
        if digits == 0:
            return f"{sign}{minor} {self.currency}"
        whole, fraction = divmod(minor, 10**digits)
        return f"{sign}{whole}.{fraction:0{digits}d} {self.currency}"

    def _same(self, other: Self) -> None:
        if self.currency != other.currency:
            message = f"cannot combine {self.currency} with {other.currency}: convert only in reports, with a dated rate"
            raise CurrencyMismatchError(message)
