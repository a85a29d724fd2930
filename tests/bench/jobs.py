"""What contenders do with each event: all that Rapport does, or next to nothing, which leaves the engines alone."""

import os
import sys
from enum import StrEnum
from typing import Any, Final

from streams.engine.fold import Program
from streams.engine.program import ClientProgram
from tests.streams.counting import CountingProgram

VARIABLE: Final = "BENCH_JOB"


class Job(StrEnum):
    """Which program a contender runs."""

    CLIENTS = "clients"
    COUNT = "count"

    def program(self) -> Program[Any]:
        """Return the program."""
        return ClientProgram() if self is Job.CLIENTS else CountingProgram()

    def worker(self) -> list[str]:
        """Return the command of a worker of ours: as it is shipped, or the same engine around the small program."""
        if self is Job.CLIENTS:
            return [sys.executable, "-c", "import sys; from handlers.cli import main; sys.argv[1:] = ['worker']; main()"]
        return [sys.executable, "-m", "tests.streams.counting_worker"]

    def environment(self) -> dict[str, str]:
        """Return what tells a process of its job."""
        return {VARIABLE: self.value}


def job_of_environment() -> Job:
    """Return the job that this process was told to do."""
    return Job(os.environ.get(VARIABLE, Job.CLIENTS))
