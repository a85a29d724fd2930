"""`rapport canary`: ask the live workers what is known already. Exposes the function `canary`."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated, Final

import structlog
from cyclopts import Parameter

from handlers.channels.template_facts import facts_of
from handlers.commands.canary.asking import Answer, UnsettledError, ask
from handlers.commands.options import MetricsPortOption
from streams.engine.program import ClientProgram
from streams.runtime.clock import make_clock
from streams.runtime.errors import RetryError, UsageError
from streams.runtime.health import health_served
from streams.runtime.log import configure_log
from streams.runtime.metrics import SLO_EVENTS, SLO_GOOD, Meter
from streams.runtime.settings import Settings, load_settings
from streams.wire.policy_file import policy_in_force

OBJECTIVE: Final = "canary"

log = structlog.get_logger(__name__)


def canary(
    *,
    every: Annotated[float | None, Parameter(help="Go on until Ctrl-C or SIGTERM, asking again after so many seconds.")] = None,
    within: Annotated[float, Parameter(help="Seconds in which the workers have to answer.")] = 300.0,
    metrics_port: MetricsPortOption = None,
) -> int:
    """Tell a synthetic client of each partition, and say whether the live workers decide what the program decides.

    Its events go the whole way: webhooks, intake, client log, fold, decisions. What is then stored and published must be what
    this release's program makes of the same log under what is in force; everything else is named and is an error. Nobody
    hears of these clients: they are on hold before anything else is told of them, have no address, and are erased at the
    end; learners learn nothing from them and no report counts them. Ids beginning with rapport-canary: are reserved for them.

    Run it where workers run: with their release, and their RAPPORT_POLICY_FILE and RAPPORT_FIRM_TIMEZONE. With --every the
    answers are counted for monitoring (rapport_slo_events_total and rapport_slo_events_good_total, slo="canary"); one such
    process is enough, and an hour is often enough: of each client some bytes stay for ever.

    Example: rapport canary

    Example: rapport canary --every 3600 --metrics-port 9106

    Exit codes: 0 all are right, or stopped (--every); 1 an answer is wrong or missing, what is in force changed meanwhile, or a
    server is away; 2 wrong usage.
    """
    for name, seconds in (("--every", every), ("--within", within)):
        if seconds is not None and not 0 < seconds < float("inf"):
            message = f"{name} {seconds:g}: say how many seconds, more than 0"
            raise UsageError(message)
    settings = load_settings(metrics_port=metrics_port)
    program = ClientProgram(policy=policy_in_force(settings, facts_stated=facts_of(settings)))
    if every is not None:
        configure_log(settings)
        asyncio.run(_run(settings, program, every_seconds=every, within_seconds=within))
        return 0
    answers = asyncio.run(ask(settings, program, clock=make_clock(settings.clock_file), within_seconds=within))
    wrong = [line for answer in answers for line in answer.lines()]
    right = sum(answer.is_right for answer in answers)
    print("\n".join([*wrong, f"{right} of {len(answers)} partitions answered as the program does"]))
    return int(bool(wrong))


async def _run(settings: Settings, program: ClientProgram, *, every_seconds: float, within_seconds: float) -> None:
    stopped, meter = asyncio.Event(), Meter()
    count(meter, ())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with health_served(settings, meter):
        asking = partial(
            ask, settings, program, clock=make_clock(settings.clock_file), within_seconds=within_seconds, stopped=stopped
        )
        await _go_on(asking, meter, stopped, every_seconds=every_seconds)


async def _go_on(
    asking: Callable[[], Awaitable[Sequence[Answer]]], meter: Meter, stopped: asyncio.Event, *, every_seconds: float
) -> None:
    while not stopped.is_set():
        try:
            answers = await asking()
        except (RetryError, UnsettledError) as error:
            log.warning("synthetic clients could not be asked", reason=str(error))
        else:
            if not stopped.is_set():  # else nobody waited for them
                count(meter, answers)
                for line in (line for answer in answers for line in answer.lines()):
                    log.error("a synthetic client was not answered as the program does", what=line)
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), every_seconds)


def count(meter: Meter, answers: Sequence[Answer]) -> None:
    """Count answers, and those that are right; none: begin at zero, so that monitoring sees the first one as growth."""
    meter.count(SLO_EVENTS, len(answers), slo=OBJECTIVE)
    meter.count(SLO_GOOD, sum(answer.is_right for answer in answers), slo=OBJECTIVE)
