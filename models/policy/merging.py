"""Two clients are one company: the one moves into the other, and what still comes in its name is passed on.

The two may live on different partitions, so nothing is shared: what moves is an event on the log, written as outputs are. The
one that moves says everything to the one that stays in one order and numbers it, so that what arrives twice is known by a number.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from models.events.envelope import PassedOn
from models.events.signals import ClientAbsorbed, ClientMerged, ClientParted, ClientSplit, ConsentChanged, Purpose
from models.events.union import AnyClientEvent
from models.ids import derive
from models.policy.outcomes import forget_examples, take_back
from models.policy.paying import facts_in, hand_over, learn_of, note, part_with_payer
from models.policy.turn import Turn
from models.state.client import PURPOSES, ClientState, Memory
from models.state.codec import decode, encode
from models.state.elsewhere import facts_of, noted
from models.state.identity import parts, without
from models.state.joining import joined
from models.state.person import COMPLAINT
from models.triggers import CancelWhen
from models.workdays import moment

SOURCE: Final = "rapport"


def merge(turn: Turn, event: ClientMerged) -> bool:
    """Move the client into another one: take back what may not have left, send what is known there, keep where it went.

    Returns False, and changes nothing, where the other one is part of this client already.
    """
    state = turn.state
    if event.into in {state.client_id, *parts(state.identity)}:
        note(turn, "refused", f"{event.author} would merge it into {event.into}, which is part of it")
        return False
    part_with_payer(turn)
    for row in state.care.pending:
        if not row.retracted:
            reason = f"the client is {event.into} now: {event.reason}"
            take_back(turn, row, CancelWhen.CLIENT_MERGED, (reason,), known_ms=min(state.now_ms, event.received_ms))
    known, now = turn.state, moment(turn.state.now_ms)
    turn.state = ClientState(
        known.client_id,
        now_ms=known.now_ms,
        events=known.events,
        memory=Memory(ring=known.memory.ring, evicted_ms=known.memory.evicted_ms),
        identity=replace(known.identity, into=event.into, merged_ms=known.now_ms, first=known.identity.told + 1),
    )
    turn.state = noted(turn.state, event.into, facts_of(known))
    baggage = ClientAbsorbed(
        event_id=derive("absorbed", known.client_id, known.identity.told + 1),
        source=SOURCE,
        client_id=event.into,
        occurred_at=now,
        received_at=now,
        state=b64encode(encode(_luggage(known))).decode(),
    )
    _pass_on(turn, baggage)
    return True


def split(turn: Turn, event: ClientSplit) -> None:
    """Let a client that was merged be one of its own again, which knows only where its facts are."""
    state, who, now = turn.state, turn.state.identity, moment(turn.state.now_ms)
    if not who.into:
        note(turn, "refused", f"{event.author} would split it off, and it is part of nobody")
        return
    farewell = ClientParted(
        event_id=derive("parted", state.client_id, who.told + 1),
        source=SOURCE,
        client_id=who.into,
        occurred_at=now,
        received_at=now,
        names=(state.client_id, *parts(who)),
    )
    _pass_on(turn, farewell)
    turn.state = replace(turn.state, identity=replace(turn.state.identity, into="", merged_ms=0))
    note(turn, "split", f"it is no part of {who.into} any more: {event.reason}")


def part(turn: Turn, event: ClientParted) -> None:
    """Know that clients are part of this one no more. What they had told stays; of refusals they are told, so that they hold."""
    state, name, now = turn.state, event.names[0], moment(turn.state.now_ms)
    turn.state = replace(state, identity=without(state.identity, event.names))
    note(turn, "split", f"{name} is no part of it any more; what it had told stays")
    for purpose, channel, at_ms in _refusals(state):
        word = ConsentChanged(
            event_id=derive("refused", name, state.client_id, event.event_id, purpose.value, channel),
            source=SOURCE,
            client_id=name,
            occurred_at=moment(at_ms),
            received_at=now,
            purpose=purpose,
            channel=channel or None,
            granted=False,
        )
        turn.outputs.append(word)


def passes_on(turn: Turn, event: AnyClientEvent) -> bool:
    """Pass an event on to where the client went; False for one that is its own.

    What comes back to where it has been was merged in a circle. The client of it whose name comes first stands up again and
    keeps what comes, everybody else goes on passing on; so all that was in the circle ends with that one.
    """
    state, path = turn.state, event.passed_on.path if event.passed_on else ()
    if not state.identity.into or isinstance(event, ClientSplit):
        return False
    if isinstance(event, ClientParted):
        turn.state = replace(turn.state, identity=without(state.identity, event.names))
    if state.client_id in path:
        first = path.index(state.client_id)
        # What left before a merge that was undone says nothing about the one that holds now.
        is_circle = path[first + 1 : first + 2] == (state.identity.into,)
        if is_circle and state.client_id == min(path[first:]):
            note(turn, "refused", f"merged in a circle with {', '.join(path[first + 1 :])}: this one remains")
            turn.state = replace(turn.state, identity=replace(state.identity, into="", merged_ms=0))
            return False
        path = path[first + 1 :]
    _pass_on(turn, event, path)
    return True


def absorb(turn: Turn, event: ClientAbsorbed) -> None:
    """Take in what was known of a client that was merged into this one."""
    other = _unpacked(event)
    learn_of(turn, other, joined(turn.state, other))
    hand_over(turn, f"{other.client_id} is part of it", known_ms=turn.state.now_ms)
    note(turn, "merged", f"{other.client_id} is part of it")


def absorb_after_erasure(turn: Turn, event: ClientAbsorbed) -> None:
    """Keep nothing of a client that was merged into one that had asked to be forgotten, and forget what was learned from it."""
    other = _unpacked(event)
    forget_examples(turn, other.client_id, *parts(other.identity))


def _pass_on(turn: Turn, event: AnyClientEvent, path: tuple[str, ...] = ()) -> None:
    state = turn.state
    number = state.identity.told + 1
    children = event.passed_on.children if event.passed_on else ()
    came = PassedOn(path=(*path, state.client_id), children=children, number=number, first=state.identity.first)
    turn.outputs.append(event.model_copy(update={"client_id": state.identity.into, "passed_on": came}))
    told = replace(state, identity=replace(state.identity, told=number))
    facts = facts_in(event)
    turn.state = noted(told, state.identity.into, facts) if facts else told


def _luggage(state: ClientState) -> ClientState:
    """Return what moves: not which deliveries had arrived, for they arrive here again, nor what is worked out anew there."""
    return replace(
        state,
        memory=replace(state.memory, ring=b"", evicted_ms=0),
        care=replace(state.care, timers=(), notes=(), approvals=()),
    )


def _refusals(state: ClientState) -> Iterator[tuple[Purpose, str, int]]:
    """Yield what the client does not want: purpose, channel (empty: every one) and since when."""
    yield from ((PURPOSES[row.purpose], row.channel, row.at) for row in state.person.consents if not row.granted)
    for row in state.person.suppressions:
        if row.cause == COMPLAINT:
            for purpose in PURPOSES if row.purpose < 0 else (PURPOSES[row.purpose],):
                yield purpose, row.channel, row.at


def _unpacked(event: ClientAbsorbed) -> ClientState:
    return decode(b64decode(event.state))
