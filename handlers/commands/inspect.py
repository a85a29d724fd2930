"""`rapport inspect client|trigger`: explain what is known and decided. Exposes the cyclopts App `inspect`."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from operator import itemgetter
from typing import Annotated, Any

from cyclopts import App, Parameter

from handlers.channels.awaited import places_awaited
from handlers.channels.template_facts import facts_of
from handlers.commands.options import JsonOption
from handlers.terminal.documents import in_json
from handlers.terminal.learnt_words import learnt_json, learnt_lines
from handlers.terminal.reading import read_shown
from handlers.terminal.renewal_words import renewal_json, renewal_lines
from handlers.terminal.wording import tell_decision
from models.events.envelope import epoch_ms
from models.learners.activation import renewals_in_force
from models.learners.otherwise import otherwise
from models.learners.outside import with_risk
from models.learners.scorer import Score
from models.patterns import Reading, patterns
from models.policy.causes import of_overdue
from models.policy.deciding import proposal_lines
from models.policy.favourable import windows
from models.policy.freshness import score_read
from models.policy.hours import EXPLORED, explain_hour
from models.policy.material import material_lateness
from models.policy.readings import readings
from models.policy.resegment import belief_of
from models.policy.rfm import rfm
from models.policy.segments import effective_segment
from models.policy.standing import standing
from models.policy.unlocked import would_leave_if
from models.regime import Regime
from models.state.balances import exposures
from models.state.client import ClientState
from models.state.codec import decode
from models.state.describe import describe
from models.state.person import overruling
from models.triggers import CHANNEL_RECORD_ADAPTER, Decision
from models.workdays import moment
from streams.engine.program import ClientProgram
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.headers import read_stations
from streams.wire.partitioning import partition_of
from streams.wire.policy_file import policy_in_force
from streams.wire.reading import read_each
from streams.wire.topics import DECISIONS, TRIGGERS

inspect = App(
    name="inspect",
    help="""Explain a client or a trigger: what is known, what was decided, and why - also why nothing was sent.

    Exit codes: 0 found, 1 a server is away, 2 no such client or trigger.
    """,
)


@inspect.command
def client(
    client_id: Annotated[str, Parameter(help="The id under which its events come.")],
    /,
    *,
    decisions: Annotated[int, Parameter(help="How many of the latest decisions to read from the log of decisions.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Explain a client: segment and score with reasons, exposure term by term, what is pending, due and was decided.

    Also: whose clock counts and who stated it, open tasks, pauses after a reply, what is suppressed until when, by whom it can be
    lifted, what waits for a place at its reader's address (`RAPPORT_READER_PER_DAY`), and which runs follow an older policy than
    the one in force.

    Says what would take the score into another tier, and what somebody could change for messages to leave that do not.
    Reads the committed state from Redis. The last decisions are in it; with --decisions N the latest N come from Kafka, those
    to send and those not to send.

    Example: rapport inspect client cus_1a2b3c --decisions 20
    """
    settings = load_settings()
    started = policy_in_force(settings, facts_stated=facts_of(settings))
    state, blob, found = asyncio.run(_read_client(settings, client_id, decisions))
    bound = ClientProgram(policy=started).under(blob)
    now_ms = epoch_ms(make_clock(settings.clock_file).now())
    places = asyncio.run(places_awaited(settings, state, bound.policy, now_ms=now_ms))
    chosen, renewals, stops = bound.policy, renewals_in_force(bound.regime), _stops(bound.regime)
    if as_json:
        said = _client_json(state, found, bound) | {"renewals": renewal_json(state, renewals, chosen.value)}
        said |= {"policy": chosen.version, "stops": stops, "awaits_a_place": [row.as_json() for row in places]}
        print(in_json(said))
    else:
        lines = [*_client_lines(state, found, bound), *renewal_lines(state, renewals, chosen.value)]
        print("\n".join([*lines, *(row.words for row in places), f"policy in force: {chosen.version}", *stops]))


@inspect.command
def trigger(
    trigger_id: Annotated[str, Parameter(help="The id that decisions and channels name, in full.")],
    /,
    *,
    as_json: JsonOption = False,
) -> None:
    """Explain a trigger: what it asked for and why, whether it was taken back, each station it passed, every decision about it.

    Example: rapport inspect trigger 3e8e9081f1cc4c6605c1e6ab88846c86
    """
    settings = load_settings()
    records, decisions = asyncio.run(_read_trigger(settings, trigger_id))
    if not records and not decisions:
        message = f"no trigger {trigger_id} is known; rapport inspect client ID --decisions 50 lists those of a client"
        raise UsageError(message)
    if as_json:
        said = {"records": records, "decisions": list(map(_decision_json, decisions))}
        print(in_json(said))
        return
    for record in records:
        passed = _passed(record.pop("stations"))
        print(in_json(record))
        print(passed)
    print("\n".join(_decision_lines(decisions, with_values=True)))


