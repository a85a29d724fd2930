"""How `rapport dead-letters list` tells letters: whole, at any width."""

from collections import deque
from datetime import UTC, datetime

from handlers.commands.dead_letters import letter_lines
from handlers.commands.letters import Place, Shelf, Shelved
from streams.wire.dead_letters import DISMISS, DeadLetter
from streams.wire.topics import DEAD_LETTERS, WEBHOOKS

WHY = "amount: 9223372036854775807 EUR is more than anybody owes; fix: in minor units 1250.00 EUR is 125000, and JPY has none"


def letter(offset: int, *, topic: str = WEBHOOKS.name) -> Shelved:
    seen = datetime(2026, 3, 2, 9, tzinfo=UTC)
    source = [("source", b"gocardless")] if topic == WEBHOOKS.name else []
    told = DeadLetter(
        stage="intake",
        reason="bad_schema",
        detail=WHY,
        src_topic=topic,
        src_partition=0,
        src_offset=offset,
        first_seen=seen,
        key=None,
        value=b"{}",
        headers=tuple(source),
    )
    return Shelved(place=Place(0, offset), letter=told)


def test_a_letter_is_told_whole_within_eighty_columns_and_in_two_lines_where_nothing_limits_them() -> None:
    shown = [letter(7), letter(123_456), letter(123_457, topic=DEAD_LETTERS.name)]
    shelf = Shelf(shown=deque(shown), settled={"0:7": DISMISS})
    narrow, wide = list(letter_lines(shelf, width=80)), list(letter_lines(shelf, width=None))
    assert max(map(len, narrow)) <= 80
    assert wide == [
        "0:7       2026-03-02 09:00:00  gocardless    intake: bad_schema (dismissed)",
        f"    {WHY}",
        "0:123456  2026-03-02 09:00:00  gocardless    intake: bad_schema",
        f"    {WHY}",
        "0:123457  2026-03-02 09:00:00  dead.letters  intake: bad_schema (cannot be driven again)",
        f"    {WHY}",
    ]
    assert " ".join(" ".join(narrow[1:3]).split()) == WHY
