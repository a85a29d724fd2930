"""The laws of `Ledger`, held by the memory twin and the Redis twin alike."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from handlers.channels.contract import OnAmbiguous
from handlers.channels.ledger import (
    NOTHING_YET,
    Accepted,
    Attempt,
    Batch,
    Claim,
    Crowded,
    Ending,
    Entry,
    Fenced,
    Ledger,
    Ledgers,
    Missing,
    Moved,
    Owner,
    Stage,
    Standing,
    Withdrawal,
)
from handlers.channels.memory_ledger import MemoryLedgers
from handlers.channels.redis_ledger import RedisLedgers
from models.events.signals import DeliveryOutcome
from streams.runtime.clock import fresh_id
from streams.runtime.settings import Settings
from streams.state.redis_store import connect_redis
from streams.wire.headers import Position
from tests.conftest import Servers

pytestmark = pytest.mark.integration  # the Redis twin needs a server

LIMIT = 5
ALICE = Owner(generation=1, owner_id="alice")
BOB = Owner(generation=2, owner_id="bob")
SENT = Ending(stage=Stage.SENT, outcome=DeliveryOutcome.SENT)
NAMES = count()


@pytest.fixture(params=["memory", "redis"])
async def ledgers(request: pytest.FixtureRequest) -> AsyncIterator[Ledgers]:
    opened: Ledgers
    if request.param == "memory":
        opened = MemoryLedgers(pending_limit=LIMIT)
    else:
        servers: Servers = request.getfixturevalue("servers")
        fields = {"redis_url": servers.redis_url, "namespace": f"laws-{fresh_id()}", "channel_pending_limit": LIMIT}
        opened = RedisLedgers.connect(Settings.model_validate(fields))
    yield opened
    await opened.close()


@pytest.fixture
def ledger(ledgers: Ledgers) -> Ledger:
    return ledgers.open("triggers.email", 3)


@dataclass
class Books:
    """A ledger with its owner's view of it, as a worker keeps it."""

    ledger: Ledger
    owner: Owner = ALICE
    standing: Standing = field(default_factory=lambda: Standing(next_offset=0, high_water=NOTHING_YET, version=""))

    async def accept(self, *entries: Claim | Withdrawal, wall_ms: int = 0, now_ms: int = 0) -> Accepted:
        batch = self.batch(entries)
        answer = await self.ledger.accept(self.owner, batch, now_ms=now_ms, wall_ms=wall_ms)
        assert isinstance(answer, Accepted), answer
        self.standing = answer.standing
        return answer

    def batch(self, entries: Sequence[Claim | Withdrawal]) -> Batch:
        next_offset = self.standing.next_offset + len(entries)
        return Batch(expected=self.standing, next_offset=next_offset, entries=entries, version=fresh_id())

    async def one_attempt(self, *, lease_ms: int = 1_000) -> Attempt:
        (entry,) = await self.ledger.ready(now_ms=0, wall_ms=0, limit=10)
        attempt = await self.ledger.begin(self.owner, entry, now_ms=0, lease_ms=lease_ms)
        assert attempt is not None
        return attempt

    async def outcomes(self) -> list[tuple[str, str]]:
        return [(report.trigger_id, report.outcome.value) for report in await self.ledger.reports(limit=100)]


@pytest.fixture
async def books(ledger: Ledger) -> Books:
    standing = await ledger.acquire(ALICE, first_offset=0)
    assert isinstance(standing, Standing)
    return Books(ledger, standing=standing)


def claim(at: int, trigger: str = "t", *, not_before_ms: int = 0, expires_ms: int = 100) -> Claim:
    return Claim(
        position=Position(at, 0),
        trigger_id=trigger,
        client_id="c",
        not_before_ms=not_before_ms,
        expires_ms=expires_ms,
        body=b"\x00\xff" + trigger.encode(),
    )


def withdrawal(at: int, trigger: str = "t") -> Withdrawal:
    return Withdrawal(position=Position(at, 0), trigger_id=trigger, client_id="c", because="invoices_settled")


