"""`/portal/v1`: a client's messages, for the firm's portal. Every request carries `Authorization: Bearer` and a signed token.

    GET  /portal/v1/messages?limit=20&before=ID   the newest first
    GET  /portal/v1/messages/ID                   one message
    POST /portal/v1/messages/ID/read              it was read: reported as delivered
    GET  /portal/v1/choices                       what the client may answer
    POST /portal/v1/answers                       {"choice": "promise", "day": "2026-03-20", "form": "..."}
                                                  {"choice": "dispute", "invoice": "INV-1", "amount": "400.00 EUR",
                                                   "reason": "amount", "words": "two hours too many", "form": "..."}

Each message says whether the facts have overtaken it (paid meanwhile, disputed, promised): a portal should show such a one as
history. Nothing a client asked us to forget is shown.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
import structlog
from fastapi import Depends, FastAPI, Header, HTTPException, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from handlers.mailbox.messages import Mailbox, Message
from handlers.portal.tokens import CHANNEL, read_token
from handlers.preferences.choices import LONGEST_WORDS, Answer, AnswerError, Choice, events_of, last_day, permitted
from handlers.preferences.desk import EventPublisher
from handlers.preferences.pages import refused_in_words
from handlers.preferences.wording import language_for
from models.events.envelope import epoch_ms
from models.events.signals import DeliveryOutcome, DeliveryReported, Purpose
from models.ids import derive
from models.policy.gate import still_allowed
from models.state.client import ClientState
from models.triggers import AnyJourney
from models.workdays import moment, zone_named
from streams.runtime.clock import Clock
from streams.runtime.errors import RetryError
from streams.runtime.metrics import PORTAL_REQUESTS, Meter
from streams.state.merged import read_standing
from streams.state.ports import StateStore
from streams.wire.links import Link, LinkError, LinkKeys

MOST_LISTED: Final = 100
_PREFIX: Final = "/portal/v1"
_log = structlog.get_logger(__name__)


class MessageView(BaseModel):
    """One message as the portal sees it. `overtaken`: no longer true; show it as history."""

    id: str
    sent_at: datetime
    read_at: datetime | None
    overtaken: bool
    journey: AnyJourney
    purpose: Purpose
    invoice_ids: tuple[str, ...]
    subject: str
    text: str
    html: str


class MessageList(BaseModel):
    """A page of messages; `next` is the `before` of the following page, none on the last."""

    messages: Sequence[MessageView]
    next: str | None


class ChoiceList(BaseModel):
    """What may be answered."""

    choices: Sequence[Choice]


class AnswerGiven(BaseModel):
    """One answer. `form` is any id of the portal's own: the same answer sent twice with it counts once."""

    model_config = ConfigDict(extra="forbid")

    choice: Choice
    form: Annotated[str, Field(min_length=1, max_length=64)]
    words: Annotated[str, Field(max_length=LONGEST_WORDS)] = ""
    day: Annotated[str, Field(max_length=10)] = ""
    channel: Annotated[str, Field(max_length=10)] = ""
    hours: Annotated[str, Field(max_length=11)] = ""
    invoice: Annotated[
        str,
        Field(max_length=200, description="Of a promise, a dispute or a plan: the one open invoice; empty: everything open."),
    ] = ""
    amount: Annotated[
        str, Field(max_length=40, description="Of a promise or a dispute: the part of that invoice, as 400.00 EUR.")
    ] = ""
    reason: Annotated[
        str, Field(max_length=16, description="Of a dispute: amount, work, not_ordered, paid, details or other.")
    ] = ""


class AnswerTaken(BaseModel):
    """The answer is safe; `event_ids` are the events that say it."""

    event_ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """What the API is made of. `zone` is the firm's, in which days are counted."""

    keys: LinkKeys
    mailbox: Mailbox
    store: StateStore
    publisher: EventPublisher
    clock: Clock
    meter: Meter
    zone: str

    def holder(self, header: str) -> Link:
        """Return whose token was given; raises HTTPException."""
        try:
            return read_token(self.keys, header, now=self.clock.now())
        except LinkError as error:
            self.count(error.refusal.value)
            _log.info("a portal token was refused", reason=error.refusal.value)
            challenge = {"WWW-Authenticate": "Bearer"}
            raise HTTPException(HTTPStatus.UNAUTHORIZED, f"the token is {error.refusal.value}", headers=challenge) from error

    async def state_of(self, link: Link) -> ClientState:
        """Return what is known of the holder; a forgotten client's mailbox is emptied here. Raises HTTPException."""
        state = await read_standing(self.store, link.client_id)
        if state is None or state.erased_ms:
            await self.mailbox.forget(link.client_id)
            self.count("unknown")
            raise HTTPException(HTTPStatus.NOT_FOUND, "nothing is known of this client")
        return state

    def view(self, message: Message, state: ClientState) -> MessageView:
        """Return `message` as it stands now."""
        trigger = message.why()
        now_ms = max(state.now_ms, epoch_ms(self.clock.now()))
        result = still_allowed(state, trigger, now_ms=now_ms)
        return MessageView(
            id=message.message_id,
            sent_at=moment(message.sent_ms),
            read_at=moment(message.read_ms) if message.read_ms else None,
            overtaken=not result.allowed,
            journey=trigger.journey,
            purpose=trigger.purpose,
            invoice_ids=trigger.invoice_ids,
            subject=message.subject,
            text=message.text,
            html=message.html,
        )

    async def read(self, link: Link, message_id: str) -> Message | None:
        """Report a message as delivered, then remember that it was read; repeating it changes nothing."""
        known = await self.mailbox.get(link.client_id, message_id)
        if known is None or known.read_ms:
            return known
        # First the event, then the mark: after a crash between them the same event is published again, with the same id.
        at = self.clock.now()
        report = DeliveryReported(
            event_id=derive("portal.read", link.client_id, message_id),
            source=CHANNEL,
            occurred_at=at,
            received_at=at,
            client_id=link.client_id,
            trigger_id=message_id,
            channel=CHANNEL,
            outcome=DeliveryOutcome.DELIVERED,
        )
        await self.publisher.publish_events([report])
        return await self.mailbox.mark_read(link.client_id, message_id, at_ms=epoch_ms(at))

    async def answer(self, link: Link, given: AnswerGiven, state: ClientState, *, language: str) -> AnswerTaken:
        """Publish what the client says; raises HTTPException, in `language`, for an answer that cannot be taken as it is."""
        answer = Answer(**{**given.model_dump(), "words": " ".join(given.words.split())})
        if given.invoice in {row.invoice_id for row in state.ledger.invoices}:
            link = msgspec.structs.replace(link, invoice_ids=(given.invoice,))  # a token of the portal is about all that is open
        now, zone = self.clock.now(), zone_named(self.zone, self.zone)
        try:
            events = events_of(link, answer, now=now, zone=zone)
        except AnswerError as error:
            sentence = refused_in_words(error.refusal, language, last=last_day(now, zone))
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, sentence) from error
        await self.publisher.publish_events(events)
        return AnswerTaken(event_ids=[event.event_id for event in events])

    def count(self, outcome: str) -> None:
        """Count a request."""
        self.meter.count(PORTAL_REQUESTS, outcome=outcome)


