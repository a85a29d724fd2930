"""The review of a quarter: who moved, how many, what groups clients fall into, and whether tiers still cut quarters.

It is made by itself on the policy's day.

The trainer makes it from what is committed: moves from the log of decisions, groups from the states in Redis. One record per
quarter is kept, whoever makes it how often; it is open work until a person says that it was read.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

import structlog
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field

from handlers.commands.canary.story import is_canary
from handlers.commands.learners.standing import SETTLE_MINUTES
from handlers.commands.segments.decided import moves_decided
from handlers.commands.segments.movers import Quarter, movers, quarter_of
from handlers.commands.segments.observing import observe_states
from handlers.commands.segments.tiers import FIELDS, propose
from models.events.envelope import epoch_ms
from models.policy.policy import Policy
from models.state.client import ClientState
from models.state.codec import decode
from streams.engine.lag import lag_now, total
from streams.engine.program import ClientProgram
from streams.runtime.clock import Clock
from streams.runtime.errors import RetryError
from streams.runtime.settings import Settings
from streams.state.redis_reviews import RedisReviews
from streams.state.redis_store import RedisStateStore
from streams.wire.policy_file import policy_in_force
from streams.wire.topics import CLIENT_EVENTS

log = structlog.get_logger(__name__)

_LOOK_SECONDS: Final = 600.0
Count = Annotated[int, Field(ge=0)]


class Moved(BaseModel):
    """How many clients went from one segment to another within the quarter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: str
    after: str
    clients: Count


class Seen(BaseModel):
    """A group of clients that are alike, and what a person could look into; empty where segments or chance explain it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clients: Count
    traits: tuple[str, ...] = ()
    segments: dict[str, int] = Field(default_factory=dict)
    proposal: str = ""


class Tier(BaseModel):
    """One of the three: where the policy cuts, how many clients that leaves in tiers 1 to 4, and where quarters would be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    cuts: tuple[int, int, int]
    clients: tuple[Count, ...]
    quarters: tuple[int, int, int]


class Review(BaseModel):
    """The record of one quarter. It counts and names nobody; `reviewed_at` says that a person has read it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quarter: str
    made_at: datetime
    policy_version: str
    clients: Count = Field(description="Clients whose states were looked at.")
    worse: Count
    better: Count
    moved: tuple[Moved, ...] = ()
    groups: tuple[Seen, ...] = ()
    tiers: tuple[Tier, ...] = Field(default=(), description="None while too few clients have paid.")
    reviewed_at: datetime | None = None
    reviewed_by: str | None = None
    note: str = ""


def quarter_due(now: datetime, review_day: int) -> Quarter | None:
    """Return the latest quarter that is over and whose day of review has come; None where the policy names no day."""
    if not review_day:
        return None
    found = quarter_of(quarter_of(now).bounds[0] - timedelta(days=1))
    if now < found.bounds[1] + timedelta(days=review_day - 1):
        found = quarter_of(found.bounds[0] - timedelta(days=1))
    return found


@dataclass(frozen=True, slots=True)
class StandingReview:
    """Looks every ten minutes whether a review is due and there is none, and makes it; a server that is away only delays."""

    look: Callable[[datetime], Awaitable[Review | None]]
    clock: Clock
    rest: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await self.rest(_LOOK_SECONDS)
            try:
                made = await self.look(self.clock.now())
            except RetryError as error:
                log.warning("the review of the quarter could not be made, trying again", reason=str(error))
            else:
                if made is not None:
                    log.info("the review of a quarter is ready", quarter=made.quarter, worse=made.worse, better=made.better)


async def make_due(settings: Settings, store: RedisStateStore, reviews: RedisReviews, now: datetime) -> Review | None:
    """Make and keep the review that is due at `now`; None where none is, where there is one, and while workers are behind."""
    policy = await _policy(settings, store)
    quarter = quarter_due(now, policy.segments.review_day)
    if quarter is None or quarter.name in await reviews.every():
        return None
    if total(await lag_now(settings), CLIENT_EVENTS.name)[1] > SETTLE_MINUTES * 60:
        return None
    states = [row async for row in _clients(store)]
    if not any(0 < row.first_seen_ms < quarter.bounds[1].timestamp() * 1000 for row in states):
        return None  # nobody was known then
    found = movers(await moves_decided(settings), quarter=quarter)
    observed = await asyncio.to_thread(observe_states, states, policy)
    rows = found.rows if found is not None else ()
    made = Review(
        quarter=quarter.name,
        made_at=now,
        policy_version=policy.version,
        clients=len(states),
        worse=sum(row.direction == "worse" for row in rows),
        better=sum(row.direction == "better" for row in rows),
        moved=tuple(Moved(before=one, after=two, clients=many) for one, two, many in (found.table() if found else ())),
        groups=tuple(
            Seen(clients=len(row.clients), traits=row.traits, segments=dict(row.segments), proposal=row.proposal)
            for row in observed.groups
        ),
        tiers=tiers_of(states, policy, now),
    )
    return made if await reviews.publish(made.quarter, made.model_dump_json().encode()) else None


def tiers_of(states: Iterable[ClientState], policy: Policy, now: datetime) -> tuple[Tier, ...]:
    """Return the tiers as the policy cuts them, beside the cut-points that the firm's clients call for by now."""
    at_ms = epoch_ms(now)  # who is silent has not been looked at since
    found = propose((replace(row, now_ms=max(row.now_ms, at_ms)) for row in states), policy)
    if found is None:
        return ()
    return tuple(
        Tier(name=name, cuts=getattr(policy.rfm, field), clients=found.now[name], quarters=getattr(found.cuts, field))
        for name, field in FIELDS.items()
    )


