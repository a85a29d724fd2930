"""Where a client stands with audiences that take their time (see models.policy.dwelling)."""

import msgspec


class Stay(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where the client stands with an audience that has a dwell time, by a 32-bit hash of its name.

    It belongs since `since_ms` (0: it does not); `turned_ms` is since when its rules have said otherwise (0: they say the same).
    """

    mark: int
    since_ms: int = 0
    turned_ms: int = 0
