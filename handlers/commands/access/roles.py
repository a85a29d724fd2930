"""One table of who does what: the topics that each process reads and writes, its consumer groups, and its keys in Redis."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streams.engine.tail import OUTPUT_TOPICS
from streams.runtime.settings import Settings
from streams.state.keys import directory_base
from streams.wire.topics import (
    CHANNELS,
    CLIENT_EVENTS,
    DEAD_LETTERS,
    DECISIONS,
    DELAYS,
    EXAMPLES,
    INTAKE_TOPICS,
    PAYMENTS,
    SIGNALS,
    SNAPSHOTS,
    TOPICS,
    TRIGGERS,
    WEBHOOKS,
    Topic,
)


class Operation(StrEnum):
    """What Kafka distinguishes, as its own tools write it."""

    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    DESCRIBE = "Describe"
    DESCRIBE_CONFIGS = "DescribeConfigs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A process. `groups` are endings after RAPPORT_GROUP; `looks`: it checks every topic's settings at its start.

    `folds` are topics of whose partitions it keeps something in Redis, `sees` those of which it only reads what is kept there;
    `measures`: it asks Redis how the server itself is.
    """

    name: str
    reads: tuple[Topic, ...] = ()
    writes: tuple[Topic, ...] = ()
    groups: tuple[str, ...] = ()
    looks: bool = False
    creates: bool = False
    folds: tuple[Topic, ...] = ()
    sees: tuple[Topic, ...] = ()
    directory: bool = False
    tasks: bool = False
    mailbox: bool = False
    measures: bool = False

    def topics(self) -> Iterator[tuple[Topic, tuple[Operation, ...]]]:
        """Give what it may do to each topic, in the order of the table; nothing for topics that are none of its business."""
        general = (Operation.CREATE,) * self.creates + (Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS) * self.looks
        for topic in TOPICS:
            own = (Operation.READ,) * (topic in self.reads) + (Operation.WRITE,) * (topic in self.writes)
            if own or general:
                yield topic, own + general


def _channel(name: str) -> Role:
    return Role(
        name=f"channel-{name}",
        reads=(TRIGGERS[name], DECISIONS),
        writes=(SIGNALS, DEAD_LETTERS),
        groups=(f".channels.{name}", ".channels.watch"),
        folds=(TRIGGERS[name],),
        sees=(CLIENT_EVENTS,),
        tasks=name == "task",
        mailbox=name == "portal",
    )


ROLES: Final = (
    Role(name="topics", creates=True, looks=True),
    Role(name="gateway", writes=(WEBHOOKS, SIGNALS, DELAYS)),
    Role(
        name="worker",
        reads=(*INTAKE_TOPICS, CLIENT_EVENTS, *OUTPUT_TOPICS),
        writes=(CLIENT_EVENTS, *OUTPUT_TOPICS),
        groups=("",),
        looks=True,
        folds=(*INTAKE_TOPICS, CLIENT_EVENTS),
        directory=True,
    ),
    Role(
        name="trainer",
        reads=(*INTAKE_TOPICS, CLIENT_EVENTS, DECISIONS, EXAMPLES, SNAPSHOTS),
        writes=(CLIENT_EVENTS, EXAMPLES, SNAPSHOTS),
        looks=True,
        folds=(EXAMPLES,),
        sees=(*INTAKE_TOPICS, CLIENT_EVENTS),
    ),
    Role(name="feeds", reads=(WEBHOOKS, PAYMENTS, DECISIONS), writes=(CLIENT_EVENTS,), looks=True, sees=(CLIENT_EVENTS,)),
    Role(
        name="lag",
        reads=(*INTAKE_TOPICS, CLIENT_EVENTS, DEAD_LETTERS),
        looks=True,
        sees=(*INTAKE_TOPICS, CLIENT_EVENTS),
        measures=True,
    ),
    Role(name="canary", reads=(CLIENT_EVENTS, DECISIONS), writes=(WEBHOOKS,), sees=(CLIENT_EVENTS,)),
    *(_channel(name) for name in CHANNELS),
    Role(name="portal", writes=(SIGNALS, DELAYS), sees=(CLIENT_EVENTS,), mailbox=True),
)
"""Every process that runs all the time, and `topics`, which makes the topics once. People's commands run as an operator."""


def redis_keys(role: Role, settings: Settings) -> tuple[list[str], list[str]]:
    """Return the patterns of keys that `role` writes, and those that it only reads, under `settings`."""
    written = [_kept(topic, settings) for topic in role.folds]
    if role.directory:
        written.append(f"{directory_base(settings)}*")
    if role.tasks:
        written.append(f"{{{settings.namespace}:{settings.topic('tasks')}}}:*")
    if role.mailbox:
        written.append(f"{{{settings.namespace}:{settings.topic('portal')}:*}}:*")
    return written, [_kept(topic, settings) for topic in role.sees]


def _kept(topic: Topic, settings: Settings) -> str:
    """Return the pattern of what is kept of the partitions of `topic`: states and outboxes of workers, ledgers of channels."""
    return f"{{{settings.namespace}:{settings.topic(topic.name)}:*}}:*"
