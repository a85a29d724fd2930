"""What `rapport doctor` looks at, and what to do about what is missing."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from packaging.requirements import Requirement
from pydantic import SecretStr
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handlers.stack.errors import StackError
from handlers.stack.folders import cache_folder
from handlers.stack.jars import KAFKA_VERSION, read_lock
from handlers.stack.java import find_java
from handlers.stack.threads import run_apart
from handlers.stack.valkey import find_valkey
from streams.runtime.clock import SystemClock
from streams.runtime.errors import RapportError
from streams.runtime.settings import Settings
from streams.state.redis_store import connect_redis
from streams.wire.admin import find_flaws, read_topics
from streams.wire.topics import TOPICS

_PATIENCE_SECONDS: Final = 5.0
_SKEW_SECONDS: Final = 2.0
_START: Final = "rapport stack up"


class Verdict(StrEnum):
    """`note` is worth knowing but stops nothing."""

    OK = "ok"
    NOTE = "note"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination; `fix` is what to do unless all is well."""

    what: str
    verdict: Verdict
    detail: str
    fix: str = ""


def examine(settings: Settings, *, local: bool) -> list[Finding]:
    """Look at this machine and at the servers that `settings` name; `local`: they are to be started on this machine."""
    return [*_machine(), *(_for_local_servers() if local else ()), *run_apart(_servers(settings))]


def show(findings: list[Finding], *, settings: Settings) -> int:
    """Print settings, then what was found, which a screen then still shows; return the exit code."""
    console = Console()
    console.print(_settings_table(settings))
    console.print()
    colours = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.MISSING: "red"}
    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column()
    table.add_column(overflow="fold")
    for finding in findings:
        fix = f"  fix: {finding.fix}" if finding.fix else ""
        table.add_row(Text(finding.verdict, colours[finding.verdict]), finding.what, Text(f"{finding.detail}{fix}"))
    console.print(table)
    missing = sum(finding.verdict is Verdict.MISSING for finding in findings)
    console.print(f"\n{f'{missing} missing; each line above says the fix.' if missing else 'Nothing is missing.'}")
    return 1 if missing else 0


def _machine() -> Iterator[Finding]:
    running = ".".join(map(str, sys.version_info[:3]))
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    verdict = Verdict.OK if supported else Verdict.MISSING
    yield Finding("python", verdict, running, "" if supported else "use Python 3.11, 3.12 or 3.13")
    yield from _pins()
    yield _docker()


def _for_local_servers() -> Iterator[Finding]:
    yield _try("java", _java)
    yield _jars()
    yield _try("valkey server", lambda: ": ".join(find_valkey()))


def _pins() -> Iterator[Finding]:
    """Libraries that are pinned to one version because our correctness was shown with it."""
    for text in requires("rapport") or ():
        requirement = Requirement(text)
        pins = [each.version for each in requirement.specifier if each.operator == "=="]
        if not pins or requirement.marker:
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            installed = "not installed"
        if installed == pins[0]:
            yield Finding(requirement.name, Verdict.OK, installed)
        else:
            yield Finding(requirement.name, Verdict.MISSING, installed, f"pip install {requirement.name}=={pins[0]}")


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, Verdict.OK, look())
    except StackError as error:
        detail, _, fix = str(error).partition("; fix: ")
        return Finding(what, Verdict.MISSING, detail, fix)


def _java() -> str:
    java = find_java()
    return f"Java {java.major} from {java.found_by}: {java.path}"


def _jars() -> Finding:
    name = f"kafka {KAFKA_VERSION} jars"
    try:
        folder = cache_folder() / "kafka" / KAFKA_VERSION / "jars"
    except StackError as error:
        detail, _, fix = str(error).partition("; fix: ")
        return Finding(name, Verdict.MISSING, detail, fix)
    jars = read_lock()
    whole = sum(jar.is_whole(folder / jar.filename) for jar in jars)
    if whole == len(jars):
        return Finding(name, Verdict.OK, f"{whole} jars verified in {folder}")
    return Finding(name, Verdict.NOTE, f"{whole} of {len(jars)} in {folder}", f"{_START} fetches the others (45 MB in all)")