async def test_a_ledger_that_does_not_exist_is_made_only_when_told_where_to_start(ledger: Ledger) -> None:
    assert await ledger.acquire(ALICE) == Missing()
    made = await ledger.acquire(ALICE, first_offset=7)
    assert isinstance(made, Standing)
    assert (made.next_offset, made.high_water) == (7, NOTHING_YET)
    assert await ledger.acquire(ALICE) == made


async def test_accepting_into_a_lost_ledger_is_refused(ledger: Ledger) -> None:
    batch = Books(ledger).batch([claim(1)])
    assert await ledger.accept(ALICE, batch, now_ms=0, wall_ms=0) == Missing()


async def test_a_younger_generation_takes_over_and_the_older_is_fenced(books: Books) -> None:
    assert isinstance(await books.ledger.acquire(BOB), Standing)
    assert isinstance(await books.ledger.acquire(ALICE), Fenced)
    late = await books.ledger.accept(ALICE, books.batch([claim(1)]), now_ms=0, wall_ms=0)
    assert isinstance(late, Fenced)


async def test_two_owners_of_one_generation_exclude_each_other(books: Books) -> None:
    assert isinstance(await books.ledger.acquire(Owner(generation=1, owner_id="mallory")), Fenced)


async def test_a_higher_incarnation_wins_over_a_restarted_generation_count(books: Books) -> None:
    await books.ledger.acquire(Owner(generation=90, owner_id="old"))
    assert isinstance(await books.ledger.acquire(Owner(generation=1, owner_id="new", incarnation=1)), Standing)
    assert await books.ledger.acquire(Owner(generation=91, owner_id="old")) == Fenced(1)


async def test_a_claimed_trigger_is_ready_with_its_bytes_when_its_time_has_come(books: Books) -> None:
    await books.accept(claim(1, "later", not_before_ms=50), claim(2, "now"))
    (entry,) = await books.ledger.ready(now_ms=49, wall_ms=10**12, limit=10)
    assert entry == Entry(trigger_id="now", client_id="c", attempt=0, body=b"\x00\xffnow")
    both = await books.ledger.ready(now_ms=50, wall_ms=0, limit=10)
    assert [entry.trigger_id for entry in both] == ["now", "later"]
    assert len(await books.ledger.ready(now_ms=50, wall_ms=0, limit=1)) == 1


async def test_replayed_records_are_filtered_and_the_high_water_never_falls(books: Books) -> None:
    first = await books.accept(claim(5, "a"), claim(6, "b"))
    again = await books.accept(claim(5, "a"), claim(6, "b"), claim(7, "c"))
    assert (first.claimed, again.filtered, again.claimed) == (2, 2, 1)
    assert again.standing.high_water == Position(7, 0)
    only_old = await books.accept(claim(3, "x"))
    assert (only_old.claimed, only_old.standing.high_water) == (0, Position(7, 0))


async def test_outputs_of_one_source_record_are_told_apart_by_their_index(books: Books) -> None:
    first = claim(5, "a")
    second = Claim(position=Position(5, 1), trigger_id="b", client_id="c", not_before_ms=0, expires_ms=9, body=b"")
    assert (await books.accept(first, second)).claimed == 2


async def test_a_record_put_back_by_hand_passes_the_high_water_and_does_not_move_it(books: Books) -> None:
    await books.accept(claim(5, "a"))
    accepted = await books.accept(replace(claim(1, "b"), position=None), replace(claim(1, "a"), position=None))
    assert (accepted.claimed, accepted.known, accepted.filtered) == (1, 1, 0)
    assert accepted.standing.high_water == Position(5, 0)


async def test_a_trigger_id_is_claimed_once_even_at_a_new_position(books: Books) -> None:
    await books.accept(claim(1))
    await books.ledger.finish(await books.one_attempt(), SENT, now_ms=1, wall_ms=1)
    again = await books.accept(claim(2))
    assert (again.claimed, again.known) == (0, 1)
    assert await books.ledger.ready(now_ms=99, wall_ms=99, limit=10) == []


