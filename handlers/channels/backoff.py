"""How long to wait before the next attempt: exponential, capped, with jitter derived from the trigger id."""

from typing import Final

from models.ids import derive

FIRST_MS: Final = 2_000
LONGEST_MS: Final = 3_600_000
_DOUBLINGS: Final = 11  # 2 s * 2^11 = 68 min, beyond the cap


def retry_delay_ms(trigger_id: str, *, attempt: int) -> int:
    """Return the wait after attempt number `attempt` (from 1), in milliseconds.

    Doubles from 2 s up to an hour; the second half of each wait is spread over the triggers, so that a thousand that failed
    together do not return together. The same trigger and attempt always give the same wait.
    """
    ceiling = min(LONGEST_MS, FIRST_MS << min(attempt - 1, _DOUBLINGS))
    share = int(derive("backoff", trigger_id, attempt)[:8], 16) / 2**32
    return ceiling // 2 + int(share * (ceiling / 2))
