"""`rapport serve-webhooks` (`serve_webhooks`, a function)."""

import signal
import socket
from typing import Annotated

import uvicorn
from cyclopts import Parameter

from handlers.webhooks.publisher import Budget, KafkaPublisher
from handlers.webhooks.server import Gateway, build_app
from handlers.webhooks.signatures import make_verifiers
from streams.runtime import metrics
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.log import configure_log
from streams.runtime.settings import Settings, load_settings

_KEEP_ALIVE_SECONDS = 30


def serve_webhooks(
    *,
    host: Annotated[str | None, Parameter(help="Address to listen on (RAPPORT_WEBHOOK_HOST).")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on; 0 takes a free one (RAPPORT_WEBHOOK_PORT).")] = None,
) -> None:
    """Receive signed webhooks at POST /webhooks/SOURCE and publish them raw to Kafka.

    A sender gets 2xx only once Kafka has the body on all in-sync replicas; while Kafka is away it gets 503 and retries.
    Secrets come from RAPPORT_WEBHOOK_SECRETS, several per source, so that they can be rotated without a gap:

        RAPPORT_WEBHOOK_SECRETS='{"stripe": ["whsec_new", "whsec_old"]}' rapport serve-webhooks

    Also there: GET /health/live, /health/ready (is Kafka there?), /metrics. Ctrl-C or SIGTERM lets requests finish first.
    """
    settings = load_settings()
    given = {"webhook_host": host, "webhook_port": port}
    settings = settings.model_copy(update={name: value for name, value in given.items() if value is not None})
    configure_log(settings)
    with listen(settings) as listener:
        server = make_server(settings)
        address, chosen, *_ = listener.getsockname()
        print(f"Webhooks are received at http://{address}:{chosen}/webhooks/{{{','.join(settings.webhook_secrets)}}}", flush=True)
        # After a graceful stop uvicorn raises the signal again; asked to stop, stopping is no failure.
        signal.signal(signal.SIGTERM, lambda *_: None)
        server.run(sockets=[listener])


def make_server(settings: Settings, *, meter: metrics.Meter | None = None) -> uvicorn.Server:
    """Return the HTTP server with its gateway on Kafka; raises UsageError when no secret is configured."""
    counts = meter or metrics.Meter()
    budget = Budget(settings.webhook_inflight_bytes, changed=lambda held: counts.set(metrics.INGEST_BYTES, held))
    publisher = KafkaPublisher(settings, budget=budget)
    gateway = Gateway(
        verifiers=make_verifiers(settings),
        publisher=publisher,
        clock=make_clock(settings.clock_file),
        meter=counts,
        budget=budget,
        largest_body=settings.webhook_max_bytes,
    )
    return uvicorn.Server(
        uvicorn.Config(
            build_app(gateway, running=publisher),
            log_config=None,
            access_log=False,
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
