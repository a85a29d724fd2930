"""Two clients in different partitions, a word that makes one pass on what comes in its name, and a worker that dies of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from handlers.commands.overrides.desk import publish, read_state
from models.events.envelope import ClientEvent
from models.events.union import AnyClientEvent
from models.state.client import ClientState
from streams.engine.failpoints import BEFORE_TRIM
from streams.engine.program import ClientProgram
from streams.runtime.settings import Settings
from streams.wire.codec import decode_event
from streams.wire.partitioning import partition_of
from streams.wire.policy_file import policy_in_force
from streams.wire.topics import CLIENT_EVENTS
from tests.integration.engine_world import assert_equals_oracle, crew_of, feed, on_the_log, read_topic, until_caught_up

OLD: Final = "old-name"
NEW: Final = "new-name"
Word: TypeAlias = Callable[[ClientState | None, ClientState | None], AnyClientEvent]
"""What is said of the two, as they are known then: the old one and the new one."""


async def lived_through(
    settings: Settings, folder: Path, *, before: list[AnyClientEvent], word: Word, after: list[AnyClientEvent]
) -> None:
    """Fold `before`, then the word with a worker that dies after it has published, then `after` with another one."""
    assert partition_of(OLD, settings.partitions) != partition_of(NEW, settings.partitions)
    await feed(settings, on_the_log(before, settings))
    with crew_of(settings, folder) as crew:
        first = crew.start(module="handlers.cli worker")
        await until_caught_up(settings)
        first.stop()
        await publish(settings, word(await read_state(settings, OLD), await read_state(settings, NEW)))
        doomed = crew.start(module="handlers.cli worker", RAPPORT_FAILPOINT=f"{BEFORE_TRIM}:1")
        doomed.until_dead()
        crew.start(module="handlers.cli worker")
        await until_caught_up(settings)
        await feed(settings, on_the_log(after, settings))
        await until_caught_up(settings)


async def assert_passed_on_once(settings: Settings, *, count: int) -> None:
    """Hold that `count` events were passed on, some of them published twice, and that all came to what one thread folds."""
    log = await read_topic(settings, CLIENT_EVENTS)
    events = [decode_event(record.value) for records in log.values() for record in records]
    numbers = [event.passed_on.number for event in events if isinstance(event, ClientEvent) and event.passed_on]
    assert sorted(set(numbers)) == list(range(1, count + 1))
    assert len(numbers) > len(set(numbers))  # it had been published when the worker died, and was published again
    await assert_equals_oracle(settings, ClientProgram(policy_in_force(settings)))
