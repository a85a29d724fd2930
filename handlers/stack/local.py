"""Kafka and Valkey as child processes: for tests and the demo within one process, for `rapport stack up` beyond it."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from handlers.stack.errors import StackError
from handlers.stack.folders import is_locked, locked, read_json, require_room, stack_folder, stacks_folder, write_json
from handlers.stack.kafka import Kafka, kafka_servers, prepare_kafka
from handlers.stack.logs import tail
from handlers.stack.plan import LOGS, PLAN, STATE, SUPERVISOR_LOCK, Plan, Server
from handlers.stack.ports import free_ports, is_free
from handlers.stack.progress import Display, SilentDisplay
from handlers.stack.ready import wait_for_kafka, wait_for_valkey
from handlers.stack.threads import run_apart
from handlers.stack.valkey import find_valkey, valkey_server
from streams.runtime.clock import fresh_id, monotonic

_ATTEMPTS: Final = 3  # another process may take a port between our choosing it and the server's opening it
_PAUSE_SECONDS: Final = 0.02
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 40.0  # twice the time the supervisor gives its children
DEFAULT_NAME: Final = "default"
_TELLING: Final = (" ERROR ", " FATAL ", "Exception", "Error", "# ")
_LINES_TOLD: Final = 8
_SESSION: Final = "session-"


@dataclass(frozen=True, slots=True)
class Running:
    """One server of a stack as its supervisor sees it: `pid` is None when it does not run."""

    name: str
    pid: int | None
    port: int
    log: Path
    exit: int | None


class LocalStack:
    """One Kafka (of one or three brokers) and one Valkey on free loopback ports.

    As a context manager it starts everything, and on leaving stops it and deletes its data; should this process die,
    however, its servers die and its data goes too. With a `name` the data stays and the next start goes on with it.
    """

    def __init__(
        self, *, name: str | None = None, brokers: int = 1, detached: bool = False, display: Display | None = None
    ) -> None:
        """Describe a stack; nothing is started. `detached`: it lives on when this process ends, until `stop`."""
        self.name = name or f"{_SESSION}{fresh_id()[:12]}"
        self.folder = stack_folder(self.name)
        self._ephemeral = name is None
        self._brokers = brokers
        self._detached = detached
        self._display = display or SilentDisplay()
        self._supervisor: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start."""
        with ExitStack() as unless_started:
            unless_started.callback(self.stop)
            self.start()
            unless_started.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop."""
        self.stop()

    @property
    def kafka_bootstrap(self) -> str:
        """Addresses for `KAFKA_BOOTSTRAP`."""
        return ",".join(f"127.0.0.1:{each.port}" for each in self.servers() if each.name.startswith("kafka"))

    @property
    def redis_url(self) -> str:
        """Address for `REDIS_URL`."""
        (port,) = (each.port for each in self.servers() if each.name == "valkey")
        return f"redis://127.0.0.1:{port}/0"

    def is_running(self) -> bool:
        """Say whether the stack's supervisor lives."""
        return is_locked(self.folder / SUPERVISOR_LOCK)

    def servers(self) -> list[Running]:
        """Return the servers of the stack; none when it does not run."""
        state = read_json(self.folder / STATE)
        if state is None or not self.is_running():
            return []
        return [
            Running(name, each["pid"], each["port"], Path(each["log"]), each["exit"]) for name, each in state["servers"].items()
        ]

    def start(self) -> None:
        """Start what does not run yet, and return when Kafka answers a metadata request and Valkey a ping.

        StackError names what is missing and the fix.
        """
        _sweep()
        # A stack without a name of its own cannot be started twice.
        with nullcontext() if self._ephemeral else locked(stacks_folder() / f"{self.name}.start.lock"):
            if self.is_running():
                return
            kafka = prepare_kafka(display=self._display)
            _, valkey = find_valkey()
            self.folder.mkdir(parents=True, exist_ok=True)
            require_room(self.folder, megabytes=300, what="a local stack")
            ports = self._last_ports()
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    self._start_once(kafka, valkey, ports)
                    break
                except StackError as error:
                    self._leave()
                    if attempt == _ATTEMPTS or "in use" not in str(error):
                        raise
                    ports = self._fresh_ports()

    def last_addresses(self) -> tuple[str, ...]:
        """Return the addresses (Kafka's, Valkey's) of the last start; none if there was none."""
        ports = (read_json(self.folder / PLAN) or {}).get("ports", [])
        if not ports:
            return ()
        return ",".join(f"127.0.0.1:{port}" for port in ports[1::2]), f"redis://127.0.0.1:{ports[0]}/0"

    def forget_stale_state(self) -> None:
        """Delete the state file that a killed supervisor left."""
        if not self.is_running():
            (self.folder / STATE).unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop all servers, cleanly if they let us; returns when none is left. Harmless when nothing runs."""
        state = read_json(self.folder / STATE)
        if self._supervisor is None and state is not None and self.is_running():
            with suppress(ProcessLookupError):
                os.kill(state["supervisor"], signal.SIGTERM)
        self._leave()
        with suppress(FileNotFoundError):
            (self.folder / STATE).unlink()
        if self._ephemeral:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self, server: str) -> None:
        """Kill one server as kill -9 does; returns when it is gone."""
        running = self._one(server)
        if running.pid is not None:
            os.kill(running.pid, signal.SIGKILL)
            self._await(lambda: self._one(server).pid is None, what=f"{server} to die")

    def halt(self, server: str) -> None:
        """Stop one server cleanly; returns when it is gone."""
        self._command(f"stop {server}")
        self._await(lambda: self._one(server).pid is None, what=f"{server} to stop")

    def resume(self, server: str) -> None:
        """Start one server again that was killed or halted, on its data and port; returns when it answers."""
        self._command(f"start {server}")
        self._await(lambda: self._one(server).pid is not None, what=f"{server} to start")
        # The other brokers list a broker that was killed until its session expires: ask the new one itself.
        self._await_ready([server])

    def _start_once(self, kafka: Kafka, valkey: str, ports: list[int]) -> None:
        valkey_port, *kafka_ports = ports
        pairs = list(zip(kafka_ports[::2], kafka_ports[1::2], strict=True))
        servers = (
            valkey_server(valkey, folder=self.folder, port=valkey_port),
            *kafka_servers(kafka, folder=self.folder, ports=pairs),
        )
        self._spawn(servers, ports)
        self._await_ready([each.name for each in servers])

    def _spawn(self, servers: tuple[Server, ...], ports: list[int]) -> None:
        logs = self.folder / LOGS
        logs.mkdir(exist_ok=True)
        (self.folder / STATE).unlink(missing_ok=True)
        plan = Plan(str(self.folder), servers, tied=not self._detached, ephemeral=self._ephemeral)
        write_json(self.folder / PLAN, {**plan.to_json(), "ports": ports})
        with (logs / "supervisor.log").open("ab") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "handlers.stack.supervisor", str(self.folder)],
                stdin=subprocess.DEVNULL if self._detached else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; the servers stop after we have
            )
        self._await(lambda: bool(self.servers()), what="the supervisor to start")

    def _leave(self) -> None:
        if self._supervisor is not None:
            if self._supervisor.stdin is not None:
                self._supervisor.stdin.close()
            self._supervisor.terminate()
            try:
                self._supervisor.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._supervisor.kill()
                self._supervisor.wait()
            self._supervisor = None
        else:
            self._await(lambda: not self.is_running(), what="the stack to stop", watch=False)

    def _await_ready(self, names: Sequence[str]) -> None:
        """Return when each of the servers `names` answers."""
        addresses = ",".join(f"127.0.0.1:{self._one(name).port}" for name in names if name.startswith("kafka"))
        brokers = sum(each.name.startswith("kafka") and each.pid is not None for each in self.servers())

        def give_up() -> None:
            self.raise_if_broken(names)

        async def all_of_them() -> None:
            waits = [wait_for_kafka(addresses, brokers=brokers, give_up=give_up)] if addresses else []
            if "valkey" in names:
                waits.append(wait_for_valkey(self.redis_url, give_up=give_up))
            await asyncio.gather(*waits)

        run_apart(all_of_them())

    def raise_if_broken(self, names: Sequence[str] | None = None) -> None:
        """Raise StackError if one of the servers `names` (of all, without them) or their supervisor has ended by itself."""
        if self._supervisor is not None and self._supervisor.poll() is not None:
            message = f"the supervisor ended; its log: {tail(self.folder / LOGS / 'supervisor.log', lines=12)}"
            raise StackError(message)
        for each in self.servers():
            if each.exit not in {None, 0} and each.pid is None and (names is None or each.name in names):
                raise StackError(_explain(each))

    def _await(self, condition: Callable[[], bool], *, what: str, watch: bool = True) -> None:
        deadline = monotonic() + _START_SECONDS
        pause = threading.Event()
        while not condition():
            if watch and self._supervisor is not None and self._supervisor.poll() is not None:
                self.raise_if_broken()
            if monotonic() > deadline:
                message = f"waited {_START_SECONDS:.0f} s for {what}; logs: {self.folder / LOGS}"
                raise StackError(message)
            pause.wait(_PAUSE_SECONDS)

    def _one(self, server: str) -> Running:
        for each in self.servers():
            if each.name == server:
                return each
        message = (
            f"no server {server!r} in stack {self.name}: {', '.join(each.name for each in self.servers()) or 'nothing runs'}"
        )
        raise StackError(message)

    def _command(self, line: str) -> None:
        self._one(line.split()[1])
        if self._supervisor is None or self._supervisor.stdin is None:
            message = "only the process that started a stack, not detached, can halt and resume its servers"
            raise StackError(message)
        self._supervisor.stdin.write(f"{line}\n".encode())
        self._supervisor.stdin.flush()

    def _last_ports(self) -> list[int]:
        """Return the ports of the last start if they are still free, so that a stack keeps its addresses."""
        plan = read_json(self.folder / PLAN) or {}
        ports = plan.get("ports", [])
        if len(ports) == 1 + 2 * self._brokers and all(map(is_free, ports)):
            return [int(port) for port in ports]
        if ports and len(ports) != 1 + 2 * self._brokers:
            message = (
                f"stack {self.name} was made with {(len(ports) - 1) // 2} brokers, now {self._brokers} are asked for; "
                f"fix: another --name, or rapport stack down --name {self.name} --delete"
            )
            raise StackError(message)
        return self._fresh_ports()

    def _fresh_ports(self) -> list[int]:
        ports = free_ports(1 + 2 * self._brokers)
        if self.name == DEFAULT_NAME:
            # At the addresses that the settings default to, programs find the stack without being told.
            ports[:2] = [usual if is_free(usual) else port for usual, port in zip((6379, 9092), ports, strict=False)]
        return ports


def stack_names() -> list[str]:
    """Return the names of all stacks that run or have data."""
    return sorted(plan.parent.name for plan in stacks_folder().glob(f"*/{PLAN}"))


def delete_stack(name: str) -> None:
    """Delete the data of the stack called `name`, which must not run."""
    stack = LocalStack(name=name)
    if stack.is_running():
        message = f"stack {name} still runs; fix: rapport stack down --name {name}"
        raise StackError(message)
    shutil.rmtree(stack.folder, ignore_errors=True)
    (stacks_folder() / f"{name}.start.lock").unlink(missing_ok=True)


def _sweep() -> None:
    """Delete what sessions left behind whose supervisor was killed before it could."""
    for state in stacks_folder().glob(f"{_SESSION}*/{STATE}"):
        if not is_locked(state.with_name(SUPERVISOR_LOCK)):
            shutil.rmtree(state.parent, ignore_errors=True)


def _explain(server: Running) -> str:
    end = tail(server.log, lines=200)
    lowered = end.lower()
    if "address already in use" in lowered or "bindexception" in lowered:
        return f"port {server.port} of {server.name} is in use"
    if "no space left" in lowered:
        return f"{server.name} found the disk full; fix: free some space, or set XDG_CACHE_HOME to a folder on another disk"
    lines = end.splitlines()
    # A server that stops says much after what matters.
    telling = [line for line in lines if any(word in line for word in _TELLING)] or lines
    return f"{server.name} ended with code {server.exit}; from {server.log}:\n" + "\n".join(telling[-_LINES_TOLD:])
