"""The program under a regime: what is activated through the log holds from the next record on, and a replay does the same."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from typing import Final

import pytest
from msgspec.structs import replace as replace_weights

from models.events.control import LearnerActivated, LearnerRole
from models.events.union import AnyClientEvent, AnyControlEvent
from models.features import TABLE, Landmark, unpack
from models.learners.baseline import BASELINE
from models.learners.lateness import LatenessScorer
from models.learners.snapshot import LatenessWeights, dump
from models.policy.policy import DEFAULT_POLICY, stamped
from models.regime import NOTHING_ACTIVATED, ActiveLearner, Regime, decode_regime, encode_regime, regime_after
from models.state.client import ClientState
from models.state.closing import OPEN_INVOICES, PARTS
from models.state.codec import encode
from models.state.reckoning import gross, left
from models.state.refusing import LEAST_ABSURD
from models.triggers import Decision, Example, Trigger
from models.workdays import DAY_MS
from streams.agents.clients import ClientsStage
from streams.agents.readers import INTAKE_READERS
from streams.engine.fence import Slot
from streams.engine.memory_fence import MemoryFence
from streams.engine.memory_pipeline import MemoryPipeline
from streams.engine.oracle import fold_partition
from streams.engine.program import ClientProgram
from streams.engine.writes import OutboxEntry
from streams.runtime.metrics import LEARNER_REFUSED, Meter
from streams.runtime.settings import Settings
from streams.state.memory_store import MemoryPartitions
from streams.wire.codec import encode_event
from streams.wire.dead_letters import Reason
from streams.wire.records import PlainRecord
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY, DEAD_LETTERS, DECISIONS, EXAMPLES, TRIGGERS
from tests.models.builders import Events, ms, on, tick_at
from tests.models.controls import policy_activated
from tests.models.examples import trained
from tests.streams.engine_examples import FIRST_GRASP

SNAPSHOT: Final = trained(120).publish()


def activated(weights: LatenessWeights = SNAPSHOT, *, day: float, snapshot: bytes | None = None) -> LearnerActivated:
    raw = dump(weights) if snapshot is None else snapshot
    return LearnerActivated(
        event_id=f"activate-{weights.version}-{day}",
        source="test",
        occurred_at=on(day),
        received_at=on(day),
        author="ann",
        reason="better than the rules",
        learner="lateness",
        version=weights.version,
        snapshot=b64encode(raw).decode(),
    )


def history() -> list[AnyClientEvent]:
    """Return a year of a client with an invoice a month, paid late."""
    build = Events()
    story: list[tuple[float, AnyClientEvent]] = [(0, build.profiled(0))]
    for month in range(12):
        first = 1 + month * 30
        story.append((first, build.issued(first, f"I{month}", 10_000, due=first + 14)))
        story.append((first + 25, build.paid(first + 25, f"P{month}", 10_000, f"I{month}")))
    return [event for _, event in sorted(story, key=lambda told: told[0])]


def told(*controls: AnyControlEvent) -> MemoryPipeline[ClientState]:
    """Return a deployment that heard the history with `controls` between its events, by time."""
    pipeline = MemoryPipeline(ClientProgram(), readers=INTAKE_READERS, start=on(0))
    waiting = sorted(controls, key=lambda event: event.occurred_at)
    for event in history():
        while waiting and waiting[0].occurred_at <= (event.received_at or event.occurred_at):
            pipeline.govern(waiting.pop(0))
        pipeline.tell(event)
    pipeline.advance_to(on(500))
    return pipeline


def versions_asked(pipeline: MemoryPipeline[ClientState]) -> list[str]:
    """Return the learner version of every question in the examples, by the time at which it was put."""
    examples = [Example.model_validate_json(entry.value) for entry in pipeline.entries if entry.topic == EXAMPLES.name]
    asked = {(question.asked_ms, question.version) for example in examples for question in example.questions}
    return [version for _, version in sorted(asked)]


def test_questions_are_answered_by_the_learner_that_was_active_when_they_were_put() -> None:
    asked = versions_asked(told(activated(day=180)))
    assert set(asked) == {BASELINE.version, SNAPSHOT.version}
    turn = asked.index(SNAPSHOT.version)
    assert set(asked[:turn]) == {BASELINE.version}
    assert set(asked[turn:]) == {SNAPSHOT.version}


def test_decisions_name_the_learner_and_the_policy_that_were_in_force() -> None:
    policy = replace(DEFAULT_POLICY, version="2030.1", grace_days=4)
    change = policy_activated(200, policy, version="2030.1+0badc0de")
    entries = told(activated(day=100), change).entries
    decisions = [Decision.model_validate_json(entry.value) for entry in entries if entry.topic == DECISIONS.name]
    before = [row for row in decisions if row.decided_at < on(100)]
    after = [row for row in decisions if row.decided_at > on(200)]
    assert {(row.learner_version, row.policy_version) for row in before} == {(BASELINE.version, DEFAULT_POLICY.version)}
    assert {(row.learner_version, row.policy_version) for row in after} == {(SNAPSHOT.version, "2030.1+0badc0de")}


def test_the_log_alone_gives_the_same_scores_bit_for_bit_across_activations() -> None:
    other = trained(200).publish()
    lived = told(activated(day=90), activated(other, day=170), activated(day=260))
    replayed = fold_partition(ClientProgram(), lived.log, partitions=1)
    assert set(versions_asked(lived)) == {BASELINE.version, SNAPSHOT.version, other.version}
    assert [(entry.topic, entry.value) for entry in lived.entries] == [(said.topic, said.value) for said in replayed.outputs]
    assert {client: encode(state) for client, state in lived.states.items()} == replayed.states
    assert lived.regime == replayed.regime


def other_table(raw: bytes) -> bytes:
    """Return a snapshot as a release with another feature table would write it."""
    content = raw[19:].replace(TABLE.encode(), TABLE[::-1].encode())
    return raw[:3] + blake2b(content, digest_size=16).digest() + content


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (other_table, "feature table"),
        (lambda raw: raw[:-1] + b"x", "damaged"),
        (lambda _: b"RPL", "damaged"),
        (lambda _: dump(trained(40).publish()), "name the version that travels in it"),
    ],
)
def test_a_snapshot_that_cannot_score_is_a_dead_letter_and_the_one_before_goes_on(
    spoil: Callable[[bytes], bytes], said: str
) -> None:
    bad = activated(day=180, snapshot=spoil(dump(SNAPSHOT))).model_copy(update={"event_id": "bad"})
    lived = told(activated(day=90), bad)
    (letter,) = [entry for entry in lived.entries if entry.topic == DEAD_LETTERS.name]
    assert said in dict(letter.headers)["detail"].decode()
    active = decode_regime(lived.regime).learner("lateness")
    assert active is not None
    assert active.version == SNAPSHOT.version
    assert versions_asked(lived)[-1] == SNAPSHOT.version


def in_force(raw: bytes) -> bytes:
    """Return the regime of partitions in which a snapshot was activated, by whatever release."""
    return encode_regime(regime_after(NOTHING_ACTIVATED, activated(day=90, snapshot=raw)))


@pytest.mark.parametrize(("raw", "refused"), [(dump(SNAPSHOT), 0.0), (other_table(dump(SNAPSHOT)), 1.0)], ids=["own", "other"])
async def test_a_worker_says_to_monitoring_that_its_release_cannot_use_what_is_in_force(raw: bytes, refused: float) -> None:
    meter, slot = Meter(), Slot(CLIENT_EVENTS.name, 0)
    stage = ClientsStage(slot, program=ClientProgram(), fence=MemoryFence(MemoryPartitions()), settings=Settings(), meter=meter)
    value = encode_event(tick_at(ms(91)))
    tick = PlainRecord(topic=slot.topic, partition=0, offset=0, timestamp=ms(91), key=CONTROL_KEY, value=value)
    await stage.prepare([tick], replace(FIRST_GRASP, regime=in_force(other_table(dump(SNAPSHOT)))))
    await stage.prepare([tick], replace(FIRST_GRASP, regime=in_force(raw)))
    assert meter.read(LEARNER_REFUSED, learner="lateness") == refused
    assert meter.read(LEARNER_REFUSED, learner="renewal") == 0
    assert 'learner_refused{learner="renewal"} 0.0' in meter.render().decode()


def shadow_of(pipeline: MemoryPipeline[ClientState]) -> dict[int, tuple[str | None, tuple[float, ...] | None]]:
    """Return what the challenger said, by the time of the question."""
    examples = [Example.model_validate_json(entry.value) for entry in pipeline.entries if entry.topic == EXAMPLES.name]
    return {asked.asked_ms: (asked.shadow_version, asked.shadow) for row in examples for asked in row.questions}


def test_a_challenger_answers_beside_the_champion_only_what_was_asked_after_it_was_trained() -> None:
    challenger = replace_weights(trained(200).publish(), trained_ms=ms(150))
    beside = activated(challenger, day=100).model_copy(update={"role": LearnerRole.CHALLENGER})
    lived, alone = told(activated(day=90), beside), told(activated(day=90))
    said = shadow_of(lived)
    assert {version for at, (version, _) in said.items() if at >= ms(150)} == {challenger.version}
    assert {version for at, (version, _) in said.items() if at < ms(150)} == {None}
    assert versions_asked(lived) == versions_asked(alone)
    assert lived.states == alone.states
    scorer = LatenessScorer(challenger)
    for entry in lived.entries:
        if entry.topic == EXAMPLES.name:
            row = Example.model_validate_json(entry.value)
            for asked in row.questions:
                overdue = asked.asked_ms // DAY_MS - row.due_day
                features = unpack(b64decode(asked.features))
                chances = scorer.chances(features, landmark=Landmark(asked.landmark), overdue=overdue)
                assert asked.shadow is None or [round(part * 10_000) for part in asked.shadow if part >= 0] == [
                    part for part in chances if part >= 0
                ]
    replayed = fold_partition(ClientProgram(), lived.log, partitions=1)
    assert [(entry.topic, entry.value) for entry in lived.entries] == [(told.topic, told.value) for told in replayed.outputs]


def decided(pipeline: MemoryPipeline[ClientState]) -> list[Decision]:
    return [Decision.model_validate_json(entry.value) for entry in pipeline.entries if entry.topic == DECISIONS.name]


def test_decisions_show_what_a_challenger_says_and_are_taken_as_without_it() -> None:
    weights = trained(200).publish()
    hopeful = tuple(replace_weights(line, seen=100, intercept=-2.0) for line in weights.lines)
    challenger = replace_weights(weights, lines=hopeful)
    beside = activated(challenger, day=150).model_copy(update={"role": LearnerRole.CHALLENGER})
    with_it, alone = decided(told(activated(day=90), beside)), decided(told(activated(day=90)))
    said = {row.challenger_version for row in with_it if row.decided_at >= on(150) and row.score is not None}
    assert said == {challenger.version}
    assert {row.challenger_version for row in with_it if row.decided_at < on(150)} == {None}
    heard = [(row.score, row.challenger_score) for row in with_it if row.challenger_score is not None]
    assert heard
    assert all(score is not None and other < score / 2 for score, other in heard)
    nothing = {"challenger_score": None, "challenger_version": None}
    assert [row.model_copy(update=nothing) for row in with_it] == alone


def test_a_policy_that_is_none_is_a_dead_letter() -> None:
    change = policy_activated(20, DEFAULT_POLICY, version="x", document='{"version": "x", "supprt": {}}')
    lived = told(change)
    (letter,) = [entry for entry in lived.entries if entry.topic == DEAD_LETTERS.name]
    assert "supprt" in dict(letter.headers)["detail"].decode()
    assert lived.regime == b""


def test_a_regime_that_another_release_activated_lets_the_rules_decide() -> None:
    raw = other_table(dump(SNAPSHOT))
    active = ActiveLearner("lateness", LearnerRole.CHAMPION, "old", since_ms=0, pinned=False, author="ann", snapshot=raw)
    program = ClientProgram().under(encode_regime(Regime(learners=(active,))))
    assert program.scorer is BASELINE


def test_an_activation_replans_every_client_at_once_and_not_at_its_next_event() -> None:
    build = Events()
    patient = stamped(replace(DEFAULT_POLICY, version="patient", grace_days=20))
    sent: list[tuple[str, datetime]] = []
    for policy in (None, patient):
        pipeline = MemoryPipeline(ClientProgram(), readers=INTAKE_READERS, start=on(0))
        for event in (build.profiled(0), build.issued(1, "I1", 10_000, due=10)):
            pipeline.tell(event)
        if policy is not None:
            pipeline.govern(policy_activated(11, policy))
        pipeline.advance_to(on(60))
        triggers = [
            Trigger.model_validate_json(entry.value) for entry in pipeline.entries if entry.topic == TRIGGERS["email"].name
        ]
        sent.append((triggers[0].step, triggers[0].decided_at))
    (step, usual), (patiently, later) = sent
    assert step == patiently == "explain_terms"
    assert (later - usual).days in range(15, 20)


def test_a_playbook_that_an_activation_switches_on_reaches_clients_of_whom_nothing_is_heard() -> None:
    build = Events()
    off = tuple(replace(row, enabled=False) for row in DEFAULT_POLICY.journeys.playbooks)
    quiet = stamped(replace(DEFAULT_POLICY, version="quiet", journeys=replace(DEFAULT_POLICY.journeys, playbooks=off)))
    renews = next(day for day in range(100, 500) if on(day).strftime("%m-%d") == "06-20")
    pipeline = MemoryPipeline(ClientProgram(policy=quiet), readers=INTAKE_READERS, start=on(0))
    pipeline.tell(build.profiled(0))
    pipeline.tell(build.contract(1, renews=renews))
    pipeline.govern(policy_activated(2, DEFAULT_POLICY))
    pipeline.advance_to(on(renews - 20))
    steps = [Decision.model_validate_json(entry.value).step for entry in pipeline.entries if entry.topic == DECISIONS.name]
    assert steps == ["early_planning"]


def test_an_activation_that_is_heard_twice_or_changes_nothing_wakes_nobody_for_ever() -> None:
    build = Events()
    pipeline = MemoryPipeline(ClientProgram(), readers=INTAKE_READERS, start=on(0))
    pipeline.tell(build.profiled(0))
    change = policy_activated(1, stamped(replace(DEFAULT_POLICY, version="same")))
    pipeline.govern(change)
    pipeline.govern(change)
    pipeline.advance_to(on(30))
    ticks = [record for record in pipeline.log if b"clock.ticked" in (record.value or b"")]
    assert len(ticks) <= 2


def test_amounts_that_no_sum_can_hold_become_dead_letters_and_the_neighbours_go_on() -> None:
    build, other = Events(), Events("client-2")
    most = LEAST_ABSURD - 1
    parts = ((30.0, LEAST_ABSURD), (40.0, 1_000))
    absurd = [build.issued(2 + number / 8, f"H{number}", 2**63 - 1, due=9) for number in range(4)]
    large = [build.issued(3 + number / 8, f"L{number}", most, due=9) for number in range(40)]
    paid = [build.paid(12 + number / 8, f"P{number}", most, f"L{number}") for number in range(20)]
    pipeline = MemoryPipeline(ClientProgram(), readers=INTAKE_READERS, start=on(0))
    plan = build.planned(8.5, "L1", "L0", parts=parts)
    story: list[AnyClientEvent] = [build.profiled(0), *absurd, *large, plan, *paid, other.profiled(15)]
    for event in story:
        pipeline.tell(event)
    pipeline.advance_to(on(90))
    letters = [entry for entry in pipeline.entries if entry.topic == DEAD_LETTERS.name]
    assert len(letters) == len(absurd) + 1
    assert b"is more than anybody owes" in dict(letters[0].headers)["detail"]
    assert "client-2" in pipeline.states


def refused_by(pipeline: MemoryPipeline[ClientState]) -> list[OutboxEntry]:
    return [entry for entry in pipeline.entries if dict(entry.headers).get("reason") == Reason.NO_PLACE.encode()]


def test_beyond_two_hundred_open_invoices_an_invoice_waits_among_the_dead_letters_and_the_oldest_stays_open() -> None:
    build = Events()
    pipeline = MemoryPipeline(ClientProgram(), readers=INTAKE_READERS, start=on(0))
    bills = [build.issued(1 + number / 24, f"I{number}", 10_000, due=10 + number / 24) for number in range(OPEN_INVOICES)]
    pipeline.tell(build.profiled(0))
    for bill in bills:
        pipeline.tell(bill)
    pipeline.advance_to(on(60))
    asked = {entry.value for entry in pipeline.entries if entry.topic in {topic.name for topic in TRIGGERS.values()}}
    assert asked
    for hour in range(6):  # a storm of invoices takes nothing back and asks nothing anew
        pipeline.tell(build.issued(60 + hour / 24, f"S{hour}", 10_000, due=90))
        pipeline.advance_to(on(60 + (hour + 0.5) / 24))
    pipeline.tell(build.issued(60.5, "I7", 12_000, due=10.3))  # one that is kept may be told again
    state = pipeline.states["client-1"]
    assert {row.invoice_id for row in state.ledger.invoices} == {bill.invoice_id for bill in bills}
    assert next(row.minor for row in state.ledger.invoices if row.invoice_id == "I7") == 12_000
    assert state.memory.forgotten.rows == 0
    letters = refused_by(pipeline)
    assert len(letters) == 6
    assert b"200 invoices of this client are open" in dict(letters[0].headers)["detail"]
    now = {entry.value for entry in pipeline.entries if entry.topic in {topic.name for topic in TRIGGERS.values()}}
    assert not any(b'"kind":"retraction"' in value for value in now - asked)

    pipeline.tell(build.paid(61, "P1", 10_000, "I0"))
    pipeline.tell(build.issued(60, "S0", 10_000, due=90, received=62))  # driven again
    kept = {row.invoice_id for row in pipeline.states["client-1"].ledger.invoices if left(row)}
    assert "S0" in kept
    assert "I0" not in kept
    assert len(refused_by(pipeline)) == 6


def test_a_payment_that_names_more_invoices_than_are_kept_loses_no_money_without_a_word() -> None:
    build = Events()
    pipeline = MemoryPipeline(ClientProgram(), readers=INTAKE_READERS, start=on(0))
    for number in range(PARTS + 3):
        pipeline.tell(build.paid(1 + number / 1_000, "P1", 5, f"I{number}"))
    pipeline.tell(build.paid(1, "P1", 5, "I0", received=3))  # a repeat of what is kept is one
    pipeline.tell(build.paid(2, "P1-rest", 15, None))
    assert len(refused_by(pipeline)) == 3
    state = pipeline.states["client-1"]
    assert sum(map(gross, state.ledger.payments)) + sum(row.received for row in state.ledger.totals) == 5 * PARTS + 15
    assert state.memory.forgotten.repeats == 0
