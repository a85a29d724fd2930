"""What `rapport clients` writes, and what is refused before it is on the log.

What is read here may be a moment old: should two people say at once that each of two clients is part of the other, one of them
remains; that each pays for the other, each pays for itself.
"""

from datetime import UTC, datetime
from typing import Final

from handlers.commands.regime_changes import worded
from models.events.envelope import epoch_ms
from models.events.signals import ClientDelegated, ClientMerged, ClientSplit, ContactLogged
from models.ids import derive
from models.state.client import ClientState
from streams.runtime.errors import UsageError

SOURCE: Final = "rapport clients"
_LONGEST_HOW: Final = 40
_LONGEST_NOTE: Final = 1000


@worded()
def merge_of(
    one: ClientState | None, other: ClientState | None, *, client_id: str, into: str, reason: str, author: str, now: datetime
) -> ClientMerged:
    """Return the event that merges `client_id` into `into`, given whom the two names stand for now; raises UsageError."""
    if one is None or other is None:
        raise _unknown(client_id if one is None else into)
    if one.client_id == other.client_id:
        message = f"{client_id} and {into} are one client already: {one.client_id}"
        raise UsageError(message)
    for state, name in ((one, client_id), (other, into)):
        _must_stand(state, name)
        if state.erased_ms:
            message = f"{name} asked to be forgotten: there is nothing to merge, and nothing may be kept of the other one"
            raise UsageError(message)
    return ClientMerged(
        event_id=derive("client.merged", client_id, into, epoch_ms(now)),
        source=SOURCE,
        client_id=client_id,
        occurred_at=now,
        received_at=now,
        into=into,
        author=author,
        reason=reason,
    )


@worded()
def split_of(
    own: ClientState | None, whole: ClientState | None, *, client_id: str, reason: str, author: str, now: datetime
) -> ClientSplit:
    """Return the event that undoes a merge, given what goes by the name itself, and whom it stands for; raises UsageError."""
    if own is None:
        raise _unknown(client_id)
    if not own.identity.into:
        message = f"{client_id} is part of nobody: there is no merge to undo"
        raise UsageError(message)
    if whole is not None and whole.erased_ms:
        message = f"{client_id} is part of {whole.client_id}, which asked to be forgotten: nothing may begin anew in its name"
        raise UsageError(message)
    return ClientSplit(
        event_id=derive("client.split", client_id, epoch_ms(now)),
        source=SOURCE,
        client_id=client_id,
        occurred_at=now,
        received_at=now,
        author=author,
        reason=reason,
    )


@worded()
def contact_of(
    state: ClientState | None, *, client_id: str, by: str, at: datetime, note: str, author: str, now: datetime
) -> ContactLogged:
    """Return the event of a contact made by hand; saying the same contact twice says it once. Raises UsageError."""
    if state is None:
        raise _unknown(client_id)
    if state.erased_ms:
        message = f"{client_id} asked to be forgotten: nothing may be kept of them"
        raise UsageError(message)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if at > now:
        message = f"{at:%Y-%m-%d %H:%M} is still to come: log a contact once it was made"
        raise UsageError(message)
    how = " ".join(by.split())
    if not how or len(how) > _LONGEST_HOW:
        message = f"say in a few words how they were reached (at most {_LONGEST_HOW} letters): --by phone"
        raise UsageError(message)
    return ContactLogged(
        event_id=derive("contact.logged", client_id, how, author, epoch_ms(at)),
        source=SOURCE,
        client_id=client_id,
        occurred_at=at,
        received_at=now,
        channel=how,
        author=author,
        note=" ".join(note.split())[:_LONGEST_NOTE] or None,
    )


def left_behind(own: ClientState) -> str:
    """Return in words what becomes of what a merged client had told before it is split off."""
    into = own.identity.into
    if any(row.client_id == into and row.facts for row in own.identity.elsewhere):
        return f"what was told before stays with {into}, and what names it goes there"
    return (
        f"which invoices and payments {into} has of it is not known (it had none, or an earlier release merged it): payments of"
        f" them must be told in the name of {into}"
    )


@worded()
def word_of_payer(
    child: ClientState | None,
    parent: ClientState | None,
    *,
    client_id: str,
    payer: str | None,
    reason: str,
    author: str,
    now: datetime,
) -> ClientDelegated:
    """Return the event by which `payer` pays for `client_id` from now on, None: it does itself; raises UsageError.

    `parent` is whom the name of the payer stands for now, None where there is no payer.
    """
    if child is None:
        raise _unknown(client_id)
    _must_stand(child, client_id)
    if payer is None:
        if not child.identity.payer:
            message = f"nobody else pays for {client_id}: there is nothing to end"
            raise UsageError(message)
    elif parent is None:
        raise _unknown(payer)
    else:
        _must_be_able_to_pay(child, parent, client_id=client_id, payer=payer)
    return ClientDelegated(
        event_id=derive("client.delegated", client_id, payer or "", epoch_ms(now)),
        source=SOURCE,
        client_id=client_id,
        occurred_at=now,
        received_at=now,
        payer=payer,
        author=author,
        reason=reason,
    )


def _must_be_able_to_pay(child: ClientState, parent: ClientState, *, client_id: str, payer: str) -> None:
    if child.client_id == parent.client_id:
        message = f"{client_id} and {payer} are one client: nobody is named that would pay for another"
        raise UsageError(message)
    _must_stand(parent, payer)
    for state, name in ((child, client_id), (parent, payer)):
        if state.erased_ms:
            message = f"{name} asked to be forgotten: nothing may be kept of what it owes or pays"
            raise UsageError(message)
    if child.identity.payer == payer:
        message = f"{payer} pays for {client_id} already"
        raise UsageError(message)
    if parent.identity.payer == client_id:
        message = f"{client_id} pays for {payer}: end that first (rapport clients parent {payer} --none)"
        raise UsageError(message)


def _must_stand(state: ClientState, name: str) -> None:
    if state.client_id != name:
        message = f"{name} was merged into {state.client_id}: say that name, if that is meant"
        raise UsageError(message)


def _unknown(name: str) -> UsageError:
    return UsageError(f"no client {name!r} is known; rapport inspect client ID shows one")
