"""`/links/{token}`: GET shows a page and does nothing, POST takes the answer and says so once Kafka has it.

Programs that look through mails follow every link; therefore no GET acts. The one-click POST of mail programs (RFC 8058) does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import parse_qsl

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from starlette.requests import ClientDisconnect

from handlers.preferences.choices import LONGEST_WORDS, Answer, AnswerError, Choice, events_of, last_day, last_promise_day
from handlers.preferences.pages import Days, Pages, content_policy
from handlers.preferences.wording import language_for
from models.events.union import AnyClientEvent
from models.workdays import zone_named
from streams.runtime import metrics
from streams.runtime.clock import Clock, fresh_id
from streams.runtime.errors import RetryError
from streams.wire.links import Link, LinkError, LinkKeys, LinkRefusal, LinkScope

log = structlog.get_logger(__name__)

LARGEST_BODY: Final = 16_384
_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_ONE_CLICK: Final = ("List-Unsubscribe", "One-Click")
_LONGEST_FORM: Final = 64
_LONGEST_DAY: Final = 16
_LONGEST_HOURS: Final = 11
_LONGEST_NAME: Final = 200


class EventPublisher(Protocol):
    """Where answers go."""

    async def publish_events(self, events: Sequence[AnyClientEvent]) -> None:
        """Return once all events are safe; raises RetryError when they are not, or not known to be."""
        ...


class _UnreadableError(Exception):
    """The body is no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What takes the answers. `zone` is the firm's, in which days are counted."""

    keys: LinkKeys
    publisher: EventPublisher
    clock: Clock
    meter: metrics.Meter
    pages: Pages
    zone: str

    async def show(self, request: Request) -> Response:
        """Answer GET and HEAD: show what may be answered."""
        link = self._read(request)
        if not isinstance(link, Link):
            return link
        self._count("none", "shown")
        language = _language(request, link)
        return _page(self.pages.ask(link, language, form=fresh_id(), days=self._days()), language)

    async def take(self, request: Request) -> Response:
        """Answer POST: publish what the client says, then confirm it."""
        link = self._read(request)
        if not isinstance(link, Link):
            return link
        try:
            answer = await self._answer(link, request)
        except _UnreadableError:
            self._count("none", "unreadable")
            return self._sorry("unreadable", _language(request, link), HTTPStatus.BAD_REQUEST)
        return await self._act(link, answer, _language(request, link))

    async def _act(self, link: Link, answer: Answer, language: str) -> Response:
        choice = answer.choice.value
        now = self.clock.now()
        try:
            events = events_of(link, answer, now=now, zone=zone_named(self.zone, self.zone))
            await self.publisher.publish_events(events)
        except AnswerError as error:
            self._count(choice, "refused")
            page = self.pages.ask(link, language, form=answer.form, days=self._days(), refusal=error.refusal, given=answer)
            return _page(page, language, HTTPStatus.UNPROCESSABLE_ENTITY)
        except RetryError as error:
            self._count(choice, "not_saved")
            log.warning("an answer could not be published; the client was asked to repeat it", choice=choice, error=str(error))
            return self._sorry("not_saved", language, HTTPStatus.SERVICE_UNAVAILABLE)
        self._count(choice, "taken")
        log.info("a client answered through a link", choice=choice, purpose=link.purpose.value)
        return _page(self.pages.done(answer, language, form=fresh_id(), days=self._days()), language)

    def _read(self, request: Request) -> Link | Response:
        try:
            return self.keys.read(request.path_params["token"], now=self.clock.now())
        except LinkError as error:
            self._count("none", error.refusal.value)
            language = _language(request, None)
            if error.refusal is LinkRefusal.EXPIRED:
                return self._sorry("expired", language, HTTPStatus.GONE)
            return self._sorry("broken", language, HTTPStatus.NOT_FOUND)

    def _sorry(self, what: str, language: str, status: HTTPStatus) -> Response:
        return _page(self.pages.sorry(what, language), language, status)

    async def _answer(self, link: Link, request: Request) -> Answer:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await _body(request)
        if kind == _MULTIPART and link.scope is LinkScope.OPT_OUT and _ONE_CLICK[1].encode() in body:
            return self._one_click()
        if kind != _FORM:
            raise _UnreadableError
        try:
            fields: Mapping[str, str] = dict(parse_qsl(body.decode(), max_num_fields=16, errors="strict"))
            if fields.get(_ONE_CLICK[0]) == _ONE_CLICK[1] and link.scope is LinkScope.OPT_OUT:
                return self._one_click()
            choice = Choice(fields.get("choice", ""))
        except ValueError as error:
            raise _UnreadableError from error
        words = " ".join("".join(char if char.isprintable() else " " for char in fields.get("words", "")).split())
        return Answer(
            choice=choice,
            form=fields.get("form", "")[:_LONGEST_FORM],
            words=words[:LONGEST_WORDS],
            day=fields.get("day", "")[:_LONGEST_DAY],
            channel=fields.get("channel", "")[:_LONGEST_DAY],
            hours=fields.get("hours", "")[:_LONGEST_HOURS],
            invoice=fields.get("invoice", "")[:_LONGEST_NAME],
            reason=fields.get("reason", "")[:_LONGEST_DAY],
        )

    def _one_click(self) -> Answer:
        # Without a page of its own, a repetition within the minute is the same answer; a later one says the same anew.
        return Answer(choice=Choice.OPT_OUT, form=f"one-click {self.clock.now():%Y-%m-%dT%H:%M}")

    def _days(self) -> Days:
        zone, now = zone_named(self.zone, self.zone), self.clock.now()
        return Days(first=now.astimezone(zone).date(), promise=last_promise_day(now, zone), last=last_day(now, zone))

    def _count(self, choice: str, outcome: str) -> None:
        self.meter.count(metrics.LINK_REQUESTS, choice=choice, outcome=outcome)


def add_links(app: FastAPI, desk: Desk) -> None:
    """Serve the links of `desk` on `app`."""
    app.add_route("/links/{token}", desk.show, methods=["GET"])
    app.add_route("/links/{token}", desk.take, methods=["POST"])


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_BODY:
                raise _UnreadableError
    except ClientDisconnect as error:
        raise _UnreadableError from error
    return bytes(body)


def _language(request: Request, link: Link | None) -> str:
    return language_for("" if link is None else link.language, request.headers.get("accept-language", ""))


def _page(html: str, language: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    headers = {
        "Cache-Control": "no-store",
        "Content-Language": language,
        "Content-Security-Policy": content_policy(),
        "Referrer-Policy": "no-referrer",  # the address is the right to answer: it must not travel on
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow",
    }
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "60"
    return HTMLResponse(html, status_code=status, headers=headers)
