"""An exception's type says what to do next."""


class RapportError(Exception):
    """Base of all errors that Rapport raises on purpose; the message names the cause and the fix."""


class UsageError(RapportError):
    """A person gave something that cannot work: show the message, exit with 2, no traceback."""


class RetryError(RapportError):
    """Nothing is wrong with the record: a server is away or busy. Try the same thing again."""


class DeadLetterError(RapportError):
    """The record can never be handled: keep its bytes and the reason, go on with its neighbours."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep a short machine-readable `reason` (a metric label) and a `detail` for people."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class FatalError(RapportError):
    """Going on would risk correctness: stop the process, a supervisor starts a new one."""
