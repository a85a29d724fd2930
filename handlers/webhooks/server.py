"""The webhook gateway: verify, stamp, publish raw, and only then say yes.

`POST /webhooks/{source}` answers 2xx when Kafka has the body on all in-sync replicas, and until then nothing. What it refuses
it neither parses nor keeps: the log gets a hash of it, a metric the reason, and the sender one and the same 401.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, Self

import structlog
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

from handlers.webhooks.publisher import Budget, BusyError, Publisher
from handlers.webhooks.signatures import Refusal, Verifier
from streams.runtime import metrics
from streams.runtime.clock import Clock, monotonic
from streams.runtime.errors import RetryError
from streams.wire.deliveries import Delivery, body_hash

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS: Final = 5
BODY_SECONDS: Final = 10.0
"""A body that takes longer to arrive is given up, so that slow senders cannot hold memory."""

_JSON: Final = "application/json"
_YES: Final = Response(b'{"status":"accepted"}', media_type=_JSON)
_ACCEPTED: Final[Mapping[str, Response]] = MappingProxyType({"gocardless": Response(status_code=HTTPStatus.NO_CONTENT)})
"""The answer that a source asks for where it is not 200."""

_DOOR: Final = "/webhooks/"


class Outcome(StrEnum):
    """What became of a request: a label of the metric."""

    ACCEPTED = "accepted"
    UNKNOWN_SOURCE = "unknown_source"
    WRONG_TYPE = "wrong_type"
    NO_LENGTH = "no_length"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    TOO_SLOW = "too_slow"
    LEFT = "left"
    REFUSED = "refused"
    BUSY = "busy"
    KAFKA_AWAY = "kafka_away"


class _AnsweredError(Exception):
    """The request is over: with this status, outcome and sentence."""

    def __init__(self, status: HTTPStatus, outcome: Outcome, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.outcome = outcome
        self.sentence = sentence


class _Held:
    """Bytes of one request, given back when it is over."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._size = 0

    def take(self, size: int) -> None:
        self._budget.take(size)
        self._size += size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.give_back(self._size)


@dataclass(frozen=True, slots=True)
class Head:
    """The headers of a request, names in lower case. Of one that comes twice the first counts, as in the framework."""

    headers: Mapping[str, str]
    repeated: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What a gateway is made of. `largest_body` in bytes."""

    verifiers: Mapping[str, Verifier]
    publisher: Publisher
    clock: Clock
    meter: metrics.Meter
    budget: Budget
    largest_body: int

    async def accept(self, source: str, head: Head, receive: Receive) -> Response:
        """Answer one delivery of `source` with this head, whose body `receive` brings."""
        started = monotonic()
        # A label is a name of ours or "unknown": strangers must not be able to make series.
        label = source if source in self.verifiers else "unknown"
        try:
            await self._take(source, head, receive)
        except _AnsweredError as answer:
            self.meter.count(metrics.INGEST_REQUESTS, source=label, outcome=answer.outcome)
            return _refuse(answer)
        finally:
            self.meter.observe(metrics.INGEST_DURATION, monotonic() - started, source=label)
        self.meter.count(metrics.INGEST_REQUESTS, source=label, outcome=Outcome.ACCEPTED)
        self.meter.set(metrics.INGEST_LAST_ACCEPTED, self.clock.now().timestamp(), source=label)
        return _ACCEPTED.get(source, _YES)

    async def _take(self, source: str, head: Head, receive: Receive) -> None:
        verifier = self.verifiers.get(source)
        if verifier is None:
            raise _AnsweredError(HTTPStatus.NOT_FOUND, Outcome.UNKNOWN_SOURCE, "no such source is configured here")
        _check_headers(head.headers, limit=self.largest_body)
        with _Held(self.budget) as held:
            try:
                body = await self._body(receive, held)
                await self._pass_on(source, verifier, body, head)
            except TimeoutError as error:
                raise _AnsweredError(HTTPStatus.REQUEST_TIMEOUT, Outcome.TOO_SLOW, "the body did not arrive in time") from error
            except BusyError as error:
                raise _later(Outcome.BUSY) from error
            except RetryError as error:
                log.warning("a webhook could not be published; the sender was asked to retry", source=source, error=str(error))
                raise _later(Outcome.KAFKA_AWAY) from error

    async def _body(self, receive: Receive, held: "_Held") -> bytes:
        body = bytearray()
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                piece = await receive()
                if piece["type"] == "http.disconnect":
                    raise _AnsweredError(HTTPStatus.BAD_REQUEST, Outcome.LEFT, "the body did not arrive whole")
                chunk = piece.get("body", b"")
                if len(body) + len(chunk) > self.largest_body:
                    raise _too_large(self.largest_body)
                held.take(len(chunk))
                body += chunk
                if not piece.get("more_body", False):
                    return bytes(body)

    async def _pass_on(self, source: str, verifier: Verifier, body: bytes, head: Head) -> None:
        if not body:
            raise _AnsweredError(HTTPStatus.BAD_REQUEST, Outcome.EMPTY, "the body is empty")
        received_at = self.clock.now()
        is_ambiguous = not verifier.reads.isdisjoint(head.repeated)
        refusal = Refusal.AMBIGUOUS if is_ambiguous else verifier.refusal(body, head.headers, now=received_at)
        if refusal is not None:
            self.meter.count(metrics.INGEST_REFUSALS, source=source, reason=refusal)
            log.info("a webhook was refused", source=source, reason=str(refusal), sha256=body_hash(body))
            raise _AnsweredError(HTTPStatus.UNAUTHORIZED, Outcome.REFUSED, "unauthorized")
        delivery_id = verifier.delivery_id(head.headers) or body_hash(body)
        await self.publisher.publish(Delivery(source=source, body=body, received_at=received_at, delivery_id=delivery_id))


def build_app(gateway: Gateway, *, running: AbstractAsyncContextManager[object] | None = None) -> FastAPI:
    """Return the HTTP application; `running` is entered at its start and left when the last request was answered."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running or nullcontext():
            yield

    app = _Door(gateway, title="Rapport webhooks", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    @app.get("/health/live")
    async def live() -> Response:
        return JSONResponse({"status": "live"})

    @app.get("/health/ready")
    async def ready() -> Response:
        if await gateway.publisher.reachable():
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "waiting", "for": "Kafka"}, status_code=HTTPStatus.SERVICE_UNAVAILABLE)

    @app.get("/metrics")
    async def show_metrics() -> Response:
        gateway.meter.set(metrics.INGEST_BYTES, gateway.budget.held)
        return PlainTextResponse(gateway.meter.render(), media_type="text/plain; version=0.0.4")

    return app


