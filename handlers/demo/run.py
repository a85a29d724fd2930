"""The demo from start to end: servers, crew, year, ledger, proof, last page; whatever happens, nothing it started is left."""

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

from handlers.channels.redis_tasks import RedisTaskBoard
from handlers.demo.backlog import SERVED_CHANNELS, Backlogs
from handlers.demo.crew import Crew, DemoError
from handlers.demo.driving import PATIENCE_SECONDS, Crash, Drive
from handlers.demo.firm import YEAR_START, FirmYear, firm_year
from handlers.demo.learned import GUARD_ANSWERS
from handlers.demo.ledger import Adopted, adopt, read_plan
from handlers.demo.live import Stage
from handlers.demo.outage import Outage
from handlers.demo.place import Place, deployment, log_folder, servers
from handlers.demo.posting import Poster
from handlers.demo.smtp_sink import SmtpSink
from handlers.demo.summary import Outcome, farewell, summary
from handlers.demo.verifying import check_mails, gather_evidence
from handlers.stack.ports import free_ports
from models.events.envelope import epoch_ms
from streams.runtime.clock import fresh_id, monotonic
from streams.wire.kafka import kafka_environment

_READY_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.05


def run_demo(*, days: int, seed: int, ledger: Path, keep: bool) -> int:
    """Run the demo and return its exit code."""
    stage, started, logs = Stage(), monotonic(), log_folder()
    year = firm_year(seed=seed, days=days)
    stage.say(f"invented a firm: {len(year.clients)} clients, {len(year.webhooks):,} webhooks in {days} days (seed {seed})")
    try:
        with servers(stage, keep=keep) as on, deployment(on, logs=logs) as place:
            run = _Run(place=place, year=year, ledger=ledger, has_ledger=ledger.is_file(), stage=stage)
            asyncio.run(run.live())
            for line in farewell(place, keep=keep, own=on.own, seconds=monotonic() - started):
                stage.line(line)
    except DemoError as error:
        print(f"rapport demo: {error}\nlogs of all processes: {logs}", file=sys.stderr)
        return 1
    return 0


@dataclass(slots=True, kw_only=True)
class _Run:
    """One run on running servers."""

    place: Place
    year: FirmYear
    ledger: Path
    has_ledger: bool
    stage: Stage
    secret: str = field(default_factory=lambda: f"whsec_{fresh_id()}")

    async def live(self) -> None:
        """Start the crew, live the year, adopt the ledger, prove, and print the last page."""
        (port,) = free_ports(1)
        async with AsyncExitStack() as stack:
            sink = await stack.enter_async_context(SmtpSink())
            crew = stack.enter_context(Crew(self.place.logs, environment=self._environment(port, sink.port)))
            for name, *command in (
                ("gateway", "serve-webhooks"),
                ("worker-1", "worker"),
                ("worker-2", "worker"),
                ("channels", "run-channels", *SERVED_CHANNELS),
                ("trainer", "run-trainer"),
            ):
                crew.start(name, *command)
            poster = await stack.enter_async_context(Poster(f"http://127.0.0.1:{port}", secret=self.secret))
            backlogs = await stack.enter_async_context(Backlogs(self.place.settings))
            await _until_ready(poster, crew)
            self.stage.say(f"gateway, two workers, the channels and the trainer run; logs in {self.place.logs}")
            crash = Crash(day=self.year.length // 2, victim="worker-1", successor="worker-3")
            # Meanwhile, for there is time while the workers join their group:
            plan = asyncio.create_task(read_plan(self.ledger, crew=crew)) if self.has_ledger else None
            outage = Outage(
                begins=YEAR_START + timedelta(days=self.year.length * 2 // 3),
                settings=self.place.settings,
                crew=crew,
                say=self.stage.say,
            )
            now = await self._pass_the_year(poster, backlogs, crew, sink, crash=crash, outage=outage)
            adopted = None
            if plan is not None:
                adopted = Adopted(name=self.ledger.name, totals=await plan)
                await adopt(self.ledger, crew=crew, backlogs=backlogs, now=now, mails=sink.mails, stage=self.stage)
            # It writes to the client log when it activates what it learned, which must not change while it is compared.
            await asyncio.to_thread(crew.finish, "trainer")
            await backlogs.settle(now_ms=epoch_ms(now), patience_seconds=PATIENCE_SECONDS)
            await self._prove(backlogs, sink, crash=crash, outage=outage, now=now, adopted=adopted)

    async def _pass_the_year(
        self, poster: Poster, backlogs: Backlogs, crew: Crew, sink: SmtpSink, *, crash: Crash, outage: Outage
    ) -> datetime:
        drive = Drive(
            clock=self.place.clock,
            poster=poster,
            backlogs=backlogs,
            crew=crew,
            mails=lambda: len(sink.mails),
            show=self.stage.show,
            say=self.stage.say,
            outage=outage,
        )
        with self.stage.year(days=self.year.length):
            return await drive.through(self.year, crash=crash)

    async def _prove(
        self, backlogs: Backlogs, sink: SmtpSink, *, crash: Crash, outage: Outage, now: datetime, adopted: Adopted | None
    ) -> None:
        self.stage.say("folding the whole log anew, to compare with what the workers stored and published ...")
        evidence = await gather_evidence(self.place.settings)
        mails = [mail.message_id.partition("@")[0] for mail in sink.mails]
        check_mails(mails, evidence)
        board = RedisTaskBoard(self.place.settings)
        try:
            tasks = await board.tasks()
        finally:
            await board.close()
        last = await backlogs.look(now_ms=epoch_ms(now))
        outcome = Outcome(
            year=self.year,
            evidence=evidence,
            mails=mails,
            tasks=tasks,
            now=now,
            victim=crash.victim,
            outage=outage,
            left=last,
            adopted=adopted,
        )
        self.stage.line()
        for line in summary(outcome):
            self.stage.line(line)

    def _environment(self, port: int, smtp_port: int) -> dict[str, str]:
        settings = self.place.settings
        return {
            **kafka_environment(settings),
            "REDIS_URL": settings.redis_url,
            "RAPPORT_PARTITIONS": str(settings.partitions),
            "RAPPORT_GROUP": settings.group,
            "RAPPORT_NAMESPACE": settings.namespace,
            "RAPPORT_TOPIC_PREFIX": settings.topic_prefix,
            "RAPPORT_CLOCK_FILE": str(self.place.clock),
            "RAPPORT_SESSION_SECONDS": str(self.place.session_seconds),
            "RAPPORT_WEBHOOK_PORT": str(port),
            "RAPPORT_WEBHOOK_SECRETS": orjson.dumps({"stripe": [self.secret]}).decode(),
            "RAPPORT_SMTP_PORT": str(smtp_port),
            "RAPPORT_LEARNER_GUARD_ANSWERS": str(GUARD_ANSWERS),
            "RAPPORT_LEARNER_CHECK_HOURS": "0",  # where a day passes in a moment, answers are on their way for weeks
            "RAPPORT_FIRM_NAME": "Fennimore & Okoye Advisory",
            "RAPPORT_MAIL_FROM": "Fennimore & Okoye <care@fennimore-okoye.example>",
        }


async def _until_ready(poster: Poster, crew: Crew) -> None:
    deadline = monotonic() + _READY_SECONDS
    while not await poster.is_ready():
        crew.raise_if_dead()
        if monotonic() > deadline:
            message = f"the gateway was not ready within {_READY_SECONDS:.0f} s"
            raise DemoError(message)
        await asyncio.sleep(_PAUSE_SECONDS)
