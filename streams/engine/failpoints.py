"""Named places at which a test may kill the process, as hard as `kill -9` does."""

import os
import signal
from collections.abc import Callable, Sequence
from typing import Final

from streams.runtime.errors import UsageError

BEFORE_COMMIT: Final = "before_commit"
AFTER_COMMIT: Final = "after_commit"
BEFORE_TRIM: Final = "before_trim"
IN_SEEK: Final = "in_seek"
FAILPOINTS: Final = (BEFORE_COMMIT, AFTER_COMMIT, BEFORE_TRIM, IN_SEEK)


def _pass(_name: str) -> None:
    """Do nothing: no failpoint is set."""


def make_failpoint(spec: str, *, places: Sequence[str] = FAILPOINTS) -> Callable[[str], None]:
    """Return what a program calls with the name of each of its `places` when it passes there.

    `spec` is empty (nothing ever happens), a name, or `name:n` to die at the n-th passing; raises UsageError for others.
    """
    if not spec:
        return _pass
    name, _, times = spec.partition(":")
    if name not in places or not (times or "1").isdigit():
        message = f"RAPPORT_FAILPOINT={spec} is unknown; unset it, or use one of {', '.join(places)}, with :n for the n-th time"
        raise UsageError(message)
    left = int(times or "1")

    def passing(place: str) -> None:
        nonlocal left
        if place == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return passing
