"""Composition root of the worker: settings in, a Faust worker with our lanes out."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import faust
import structlog
import uvloop
from faust.tables import TableManager
from faust.transport import conductor
from mode.supervisors import CrashingSupervisor

from streams.agents.clients import ClientsStage
from streams.agents.merge import IntakeStage
from streams.agents.readers import INTAKE_READERS
from streams.engine.failpoints import make_failpoint
from streams.engine.fence import Slot
from streams.engine.fold import Program
from streams.engine.lane import LaneTools
from streams.engine.lanes import Lanes
from streams.engine.log_view import LogView
from streams.engine.producer import KafkaProducer
from streams.engine.redis_fence import RedisFence
from streams.engine.stage import Stage
from streams.engine.transport import SCHEME, broker_credentials, register_transport
from streams.runtime import metrics
from streams.runtime.clock import Clock, fresh_id, make_clock
from streams.runtime.errors import FatalError, UsageError
from streams.runtime.health import HealthServer
from streams.runtime.lifecycle import EXIT_FAILED, ExitWatchdog, ending_at_once_when_asked, ignore_requests, spare_the_collector
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.sources.lookup import Reader
from streams.state.gathered import GatheredRedis
from streams.state.redis_directory import RedisDirectory
from streams.state.redis_store import connect_redis
from streams.wire.topics import CLIENT_EVENTS

log = structlog.get_logger(__name__)

TESTED_VERSIONS: Final = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}
"""The engine reaches into these libraries below their documented surface; others must be tested before they are trusted."""

_DAY_SECONDS: Final = 86_400.0
_BEAT_SECONDS: Final = 0.5
_ADVICE_SECONDS: Final = 2.0


def check_versions(settings: Settings, installed: Callable[[str], str] = version) -> None:
    """Raise UsageError when a library is not the version the engine was tested with, unless the settings allow it."""
    for name, tested in TESTED_VERSIONS.items():
        found = installed(name)
        if found != tested and not settings.allow_untested_versions:
            message = (
                f"{name} {found} is installed, the engine was tested with {tested}: install that one, or run the tests in"
                " tests/integration and set RAPPORT_ALLOW_UNTESTED_VERSIONS=1"
            )
            raise UsageError(message)


def warn_of_missing_extension(compiled: object = conductor.ConductorHandler) -> None:
    """Log a warning with the fix when Faust runs without its compiled extension, which the engine was not tested with."""
    if compiled is None:
        fix = (
            "unset NO_CYTHON" if conductor.NO_CYTHON else "install faust-streaming from a wheel made for this platform and Python"
        )
        log.warning("faust runs without its compiled extension, which the engine was not tested with", fix=fix)


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything a worker is made of."""

    settings: Settings
    meter: Meter
    watchdog: ExitWatchdog
    lanes: Lanes
    producer: KafkaProducer
    log_view: LogView
    health: HealthServer
    disconnect_redis: Callable[[], Awaitable[None]]

    async def drain(self) -> None:
        """Finish what is in hand, within the drain time, and disconnect."""
        await self.lanes.revoke()
        await self.producer.close()
        await self.log_view.close()
        await self.disconnect_redis()


def build_engine(settings: Settings, program: Program[Any], *, clock: Clock | None = None) -> Engine:
    """Wire the engine around `program`, with the `clock` of the settings unless another is given; connects to nothing yet."""
    meter = Meter()
    redis = connect_redis(settings, GatheredRedis)
    fence = RedisFence(redis, settings)
    directory = RedisDirectory(redis, settings)
    producer = KafkaProducer(settings, meter)
    watchdog = ExitWatchdog(exit_seconds=settings.exit_seconds, stall_seconds=settings.stall_seconds)
    tools = LaneTools(
        settings=settings,
        clock=clock or make_clock(settings.clock_file),
        meter=meter,
        fence=fence,
        owner=fresh_id(),
        failpoint=make_failpoint(settings.failpoint),
    )

    def clients(slot: Slot) -> Stage:
        return ClientsStage(slot, program=program, fence=fence, settings=settings, meter=meter)

    def intake(slot: Slot, *, reader: Reader) -> Stage:
        return IntakeStage(slot, reader=reader, directory=directory, producer=producer, settings=settings, meter=meter)

    stages: dict[str, Callable[[Slot], Stage]] = {name: partial(intake, reader=reader) for name, reader in INTAKE_READERS.items()}
    stages[CLIENT_EVENTS.name] = clients
    lanes = Lanes(tools=tools, producer=producer, stages=stages, watchdog=watchdog)
    health = HealthServer(meter, ailments=lambda: [f"{slot}: {why}" for slot, why in lanes.halted().items()])
    return Engine(settings, meter, watchdog, lanes, producer, LogView(settings), health, redis.aclose)


class WorkerApp(faust.App):  # type: ignore[misc] # Faust is not typed for us
    """The Faust app; its consumer finds the lanes here."""

    lanes: Lanes
    log_view: LogView
    meter: Meter
    rapport_settings: Settings

    def _create_directories(self) -> None:
        """Make none: tables are not used, and a worker leaves no file behind."""


class _NoTables(TableManager):  # type: ignore[misc] # likewise
    """Faust's manager of tables, which waits a second for tables to be declared before anything is subscribed; we have none."""

    async def on_start(self) -> None:
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


