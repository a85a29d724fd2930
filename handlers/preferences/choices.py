"""What a client may answer through a link, and the events that say so. Pure: time is an argument."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final, TypeVar, assert_never
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from models.events.delays import DisputeOpened, DisputeReason, PromiseMade
from models.events.envelope import ClientEvent
from models.events.signals import (
    ANY_HOUR,
    ClientAsked,
    ClientProfiled,
    ConsentChanged,
    DeliveryOutcome,
    DeliveryReported,
    OverrideCleared,
    OverrideEffect,
    OverrideSet,
    Purpose,
    Request,
)
from models.events.union import AnyClientEvent
from models.ids import derive
from models.journey_names import OWN_JOURNEYS, RENEWALS
from models.money import Money
from models.triggers import Journey
from streams.runtime.errors import RapportError
from streams.wire.links import Link, LinkScope

SNOOZE_DAYS: Final = 30
REQUEST_DAYS: Final = 14
MOST_HELD: Final = 8
"""A request about more invoices than these rests all that asks for money: a state remembers twice as many overrides."""

"""How long reminders rest after a request, so that a person can answer it first."""

LESS_PER_MONTH: Final = 1
CHANNELS: Final = ("email", "sms", "portal")
"""By which a client may ask to be reached; used where the firm's policy has them (`contact.fallback_channels`)."""

HOURS: Final = ("08:00-12:00", "12:00-15:00", "15:00-18:00", ANY_HOUR)
"""At which a page asks whether a client wants to be written to; a portal may take others."""

LONGEST_PROMISE_DAYS: Final = 60
LONGEST_WISH_DAYS: Final = 365
"""A later day than a promise may name is a request that a person answers."""

LONGEST_WORDS: Final = 200
SOURCE: Final = "link"
AUTHOR: Final = "client"

E = TypeVar("E", bound=ClientEvent)
_UNLIMITED: Final = 31  # more than any policy allows
_LAST_MINUTE: Final = time(23, 59)


class Choice(StrEnum):
    """One thing a client may answer; `allow`, `wake` and `usual` take back an opt-out, a pause and a wish for fewer messages."""

    PROMISE = "promise"
    PLAN = "plan"
    DISPUTE = "dispute"
    CONTACT = "contact"
    NOT_ME = "not_me"
    SNOOZE = "snooze"
    LESS = "less"
    CHANNEL = "channel"
    HOURS = "hours"
    USUAL = "usual"
    WAKE = "wake"
    OPT_OUT = "opt_out"
    ALLOW = "allow"
    RENEW = "renew"
    DEFER = "defer"


UNDO: Final = {Choice.OPT_OUT: Choice.ALLOW, Choice.SNOOZE: Choice.WAKE, Choice.LESS: Choice.USUAL}
"""What takes a choice back with one more click."""

_ABOUT_MONEY: Final = (Choice.PROMISE, Choice.PLAN, Choice.DISPUTE, Choice.CONTACT)


_REQUESTS: Final = {
    Choice.PLAN: ("the client asks for a payment plan", Request.PLAN),
    Choice.CONTACT: ("the client asks for another contact", Request.CONTACT),
    Choice.RENEW: ("the client wants to renew", Request.RENEW),
    Choice.DEFER: ("the client wants to start later", Request.DEFER),
}

_ABOUT_INVOICES: Final = frozenset({Request.PLAN, Request.LATER})


class AnswerRefusal(StrEnum):
    """Why an answer cannot be taken as it is; `wording.Refused` has a sentence for each."""

    OTHER_LINK = "other_link"
    NO_CONTACT = "no_contact"
    NO_DAY = "no_day"
    OUT_OF_REACH = "out_of_reach"
    NO_CHANNEL = "no_channel"
    NO_HOURS = "no_hours"
    NO_INVOICE = "no_invoice"
    NO_AMOUNT = "no_amount"
    NO_REASON = "no_reason"


