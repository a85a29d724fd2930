"""Apache Kafka as child processes: what to run, with which settings, and how to make it start fast.

Two things are prepared once per Kafka and Java version, in the cache. A formatted, empty data folder, which every new broker
copies; and Java's archive of parsed and linked classes, recorded from a training run, which cuts the start to a third.
"""

import base64
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from handlers.stack.errors import StackError
from handlers.stack.folders import cache_folder, locked, require_room
from handlers.stack.jars import KAFKA_VERSION, LOCK_FILE, fetch_jars, read_lock
from handlers.stack.java import Java, find_java
from handlers.stack.plan import Server
from handlers.stack.ports import free_ports
from handlers.stack.progress import Display
from streams.runtime.clock import fresh_id, monotonic

_JAVA_FLAGS: Final = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # the optimising compiler pays off after minutes; until then it only takes cores away
)
_ONE_STEP_ARCHIVES: Final = 25  # the Java from which -XX:AOTCacheOutput exists
_TRAINING_SECONDS: Final = 60.0
MAX_RECORD_BYTES: Final = 2_097_152 + 4096
"""The largest topic limit in streams/wire/topics.py, and its envelope."""

_LOG4J: Final = """\
Configuration:
  status: warn
  Appenders:
    Console:
      name: out
      PatternLayout:
        pattern: "%d{ISO8601} %p %m (%c{1})%n"
  Loggers:
    Root:
      level: info
      AppenderRef:
        ref: out
    Logger:
      name: org.apache.kafka.common.config
      level: warn
"""


