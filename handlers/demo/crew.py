"""The processes of the demo: gateway, workers, channels, trainer. They log to files and cannot outlive who started them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from handlers.stack import launch
from handlers.stack.logs import tail
from streams.runtime.clock import monotonic
from streams.runtime.errors import RapportError

_STOP_SECONDS: Final = 15.0


class DemoError(RapportError):
    """The demo found something that must not be: the message says what, and where the logs are."""


@dataclass(slots=True)
class Member:
    """One process and its log file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    expected_to_die: bool = False


class Crew:
    """Starts and stops the processes; as a context manager it leaves none behind."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str]) -> None:
        """Run processes with `environment` on top of ours; their logs go to `folder`."""
        self.folder = folder
        self._environment = {**os.environ, **environment}
        self._members: dict[str, Member] = {}

    def __enter__(self) -> Self:
        """Make the folder of logs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop every process."""
        self.stop()

    def start(self, name: str, *command: str) -> None:
        """Start `rapport <command>` under `name`."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(  # noqa: S603 (our own commands)
                _rapport(command),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for us; they are stopped in order
            )
        self._members[name] = Member(name, process, log)

    async def run(self, *command: str) -> str:
        """Run `rapport <command>` to its end and return what it printed; raise DemoError when it fails."""
        process = await asyncio.create_subprocess_exec(
            *_rapport(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )
        try:
            said, complaint = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            message = f"rapport {' '.join(command)} failed with code {process.returncode}: {complaint.decode()[-500:]}"
            raise DemoError(message)
        return said.decode()

    def kill(self, name: str) -> int:
        """Kill a process as kill -9 does; returns its id."""
        member = self._members[name]
        member.expected_to_die = True
        member.process.kill()
        member.process.wait()
        return member.process.pid

    def finish(self, name: str) -> None:
        """Ask a process to finish what it has in hand, and wait for it; raise DemoError when it does not."""
        member = self._members[name]
        member.expected_to_die = True
        member.process.terminate()
        try:
            code = member.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            message = f"{name} did not stop within {_STOP_SECONDS:.0f} s; its log is {member.log}"
            raise DemoError(message) from error
        if code:
            message = f"{name} ended with code {code}; its log {member.log} ends:\n{tail(member.log, lines=15)}"
            raise DemoError(message)

    def raise_if_dead(self) -> None:
        """Raise DemoError when a process has ended that should live."""
        for member in self._members.values():
            code = member.process.poll()
            if code is not None and not member.expected_to_die:
                message = f"{member.name} ended with code {code}; its log {member.log} ends:\n{tail(member.log, lines=15)}"
                raise DemoError(message)

    def alive(self) -> dict[str, int]:
        """Return the living processes by name, with their ids."""
        return {name: member.process.pid for name, member in self._members.items() if member.process.poll() is None}

    def stop(self) -> None:
        """Ask every process to finish, then make it."""
        for member in self._members.values():
            member.expected_to_die = True
            with suppress(ProcessLookupError):
                member.process.send_signal(signal.SIGTERM)
        deadline = monotonic() + _STOP_SECONDS
        for member in self._members.values():
            try:
                member.process.wait(max(0.1, deadline - monotonic()))
            except subprocess.TimeoutExpired:
                member.process.kill()
                member.process.wait()


def _rapport(command: Sequence[str]) -> list[str]:
    """Return the command line of `rapport <command>` as a process that dies with this one."""
    return [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), sys.executable, "-m", "handlers.cli", *command]
