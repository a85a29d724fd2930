"""Which dead letters wait, from the records of their topic alone."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from streams.engine.open_letters import OpenLetters
from streams.runtime.errors import DeadLetterError
from streams.wire.dead_letters import DISMISS, REDRIVE, DeadLetter, Reason, marker_headers
from streams.wire.records import PlainRecord

AT = datetime(2026, 1, 5, tzinfo=UTC)


def written(offset: int, headers: list[tuple[str, bytes]]) -> PlainRecord:
    return PlainRecord(
        topic="dead.letters", partition=0, offset=offset, timestamp=1_000 * offset, key=None, value=b"{", headers=tuple(headers)
    )


def letter(offset: int) -> PlainRecord:
    error = DeadLetterError(Reason.BAD_JSON, "not JSON")
    return written(offset, DeadLetter.of(written(offset, []), error, stage="intake", src_topic="webhooks").to_headers())


def marker(offset: int, place: str, how: str = REDRIVE) -> PlainRecord:
    return written(offset, marker_headers(place, at=AT, actor="ana", note="", stage=how))


def told(letters: OpenLetters) -> tuple[int, int | None]:
    return letters.depth, letters.oldest_ms()


def test_a_letter_waits_until_it_is_driven_again_or_dismissed() -> None:
    letters = OpenLetters(0)
    assert told(letters) == (0, None)
    for record in (letter(3), letter(4), letter(5), marker(6, "0:3")):
        letters.take(record)
    assert told(letters) == (2, 4_000)
    letters.take(marker(7, "0:4", DISMISS))
    letters.take(marker(8, "0:4", REDRIVE))  # dismissed, and driven all the same
    assert told(letters) == (1, 5_000)
    letters.take(marker(9, "1:5"))  # of another partition
    letters.take(marker(10, "nonsense"))
    assert told(letters) == (1, 5_000)
    assert letters.read == 11


def test_a_record_that_is_no_dead_letter_waits_for_nobody() -> None:
    letters = OpenLetters(0)
    letters.take(written(0, []))
    letters.take(written(1, [("stage", b"intake"), ("reason", b"bad_json")]))  # nobody could show, drive or dismiss it
    assert told(letters) == (0, None)
    assert letters.read == 2


def test_what_retention_deletes_waits_no_longer() -> None:
    letters = OpenLetters(0)
    for offset in range(4):
        letters.take(letter(offset))
    letters.forget_before(2)
    assert told(letters) == (2, 2_000)


@given(st.lists(st.one_of(st.none(), st.integers(0, 40)), max_size=60), st.integers(1, 12))
def test_however_many_there_are_the_oldest_are_known_and_memory_is_bounded(log: list[int | None], most: int) -> None:
    records = [letter(at) if place is None else marker(at, f"0:{place}") for at, place in enumerate(log)]
    letters = OpenLetters(0, most=most)
    while letters.read < len(records):
        letters.take(records[letters.read])
        assert letters.depth <= most
    settled = {place for at, place in enumerate(log) if place is not None and place < at}
    waiting = [at for at, place in enumerate(log) if place is None and at not in settled]
    assert letters.oldest_ms() == (1_000 * waiting[0] if waiting else None)
    if len([at for at, place in enumerate(log) if place is None]) <= most:
        assert letters.depth == len(waiting)
