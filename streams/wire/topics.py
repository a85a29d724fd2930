"""Every topic in one table: created from here, documented from here, checked against compose from here."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CHANNELS: Final = ("email", "sms", "webhook", "portal", "task", "console")
"""Delivery channels with a worker; each has a topic `triggers.<channel>`."""

DAY_MS: Final = 24 * 3600 * 1000


class Partitioning(StrEnum):
    """`client`: as many partitions as the client log, partition p of one belongs to partition p of the other; `single`: one."""

    CLIENT = "client"
    SINGLE = "single"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and the settings it is created with.

    `retention_ms` -1 keeps records for ever. `log_append_time` makes the broker stamp arrival. `max_bytes` is the largest
    record accepted. `erased_within_ms`: a record whose key was taken back is gone from the broker's disk after so long.
    """

    name: str
    holds: str
    partitioning: Partitioning = Partitioning.CLIENT
    retention_ms: int = 30 * DAY_MS
    compacted: bool = False
    erased_within_ms: int | None = None
    max_bytes: int = 1_048_576

    def config(self) -> dict[str, str]:
        """Return the broker settings of this topic."""
        config = {
            "cleanup.policy": ",".join(self.cleanup),
            "retention.ms": str(self.retention_ms),
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(self.max_bytes),
        }
        return config if self.erased_within_ms is None else {**config, "max.compaction.lag.ms": str(self.erased_within_ms)}

    @property
    def cleanup(self) -> list[str]:
        """How the broker forgets: older records of a key, records beyond the retention, or both."""
        return ["compact"] * self.compacted + ["delete"] * (not self.compacted or self.retention_ms >= 0)


WEBHOOKS: Final = Topic("webhooks", "raw signed webhook bodies, as received")
PAYMENTS: Final = Topic("payments", "payment events, sent to us directly")
INVOICES: Final = Topic("invoices", "invoice, credit note and contract events, sent to us directly")
DELAYS: Final = Topic("delays", "delay, dispute and promise events, sent to us directly")
SIGNALS: Final = Topic("signals", "consent, profile, override and outcome events")
# One log per client is the truth that state is rebuilt from: it must outlive the oldest backup of Redis by far.
CLIENT_EVENTS: Final = Topic("client.events", "the one canonical log, keyed by client", retention_ms=-1)
CONTROL_KEY: Final = b""
"""Key of records of the client log that are about their whole partition: clock ticks, activations. No client has no name."""

DECISIONS: Final = Topic("decisions", "why something was sent, held or not sent", retention_ms=400 * DAY_MS)
# Learners that begin anew learn from here. A yearly contract gives one answer a year: five of them are a beginning.
# One partition: a trainer learns in log order, and that order must be the same whoever reads it, whenever.
EXAMPLES: Final = Topic(
    "examples",
    "answered questions: what the learners learn from",
    partitioning=Partitioning.SINGLE,
    retention_ms=1830 * DAY_MS,
    compacted=True,
    erased_within_ms=14 * DAY_MS,
)
SNAPSHOTS: Final = Topic(
    "learner.snapshots",
    "versions of the learners with how good they were, keyed by version",
    partitioning=Partitioning.SINGLE,
    retention_ms=-1,
    compacted=True,
)
DEAD_LETTERS: Final = Topic(
    "dead.letters",
    "unreadable records with stage, reason, position and the original bytes",
    partitioning=Partitioning.SINGLE,
    retention_ms=90 * DAY_MS,
    max_bytes=2_097_152,  # a record of 1 MiB and its description
)
TRIGGERS: Final = {name: Topic(f"triggers.{name}", f"triggers and retractions for {name}") for name in CHANNELS}

INTAKE_TOPICS: Final = (WEBHOOKS, PAYMENTS, INVOICES, DELAYS, SIGNALS)
"""What the intake agents read and merge into `client.events`."""

TOPICS: Final = (*INTAKE_TOPICS, CLIENT_EVENTS, *TRIGGERS.values(), DECISIONS, EXAMPLES, SNAPSHOTS, DEAD_LETTERS)

COMPACTED: Final = frozenset(topic.name for topic in TOPICS if topic.compacted)
"""Bare names of the topics that keep the last record of each key."""