@dataclass(frozen=True, slots=True)
class Kafka:
    """Kafka, ready to be started: Java, jars, the formatted folder, and the class archive if there is one."""

    java: Java
    jars: tuple[Path, ...]
    formatted: Path
    log4j: Path
    archive: Path | None

    def command(self, main_class: str, *arguments: str, archive_flags: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return the command line that runs `main_class`."""
        flags = self._archive_flags() if archive_flags is None else tuple(archive_flags)
        classpath = os.pathsep.join(str(jar) for jar in self.jars)
        return (
            *(str(self.java.path), *_JAVA_FLAGS, *flags),
            *(f"-Dlog4j2.configurationFile={self.log4j}", "-cp", classpath, main_class, *arguments),
        )

    def _archive_flags(self) -> tuple[str, ...]:
        if self.archive is None:
            return ()
        # An archive that does not fit is passed over by Java, never an error; its complaint would only fill the log.
        name = "AOTCache" if self.java.major >= _ONE_STEP_ARCHIVES else "SharedArchiveFile"
        return (f"-XX:{name}={self.archive}", "-Xlog:disable", "-Xlog:all=error:stderr")


def prepare_kafka(*, display: Display) -> Kafka:
    """Fetch, format and train what is not yet in the cache. StackError names what is missing and the fix."""
    java = find_java()
    home = cache_folder() / "kafka" / KAFKA_VERSION
    jars = fetch_jars(home / "jars", read_lock(), display=display)
    log4j = home / "log4j2.yaml"
    if not log4j.exists() or log4j.read_text(encoding="utf-8") != _LOG4J:
        log4j.write_text(_LOG4J, encoding="utf-8")
    plain = Kafka(java, jars, home / "formatted", log4j, archive=None)
    archive = home / f"classes-{_fingerprint(java, jars)}.archive"
    if not archive.exists() or not plain.formatted.exists():
        with locked(home / "prepare.lock"):
            if not plain.formatted.exists():
                _format(plain)
            if not archive.exists():
                display.say("Preparing Kafka for fast starts (once, about ten seconds) ...")
                _train(plain, archive)
    return Kafka(java, jars, plain.formatted, log4j, archive=archive if archive.stat().st_size else None)


def kafka_servers(kafka: Kafka, *, folder: Path, ports: Sequence[tuple[int, int]]) -> tuple[Server, ...]:
    """Return one server per pair of ports (clients', controllers'); makes their folders if they are new."""
    cluster = uuid_of(fresh_id())
    voters = ",".join(f"{node}@127.0.0.1:{controller}" for node, (_, controller) in enumerate(ports, start=1))
    servers = []
    for node, (port, controller) in enumerate(ports, start=1):
        data = folder / "data" / f"kafka-{node}"
        if not (data / "meta.properties").exists():
            data.mkdir(parents=True, exist_ok=True)
            shutil.copy2(kafka.formatted / "bootstrap.checkpoint", data)
            _write_properties(
                data / "meta.properties",
                {"version": "1", "cluster.id": cluster, "directory.id": uuid_of(fresh_id()), "node.id": str(node)},
            )
        properties = folder / f"kafka-{node}.properties"
        _write_properties(properties, _properties(node, port, controller, voters, data, brokers=len(ports)))
        servers.append(Server(f"kafka-{node}", kafka.command("kafka.Kafka", str(properties)), port))
    return tuple(servers)


def _properties(node: int, port: int, controller: int, voters: str, data: Path, *, brokers: int) -> dict[str, str]:
    copies = str(min(3, brokers))
    enough = str(max(1, min(3, brokers) - 1))
    return {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": enough,
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": enough,
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": enough,
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",  # tests and the demo kill workers and do not want to wait long
        # After kill -9 a broker may register again only when its old session has expired: 9 s by default.
        "broker.heartbeat.interval.ms": "1000",
        "broker.session.timeout.ms": "4000",
        "message.max.bytes": str(MAX_RECORD_BYTES),
        "replica.fetch.max.bytes": str(MAX_RECORD_BYTES),
        # Sized for one machine: the defaults reserve 128 MB for compaction and threads for dozens of cores.
        "log.cleaner.dedupe.buffer.size": "16777216",
        "num.network.threads": "2",
        "num.io.threads": "4",
    }


def _write_properties(path: Path, values: Mapping[str, str]) -> None:
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")


def _format(kafka: Kafka) -> None:
    require_room(kafka.formatted.parent, megabytes=200, what="preparing Kafka")
    with tempfile.TemporaryDirectory(dir=kafka.formatted.parent) as scratch:
        data = Path(scratch) / "data"
        properties = Path(scratch) / "server.properties"
        port, controller = free_ports(2)
        _write_properties(properties, _properties(1, port, controller, f"1@127.0.0.1:{controller}", data, brokers=1))
        command = kafka.command("kafka.tools.StorageTool", "format", "-t", uuid_of(fresh_id()), "-c", str(properties))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            message = f"Kafka cannot format its data folder: {(done.stderr or done.stdout).strip()[-500:]}"
            raise StackError(message)
        data.rename(kafka.formatted)


def _train(kafka: Kafka, archive: Path) -> None:
    """Run a broker once and keep the classes it used. A training that fails leaves an empty file: slower starts, no error."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        fresh = Path(scratch) / "archive"
        flag = "AOTCacheOutput" if kafka.java.major >= _ONE_STEP_ARCHIVES else "ArchiveClassesAtExit"
        port, controller = free_ports(2)
        properties = kafka_servers(kafka, folder=Path(scratch), ports=[(port, controller)])[0].command[-1]
        command = kafka.command("kafka.Kafka", properties, archive_flags=[f"-XX:{flag}={fresh}"])
        with (Path(scratch) / "log").open("wb") as log:
            broker = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=scratch)
            try:
                _wait_for_port(port, broker)
            finally:
                broker.terminate()
                broker.wait()
        if not fresh.exists():
            fresh.touch()
        fresh.replace(archive)


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + _TRAINING_SECONDS
    pause = threading.Event()
    while process.poll() is None and monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        pause.wait(0.05)


def _fingerprint(java: Java, jars: Sequence[Path]) -> str:
    # Java refuses an archive when a jar's time has changed, even if its bytes have not.
    times = [jar.stat().st_mtime_ns for jar in jars]
    parts = (java.build, LOCK_FILE.read_text(encoding="utf-8"), str(times), str([str(jar) for jar in jars]), str(_JAVA_FLAGS))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def uuid_of(identity: str) -> str:
    """Return 32 hexadecimal digits as Kafka writes ids: 22 characters of base64.

    The first is never a dash, as in ids that Kafka draws: its own tools would read such an id as an option.
    """
    text = base64.urlsafe_b64encode(bytes.fromhex(identity)).decode("ascii").rstrip("=")
    return f"A{text[1:]}" if text.startswith("-") else text