async def test_a_repeated_accept_is_recognised_by_its_version(books: Books) -> None:
    batch = books.batch([claim(1)])
    first = await books.ledger.accept(ALICE, batch, now_ms=0, wall_ms=0)
    await books.ledger.acquire(BOB)
    second = await books.ledger.accept(ALICE, batch, now_ms=0, wall_ms=0)
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert (first.claimed, second.claimed) == (1, 0)
    assert first.standing == second.standing


async def test_a_batch_read_from_another_position_is_refused_with_the_stored_one(books: Books) -> None:
    stale = books.batch([claim(9)])
    await books.accept(claim(1))
    moved = await books.ledger.accept(ALICE, stale, now_ms=0, wall_ms=0)
    assert moved == Moved(books.standing)
    assert len(await books.ledger.ready(now_ms=0, wall_ms=0, limit=10)) == 1


async def test_a_crowded_ledger_takes_no_triggers_but_still_takes_retractions(books: Books) -> None:
    await books.accept(*(claim(at, f"t{at}") for at in range(LIMIT)))
    crowded = await books.ledger.accept(ALICE, books.batch([claim(10, "more")]), now_ms=0, wall_ms=0)
    assert crowded == Crowded()
    await books.accept(withdrawal(10, "t0"))
    assert (await books.accept(claim(11, "more"))).claimed == 1


async def test_a_batch_beyond_the_limit_is_taken_when_nothing_waits_so_that_no_limit_pauses_for_ever(books: Books) -> None:
    many = [claim(10 + at, f"t{at}") for at in range(LIMIT + 1)]
    await books.accept(claim(0, "first"))
    assert await books.ledger.accept(ALICE, books.batch(many), now_ms=0, wall_ms=0) == Crowded()
    await books.accept(withdrawal(1, "first"))
    assert (await books.accept(*many)).claimed == LIMIT + 1


async def test_only_one_attempt_is_begun_and_only_by_the_holder_of_the_partition(books: Books) -> None:
    await books.accept(claim(1))
    (entry,) = await books.ledger.ready(now_ms=0, wall_ms=0, limit=10)
    assert await books.ledger.begin(BOB, entry, now_ms=0, lease_ms=10) is None
    attempt = await books.ledger.begin(ALICE, entry, now_ms=0, lease_ms=10)
    assert attempt == Attempt(trigger_id="t", owner_id="alice", number=1)
    assert await books.ledger.begin(ALICE, entry, now_ms=0, lease_ms=10) == attempt, "a lost reply is repeated"
    await books.ledger.acquire(BOB)
    assert await books.ledger.begin(BOB, entry, now_ms=0, lease_ms=10) is None
    assert await books.ledger.ready(now_ms=99, wall_ms=99, limit=10) == []


async def test_an_attempt_is_never_begun_at_or_after_the_expiry(books: Books) -> None:
    await books.accept(claim(1, expires_ms=100))
    (entry,) = await books.ledger.ready(now_ms=100, wall_ms=0, limit=10)
    assert await books.ledger.begin(ALICE, entry, now_ms=100, lease_ms=10) is None
    assert await books.ledger.begin(ALICE, entry, now_ms=99, lease_ms=10) is not None


async def test_finishing_twice_reports_once_with_the_attempt_and_the_business_time(books: Books) -> None:
    await books.accept(claim(1))
    attempt = await books.one_attempt()
    ending = Ending(stage=Stage.SENT, outcome=DeliveryOutcome.SENT, reason="250 ok, ümläut 好")
    assert await books.ledger.finish(attempt, ending, now_ms=42, wall_ms=7) is Stage.SENT
    assert await books.ledger.finish(attempt, ending, now_ms=43, wall_ms=8) is None
    (report,) = await books.ledger.reports(limit=10)
    assert (report.outcome, report.attempt, report.at_ms) == (DeliveryOutcome.SENT, 1, 42)
    assert report.reason == "250 ok, ümläut 好"


