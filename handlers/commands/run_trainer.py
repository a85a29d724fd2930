"""`rapport run-trainer`: learns from answered questions. Exposes the function `run_trainer`."""

import asyncio
import signal
from contextlib import AsyncExitStack
from functools import partial
from typing import Annotated, Literal

import structlog
from cyclopts import Parameter

from handlers.commands.learners.standing import StandingCheck, look
from handlers.commands.options import MetricsPortOption
from models.learners.activation import LEARNERS
from streams.agents.trainer import Trainer
from streams.engine.failpoints import make_failpoint
from streams.engine.producer import KafkaProducer
from streams.engine.redis_fence import RedisFence
from streams.runtime.clock import make_clock
from streams.runtime.errors import FatalError
from streams.runtime.health import health_served
from streams.runtime.lifecycle import EXIT_FAILED, ExitWatchdog, ending_at_once_when_asked
from streams.runtime.log import configure_log
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings, load_settings
from streams.state.redis_reviews import RedisReviews
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.admin import ensure_topics

log = structlog.get_logger(__name__)


def run_trainer(
    *,
    metrics_port: MetricsPortOption = None,
    afresh: Annotated[
        Literal["all", "lateness", "renewal"] | None, Parameter(help="Forget what was learned and begin with the oldest example.")
    ] = None,
) -> int:
    """Learn from answered questions, publish snapshots, and activate those that prove themselves; until Ctrl-C or SIGTERM.

    Workers ask, for each invoice, whether it will be late, and for each contract, whether it will be renewed, and publish the
    question as an example when the answer is known. One trainer learns them in the order of the log, a learner for each, judges
    itself on each answer before it learns it, and puts a snapshot of each learner on learner.snapshots once a day.
    RAPPORT_LEARNER_ACTIVATION=automatic activates it, through the log of clients, when it was not worse than the plain rules;
    manual leaves that to `rapport learners activate`. Without a trainer the rules decide.

    Once in RAPPORT_LEARNER_CHECK_HOURS it holds stored features of a sample of clients against a replay of the log, as
    `rapport learners check` does; while the latest check has failed, no version puts itself in force.

    On the policy's day after a quarter it counts who moved between segments and looks for groups among clients, once, for
    a person to read: `rapport segments reviews`.

    Run one. A second one takes over and the first one ends: nothing is learned twice. Killed at any moment, it learns on from
    its last checkpoint. Its CPU is its own: workers never wait for it.

    Example: rapport run-trainer --metrics-port 9102

    Exit codes: 0 stopped, 70 stopped itself: another trainer took over, or this release
    cannot go on from what is stored (--afresh begins anew: all, or one learner).
    """
    with ending_at_once_when_asked():
        settings = load_settings(metrics_port=metrics_port)
        configure_log(settings)
        asyncio.run(ensure_topics(settings))
        try:
            asyncio.run(_run(settings, afresh=LEARNERS if afresh == "all" else (afresh,) if afresh else ()))
        except FatalError as error:
            log.critical("stopping, going on is not safe", reason=str(error))
            return EXIT_FAILED
    return 0


async def _run(settings: Settings, *, afresh: tuple[str, ...]) -> None:
    from handlers.commands.segments.reviewing import StandingReview, make_due

    meter = Meter()
    watchdog = ExitWatchdog(exit_seconds=settings.exit_seconds, stall_seconds=settings.stall_seconds)
    watchdog.start()
    async with AsyncExitStack() as stack:
        stack.callback(watchdog.stop)
        redis = connect_redis(settings)
        stack.push_async_callback(redis.aclose)
        producer = KafkaProducer(settings, meter)
        stack.push_async_callback(producer.close)
        failpoint = make_failpoint(settings.failpoint)
        trainer = Trainer(settings, fence=RedisFence(redis, settings), producer=producer, meter=meter, failpoint=failpoint)
        await stack.enter_async_context(health_served(settings, meter))

        def stop(name: str) -> None:
            log.info("stopping", signal=name)
            watchdog.arm(f"{name} was not followed in time")
            trainer.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop, number.name)
        standing = StandingCheck(
            look=partial(look, settings),
            last_ms=lambda: trainer.checked_ms,
            clock=make_clock(settings.clock_file),
            hours=settings.learner_check_hours,
        )
        checking = asyncio.create_task(standing.run())
        checking.add_done_callback(_tell_end)
        stack.callback(checking.cancel)
        making = partial(make_due, settings, RedisStateStore(redis, settings), RedisReviews(redis, settings))
        review = StandingReview(look=making, clock=make_clock(settings.clock_file))
        reviewing = asyncio.create_task(review.run())
        reviewing.add_done_callback(_tell_no_reviews)
        stack.callback(reviewing.cancel)
        await trainer.run(afresh=afresh)


def _tell_no_reviews(reviewing: asyncio.Task[None]) -> None:
    """Say so when the reviews die: learning goes on, and the quarter's is made when the trainer is started anew."""
    if not reviewing.cancelled() and (error := reviewing.exception()) is not None:
        log.error("no review of a quarter is made until the trainer is started anew", exc_info=error)


def _tell_end(checking: asyncio.Task[None]) -> None:
    """Say so when the check dies: learning goes on, and RapportLearnerUnchecked fires days later."""
    if not checking.cancelled() and (error := checking.exception()) is not None:
        log.error("stored features are no longer checked until the trainer is started anew", exc_info=error)
