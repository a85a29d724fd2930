"""What befalls a firm that runs the shipped program, and on which of its days."""

import asyncio
import os
import signal
from collections import Counter
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
from models.triggers import Decision, DecisionOutcome
from streams.engine.failpoints import AFTER_COMMIT, BEFORE_COMMIT, BEFORE_TRIM
from streams.state.keys import PartitionKeys
from streams.wire.topics import CLIENT_EVENTS, DEAD_LETTERS, DECISIONS, WEBHOOKS
from tests.chaos.faults import dump_keys, restore_keys
from tests.chaos.firm import NEXT_RELEASE, SECRET, SESSION_SECONDS, THIS_RELEASE, Firm, Role
from tests.chaos.matrix import AGAIN, ANOTHER, BEHIND, NO_BROKER
from tests.integration.engine_world import Worker, feed, on_the_log, read_topic, to_topic
from tests.waiting import pause, until_async

Happening = Callable[[Firm], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class FirmFault:
    """What happens on which day, while that day's webhooks are posted; `row` is that of the fault matrix.

    `ambiguous`: of so many mails nobody may know whether they left. `sign` is what processes must have logged, as for other
    faults; empty for those that are sure to happen, and those that look by themselves at what came of them.
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


_STOP: Final = "a trial of stopping"
_HOLD: Final = "a trial of overrides"


class Stopped:
    """A person stops all contact on one day and lets it go on some days later; between the two no mail leaves."""

    def __init__(self) -> None:
        """Begin with nothing stopped."""
        self._mails = 0

    async def halt(self, firm: Firm) -> None:
        """Stop all contact."""
        await firm.order("halt", "all", "--reason", _STOP)
        await firm.rest()
        self._mails = len(firm.sink.mails)

    async def resume(self, firm: Firm) -> None:
        """Let contact go on."""
        await firm.rest()
        assert len(firm.sink.mails) == self._mails, "mails left although all contact was stopped"
        assert await _held(firm, _STOP), "nothing was due while all contact was stopped, so the trial proves nothing"
        await firm.order("resume", "all", "--reason", "tried")


class OneHeld:
    """A person holds contact with the client that was written to most; to the end no mail leaves to it."""

    def __init__(self) -> None:
        """Begin with nobody held."""
        self._address = ""
        self._mails = 0

    async def hold(self, firm: Firm) -> None:
        """Hold contact with the client, by hand."""
        await firm.rest()
        self._address = Counter(_addresses(firm)).most_common(1)[0][0]
        self._mails = _addresses(firm).count(self._address)
        client = next(person.client_id for person in people() if person.email == self._address)
        await firm.order("overrides", "set", client, "--effect", "hold", "--reason", _HOLD)

    async def see(self, firm: Firm) -> None:
        """See what came of it."""
        await firm.rest()
        assert _addresses(firm).count(self._address) == self._mails, f"a mail left to {self._address}, with whom contact was held"
        assert await _held(firm, _HOLD), "nothing was due while the client was held, so the trial proves nothing"


def _addresses(firm: Firm) -> list[str]:
    return [address for mail in firm.sink.mails for address in mail.recipients]


async def _held(firm: Firm, reason: str) -> int:
    """Return how many contacts were held back for the reason that a person gave."""
    decided = await read_topic(firm.settings, DECISIONS)
    rows = [Decision.model_validate_json(record.value or b"") for records in decided.values() for record in records]
    return sum(row.outcome is DecisionOutcome.HELD and any(reason in words for words in row.reasons) for row in rows)


async def letter_redriven(firm: Firm) -> None:
    """Drive again what cannot be read; it comes back as a dead letter, and nobody else notices."""
    await feed(firm.settings, [to_topic(WEBHOOKS, b"{")])
    await firm.rest()
    before = await _letters(firm)
    await firm.order("dead-letters", "redrive", "--all", "--note", "a trial")
    await firm.rest()
    assert 0 < before < await _letters(firm), "what was driven again did not come back as a dead letter"


async def _letters(firm: Firm) -> int:
    return sum(map(len, (await read_topic(firm.settings, DEAD_LETTERS)).values()))


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
_ONE_HELD: Final = OneHeld()

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
    FirmFault("5s", "broker killed with -9 and restarted, twice", on(_DAYS[::2], *[broker_killed] * 2), sign=NO_BROKER),
    FirmFault("10s", "Valkey killed with -9 and restarted, four times", on(_DAYS, *[valkey_killed] * 4), sign=AGAIN),
    FirmFault(
        "11s",
        "Redis lost a day, learners and ledgers too, four times",
        on(_DAYS, *[tail_lost] * 4),
        ambiguous=4 * MAILS_AT_ONCE,
        sign=BEHIND,
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
        on(
            (24, 34, 36, 44, 54, 58),
            _STOPPED.halt,
            _STOPPED.resume,
            _ONE_HELD.hold,
            letter_redriven,
            key_rotated,
            _ONE_HELD.see,
        ),
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