async def test_where_a_message_went_and_what_kind_it_was_is_reported_with_its_own_outcome_alone(books: Books) -> None:
    await books.accept(claim(1))
    attempt = await books.one_attempt()
    await books.accept(withdrawal(2))
    ending = replace(SENT, address="email-0f", purpose="servicing")
    await books.ledger.finish(attempt, ending, now_ms=9, wall_ms=9)
    reports = await books.ledger.reports(limit=9)
    assert [(row.outcome, row.address, row.purpose) for row in reports] == [
        (DeliveryOutcome.SENT, "email-0f", "servicing"),
        (DeliveryOutcome.TOO_LATE, "", ""),
    ]


async def test_a_drained_worker_may_still_finish_what_it_began(books: Books) -> None:
    await books.accept(claim(1))
    attempt = await books.one_attempt()
    await books.ledger.acquire(BOB)
    assert await books.ledger.finish(attempt, SENT, now_ms=0, wall_ms=0) is Stage.SENT


async def test_a_deferred_attempt_waits_for_its_retry_and_then_counts_on(books: Books) -> None:
    await books.accept(claim(1))
    retry = Ending(stage=Stage.PREPARED, reason="451", retry_ms=500)
    assert await books.ledger.finish(await books.one_attempt(), retry, now_ms=0, wall_ms=0) is Stage.PREPARED
    assert await books.ledger.ready(now_ms=99, wall_ms=499, limit=10) == []
    (entry,) = await books.ledger.ready(now_ms=0, wall_ms=500, limit=10)
    assert (entry.attempt, entry.body) == (1, b"\x00\xfft")
    assert await books.outcomes() == []


@pytest.mark.parametrize("how", ["retracted", "settled", "expired"])
async def test_what_ends_while_it_waits_for_a_retry_is_not_ready_any_more(books: Books, how: str) -> None:
    await books.accept(claim(1, expires_ms=100))
    retry = Ending(stage=Stage.PREPARED, reason="451", retry_ms=500)
    await books.ledger.finish(await books.one_attempt(), retry, now_ms=0, wall_ms=0)
    match how:
        case "retracted":
            await books.accept(withdrawal(2))
        case "settled":
            await books.ledger.settle(ALICE, "t", Ending(stage=Stage.SUPPRESSED), now_ms=0, wall_ms=0)
        case _:
            await books.ledger.expire(ALICE, now_ms=100, wall_ms=0, limit=10)
    assert await books.ledger.ready(now_ms=0, wall_ms=500, limit=10) == []


async def test_the_text_of_a_finished_trigger_is_not_kept(servers: Servers) -> None:
    fields = {"redis_url": servers.redis_url, "namespace": f"laws-{fresh_id()}"}
    settings = Settings.model_validate(fields)
    redis = connect_redis(settings)
    ledger = RedisLedgers(redis, namespace=settings.namespace).open("triggers.email", 0)
    standing = await ledger.acquire(ALICE, first_offset=0)
    assert isinstance(standing, Standing)
    books = Books(ledger, standing=standing)
    await books.accept(claim(1, "sent"), claim(2, "gone"), claim(3, "open", not_before_ms=50))
    await books.accept(withdrawal(4, "gone"))
    await books.ledger.finish(await books.one_attempt(), SENT, now_ms=0, wall_ms=0)
    assert await redis.hkeys(f"{{{settings.namespace}:triggers.email:0}}:b") == [b"open"]
    await redis.aclose()


async def test_a_retry_after_the_expiry_expires_instead(books: Books) -> None:
    await books.accept(claim(1, expires_ms=100))
    retry = Ending(stage=Stage.PREPARED, reason="451", retry_ms=500)
    assert await books.ledger.finish(await books.one_attempt(), retry, now_ms=100, wall_ms=0) is Stage.EXPIRED
    assert await books.outcomes() == [("t", "expired")]


async def test_a_retraction_before_sending_cancels_and_is_acknowledged(books: Books) -> None:
    await books.accept(claim(1))
    (entry,) = await books.ledger.ready(now_ms=0, wall_ms=0, limit=10)
    assert (await books.accept(withdrawal(2), now_ms=9)).retractions == 1
    assert await books.ledger.begin(ALICE, entry, now_ms=0, lease_ms=10) is None, "the race is lost by the sender"
    assert await books.outcomes() == [("t", "retracted")]


