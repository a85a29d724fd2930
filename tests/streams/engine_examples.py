"""Logs and commits that several engine tests are made of."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from models.events.control import FeedChanged
from models.events.payments import PaymentReceived
from models.money import Money
from streams.engine.fence import Claim, CommitCall, Slot
from streams.engine.stage import Grasp
from streams.engine.ticks import make_tick
from streams.engine.writes import OutboxEntry, Writes
from streams.wire.codec import encode_event
from streams.wire.headers import Origin, Position
from streams.wire.records import PlainRecord
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY

SLOT = Slot(CLIENT_EVENTS.name, 0)
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
ARRIVED_MS = START_MS + 3_600_000  # by the broker's clock, later than every moment that records tell of
JUNK = (b"", b"{", b"null", b'{"kind":"nonsense"}', b"\xff")


FIRST_GRASP = Grasp(
    claim=Claim(generation=1, owner="me"),
    next_offset=0,
    ver="v",
    watermark_ms=0,
    outbox_depth=0,
    next_due_ms=None,
    high_water={},
)
"""Of a partition that was just taken for the first time; for stages that change nothing of it."""


def paid(second: int, *, client: str = "ada", event_id: str = "", source: str = "test") -> PaymentReceived:
    moment = START + timedelta(seconds=second)
    return PaymentReceived(
        event_id=event_id or f"{client}-{second}",
        source=source,
        occurred_at=moment,
        received_at=moment,
        client_id=client,
        payment_id=f"p-{client}-{second}",
        amount=Money(minor=100, currency="EUR"),
    )


def on_log(contents: Sequence[tuple[bytes | None, bytes]]) -> list[PlainRecord]:
    """Return `contents` (key, value) as the records of one partition."""
    return [
        PlainRecord(topic=CLIENT_EVENTS.name, partition=0, offset=offset, timestamp=ARRIVED_MS + offset, key=key, value=value)
        for offset, (key, value) in enumerate(contents)
    ]


def event_content(second: int, client: str, event_id: str, source: str) -> tuple[bytes | None, bytes]:
    return client.encode(), encode_event(paid(second, client=client, event_id=event_id, source=source))


def tick_content(second: int) -> tuple[bytes | None, bytes]:
    return CONTROL_KEY, encode_event(make_tick(SLOT, START_MS + second * 1000))


def control_content(second: int, event_id: str, source: str = "test") -> tuple[bytes | None, bytes]:
    """Return what tells every client at once that a feed is late."""
    moment = START + timedelta(seconds=second)
    event = FeedChanged(
        event_id=event_id,
        source=source,
        occurred_at=moment,
        received_at=moment,
        author="ann",
        reason="late",
        feed=event_id,
        late_since=moment,
    )
    return CONTROL_KEY, encode_event(event)


_SECONDS = st.integers(0, 600)
_CLIENTS = st.sampled_from(["ada", "bob", "Ærø", "李"])
_EVENTS = st.builds(
    event_content,
    _SECONDS,
    _CLIENTS,
    st.sampled_from([f"e{number}" for number in range(60)]),
    st.sampled_from(["test"] * 9 + ["poison"]),
)
_TICKS = st.builds(tick_content, st.one_of(_SECONDS, _SECONDS, _SECONDS, st.integers(3_590, 9_000)))
_CONTROLS = st.builds(
    control_content,
    _SECONDS,
    st.sampled_from([f"k{number}" for number in range(6)]),
    st.sampled_from(["test"] * 5 + ["poison"]),
)
_BAD = st.tuples(st.sampled_from([b"ada", b"", b"eve", None]), st.sampled_from(JUNK))
_MISPLACED = st.builds(lambda second: (b"somebody else", encode_event(paid(second))), _SECONDS)

logs = st.lists(st.one_of(_EVENTS, _EVENTS, _EVENTS, _EVENTS, _TICKS, _CONTROLS, _BAD, _MISPLACED), min_size=1, max_size=60).map(
    on_log
)
"""Logs of one partition with events, repetitions, ticks too early or too late, regimes, and everything that is no event."""


def entry(offset: int, idx: int = 0, *, topic: str = "triggers.email", value: bytes = b"v") -> OutboxEntry:
    origin = Origin(src_topic=CLIENT_EVENTS.name, src_partition=0, src_offset=offset, idx=idx, kind="trigger")
    return OutboxEntry(
        position=Position(offset, idx),
        topic=topic,
        partition=0,
        key=b"ada",
        value=value,
        headers=tuple(origin.to_headers()),
    )


def commit_call(  # noqa: PLR0917 - a table of facts
    claim: Claim, ver: str, expected: int, ver_new: str, writes: Writes | None = None, outbox_limit: int = 100
) -> CommitCall:
    made = writes or Writes(next_offset=expected + 1, watermark_ms=0)
    return CommitCall(claim=claim, ver=ver, expected=expected, ver_new=ver_new, writes=made, outbox_limit=outbox_limit)
