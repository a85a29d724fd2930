"""`rapport learners regenerate`: what is made anew teaches what would have been learned had it been made so at once."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Final

import pytest

from handlers.commands.learners.regenerating import Spool, in_order, marked
from models.events.union import AnyClientEvent
from models.learners.activation import LATENESS
from models.learners.promotion import ActivationRule
from models.state.client import ClientState
from models.triggers import Example
from streams.agents.readers import INTAKE_READERS
from streams.agents.school import EVERY, School
from streams.engine.memory_pipeline import MemoryPipeline
from streams.engine.producer import Outgoing
from streams.engine.program import ClientProgram
from streams.runtime.errors import UsageError
from streams.wire.headers import read_origin
from streams.wire.partitioning import partition_of
from streams.wire.records import PlainRecord, Record
from streams.wire.topics import EXAMPLES, SNAPSHOTS
from tests.models.builders import Events, on
from tests.streams.test_school import Desk

PARTITIONS: Final = 2
CLIENTS: Final = ("ash", "birch", "cedar", "dogwood")
ERASED: Final = "elm"
EAGER: Final = ActivationRule(every_ms=1, every_examples=1, least_answers=10_000)


def lived(client: str) -> MemoryPipeline[ClientState]:
    """Return a client's two years: an invoice a fortnight, paid sooner or later."""
    build, pipeline = Events(client), MemoryPipeline(ClientProgram(), readers=INTAKE_READERS, start=on(0))
    shift = len(client) % 5 * 0.1
    story: list[tuple[float, AnyClientEvent]] = [(shift, build.profiled(shift))]
    for number in range(50):
        day = 1 + shift + number * 14
        story.append((day, build.issued(day, f"I{number}", 10_000, due=day + 14)))
        paid = day + 10 + number * len(client) % 23
        story.append((paid, build.paid(paid, f"P{number}", 10_000, f"I{number}")))
    for _, event in sorted(story, key=lambda told: told[0]):
        pipeline.tell(event)
    if client == ERASED:
        pipeline.tell(build.erased(760))
    pipeline.advance_to(on(800))
    return pipeline


@cache
def firm() -> dict[str, MemoryPipeline[ClientState]]:
    """Return all clients' lives, each in a log of its own."""
    return {client: lived(client) for client in (*CLIENTS, ERASED)}


def logs(*, without: str = "") -> list[list[PlainRecord]]:
    """Return the log of each partition: its clients' records by time."""
    found: list[list[PlainRecord]] = [[] for _ in range(PARTITIONS)]
    for client, pipeline in firm().items():
        if client != without:
            found[partition_of(client, PARTITIONS)] += pipeline.log
    for partition, rows in enumerate(found):
        rows.sort(key=lambda row: row.timestamp)
        found[partition] = [replace(row, partition=partition, offset=offset) for offset, row in enumerate(rows)]
    return found


def spools(partitions: Sequence[Sequence[Record]]) -> list[Spool]:
    """Return the examples that the logs come to."""
    found = []
    for partition, log in enumerate(partitions):
        spool = Spool(ClientProgram(), partition, partitions=PARTITIONS)
        for row in log:
            spool.feed(row)
        spool.end()
        found.append(spool)
    return found


def topic(*parts: Iterable[Outgoing]) -> list[PlainRecord]:
    """Return what stands on the topic of examples after all `parts` were written."""
    rows = [row for part in parts for row in part]
    return [
        PlainRecord(
            topic=EXAMPLES.name, partition=0, offset=place, timestamp=place, key=row.key, value=row.value, headers=row.headers
        )
        for place, row in enumerate(rows)
    ]


def published() -> list[Outgoing]:
    """Return what workers who always had this release's features published of the clients that are still there."""
    found = spools(logs(without=ERASED))
    rows = list(in_order(found))
    for spool in found:
        spool.close()
    return rows


def of_before(rows: Iterable[Outgoing]) -> list[Outgoing]:
    """Return examples as a release with another feature table published them."""
    found = []
    for row in rows:
        read = Example.model_validate_json(row.value or b"").model_copy(update={"table": "0ldfeatures0"})
        found.append(
            Outgoing(topic=row.topic, partition=0, key=row.key, value=read.model_dump_json().encode(), headers=row.headers)
        )
    return found