@pytest.mark.parametrize(
    ("stage", "outcome", "expected"),
    [
        (Stage.SENT, DeliveryOutcome.SENT, ["sent", "too_late"]),
        (Stage.AMBIGUOUS, DeliveryOutcome.AMBIGUOUS, ["ambiguous", "too_late"]),
        (Stage.FAILED, DeliveryOutcome.BOUNCED_HARD, ["bounced_hard", "retracted"]),
        (Stage.PREPARED, None, ["retracted"]),
    ],
)
async def test_a_retraction_while_sending_is_acknowledged_by_how_the_attempt_ends(
    books: Books, stage: Stage, outcome: DeliveryOutcome | None, expected: list[str]
) -> None:
    await books.accept(claim(1))
    attempt = await books.one_attempt()
    await books.accept(withdrawal(2))
    assert await books.outcomes() == []
    await books.ledger.finish(attempt, Ending(stage=stage, outcome=outcome), now_ms=1, wall_ms=1)
    assert [name for _, name in await books.outcomes()] == expected
    assert await books.ledger.ready(now_ms=99, wall_ms=99, limit=10) == []


async def test_a_retraction_after_sending_is_too_late(books: Books) -> None:
    await books.accept(claim(1))
    await books.ledger.finish(await books.one_attempt(), SENT, now_ms=0, wall_ms=0)
    await books.accept(withdrawal(2))
    assert await books.outcomes() == [("t", "sent"), ("t", "too_late")]


async def test_a_retraction_of_an_unknown_trigger_bars_it_for_later(books: Books) -> None:
    await books.accept(withdrawal(1))
    assert (await books.accept(claim(2))).known == 1
    assert await books.outcomes() == [("t", "retracted")]


async def test_settling_ends_a_prepared_trigger_once(books: Books) -> None:
    await books.accept(claim(1))
    ending = Ending(stage=Stage.SUPPRESSED, outcome=DeliveryOutcome.SUPPRESSED, reason="on_hold")
    assert not await books.ledger.settle(BOB, "t", ending, now_ms=0, wall_ms=0)
    assert await books.ledger.settle(ALICE, "t", ending, now_ms=0, wall_ms=0)
    assert not await books.ledger.settle(ALICE, "t", ending, now_ms=0, wall_ms=0)
    assert await books.outcomes() == [("t", "suppressed")]


async def test_a_held_trigger_waits_for_its_new_time_even_after_a_failed_attempt(books: Books) -> None:
    await books.accept(claim(1))
    retry = Ending(stage=Stage.PREPARED, reason="451", retry_ms=500)
    await books.ledger.finish(await books.one_attempt(), retry, now_ms=0, wall_ms=0)
    assert not await books.ledger.hold(BOB, "t", until_ms=70)
    assert await books.ledger.hold(ALICE, "t", until_ms=70)
    assert await books.ledger.ready(now_ms=69, wall_ms=10**9, limit=10) == []
    assert len(await books.ledger.ready(now_ms=70, wall_ms=0, limit=10)) == 1
    await books.accept(withdrawal(2))
    assert not await books.ledger.hold(ALICE, "t", until_ms=80)


async def test_what_expires_is_reported_without_a_provider(books: Books) -> None:
    await books.accept(claim(1, "a", expires_ms=100), claim(2, "b", expires_ms=100), claim(3, "c", expires_ms=101))
    assert await books.ledger.expire(BOB, now_ms=100, wall_ms=0, limit=10) == 0
    assert await books.ledger.expire(ALICE, now_ms=100, wall_ms=0, limit=1) == 1
    assert await books.ledger.expire(ALICE, now_ms=100, wall_ms=0, limit=10) == 1
    assert await books.outcomes() == [("a", "expired"), ("b", "expired")]


