"""What befalls a firm that runs the shipped program, and on which of its days."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import orjson
import redis

from handlers.channels.contract import Limits
from handlers.channels.failpoints import OUTCOME_PUBLISHED, PROVIDER_ACCEPTED
from handlers.demo.people import Person, people
from models.events.signals import ClientProfiled
from streams.engine.failpoints import AFTER_COMMIT, BEFORE_COMMIT, BEFORE_TRIM
from streams.state.keys import PartitionKeys
from streams.wire.topics import CLIENT_EVENTS, WEBHOOKS
from tests.chaos.faults import dump_keys, restore_keys
from tests.chaos.firm import NEXT_RELEASE, SECRET, SESSION_SECONDS, THIS_RELEASE, Firm, Role
from tests.chaos.matrix import ANOTHER
from tests.integration.engine_world import Worker, feed, on_the_log, to_topic
from tests.waiting import pause, until_async

Happening = Callable[[Firm], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class FirmFault:
    """What happens on which day, while that day's webhooks are posted; `row` is that of the fault matrix.

    `ambiguous`: of so many nobody may know whether
    they left. `sign` is what workers must have logged, as for other faults.
    """

    row: str
    name: str
    days: Mapping[int, Happening]
    ambiguous: int = 0
    sign: str = ""


def primed(role: Role, place: str) -> Happening:
    """Return what kills a process of `role` with -9 and puts another in its place, which kills itself at `place`."""

    async def happen(firm: Firm) -> None:
        firm.prime(role, place)

    return happen


def killed(role: Role) -> Happening:
    """Return what kills a process of `role` with -9 at a moment drawn at random, with the day's webhooks on their way."""

    async def happen(firm: Firm) -> None:
        await pause(firm.dice.uniform(0.0, 0.3))
        firm.replace(role)

    return happen


async def worker_stopped_for_long(firm: Firm) -> None:
    """Stop a worker past its session; the day is not over before it was continued and found that others had gone on."""
    worker = firm.dice.choice(firm.living(Role.WORKER))
    os.kill(worker.process.pid, signal.SIGSTOP)
    await pause(SESSION_SECONDS + 3)
    await firm.rest()
    os.kill(worker.process.pid, signal.SIGCONT)
    await pause(2)


async def broker_killed(firm: Firm) -> None:
    """Kill the broker, and start it again."""
    await asyncio.to_thread(firm.stack.kill, "kafka-1")
    await pause(1)
    await asyncio.to_thread(firm.stack.resume, "kafka-1")


async def valkey_killed(firm: Firm) -> None:
    """Kill Valkey, and start it again on its append-only file."""
    await asyncio.to_thread(firm.stack.kill, "valkey")
    await pause(1)
    await asyncio.to_thread(firm.stack.resume, "valkey")


async def tail_lost(firm: Firm) -> None:
    """Turn Redis back to the moment before the day began, when its mails have left: all that it knew of the day is gone."""
    with redis.Redis.from_url(firm.settings.redis_url) as wire:
        known, kept = len(firm.sink.mails), dump_keys(wire, firm.settings)
        await firm.rest()
        firm.forgotten.update(firm.mailed()[known:])
        restore_keys(wire, firm.settings, kept)


class Stopped:
    """A person stops all contact on one day and lets it go on the next; between the two no mail leaves."""

    def __init__(self) -> None:
        """Begin with nothing stopped."""
        self._mails = 0

    async def halt(self, firm: Firm) -> None:
        """Stop all contact."""
        await firm.order("halt", "all", "--reason", "a trial of stopping")
        await firm.rest()
        self._mails = len(firm.sink.mails)

    async def resume(self, firm: Firm) -> None:
        """Let contact go on."""
        await firm.rest()
        assert len(firm.sink.mails) == self._mails, "mails left although all contact was stopped"
        await firm.order("resume", "all", "--reason", "tried")


async def client_held(firm: Firm) -> None:
    """Hold contact with a client, by hand."""
    client = firm.dice.choice(people()).client_id
    await firm.order("overrides", "set", client, "--effect", "hold", "--reason", "a trial of overrides")


async def letter_redriven(firm: Firm) -> None:
    """Drive again what cannot be read; it comes back as a dead letter, and nobody else notices."""
    await feed(firm.settings, [to_topic(WEBHOOKS, b"{")])
    await firm.rest()
    await firm.order("dead-letters", "redrive", "--all", "--note", "a trial")


async def key_rotated(firm: Firm) -> None:
    """Give the gateway a new secret beside the old one, with which the processor still signs."""
    firm.told["RAPPORT_WEBHOOK_SECRETS"] = orjson.dumps({"stripe": ["whsec_next", SECRET]}).decode()
    firm.replace(Role.GATEWAY)


async def deployed_forwards(firm: Firm) -> None:
    """Replace every process that reads states by one of the release to come, one after the other: channels before workers."""
    await _deploy(firm, NEXT_RELEASE, Role.CHANNELS)
    await _deploy(firm, NEXT_RELEASE, Role.WORKER)


