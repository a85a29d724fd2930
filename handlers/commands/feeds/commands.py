"""`rapport feeds list|late|on-time|watch` (`feeds`, a cyclopts App): sources that are late hold what depends on their news."""

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from typing import Annotated, Final, TypeAlias

from cyclopts import App, Parameter

from handlers.commands.feeds.tail import Tail
from handlers.commands.feeds.watch import FeedWatch, feed_event
from handlers.commands.options import Author, MetricsPortOption
from handlers.commands.regime_changes import author_named, put_in_force, read_regimes, regimes_now
from models.events.envelope import epoch_ms
from models.regime import LateFeed
from models.workdays import moment
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.health import health_served
from streams.runtime.log import configure_log
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings, load_settings
from streams.wire.admin import ensure_topics
from streams.wire.control import tell_every_partition

Feed: TypeAlias = Annotated[str, Parameter(help="The source as its events name it, for example stripe.")]
_MINUTE: Final = "%Y-%m-%d %H:%M"

feeds = App(
    name="feeds",
    help="""Say which sources are late, and keep the watch that notices it.

    While a source is late nobody whose money comes through it is reminded of anything: what they have paid since is not known
    here, and our lag is never the client's fault. What is held is decided anew within the hour after the source delivers again.

        rapport feeds watch     keep the watch: run one, beside the workers
        rapport feeds list      which sources are late, since when, and who said so

    Exit codes: 0 done, 1 a server is away or a worker has not followed yet, 2 wrong usage.
    """,
)


@feeds.command(name="list")
def list_feeds() -> None:
    """List the sources that are late.

    Example: rapport feeds list
    """
    found = _late_now(load_settings())
    for row in found.values():
        print(f"{row.feed} is late since {moment(row.late_ms):{_MINUTE}} UTC, said {row.author}: {row.reason}")
    if not found:
        print("No source is late.")


@feeds.command
def late(
    feed: Feed,
    /,
    *,
    reason: Annotated[str, Parameter(help="What is known; it stands beside every message that is held.")],
    since: Annotated[datetime | None, Parameter(help="Since when nothing came (UTC); default: now.")] = None,
    author: Author = None,
) -> None:
    """Call a source late: reminders to its clients wait until a person says with `on-time` that it delivers.

    Example: rapport feeds late gocardless --reason "their status page says so"
    """
    if not reason.strip():
        message = 'say what is known: --reason "..."'
        raise UsageError(message)
    settings = load_settings()
    now = make_clock(settings.clock_file).now()
    from_ms = epoch_ms(now if since is None else since.replace(tzinfo=since.tzinfo or now.tzinfo))
    event = feed_event(feed, now, late_ms=from_ms, author=author_named(author), reason=reason)
    print(f"{feed} is late: in force on all {put_in_force(settings, event)} partitions")


@feeds.command(name="on-time")
def on_time(
    feed: Feed,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why it may be trusted again.")] = "it delivers again",
    author: Author = None,
) -> None:
    """Say that a source delivers again; what it held is decided anew within the hour.

    Example: rapport feeds on-time gocardless
    """
    settings = load_settings()
    if feed not in _late_now(settings):
        message = f"{feed} is not late; rapport feeds list shows what is"
        raise UsageError(message)
    event = feed_event(feed, make_clock(settings.clock_file).now(), late_ms=None, author=author_named(author), reason=reason)
    print(f"{feed} delivers again: in force on all {put_in_force(settings, event)} partitions")


@feeds.command
def watch(
    *,
    metrics_port: MetricsPortOption = None,
    every: Annotated[float, Parameter(help="Seconds from one judgement to the next.")] = 30.0,
) -> None:
    """Notice by itself when a source is silent in hours in which it is usually heard, and when it delivers again.

    It learns from the arrivals that the topics still keep, per source and hour of the week, and needs a week of them. Run one;
    a second one says the same. It never calls a source late while it cannot hear Kafka itself.

    Example: rapport feeds watch --metrics-port 9104
    """
    if not 0 < every < float("inf"):
        message = f"--every {every:g}: say how many seconds pass from one judgement to the next, more than 0"
        raise UsageError(message)
    settings = load_settings(metrics_port=metrics_port)
    configure_log(settings)
    asyncio.run(ensure_topics(settings))
    asyncio.run(_watch(settings, every_seconds=every))


async def _watch(settings: Settings, *, every_seconds: float) -> None:
    stopped, meter = asyncio.Event(), Meter()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(health_served(settings, meter))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        tail = Tail(
            settings=settings,
            watch=FeedWatch(),
            clock=make_clock(settings.clock_file),
            meter=meter,
            publish=partial(tell_every_partition, settings),
            regimes=partial(read_regimes, settings),
            every_seconds=every_seconds,
        )
        await tail.run(stopped)


def _late_now(settings: Settings) -> dict[str, LateFeed]:
    return {row.feed: row for regime in regimes_now(settings) for row in regime.feeds}
