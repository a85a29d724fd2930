"""Events about a partition of the log rather than a client. Produced by us only, never accepted from outside."""

from typing import Literal

from models.events.envelope import Envelope


class ClockTicked(Envelope):
    """Time passed: timers due up to `occurred_at` may fire. Written by the owner of a partition into that partition."""

    kind: Literal["clock.ticked"] = "clock.ticked"
