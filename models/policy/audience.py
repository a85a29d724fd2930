"""Who at the client a message is for: the role by purpose, of the people the client has named."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from models.events.signals import Purpose, Role
from models.state.client import PURPOSES, ClientState, Colleague
from models.triggers import AnyJourney, Journey, Tone

_SERVICING: Final = (Role.ACCOUNTS_PAYABLE, Role.FINANCE_LEAD, Role.PARTNER)
_FIRM: Final = (Role.FINANCE_LEAD, Role.PARTNER, Role.ACCOUNTS_PAYABLE)
_OTHERS: Final[Mapping[AnyJourney, tuple[Role, ...]]] = MappingProxyType(
    {
        Journey.ONBOARDING: (Role.PROJECT_MANAGER, Role.PARTNER),
        Journey.RENEWAL: (Role.PARTNER, Role.FINANCE_LEAD, Role.PROJECT_MANAGER),
    }
)


def roles_for(journey: AnyJourney, purpose: Purpose, tone: Tone) -> tuple[Role, ...]:
    """Return the roles a message is for, the first that is there.

    Open invoices are for those who pay them; when it becomes firm, for whoever decides about payments. Getting started is for
    those who do the work together, a renewal for those who decide about it.
    """
    if purpose is Purpose.SERVICING:
        return _FIRM if tone is Tone.FIRM else _SERVICING
    return _OTHERS.get(journey, (Role.PARTNER,))


def reader_of(state: ClientState, journey: AnyJourney, purpose: Purpose, tone: Tone, *, channel: str) -> Colleague | None:
    """Return the person at the client whom a message on `channel` is for, None where only the profile is known."""
    return reader_among(state, roles_for(journey, purpose, tone), purpose, channel)


def reader_among(state: ClientState, roles: Iterable[Role], purpose: Purpose, channel: str) -> Colleague | None:
    """Return the first person of these roles whose address on `channel` may be used for `purpose`, as far as is known."""
    people = {person.role: person for person in state.person.colleagues}
    about = {-1, PURPOSES.index(purpose)}
    wrong = {row.role for row in state.person.suppressions if row.role and row.channel == channel and row.purpose in about}
    return next((people[role.value] for role in roles if role.value in people and role.value not in wrong), None)


def own_address(person: Colleague | None, channel: str) -> str:
    """Return where a person is reached on `channel` themselves, empty where the profile's address is used for them."""
    if person is None:
        return ""
    return {"email": person.email, "sms": person.phone}.get(channel, "")


def audience_of(state: ClientState, journey: AnyJourney, purpose: Purpose, tone: Tone, *, channel: str) -> Role | None:
    """Return the role of that person."""
    person = reader_of(state, journey, purpose, tone, channel=channel)
    return None if person is None else Role(person.role)
