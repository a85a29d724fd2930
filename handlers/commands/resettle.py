"""`rapport resettle` (the function `resettle`): a deployment with more partitions, made from a stopped one."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from handlers.channels.ledger_move import LedgerMove
from handlers.commands.at_rest import at_rest
from streams.engine.lag import WATCHED_TOPICS
from streams.engine.producer import KafkaProducer, Outgoing
from streams.engine.resettle import resettle as copy_log
from streams.runtime.errors import UsageError
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings, load_settings
from streams.wire.admin import ensure_topics
from streams.wire.reading import read_topic
from streams.wire.topics import CHANNELS, SNAPSHOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moved:
    records: int
    triggers: int
    keys: int


def resettle(
    *,
    partitions: Annotated[int, Parameter(help="How many the new deployment has: a multiple of RAPPORT_PARTITIONS.")],
    prefix: Annotated[str, Parameter(help="RAPPORT_TOPIC_PREFIX of the new deployment, another than the old one's.")],
    namespace: Annotated[
        str | None,
        Parameter(help="RAPPORT_NAMESPACE of the new deployment; not given: the old one's, the prefix tells them apart."),
    ] = None,
    yes: Annotated[bool, Parameter(help="Do it; else only say whether it can be done.", negative="")] = False,
) -> None:
    """Make a deployment with more partitions from this one, keeping every client's order; nothing is sent twice.

    Stop the gateway, wait until `rapport lag` shows nothing waiting, then stop channel workers, workers and trainer: the command
    refuses while any of them runs or a record waits. It creates the new topics, copies the client log and the versions of the
    learners, and moves along what Redis keeps outside of it: the channels' ledgers (what was delivered, what waits), what is
    known of ids, tasks for people and messages in the portal. The old deployment stays as it is. The new workers fold the log
    anew; start the channel workers only when they are through.

    After an interruption begin again with another prefix. docs/scaling.md tells the whole way. Example:

        rapport resettle --partitions 64 --prefix v2. --yes

    Exit codes: 0 done or can be done, 1 a server is away, 2 it cannot be done, and why.
    """
    source = load_settings()
    target = source.model_copy(
        update={"partitions": partitions, "topic_prefix": prefix, "namespace": namespace or source.namespace}
    )
    if target.topic_prefix == source.topic_prefix:
        message = f"the new deployment needs another topic prefix than {source.topic_prefix!r}: topics cannot hold both logs"
        raise UsageError(message)
    if partitions % source.partitions:
        message = f"{partitions} partitions are no multiple of {source.partitions}: clients of two old partitions would share one"
        raise UsageError(message)
    if not yes:
        records = asyncio.run(_at_rest(source))
        print(f"{records:,} records would be copied into {partitions} partitions; add --yes to do it.")
        return
    moved = asyncio.run(_moved(source, target))
    print(
        f"{moved.records:,} records copied, {moved.triggers:,} triggers in the channels' ledgers and {moved.keys:,} keys moved."
    )
    print("Start the workers with these; when `rapport lag` shows nothing waiting, also channel workers, gateway and trainer:")
    print(f"export RAPPORT_PARTITIONS={partitions} RAPPORT_TOPIC_PREFIX={prefix} RAPPORT_NAMESPACE={target.namespace}")


async def _moved(source: Settings, target: Settings) -> _Moved:
    await _at_rest(source)
    await ensure_topics(target)
    producer, ledgers = KafkaProducer(target, Meter()), LedgerMove(source, target)
    try:
        standings = await ledgers.standings()
        copied = await copy_log(source, target, producer=producer, marks=standings.marks)
        await _copy_versions(source, producer)
        triggers = await ledgers.move(standings, copied.places)
        return _Moved(records=copied.records, triggers=triggers, keys=await ledgers.share())
    finally:
        await ledgers.close()
        await producer.close()


async def _copy_versions(source: Settings, producer: KafkaProducer) -> None:
    """Copy the versions of the learners, so that a person can go back to one, and the trainer knows what was published."""
    (records,) = (await read_topic(source, SNAPSHOTS.name, partitions=[0])).values()
    await producer.send_all(
        [
            Outgoing(topic=SNAPSHOTS.name, partition=0, key=record.key, value=record.value, headers=record.headers)
            for record in records
        ]
    )


async def _at_rest(settings: Settings) -> int:
    """Return how long the client log is; UsageError while anybody works on it or anything waits."""
    groups = [settings.group, *(f"{settings.group}.channels.{channel}" for channel in CHANNELS)]
    return await at_rest(settings, groups=groups, topics=[topic.name for topic in WATCHED_TOPICS])
