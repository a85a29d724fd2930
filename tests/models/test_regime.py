"""Laws of the regime: what it is follows from the log alone, hearing twice is hearing once, and its bytes are stable."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.control import FeedChanged, HaltChanged, HaltScope, LearnerActivated, LearnerRole, PolicyActivated
from models.events.union import AnyControlEvent
from models.regime import (
    NOTHING_ACTIVATED,
    POLICIES_KEPT,
    Regime,
    UnreadableRegimeError,
    decode_regime,
    encode_regime,
    regime_after,
)

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
_NAMES = st.sampled_from(["a", "b", "ü"])
_IDS = st.integers(0, 25).map(lambda number: f"e{number}")
_MOMENTS = st.integers(0, 10_000).map(lambda minutes: START + timedelta(minutes=minutes))
_BASE = {"event_id": _IDS, "source": st.just("test"), "occurred_at": _MOMENTS, "author": _NAMES, "reason": _NAMES}
_POLICIES = st.builds(PolicyActivated, **_BASE, version=st.integers(0, 20).map(str), document=st.just("{}"))
_LEARNERS = st.builds(
    LearnerActivated,
    **_BASE,
    learner=_NAMES,
    version=_NAMES,
    role=st.sampled_from(LearnerRole),
    pinned=st.booleans(),
    automatic=st.booleans(),
    snapshot=st.sampled_from(["", "UlBM"]),
)
_HALTS = st.one_of(
    st.builds(HaltChanged, **_BASE, scope=st.just(HaltScope.ALL), target=st.none(), halted=st.booleans()),
    st.builds(
        HaltChanged, **_BASE, scope=st.sampled_from([HaltScope.CHANNEL, HaltScope.JOURNEY]), target=_NAMES, halted=st.booleans()
    ),
)
_FEEDS = st.builds(FeedChanged, **_BASE, feed=_NAMES, late_since=st.one_of(st.none(), _MOMENTS))
events: st.SearchStrategy[AnyControlEvent] = st.one_of(_POLICIES, _LEARNERS, _HALTS, _FEEDS)
logs = st.lists(events, max_size=25)


def fold(log: list[AnyControlEvent], regime: Regime = NOTHING_ACTIVATED) -> Regime:
    for event in log:
        regime = regime_after(regime, event)
    return regime


@given(log=logs)
def test_a_regime_survives_its_bytes_after_every_event(log: list[AnyControlEvent]) -> None:
    regime = NOTHING_ACTIVATED
    for event in log:
        regime = decode_regime(encode_regime(regime_after(regime, event)))
    assert regime == fold(log)
    assert encode_regime(regime) == encode_regime(fold(log))


@given(log=logs, more=logs)
def test_what_was_heard_once_changes_nothing_when_it_comes_again(log: list[AnyControlEvent], more: list[AnyControlEvent]) -> None:
    regime = fold([*log, *more])
    for event in log:
        assert regime_after(regime, event) is regime


@given(log=logs)
def test_of_every_kind_the_last_word_holds(log: list[AnyControlEvent]) -> None:
    heard: dict[str, AnyControlEvent] = {}
    for event in log:
        heard.setdefault(event.event_id, event)
    regime = fold(log)
    stops = {(e.scope, e.target): e for e in heard.values() if isinstance(e, HaltChanged)}
    assert {(row.scope, row.target or None) for row in regime.halts} == {key for key, event in stops.items() if event.halted}
    feeds = {e.feed: e for e in heard.values() if isinstance(e, FeedChanged)}
    assert {row.feed for row in regime.feeds} == {name for name, event in feeds.items() if event.late_since}
    policies = [e.version for e in heard.values() if isinstance(e, PolicyActivated)]
    assert [row.version for row in regime.policies] == list(dict.fromkeys(reversed(policies)))[:POLICIES_KEPT]


def learner(number: int, *, version: str, pinned: bool = False, automatic: bool = False) -> LearnerActivated:
    return LearnerActivated(
        event_id=f"l{number}",
        source="test",
        occurred_at=START,
        author="ann",
        reason="better",
        learner="lateness",
        version=version,
        pinned=pinned,
        automatic=automatic,
        snapshot=b64encode(version.encode()).decode(),
    )


def test_a_pinned_champion_gives_way_to_a_person_and_to_no_machine() -> None:
    pinned = fold([learner(1, version="v1", pinned=True), learner(2, version="v2", automatic=True)])
    active = pinned.learner("lateness")
    assert active is not None
    assert (active.version, active.snapshot) == ("v1", b"v1")
    freed = fold([learner(3, version="v3"), learner(4, version="v4", automatic=True)], pinned).learner("lateness")
    assert freed is not None
    assert freed.version == "v4"


def test_a_challenger_stands_beside_the_champion_and_not_in_its_place() -> None:
    challenger = learner(2, version="v2").model_copy(update={"role": LearnerRole.CHALLENGER})
    regime = fold([learner(1, version="v1"), challenger])
    versions = [row.version for role in LearnerRole if (row := regime.learner("lateness", role)) is not None]
    assert versions == ["v1", "v2"]
    gone = fold([challenger.model_copy(update={"event_id": "l3", "snapshot": ""})], regime)
    assert gone.learner("lateness", LearnerRole.CHALLENGER) is None


def stop(number: int, scope: HaltScope, target: str | None) -> HaltChanged:
    return HaltChanged(
        event_id=f"h{number}",
        source="test",
        occurred_at=START,
        author="ann",
        reason="stop",
        scope=scope,
        target=target,
        halted=True,
    )


def test_the_widest_stop_that_reaches_a_contact_is_named() -> None:
    sms = fold([stop(1, HaltScope.CHANNEL, "sms")])
    assert sms.halt(channel="email", journey="sms") is None
    found = sms.halt(channel="sms", journey="pre_renewal", purpose="servicing")
    assert found is not None
    assert (found.scope, found.target, found.reason) == (HaltScope.CHANNEL, "sms", "stop")
    widest = fold([stop(2, HaltScope.ALL, None)], sms).halt(channel="sms")
    assert widest is not None
    assert widest.scope is HaltScope.ALL


def test_a_stop_without_the_target_that_its_scope_needs_is_refused() -> None:
    for scope, target in ((HaltScope.ALL, "sms"), (HaltScope.CHANNEL, None)):
        with pytest.raises(ValueError, match="names it"):
            stop(1, scope, target)


@pytest.mark.parametrize("blob", [b"\x09", b"\x01\xc1", b"\x01\x95"])
def test_bytes_of_another_release_are_refused_with_the_fix(blob: bytes) -> None:
    with pytest.raises(UnreadableRegimeError, match=r"run the release|rebuild"):
        decode_regime(blob)


def test_nothing_activated_has_no_bytes() -> None:
    assert encode_regime(NOTHING_ACTIVATED) == b""
    assert decode_regime(b"") == NOTHING_ACTIVATED