def anew() -> list[Outgoing]:
    """Return what the command writes."""
    found = spools(logs())
    rows = list(in_order(found))
    for spool in found:
        spool.close()
    return list(marked(rows, count=len(rows), at=on(801), author="ann"))


def weights(school: School) -> list[tuple[str, bytes]]:
    return [pupil.trainer.release() for pupil in school.pupils.values()]


def test_with_another_feature_table_the_examples_made_anew_give_the_weights_of_having_had_it_from_the_start() -> None:
    served = published()
    always = Desk().learn(topic(served))
    assert always.learned[LATENESS] > 500
    alone = Desk().learn(topic(of_before(served)))
    assert alone.learned[LATENESS] == 0
    assert alone.counts[LATENESS, "other_table"] == len(served)
    school = Desk().learn(topic(of_before(served), anew()))
    assert weights(school) == weights(always)
    assert school.counts[LATENESS, "repeated"] == 0


def test_examples_of_this_table_that_were_learned_before_are_not_learned_twice() -> None:
    served = published()
    always = Desk().learn(topic(served))
    assert weights(Desk().learn(topic(served, anew()))) == weights(always)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_an_interrupted_run_is_as_if_it_had_not_been_once_it_is_run_again(share: float) -> None:
    served, rows = published(), anew()
    half = rows[: 1 + int(share * len(rows))]
    log = topic(of_before(served), half, rows)
    whole = Desk().learn(log)
    assert weights(whole) == weights(Desk().learn(topic(served)))
    died = Desk()
    died.learn(log, upto=len(served) + len(half) + len(rows) // 2)
    assert weights(died.learn(log)) == weights(whole)


def test_nothing_is_published_of_what_is_not_all_there_and_the_first_version_comes_with_the_next_day() -> None:
    begin, *rows, end = anew()
    days = [Example.model_validate_json(row.value or b"").decided_at.date() for row in rows]
    before, last = rows[: days.index(days[-1])], rows[days.index(days[-1]) :]
    unfinished = Desk(EAGER)
    unfinished.learn(topic([begin, *rows]))
    assert unfinished.stored  # it is remembered nevertheless, and so is that nothing is to be published
    unfinished.learn(topic([begin, *rows], of_before(rows)))
    assert unfinished.entries == []
    desk = Desk(EAGER)
    desk.learn(topic([begin, *before, end]))
    assert desk.entries == []
    desk.learn(topic([begin, *before, end, *last]))
    assert [entry.topic for entry in desk.entries] == [SNAPSHOTS.name]


def test_examples_of_all_partitions_come_in_the_order_of_time_and_each_as_the_worker_would_have_named_it() -> None:
    rows = published()
    origins = [read_origin(row.headers) for row in rows]
    switches = sum(one.src_partition != other.src_partition for one, other in pairwise(origins))
    assert switches > 20
    for partition in range(PARTITIONS):
        own = [origin.position for origin in origins if origin.src_partition == partition]
        assert own == sorted(set(own))
    days = [Example.model_validate_json(row.value or b"").decided_at for row in rows]
    assert days == sorted(days)


def test_who_was_erased_is_left_out() -> None:
    names = {bytes(row.key or b"").split(b"|")[0].decode() for row in anew()[1:-1]}
    assert names == set(CLIENTS)


def test_a_log_whose_beginning_is_deleted_is_refused_with_the_fix() -> None:
    log = logs()[0]
    spool = Spool(ClientProgram(), 0, partitions=PARTITIONS)
    with pytest.raises(UsageError, match=r"partition 0 .* begins at offset 3.*--afresh all"):
        spool.feed(log[3])
    spool.close()


def test_a_mark_that_cannot_be_read_is_counted_and_changes_nothing() -> None:
    served = published()
    begin = anew()[0]
    spoilt = Outgoing(topic=begin.topic, partition=0, key=begin.key, value=b"{}", headers=begin.headers)
    school = Desk().learn(topic(served, [spoilt]))
    assert school.counts[EVERY, "unreadable"] == 1
    assert school.learned == Desk().learn(topic(served)).learned
