"""The shipped program as a firm runs it, living through days that break: gateway, two workers, trainer, channels, mail server."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Final

import orjson
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from handlers.demo.backlog import Backlogs
from handlers.demo.crew import DemoError
from handlers.demo.firm import FirmYear, Webhook
from handlers.demo.posting import Poster
from handlers.demo.smtp_sink import SmtpSink
from handlers.stack.local import LocalStack
from handlers.stack.ports import free_ports
from models.events.envelope import epoch_ms
from streams.runtime.clock import FileClock, monotonic
from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from tests.commands import run_rapport
from tests.integration.engine_world import Crew, Worker, crew_of, environment
from tests.waiting import pause, until_async

SESSION_SECONDS: Final = 3
THIS_RELEASE: Final = "handlers.cli"
NEXT_RELEASE: Final = "tests.chaos.next_release"
LEARNING: Final = {
    "RAPPORT_LEARNER_SNAPSHOT_EXAMPLES": "15",
    "RAPPORT_LEARNER_GUARD_ANSWERS": "20",
    "RAPPORT_LEARNER_GUARD_MARGIN": "1",
}
"""So few answers that a learner puts itself in force within the days of a trial."""
SECRET: Final = "whsec_chaos"
_TRIES: Final = 30
_FOLLOWED_LATER: Final = ("is on the log, but no worker", "is in the log, but partitions")


class Role(StrEnum):
    """The processes of a firm, by the command that starts them."""

    GATEWAY = "serve-webhooks"
    WORKER = "worker"
    TRAINER = "run-trainer"
    CHANNELS = "run-channels email task"


_WANTED: Final = Counter({Role.WORKER: 2, Role.GATEWAY: 1, Role.TRAINER: 1, Role.CHANNELS: 1})


@dataclass(slots=True, kw_only=True)
class Firm:
    """All that a fault may reach for, and what the mail server was given.

    `left` is when each mail left, by the firm's clock. `forgotten` are triggers whose mails left in a moment that Redis has
    lost. `primed` are processes that were told to kill themselves at a bad moment. `release` is the one that is started now.
    """

    settings: Settings
    crew: Crew
    sink: SmtpSink
    poster: Poster
    backlogs: Backlogs
    clock: Path
    told: dict[str, str]
    dice: Random
    stack: LocalStack
    now: datetime
    posts: int = 0
    slowest: float = 0.0
    left: list[datetime] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)
    primed: list[Worker] = field(default_factory=list)
    release: str = THIS_RELEASE
    wanted: Counter[Role] = field(default_factory=_WANTED.copy)
    _staff: dict[Role, list[Worker]] = field(default_factory=dict)

    def start(self, role: Role, **more: str) -> Worker:
        """Start one more process of `role`."""
        worker = self.crew.start(module=f"{self.release} {role}", **{**self.told, **more})
        self._staff.setdefault(role, []).append(worker)
        return worker

    def living(self, role: Role) -> list[Worker]:
        """Return the processes of `role` that live."""
        return [worker for worker in self._staff.get(role, ()) if worker.process.poll() is None]

    def replace(self, role: Role, **more: str) -> Worker:
        """Kill a process of `role` with -9 and start another."""
        self.dice.choice(self.living(role)).kill()
        return self.start(role, **more)

    def prime(self, role: Role, place: str) -> None:
        """Put in the place of a process of `role` one that kills itself at `place`."""
        self.primed.append(self.replace(role, RAPPORT_FAILPOINT=place))

    async def order(self, *command: str) -> str:
        """Run `rapport COMMAND` as a person does, and return what it says; it is no failure that workers follow later."""
        told = {**environment(self.settings), **self.told}
        done = await asyncio.to_thread(run_rapport, told, *command)
        later = done.returncode == 1 and any(words in done.stdout + done.stderr for words in _FOLLOWED_LATER)
        assert done.returncode == 0 or later, f"{command}: {done.stderr or done.stdout}"
        return done.stdout

    def mind(self) -> None:
        """Start whoever has died, as a supervisor does."""
        for role, count in self.wanted.items():
            for _ in range(count - len(self.living(role))):
                self.start(role)

    def mailed(self) -> list[str]:
        """Return the trigger of each mail, in order of arrival."""
        return [mail.message_id.partition("@")[0] for mail in self.sink.mails]

    def open_day(self, now: datetime) -> None:
        """Set the clock of all processes."""
        self.now = now
        FileClock.write(self.clock, now)

    async def post(self, webhooks: Sequence[Webhook]) -> None:
        """Deliver `webhooks` as a processor does: again and again, until each was answered with a 2xx."""
        self.posts += len(webhooks)
        for _ in range(_TRIES):
            try:
                await self.poster.post(webhooks, at=self.now)
            except DemoError:
                self.mind()
                await pause(0.5)
            else:
                return
        message = f"the gateway did not take what was posted in {_TRIES} tries"
        raise AssertionError(message)

    async def rest(self, *, within: float = 150) -> None:
        """Wait until nothing is left to do at this moment of the firm's clock; all mails so far left by then."""
        begun, now_ms = monotonic(), epoch_ms(self.now)

        async def over() -> bool:
            self.mind()
            try:
                return not (await self.backlogs.look(now_ms=now_ms)).total
            except (KafkaError, RedisError, RetryError, OSError):
                return False

        await until_async(over, timeout=within, what=f"rest on {self.now:%d %b}")
        self.slowest = max(self.slowest, monotonic() - begun)
        self.left += [self.now] * (len(self.sink.mails) - len(self.left))

    async def finish(self) -> None:
        """Stop the trainer, which writes to the log when it activates what it learned, and come to rest."""
        del self.wanted[Role.TRAINER]
        for trainer in self.living(Role.TRAINER):
            await asyncio.to_thread(trainer.stop)
        await self.rest()


@asynccontextmanager
async def firm_of(settings: Settings, year: FirmYear, *, folder: Path, seed: int, stack: LocalStack) -> AsyncIterator[Firm]:
    """Open the firm on the first day of `year`; `settings` name a clock file. Logs go to `folder`."""
    assert settings.clock_file is not None
    start = next(now for now, _ in year.moments())
    FileClock.write(settings.clock_file, start)
    (port,) = free_ports(1)
    async with (
        SmtpSink() as sink,
        Poster(f"http://127.0.0.1:{port}", secret=SECRET) as poster,
        Backlogs(settings) as backlogs,
    ):
        with crew_of(settings, folder) as crew:
            told = {
                **LEARNING,
                "RAPPORT_CLOCK_FILE": str(settings.clock_file),
                "RAPPORT_WEBHOOK_PORT": str(port),
                "RAPPORT_WEBHOOK_SECRETS": orjson.dumps({"stripe": [SECRET]}).decode(),
                "RAPPORT_SMTP_PORT": str(sink.port),
                "RAPPORT_SMTP_TIMEOUT_SECONDS": "5",  # an attempt that was cut counts as ambiguous after twice that
                "RAPPORT_SESSION_SECONDS": str(SESSION_SECONDS),
                "RAPPORT_STALL_SECONDS": "30",
                "RAPPORT_EXIT_SECONDS": "10",
                "RAPPORT_LEARNER_CHECK_HOURS": "0",
            }
            firm = Firm(
                settings=settings,
                crew=crew,
                sink=sink,
                poster=poster,
                backlogs=backlogs,
                clock=settings.clock_file,
                told=told,
                dice=Random(seed),
                stack=stack,
                now=start,
            )
            firm.mind()
            await until_async(poster.is_ready, timeout=90, what="the gateway")
            yield firm