async def test_a_lost_attempt_is_held_as_ambiguous_and_may_be_resolved_by_its_holder(books: Books) -> None:
    await books.accept(claim(1))
    attempt = await books.one_attempt(lease_ms=1_000)
    await books.ledger.acquire(BOB)
    hold = OnAmbiguous.HOLD
    assert await books.ledger.recover(BOB, policy=hold, now_ms=0, wall_ms=999, limit=10) == 0
    assert await books.ledger.recover(BOB, policy=hold, now_ms=0, wall_ms=1_000, limit=10) == 1
    assert await books.ledger.ready(now_ms=99, wall_ms=10**9, limit=10) == []
    assert await books.ledger.finish(attempt, SENT, now_ms=0, wall_ms=0) is Stage.SENT
    assert await books.outcomes() == [("t", "ambiguous"), ("t", "sent")]


async def test_a_lost_attempt_is_repeated_where_the_provider_drops_repetitions(books: Books) -> None:
    await books.accept(claim(1))
    attempt = await books.one_attempt(lease_ms=1_000)
    await books.ledger.recover(ALICE, policy=OnAmbiguous.RESEND, now_ms=0, wall_ms=1_000, limit=10)
    (entry,) = await books.ledger.ready(now_ms=0, wall_ms=1_000, limit=10)
    assert entry.attempt == 1
    second = await books.ledger.begin(ALICE, entry, now_ms=0, lease_ms=5_000)
    assert second is not None
    assert await books.ledger.finish(attempt, SENT, now_ms=0, wall_ms=0) is None, "the first attempt has no say any more"
    assert await books.ledger.finish(second, SENT, now_ms=0, wall_ms=0) is Stage.SENT


async def test_a_lost_attempt_that_was_retracted_is_not_repeated(books: Books) -> None:
    await books.accept(claim(1))
    await books.one_attempt(lease_ms=1_000)
    await books.accept(withdrawal(2))
    await books.ledger.recover(ALICE, policy=OnAmbiguous.RESEND, now_ms=0, wall_ms=1_000, limit=10)
    assert await books.outcomes() == [("t", "ambiguous"), ("t", "too_late")]


async def test_reports_stay_until_they_are_acknowledged(books: Books) -> None:
    await books.accept(withdrawal(1, "a"), withdrawal(2, "b"))
    first, second = await books.ledger.reports(limit=10)
    assert await books.ledger.reports(limit=1) == [first]
    await books.ledger.reported([first.report_id])
    await books.ledger.reported([first.report_id])
    await books.ledger.reported([])
    assert await books.ledger.reports(limit=10) == [second]


async def test_finished_triggers_are_forgotten_after_the_retention_and_open_ones_are_not(books: Books) -> None:
    await books.accept(withdrawal(1, "old"), wall_ms=100)
    await books.accept(withdrawal(2, "young"), wall_ms=200)
    await books.accept(claim(3, "open"))
    assert await books.ledger.trim(before_ms=200, limit=10) == 1
    assert await books.ledger.trim(before_ms=200, limit=10) == 0
    assert (await books.accept(claim(4, "young"), claim(5, "old"))).claimed == 1


async def test_depth_counts_what_waits_what_is_under_way_and_what_is_unreported(books: Books) -> None:
    await books.accept(claim(1, "a"))
    await books.one_attempt()
    await books.accept(claim(2, "b", not_before_ms=30), claim(3, "c", not_before_ms=20), withdrawal(4, "d"))
    depth = await books.ledger.depth()
    assert (depth.prepared, depth.sending, depth.unreported, depth.oldest_due_ms) == (2, 1, 1, 20)


async def test_partitions_and_topics_have_ledgers_of_their_own(ledgers: Ledgers, books: Books) -> None:
    await books.accept(claim(1))
    assert await ledgers.open("triggers.email", 4).acquire(ALICE) == Missing()
    assert await ledgers.open("triggers.console", 3).acquire(ALICE) == Missing()
    assert await ledgers.open("triggers.email", 3).acquire(ALICE) == books.standing


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "replay", "withdraw", "send", "defer", "fail", "begin", "crash", "expire", "trim", "takeover"]),
        st.integers(0, 3),
    ),
    max_size=30,
)