def build_portal(portal: Portal, *, running: AbstractAsyncContextManager[object] | None = None) -> FastAPI:
    """Return the HTTP application; `running` is entered at its start and left when the last request was answered."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running or nullcontext():
            yield

    app = FastAPI(title="Rapport portal", docs_url=None, redoc_url=None, openapi_url=f"{_PREFIX}/openapi.json", lifespan=lifespan)
    _add_routes(app, portal)
    _add_health(app, portal)

    @app.exception_handler(RetryError)
    async def away(_: Request, error: Exception) -> Response:
        portal.count("away")
        _log.warning("the portal could not answer", error=str(error))
        sentence = {"detail": "not now, please ask again"}
        return JSONResponse(sentence, status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})

    @app.middleware("http")
    async def private(request: Request, call_next: Any) -> Response:  # noqa: ANN401 - as Starlette types it
        response: Response = await call_next(request)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app


def _add_routes(app: FastAPI, portal: Portal) -> None:
    def holder(authorization: Annotated[str, Header()] = "") -> Link:
        return portal.holder(authorization)

    holds = Depends(holder)
    message_id = Path(min_length=1, max_length=200)

    @app.get(f"{_PREFIX}/messages")
    async def messages(
        link: Annotated[Link, holds],
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 20,
        before: Annotated[str, Query(max_length=200)] = "",
    ) -> MessageList:
        state = await portal.state_of(link)
        found = await portal.mailbox.messages(link.client_id, limit=limit + 1, before=before)
        shown = [portal.view(message, state) for message in found[:limit]]
        portal.count("listed")
        return MessageList(messages=shown, next=shown[-1].id if len(found) > limit else None)

    @app.get(f"{_PREFIX}/messages/{{message_id}}")
    async def message(link: Annotated[Link, holds], message_id: Annotated[str, message_id]) -> MessageView:
        state = await portal.state_of(link)
        found = await portal.mailbox.get(link.client_id, message_id)
        return _shown(portal, found, state, outcome="shown")

    @app.post(f"{_PREFIX}/messages/{{message_id}}/read")
    async def read(link: Annotated[Link, holds], message_id: Annotated[str, message_id]) -> MessageView:
        state = await portal.state_of(link)
        return _shown(portal, await portal.read(link, message_id), state, outcome="read")

    @app.get(f"{_PREFIX}/choices")
    async def choices(link: Annotated[Link, holds]) -> ChoiceList:
        return ChoiceList(choices=[choice for choice in Choice if choice in permitted(link)])

    @app.post(f"{_PREFIX}/answers")
    async def answers(
        link: Annotated[Link, holds], given: AnswerGiven, accept_language: Annotated[str, Header()] = ""
    ) -> AnswerTaken:
        state = await portal.state_of(link)
        taken = await portal.answer(link, given, state, language=language_for(link.language, accept_language))
        portal.count("answered")
        return taken


def _add_health(app: FastAPI, portal: Portal) -> None:
    @app.get("/health/live", include_in_schema=False)
    async def live() -> Response:
        return JSONResponse({"status": "live"})

    @app.get("/health/ready", include_in_schema=False)
    async def ready() -> Response:
        await portal.mailbox.get("", "")  # RetryError, hence 503, while the store is away
        return JSONResponse({"status": "ready"})

    @app.get("/metrics", include_in_schema=False)
    async def show_metrics() -> Response:
        return Response(portal.meter.render(), media_type="text/plain; version=0.0.4")


def _shown(portal: Portal, message: Message | None, state: ClientState, *, outcome: str) -> MessageView:
    if message is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such message")
    portal.count(outcome)
    return portal.view(message, state)
