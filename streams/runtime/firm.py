"""The policy of this firm: the default one with the firm's zone and the public holidays of every client's country."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from functools import lru_cache
from importlib import import_module
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from models.events.control import PolicyActivated
from models.policy.document import PolicyDocument, document_of, policy_of
from models.policy.policy import DEFAULT_POLICY, Policy, stamped
from models.regime import ActivePolicy
from models.workdays import NO_HOLIDAYS
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings

# Fixed years, not "around now": a replay must find the same holidays whenever it runs.
_YEARS: Final = range(2015, 2036)


def _calendars() -> Any:  # noqa: ANN401 - a module
    # Half a second to load, and many a process never meets a client whose country is known.
    return import_module("holidays")


@lru_cache(maxsize=1)
def _countries() -> frozenset[str]:
    return frozenset(_calendars().list_supported_countries())


@lru_cache(maxsize=256)
def _of_country(country: str) -> frozenset[date]:
    if country not in _countries():
        return NO_HOLIDAYS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some calendars know fewer years; the others of them are taken as working days
        return frozenset(_calendars().country_holidays(country, years=_YEARS))


class PublicHolidays(Mapping[str, frozenset[date]]):
    """National public holidays by ISO 3166 country, 2015 to 2035, and days of the firm's own; computed when first asked for."""

    def __init__(self, own: Mapping[str, frozenset[date]] | None = None) -> None:
        """Add the days of `own` to the calendars of their countries."""
        self._own = dict(own or {})
        self._both: dict[str, frozenset[date]] = {}

    @property
    def own(self) -> Mapping[str, frozenset[date]]:
        """The firm's own days; calendars come with the release."""
        return self._own

    def __getitem__(self, country: str) -> frozenset[date]:
        """Return the holidays of `country`; KeyError for a country without a calendar."""
        if country not in self._own and country not in _countries():
            raise KeyError(country)
        if country not in self._own:
            return _of_country(country)
        if country not in self._both:
            self._both[country] = _of_country(country) | self._own[country]
        return self._both[country]

    def __iter__(self) -> Iterator[str]:
        """Go through the countries that have a calendar."""
        return iter(sorted(_countries() | self._own.keys()))

    def __len__(self) -> int:
        """Return how many countries have a calendar."""
        return len(_countries() | self._own.keys())


def firm_policy(settings: Settings, policy: Policy = DEFAULT_POLICY, *, zone: str | None = None) -> Policy:
    """Return `policy` for the firm of `settings`, in `zone` or else the firm's, stamped with the version of its content.

    Public calendars come with the release, as the code does, and are no part of that version. Processes ask
    `streams.wire.policy_file.policy_in_force`, which knows the policy file too. Raises UsageError for a zone that does not exist.
    """
    try:
        ZoneInfo(settings.firm_timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        message = f"RAPPORT_FIRM_TIMEZONE={settings.firm_timezone!r} is no IANA zone; set one such as Europe/Dublin"
        raise UsageError(message) from error
    placed = stamped(replace(policy, zone=zone or settings.firm_timezone))
    return replace(placed, holidays=PublicHolidays(policy.holidays))


def activated_policy(active: ActivePolicy | PolicyActivated, *, home_zone: str) -> Policy:
    """Return the policy that was activated through the log, with public holidays; its version is the one that was activated.

    `home_zone` is the firm's, for a document that names none. Raises pydantic's ValidationError for a document that is no policy.
    """
    policy = policy_of(PolicyDocument.model_validate_json(active.document), home_zone=home_zone)
    return replace(policy, version=active.version, holidays=PublicHolidays(policy.holidays))


def described_policy(policy: Policy) -> ActivePolicy:
    """Return `policy` as something that could be activated: its version and its document, with the firm's own days off only."""
    holidays = policy.holidays
    own = holidays.own if isinstance(holidays, PublicHolidays) else holidays
    document = document_of(replace(policy, holidays=own)).model_dump_json(exclude_none=True)
    return ActivePolicy(policy.version, document, 0)
