"""The fold of the client log: independent of where batches are cut, and equal to the plainest fold there is."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.control import ClockTicked
from models.events.union import AnyEvent
from streams.engine.fold import ClientsFold, ControlBatch, Program, TickBatch, cut
from streams.engine.oracle import fold_partition
from streams.engine.program import ClientProgram
from streams.engine.ticks import TICK_SLACK_MS
from streams.engine.writes import OutboxEntry, Outcome
from streams.wire.codec import decode_event
from streams.wire.dead_letters import Reason, read_dead_letter
from streams.wire.headers import read_origin, read_stations
from streams.wire.records import PlainRecord
from tests.chaos.load import POISON
from tests.streams.counting import TIMER_MS, Counted, CountingProgram, Tally, make_trigger
from tests.streams.engine_examples import ARRIVED_MS, START_MS, event_content, logs, on_log, tick_content


class Stored:
    """What a partition has stored after folding a log in the given batches."""

    def __init__(self, program: Program[Any]) -> None:
        self.program = program
        self.fold = ClientsFold(program, partitions=1)
        self.states: dict[str, bytes] = {}
        self.timers: dict[str, int] = {}
        self.outbox: list[OutboxEntry] = []
        self.counts: Counter[tuple[str, Outcome]] = Counter()
        self.watermark_ms = 0
        self.next_offset = 0
        self.regime = b""

    def feed(self, records: list[PlainRecord], sizes: list[int]) -> None:
        """Fold `records` in batches of at most `sizes`, over and over."""
        turn = 0
        while records:
            wanted = records[: sizes[turn % len(sizes)]]
            turn += 1
            batch = wanted[: cut(wanted)]
            records = records[len(batch) :]
            self._fold(batch)

    def _decoded(self, client: str) -> object:
        blob = self.states.get(client)
        return None if blob is None else self.program.decode(blob)

    def _fold(self, records: list[PlainRecord]) -> None:
        batch = self.fold.read(records, watermark_ms=self.watermark_ms)
        if isinstance(batch, TickBatch):
            due = sorted((when, client.encode()) for client, when in self.timers.items() if when <= batch.until_ms)
            known = [(name.decode(), self._decoded(name.decode())) for _, name in due]
            folded = self.fold.fold_tick(batch, known, regime=self.regime)
        elif isinstance(batch, ControlBatch):
            folded = self.fold.fold_control(batch, watermark_ms=self.watermark_ms, regime=self.regime)
        else:
            states = {client: self._decoded(client) for client in batch.clients}
            folded = self.fold.fold_events(batch, states, watermark_ms=self.watermark_ms, regime=self.regime)
        if folded.writes.regime is not None:
            self.regime = folded.writes.regime
        self.states.update(folded.writes.states)
        for client, when in folded.writes.timers.items():
            self.timers.pop(client, None)
            if when is not None:
                self.timers[client] = when
        self.outbox += folded.writes.outbox
        self.counts += folded.counts
        self.watermark_ms = folded.writes.watermark_ms
        self.next_offset = folded.writes.next_offset


PROGRAMS: list[Program[Any]] = [CountingProgram(), ClientProgram()]


@pytest.mark.parametrize("program", PROGRAMS, ids=["counting", "clients"])
@given(log=logs, sizes=st.lists(st.integers(1, 25), min_size=1, max_size=6))
def test_wherever_batches_are_cut_states_and_outputs_are_those_of_the_oracle(
    program: Program[Any], log: list[PlainRecord], sizes: list[int]
) -> None:
    stored = Stored(program)
    stored.feed(log, sizes)
    truth = fold_partition(program, log, partitions=1)
    assert stored.states == truth.states
    assert stored.timers == truth.timers
    assert stored.regime == truth.regime
    assert [(at.position, at.topic, at.key, at.value) for at in stored.outbox] == [tuple(told) for told in truth.outputs]
    assert sum(stored.counts.values()) == len(log)
    assert stored.next_offset == len(log)


@given(log=logs, sizes=st.lists(st.integers(1, 25), min_size=1, max_size=6))
def test_two_ways_of_cutting_give_the_same_bytes(log: list[PlainRecord], sizes: list[int]) -> None:
    one, other = Stored(CountingProgram()), Stored(CountingProgram())
    one.feed(log, [1])
    other.feed(log, sizes)
    assert (one.states, one.timers, one.outbox, one.counts) == (other.states, other.timers, other.outbox, other.counts)


@given(log=logs)
def test_outputs_are_numbered_upwards_without_repetition_and_say_where_they_came_from(log: list[PlainRecord]) -> None:
    stored = Stored(CountingProgram())
    stored.feed(log, [7])
    positions = [at.position for at in stored.outbox]
    assert positions == sorted(set(positions))
    for at in stored.outbox:
        origin = read_origin(at.headers)
        assert origin.position == at.position
        assert (origin.src_topic, origin.src_partition) == ("client.events", 0)


def test_a_trigger_tells_when_its_event_was_received_and_logged() -> None:
    records = on_log([event_content(second, "ada", f"e{second}", "test") for second in range(40)])
    stored = Stored(CountingProgram())
    stored.feed(records, [7])
    triggers = [at for at in stored.outbox if at.topic.startswith("triggers.")]
    assert triggers
    for at in triggers:
        record = records[at.position.src_offset]
        event = decode_event(record.value)
        assert read_stations(at.headers) == {"received_ms": event.received_ms, "logged_ms": record.timestamp}


class Reminding(CountingProgram):
    def think(self, state: Tally | None, event: AnyEvent) -> Counted:
        thought = super().think(state, event)
        return replace(thought, outputs=(make_trigger(thought.state),)) if isinstance(event, ClockTicked) else thought


def test_a_trigger_that_a_tick_set_off_tells_when_that_was_made_and_logged() -> None:
    records = on_log([event_content(0, "ada", "e0", "test"), tick_content(3_000)])
    stored = Stored(Reminding())
    stored.feed(records, [1])
    (trigger,) = (at for at in stored.outbox if at.topic.startswith("triggers."))
    tick = decode_event(records[1].value)
    assert read_stations(trigger.headers) == {"received_ms": tick.received_ms, "logged_ms": records[1].timestamp}


def test_a_timer_fires_once_however_many_ticks_find_it_due() -> None:
    events = [event_content(second, "ada", f"e{second}", "test") for second in range(6)]
    late = 100 + TIMER_MS // 1000
    stored = Stored(CountingProgram())
    stored.feed(on_log([*events, tick_content(late), tick_content(late), tick_content(late + 1)]), [50])
    assert [at.topic for at in stored.outbox].count("decisions") == 1
    assert stored.timers == {}


def test_a_tick_behind_an_earlier_one_counts_as_that_one() -> None:
    stored = Stored(CountingProgram())
    stored.feed(on_log([tick_content(500), tick_content(100)]), [1])
    assert stored.watermark_ms == START_MS + 500_000


def test_a_tick_ahead_of_the_brokers_clock_fires_only_what_is_due_by_that_clock() -> None:
    events = [event_content(second, "ada", f"e{second}", "test") for second in range(6)]
    stored = Stored(CountingProgram())
    stored.feed(on_log([*events, tick_content(2 * 3600)]), [50])
    assert stored.watermark_ms == ARRIVED_MS + 6 + TICK_SLACK_MS
    arrives_early = replace(on_log([*events, tick_content(2 * 3600)])[-1], timestamp=START_MS + 10_000)
    early = Stored(CountingProgram())
    early.feed([*on_log(events), arrives_early], [50])
    assert early.timers.keys() == {"ada"}
    assert "decisions" not in [at.topic for at in early.outbox]


def test_a_tick_is_always_a_batch_of_its_own() -> None:
    log = on_log([event_content(1, "ada", "e1", "test"), tick_content(2), tick_content(3), event_content(4, "ada", "e4", "test")])
    assert [cut(log), cut(log[1:]), cut(log[2:]), cut(log[3:])] == [1, 1, 1, 1]


def test_a_dead_letter_keeps_the_bytes_and_tells_the_reason() -> None:
    stored = Stored(CountingProgram())
    stored.feed(on_log([(b"ada", b"{")]), [1])
    (letter,) = stored.outbox
    read = read_dead_letter(
        PlainRecord(
            topic="dead.letters", partition=0, offset=0, timestamp=0, key=letter.key, value=letter.value, headers=letter.headers
        )
    )
    assert (read.reason, read.value, read.src_topic, read.src_offset) == (Reason.BAD_JSON, b"{", "client.events", 0)


def test_an_event_too_late_to_tell_whether_it_is_new_changes_no_state_and_is_kept_as_a_dead_letter() -> None:
    program, day = ClientProgram(), 86_400
    contents = [event_content(number * day, "ada", f"e{number}", "test") for number in range(60)]
    log, late = on_log(contents), on_log([*contents, event_content(day, "ada", "unheard", "test")])
    before, stored = Stored(program), Stored(program)
    before.feed(log, [50])
    stored.feed(late, [50])
    assert stored.states == before.states
    assert stored.counts["payment.received", Outcome.LATE] == 1
    (letter,) = [at for at in stored.outbox if at.topic == "dead.letters"]
    assert (dict(letter.headers)["reason"], letter.value) == (Reason.LATE.encode(), late[-1].value)
    truth = fold_partition(program, late, partitions=1)
    assert [(at.position, at.topic, at.key, at.value) for at in stored.outbox] == [tuple(told) for told in truth.outputs]
    assert truth.outcomes["late"] == 1


@pytest.mark.parametrize("key", [b"ada", b""], ids=["about a client", "about the partition"])
def test_whatever_is_unreadable_becomes_a_dead_letter_and_its_neighbours_are_folded(key: bytes) -> None:
    neighbours = [event_content(second, "ada", f"e{second}", "test") for second in range(2)]
    stored = Stored(ClientProgram())
    stored.feed(on_log([neighbours[0], *((key, value) for value in POISON), neighbours[1]]), [50])
    assert [at.value for at in stored.outbox if at.topic == "dead.letters"] == list(POISON)
    assert stored.counts["payment.received", Outcome.APPLIED] == len(neighbours)


@dataclass(frozen=True, kw_only=True)
class Babbling(CountingProgram):
    """Answers with a trigger that no topic can take."""

    channel: str = "email"
    fact: str = "coo"

    def think(self, state: Tally | None, event: AnyEvent) -> Counted:
        thought = super().think(state, event)
        return Counted(thought.state, (make_trigger(thought.state, channel=self.channel, fact=self.fact),), "applied")


@pytest.mark.parametrize(
    ("program", "reason"),
    [(Babbling(channel="pigeon"), Reason.NO_TOPIC), (Babbling(fact="x" * 1_100_000), Reason.TOO_LARGE)],
    ids=["unknown channel", "oversize"],
)
def test_an_output_that_no_topic_takes_becomes_a_dead_letter_and_the_state_stands(program: Babbling, reason: Reason) -> None:
    stored = Stored(program)
    stored.feed(on_log([event_content(1, "ada", "e1", "test")]), [1])
    (letter,) = stored.outbox
    assert letter.topic == "dead.letters"
    assert dict(letter.headers)["reason"] == reason.encode()
    assert program.decode(stored.states["ada"]).count == 1
