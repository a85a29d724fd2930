"""Puts a channel worker together from the settings, and runs several in one process until a signal ends them."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import structlog

from handlers.channels.console import ConsoleChannel
from handlers.channels.content import Writer
from handlers.channels.contract import Channel
from handlers.channels.courier import Courier
from handlers.channels.dispatch import Dispatch
from handlers.channels.email import EmailChannel
from handlers.channels.failpoints import PLACES
from handlers.channels.library import Library
from handlers.channels.links import links_of
from handlers.channels.portal import PortalChannel
from handlers.channels.presend import at_any_hour, gate_look
from handlers.channels.readers import Places
from handlers.channels.redis_ledger import RedisLedgers
from handlers.channels.redis_tasks import RedisTaskBoard
from handlers.channels.sms import SmsChannel
from handlers.channels.task import TaskChannel
from handlers.channels.template_facts import words_in_force
from handlers.channels.watch import DecisionWatch
from handlers.channels.webhook import WebhookChannel
from handlers.channels.worker import ChannelWorker
from handlers.mailbox.redis_mailbox import RedisMailbox
from models.policy.policy import Policy
from streams.engine.failpoints import make_failpoint
from streams.runtime.clock import SystemClock, make_clock
from streams.runtime.errors import UsageError
from streams.runtime.health import health_served
from streams.runtime.lifecycle import ExitWatchdog
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.state.ports import StateStore
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.topics import CHANNELS, TRIGGERS

_log = structlog.get_logger(__name__)


def make_channel(name: str, settings: Settings, *, out: Path | None = None) -> Channel:
    """Return the channel called `name`; raises UsageError for a name that is none."""
    match name:
        case "email":
            return EmailChannel(settings)
        case "sms":
            return SmsChannel(settings)
        case "webhook":
            return WebhookChannel(settings)
        case "portal":
            return PortalChannel(RedisMailbox(settings))
        case "task":
            return TaskChannel(RedisTaskBoard(settings))
        case "console":
            return ConsoleChannel(out=out)
        case _:
            message = f"there is no channel {name!r}; known: {', '.join(CHANNELS)}"
            raise UsageError(message)


def configured(settings: Settings) -> list[str]:
    """Return the channels that can work with `settings`: those that need a provider only where one is named."""
    providers = {"sms": settings.sms_url, "webhook": settings.channel_webhook_url}
    return [name for name in CHANNELS if providers.get(name, "here")]


def make_worker(
    channel: Channel,
    settings: Settings,
    *,
    ledgers: RedisLedgers,
    store: StateStore,
    meter: Meter,
    words: tuple[Policy, Library] | None = None,
) -> ChannelWorker:
    """Return the worker of `channel`, with its content, its last look and its ledgers; nothing is connected yet.

    `words` are the policy and the templates, read and checked; none: they are read here.
    """
    policy, library = words or words_in_force(settings)
    clock, wall = make_clock(settings.clock_file), SystemClock()
    failpoint = make_failpoint(settings.failpoint, places=PLACES)
    places = Places(per_day=settings.reader_per_day, per_week=settings.reader_per_week)
    courier = Courier(
        channel,
        store=store,
        look=gate_look(policy) if settings.clock_file is None else at_any_hour(gate_look(policy)),
        write=Writer(
            firm_name=settings.firm_name, firm_locale=settings.firm_locale, links=links_of(settings), library=library
        ).write,
        clock=clock,
        wall=wall,
        meter=meter,
        failpoint=failpoint,
        readers=ledgers.readers(settings.topic(TRIGGERS[channel.name].name), places),
    )
    retention = timedelta(days=settings.channel_retention_days)
    dispatch = Dispatch(channel, courier=courier, clock=clock, wall=wall, meter=meter, retention=retention)
    return ChannelWorker(
        settings,
        channel=channel.name,
        ledgers=ledgers,
        dispatch=dispatch,
        clock=clock,
        wall=wall,
        meter=meter,
        failpoint=failpoint,
    )


async def run_workers(settings: Settings, channels: Sequence[Channel]) -> int:
    """Run one worker per channel until SIGTERM or SIGINT; return 0, or raise the first error that stopped a worker."""
    meter, words = Meter(), words_in_force(settings)
    watchdog = ExitWatchdog(exit_seconds=settings.exit_seconds, stall_seconds=settings.stall_seconds)
    watchdog.start()
    async with AsyncExitStack() as stack:
        stack.callback(watchdog.stop)
        redis = connect_redis(settings)
        stack.push_async_callback(redis.aclose)
        ledgers = RedisLedgers(redis, namespace=settings.namespace, pending_limit=settings.channel_pending_limit)
        store = RedisStateStore(redis, settings)
        workers: list[ChannelWorker | DecisionWatch] = []
        for channel in channels:
            stack.push_async_callback(channel.close)

        def ailments() -> list[str]:
            return [ailment for worker in workers for ailment in worker.ailments()]

        # Before the workers: where the port is taken, nothing has begun that would have to be ended.
        await stack.enter_async_context(health_served(settings, meter, ailments=ailments))
        workers.append(DecisionWatch(settings, meter))
        workers += [
            make_worker(channel, settings, ledgers=ledgers, store=store, meter=meter, words=words) for channel in channels
        ]
        _stop_on_signals(workers, watchdog)
        await _run_all(workers, watchdog)
    return 0


async def _run_all(workers: Sequence[ChannelWorker | DecisionWatch], watchdog: ExitWatchdog) -> None:
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    beating = asyncio.create_task(_beat(watchdog))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for worker in workers:  # one that failed takes the others with it: a supervisor starts the process anew
            worker.stop()
        watchdog.arm("the channel workers did not stop in time")
        await asyncio.wait(tasks)
    finally:
        beating.cancel()
    for task in tasks:
        task.result()


async def _beat(watchdog: ExitWatchdog) -> None:
    while True:
        watchdog.beat()
        await asyncio.sleep(1)


def _stop_on_signals(workers: Sequence[ChannelWorker | DecisionWatch], watchdog: ExitWatchdog) -> None:
    def stop(name: str) -> None:
        _log.info("stopping", signal=name)
        watchdog.arm(f"{name} was not followed in time")
        for worker in workers:
            worker.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
