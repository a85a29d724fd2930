"""What people were asked about before it leaves, and what they said."""

from typing import Final

import msgspec

ASKED: Final = 0
APPROVED: Final = 1
HELD: Final = 2


class Approval(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message that a person was asked about: the task, until when, for how much money, and what they said.

    `answer` is ASKED until there is one; from then on `until_ms` is the end of that answer. `asked_ms` and `answered_ms`
    are when (0: in a state of before).
    """

    journey: int
    anchor: str
    step: str
    trigger_id: str
    until_ms: int
    amounts: tuple[tuple[str, int], ...] = ()
    answer: int = 0
    by: str = ""
    note: str = ""
    tone: str = ""
    channel: str = ""
    asked_ms: int = 0
    answered_ms: int = 0
