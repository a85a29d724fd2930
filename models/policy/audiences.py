"""Audiences: named layers upon the four segments, as data: rules on figures and words of a client's state, all or any of them.

A segment says how a client pays and moves slowly. An audience says who is meant in one place of the policy (large and long with
us; retainers in construction). Who belongs is said by `models.policy.belonging`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Figure(StrEnum):
    """A number about a client."""

    CLIENT_DAYS = "client_days"
    DAYS_IN_SEGMENT = "days_in_segment"
    RECEIVED_UNITS = "received_units"
    PAYMENTS = "payments"
    OPEN_UNITS = "open_units"
    OVERDUE_INVOICES = "overdue_invoices"
    OLDEST_OVERDUE_DAYS = "oldest_overdue_days"
    ENDED_INVOICES = "ended_invoices"
    LATE_SHARE = "late_share"
    DISPUTES = "disputes"


class Trait(StrEnum):
    """A word about a client."""

    SEGMENT = "segment"
    COUNTRY = "country"
    INDUSTRY = "industry"
    CONTRACT_TYPE = "contract_type"


@dataclass(frozen=True, slots=True)
class Between:
    """A figure lies within bounds, both included; None: no bound on that side."""

    figure: Figure
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class OneOf:
    """A trait is one of these words."""

    trait: Trait
    words: tuple[str, ...]


Rule: TypeAlias = Between | OneOf


@dataclass(frozen=True, slots=True)
class Audience:
    """Those of whom each of `every` holds and, where there are `either`, at least one of these. `why` is for people.

    With `dwell_days` a client belongs after so many days in which that held, and leaves after as many in which it did not.
    """

    name: str
    why: str
    every: tuple[Rule, ...] = ()
    either: tuple[Rule, ...] = ()
    dwell_days: int = 0
