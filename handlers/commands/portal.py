"""`rapport portal serve|token|messages` (`portal`, a cyclopts App): messages for the firm's client portal, over HTTP."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Final

import uvicorn
from cyclopts import App, Parameter

from handlers.channels.kafka_producer import KafkaSender
from handlers.commands.overrides.desk import known_state
from handlers.mailbox.redis_mailbox import RedisMailbox
from handlers.portal.api import Portal, build_portal
from handlers.portal.tokens import portal_link
from models.events.union import AnyClientEvent, public_topic
from streams.runtime.clock import Clock, make_clock
from streams.runtime.errors import UsageError
from streams.runtime.log import configure_log
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings, load_settings
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.codec import encode_event
from streams.wire.links import LinkKeys

_EXIT_SECONDS: Final = 10
_LONGEST_DAYS: Final = 90

portal = App(
    name="portal",
    help="""Messages for the firm's client portal: an API over what the channel `portal` has laid out.

    A policy step with `channel: portal` lays a message out when `rapport run-channels portal` runs. The firm's portal lists,
    shows and acknowledges them, and passes on what the client answers. Every request carries a signed token of one client.

    Exit codes: 0 done, 1 a server is away, 2 RAPPORT_LINK_SECRETS is not set, the address is taken, or nobody knows the client.
    """,
)


class _Publisher:
    """Publishes answers on their public topics, through the channels' producer."""

    def __init__(self, sender: KafkaSender) -> None:
        self._sender = sender

    async def publish_events(self, events: Sequence[AnyClientEvent]) -> None:
        """Return once all events are safe; raises RetryError."""
        for event in events:
            await self._sender.send_all(public_topic(event), [(event.client_id.encode(), encode_event(event))])


@portal.command
def serve(
    *,
    host: Annotated[str | None, Parameter(help="Address to listen on (RAPPORT_PORTAL_HOST).")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on; 0 takes a free one (RAPPORT_PORTAL_PORT).")] = None,
) -> None:
    """Serve the API at /portal/v1; its description is at /portal/v1/openapi.json.

    Also there: GET /health/live, /health/ready (is Redis there?), /metrics. Ctrl-C or SIGTERM lets requests finish first.

    Example: rapport portal serve --port 8081
    """
    settings = load_settings()
    given = {"portal_host": host, "portal_port": port}
    settings = settings.model_copy(update={name: value for name, value in given.items() if value is not None})
    configure_log(settings)
    try:
        listener = socket.create_server((settings.portal_host, settings.portal_port), backlog=128)
    except OSError as error:
        message = f"cannot listen on {settings.portal_host}:{settings.portal_port} ({error}); set RAPPORT_PORTAL_PORT"
        raise UsageError(message) from error
    with listener:
        server = make_portal_server(settings)
        address, chosen, *_ = listener.getsockname()
        print(f"The portal's API is at http://{address}:{chosen}/portal/v1", flush=True)
        # After a graceful stop uvicorn raises the signal again; asked to stop, stopping is no failure.
        signal.signal(signal.SIGTERM, lambda *_: None)
        server.run(sockets=[listener])


@portal.command
def token(
    client_id: Annotated[str, Parameter(help="The firm's id of the client.")],
    /,
    *,
    days: Annotated[int, Parameter(help="How long it holds, 1 to 90.")] = 1,
) -> None:
    """Print a token for the mailbox of one client: who holds it may read the messages and answer in the client's name.

    The firm's portal, which knows who has logged in, asks with it in the header `Authorization: Bearer TOKEN`.

    Example: rapport portal token client-1 --days 1
    """
    if not 0 < days <= _LONGEST_DAYS:
        message = f"--days must lie between 1 and {_LONGEST_DAYS}: a token cannot be taken back before its end"
        raise UsageError(message)
    settings = load_settings()
    print(_keys(settings).sign(portal_link(client_id, now=_clock(settings).now(), life=timedelta(days=days))))


@portal.command
def messages(
    client_id: Annotated[str, Parameter(help="The firm's id of the client.")],
    /,
    *,
    count: Annotated[int, Parameter(help="How many at most, the newest first.")] = 20,
) -> None:
    """List what is laid out for a client, the newest first, and whether it was read.

    Example: rapport portal messages client-1
    """
    settings = load_settings()
    lines = asyncio.run(_listed(settings, client_id, count))
    if not lines:
        asyncio.run(known_state(settings, client_id))
    print("\n".join(lines or ["Nothing is laid out."]))


async def _listed(settings: Settings, client_id: str, count: int) -> list[str]:
    mailbox = RedisMailbox(settings)
    try:
        found = await mailbox.messages(client_id, limit=max(1, count))
    finally:
        await mailbox.close()
    return [f"{each.message_id[:12]}  {'read  ' if each.read_ms else 'unread'}  {each.subject}" for each in found]


def make_portal_server(settings: Settings) -> uvicorn.Server:
    """Return the HTTP server of the portal on Redis and Kafka; nothing is connected yet. Raises UsageError."""
    redis, mailbox, sender = connect_redis(settings), RedisMailbox(settings), KafkaSender(settings)
    made = Portal(
        keys=_keys(settings),
        mailbox=mailbox,
        store=RedisStateStore(redis, settings),
        publisher=_Publisher(sender),
        clock=_clock(settings),
        meter=Meter(),
        zone=settings.firm_timezone,
    )

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        yield
        await sender.close()
        await mailbox.close()
        await redis.aclose()

    app = build_portal(made, running=running())
    return uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=_EXIT_SECONDS)
    )


def _keys(settings: Settings) -> LinkKeys:
    keys = LinkKeys.of(settings)
    if keys is None:
        message = "tokens need RAPPORT_LINK_SECRETS and RAPPORT_LINK_URL, as the links in mails do"
        raise UsageError(message)
    return keys


def _clock(settings: Settings) -> Clock:
    return make_clock(settings.clock_file)