async def met_by_an_old_worker(firm: Firm) -> None:
    """Put an old worker beside a new one: what the new one has written, the old one leaves as it is and stands still."""
    firm.release = THIS_RELEASE
    _leave(firm.living(Role.WORKER)[0])
    old = firm.start(Role.WORKER)
    firm.release = NEXT_RELEASE
    await until_async(lambda: old.said("partitions assigned"), timeout=90, what="an old worker that has partitions")
    await feed(firm.settings, on_the_log([_named_anew(person, firm.now) for person in people()], firm.settings))
    await until_async(lambda: old.said("this release cannot read"), timeout=90, what="an old worker that stands still")
    assert old.process.poll() is None, "an old worker ended in place of standing still"
    _leave(old)


def _named_anew(person: Person, at: datetime) -> ClientProfiled:
    event_id = f"named-anew-{person.client_id}"
    return ClientProfiled(
        event_id=event_id, source="test", client_id=person.client_id, occurred_at=at, received_at=at, name=person.name
    )


async def rolled_back(firm: Firm) -> None:
    """Go back to the old release, whose workers fold everything anew, as they do when Redis has lost it."""
    firm.release = THIS_RELEASE
    for role in (Role.CHANNELS, Role.WORKER):
        for process in firm.living(role):
            await asyncio.to_thread(process.stop)
    with redis.Redis.from_url(firm.settings.redis_url) as wire:
        for partition in range(firm.settings.partitions):
            wire.delete(*PartitionKeys.of(firm.settings, CLIENT_EVENTS.name, partition).all())
    firm.mind()


def _leave(worker: Worker) -> None:
    worker.process.send_signal(signal.SIGTERM)


async def _deploy(firm: Firm, release: str, role: Role) -> None:
    firm.release = release
    for old in firm.living(role):
        new = firm.start(role)
        await until_async(partial(new.said, "partitions assigned"), timeout=90, what=f"a new {role}")
        await pause(firm.dice.uniform(1, 3))
        await asyncio.to_thread(old.stop)


def on(days: tuple[int, ...], *happenings: Happening) -> dict[int, Happening]:
    """Return what happens on which of `days`, one after the other."""
    return dict(zip(days, happenings, strict=True))


MAILS_AT_ONCE: Final = Limits().concurrency
"""Mails that one process may have under way, and so the most of which nobody knows after it was killed."""

_DAYS: Final = (24, 34, 44, 54)

_STOPPED: Final = Stopped()

FIRM_FAULTS: Final = (
    FirmFault(
        "1s",
        "workers killed with -9: before and after a commit, before a trim, at random",
        on(
            _DAYS,
            primed(Role.WORKER, f"{BEFORE_COMMIT}:3"),
            primed(Role.WORKER, f"{AFTER_COMMIT}:3"),
            primed(Role.WORKER, f"{BEFORE_TRIM}:2"),
            killed(Role.WORKER),
        ),
    ),
    FirmFault(
        "2s",
        "worker stopped past its session, then continued, twice",
        on(_DAYS[::2], *[worker_stopped_for_long] * 2),
        sign=ANOTHER,
    ),
    FirmFault("5s", "broker killed with -9 and restarted, twice", on(_DAYS[::2], *[broker_killed] * 2)),
    FirmFault("10s", "Valkey killed with -9 and restarted, four times", on(_DAYS, *[valkey_killed] * 4)),
    FirmFault(
        "11s", "Redis lost a day, learners and ledgers too, four times", on(_DAYS, *[tail_lost] * 4), ambiguous=4 * MAILS_AT_ONCE
    ),
    FirmFault(
        "27s",
        "channels killed with -9: mail accepted and not noted, outcome told and not noted, at random",
        on(
            _DAYS,
            primed(Role.CHANNELS, PROVIDER_ACCEPTED),
            primed(Role.CHANNELS, OUTCOME_PUBLISHED),
            primed(Role.CHANNELS, f"{PROVIDER_ACCEPTED}:3"),
            killed(Role.CHANNELS),
        ),
        ambiguous=4 * MAILS_AT_ONCE,
    ),
    FirmFault(
        "28s",
        "rolling deploy of a release with states of its own, an old worker that meets them, and the way back",
        on(_DAYS[:3], deployed_forwards, met_by_an_old_worker, rolled_back),
        sign="this release cannot read",
    ),
    FirmFault(
        "29s",
        "a stop and its end, an override, a letter driven again, a new key beside the old",
        on((24, 25, 34, 44, 54), _STOPPED.halt, _STOPPED.resume, client_held, letter_redriven, key_rotated),
    ),
    FirmFault(
        "32s",
        "trainer killed with -9: before and after a commit, before a trim, at random",
        on(
            _DAYS,
            primed(Role.TRAINER, BEFORE_COMMIT),
            primed(Role.TRAINER, AFTER_COMMIT),
            primed(Role.TRAINER, BEFORE_TRIM),
            killed(Role.TRAINER),
        ),
    ),
)
