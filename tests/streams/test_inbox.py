"""The inbox hands every record on exactly once and in order, whatever the client library under it does."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from streams.engine.inbox import Inbox, Offer
from streams.wire.records import PlainRecord


def record(offset: int, size: int = 1) -> PlainRecord:
    return PlainRecord(topic="t", partition=0, offset=offset, timestamp=0, key=None, value=b"x" * size)


def inbox_of(most_records: int = 1_000, most_bytes: int = 1_000_000) -> Inbox:
    inbox = Inbox(most_records=most_records, most_bytes=most_bytes)
    inbox.restart(0)
    return inbox


async def take(inbox: Inbox, limit: int = 1_000) -> list[int]:
    return [at.offset for at in await inbox.take(limit, len, patience=0)]


@given(
    length=st.integers(1, 40),
    fetches=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12), st.sets(st.integers(0, 39), max_size=4)), max_size=20),
    limit=st.integers(1, 9),
)
def test_repeated_skipped_and_jumping_fetches_still_give_each_record_once_in_order(
    length: int, fetches: list[tuple[int, int, set[int]]], limit: int
) -> None:
    async def run() -> None:
        inbox, taken = inbox_of(), []
        for start, size, lost in fetches:
            fetched = [record(offset) for offset in range(start, min(start + size, length)) if offset not in lost]
            if inbox.offer(fetched) is Offer.HOLE:
                inbox.offer([record(offset) for offset in range(inbox.read, length)])
            taken += await take(inbox, limit)
        inbox.offer([record(offset) for offset in range(inbox.read, length)])
        while batch := await take(inbox, limit):
            taken += batch
        assert taken == list(range(length))
        assert inbox.accepted_holes == 0

    asyncio.run(run())


async def test_a_hole_that_is_still_there_after_reading_again_is_accepted_and_counted() -> None:
    inbox = inbox_of()
    assert inbox.offer([record(0), record(5)]) is Offer.HOLE
    assert inbox.read == 1
    assert inbox.offer([record(5), record(6)]) is Offer.TAKEN
    assert await take(inbox) == [0, 5, 6]
    assert (inbox.rereads, inbox.accepted_holes) == (1, 1)


async def test_another_hole_in_the_same_place_is_read_again_first() -> None:
    inbox = inbox_of()
    assert inbox.offer([record(5)]) is Offer.HOLE
    assert inbox.offer([record(3)]) is Offer.HOLE
    assert inbox.offer([record(3)]) is Offer.TAKEN


async def test_it_is_full_by_records_or_by_bytes_and_relieved_at_half() -> None:
    inbox, seen = inbox_of(most_records=4, most_bytes=1_000), []
    inbox.offer([record(offset) for offset in range(4)])
    seen.append((inbox.full, inbox.relieved))
    for _ in range(2):
        await take(inbox, 1)
        seen.append((inbox.full, inbox.relieved))
    inbox.offer([record(4, size=1_000)])
    seen.append((inbox.full, inbox.relieved))
    assert seen == [(True, False), (False, False), (False, True), (True, False)]


async def test_a_closed_inbox_takes_nothing_in_and_hands_nothing_out() -> None:
    inbox = inbox_of()
    inbox.offer([record(0)])
    inbox.close()
    inbox.offer([record(1)])
    assert await take(inbox) == []
    assert inbox.closed
