"""The trainer's pure part: stopped and resumed anywhere it learns each example once, and says the same as if never stopped."""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from models.events.control import LearnerActivated
from models.events.envelope import epoch_ms
from models.learners.activation import LATENESS, LEARNERS, RENEWAL, scorer_of, verify
from models.learners.consistency import CHECKED, ExamplesChecked, ExamplesRegenerated
from models.learners.promotion import ActivationRule
from models.learners.published import LearnerSnapshot
from models.learners.renewal_trainer import RenewalTrainer
from models.learners.subjects import SUBJECTS
from models.learners.trainer import LatenessTrainer
from models.triggers import Example, ExamplesWithdrawn, RenewalExample
from streams.agents.pupil import KEPT_SNAPSHOTS, Pupil
from streams.agents.school import EVERY, REGENERATED, School, is_of
from streams.agents.trainer import Trainer, report
from streams.engine.failpoints import make_failpoint
from streams.engine.memory_fence import MemoryFence
from streams.engine.memory_producer import MemoryProducer
from streams.engine.outbox_codec import pack_entry, unpack_entry
from streams.engine.producer import outgoing
from streams.engine.writes import OutboxEntry
from streams.runtime import metrics
from streams.runtime.errors import FatalError
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.state.memory_store import MemoryPartitions
from streams.wire.codec import decode_event, encode_output
from streams.wire.headers import Position, origin_headers
from streams.wire.records import PlainRecord, Record
from streams.wire.topics import CLIENT_EVENTS, CONTROL_KEY, EXAMPLES, SNAPSHOTS
from tests.models.examples import example
from tests.models.renewal_examples import renewal_example

HOUR_MS: Final = 3_600_000
RULE: Final = ActivationRule(every_ms=24 * HOUR_MS, every_examples=40, least_answers=30, margin=1.0)
PARTITIONS: Final = 2


def record(offset: int, number: int, *, row: Example | None = None, value: bytes | None = None) -> PlainRecord:
    """Return example `number` as the output of a record of its own, on the partition of its parity."""
    return _told(offset, row or example(number), number % PARTITIONS, Position(number, 0), kind="example", value=value)


def renewed(offset: int, number: int, *, place: Position) -> PlainRecord:
    """Return answered renewal `number` as an output at `place` of the log."""
    return _told(offset, renewal_example(number), place.src_offset % PARTITIONS, place, kind="renewal_example")


def _told(
    offset: int, row: Example | RenewalExample, partition: int, place: Position, *, kind: str, value: bytes | None = None
) -> PlainRecord:
    return PlainRecord(
        topic=EXAMPLES.name,
        partition=0,
        offset=offset,
        timestamp=offset * HOUR_MS,
        key=row.client_id.encode(),
        value=encode_output(row) if value is None else value,
        headers=origin_headers(CLIENT_EVENTS.name, partition, place, kind=kind),
    )


