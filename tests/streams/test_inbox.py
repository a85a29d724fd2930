"""The inbox hands every record on exactly once and in order, whatever the client library under it does."""

import asyncio

import pytest
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
            answer = inbox.offer(fetched)
            if answer is Offer.DOUBT:
                assert not inbox.resolve(inbox.read)
            if answer is not Offer.TAKEN:
                inbox.offer([record(offset) for offset in range(inbox.read, length)])
            taken += await take(inbox, limit)
        inbox.offer([record(offset) for offset in range(inbox.read, length)])
        while batch := await take(inbox, limit):
            taken += batch
        assert taken == list(range(length))
        assert not inbox.doubtful

    asyncio.run(run())


async def test_a_hole_that_is_still_there_after_reading_again_is_a_doubt_and_nothing_is_taken_in_until_it_is_resolved() -> None:
    inbox = inbox_of()
    assert inbox.offer([record(0), record(5)]) is Offer.HOLE
    assert inbox.read == 1
    assert inbox.offer([record(5), record(6)]) is Offer.DOUBT
    assert inbox.offer([record(1), record(2)]) is Offer.TAKEN
    assert await take(inbox) == [0]
    assert (inbox.doubtful, inbox.read) == (True, 1)


@pytest.mark.parametrize(("first", "hole", "rest"), [(5, True, [5, 6]), (1, False, [1, 2])], ids=["in the log", "in the library"])
async def test_the_log_s_answer_ends_the_doubt(first: int, hole: bool, rest: list[int]) -> None:
    inbox = inbox_of()
    inbox.offer([record(0), record(5)])
    inbox.offer([record(5)])
    assert inbox.resolve(first) is hole
    assert inbox.offer([record(offset) for offset in rest]) is Offer.TAKEN
    assert await take(inbox) == [0, *rest]


async def test_a_hole_that_was_refuted_and_shows_again_is_doubted_again() -> None:
    inbox, answers = inbox_of(), []
    for _ in range(2):
        answers += [inbox.offer([record(5)]), inbox.offer([record(5)])]
        inbox.resolve(0)
    assert answers == [Offer.HOLE, Offer.DOUBT] * 2


async def test_an_inbox_that_begins_anew_holds_nothing_and_has_no_doubt_left() -> None:
    inbox = inbox_of()
    assert [inbox.offer([record(0), record(5)]), inbox.offer([record(5)])] == [Offer.HOLE, Offer.DOUBT]
    inbox.restart(5)
    assert inbox.held == (0, 0)
    assert inbox.offer([record(5), record(7)]) is Offer.HOLE
    assert await take(inbox) == [5]


async def test_another_hole_in_the_same_place_is_read_again_first() -> None:
    inbox = inbox_of()
    assert inbox.offer([record(5)]) is Offer.HOLE
    assert inbox.offer([record(3)]) is Offer.HOLE
    assert inbox.offer([record(3)]) is Offer.DOUBT


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


async def test_the_bound_in_bytes_is_reached_to_the_byte_and_left_at_half() -> None:
    inbox, seen = inbox_of(most_bytes=1_000), []
    for offset, size in enumerate((499, 500, 1)):
        inbox.offer([record(offset, size=size)])
        seen.append(inbox.full)
    assert seen == [False, False, True]
    await take(inbox, 1)
    assert not inbox.relieved
    inbox.restart(0)
    inbox.offer([record(0, size=500)])
    assert inbox.relieved


async def test_a_closed_inbox_takes_nothing_in_and_hands_nothing_out() -> None:
    inbox = inbox_of()
    inbox.offer([record(0)])
    inbox.close()
    inbox.offer([record(1)])
    assert await take(inbox) == []
    assert inbox.closed
