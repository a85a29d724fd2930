"""Settings as people write them into an environment: what cannot be used is named, with the fix, and never with its value."""

from collections.abc import Callable

import pytest

from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings, mistyped

Say = Callable[[str, str], str]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Say:
    def say(name: str, value: str) -> str:
        load_settings.cache_clear()
        monkeypatch.setenv(name, value)
        with pytest.raises(UsageError) as error:
            load_settings()
        return str(error.value)

    return say


@pytest.mark.parametrize(
    "value",
    ["localhost:6379", "", "redis://", "http://127.0.0.1:6379", "redis://:hush-hush@127.0.0.1:hush", "redis://a:hush#hush@b:1/0"],
)
def test_an_address_of_redis_that_is_none_is_refused_with_the_form_it_must_have(value: str, refused: Say) -> None:
    said = refused("REDIS_URL", value)
    assert said.startswith("REDIS_URL: ")
    assert "fix: redis://HOST:6379/0" in said
    assert "hush" not in said


@pytest.mark.parametrize(
    "value",
    [
        "redis://127.0.0.1:6379/0",
        "redis://:pass@cache",
        "rediss://user:p%40ss@cache.example:6380/1?ssl_ca_certs=/run/ca.pem",
        "unix:///run/redis.sock",
        "redis+sentinel://one:26379,two:26379/primary/0",
        "redis://[::1]:6379/0",
    ],
)
def test_addresses_of_redis_in_every_form_are_taken(value: str) -> None:
    assert Settings.model_validate({"redis_url": value}).redis_url == value


@pytest.mark.parametrize(
    "value", ["", "redis://x", "kafka:port", "one:9092,,two:9092", "one:9092,two:99999", "PLAINTEXT://one:9092"]
)
def test_an_address_of_kafka_that_is_none_is_refused_with_the_form_it_must_have(value: str, refused: Say) -> None:
    said = refused("KAFKA_BOOTSTRAP", value)
    assert said.startswith("KAFKA_BOOTSTRAP: ")
    assert said.endswith("fix: HOST:9092, several with commas")


@pytest.mark.parametrize("value", ["127.0.0.1:9092", "one", "one:9092, two:9092", "[::1]:9092", "::1"])
def test_addresses_of_kafka_in_every_form_are_taken(value: str) -> None:
    assert Settings.model_validate({"kafka_bootstrap": value}).kafka_bootstrap == value


@pytest.mark.parametrize("value", ["{hush", "", "hush-hush"])
def test_a_setting_that_must_be_json_and_is_not_is_named_with_an_example(value: str, refused: Say) -> None:
    said = refused("RAPPORT_WEBHOOK_SECRETS", value)
    assert said.startswith("RAPPORT_WEBHOOK_SECRETS ")
    assert '{"stripe": ["whsec_new", "whsec_old"]}' in said
    assert "hush" not in said


def test_a_name_that_is_no_setting_is_found_with_the_one_that_was_meant() -> None:
    names = ("RAPPORT_PARTITONS", "RAPPORT_PARTITIONS", "RAPPORT_KAFKA_BOOTSTRAP", "REDIS_URL", "rapport_log_level", "HOME")
    assert mistyped(names) == {"RAPPORT_PARTITONS": "RAPPORT_PARTITIONS"}


def test_a_name_that_somebody_else_reads_is_left_alone() -> None:
    assert not mistyped(("RAPPORT_SHARED_DATA", "RAPPORT_VERSION", "RAPPORT_CHANNEL_EMAIL_PASSWORD", "RAPPORT_HOME"))
