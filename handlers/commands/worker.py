"""`rapport worker`: folds events into client states and decides. Exposes the function `worker`."""

from typing import Annotated

from cyclopts import Parameter

from streams.runtime.log import configure_log
from streams.runtime.settings import load_settings


def worker(
    *, metrics_port: Annotated[int | None, Parameter(help="Port of /metrics and /health on loopback; 0: none.")] = None
) -> int:
    """Fold events into client states and decide, until stopped with Ctrl-C or SIGTERM.

    Reads webhooks, payments, invoices, delays and signals into the one client log, folds that log, and publishes triggers and
    decisions. Start as many workers as there are processors, at most one per partition; they share the work, and take over
    from one that dies within half a minute, at once from one that stops. Missing topics are created.

    Settings come from the environment, chiefly KAFKA_BOOTSTRAP and REDIS_URL.

    Example: rapport worker --metrics-port 9100

    Exit codes: 0 stopped, 70 stopped itself
    because going on was not safe (a supervisor should start it again).
    """
    import asyncio

    from streams.app import check_versions, run_worker
    from streams.engine.program import ClientProgram
    from streams.runtime.firm import firm_policy
    from streams.wire.admin import ensure_topics

    settings = load_settings()
    if metrics_port is not None:
        settings = settings.model_copy(update={"metrics_port": metrics_port})
    configure_log(settings)
    check_versions(settings)
    program = ClientProgram(firm_policy(settings))
    asyncio.run(ensure_topics(settings))
    return run_worker(settings, program)
