"""Amounts as books write them: decimal point or comma, grouped thousands, symbols, brackets for minus. Never a float."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, TypeAlias

from models.currencies import unknown_currency
from models.money import Money, exponent

Mark: TypeAlias = Literal["point", "comma"]

SYMBOLS: Final = {
    "R$": "BRL", "A$": "AUD", "C$": "CAD", "€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "zł": "PLN", "Kč": "CZK", "₹": "INR",
    "Fr.": "CHF", "₩": "KRW", "₺": "TRY", "₽": "RUB", "₪": "ILS", "₦": "NGN", "₱": "PHP", "円": "JPY",
}  # fmt: skip
_SPELLED: Final = {
    "EURO": "EUR", "EUROS": "EUR", "US DOLLAR": "USD", "US DOLLARS": "USD", "DOLLAR": "USD", "POUND": "GBP", "POUNDS": "GBP",
    "BRITISH POUND": "GBP", "POUND STERLING": "GBP", "STERLING": "GBP", "SWISS FRANC": "CHF", "SCHWEIZER FRANKEN": "CHF",
    "YEN": "JPY", "JAPANESE YEN": "JPY", "CANADIAN DOLLAR": "CAD", "AUSTRALIAN DOLLAR": "AUD", "INDIAN RUPEE": "INR",
}  # fmt: skip
_CREDIT: Final = re.compile(r"\d\s*(CR|Cr|cr|H)$")  # how accounting programs mark what is in the client's favour
_CODE: Final = re.compile(r"\b([A-Z]{3})\b")
_SCIENTIFIC: Final = re.compile(r"[+-]?\d(?:[.,]\d+)?[eE][+-]?\d{1,2}")
_NUMBER: Final = re.compile(r"[+-]?[\d.,' \u00a0\u202f’]*\d[\d.,' \u00a0\u202f’]*")  # noqa: RUF001 (the apostrophe that Swiss books group with)
_GROUPING: Final = re.compile(r"[' \u00a0\u202f’]")  # noqa: RUF001 (likewise)
_BELOW: Final = re.compile(r"[^\d]*[-\u2212(].*\d.*|.*\d[^\d]*[-\u2212][^\d]*")
_NOISE: Final = Decimal(
    "0.0001"
)  # of a minor unit: what binary floats leave behind when a program writes 103.53 as 103.53000000000003
_LARGEST: Final = Decimal(10) ** 17  # minor units: sums of many still fit 64 bits
_GROUP: Final = 3  # digits between grouping marks


@dataclass(slots=True)
class MarkEvidence:
    """What a file has shown about its decimal mark; `doubtful` is an example that fits both."""

    point: int = 0
    comma: int = 0
    doubtful: str | None = None

    def see(self, text: str) -> None:
        """Take one cell into account; whole numbers and blanks say nothing."""
        digits = _GROUPING.sub("", text)
        points, commas = digits.count("."), digits.count(",")
        if points and commas:
            self._count("point" if digits.rfind(".") > digits.rfind(",") else "comma")
        elif points > 1 or commas > 1:
            self._count("comma" if points > 1 else "point")
        elif points or commas:
            used: Mark = "point" if points else "comma"
            tail = re.search(r"[.,](\d*)", digits)
            if tail is not None and len(tail[1]) != _GROUP:
                self._count(used)
            elif self.doubtful is None:
                self.doubtful = text.strip()

    def _count(self, mark: Mark) -> None:
        if mark == "point":
            self.point += 1
        else:
            self.comma += 1

    @property
    def mark(self) -> Mark | None:
        """The mark that every decisive cell agrees with; none without evidence or with contradicting evidence."""
        if self.point and not self.comma:
            return "point"
        if self.comma and not self.point:
            return "comma"
        return None


def currency_named(text: str) -> str:
    """Return the currency that a cell of its own names, by code, symbol or word; what it says, where that is none of these."""
    named = text.upper()
    return _SPELLED.get(named) or currency_in(named) or named


def currency_in(text: str) -> str | None:
    """Return the currency that an amount names by code or symbol, if any."""
    if code := _CODE.search(text):
        return code[1]
    return next((code for symbol, code in SYMBOLS.items() if symbol in text), None)


def is_below_zero(text: str) -> bool:
    """Say whether a cell writes an amount below zero: with a minus before or behind it, in brackets, or marked as credit."""
    return bool(_BELOW.fullmatch(text.strip()) or _CREDIT.search(text.strip()))


def read_amount(text: str, *, currency: str, mark: Mark, rounded: bool = False) -> Money | None:
    """Read one cell in `currency`; none when blank. Raise ValueError with a reason for people.

    Digits beyond the currency's minor unit are refused, save the noise of binary floats; `rounded` rounds them.
    """
    text = text.strip()
    if not text:
        return None
    if _SCIENTIFIC.fullmatch(text):
        return _exact(Decimal(text.replace(",", ".")), text=text, currency=currency, rounded=rounded)
    number = _NUMBER.search(text)
    if number is None:
        message = f"{text!r} is not an amount"
        raise ValueError(message)
    named = currency_in(text)
    if named is not None and named != currency:
        message = f"{text!r} names {named}, but the row is in {currency}"
        raise ValueError(message)
    digits = _GROUPING.sub("", number[0])
    grouping, decimal = (",", ".") if mark == "point" else (".", ",")
    try:
        value = Decimal(digits.replace(grouping, "").replace(decimal, "."))
    except InvalidOperation as error:
        message = f"{text!r} is not an amount"
        raise ValueError(message) from error
    rest = text.replace(number[0], "", 1)
    if (text.startswith("(") and text.endswith(")")) or re.search(r"[-\u2212]", rest) or _CREDIT.search(text):
        value = -abs(value)
    return _exact(value, text=text, currency=currency, rounded=rounded)


def _exact(value: Decimal, *, text: str, currency: str, rounded: bool) -> Money:
    if (objection := unknown_currency(currency)) is not None:
        raise ValueError(objection)
    minor = value.scaleb(exponent(currency))
    if abs(minor) >= _LARGEST:
        message = f"{text!r} is larger than any amount we keep"
        raise ValueError(message)
    whole = minor.to_integral_value()
    if abs(minor - whole) > _NOISE and not rounded:
        message = f"{text!r} has more decimals than {currency} has ({exponent(currency)})"
        raise ValueError(message)
    return Money(int(whole), currency)
