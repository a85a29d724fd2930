"""Kafka's published jars: named with their SHA-256 in a lock file, fetched once by jgo, verified at every start.

`python -m handlers.stack.jars` resolves them anew and rewrites the lock file.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from handlers.stack.errors import StackError
from handlers.stack.folders import locked, require_room
from handlers.stack.progress import Display
from streams.runtime.settings import Settings

if TYPE_CHECKING:
    from jgo.maven import MavenContext

KAFKA_VERSION: Final = "4.3.1"
LOG4J_VERSION: Final = "2.25.4"  # the version that Kafka itself asks for
LOCK_FILE: Final = Path(__file__).with_name("kafka-jars.lock")
_AT_ONCE: Final = 6
_TIMEOUT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Jar:
    """One published jar: Maven coordinate `group:artifact:version`, SHA-256 in hex, bytes."""

    coordinate: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """Name of the file, as published."""
        _group, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"

    def is_whole(self, path: Path) -> bool:
        """Say whether the file at `path` is this jar, byte for byte."""
        try:
            return path.stat().st_size == self.size and _sha256(path) == self.sha256
        except OSError:
            return False


def read_lock() -> tuple[Jar, ...]:
    """Return the jars that the lock file names."""
    lines = (line.split() for line in LOCK_FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return tuple(Jar(coordinate, sha256, int(size)) for coordinate, sha256, size in lines)


def fetch_jars(folder: Path, jars: Sequence[Jar], *, display: Display) -> tuple[Path, ...]:
    """Return the files of `jars` in `folder`, fetching what is missing or broken; any number of processes may do so at once.

    Raises StackError when something must be fetched and cannot be.
    """
    if not _broken(folder, jars):
        return _files(folder, jars)
    with locked(folder.parent / "fetch.lock"):
        broken = _broken(folder, jars)  # another process may have fetched them while we waited
        if broken:
            total = sum(jar.size for jar in broken)
            require_room(folder.parent, megabytes=2 * total // 1_000_000 + 1, what="fetching Kafka")
            with display.download(f"Apache Kafka {KAFKA_VERSION}", total=total) as advance:
                _fetch(folder, broken, advance)
    return _files(folder, jars)


def _files(folder: Path, jars: Sequence[Jar]) -> tuple[Path, ...]:
    return tuple(folder / jar.filename for jar in jars)


def _broken(folder: Path, jars: Sequence[Jar]) -> list[Jar]:
    return [jar for jar in jars if not jar.is_whole(folder / jar.filename)]


def _fetch(folder: Path, jars: Sequence[Jar], advance: Callable[[int], None]) -> None:
    scratch = folder.parent / "fetching"
    # What an interrupted run left half-written is not worth telling apart from what it finished.
    shutil.rmtree(scratch, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    context = _context(scratch, advance)

    def fetch(jar: Jar) -> None:
        group, artifact, version = jar.coordinate.split(":")
        file: Path = context.project(group, artifact).at_version(version).artifact().resolve()
        if not jar.is_whole(file):
            message = (
                f"{jar.coordinate} arrived with {file.stat().st_size} bytes and another SHA-256 than {LOCK_FILE.name} asks for; "
                "fix: try again, and check what stands between this machine and the repository (RAPPORT_MAVEN_URL, proxy)"
            )
            raise StackError(message)
        file.replace(folder / jar.filename)

    with ThreadPoolExecutor(_AT_ONCE) as pool, _explained():
        list(pool.map(fetch, jars))
    shutil.rmtree(scratch, ignore_errors=True)


def _context(scratch: Path, advance: Callable[[int], None]) -> "MavenContext":
    try:
        from jgo.maven import MavenContext, PythonResolver
    except ImportError as error:
        message = "Kafka's jars are not cached and jgo, which fetches them, is missing; fix: pip install 'rapport[local]'"
        raise StackError(message) from error
    # The requests library knows proxies and its own two names for a certificate bundle, but not OpenSSL's.
    if (bundle := os.environ.get("SSL_CERT_FILE")) and not {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"} & os.environ.keys():
        os.environ["REQUESTS_CA_BUNDLE"] = bundle
    mirror = Settings().maven_url
    return MavenContext(
        resolver=PythonResolver(progress_callback=_reporter(advance)),
        repo_cache=scratch,
        remote_repos={"central": mirror.rstrip("/")} if mirror else None,
        timeout=_TIMEOUT_SECONDS,
    )


def _reporter(advance: Callable[[int], None]) -> Callable[[str, int], Any]:
    @contextmanager
    def one_file(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
        yield advance

    return one_file


@contextmanager
def _explained() -> Iterator[None]:
    import requests

    try:
        yield
    except (requests.RequestException, RuntimeError) as error:
        reason = str(error).splitlines()[0][:200]
        message = (
            f"cannot fetch Apache Kafka {KAFKA_VERSION} ({reason}); it is fetched once, then kept. Fix: connect to the network, "
            "or set HTTPS_PROXY / REQUESTS_CA_BUNDLE as for pip, or RAPPORT_MAVEN_URL to a mirror of Maven Central, "
            "or KAFKA_BOOTSTRAP and REDIS_URL to existing servers"
        )
        raise StackError(message) from error
    except OSError as error:
        message = f"cannot store Apache Kafka {KAFKA_VERSION} ({error}); fix: free some space, or set XDG_CACHE_HOME elsewhere"
        raise StackError(message) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _resolve_lock(scratch: Path) -> str:
    from jgo.maven import Dependency

    context = _context(scratch, lambda _bytes: None)
    kafka = Dependency(context.project("org.apache.kafka", "kafka_2.13").at_version(KAFKA_VERSION).artifact())
    inputs, transitive = context.resolver.resolve([kafka])
    # Kafka logs through slf4j and ships no binding. It is named apart: resolved together, the dependency management of
    # log4j's parent would silently replace kafka-clients by the older version that log4j tests with.
    binding = context.project("org.apache.logging.log4j", "log4j-slf4j-impl").at_version(LOG4J_VERSION).artifact()
    artifacts = [*(dependency.artifact for dependency in (*inputs, *transitive)), binding]
    lines = []
    for artifact in artifacts:
        file = artifact.resolve()
        lines.append(f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {_sha256(file)} {file.stat().st_size}\n")
    return "".join(sorted(lines))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as _scratch:
        LOCK_FILE.write_text(
            f"# Apache Kafka {KAFKA_VERSION} as published on Maven Central: group:artifact:version, SHA-256, bytes.\n"
            "# Written by `python -m handlers.stack.jars`.\n" + _resolve_lock(Path(_scratch)),
            encoding="utf-8",
        )
