"""Synthetic clients: nobody may ever hear or learn of them, and what differs in an answer is named."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from handlers.cli import EXIT_USAGE, run
from handlers.commands.canary.asking import Answer
from handlers.commands.canary.commands import OBJECTIVE, count
from handlers.commands.canary.story import clients_of, differing_decisions, differing_states, forgotten, is_canary, told
from handlers.commands.feeds.tail import Tail
from handlers.commands.feeds.watch import FeedWatch
from handlers.commands.history import deliveries
from handlers.commands.overrides.reckoning import Concerned
from models.events.envelope import epoch_ms
from models.events.signals import OverrideEffect
from models.events.union import AnyClientEvent
from models.learners.baseline import BASELINE
from models.policy.document import PolicyDocument, policy_of
from models.policy.policy import DEFAULT_POLICY
from models.regime import Regime
from models.state.client import ClientState
from models.transition import transition
from models.triggers import AnyOutput, Decision, DecisionOutcome, ExamplesWithdrawn
from models.workdays import DAY_MS
from streams.runtime.clock import SystemClock
from streams.runtime.metrics import SLO_EVENTS, SLO_GOOD, Meter
from streams.runtime.settings import Settings
from streams.wire.codec import encode_event
from streams.wire.partitioning import partition_of
from streams.wire.records import PlainRecord
from streams.wire.topics import CLIENT_EVENTS, WEBHOOKS
from tests.models.builders import Events
from tests.models.policy_documents import documents
from tests.models.test_journey_laws import Firm
from tests.models.test_own_journeys import OWN

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
(CLIENT,) = clients_of(NOON, partitions=1)
LIFE = [*told(CLIENT, NOON), forgotten(CLIENT, NOON)]


def lived(events: Sequence[AnyClientEvent]) -> tuple[ClientState, list[AnyOutput]]:
    state, said = None, list[AnyOutput]()
    for event in events:
        thought = transition(state, event, policy=DEFAULT_POLICY, scorer=BASELINE)
        state, said = thought.state, [*said, *thought.outputs]
    assert state is not None
    return state, said


@given(documents())
@settings(max_examples=20)
def test_whatever_a_policy_says_nobody_hears_of_a_synthetic_client_not_even_of_one_that_was_left_behind(
    document: PolicyDocument,
) -> None:
    for policy in (policy_of(document), OWN):
        firm = Firm(policy=policy).run(list(told(CLIENT, NOON)), until_ms=epoch_ms(NOON) + 400 * DAY_MS)
        assert firm.outputs
        assert not firm.triggers


def test_its_whole_life_is_applied_decides_something_and_teaches_nobody_anything() -> None:
    state, said = lived(LIFE)
    assert (state.events, bool(state.erased_ms), state.care.timers) == (len(LIFE), True, ())
    assert [type(output) for output in said] == [Decision, ExamplesWithdrawn]


def test_there_is_one_for_each_partition_under_a_reserved_name_and_another_at_another_moment() -> None:
    clients = clients_of(NOON, partitions=8)
    assert [partition_of(client, 8) for client in clients] == list(range(8))
    assert all(is_canary(client) and is_canary(client.encode()) for client in clients)
    assert not any(map(is_canary, ("client-1", b"client-1", b"", None)))
    assert not set(clients) & set(clients_of(NOON.replace(microsecond=1), partitions=8))


def test_a_state_that_is_not_the_known_one_is_told_by_its_parts() -> None:
    known, _ = lived(LIFE[:3])
    assert list(differing_states(known, known)) == []
    (words,) = differing_states(known, replace(known, events=7))
    assert words == "its state differs in events: 7, should be 3"


def test_decisions_that_differ_are_missing_or_too_many_are_named_and_so_is_whatever_was_sent() -> None:
    _, said = lived(LIFE)
    (right,) = (output for output in said if isinstance(output, Decision))
    other = right.model_copy(update={"policy_version": "another"})
    sent = right.model_copy(update={"outcome": DecisionOutcome.TRIGGERED})
    thanks = "post_payment_onboarding/thank_you"
    assert list(differing_decisions([right], [right])) == []
    assert list(differing_decisions([right], [other])) == [
        f"{thanks} was decided otherwise: policy_version 'another', should be '{right.policy_version}'"
    ]
    assert list(differing_decisions([right], [])) == [f"{thanks} should have been decided (held), and was not"]
    assert list(differing_decisions([], [right])) == [f"{thanks} was decided (held), and should not have been"]
    assert list(differing_decisions([sent], [sent])) == [f"{thanks} was sent out, although synthetic clients are on hold"]


def test_only_right_answers_are_good_ones_and_counting_begins_at_zero() -> None:
    meter = Meter()
    count(meter, ())
    assert b'rapport_slo_events_good_total{slo="canary"} 0.0' in meter.render()
    count(meter, [Answer("a", 0), Answer("b", 1, differences=("a state",)), Answer("c", 2, silent="nothing folded")])
    assert (meter.read(SLO_EVENTS, slo=OBJECTIVE), meter.read(SLO_GOOD, slo=OBJECTIVE)) == (3.0, 1.0)


def test_no_report_of_overrides_counts_it_and_no_watch_takes_it_for_a_source() -> None:
    build, concerned = Events(), Concerned()
    hold = build.override(3, OverrideEffect.HOLD, until=9)
    for number, event in enumerate([LIFE[0], hold]):
        concerned.ask(_on(CLIENT_EVENTS.name, event.client_id, encode_event(event), number))
    assert concerned.clients == {hold.client_id.encode()}
    own, watch = Settings(), FeedWatch()

    async def nothing(*_: object) -> list[Regime]:
        return []

    tail = Tail(settings=own, watch=watch, clock=SystemClock(), meter=Meter(), publish=nothing, regimes=nothing)
    for delivery in deliveries([*LIFE, hold]):
        record = delivery.record(0)
        tail.take(own.topic(WEBHOOKS.name), record)
    assert list(watch.arrivals) == ["generic"]
    assert watch.arrivals["generic"].last_ms == hold.received_ms


def _on(topic: str, client: str, value: bytes, offset: int) -> PlainRecord:
    return PlainRecord(topic=topic, partition=0, offset=offset, timestamp=epoch_ms(NOON), key=client.encode(), value=value)


@pytest.mark.parametrize("option", ["--every", "--within"])
def test_a_time_that_is_none_is_wrong_usage(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["canary", option, "0"]) == EXIT_USAGE
    assert "more than 0" in capsys.readouterr().err
