"""The gateway as a process: its HTTP server on a socket, its producer, its clock."""

import socket
from typing import Final

import uvicorn

from handlers.preferences.desk import Desk, add_links
from handlers.preferences.pages import Pages
from handlers.webhooks.patience import PatientProtocol
from handlers.webhooks.publisher import Budget, KafkaPublisher
from handlers.webhooks.server import Gateway, build_app
from handlers.webhooks.signatures import make_verifiers
from streams.runtime import metrics
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from streams.wire.links import LinkKeys

_KEEP_ALIVE_SECONDS: Final = 30


def make_server(settings: Settings, *, http: type[PatientProtocol] = PatientProtocol) -> uvicorn.Server:
    """Return the HTTP server with its gateway on Kafka, and the links of mails where their secrets are configured.

    `http` says how long a connection may take over the head of a request.

    Raises UsageError when no secret of a source is configured, or when the links could not work.
    """
    counts = metrics.Meter()
    budget = Budget(settings.webhook_inflight_bytes)
    publisher = KafkaPublisher(settings, budget=budget)
    clock = make_clock(settings.clock_file)
    gateway = Gateway(
        verifiers=make_verifiers(settings),
        publisher=publisher,
        clock=clock,
        meter=counts,
        budget=budget,
        largest_body=settings.webhook_max_bytes,
    )
    app = build_app(gateway, running=publisher)
    keys = LinkKeys.of(settings)
    if keys is not None:
        pages = Pages(firm_name=settings.firm_name)
        add_links(app, Desk(keys=keys, publisher=publisher, clock=clock, meter=counts, pages=pages, zone=settings.firm_timezone))
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=http,
            log_config=None,
            access_log=False,
            proxy_headers=False,  # nothing here asks who is at the other end, or by which address we were called
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=round(settings.webhook_ack_seconds) + 1,
        )
    )


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens at the address of `settings`; raises UsageError when it is taken."""
    try:
        return socket.create_server((settings.webhook_host, settings.webhook_port), backlog=2048)
    except OSError as error:
        message = f"cannot listen on {settings.webhook_host}:{settings.webhook_port} ({error}); set RAPPORT_WEBHOOK_PORT"
        raise UsageError(message) from error
