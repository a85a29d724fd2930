"""Two memories against counting twice: deliveries (event ids) and business facts (invoices and payments already closed).

**Deliveries.** A ring of (48-bit hash, arrival in seconds) keeps every id for at least `WINDOW_MS` of the client's logical time,
and at least the latest `RING_KEEP` whatever their age. An event is refused as *late* only when it is older than the window
**and** its id could have been forgotten; so an id is either found (duplicate), known never to have been forgotten (new), or
refused (late). A burst beyond `RING_CAP` ids inside the window forgets the oldest: counted in `forgotten.ids`; the business
level still holds.

**Business facts.** A closed invoice or payment that left the ledger leaves a 48-bit hash behind; whatever names it again changes
nothing and is counted in `forgotten.repeats`. Beyond `CLOSED_CAP` the oldest hash goes, counted in `forgotten.facts`.

The chance that one of 1,024 stored 48-bit hashes equals that of a new id is below 4 in 10^12.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from models.workdays import DAY_MS

WINDOW_MS: Final = 8 * DAY_MS  # beyond the longest retry span of a processor (Stripe: 3 days), with room
RING_KEEP: Final = 32
RING_CAP: Final = 1024
CLOSED_CAP: Final = 256
_HASH: Final = 6
_ENTRY: Final = _HASH + 4


# An event's own id is looked up and then remembered, an invoice's asked for at each of its steps.
@lru_cache(maxsize=1024)
def fingerprint(text: str) -> bytes:
    """Return the 48-bit hash under which an id is remembered."""
    return blake2b(text.encode(), digest_size=_HASH).digest()


def remembers(ring: bytes, event_id: str) -> bool:
    """Say whether the ring holds `event_id`."""
    return _find(ring, fingerprint(event_id), _ENTRY)


def remember(ring: bytes, event_id: str, *, received_ms: int, now_ms: int, evicted_ms: int) -> tuple[bytes, int, int]:
    """Add an id; return the ring, the latest arrival ever evicted by age, and how many ids were evicted early by size."""
    # Four bytes of seconds last until 2106; arrivals outside of that only look older or newer than they are.
    ring += fingerprint(event_id) + min(max(received_ms // 1000, 0), 2**32 - 1).to_bytes(4, "big")
    horizon = (now_ms - WINDOW_MS) // 1000
    while len(ring) > RING_KEEP * _ENTRY:
        oldest = int.from_bytes(ring[_HASH:_ENTRY], "big")
        if oldest >= horizon:
            break
        # The ring keeps whole seconds: the end of that second is the safe bound.
        evicted_ms = max(evicted_ms, oldest * 1000 + 999)
        ring = ring[_ENTRY:]
    surplus = max(0, len(ring) // _ENTRY - RING_CAP)
    return ring[surplus * _ENTRY :], evicted_ms, surplus


def undecidable(*, received_ms: int, now_ms: int, evicted_ms: int) -> bool:
    """Say whether an id that is not in the ring may have been forgotten: then nobody can tell if its event is new."""
    return received_ms < now_ms - WINDOW_MS and received_ms <= evicted_ms


def is_closed(closed: bytes, fact: str) -> bool:
    """Say whether a closed business fact (`invoice:I`, `payment:P`, ...) is remembered."""
    return bool(closed) and _find(closed, fingerprint(fact), _HASH)


def close(closed: bytes, fact: str) -> tuple[bytes, int]:
    """Remember that a fact is closed; return the memory and how many older ones had to go."""
    closed += fingerprint(fact)
    surplus = max(0, len(closed) // _HASH - CLOSED_CAP)
    return closed[surplus * _HASH :], surplus


def united(one: bytes, two: bytes) -> tuple[bytes, int]:
    """Return what two memories of closed facts remember together, and how many older ones had to go."""
    for start in range(0, len(two), _HASH):
        fact = two[start : start + _HASH]
        if not _find(one, fact, _HASH):
            one += fact
    surplus = max(0, len(one) // _HASH - CLOSED_CAP)
    return one[surplus * _HASH :], surplus


def _find(haystack: bytes, needle: bytes, stride: int) -> bool:
    at = haystack.find(needle)
    while at >= 0:
        if at % stride == 0:
            return True
        at = haystack.find(needle, at + 1)
    return False