def _passed(stations: Mapping[str, int]) -> str:
    """Return when a record passed each station, and how long after the one before."""
    told, before = [], 0
    for name, at in sorted(stations.items(), key=itemgetter(1)):
        later = f" (+{at - before:,} ms)" if before else ""
        told.append(f"{name.removesuffix('_ms')} {moment(at):%Y-%m-%d %H:%M:%S}.{at % 1000:03}{later}")
        before = at
    return "  stations: " + ", ".join(told)


def _stops(regime: Regime) -> list[str]:
    """Return what holds back contact whatever is known of the client, a sentence each."""
    halts = [f"{f'{row.scope.value} {row.target}'.strip()} is stopped by {row.author}: {row.reason}" for row in regime.halts]
    return halts + [f"{row.feed} is late since {moment(row.late_ms):%Y-%m-%d %H:%M}: {row.reason}" for row in regime.feeds]


async def _read_client(settings: Settings, client_id: str, count: int) -> tuple[ClientState, bytes, list[Decision]]:
    redis = connect_redis(settings)
    store = RedisStateStore(redis, settings)
    try:
        blob, regime = await store.read(client_id), await store.regime(client_id)
    finally:
        await redis.aclose()
    if blob is None:
        message = (
            f"no client {client_id!r} is known in namespace {settings.namespace!r} at the server of REDIS_URL: the id is"
            " the one that the sender gives; rapport lag says whether events wait, rapport dead-letters list what was not read"
        )
        raise UsageError(message)
    decisions: list[Decision] = []
    if count > 0:
        partition = partition_of(client_id, settings.partitions)
        about = await _decisions(settings, [partition], about=client_id)
        decisions = [each for each in about if each.client_id == client_id][-count:]
    return decode(blob), regime, decisions


async def _read_trigger(settings: Settings, trigger_id: str) -> tuple[list[dict[str, Any]], list[Decision]]:
    every = list(range(settings.partitions))
    found: dict[str, dict[str, Any]] = {}

    def see(record: Any) -> None:  # noqa: ANN401 - what a client library returned
        if trigger_id.encode() not in record.value:
            return
        content = CHANNEL_RECORD_ADAPTER.validate_json(record.value)
        if content.trigger_id == trigger_id:
            stations = {**read_stations(record.headers), "published_ms": record.timestamp}
            told = {**content.model_dump(mode="json", exclude_none=True), "stations": stations}
            found.setdefault(content.kind, told)

    for topic in TRIGGERS.values():
        await read_each(settings, topic.name, partitions=every, see=see)
    decisions = [each for each in await _decisions(settings, every, about=trigger_id) if each.trigger_id == trigger_id]
    return list(found.values()), decisions


async def _decisions(settings: Settings, partitions: list[int], *, about: str) -> list[Decision]:
    """Return the decisions of `partitions` that hold the word `about`, oldest first; one published twice counts once."""
    found: dict[str, Decision] = {}
    words = {about.encode(), json.dumps(about)[1:-1].encode(), json.dumps(about, ensure_ascii=False)[1:-1].encode()}

    def see(record: Any) -> None:  # noqa: ANN401 - what a client library returned
        if any(word in record.value for word in words):
            decision = Decision.model_validate_json(record.value)
            found.setdefault(decision.decision_id, decision)

    await read_shown(settings, DECISIONS.name, "reading decisions", partitions=partitions, see=see)
    return sorted(found.values(), key=lambda decision: decision.decided_at)


