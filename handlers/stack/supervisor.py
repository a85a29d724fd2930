"""The process that owns the servers of one stack. Run as `python -m handlers.stack.supervisor FOLDER`.

It starts what `plan.json` says, tells in `state.json` what runs, and stops everything on SIGTERM or, when tied, as soon as
the process that started it is gone, even after kill -9. Its children die with it. While it lives it holds `supervisor.lock`.
A tied supervisor also takes the lines `start NAME` and `stop NAME` on standard input.
"""

import os
import selectors
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from handlers.stack.folders import locked, read_json, write_json
from handlers.stack.plan import PLAN, STATE, SUPERVISOR_LOCK, Plan, Server, log_folder
from streams.runtime.clock import monotonic

_LAUNCH: Final = Path(__file__).with_name("launch.py")
_LOOK_SECONDS: Final = 0.5  # how often a tied supervisor looks for its parent, should its pipe be held open by another process
_STOP_SECONDS: Final = 20.0
_STDIN: Final = 0


class Supervisor:
    """Owns the child processes of one stack."""

    def __init__(self, plan: Plan) -> None:
        """Start nothing yet."""
        self._plan = plan
        self._folder = Path(plan.folder)
        self._servers = {server.name: server for server in plan.servers}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._exits: dict[str, int | None] = {}
        self._parent = os.getppid()
        self._stopping = False

    def run(self) -> None:
        """Start all, watch, stop all."""
        wakeups, bell = os.pipe()
        os.set_blocking(bell, False)
        signal.set_wakeup_fd(bell)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, self._on_signal)
        with selectors.DefaultSelector() as selector:
            selector.register(wakeups, selectors.EVENT_READ)
            if self._plan.tied:
                selector.register(_STDIN, selectors.EVENT_READ)
            try:
                for server in self._plan.servers:
                    self._start(server)
                self._tell()
                while not self._stopping:
                    for key, _events in selector.select(_LOOK_SECONDS):
                        self._hear(key.fd)
                    self._reap()
                    self._stopping |= self._plan.tied and os.getppid() != self._parent
            finally:
                self._stop_all()
        self._tidy()

    def _on_signal(self, number: int, _frame: object) -> None:
        self._stopping |= number != signal.SIGCHLD

    def _hear(self, fd: int) -> None:
        said = os.read(fd, 4096)
        if fd != _STDIN:
            return
        if not said:
            self._stopping = True
        for line in said.decode("utf-8").splitlines():
            match line.split():
                case ["start", name] if name in self._servers and name not in self._running:
                    self._start(self._servers[name])
                case ["stop", name] if name in self._running:
                    self._running[name].terminate()
                case _:
                    print(f"not understood: {line!r}", file=sys.stderr, flush=True)
        self._tell()

    def _start(self, server: Server) -> None:
        with (log_folder(self._folder) / server.log).open("ab") as log:
            self._running[server.name] = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), *server.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
            )
        self._exits[server.name] = None

    def _reap(self) -> None:
        ended = {name: code for name, process in self._running.items() if (code := process.poll()) is not None}
        for name, code in ended.items():
            del self._running[name]
            self._exits[name] = code
        if ended:
            self._tell()

    def _tell(self) -> None:
        servers = {
            name: {
                "pid": self._running[name].pid if name in self._running else None,
                "port": server.port,
                "log": str(log_folder(self._folder) / server.log),
                "exit": self._exits.get(name),
            }
            for name, server in self._servers.items()
        }
        write_json(self._folder / STATE, {"supervisor": os.getpid(), "servers": servers})

    def _stop_all(self) -> None:
        for process in self._running.values():
            if self._plan.ephemeral:
                process.kill()  # its data is thrown away in a moment
            else:
                process.terminate()
        deadline = monotonic() + _STOP_SECONDS
        for process in self._running.values():
            try:
                process.wait(max(0.0, deadline - monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _tidy(self) -> None:
        if self._plan.ephemeral:
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            with suppress(FileNotFoundError):
                (self._folder / STATE).unlink()


def main() -> None:
    """Supervise the stack in the folder given."""
    folder = Path(sys.argv[1])
    plan = read_json(folder / PLAN)
    if plan is None:
        sys.exit(f"{folder / PLAN} cannot be read")
    with locked(folder / SUPERVISOR_LOCK):
        Supervisor(Plan.from_json(plan)).run()


if __name__ == "__main__":
    main()
