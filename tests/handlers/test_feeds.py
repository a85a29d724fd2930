"""The watch of feeds: what it says by itself, what it leaves to people, and whom a late feed holds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from handlers.cli import EXIT_USAGE, run
from handlers.commands.feeds.rounds import Rounds
from handlers.commands.feeds.tail import Tail
from handlers.commands.feeds.watch import AUTOMATIC, FeedWatch, feed_event
from models.events.control import FeedChanged
from models.events.envelope import epoch_ms
from models.policy.in_force import in_force
from models.policy.policy import DEFAULT_POLICY
from models.regime import NOTHING_ACTIVATED, Regime, regime_after
from streams.runtime.clock import SystemClock
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.wire.deliveries import Delivery
from streams.wire.records import PlainRecord
from streams.wire.topics import DECISIONS, PAYMENTS, WEBHOOKS
from tests.chaos.load import POISON

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Partition:
    """A watch, and the one partition that hears what it says."""

    def __init__(self) -> None:
        self.watch = FeedWatch()
        self.regime: Regime = NOTHING_ACTIVATED
        for hour in range(4 * 168):
            self.watch.heard("stripe", epoch_ms(MONDAY + hour * HOUR))
        self.last = MONDAY + (4 * 168 - 1) * HOUR

    def judge(self, at: datetime) -> list[FeedChanged]:
        self.watch.learn([self.regime])
        said = self.watch.changes(at)
        self.hear(*said)
        return said

    def hear(self, *events: FeedChanged) -> None:
        for event in events:
            self.regime = regime_after(self.regime, event)


def test_a_silent_source_is_called_late_since_it_was_last_heard_once_and_on_time_when_it_is_heard_again() -> None:
    partition = Partition()
    assert not partition.judge(partition.last + HOUR)
    (late,) = partition.judge(partition.last + 10 * HOUR)
    assert (late.feed, late.late_since, late.author) == ("stripe", partition.last, AUTOMATIC)
    assert "silent for 10.0 hours" in late.reason
    assert not partition.judge(partition.last + 11 * HOUR)
    partition.watch.heard("stripe", epoch_ms(partition.last + 12 * HOUR))
    (again,) = partition.judge(partition.last + 12 * HOUR)
    assert again.late_since is None
    assert not partition.regime.feeds


def test_a_silence_that_a_person_called_right_is_not_told_again_and_a_new_one_is() -> None:
    partition = Partition()
    partition.judge(partition.last + 10 * HOUR)
    partition.hear(feed_event("stripe", partition.last + 11 * HOUR, late_ms=None, author="ann", reason="a holiday"))
    assert not partition.judge(partition.last + 20 * HOUR)
    partition.watch.heard("stripe", epoch_ms(partition.last + 21 * HOUR))
    assert partition.judge(partition.last + 40 * HOUR)


def test_what_a_person_called_late_stays_late_until_a_person_says_otherwise() -> None:
    partition = Partition()
    partition.hear(feed_event("stripe", partition.last, late_ms=epoch_ms(partition.last), author="ann", reason="their page"))
    partition.watch.heard("stripe", epoch_ms(partition.last + HOUR))
    assert not partition.judge(partition.last + 2 * HOUR)
    assert partition.regime.late_feed("stripe") is not None


def test_clients_held_because_of_a_late_source_are_counted_once_each_until_it_delivers_again() -> None:
    partition = Partition()
    partition.judge(partition.last + 10 * HOUR)
    policy = in_force(DEFAULT_POLICY, partition.regime, base=DEFAULT_POLICY, find=lambda _: None)
    reason = policy.late_feed(("stripe",))
    assert reason is not None
    partition.watch.learn([partition.regime])
    for client in ("ada", "ada", "bob"):
        partition.watch.decided(client, (reason,))
    partition.watch.decided("cem", ("the client was contacted on 2026-03-01",))
    at = partition.last + 12 * HOUR
    assert partition.watch.figures(at) == {"stripe": (12 * 3600.0, True, 2)}
    partition.watch.heard("stripe", epoch_ms(at))
    partition.judge(at)
    partition.watch.learn([partition.regime])
    assert partition.watch.figures(at) == {"stripe": (0.0, False, 0)}


async def _nobody_is_told(_event: FeedChanged) -> None:
    raise AssertionError


async def _nothing_in_force() -> list[Regime]:
    return []


@pytest.mark.parametrize("clock_file", [None, Path("clock")])
def test_a_delivery_counts_when_the_broker_got_it_and_under_a_clock_of_its_own_when_the_gateway_took_it_in(
    clock_file: Path | None,
) -> None:
    settings, watch, kept = Settings(clock_file=clock_file), FeedWatch(), MONDAY + 9 * HOUR
    tail = Tail(
        settings=settings, watch=watch, clock=SystemClock(), meter=Meter(), publish=_nobody_is_told, regimes=_nothing_in_force
    )
    stamped = Delivery(source="stripe", body=b"{}", received_at=MONDAY, delivery_id="d1").to_headers()
    for headers in (stamped, [("source", b"gocardless"), ("received_at", b"this morning")]):
        record = PlainRecord(topic="", partition=0, offset=0, timestamp=epoch_ms(kept), key=b"", value=b"{}", headers=headers)
        tail.take(settings.topic(WEBHOOKS.name), record)
    heard = {feed: arrivals.last_ms for feed, arrivals in watch.arrivals.items()}
    assert heard == {"stripe": epoch_ms(MONDAY if clock_file else kept), "gocardless": epoch_ms(kept)}


@pytest.mark.parametrize("every", ["0", "-1", "nan", "inf"])
def test_a_watch_that_would_never_or_always_judge_is_wrong_usage(every: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["feeds", "watch", "--every", every]) == EXIT_USAGE
    assert "--every" in capsys.readouterr().err


def test_records_that_nobody_can_read_are_no_arrival_and_do_not_end_the_watch() -> None:
    settings, watch = Settings(), FeedWatch()
    tail = Tail(
        settings=settings, watch=watch, clock=SystemClock(), meter=Meter(), publish=_nobody_is_told, regimes=_nothing_in_force
    )
    for topic in (PAYMENTS, DECISIONS):
        for value in POISON:
            tail.take(
                settings.topic(topic.name),
                PlainRecord(topic=topic.name, partition=0, offset=0, timestamp=0, key=b"", value=value),
            )
    assert not watch.arrivals


def test_a_topic_that_never_falls_silent_does_not_put_off_judging() -> None:
    at, rounds, judged = TopicPartition("webhooks", 0), Rounds(30.0), []
    for second in range(100):  # ten records a second arrive, and as many are heard, fifty behind
        if rounds.is_due(second):
            rounds.aim({at: second * 10})
        if rounds.has_come(dict.fromkeys(rounds.unheard, second * 10 - 50), second):
            judged.append(second)
    assert judged == [5, 40, 75]


def test_nothing_is_judged_before_all_is_heard_that_had_arrived() -> None:
    at, rounds = TopicPartition("webhooks", 0), Rounds(30.0)
    assert rounds.is_due(0)
    rounds.aim({at: 7})
    assert [rounds.has_come({at: position}, 1) for position in (0, 6, 7)] == [False, False, True]
    assert not rounds.is_due(30)
    assert rounds.is_due(31)
