"""What the workers of a run share is made once, for all who ask, and undone with the run."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Client

import pytest

from tests.lent import Lender, borrow


def test_what_is_lent_is_made_when_first_asked_for_once_and_undone_at_the_end() -> None:
    happened = []

    @contextmanager
    def made() -> Iterator[tuple[str, int]]:
        happened.append("made")
        yield ("127.0.0.1", 1)
        happened.append("undone")

    lender = Lender(made)
    assert not happened
    assert [borrow(lender.address, tuple) for _ in range(3)] == [("127.0.0.1", 1)] * 3
    assert happened == ["made"]
    lender.close()
    assert happened == ["made", "undone"]


def test_whoever_asks_is_told_why_there_is_nothing() -> None:
    def broken() -> AbstractContextManager[str]:
        message = "no Java"
        raise OSError(message)

    lender = Lender(broken)
    for _ in range(2):
        with pytest.raises(OSError, match="no Java"):
            borrow(lender.address, str)
    lender.close()


def test_one_who_leaves_before_the_answer_keeps_nobody_from_theirs() -> None:
    @contextmanager
    def made() -> Iterator[str]:
        yield "here"

    lender = Lender(made)
    Client(lender.address).close()
    assert borrow(lender.address, str) == "here"
    lender.close()
