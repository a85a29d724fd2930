"""The last look before sending: whether a trigger is still right for the client as we know them now."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from handlers.channels.contract import Recipient
from models.triggers import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLook:
    """Whether the trigger may go out; if not, a short `code` (a metric label) and the reasons in words."""

    allowed: bool
    code: str = ""
    reasons: tuple[str, ...] = ()
    recipient: Recipient = field(default_factory=Recipient)


Look: TypeAlias = Callable[[bytes, Trigger, int], LastLook]
"""From the client's encoded state, the trigger and the present moment in epoch ms."""
