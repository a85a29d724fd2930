"""Kafka's jars, fetched by the real resolver from a repository on loopback."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from handlers.stack.errors import StackError
from handlers.stack.folders import cache_folder, is_locked, locked, require_room, stack_folder
from handlers.stack.jars import KAFKA_VERSION, Jar, fetch_jars, read_lock
from handlers.stack.java import find_java
from handlers.stack.ports import free_ports
from handlers.stack.progress import SilentDisplay
from streams.runtime.errors import UsageError
from tests.docker_servers import docker_answers


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is inherited
        """Drop the line."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "repository"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("RAPPORT_MAVEN_URL", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield folder
        server.shutdown()
        thread.join()


def publish(repository: Path, name: str, content: bytes) -> Jar:
    folder = repository / "org" / "example" / name / "1.0"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-1.0.jar").write_bytes(content)
    return Jar(f"org.example:{name}:1.0", hashlib.sha256(content).hexdigest(), len(content))


def test_missing_jars_are_fetched_and_nothing_else_stays_behind(repository: Path, tmp_path: Path) -> None:
    jars = [publish(repository, "one", b"first"), publish(repository, "two", b"second" * 10_000)]
    files = fetch_jars(tmp_path / "home" / "jars", jars, display=SilentDisplay())
    assert [file.read_bytes() for file in files] == [b"first", b"second" * 10_000]
    assert not (tmp_path / "home" / "fetching").exists()


def test_a_broken_jar_is_fetched_again_and_a_whole_one_is_not(repository: Path, tmp_path: Path) -> None:
    jars = [publish(repository, "one", b"first"), publish(repository, "two", b"second")]
    one, two = fetch_jars(tmp_path / "home" / "jars", jars, display=SilentDisplay())
    one.write_bytes(b"fIrst")  # same size, one bit off
    untouched = two.stat().st_mtime_ns
    fetch_jars(tmp_path / "home" / "jars", jars, display=SilentDisplay())
    assert one.read_bytes() == b"first"
    assert two.stat().st_mtime_ns == untouched


def test_a_half_fetched_jar_of_an_interrupted_run_does_not_count(repository: Path, tmp_path: Path) -> None:
    jar = publish(repository, "one", b"first")
    half = tmp_path / "home" / "fetching" / "org" / "example" / "one" / "1.0" / "one-1.0.jar"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"fi")
    (file,) = fetch_jars(tmp_path / "home" / "jars", [jar], display=SilentDisplay())
    assert file.read_bytes() == b"first"


def test_a_repository_that_gives_other_bytes_is_not_believed(repository: Path, tmp_path: Path) -> None:
    jar = publish(repository, "one", b"first")
    publish(repository, "one", b"evil!")
    with pytest.raises(StackError, match="another SHA-256"):
        fetch_jars(tmp_path / "home" / "jars", [jar], display=SilentDisplay())
    assert not list((tmp_path / "home" / "jars").iterdir())


def test_several_at_once_leave_a_whole_cache(repository: Path, tmp_path: Path) -> None:
    jars = [publish(repository, f"jar{number}", bytes([number]) * 50_000) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(fetch_jars, tmp_path / "home" / "jars", jars, display=SilentDisplay()) for _ in range(4)]
    for run in runs:
        assert all(jar.is_whole(file) for jar, file in zip(jars, run.result(), strict=True))


def test_once_cached_no_network_is_needed(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jars = [publish(repository, "one", b"first")]
    first = fetch_jars(tmp_path / "home" / "jars", jars, display=SilentDisplay())
    monkeypatch.setenv("RAPPORT_MAVEN_URL", f"http://127.0.0.1:{free_ports(1)[0]}")
    assert fetch_jars(tmp_path / "home" / "jars", jars, display=SilentDisplay()) == first


def test_without_a_network_the_error_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_MAVEN_URL", f"http://127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(StackError, match=r"RAPPORT_MAVEN_URL.*KAFKA_BOOTSTRAP"):
        fetch_jars(tmp_path / "home" / "jars", [Jar("org.example:one:1.0", "00", 1)], display=SilentDisplay())


def test_the_lock_file_names_each_jar_once_and_one_version_of_kafka() -> None:
    jars = read_lock()
    names = [jar.coordinate.rsplit(":", 1)[0] for jar in jars]
    assert len(set(names)) == len(names)
    kafka = {jar.coordinate.rsplit(":", 1)[1] for jar in jars if jar.coordinate.startswith("org.apache.kafka:")}
    assert kafka == {KAFKA_VERSION}
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in jars)


def java_home(folder: Path, version: str) -> Path:
    launcher = folder / "bin" / "java"
    launcher.parent.mkdir(parents=True)
    launcher.write_text("#!/bin/sh\n")
    launcher.chmod(0o755)
    (folder / "release").write_text(f'IMPLEMENTOR="Example"\nJAVA_VERSION="{version}"\n')
    return launcher


def test_a_java_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    old, new = java_home(tmp_path / "old", "1.8.0_402"), java_home(tmp_path / "new", "17.0.2")
    assert find_java([("JAVA_HOME", old), ("PATH", new)]).path == new


def test_without_a_java_the_error_names_what_was_found_and_the_fix(tmp_path: Path) -> None:
    old = java_home(tmp_path / "old", "11.0.1")
    with pytest.raises(StackError, match=r"JAVA_HOME is Java 11 .*rapport\[local\]"):
        find_java([("JAVA_HOME", old), ("PATH", tmp_path / "none" / "bin" / "java")])


def test_a_cache_that_cannot_be_written_is_named_with_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(StackError, match="XDG_CACHE_HOME"):
        cache_folder()


def test_a_full_disk_is_noticed_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"MB free.*free some space"):
        require_room(tmp_path, megabytes=10**12, what="a test")


@pytest.mark.parametrize("name", ["", "../up", "Ä", "a b", "x" * 42, "-a"])
def test_a_name_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="lower-case"):
        stack_folder(name)


def test_a_lock_is_free_again_when_its_holder_leaves(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        assert is_locked(tmp_path / "lock")
    assert not is_locked(tmp_path / "lock")


def test_a_docker_engine_that_does_not_answer_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{free_ports(1)[0]}")
    assert not docker_answers()
