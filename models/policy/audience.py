"""Who at the client a message is for: the role by purpose, of the people the client has named."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from models.events.signals import Purpose, Role
from models.state.client import ClientState, Colleague
from models.triggers import Journey, Tone

_SERVICING: Final = (Role.ACCOUNTS_PAYABLE, Role.FINANCE_LEAD, Role.PARTNER)
_FIRM: Final = (Role.FINANCE_LEAD, Role.PARTNER, Role.ACCOUNTS_PAYABLE)
_OTHERS: Final[Mapping[Journey, tuple[Role, ...]]] = MappingProxyType(
    {
        Journey.ONBOARDING: (Role.PROJECT_MANAGER, Role.PARTNER),
        Journey.RENEWAL: (Role.PARTNER, Role.FINANCE_LEAD, Role.PROJECT_MANAGER),
    }
)


def roles_for(journey: Journey, purpose: Purpose, tone: Tone) -> tuple[Role, ...]:
    """Return the roles a message is for, the first that is there.

    Open invoices are for those who pay them; when it becomes firm, for whoever decides about payments. Getting started is for
    those who do the work together, a renewal for those who decide about it.
    """
    if purpose is Purpose.SERVICING:
        return _FIRM if tone is Tone.FIRM else _SERVICING
    return _OTHERS.get(journey, (Role.PARTNER,))


def reader_of(state: ClientState, journey: Journey, purpose: Purpose, tone: Tone) -> Colleague | None:
    """Return the person at the client whom a message is for, None where only the profile is known."""
    people = {person.role: person for person in state.person.colleagues}
    return next((people[role.value] for role in roles_for(journey, purpose, tone) if role.value in people), None)


def audience_of(state: ClientState, journey: Journey, purpose: Purpose, tone: Tone) -> Role | None:
    """Return the role of that person."""
    person = reader_of(state, journey, purpose, tone)
    return None if person is None else Role(person.role)
