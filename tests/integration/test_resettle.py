"""More partitions, the way docs/scaling.md tells it: nobody's order is touched, nothing is lost and nothing is sent twice."""

import re
from pathlib import Path

import pytest

from handlers.channels.redis_ledger import RedisLedgers
from streams.runtime.settings import Settings
from streams.state.redis_store import connect_redis
from streams.wire.admin import admin_client
from streams.wire.topics import TOPICS, TRIGGERS
from tests.commands import environment_of, run_rapport
from tests.conftest import REPOSITORY
from tests.handlers.channel_bench import ScriptedChannel
from tests.integration.channel_at_hand import delivering, mails_told, paid_lately, sent_by
from tests.integration.engine_world import (
    assert_equals_oracle,
    crew_of,
    feed,
    on_the_log,
    stored_states,
    until_caught_up,
)
from tests.streams.counting import CountingProgram
from tests.waiting import until_async

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

PAGE = (REPOSITORY / "docs" / "scaling.md").read_text(encoding="utf-8")


def told(settings: Settings) -> list[str]:
    """Return the page's command, with the test's names in place of the page's."""
    (command,) = set(re.findall(r"`rapport (resettle [^`]+)`", PAGE))
    words = str(command).split()
    words[words.index("--partitions") + 1] = str(settings.partitions)
    words[words.index("--prefix") + 1] = settings.topic_prefix
    return words


async def states(settings: Settings) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for partition in range(settings.partitions):
        found |= await stored_states(settings, partition)
    return found


async def all_sent(settings: Settings, channel: ScriptedChannel) -> bool:
    """Say whether all is at rest and the provider was given every mail of the oracle, each once; reports lead to mails again."""
    await until_caught_up(settings)
    given = sent_by(channel)
    redis = connect_redis(settings)
    opened, topic = RedisLedgers(redis, namespace=settings.namespace), settings.topic(TRIGGERS["email"].name)
    depths = [await opened.open(topic, partition).depth() for partition in range(settings.partitions)]
    await redis.aclose()
    await until_caught_up(settings)
    assert len(given) == len(set(given)), "a mail was sent twice"
    return given == await mails_told(settings) and all(depth.unreported == 0 for depth in depths)


async def forget(settings: Settings) -> None:
    """Take away the topics that the command made; keys go with those of the old deployment, which has the same namespace."""
    async with admin_client(settings) as client:
        await client.delete_topics([settings.topic(topic.name) for topic in TOPICS])


async def test_more_partitions_made_as_the_page_tells_leave_every_state_as_it_was_and_send_what_waits_once(
    settings: Settings, tmp_path: Path
) -> None:
    new = settings.model_copy(update={"partitions": 4, "topic_prefix": f"{settings.topic_prefix}v2."})
    channel, redis, environment = ScriptedChannel(), connect_redis(settings), environment_of(settings)
    events = [paid_lately(number) for number in range(420)]
    (tmp_path / "new").mkdir()
    with crew_of(settings, tmp_path) as crew:
        worker = crew.start()
        await feed(settings, on_the_log(events[:150], settings))
        async with delivering(channel, settings):
            await until_async(lambda: len(channel.sent) > 20, timeout=60, what="mails that are sent")
            channel.gate.clear()
            await feed(settings, on_the_log(events[150:300], settings))
            await until_caught_up(settings)
            refused = run_rapport(environment, *told(new))
            assert (refused.returncode, "still at work" in refused.stderr) == (2, True), refused.stderr
            channel.gate.set()
        await until_caught_up(settings)
        assert worker.stop() == 0
    await redis.hset(f"{{{settings.namespace}:{settings.topic('tasks')}}}:t", "a task", "kept")
    before, already = await states(settings), len(channel.sent)

    answer = run_rapport(environment, *told(new))
    assert (answer.returncode, "RAPPORT_PARTITIONS=4" in answer.stdout) == (0, True), answer.stderr
    assert await redis.hget(f"{{{new.namespace}:{new.topic('tasks')}}}:t", "a task") == b"kept"

    with crew_of(new, tmp_path / "new") as crew:
        crew.start()
        await until_caught_up(new)
        async with delivering(channel, new):
            await feed(new, on_the_log(events[300:], new))
            await until_async(lambda: all_sent(new, channel), timeout=60, what="all mails, old and new, each once")
    assert already < len(channel.sent)
    await assert_equals_oracle(new, CountingProgram())
    assert (await states(new)).keys() == before.keys()
    await forget(new)
    await redis.aclose()
