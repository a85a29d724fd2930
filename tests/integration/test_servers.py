import asyncio

import pytest
from redis.asyncio import Redis

from streams.runtime.errors import FatalError, RetryError
from streams.runtime.settings import Settings
from streams.wire.admin import ensure_topics, read_topics
from streams.wire.topics import CLIENT_EVENTS, DEAD_LETTERS, TOPICS
from tests.conftest import SettingsMaker

pytestmark = pytest.mark.integration


async def test_every_topic_of_the_table_exists_with_its_partitions_and_settings(settings: Settings) -> None:
    facts = await read_topics(settings)
    assert set(facts) == {settings.topic(topic.name) for topic in TOPICS}
    assert facts[settings.topic(CLIENT_EVENTS.name)].partitions == settings.partitions
    assert facts[settings.topic(DEAD_LETTERS.name)].partitions == 1
    for topic in TOPICS:
        assert facts[settings.topic(topic.name)].config == topic.config()


async def test_creating_topics_again_changes_nothing(settings: Settings) -> None:
    before = await read_topics(settings)
    assert await ensure_topics(settings) == []
    assert await read_topics(settings) == before


async def test_several_processes_may_create_the_topics_at_once(settings: Settings) -> None:
    fresh = settings.model_copy(update={"topic_prefix": f"{settings.topic_prefix}again."})
    created = await asyncio.gather(*(ensure_topics(fresh) for _ in range(3)))
    assert {name for names in created for name in names} == {fresh.topic(topic.name) for topic in TOPICS}


async def test_another_number_of_partitions_is_refused_with_the_fix(settings: Settings) -> None:
    other = settings.model_copy(update={"partitions": settings.partitions + 1})
    with pytest.raises(FatalError, match=f"RAPPORT_PARTITIONS={settings.partitions}"):
        await ensure_topics(other)


async def test_a_kafka_that_is_not_there_is_named_with_the_fix() -> None:
    nowhere = Settings(kafka_bootstrap="127.0.0.1:1")
    with pytest.raises(RetryError, match="rapport stack up"):
        await ensure_topics(nowhere)


async def test_the_state_store_never_evicts_and_keeps_an_append_only_file(settings: Settings) -> None:
    async with Redis.from_url(settings.redis_url, decode_responses=True) as redis:
        assert await redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert await redis.config_get("appendonly") == {"appendonly": "yes"}


def test_each_test_has_topics_and_keys_of_its_own(make_settings: SettingsMaker) -> None:
    one, other = make_settings(), make_settings(partitions=4)
    assert {one.topic_prefix, one.namespace, one.group}.isdisjoint({other.topic_prefix, other.namespace, other.group})
    assert other.partitions == 4