async def _clients(store: RedisStateStore) -> AsyncIterator[ClientState]:
    """Yield the state of every client of the firm's: not of those who were erased, and of no synthetic one."""
    async for blob in store.every():
        state = decode(blob)
        if not state.erased_ms and not is_canary(state.client_id):
            yield state


async def _policy(settings: Settings, store: RedisStateStore) -> Policy:
    started = ClientProgram(await asyncio.to_thread(policy_in_force, settings))
    return started.under((await store.regimes())[0]).policy


async def kept(reviews: RedisReviews) -> list[Review]:
    """Return the reviews there are, the oldest first."""
    return [Review.model_validate_json(row) for row in (await reviews.every()).values()]


async def end(reviews: RedisReviews, quarter: str, *, author: str, note: str, now: datetime) -> None:
    """Note that a person has read a review; one that was read stays as it was read first."""
    found = next((row for row in await kept(reviews) if row.quarter == quarter), None)
    if found is not None and found.reviewed_at is None:
        read = found.model_copy(update={"reviewed_at": now, "reviewed_by": author, "note": " ".join(note.split())})
        await reviews.close(quarter, read.model_dump_json().encode())


def tell(review: Review) -> Iterator[str]:
    """Yield a review for people."""
    if review.reviewed_at is None:
        stands = f"open: end it with rapport segments reviews {review.quarter} --done"
    else:
        stands = f"read by {review.reviewed_by} on {review.reviewed_at:%Y-%m-%d}{f': {review.note}' if review.note else ''}"
    yield f"{review.quarter}, made {review.made_at:%Y-%m-%d} of {review.clients:,} clients: {stands}"
    who = f"who: rapport segments movers --quarter {review.quarter}"
    yield f"  {review.worse:,} pay later than before, {review.better:,} sooner; {who}"
    yield from (f"  {row.before:9} -> {row.after:9} {row.clients:>6,}" for row in review.moved)
    for place, row in enumerate(review.groups, 1):
        mix = ", ".join(f"{count:,} {name}" for name, count in row.segments.items())
        yield f"  group {place}: {row.clients:,} clients, {mix}: {', '.join(row.traits) or 'much like the others'}"
        if row.proposal:
            yield f"    proposal: {row.proposal}"
    for tier in review.tiers:
        cut, now, quarters = (", ".join(map(str, row)) for row in (tier.cuts, tier.clients, tier.quarters))
        yield f"  {tier.name}: cut at {cut} (clients in tiers 1 to 4: {now}); quarters of them now at {quarters}"
    if review.tiers:
        yield "  to put such cut-points in force: rapport segments tiers --live, then rapport policy activate"
