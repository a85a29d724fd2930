"""Events of a history that wait on disk: what is told is what was read, in order of arrival, as often as it is asked for."""

import gc
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from stat import S_ISREG

from handlers.commands.book.plan import Asked
from handlers.commands.held import Held, held_by_arrival
from handlers.commands.held_history import hold_history
from handlers.commands.simulate import events_of
from models.events.union import AnyClientEvent
from tests.histories.books import DIALECTS, write_dialect
from tests.histories.firms import FIRMS
from tests.models.builders import Events


def test_what_is_held_is_what_was_told_whatever_its_kind_and_its_letters() -> None:
    told = [*events_of(None, form=None, asked=Asked()), Events("Ä\n\u2028 😀").issued(900, "I\r\n1", 1)]
    held = held_by_arrival(told)
    assert list(held) == sorted(told, key=lambda event: event.received_ms)
    assert len(held) == len(told)


def test_events_of_one_moment_keep_the_order_in_which_they_were_told() -> None:
    build = Events()
    told: list[AnyClientEvent] = [
        build.issued(5, "I1"),
        build.issued(3, "I2"),
        build.paid(5, "P1", 1, "I1"),
        build.issued(3, "I3"),
    ]
    assert list(held_by_arrival(told)) == [told[1], told[3], told[0], told[2]]


def test_a_history_can_be_told_again_and_twice_at_once() -> None:
    build = Events()
    told = [build.issued(number, f"I{number}") for number in range(9_000)]
    held = held_by_arrival(told)
    assert all(one == two == three for one, two, three in zip(held, held, told, strict=True))
    assert sum(1 for _ in held) == 9_000


def test_an_empty_history_holds_nothing() -> None:
    assert list(Held([])) == []
    assert len(Held([])) == 0


def test_a_book_is_held_as_it_is_read_and_leaves_nothing_open_behind(tmp_path: Path) -> None:
    book = write_dialect(tmp_path / "book.csv", FIRMS["moody"](3, 400), DIALECTS["german"])
    gc.collect()  # what other tests left to it would vanish meanwhile
    before = _nameless_files()
    events, notes = hold_history(book, asked=Asked())
    assert len(_nameless_files() - before) == 1
    again, same = hold_history(book, asked=Asked())
    assert (list(events), notes) == (list(again), same)
    assert all(one.received_ms <= two.received_ms for one, two in pairwise(events))
    del events, again
    gc.collect()
    assert _nameless_files() == before


def _nameless_files() -> set[tuple[int, int]]:
    """Return the files that this process has open and that no folder names, as (device, number)."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            facts = descriptor.stat()
            if S_ISREG(facts.st_mode) and facts.st_nlink == 0:
                found.add((facts.st_dev, facts.st_ino))
    return found
