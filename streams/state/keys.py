"""Where a partition's data lives in Redis: four keys under one hash tag, so that one script may touch them all."""

from dataclasses import dataclass

from streams.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class PartitionKeys:
    """Keys of one partition of one topic.

    `fence` is a hash (gen, own, inc, next, ver, wm, the regime rg and the high-water marks hw:<topic>), `states` a hash of client
    to state, `timers` a sorted set of clients by due time in epoch ms, `outbox` a stream whose ids are
    `<source offset + 1>-<index>` (Redis refuses the id 0-0, which the first record's first output would have).
    """

    fence: str
    states: str
    timers: str
    outbox: str

    @classmethod
    def of(cls, settings: Settings, topic: str, partition: int) -> "PartitionKeys":
        """Return the keys of `topic` (its bare name) and `partition`; other deployments and prefixes have other keys."""
        tag = f"{{{settings.namespace}:{settings.topic(topic)}:{partition}}}"
        return cls(fence=f"{tag}:f", states=f"{tag}:s", timers=f"{tag}:tm", outbox=f"{tag}:ob")

    def all(self) -> tuple[str, str, str, str]:
        """Return the keys in the order in which the scripts take them."""
        return (self.fence, self.states, self.timers, self.outbox)


def directory_base(settings: Settings) -> str:
    """Return the beginning of all keys of the directory; one hash tag, as an entry may link to any other of its source."""
    return f"{{{settings.namespace}:{settings.topic('directory')}}}:"