def _docker() -> Finding:
    docker = shutil.which("docker")
    if docker is None:
        return Finding("docker engine", Verdict.NOTE, "no docker command: the local stack is used instead")
    try:
        asked = subprocess.run(
            [docker, "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        asked = None
    if asked is None or asked.returncode:
        return Finding("docker engine", Verdict.NOTE, "does not answer: the local stack is used instead")
    return Finding("docker engine", Verdict.OK, asked.stdout.strip())


async def _servers(settings: Settings) -> list[Finding]:
    kafka, redis = await asyncio.gather(_guarded("kafka", _kafka(settings)), _guarded("redis", _redis(settings)))
    return [*kafka, *redis]


async def _guarded(what: str, look: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        return await asyncio.wait_for(look, _PATIENCE_SECONDS)
    except TimeoutError:
        return [Finding(what, Verdict.MISSING, f"no answer within {_PATIENCE_SECONDS:.0f} s", _START)]


async def _kafka(settings: Settings) -> list[Finding]:
    try:
        facts = await read_topics(settings)
    except RapportError as error:
        detail, _, fix = str(error).partition("; fix: ")
        return [Finding("kafka", Verdict.MISSING, detail, fix)]
    findings = [Finding("kafka", Verdict.OK, f"answers at {settings.kafka_bootstrap}")]
    absent = [settings.topic(topic.name) for topic in TOPICS if settings.topic(topic.name) not in facts]
    flaws = find_flaws(facts, settings=settings)
    if absent:
        findings.append(Finding("topics", Verdict.MISSING, ", ".join(absent), _START))
    for flaw in flaws:
        detail, _, fix = flaw.partition("; fix: ")
        findings.append(Finding("topics", Verdict.MISSING, detail, fix))
    if not absent and not flaws:
        counts = ", ".join(f"{name} {each.partitions}" for name, each in sorted(facts.items()))
        findings.append(Finding("topics", Verdict.OK, f"partitions: {counts}"))
    return findings


async def _redis(settings: Settings) -> list[Finding]:
    address = _without_password(settings.redis_url)
    try:
        async with connect_redis(settings) as redis:
            info: dict[str, Any] = await redis.info()
            seconds, micros = await redis.time()
    except (RedisError, OSError) as error:
        return [Finding("redis", Verdict.MISSING, f"no answer from {address} ({error})", f"{_START}, or set REDIS_URL")]
    # What cannot be read by CONFIG on managed servers is in INFO everywhere.
    policy, aof = info.get("maxmemory_policy"), info.get("aof_enabled")
    skew = abs(SystemClock().now().timestamp() - (seconds + micros / 1e6))
    name = "valkey" if "valkey_version" in info else "redis"
    return [
        Finding("redis", Verdict.OK, f"{name} {info.get(f'{name}_version')} answers at {address}"),
        _expect("redis eviction", policy, "noeviction", "CONFIG SET maxmemory-policy noeviction: an evicted state is lost"),
        _expect("redis append-only file", aof, 1, "CONFIG SET appendonly yes: without it a restart forgets the states"),
        Finding("clock", Verdict.OK, f"{skew * 1000:.0f} ms from that of the state store")
        if skew <= _SKEW_SECONDS
        else Finding("clock", Verdict.MISSING, f"{skew:.1f} s from that of the state store", "let NTP set both clocks"),
    ]


def _expect(what: str, actual: object, expected: object, fix: str) -> Finding:
    if actual == expected:
        return Finding(what, Verdict.OK, str(actual))
    return Finding(what, Verdict.MISSING, f"is {actual}, must be {expected}", fix)


def _settings_table(settings: Settings) -> Table:
    table = Table(box=None)
    for heading in ("environment", "value", "for"):
        table.add_column(heading, overflow="fold")
    for name, field in type(settings).model_fields.items():
        alias = getattr(field.validation_alias, "choices", [f"RAPPORT_{name.upper()}"])[0]
        table.add_row(str(alias), Text(_shown(getattr(settings, name))), field.description or "")
    return table


def _shown(value: object) -> str:
    match value:
        case None:
            return "-"
        case SecretStr():
            return "(set)"
        case dict():
            return ", ".join(f"{key}: {len(each)} set" for key, each in value.items()) or "-"
        case str() if "://" in value:
            return _without_password(value)
        case _:
            return str(value)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))
