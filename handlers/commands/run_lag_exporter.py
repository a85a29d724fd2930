"""`rapport run-lag-exporter`: tells monitoring how far the workers are behind. Exposes the function `run_lag_exporter`."""

import asyncio
import signal
from typing import Annotated

from cyclopts import Parameter

from handlers.commands.options import MetricsPortOption
from streams.engine.lag_export import LagExport
from streams.runtime.errors import UsageError
from streams.runtime.health import health_served
from streams.runtime.log import configure_log
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings, load_settings


def run_lag_exporter(
    *,
    metrics_port: MetricsPortOption = None,
    every: Annotated[float, Parameter(help="Seconds from one reading to the next.")] = 15.0,
) -> None:
    """Tell monitoring how far the workers are behind, also when every one of them is dead; until Ctrl-C or SIGTERM.

    Compares the end of each log with the position in Redis, as `rapport lag` does, and shows at /metrics per partition: records
    and seconds behind, how long until retention would delete the oldest record that waits, and timers overdue. While Kafka or
    Redis is away it shows none of these, and /health says why. Reads only, so several may run; one is enough.

    Example: rapport run-lag-exporter --metrics-port 9105

    Exit codes: 0 stopped, 2 no port given.
    """
    settings = load_settings(metrics_port=metrics_port)
    if not settings.metrics_port:
        message = "nobody could ask: say --metrics-port 9105, or set RAPPORT_METRICS_PORT"
        raise UsageError(message)
    if not 0 < every < float("inf"):
        message = f"--every {every:g}: say how many seconds pass from one reading to the next, more than 0"
        raise UsageError(message)
    configure_log(settings)
    asyncio.run(_run(settings, every_seconds=every))


async def _run(settings: Settings, *, every_seconds: float) -> None:
    stopped, meter = asyncio.Event(), Meter()
    export = LagExport(settings, meter)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with health_served(settings, meter, ailments=lambda: [export.flaw] if export.flaw else []):
        await export.run(stopped, every_seconds=every_seconds)
