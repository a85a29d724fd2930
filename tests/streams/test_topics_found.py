"""Topics that are there already, held against the table: what would do harm is said once, with the fix."""

from streams.runtime.settings import Settings
from streams.wire.admin import TopicFacts, find_flaws, partitions_of
from streams.wire.topics import CLIENT_EVENTS, TOPICS, Partitioning

SETTINGS = Settings.model_validate({"partitions": 8, "topic_prefix": "v2."})


def found(**partitions: int) -> dict[str, TopicFacts]:
    return {
        SETTINGS.topic(topic.name): TopicFacts(
            partitions.get(topic.partitioning.name, partitions_of(topic, settings=SETTINGS)), topic.config()
        )
        for topic in TOPICS
    }


def test_topics_as_the_table_wants_them_have_no_flaw() -> None:
    assert not find_flaws(found(), settings=SETTINGS)
    assert not find_flaws({}, settings=SETTINGS)


def test_another_number_of_partitions_is_said_once_for_all_topics_that_have_it() -> None:
    (flaw,) = find_flaws(found(CLIENT=64), settings=SETTINGS)
    topics = ", ".join(SETTINGS.topic(topic.name) for topic in TOPICS if topic.partitioning is Partitioning.CLIENT)
    assert flaw.startswith(f"topics {topics}: 64 partitions, expected 8: ")
    assert "fix: set RAPPORT_PARTITIONS=64" in flaw


def test_a_topic_that_would_lose_records_is_named_with_the_command_that_mends_it() -> None:
    name = SETTINGS.topic(CLIENT_EVENTS.name)
    short = {name: TopicFacts(8, {**CLIENT_EVENTS.config(), "retention.ms": "1000"})}
    (flaw,) = find_flaws(short, settings=SETTINGS)
    what, fix = flaw.split("; fix: ")
    assert what == f"topic {name} has retention.ms=1000, expected -1"
    assert fix == f"kafka-configs.sh --alter --topic {name} --add-config retention.ms=-1"