class AnswerError(RapportError):
    """An answer cannot be taken as it is."""

    def __init__(self, refusal: AnswerRefusal) -> None:
        """Keep the machine-readable `refusal`."""
        super().__init__(f"the answer is refused: {refusal.value}")
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer. `form` identifies the page it was given on, so that sending a page twice is one answer.

    `invoice` is the one a promise, a dispute or the wish for a plan is about, empty: all of the message; `amount` (`400.00 EUR`)
    the part of that one; `reason` a `DisputeReason`.
    """

    choice: Choice
    form: str
    words: str = ""
    day: str = ""
    channel: str = ""
    hours: str = ""
    invoice: str = ""
    amount: str = ""
    reason: str = ""


def offered(link: Link) -> tuple[Choice, ...]:
    """Return what the page of `link` offers, in its order."""
    if link.scope is LinkScope.OPT_OUT:
        return (Choice.OPT_OUT,)
    about = _ABOUT_MONEY if link.purpose is Purpose.SERVICING else (Choice.CONTACT,)
    if link.audience is not None:
        about = (*about, Choice.NOT_ME)
    if link.purpose is Purpose.RELATIONSHIP and link.journey in RENEWALS and link.scope is LinkScope.ANSWER:
        about = (Choice.RENEW, Choice.DEFER, *about)
    return (*about, Choice.SNOOZE, Choice.LESS, Choice.CHANNEL, Choice.HOURS, Choice.OPT_OUT)


def permitted(link: Link) -> frozenset[Choice]:
    """Return every choice that `link` may make: what is offered, and what takes it back."""
    shown = offered(link)
    return frozenset((*shown, *(UNDO[choice] for choice in shown if choice in UNDO)))


def events_of(link: Link, answer: Answer, *, now: datetime, zone: ZoneInfo) -> tuple[AnyClientEvent, ...]:
    """Return the events that say `answer`; their ids follow from link and page. Raises AnswerError."""
    if answer.choice not in permitted(link):
        raise AnswerError(AnswerRefusal.OTHER_LINK)
    return _Told(link, answer, now).events(zone)


def last_promise_day(now: datetime, zone: ZoneInfo) -> date:
    """Return the last day that may be promised; a later one is asked for."""
    return now.astimezone(zone).date() + timedelta(days=LONGEST_PROMISE_DAYS)


def last_day(now: datetime, zone: ZoneInfo) -> date:
    """Return the last day that may be named at all."""
    return now.astimezone(zone).date() + timedelta(days=LONGEST_WISH_DAYS)


@dataclass(frozen=True, slots=True)
class _Told:
    link: Link
    answer: Answer
    now: datetime

    def events(self, zone: ZoneInfo) -> tuple[AnyClientEvent, ...]:  # noqa: PLR0911 - one return per choice reads best
        match self.answer.choice:
            case Choice.OPT_OUT | Choice.ALLOW if self.link.journey == Journey.STATEMENT.value:
                # Who wants no statements has said nothing about reminders.
                wanted = self.answer.choice is Choice.ALLOW
                return (self._make(ClientProfiled, "", statements="yes" if wanted else "no"),)
            case Choice.OPT_OUT | Choice.ALLOW:
                return (self._consent(),)
            case Choice.SNOOZE:
                return self._holds("the client asked for a pause", days=SNOOZE_DAYS, journeys=self._journeys())
            case Choice.WAKE:
                return tuple(
                    self._make(OverrideCleared, journey, override_id=self._override(journey), author=AUTHOR)
                    for journey in self._journeys()
                )
            case Choice.LESS | Choice.USUAL | Choice.CHANNEL | Choice.HOURS:
                return (self._wish(),)
            case Choice.PLAN | Choice.CONTACT | Choice.RENEW | Choice.DEFER:
                return self._request(*_REQUESTS[self.answer.choice])
            case Choice.NOT_ME:
                return (self._wrong_contact(),)
            case Choice.DISPUTE:
                return self._about_invoices(DisputeOpened, "dispute", cause=self.answer.words or None, reason=self._reason())
            case Choice.PROMISE:
                return self._promise(zone)
            case _:
                assert_never(self.answer.choice)

    def _wrong_contact(self) -> DeliveryReported:
        return self._make(
            DeliveryReported,
            "",
            trigger_id=self.link.trigger_id,
            channel=self.link.channel,
            outcome=DeliveryOutcome.WRONG_CONTACT,
            reason="who reads there says that they are not the one to write to",
            role=self.link.audience or None,
        )

    def _consent(self) -> ConsentChanged:
        # Mails about open work end on this channel alone: staff may still call. All others end everywhere.
        channel = self.link.channel if self.link.purpose is Purpose.SERVICING else None
        granted = self.answer.choice is Choice.ALLOW
        return self._make(ConsentChanged, "", purpose=self.link.purpose, channel=channel, granted=granted)

    def _request(self, what: str, request: Request, *, words: str = "") -> tuple[AnyClientEvent, ...]:
        if self.answer.choice is Choice.CONTACT and not self.answer.words:
            raise AnswerError(AnswerRefusal.NO_CONTACT)
        said = "; ".join(filter(None, (words, self.answer.words)))
        about = self._named(request)
        alone = about[0] if len(about) == 1 else None
        known = {"request": request, "channel": self.link.channel, "words": said or None, "invoice_id": alone}
        asked = self._make(ClientAsked, "asked" if alone is None else f"asked {alone}", **known)
        why = f"{what}: {said}"[:500] if said else what
        if about:
            support = Journey.DELAY_SUPPORT.value
            return asked, *(self._hold(name, why, days=REQUEST_DAYS, journey=support, invoice_id=name) for name in about)
        return (asked, *self._holds(why, days=REQUEST_DAYS, journeys=self._resting(request)))

    def _named(self, request: Request) -> tuple[str, ...]:
        """Return the invoices that a request is about; then these rest, with whoever has them. None where that is not known."""
        about = self._invoices() if request in _ABOUT_INVOICES else ()
        named = tuple(name for name in about if name is not None)
        return named if len(named) <= MOST_HELD else ()

    def _resting(self, request: Request) -> tuple[str, ...]:
        if request in {Request.RENEW, Request.DEFER}:
            return tuple(row.value for row in RENEWALS)
        # A hold on support reaches statements too: behind either, who has asked is asked for nothing until a person has answered.
        return (Journey.DELAY_SUPPORT.value,) if self.link.purpose is Purpose.SERVICING else self._journeys()

    def _holds(self, reason: str, *, days: int, journeys: Sequence[str]) -> tuple[AnyClientEvent, ...]:
        return tuple(self._hold(journey, reason, days=days, journey=journey) for journey in journeys)

    def _hold(self, scope: str, reason: str, *, days: int, journey: str, invoice_id: str | None = None) -> OverrideSet:
        return self._make(
            OverrideSet,
            scope,
            override_id=self._override(scope),
            effect=OverrideEffect.HOLD,
            journey=journey,
            invoice_id=invoice_id,
            reason=reason,
            author=AUTHOR,
            expires_at=self.now + timedelta(days=days),
        )

    def _journeys(self) -> tuple[str, ...]:
        if self.link.purpose is Purpose.SERVICING:
            return (self.link.journey,)
        care = (journey.value for journey in Journey if journey not in {Journey.DELAY_SUPPORT, Journey.STATEMENT})
        return (*care, OWN_JOURNEYS)

    def _override(self, scope: str) -> str:
        pause = self.answer.choice in {Choice.SNOOZE, Choice.WAKE}
        kind = "link.pause" if pause else f"link.{self.answer.choice.value}"
        return derive(kind, self.link.client_id, scope)

    def _about_invoices(self, kind: type[E], name: str, **fields: Any) -> tuple[E, ...]:  # noqa: ANN401 - as the event's
        link = self.link
        about, amount = self._invoices(), self._amount()
        if amount is not None and (len(about) > 1 or about[0] is None):
            raise AnswerError(AnswerRefusal.NO_INVOICE)
        return tuple(
            self._make(
                kind,
                invoice_id or "",
                invoice_id=invoice_id,
                amount=amount,
                **{f"{name}_id": derive(f"link.{name}", link.client_id, link.trigger_id, invoice_id or "")},
                **fields,
            )
            for invoice_id in about
        )

    def _invoices(self) -> tuple[str | None, ...]:
        named, chosen = self.link.invoice_ids, self.answer.invoice
        if chosen and chosen not in named:
            raise AnswerError(AnswerRefusal.NO_INVOICE)
        return (chosen,) if chosen else named or (None,)

    def _amount(self) -> Money | None:
        if not self.answer.amount:
            return None
        try:
            return Money.read(self.answer.amount)
        except ValueError as error:
            raise AnswerError(AnswerRefusal.NO_AMOUNT) from error

    def _reason(self) -> DisputeReason | None:
        try:
            return DisputeReason(self.answer.reason) if self.answer.reason else None
        except ValueError as error:
            raise AnswerError(AnswerRefusal.NO_REASON) from error

    def _way(self) -> str:
        if self.answer.channel not in CHANNELS:
            raise AnswerError(AnswerRefusal.NO_CHANNEL)
        return self.answer.channel

    def _wish(self) -> ClientProfiled:
        answer = self.answer
        if answer.choice is Choice.CHANNEL:
            return self._make(ClientProfiled, answer.channel, channel=self._way())
        if answer.choice is not Choice.HOURS:
            most = LESS_PER_MONTH if answer.choice is Choice.LESS else _UNLIMITED
            return self._make(ClientProfiled, "", most_per_month=most)
        try:
            return self._make(ClientProfiled, answer.hours, hours=answer.hours)
        except ValidationError as error:
            raise AnswerError(AnswerRefusal.NO_HOURS) from error

    def _promise(self, zone: ZoneInfo) -> tuple[AnyClientEvent, ...]:
        promised_at = self._promised(zone)
        if promised_at.astimezone(zone).date() <= last_promise_day(self.now, zone):
            return self._about_invoices(PromiseMade, "promise", promised_at=promised_at)
        about, amount = self._invoices(), self._amount()
        part = f"{amount} of " if amount else ""
        words = f"{part}{', '.join(name or 'all that is open' for name in about)} on {self.answer.day}"
        return self._request("the client asks to pay later", Request.LATER, words=words)

    def _promised(self, zone: ZoneInfo) -> datetime:
        today, last = self.now.astimezone(zone).date(), last_day(self.now, zone)
        try:
            day = date.fromisoformat(self.answer.day)
        except ValueError as error:
            raise AnswerError(AnswerRefusal.NO_DAY) from error
        if not today <= day <= last:
            raise AnswerError(AnswerRefusal.OUT_OF_REACH)
        return datetime.combine(day, _LAST_MINUTE, zone).astimezone(UTC)

    def _make(self, kind: type[E], subject: str, **fields: Any) -> E:  # noqa: ANN401 - as the event's
        link, answer = self.link, self.answer
        identity = (link.client_id, link.trigger_id, answer.choice.value, subject, answer.form, answer.day, answer.words)
        more = tuple(filter(None, (answer.amount, answer.reason)))  # absent, the ids are those of answers without them
        return kind(
            event_id=derive("link.event", *identity, *more),
            source=SOURCE,
            occurred_at=self.now,
            received_at=self.now,
            client_id=link.client_id,
            **fields,
        )
