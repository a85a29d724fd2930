"""Runs a real worker with the counting program: `python -m tests.streams.counting_worker`, settings from the environment."""

import sys

from streams.app import run_worker
from streams.runtime.log import configure_log
from streams.runtime.settings import load_settings
from tests.streams.counting import CountingProgram

if __name__ == "__main__":
    settings = load_settings()
    configure_log(settings)
    sys.exit(run_worker(settings, CountingProgram()))
