"""A real worker with the counting program and one extra: SIGALRM blocks its event loop, as a long computation would."""

import signal
import sys
import threading

from streams.app import run_worker
from streams.runtime.log import configure_log
from streams.runtime.settings import load_settings
from tests.streams.counting import WHOLE_RUN, CountingProgram

_BLOCK_SECONDS = 90.0


def _block(_number: int, _frame: object) -> None:
    threading.Event().wait(_BLOCK_SECONDS)


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, _block)
    settings = load_settings()
    configure_log(settings)
    sys.exit(run_worker(settings, CountingProgram(ring=WHOLE_RUN)))
