"""How profile, consent, overrides and staff contact change what is known of the client."""

from typing import Final

from msgspec.structs import replace

from models.addresses import email_digest, phone_digest
from models.events.envelope import epoch_ms
from models.events.signals import (
    ClientProfiled,
    ConsentChanged,
    ContactLogged,
    OverrideCleared,
    OverrideEffect,
    OverrideSet,
    RiskReported,
)
from models.state.client import (
    PURPOSES,
    ClientState,
    Colleague,
    Consent,
    Field,
    Override,
    Person,
    Risk,
    Segment,
    Suppression,
)

HARD: Final = "hard"
"""The cause of a suppression whose address does not exist."""

WRONG: Final = "wrong_contact"
"""The cause of a suppression whose address reaches somebody who is not the one to write to."""

READER: Final = "reader_complained"
"""The cause of a suppression whose address reaches somebody who complained of mails like these, sent to another client."""

OF_ADDRESS: Final = frozenset({HARD, WRONG, READER})
"""Causes that end with another address."""

COMPLAINT: Final = "complaint"
"""The cause of a suppression that the client asked for by complaining."""

_STATED: Final = (
    *("name", "email", "phone", "timezone", "country", "locale"),
    *("style", "industry", "channel", "hours", "statements"),
)
CONTACTS_KEPT: Final = 16
REASON_KEPT: Final = 120
_SEGMENTS: Final = frozenset(segment.value for segment in Segment)
SOURCE_KEPT: Final = 40


def profiled(state: ClientState, event: ClientProfiled) -> ClientState:
    """Fields that are named change, the latest by `occurred_at` holds; a new address lifts the suppression of the old one."""
    person, at = state.person, event.occurred_ms
    changed: dict[str, Field] = {}
    for name in _STATED:
        value: str | None = getattr(event, name)
        known: Field = getattr(person, name)
        by = event.source[:SOURCE_KEPT] if name == "timezone" else ""
        if value is not None and (at, value, by) > (known.at, known.value, known.by):
            changed[name] = Field(value, at, by)
    state = _paced(_colleagues(state, event), event)
    person = state.person
    if not changed:
        return state
    suppressions, rests = person.suppressions, person.rests
    for field, channel in (("email", "email"), ("phone", "sms")):
        if field in changed and changed[field].value != getattr(person, field).value:
            suppressions = tuple(row for row in suppressions if not _is_of(row, channel) or row.at > at)
            rests = tuple(row for row in rests if row.channel != channel or row.until_ms <= at)
    return replace(state, person=replace(person, **changed, suppressions=suppressions, rests=rests))


def _is_of(row: Suppression, channel: str) -> bool:
    """Say whether a suppression is about the profile's own address on a channel."""
    return row.channel == channel and row.cause in OF_ADDRESS and not row.role


def _colleagues(state: ClientState, event: ClientProfiled) -> ClientState:
    person = state.person
    if event.colleagues is None or person.colleagues_at > event.occurred_ms:
        return state
    rows = {
        row.role.value: Colleague(row.role.value, row.name or "", row.email or "", row.phone or "", row.locale or "")
        for row in event.colleagues
    }
    named = tuple(rows[role] for role in sorted(rows))
    if person.colleagues_at == event.occurred_ms and person.colleagues >= named:
        return state  # of two lists of the same moment the greater holds, whatever their order of arrival
    before = {row.role: row for row in person.colleagues}
    moved = {row.role for row in named if row.role not in before or _reached(before[row.role]) != _reached(row)}
    suppressions = tuple(row for row in person.suppressions if row.role not in moved or row.at > event.occurred_ms)
    return replace(state, person=replace(person, colleagues=named, colleagues_at=event.occurred_ms, suppressions=suppressions))


def _reached(person: Colleague) -> tuple[str, str]:
    return person.email, person.phone


def _paced(state: ClientState, event: ClientProfiled) -> ClientState:
    person, wish = state.person, event.most_per_month
    # Of two wishes of the same moment the lower holds.
    if wish is None or (person.pace_at, -person.pace) >= (event.occurred_ms, -wish):
        return state
    return replace(state, person=replace(person, pace=wish, pace_at=event.occurred_ms))


def consent_changed(state: ClientState, event: ConsentChanged) -> ClientState:
    """Fold in: the latest word on a purpose and channel holds; of two at the same moment the refusal.

    A word from an address alone is none of a client that does not have it, any more or at all.
    """
    if event.address is not None and not holders(state.person, event.address):
        return state
    purpose, channel, at = PURPOSES.index(event.purpose), event.channel or "", event.occurred_ms
    rows = state.person.consents
    known = next((row for row in rows if (row.purpose, row.channel) == (purpose, channel)), None)
    if known is not None and (known.at, not known.granted) >= (at, not event.granted):
        return state
    kept = (*(row for row in rows if row is not known), Consent(purpose, channel, event.granted, at))
    return replace(state, person=replace(state.person, consents=kept))