def _client_lines(state: ClientState, decisions: list[Decision], bound: ClientProgram) -> Iterator[str]:
    policy = bound.policy
    yield from describe(state)
    yield from standing(state, policy)
    yield from score_lines(state, bound)
    yield from learnt_lines(tuple(readings(state, policy, bound.scorer)), with_values=False)
    words = overruling(state, state.now_ms)
    if len(words) > 1:
        told = "; ".join(f"{row.author} says {row.value} until {moment(row.expires_ms):%Y-%m-%d}" for row in words)
        yield f"managers disagree on the segment, the latest word holds: {told}"
    past = material_lateness(state, policy)
    if past.labelled:
        yield belief_of(past, state, policy).explain()
    yield from (f"late {words}" for words in of_overdue(state).words)
    yield from (row.words for row in windows(state))
    yield from proposal_lines(state)
    hour = explain_hour(state, policy)
    if hour:
        yield f"{hour}; messages wait for it within the day, one in {EXPLORED} does not"
    tiers = rfm(state, policy)
    if tiers is not None:
        yield from tiers.explain(policy)
    for reading in patterns(state, policy.patterns):
        yield f"pattern {reading.explain()}"
    yield from would_leave_if(state, bound.regime)
    if decisions:
        yield f"latest {len(decisions)} decisions:"
        yield from _decision_lines(decisions)


def score_lines(state: ClientState, bound: ClientProgram) -> Iterator[str]:
    """Say the score as a decision would use it now, why it is so, and what would take it into another tier."""
    score = _score(state, bound)
    if score is None:
        yield "score: none that counts (too little history, or too old); the rules of the segment decide"
        return
    yield f"score: {score.probability:.0%} likely to pay the next invoice late ({bound.scorer.version})"
    yield from (f"  {reason}" for reason in score.reasons)
    for row in score.further:
        yield from (f"  {line}" for line in row.lines())
    yield from (f"  otherwise: {row.words}" for row in otherwise(state, bound.scorer))


def _score(state: ClientState, bound: ClientProgram) -> Score | None:
    """Return the score as a decision would use it now."""
    return with_risk(score_read(bound.scorer.score(state), state.now_ms, bound.policy.max_age)[0], state)


def _decision_lines(decisions: list[Decision], *, with_values: bool = False) -> Iterator[str]:
    for decision in decisions:
        first, *rest = tell_decision(decision)
        yield f"  {decision.decided_at:%Y-%m-%d %H:%M}  {first}"
        read = learnt_lines(decision.learnt or (), with_values=True) if with_values else ()
        yield from (f"  {'':16}  {line}" for line in (*rest, *read))


def _decision_json(decision: Decision) -> dict[str, Any]:
    said = decision.model_dump(mode="json", exclude_none=True)
    return said if decision.learnt is None else {**said, "learnt": list(map(learnt_json, decision.learnt))}


def _client_json(state: ClientState, decisions: list[Decision], bound: ClientProgram) -> dict[str, Any]:
    policy, score = bound.policy, _score(state, bound)
    rows, tiers = exposures(state.ledger, state.now_ms), rfm(state, policy)
    names = ("currency", "open", "part_paid", "credits", "unapplied", "disputed", "promised", "in_flight", "net")
    return {
        "client_id": state.client_id,
        "name": state.person.name.value or None,
        "segment": effective_segment(state, state.now_ms).value,
        "score": None
        if score is None
        else {
            "probability": score.probability,
            "reasons": list(score.reasons),
            "further": [asdict(row) for row in score.further],
            "otherwise": _otherwise_json(state, bound),
        },
        "learnt": [learnt_json(row) for row in readings(state, policy, bound.scorer)],
        "exposure": [{name: getattr(row, name) for name in names} for row in rows],
        "tiers": None if tiers is None else tiers.explain(policy),
        "hour": explain_hour(state, policy) or None,
        "why_late": _why_late_json(state),
        "favourable": [row.words for row in windows(state)],
        "proposed_windows": list(proposal_lines(state)),
        "would_leave_if": would_leave_if(state, bound.regime),
        "patterns": [_pattern_json(row) for row in patterns(state, policy.patterns)],
        "described": describe(state),
        "standing": standing(state, policy),
        "decisions": list(map(_decision_json, decisions)),
    }


def _why_late_json(state: ClientState) -> dict[str, Any] | None:
    found = of_overdue(state)
    return None if found.cause is None else {"cause": found.cause.value, "evidence": found.evidence, "besides": found.besides}


def _otherwise_json(state: ClientState, bound: ClientProgram) -> list[dict[str, Any]]:
    rows = otherwise(state, bound.scorer)
    return [{"family": row.family.value, "change": row.change, "probability": row.chance, "words": row.words} for row in rows]


def _pattern_json(row: Reading) -> dict[str, Any]:
    meaning = row.meaning
    return {
        "pattern": row.pattern.value,
        "words": row.words,
        "reading": meaning.reading,
        "posture": meaning.posture.value,
        "advice": meaning.advice,
        "facts": row.facts,
    }