@dataclass
class Story:
    """Plays one random sequence of steps and writes down every answer."""

    books: Books
    told: list[object] = field(default_factory=list)
    source_offset: int = 0
    time_ms: int = 0
    open_attempts: list[Attempt] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)

    async def play(self, steps: list[tuple[str, int]]) -> None:
        for what, which in steps:
            self.time_ms += 10
            self.told.append(await self._step(what, f"t{which}"))
            self.told.append(await self.books.outcomes())
            self.told.append(await self.books.ledger.depth())

    async def _step(self, what: str, trigger: str) -> object:
        ledger, owner = self.books.ledger, self.books.owner
        match what:
            case "claim" | "replay" | "withdraw":
                self.source_offset += what != "replay"
                retraction, trigger_record = (
                    withdrawal(self.source_offset, trigger),
                    claim(self.source_offset, trigger, expires_ms=200),
                )
                entry = retraction if what == "withdraw" else trigger_record
                accepted = await self.books.accept(entry, now_ms=self.time_ms, wall_ms=self.time_ms)
                return (accepted.claimed, accepted.known, accepted.filtered, accepted.retractions, accepted.standing.high_water)
            case "begin":
                for ready in await ledger.ready(now_ms=self.time_ms, wall_ms=self.time_ms, limit=1):
                    attempt = await ledger.begin(owner, ready, now_ms=self.time_ms, lease_ms=self.time_ms + 25)
                    self.open_attempts += [attempt] if attempt else []
                return list(self.open_attempts)
            case "send" | "defer" | "fail":
                return await self._finish(what)
            case "takeover":
                self.books.owner = Owner(generation=owner.generation + 1, owner_id=f"o{owner.generation}")
                return isinstance(await ledger.acquire(self.books.owner), Standing)
            case _:
                return await self._sweep(what, trigger)

    async def _sweep(self, what: str, trigger: str) -> int:
        ledger, owner = self.books.ledger, self.books.owner
        if what == "expire":
            return await ledger.expire(owner, now_ms=self.time_ms, wall_ms=self.time_ms, limit=2)
        if what == "trim":
            return await ledger.trim(before_ms=self.time_ms - 100, limit=2)
        policy = OnAmbiguous.HOLD if trigger == "t0" else OnAmbiguous.RESEND
        return await ledger.recover(owner, policy=policy, now_ms=self.time_ms, wall_ms=self.time_ms, limit=2)

    async def _finish(self, what: str) -> object:
        if not self.open_attempts:
            return None
        endings = {
            "send": SENT,
            "defer": Ending(stage=Stage.PREPARED, reason="later", retry_ms=self.time_ms + 15),
            "fail": Ending(stage=Stage.FAILED, outcome=DeliveryOutcome.FAILED, reason="no"),
        }
        attempt = self.open_attempts.pop(0)
        stage = await self.books.ledger.finish(attempt, endings[what], now_ms=self.time_ms, wall_ms=self.time_ms)
        self.delivered += [attempt.trigger_id] if stage is Stage.SENT else []
        return stage


async def _told(ledgers: Ledgers, steps: list[tuple[str, int]]) -> Story:
    ledger = ledgers.open("triggers.story", next(NAMES))
    standing = await ledger.acquire(ALICE, first_offset=0)
    assert isinstance(standing, Standing)
    story = Story(Books(ledger, standing=standing))
    await story.play(steps)
    return story


@given(steps=OPERATIONS)
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_sequence_of_steps_is_answered_as_the_memory_twin_answers_it(
    ledgers: Ledgers, steps: list[tuple[str, int]]
) -> None:
    expected = await _told(MemoryLedgers(pending_limit=LIMIT), steps)
    assert (await _told(ledgers, steps)).told == expected.told


@given(steps=OPERATIONS)
@hypothesis_settings(max_examples=200, deadline=None)
async def test_no_trigger_is_recorded_as_sent_twice_within_the_retention(steps: list[tuple[str, int]]) -> None:
    story = await _told(MemoryLedgers(pending_limit=LIMIT), [step for step in steps if step[0] != "trim"])
    assert len(story.delivered) == len(set(story.delivered))