def is_lifted(person: Person, row: Suppression, *, purpose: int) -> bool:
    """Say whether the client has named the channel again since: after complaints for this purpose, else for any.

    `purpose` is an index into `PURPOSES`. Whose address of their own does not exist, is not the client who speaks here.
    """
    if row.role:
        return False
    asked = {purpose} if row.cause in {COMPLAINT, READER} else set(range(len(PURPOSES)))
    later = (known for known in person.consents if known.granted and known.channel == row.channel and known.at > row.at)
    return any(known.purpose in asked for known in later)


def holders(person: Person, digest: str) -> list[str]:
    """Return whose address this is at the client: roles, empty for the profile's own; nobody's where it has no such address."""
    rows = [("", person.email.value, person.phone.value), *((row.role, row.email, row.phone) for row in person.colleagues)]
    return [role for role, email, phone in rows if digest in {email_digest(email), phone_digest(phone)}]


def override_set(state: ClientState, event: OverrideSet) -> ClientState:
    """Fold in: a relationship manager overrides the policy until the expiry."""
    known = _override(state, event.override_id)
    if known is not None and known.set_at >= event.occurred_ms:
        return state
    after = Override(
        event.override_id,
        effect=event.effect.value,
        value=event.value or "",
        journey=event.journey or "",
        author=event.author,
        reason=event.reason[:REASON_KEPT],
        set_at=event.occurred_ms,
        expires_ms=epoch_ms(event.expires_at),
        cleared_at=known.cleared_at if known else 0,
        invoice_id=event.invoice_id or "",
        reasoned_at=known.reasoned_at if known else -1,
    )
    return _put(state, known, after)


def override_cleared(state: ClientState, event: OverrideCleared) -> ClientState:
    """Fold in: an override ended early, whether it is known yet or not. A legal hold does not end without a reason."""
    known = _override(state, event.override_id)
    row, at = known or Override(event.override_id), event.occurred_ms
    reasoned = at if event.reason and event.reason.strip() else 0
    after = replace(row, cleared_at=max(row.cleared_at, at), reasoned_at=max(lifted_ms(row), reasoned))
    return state if after == known else _put(state, known, after)


def risk_reported(state: ClientState, event: RiskReported) -> ClientState:
    """Fold in: what somebody outside says; the latest holds, of two at the same moment the milder one."""
    known = state.person.risk
    after = Risk(
        event.occurred_ms, round(100 * event.weight), epoch_ms(event.expires_at), event.reporter, event.reason[:REASON_KEPT]
    )
    if known is not None and risk_rank(known) >= risk_rank(after):
        return state
    return replace(state, person=replace(state.person, risk=after))


def risk_rank(row: Risk) -> tuple[int, int, int, str, str]:
    """Return the order of reports: the latest holds, of two at the same moment the milder one."""
    return row.at, -row.weight, row.expires_ms, row.reporter, row.reason


def contact_logged(state: ClientState, event: ContactLogged) -> ClientState:
    """Staff contacted the client: it counts for the gap between contacts, and a person has asked."""
    care = add_contact(state, event.occurred_ms).care
    return replace(state, care=replace(care, last_human_ms=max(care.last_human_ms, event.occurred_ms)))


def add_contact(state: ClientState, at_ms: int) -> ClientState:
    """Count one contact with the client."""
    contacts = tuple(sorted((*state.care.contacts, at_ms))[-CONTACTS_KEPT:])
    return replace(state, care=replace(state.care, contacts=contacts))


def in_force(override: Override, now_ms: int) -> bool:
    """Say whether an override holds now."""
    ended = lifted_ms(override) if override.effect == OverrideEffect.LEGAL_HOLD.value else override.cleared_at
    return override.set_at > ended and now_ms < override.expires_ms


def overruling(state: ClientState, at_ms: int) -> list[Override]:
    """Return the overrides of the segment in force, the one that holds last; more than one is a conflict between people."""
    if not state.person.overrides:
        return []
    rows = [
        row
        for row in state.person.overrides
        if row.effect == OverrideEffect.SEGMENT.value and row.value in _SEGMENTS and in_force(row, at_ms)
    ]
    return sorted(rows, key=lambda row: (row.set_at, row.override_id))


def lifted_ms(override: Override) -> int:
    """Return when an override was last cleared with a reason, 0: never."""
    return override.cleared_at if override.reasoned_at < 0 else override.reasoned_at


def _override(state: ClientState, override_id: str) -> Override | None:
    return next((row for row in state.person.overrides if row.override_id == override_id), None)


def _put(state: ClientState, before: Override | None, after: Override) -> ClientState:
    kept = (*(row for row in state.person.overrides if row is not before), after)
    return replace(state, person=replace(state.person, overrides=kept))
