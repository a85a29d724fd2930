"""The list of currencies, held against that of CLDR, which other people keep."""

import pytest
from babel.core import get_global

from models.currencies import CURRENCIES, EXPONENTS
from models.money import Money

NO_MINOR_UNIT = {"XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"}
NOT_ISO = {"CNH"}
IN_THE_STANDARD_STILL = {"SVC"}  # El Salvador pays in dollars since 2001


def test_every_currency_that_circulates_is_known_and_nothing_else_but_what_was_withdrawn_lately() -> None:
    tenders = [row for rows in get_global("territory_currencies").values() for row in rows]
    now = {code for code, _, end, _ in tenders if end is None} - NO_MINOR_UNIT - NOT_ISO
    assert now <= CURRENCIES
    ended = CURRENCIES - now - IN_THE_STANDARD_STILL
    assert {code for code, _, end, _ in tenders if code in ended and end is not None and end[0] >= 2010} == ended
    assert not NO_MINOR_UNIT & CURRENCIES


def test_minor_units_that_are_not_two_are_those_of_the_standard() -> None:
    # CLDR says how amounts are usually written, which is fewer digits for some; it never writes more than there are.
    fractions = get_global("currency_fractions")
    written = {code: fractions[code][0] for code in CURRENCIES if code in fractions}
    assert all(digits <= EXPONENTS.get(code, 2) for code, digits in written.items())
    longer = {code for code, digits in EXPONENTS.items() if digits > 2}
    assert {code for code, digits in written.items() if digits > 2} == longer - {"IQD"}
    assert all(written[code] == 0 for code, digits in EXPONENTS.items() if digits == 0)
    assert EXPONENTS.keys() <= CURRENCIES


def test_an_amount_that_a_person_types_is_in_a_currency() -> None:
    assert Money.read("400 CLF") == Money(4_000_000, "CLF")
    with pytest.raises(ValueError, match="ZZZ is no currency of ISO 4217"):
        Money.read("400.00 ZZZ")
