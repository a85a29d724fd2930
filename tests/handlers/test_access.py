"""The rights that `rapport access` prints, against the keys, topics and processes that there are."""

import re
from fnmatch import fnmatchcase

import pytest
import yaml

from handlers.channels.redis_ledger import keys_at, prefix_of
from handlers.channels.redis_tasks import RedisTaskBoard
from handlers.cli import EXIT_USAGE, run
from handlers.commands.access.commands import kafka_commands, redis_lines
from handlers.commands.access.roles import ROLES, Operation, Role, redis_keys
from handlers.mailbox.redis_mailbox import RedisMailbox
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys, directory_base
from streams.wire.topics import CHANNELS, CLIENT_EVENTS, DELAYS, EXAMPLES, INVOICES, PAYMENTS, TOPICS, WEBHOOKS
from tests.conftest import REPOSITORY

SETTINGS = Settings(namespace="firm", topic_prefix="eu.", group="care")
BY_NAME = {role.name: role for role in ROLES}


def matched(key: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def writers_of(key: str) -> set[str]:
    return {role.name for role in ROLES if matched(key, redis_keys(role, SETTINGS)[0])}


def test_every_container_of_ours_has_a_role() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    assert {name for name, service in services.items() if service["image"].startswith("rapport:")} == BY_NAME.keys()


def test_every_topic_is_read_and_written_by_somebody_or_is_a_door_for_the_firm_s_own_systems() -> None:
    read = {topic for role in ROLES for topic in role.reads}
    written = {topic for role in ROLES for topic in role.writes}
    assert read == set(TOPICS)
    assert set(TOPICS) - written == {PAYMENTS, INVOICES}


def test_nobody_but_who_keeps_it_writes_a_key_and_keys_are_those_that_the_code_uses() -> None:
    for topic in (CLIENT_EVENTS, WEBHOOKS, DELAYS):
        for key in PartitionKeys.of(SETTINGS, topic.name, 7).all():
            assert writers_of(key) == {"worker"}
    for key in PartitionKeys.of(SETTINGS, EXAMPLES.name, 0).all():
        assert writers_of(key) == {"trainer"}
    for channel in CHANNELS:
        for key in keys_at(prefix_of(SETTINGS.namespace, SETTINGS.topic(f"triggers.{channel}"), 3)):
            assert writers_of(key) == {f"channel-{channel}"}
    assert writers_of(f"{directory_base(SETTINGS)}stripe:cus_1") == {"worker"}
    board = RedisTaskBoard(SETTINGS)
    assert writers_of(board._tasks) == writers_of(board._done) == {"channel-task"}  # noqa: SLF001 - it names them nowhere else
    for key in RedisMailbox(SETTINGS)._keys("client-1"):  # noqa: SLF001 - likewise
        assert writers_of(key) == {"channel-portal", "portal"}


def test_whoever_looks_at_clients_before_sending_may_read_their_states_and_another_firm_s_never() -> None:
    (states, *_), stranger = PartitionKeys.of(SETTINGS, CLIENT_EVENTS.name, 0).all(), Settings(namespace="other")
    for name in ("portal", "feeds", "lag", "trainer", *(f"channel-{channel}" for channel in CHANNELS)):
        assert matched(states, redis_keys(BY_NAME[name], SETTINGS)[1])
        assert not matched(states, redis_keys(BY_NAME[name], stranger)[1])
    assert redis_keys(BY_NAME["gateway"], SETTINGS) == ([], [])


def test_commands_follow_the_names_of_the_deployment() -> None:
    said = list(kafka_commands(SETTINGS, users="care-"))
    assert {user for line in said for user in re.findall(r"User:(\S+)", line)} == {f"care-{role.name}" for role in ROLES}
    assert {name for line in said for name in re.findall(r"--topic (\S+)", line)} == {f"eu.{topic.name}" for topic in TOPICS}
    (worker,) = (line for line in said if "User:care-worker" in line and "--group" in line)
    assert worker.endswith("--operation Read --group care")
    assert [line for line in said if f"--operation {Operation.CREATE}" in line and "care-topics" not in line] == []


def test_the_file_of_users_shuts_the_default_one_out_and_gives_readers_no_way_to_write() -> None:
    first, *lines = redis_lines(SETTINGS, users="rapport-")
    assert first == "user default off"
    by_user = {line.split()[1]: line.split() for line in lines}
    assert by_user.keys() == {f"rapport-{role.name}" for role in ROLES} - {"rapport-gateway", "rapport-topics"}
    for name in ("rapport-lag", "rapport-feeds"):
        assert not {"+@write", "+eval", "+evalsha", "+script|load"} & set(by_user[name])
        assert not any(rule.startswith("~") for rule in by_user[name])
    for name, words in by_user.items():
        assert "allkeys" not in words
        assert words[words.index("-@dangerous") + 1 :] == (["+info"] if name == "rapport-lag" else [])
    assert ">${RAPPORT_CHANNEL_EMAIL_PASSWORD}" in by_user["rapport-channel-email"]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_no_topic_is_named_twice_for_a_process(role: Role) -> None:
    named = [topic.name for topic, _ in role.topics()]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("users", ["firm.", "o'hara-", "büro/"])
def test_the_variable_of_a_password_is_one_that_a_shell_can_set_whatever_users_are_called(users: str) -> None:
    lines = [line for line in redis_lines(SETTINGS, users=users) if line.startswith(f"user {users}")]
    assert lines
    for line in lines:
        assert re.search(r" >\$\{[A-Z0-9_]+\} ", line), line


def test_a_name_of_users_with_a_blank_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["access", "redis", "--users", "our firm-"]) == EXIT_USAGE
    assert "no blanks" in capsys.readouterr().err