class _Door(FastAPI):
    """Answers deliveries before the framework routes, wraps and injects: what they do not need costs as much as what they do."""

    def __init__(self, gateway: Gateway, **options: Any) -> None:  # noqa: ANN401 - the framework's own
        super().__init__(**options)
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_DOOR):
            await super().__call__(scope, receive, send)
            return
        if scope["method"] != "POST":
            answer: Response = PlainTextResponse("Method Not Allowed", HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "POST"})
        else:
            answer = await self._gateway.accept(scope["path"].removeprefix(_DOOR), _read_head(scope["headers"]), receive)
        await answer(scope, receive, send)


def _read_head(pairs: Sequence[tuple[bytes, bytes]]) -> Head:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(pairs)}
    if len(headers) == len(pairs):
        return Head(headers)
    times = Counter(name.decode("latin-1") for name, _ in pairs)
    return Head(headers, repeated=frozenset(name for name, count in times.items() if count > 1))


def _check_headers(headers: Mapping[str, str], *, limit: int) -> None:
    kind, _, _ = headers.get("content-type", "").partition(";")
    encoding = headers.get("content-encoding", "identity")
    if kind.strip().lower() != _JSON or encoding.lower() != "identity":
        raise _AnsweredError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, Outcome.WRONG_TYPE, f"send plain {_JSON}")
    length = headers.get("content-length")
    if length is None:
        if "transfer-encoding" not in headers:
            raise _AnsweredError(HTTPStatus.LENGTH_REQUIRED, Outcome.NO_LENGTH, "say the length of the body")
    elif length.isascii() and length.isdigit() and int(length[:20]) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> _AnsweredError:
    return _AnsweredError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, Outcome.TOO_LARGE, f"a body has at most {limit} bytes")


def _later(outcome: Outcome) -> _AnsweredError:
    return _AnsweredError(HTTPStatus.SERVICE_UNAVAILABLE, outcome, "not now, please send it again")


def _refuse(answer: _AnsweredError) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if answer.status is HTTPStatus.SERVICE_UNAVAILABLE else None
    return JSONResponse({"error": answer.sentence}, status_code=answer.status, headers=headers)