def mixed(numbers: Sequence[int]) -> list[PlainRecord]:
    """Return examples of both learners as one log: with every second invoice a renewal, answered on the same day."""
    log: list[PlainRecord] = []
    for number in numbers:
        log.append(record(len(log), number))
        if number % 2 == 0:
            log.append(renewed(len(log), number // 2, place=Position(number, 1)))
    return log


class Desk:
    """What Redis and Kafka have of a trainer that may die at any record."""

    def __init__(self, rule: ActivationRule = RULE) -> None:
        self.rules = dict.fromkeys(LEARNERS, rule)
        self.stored: dict[str, bytes] = {}
        self.offset = 0
        self.entries: list[OutboxEntry] = []

    def learn(self, log: Sequence[Record], *, upto: int | None = None) -> School:
        """Learn from the stored offset on; what is in memory after the record at `upto` is lost with the process."""
        school = School(self.stored, rules=self.rules, partitions=PARTITIONS, offset=self.offset)
        for row in log[self.offset if len(self.stored) == len(LEARNERS) else 0 : upto]:
            harvest = school.take(row)
            if harvest is not None:
                self.stored = dict(harvest.writes.states)
                self.offset = harvest.writes.next_offset
                self.entries += [unpack_entry(entry.position, pack_entry(entry)) for entry in harvest.writes.outbox]
        return school

    def snapshots(self) -> list[LearnerSnapshot]:
        told = [entry.value for entry in self.entries if entry.topic == SNAPSHOTS.name and entry.value]
        return [LearnerSnapshot.model_validate_json(value) for value in told]

    def activations(self) -> list[LearnerActivated]:
        events = [decode_event(entry.value) for entry in self.entries if entry.topic == CLIENT_EVENTS.name]
        return [event for event in events if isinstance(event, LearnerActivated)]


LOG: Final = [record(number, number) for number in range(260)]


@cache
def learned() -> Desk:
    """Return a desk that has learned all of `LOG`, to look at."""
    desk = Desk()
    desk.learn(LOG)
    return desk


@cache
def released_by_hand() -> dict[str, tuple[str, bytes]]:
    """Return what the learners release that take every example once."""
    plain, renewals = LatenessTrainer(), RenewalTrainer()
    for number in range(260):
        plain.take(example(number))
        if number % 2 == 0:
            renewals.take(renewal_example(number // 2))
    return {LATENESS: plain.release(), RENEWAL: renewals.release()}


@settings(max_examples=12, deadline=None)
@given(deaths=st.lists(st.integers(1, 260), max_size=4), repeats=st.sets(st.integers(0, 259), max_size=20))
def test_wherever_it_dies_and_whatever_comes_twice_each_example_is_learned_once(deaths: list[int], repeats: set[int]) -> None:
    numbers = sorted([*range(260), *repeats])  # a repetition follows at once, as a publisher that starts anew makes them
    log = mixed(numbers)
    broken = Desk()
    for death in sorted(deaths):
        broken.learn(log, upto=max(death, broken.offset))
    school = broken.learn(log)
    assert {name: pupil.trainer.release() for name, pupil in school.pupils.items()} == released_by_hand()
    whole = Desk()
    whole.learn(log)
    assert (broken.stored, broken.offset) == (whole.stored, whole.offset)
    assert broken.entries == whole.entries


def test_snapshots_are_taken_by_count_and_by_time_of_the_log_and_name_what_they_are_worth() -> None:
    desk = learned()
    snapshots = desk.snapshots()
    assert len(snapshots) > 4
    assert len({row.version for row in snapshots}) == len(snapshots)
    last = snapshots[-1]
    assert last.candidate.answers == last.rules.answers > 100
    assert last.candidate.auc is not None
    assert last.candidate.auc > 0.6
    rare = Desk(ActivationRule(every_ms=10**12, every_examples=10**6, least_answers=10**6))
    rare.learn(LOG)
    assert rare.snapshots() == []


def test_what_passes_the_guard_is_activated_on_every_partition_with_one_id() -> None:
    desk = learned()
    activations = desk.activations()
    versions = list(dict.fromkeys(event.version for event in activations))
    assert len(activations) == PARTITIONS * len(versions)
    assert len({event.event_id for event in activations}) == len(versions)
    assert {entry.key for entry in desk.entries if entry.topic == CLIENT_EVENTS.name} == {CONTROL_KEY}
    for event in activations:
        verify(event)
    assert versions[-1] == desk.snapshots()[-1].version
    assert "log loss" in activations[-1].reason


@pytest.mark.parametrize(
    "rule",
    [
        ActivationRule(automatic=False, every_examples=40, least_answers=30, margin=1.0),
        ActivationRule(every_examples=40, least_answers=10_000),
        ActivationRule(every_examples=40, least_answers=30, margin=-1.0),
    ],
)
def test_without_leave_evidence_or_success_nothing_is_activated_but_snapshots_go_on(rule: ActivationRule) -> None:
    desk = Desk(rule)
    desk.learn(LOG)
    assert desk.activations() == []
    assert len(desk.snapshots()) >= 5


def test_what_no_learner_can_learn_is_counted_and_passed_over() -> None:
    foreign = example(3).model_copy(update={"table": "other"})
    log = [*LOG[:3], record(3, 3, row=foreign), record(4, 4, value=b"{"), record(5, 5, value=b""), record(6, 6), record(7, 6)]
    school = Desk().learn(log)
    said = {"taken": 4, "other_table": 1, "unreadable": 1, "repeated": 1}
    counts = {(LATENESS, outcome): count for outcome, count in said.items()} | {(EVERY, "withdrawn"): 1}
    assert dict(school.counts) == counts


def wish(offset: int, client_id: str) -> PlainRecord:
    value = encode_output(ExamplesWithdrawn(client_id=client_id, decided_at=example(offset).decided_at))
    headers = origin_headers(CLIENT_EVENTS.name, 0, Position(offset, 0), kind="examples.withdrawn")
    key = f"{client_id}|withdrawn".encode()
    return replace(record(offset, offset), key=key, value=value, headers=headers)


def test_what_waits_of_an_erased_client_is_not_learned_and_everything_of_it_is_to_be_taken_back() -> None:
    rows = [record(number, number) for number in range(16)]  # two days of eight; the second still waits
    school = Desk().learn([*rows, wish(16, example(9).client_id), record(17, 17), record(18, 40)])
    expected = LatenessTrainer()
    for number in (*range(9), *range(10, 16), 17, 40):
        expected.take(example(number))
    trainer = school.pupils[LATENESS].trainer
    assert isinstance(trainer, LatenessTrainer)
    assert trainer.publish().lines == expected.publish().lines
    assert school.withdrawn == [example(9).client_id]
    key = f"{example(9).client_id}|I|5".encode()
    assert is_of(replace(rows[9], key=key), example(9).client_id)
    assert not is_of(replace(rows[9], key=key), example(9).client_id + "|I")
    assert not is_of(replace(rows[9], key=key, value=None), example(9).client_id)
    assert not is_of(wish(16, "c"), "c")


def test_old_versions_leave_the_topic_and_the_latest_stay() -> None:
    desk = Desk(ActivationRule(every_examples=1, least_answers=10_000))
    desk.learn([record(number, number) for number in range(8 * (KEPT_SNAPSHOTS + 6))])
    taken_away = [entry for entry in desk.entries if entry.topic == SNAPSHOTS.name and not entry.value]
    assert [outgoing(entry).value for entry in taken_away] == [None] * len(taken_away)
    versions = [row.version for row in desk.snapshots()]
    assert [(entry.key or b"").decode() for entry in taken_away] == versions[: len(versions) - KEPT_SNAPSHOTS]
    assert len(versions) > KEPT_SNAPSHOTS


def test_what_is_learned_again_after_everything_was_lost_is_not_published_again() -> None:
    first = learned()
    published = max(entry.position.src_offset for entry in first.entries)
    school = School({}, rules=first.rules, partitions=PARTITIONS, quiet_before=published + 1)
    harvests = [harvest for row in LOG if (harvest := school.take(row)) is not None]
    assert all(harvest.writes.next_offset > published for harvest in harvests if harvest.writes.outbox)
    assert released(school) == released(Desk().learn(LOG))


def test_a_checkpoint_of_another_release_is_refused_with_the_fix() -> None:
    desk = learned()
    for learner in LEARNERS:
        spoilt = {**desk.stored, learner: desk.stored[learner].replace(b"RPL", b"RPX", 1)}
        with pytest.raises(FatalError, match=f"--afresh {learner}"):
            School(spoilt, rules=desk.rules, partitions=PARTITIONS, offset=desk.offset)


def test_an_activated_snapshot_scores() -> None:
    desk = learned()
    event = desk.activations()[-1]
    assert scorer_of(b64decode(event.snapshot)).version == event.version


def released(school: School) -> list[tuple[str, bytes]]:
    return [pupil.trainer.release() for pupil in school.pupils.values()]


def test_both_learners_are_judged_published_and_activated_each_by_its_own_record() -> None:
    desk = Desk()
    desk.learn(mixed(range(300)))
    for learner in LEARNERS:
        versions = [row for row in desk.snapshots() if row.learner == learner]
        activations = [event for event in desk.activations() if event.learner == learner]
        assert len(versions) >= 5
        assert versions[-1].candidate.answers > 100
        assert versions[-1].candidate.log_loss < versions[-1].rules.log_loss
        assert {event.version for event in activations} <= {row.version for row in versions}
        assert activations[-1].version == versions[-1].version
        verify(activations[-1])
    first = desk.activations()[0].occurred_at
    patient = Desk()
    patient.rules[RENEWAL] = ActivationRule(every_examples=40, least_answers=10_000)
    patient.learn(mixed(range(300)))
    assert {event.learner for event in patient.activations()} == {LATENESS}
    assert patient.activations()[0].occurred_at == first


def test_a_learner_that_is_new_or_begins_anew_learns_all_there_is_while_the_other_goes_on_where_it_was() -> None:
    log, half = mixed(range(260)), 200
    whole, later = Desk(), Desk()
    whole.learn(log)
    later.learn(log, upto=half)
    before = dict(later.stored)
    del later.stored[RENEWAL]  # as an older release left it
    interrupted = later.learn(log, upto=half // 2)
    assert interrupted.learned[LATENESS] > 0
    assert later.stored == {LATENESS: before[LATENESS]}  # nothing is stored before it has caught up
    school = later.learn(log)
    plain = RenewalTrainer()
    for number in range(130):
        plain.take(renewal_example(number))
    assert school.pupils[RENEWAL].trainer.release() == plain.release()
    assert released(school) == released(whole.learn(log))
    assert later.stored == {**later.stored, LATENESS: whole.stored[LATENESS]}


def checked(offset: int, *, passed: bool, questions: int = 40) -> PlainRecord:
    result = ExamplesChecked(
        checked_at=example(0).decided_at, author="nightly", clients=3, questions=questions, mismatched=0 if passed else 4,
        missing=0, extra=0, worst=0.0, first="" if passed else "late_share is off", passed=passed,
    )  # fmt: skip
    return said(offset, CHECKED, result)


def said(offset: int, kind: str, result: BaseModel) -> PlainRecord:
    headers = origin_headers(kind, 0, Position(offset, 0), kind=kind)
    return replace(record(offset, 0), key=kind.encode(), value=result.model_dump_json().encode(), headers=headers)


@pytest.mark.parametrize(
    ("alarms", "before", "automatic", "activated"),
    [(1, True, True, True), (0, True, True, False), (1, False, True, False), (1, True, False, False)],
)
def test_after_a_drift_the_version_that_leans_on_the_rules_goes_in_force_also_where_it_is_worse_than_they_are(
    alarms: int, before: bool, automatic: bool, activated: bool
) -> None:
    never = replace(RULE, margin=-9.0, automatic=automatic)
    (subject,) = (row for row in SUBJECTS if row.learner == LATENESS)
    pupil = Pupil(subject, learned().stored[LATENESS], rule=never, offset=learned().offset, quiet_before=0)
    pupil.memory = msgspec.structs.replace(pupil.memory, passed=before)
    pupil.trainer.watch.alarms += alarms
    release = pupil.store(LOG[-1], publishes=True)
    assert release is not None
    assert release.activated is activated


def test_a_drift_is_published_at_once_whatever_has_passed_since_the_version_before() -> None:
    (subject,) = (row for row in SUBJECTS if row.learner == LATENESS)
    pupil = Pupil(subject, learned().stored[LATENESS], rule=RULE, offset=learned().offset, quiet_before=0)
    just_now = {"published_ms": LOG[-1].timestamp, "published_learned": pupil.trainer.learned - 1, "passed": True}
    pupil.memory = msgspec.structs.replace(pupil.memory, **just_now)
    assert not pupil.has_news(LOG[-1])
    pupil.trainer.watch.alarms += 1
    assert pupil.has_news(LOG[-1])
    pupil.store(LOG[-1], publishes=True)
    assert not pupil.has_news(LOG[-1])


def test_monitoring_hears_of_each_drift_once_and_of_the_weight_that_is_left() -> None:
    trainer, meter = LatenessTrainer(), Meter()
    for alarms, since, trust in ((0, 400, 1.0), (1, 0, 0.5), (1, 200, 0.75), (3, 0, 0.5)):
        trainer.watch.alarms, trainer.watch.since = alarms, since
        report(LATENESS, trainer, meter)
        assert meter.read(metrics.LEARNER_DRIFTS, learner=LATENESS) == alarms
        assert meter.read(metrics.LEARNER_TRUST, learner=LATENESS) == trust


def test_what_no_checkpoint_holds_is_told_in_the_logs_own_time_and_only_of_examples() -> None:
    school = School({}, rules=dict.fromkeys(LEARNERS, RULE), partitions=PARTITIONS)
    days = [(record(0, 0), 0), (record(5, 1), 5), (record(9, 2), 9), (checked(400, passed=True), 9)]
    for row, hours in days:
        assert (school.take(row), school.unstored_ms) == (None, hours * HOUR_MS)
    ages, stored = [], 0
    for place in range(3, 120):
        stored += school.take(record(400 + place, place)) is not None
        ages.append(school.unstored_ms)
    assert stored > 1
    assert ages.count(0) >= stored
    assert max(ages[60:]) < 48 * HOUR_MS


def test_a_trainer_is_behind_by_the_age_of_what_it_reads_as_long_as_more_waits() -> None:
    meter = Meter()
    fence, producer = MemoryFence(MemoryPartitions()), MemoryProducer(partitions=PARTITIONS)
    trainer = Trainer(Settings(), fence=fence, producer=producer, meter=meter, failpoint=make_failpoint(""))
    school = School({}, rules=dict.fromkeys(LEARNERS, RULE), partitions=PARTITIONS)
    for place in (0, 7):
        school.take(record(place, place))
    trainer.tell_place(school, left=2, newest=record(0, 0))
    year = 365 * 24 * 3600
    assert meter.read(metrics.LEARNER_BEHIND) > 50 * year
    assert (meter.read(metrics.LEARNER_LAG, learner=LATENESS), meter.read(metrics.LEARNER_UNSTORED)) == (2, 7 * 3600)
    trainer.tell_place(school, left=2, newest=None)
    assert meter.read(metrics.LEARNER_BEHIND) > 50 * year
    trainer.tell_place(school, left=0, newest=record(0, 0))
    assert meter.read(metrics.LEARNER_BEHIND) == 0


def test_whoever_begins_anew_is_distrusted_until_a_check_has_passed() -> None:
    at = example(0).decided_at
    begins, ends = (
        said(place, REGENERATED, ExamplesRegenerated(regenerated_at=at, author="dana", complete=is_done, examples=200))
        for place, is_done in ((1, False), (202, True))
    )
    fresh = [record(number + 2, number) for number in range(200)]
    desk = Desk()
    assert desk.learn([checked(0, passed=False), begins, *fresh, ends]).distrusted == "late_share is off"
    assert desk.activations() == []


def test_while_stored_features_differ_from_a_replay_versions_are_published_but_none_puts_itself_in_force() -> None:
    failed, log = Desk(), [checked(0, passed=False), *(record(number + 1, number) for number in range(200))]
    failed.learn(log, upto=150)
    school = failed.learn(log)  # and it is remembered when the trainer dies
    assert len(failed.snapshots()) >= 4
    assert failed.activations() == []
    assert school.distrusted == "late_share is off"
    assert school.checked_ms == epoch_ms(example(0).decided_at)
    mended = [*log, checked(len(log), passed=True), *(record(number + 2, number) for number in range(200, 300))]
    assert failed.learn(mended).distrusted == ""
    assert failed.activations()[-1].version == failed.snapshots()[-1].version


def test_a_check_that_compared_nothing_takes_no_distrust_away_and_makes_none() -> None:
    log = [checked(0, passed=False), checked(1, passed=True, questions=0)]
    assert Desk().learn([*log, *(record(number + 2, number) for number in range(200))]).distrusted == "late_share is off"
    trusting = Desk()
    assert trusting.learn([log[1], *(record(number + 2, number) for number in range(200))]).distrusted == ""
    assert trusting.activations() != []
