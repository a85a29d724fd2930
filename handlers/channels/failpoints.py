"""Places at which a test may kill the process: RAPPORT_FAILPOINT names one. Unset, which is always so in production: nothing."""

import os
import signal
from typing import Final

VARIABLE: Final = "RAPPORT_FAILPOINT"
PROVIDER_ACCEPTED: Final = "channel-provider-accepted"
"""After the provider took the message, before the ledger knows."""
OUTCOME_PUBLISHED: Final = "channel-outcome-published"
"""After `signals` acknowledged an outcome, before the ledger forgets it."""


def reached(place: str) -> None:
    """Die at once, as by power loss, when `place` is the one asked for."""
    if os.environ.get(VARIABLE) == place:
        os.kill(os.getpid(), signal.SIGKILL)
