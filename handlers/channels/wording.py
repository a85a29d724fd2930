"""Money, dates and counts as the client's locale writes them."""

from datetime import date, time
from decimal import Decimal
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_day_names
from babel.numbers import format_currency, format_decimal

from models.money import Money, exponent
from models.policy.guides import WEEK

LISTED: Final = 5
"""How many invoice numbers the policy lists at most (see `models.policy.arrears.facts_of`)."""

FALLBACK: Final = Locale("en", "GB")


@lru_cache(maxsize=256)
def locale_named(name: str | None) -> Locale:
    """Return the locale called `name` (`de`, `de_AT`, `fr-CH`), or British English where it is unknown."""
    try:
        return Locale.parse((name or "").replace("-", "_").partition(".")[0])
    except (ValueError, TypeError, UnknownLocaleError):
        return FALLBACK


def money_in_words(value: Money, locale: Locale) -> str:
    """Return an amount such as `1.250,00 €`; exact, whatever its size."""
    return format_currency(Decimal(value.minor).scaleb(-exponent(value.currency)), value.currency, locale=locale)


def amounts_in_words(value: Money | tuple[Money, ...], locale: Locale) -> str:
    """Return an amount, or those of several currencies side by side: `€1,000.00 + $200.00`, which nobody takes for a sum."""
    amounts = value if isinstance(value, tuple) else (value,)
    return " + ".join(money_in_words(amount, locale) for amount in amounts)


def day_in_words(value: str, locale: Locale) -> str:
    """Return an ISO 8601 date such as `20. Februar 2026`; raises ValueError when it is none."""
    return format_date(date.fromisoformat(value), format="long", locale=locale)


def number_in_words(value: int, locale: Locale) -> str:
    """Return a whole number with the locale's separators."""
    return format_decimal(value, locale=locale)


def hours_in_words(value: str, locale: Locale) -> str:
    """Return hours such as `mon,tue 09:00-17:00 Europe/Berlin` in words; raises ValueError when they are none."""
    days, hours, zone = value.split(" ")
    names = get_day_names("abbreviated", "stand-alone", locale)
    places = [WEEK.index(day) for day in days.split(",")]
    clocks = "\N{EN DASH}".join(
        format_time(time.fromisoformat(clock), format="short", locale=locale) for clock in hours.split("-")
    )
    if len(places) > 2 and places[-1] - places[0] == len(places) - 1:  # noqa: PLR2004 - two days are no span
        said = f"{names[places[0]]}\N{EN DASH}{names[places[-1]]}"
    else:
        said = ", ".join(names[place] for place in places)
    return f"{said} {clocks} ({zone})"
