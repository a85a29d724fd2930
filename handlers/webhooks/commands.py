"""`rapport serve-webhooks` (`serve_webhooks`, a function)."""

import signal
from typing import Annotated

from cyclopts import Parameter

from streams.runtime.lifecycle import spare_the_collector
from streams.runtime.log import configure_log
from streams.runtime.settings import load_settings


def serve_webhooks(
    *,
    host: Annotated[str | None, Parameter(help="Address to listen on (RAPPORT_WEBHOOK_HOST).")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on; 0 takes a free one (RAPPORT_WEBHOOK_PORT).")] = None,
) -> None:
    """Receive signed webhooks at POST /webhooks/SOURCE and publish them raw to Kafka.

    A sender gets 2xx only once Kafka has the body on all in-sync replicas; while Kafka is away it gets 503 and retries.
    Secrets come from RAPPORT_WEBHOOK_SECRETS, several per source, so that they can be rotated without a gap:

        RAPPORT_WEBHOOK_SECRETS='{"stripe": ["whsec_new", "whsec_old"]}' rapport serve-webhooks

    With RAPPORT_LINK_SECRETS and RAPPORT_LINK_URL set, it also serves the links of mails at /links/TOKEN: pages on which clients
    stop or pause mails, promise a day, ask for a plan or dispute. Give the channel workers the same two settings.

    Also there: GET /health/live, /health/ready (is Kafka there?), /metrics. Ctrl-C or SIGTERM lets requests finish first.

    Example: rapport serve-webhooks --port 8080

    Exit codes: 0 stopped, 2 no secret is configured or the address is taken.
    """
    from handlers.webhooks.serving import listen, make_server

    settings = load_settings()
    given = {"webhook_host": host, "webhook_port": port}
    settings = settings.model_copy(update={name: value for name, value in given.items() if value is not None})
    configure_log(settings)
    with listen(settings) as listener:
        server = make_server(settings)
        spare_the_collector()
        address, chosen, *_ = listener.getsockname()
        print(f"Webhooks are received at http://{address}:{chosen}/webhooks/{{{','.join(settings.webhook_secrets)}}}", flush=True)
        # After a graceful stop uvicorn raises the signal again; asked to stop, stopping is no failure.
        signal.signal(signal.SIGTERM, lambda *_: None)
        server.run(sockets=[listener])
