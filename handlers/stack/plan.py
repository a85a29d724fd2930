"""What the supervisor of a stack is told, and where it keeps what: plain values, so that it starts in no time."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SUPERVISOR_LOCK = "supervisor.lock"
STATE = "state.json"
PLAN = "plan.json"
LOGS = "logs"


@dataclass(frozen=True, slots=True)
class Server:
    """One child process: its name in the stack, its command line, and the loopback port it listens on."""

    name: str
    command: tuple[str, ...]
    port: int

    @property
    def log(self) -> str:
        """Name of its log file."""
        return f"{self.name}.log"


@dataclass(frozen=True, slots=True)
class Plan:
    """All servers of a stack.

    `tied`: the supervisor leaves when the process that started it does. `ephemeral`: it then deletes the stack's folder.
    """

    folder: str
    servers: tuple[Server, ...]
    tied: bool
    ephemeral: bool

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "Plan":
        """Read back what `to_json` gave."""
        servers = tuple(Server(s["name"], tuple(s["command"]), s["port"]) for s in value["servers"])
        return Plan(value["folder"], servers, tied=value["tied"], ephemeral=value["ephemeral"])


def log_folder(folder: Path) -> Path:
    """Return where the servers of the stack in `folder` write their logs."""
    return folder / LOGS
