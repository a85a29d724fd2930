"""Facts as the program states them to messages of each journey, in the cases a template must be able to say."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from models.events.signals import Purpose
from models.money import Money
from models.policy.causes import Cause
from models.policy.facts import Fact
from models.policy.journeys import OwnEntry
from models.policy.renewal_options import EVERY_OPTION, IN_DOUBT
from models.policy.timing import Anchor
from models.triggers import AnyJourney, Journey

MAY_BE_MISSING: Final[Mapping[str, object]] = MappingProxyType(
    {
        **dict.fromkeys(("name", "service_line", "cause", "resources", "scheduler", "person", "office_hours", "together")),
        "later_invoice": False,
        "options": " ".join(EVERY_OPTION),
        **dict.fromkeys(("later_possible", "split_possible", "method_possible", "contact_possible"), True),
        **dict.fromkeys(("most_instalments", "most_days"), 0),
    }
)
"""What stands for facts that the client's books, or older triggers, do not have; every other fact missing is an error."""

_SUPPORT: Final[Mapping[str, Fact]] = MappingProxyType(
    {
        "name": "Ada Lovelace",
        "invoice_numbers": "R-17",
        "invoice_count": 1,
        "amount_open": Money(1_234_567, "EUR"),
        "due_date": "2026-02-20",
        "days_overdue": 10,
        "service_line": "tax",
        "part_paid": True,
        "plan_possible": True,
        "later_possible": True,
        "split_possible": True,
        "method_possible": True,
        "contact_possible": True,
        "most_instalments": 6,
        "most_days": 60,
        "cause": Cause.CASH.value,
    }
)
_OF_ONE: Final = frozenset({"due_date", "days_overdue", "service_line", "part_paid", "cause"})
"""What support says of the oldest invoice; a statement has a line for each."""

_CARE: Final[Mapping[str, Fact]] = MappingProxyType({"name": "Ada Lovelace", "service_line": "tax"})
_GUIDE: Final[Mapping[str, Fact]] = MappingProxyType(
    {
        "resources": "Welcome: https://firm.example/start | Checklist: https://firm.example/documents",
        "scheduler": "https://firm.example/talk",
        "person": "Bo Ferro",
        "office_hours": "mon,tue,wed,thu,fri 09:00-17:00 Europe/Berlin",
    }
)
_CONTRACT: Final[Mapping[str, Fact]] = MappingProxyType({**_CARE, "contract_type": "retainer", "deferral_possible": True})
_OPTIONS: Final[Mapping[str, Fact]] = MappingProxyType({"options": " ".join(EVERY_OPTION), "together": "years"})

FACTS: Final[Mapping[Journey, Mapping[str, Fact]]] = MappingProxyType(
    {
        Journey.DELAY_SUPPORT: _SUPPORT,
        Journey.STATEMENT: {name: value for name, value in _SUPPORT.items() if name not in _OF_ONE},
        Journey.ONBOARDING: {**_CARE, **_GUIDE, "payment_size": "standard", "later_invoice": False},
        Journey.RENEWAL: {**_CONTRACT, **_OPTIONS, "weeks_ahead": 2},
        Journey.RENEWAL_CLIFF: {**_CONTRACT, "weeks_ahead": 6},
        Journey.SEASON_CLEANUP: {**_CARE, "payment_size": "micro", "usual_method": "card"},
        Journey.BANK_DEBIT: {**_CARE},
        Journey.BURST_CHECKIN: {**_CARE, "recent_payments": 5},
        Journey.GAP_CHECKIN: {**_CARE, "weeks_quiet": 6, "usual_weeks": 2},
    }
)
"""What a message of each journey is given, at its fullest."""

_OTHER: Final[Mapping[str, tuple[Fact, ...]]] = MappingProxyType(
    {
        "part_paid": (False,),
        "invoice_count": (3, 9),
        "payment_size": ("micro", "standard", "large"),
        "later_invoice": (True,),
        "usual_method": ("bank_debit", "wire", "other"),
        "request": ("contact", "message", "later", "renew", "defer"),
        "plan_possible": (False,),
        "later_possible": (False,),
        "split_possible": (False,),
        "method_possible": (False,),
        "contact_possible": (False,),
        "cause": tuple(cause.value for cause in Cause),
        "deferral_possible": (False,),
        "options": (" ".join(IN_DOUBT), "same"),
        "together": ("months", "year"),
    }
)


def purpose_of(journey: AnyJourney) -> Purpose:
    """Return what messages of a journey are for, as lint holds every policy to it."""
    return Purpose.SERVICING if journey in {Journey.DELAY_SUPPORT, Journey.STATEMENT} else Purpose.RELATIONSHIP


def own_example(entry: OwnEntry) -> Mapping[str, Fact]:
    """Return the facts that messages of a journey of the firm's own are given, by what begins it."""
    match entry.anchor:
        case Anchor.RENEWAL:
            return {**_CONTRACT, "weeks_ahead": 2}
        case Anchor.PAYMENT:
            return {**_CARE, "payment_size": "standard"}
        case _:
            return _CARE


def example_of(journey: AnyJourney, step: str, *, of_plan: bool = False) -> Mapping[str, Fact]:
    """Return the facts that messages of a step are given, at their fullest; `of_plan` are those about an instalment."""
    if journey is not Journey.DELAY_SUPPORT:
        return FACTS[Journey(journey)]
    match step:
        case "approve":
            return {"name": "Ada Lovelace"}
        case "reinstated":
            return {"name": "Ada Lovelace", "invoice_numbers": "R-17", "invoice_count": 1}
        case "answer_request":
            return {"name": "Ada Lovelace", "request": "plan"}
        case _:
            return {**_SUPPORT, "instalment": 2, "instalments": 3} if of_plan else _SUPPORT


def cases(full: Mapping[str, Fact]) -> Iterator[Mapping[str, Fact]]:
    """Yield `full`, the same without what books may lack, and with each other value of each fact that chooses words."""
    yield full
    yield {name: value for name, value in full.items() if name not in MAY_BE_MISSING}
    for name, values in _OTHER.items():
        if name in full:
            yield from ({**full, name: value} for value in values if value != full[name])
