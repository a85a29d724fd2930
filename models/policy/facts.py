"""Which facts a message may state, by purpose. Servicing may name the invoice; everything else stays with coarse patterns."""

from types import MappingProxyType
from typing import Final, TypeAlias

from models.events.signals import Purpose
from models.money import Money

Fact: TypeAlias = str | int | bool | Money

ALLOWED_FACTS: Final = MappingProxyType(
    {
        Purpose.SERVICING: frozenset(
            {
                "name",
                "invoice_numbers",
                "invoice_count",
                "amount_open",
                "due_date",
                "days_overdue",
                "service_line",
                "part_paid",
                "plan_possible",
                "request",
                "usual_method",
                "declines",
                "instalment",
                "instalments",
                "cause",
                "later_possible",
                "split_possible",
                "method_possible",
                "contact_possible",
                "most_instalments",
                "most_days",
            }
        ),
        Purpose.RELATIONSHIP: frozenset(
            {
                "name",
                "service_line",
                "payment_size",
                "contract_type",
                "weeks_ahead",
                "deferral_possible",
                "options",
                "together",
                "recent_payments",
                "recent_invoices",
                "weeks_quiet",
                "usual_weeks",
                "usual_method",
                "recent_method",
                "later_invoice",
                "resources",
                "scheduler",
                "person",
                "office_hours",
            }
        ),
        Purpose.PROMOTION: frozenset({"name", "service_line"}),
    }
)


class ForbiddenFactError(ValueError):
    """A message was given a fact that its purpose may not state."""


def allowed_facts(purpose: Purpose, facts: dict[str, Fact]) -> dict[str, Fact]:
    """Return `facts` in the order of their names. Raises ForbiddenFactError for a fact this purpose may not state."""
    forbidden = facts.keys() - ALLOWED_FACTS[purpose]
    if forbidden:
        message = f"{purpose.value} messages may not state {', '.join(sorted(forbidden))}; see ALLOWED_FACTS"
        raise ForbiddenFactError(message)
    return {name: facts[name] for name in sorted(facts) if facts[name] != ""}