def build_app(engine: Engine) -> WorkerApp:
    """Return a Faust app whose agents hold the subscriptions and whose consumer feeds the lanes."""
    register_transport()
    settings = engine.settings
    app = WorkerApp(
        settings.group,
        broker=f"{SCHEME}://" + f";{SCHEME}://".join(settings.kafka_bootstrap.split(",")),
        broker_credentials=broker_credentials(settings),
        store="memory://",
        processing_guarantee="at_least_once",
        web_enabled=False,
        autodiscover=False,
        broker_commit_interval=1.0,
        broker_session_timeout=settings.session_seconds,
        broker_heartbeat_interval=settings.session_seconds / 10,
        broker_request_timeout=max(90.0, settings.session_seconds),  # Faust refuses to start where a session is longer
        broker_rebalance_timeout=60.0,
        broker_max_poll_interval=_DAY_SECONDS,  # a spare worker without partitions fetches nothing, yet must stay a member
        broker_max_poll_records=max(settings.batch_records, 500),
        consumer_group_instance_id=settings.instance,
        consumer_auto_offset_reset="earliest",  # until the lane seeks; the broker's idea of the position is never used
        stream_wait_empty=False,
        stream_publish_on_commit=False,
        stream_buffer_maxsize=512,
        stream_recovery_delay=0.0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,  # the client library's own round robin: lanes of different topics need not share a worker
        agent_supervisor=CrashingSupervisor,
        TableManager=_NoTables,
    )
    app.lanes, app.log_view, app.meter, app.rapport_settings = engine.lanes, engine.log_view, engine.meter, settings
    for name in engine.lanes.topics:
        topic = app.topic(settings.topic(name), key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        app.agent(topic, name=f"lanes.{name}")(hold_subscription)
    _attach(app, engine)
    return app


async def hold_subscription(stream: Any) -> None:  # noqa: ANN401 - Faust's stream
    """Keep Faust subscribed. No record ever comes this way; one that does has left the lanes, and that must not go unseen."""
    async for _ in stream:
        message = "a record came through Faust's own path instead of its lane"
        raise FatalError(message)


def _attach(app: WorkerApp, engine: Engine) -> None:
    async def watch() -> None:
        try:
            await engine.lanes.watch(app.consumer.behind)
        except Exception as error:  # noqa: BLE001 - nothing may escape: a worker without its watch must not live on
            engine.watchdog.fail(f"watch: {error!r}")

    async def drain(*_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401 - Faust's signal
        try:
            await asyncio.wait_for(app.consumer.commit(), _ADVICE_SECONDS)
        except Exception as error:  # noqa: BLE001 - advice only: whatever hinders it must not keep what is in hand from its end
            log.info("no last advice", error=repr(error))
        await engine.drain()
        await engine.health.stop()
        if not app.crashed:
            engine.watchdog.relax()

    app.task(watch)
    app.on_before_shutdown.connect(drain, weak=False)


class _Worker(faust.Worker):  # type: ignore[misc] # Faust is not typed for us
    """Faust's worker, which cannot stop for ever, and knows whether it was asked to stop."""

    def __init__(self, app: WorkerApp, *, watchdog: ExitWatchdog, **options: Any) -> None:  # noqa: ANN401 - Faust's options
        super().__init__(app, **options)
        self._watchdog = watchdog
        self._asked = False
        self.spinner = None

    def _schedule_shutdown(self, signal: Any) -> None:  # noqa: ANN401 - a signal
        self._asked = self._asked or not (self.crashed or self._watchdog.failed)
        self._watchdog.arm("did not stop in time")
        super()._schedule_shutdown(signal)

    def work(self) -> int:
        """Work until told to stop or unable to go on; returns the exit code.

        What Faust or the client library trip over once we were asked to stop is told and no failure: a stop that nobody answers
        leaves the fence where a crash would, and whoever is next goes on from there.
        """
        code: Any = EXIT_FAILED
        try:
            self.execute_from_commandline()
        except SystemExit as ending:
            code = ending.code
        except asyncio.CancelledError:  # Faust crashes with what it was cancelled by
            log.info("cancelled", crash=repr(self.crash_reason))
        unable = self._watchdog.failed or (not self._asked and (code != 0 or self.crash_reason is not None))
        return EXIT_FAILED if unable else 0


def run_worker(settings: Settings, program: Program[Any]) -> int:
    """Run a worker until SIGTERM or SIGINT; returns the exit code, 0 after a clean stop and 70 when it stopped itself.

    UsageError where its metrics cannot be served.
    """
    return run_engine(build_engine(settings, program))


def run_engine(engine: Engine) -> int:
    """Do as `run_worker` with an engine that was built before."""
    check_versions(engine.settings)
    warn_of_missing_extension()
    with ending_at_once_when_asked():
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        engine.meter.set(metrics.BUILD_INFO, 1, version=version("rapport"), **_versions())
        if engine.settings.metrics_port:  # first of all: a port that is taken is told before anything has begun
            loop.run_until_complete(engine.health.start(engine.settings.metrics_host, engine.settings.metrics_port))
        engine.watchdog.start()
        loop.call_soon(_keep_beating, loop, engine.watchdog)
        spare_the_collector()
        worker = _Worker(build_app(engine), watchdog=engine.watchdog, loop=loop, quiet=True, override_logging=False)
        code = worker.work()
        ignore_requests()
        engine.watchdog.conclude(code)
    return code


def _keep_beating(loop: asyncio.AbstractEventLoop, watchdog: ExitWatchdog) -> None:
    """Beat from the first turn of the loop on: a loop that blocks while the worker still joins its group must be noticed too."""
    watchdog.beat()
    loop.call_later(_BEAT_SECONDS, _keep_beating, loop, watchdog)


def _versions() -> dict[str, str]:
    return {"faust": version("faust-streaming"), "aiokafka": version("aiokafka")}
