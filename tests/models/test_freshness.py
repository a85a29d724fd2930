"""What was learnt too long ago does not decide: rules do, never more firmly and never sooner, and the decision says why."""

from base64 import b64decode
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_fields

from models.events.union import AnyClientEvent, AnyEvent
from models.features import TABLE
from models.learners.baseline import BASELINE
from models.learners.scorer import Score, Scorer
from models.learnt import LearntKind, Quality
from models.policy.document import document_of
from models.policy.foresight import foreseen
from models.policy.freshness import MaxAge, renewal_read, score_read, told
from models.policy.freshness_document import MaxAgeSection
from models.policy.policy import DEFAULT_POLICY, ApprovalRules, Policy, stamped
from models.policy.readings import readings
from models.policy.resegment import resegment
from models.policy.tones import CEILINGS, FIRMNESS
from models.policy.turn import Turn
from models.state.client import Segment
from models.state.habits import last_question
from models.state.renewals import RenewalAsked
from models.transition import transition
from models.triggers import Decision, DecisionOutcome
from models.workdays import DAY_MS
from tests.models.builders import Events, ms, on, tick
from tests.models.test_foresight import DUE, INVOICE, STEP, said, state
from tests.models.test_journey_laws import Firm, stories
from tests.models.test_otherwise import HISTORY, book
from tests.models.test_renewal_timing import EARLY, triggers

AGES = st.sampled_from([0, 400, 120, 60, 20, 6, 1])
"""Days, the laxest first; 0: however old."""


def aged(policy: Policy = DEFAULT_POLICY, **days: int) -> Policy:
    return stamped(replace(policy, max_age=MaxAge(**days)))


class Learned(Firm):
    """A firm whose learners have something to say."""

    scorer: Scorer = HISTORY

    def feed(self, event: AnyEvent) -> None:
        result = transition(self.state, event, policy=self.policy, scorer=self.scorer)
        self.state, self.due = result.state, result.next_due_ms
        self.outputs += result.outputs

    @property
    def decisions(self) -> list[Decision]:
        return [row for row in self.outputs if isinstance(row, Decision)]


def first_message(policy: Policy) -> Decision:
    """Return the record of what was decided first about an invoice that is long due."""
    firm = Learned(policy=policy).run(book([3.0, 8.0, 8.0, 2.0, 9.0]), until_ms=ms(345))
    return next(row for row in firm.decisions if row.anchor == "NEXT" and row.outcome is DecisionOutcome.TRIGGERED)


def test_a_score_is_recorded_with_its_age_and_with_what_the_learner_saw() -> None:
    firm = Learned().run(book([3.0, 8.0, 8.0, 2.0, 9.0]), until_ms=ms(345))
    record = next(row for row in firm.decisions if row.anchor == "NEXT" and row.outcome is DecisionOutcome.TRIGGERED)
    assert record.learnt is not None
    read = record.learnt[0]
    assert (read.what, read.about, read.table, read.quality) == (LearntKind.SCORE, "NEXT", TABLE, Quality.GOOD)
    assert read.value == record.score
    assert [row.score for row in firm.triggers if row.trigger_id == record.trigger_id] == [record.score]
    assert read.age_days == pytest.approx((record.decided_at - read.as_of).total_seconds() / 86_400, abs=0.001)
    assert firm.state is not None
    put = next(row for row in firm.state.habits.watches if row.invoice_id == "NEXT")
    asked = [last_question(with_fields(put, asked=put.asked[:count])) for count in range(1, len(put.asked) + 1)]
    assert read.features is not None
    assert b64decode(read.features) in [row.features for row in asked]


def test_a_score_that_is_too_old_is_told_and_not_used() -> None:
    record = first_message(aged(score_days=1))
    assert record.score is None
    assert record.learnt is not None
    assert record.learnt[0].quality is Quality.STALE
    assert "older than the 1 days of the policy" in record.reasons[-1]


@given(asked=st.integers(0, 100), taught=st.integers(1, 100), ages=st.tuples(AGES, AGES), taught_ages=st.tuples(AGES, AGES))
def test_what_counts_under_a_stricter_policy_counts_under_a_laxer_one(
    asked: int, taught: int, ages: tuple[int, int], taught_ages: tuple[int, int]
) -> None:
    score = Score(0.4, plain=0.4, as_of_ms=asked * DAY_MS, features=b"xx", trained_ms=taught * DAY_MS)

    def counts(place: int) -> bool:
        strictest = [sorted(pair, key=lambda most: most or 10_000, reverse=True)[place] for pair in (ages, taught_ages)]
        found, read = score_read(score, 120 * DAY_MS, MaxAge(score_days=strictest[0], learner_days=strictest[1]))
        assert read is not None
        assert (found is None) == (read.quality is Quality.STALE)
        assert ("older than" in told(read)) == (found is None)
        return found is not None

    assert counts(0) or not counts(1)


def test_a_learner_that_has_not_been_taught_for_long_is_named_as_the_reason() -> None:
    score = Score(0.4, plain=0.4, as_of_ms=119 * DAY_MS, about="I1", features=b"xx", trained_ms=10 * DAY_MS)
    found, read = score_read(score, 120 * DAY_MS, MaxAge(score_days=30, learner_days=60))
    assert found is None
    assert read is not None
    assert told(read) == (
        "score of I1: as of 1970-04-30, 1 day old, by a learner that knows nothing after 1970-01-11:"
        " older than the 60 days of the policy, so it does not count"
    )


@pytest.mark.parametrize(("days", "is_asked"), [(0, False), (400, False), (1, True)])
def test_where_abstaining_means_asking_a_person_an_old_score_asks_too(days: int, *, is_asked: bool) -> None:
    policy = aged(replace(DEFAULT_POLICY, approval=ApprovalRules(on_abstention=True)), score_days=days)
    firm = Learned(policy=policy).run(book([3.0, 8.0, 8.0, 2.0, 9.0]), until_ms=ms(345))
    steps = [row for row in firm.triggers if "NEXT" in row.invoice_ids]
    assert steps[0].step.startswith("approve_") is is_asked
    if is_asked:
        assert "older than" in steps[0].reasons[0]


@given(
    recent=st.lists(st.integers(0, 9), min_size=5, max_size=12).map(lambda rows: tuple(sorted(rows))),
    days=st.integers(0, 9),
    day=st.integers(DUE - 30, STEP),
    leaned=st.booleans(),
    now=st.integers(STEP, STEP + 8),
    ages=st.tuples(AGES, AGES),
)
def test_a_pay_date_that_is_too_old_lets_no_message_leave_sooner(
    recent: tuple[int, ...], days: int, day: int, now: int, ages: tuple[int, int], *, leaned: bool
) -> None:
    known = state(recent, said(float(days), day=day, is_leaned=leaned), day=now)

    def until(most: int) -> int:
        silence = foreseen(
            known, INVOICE, step_ms=STEP * DAY_MS, oldest_ms=DUE * DAY_MS, within_days=3, ages=MaxAge(pay_date_days=most)
        )
        return silence.until_ms if silence else 0

    lax, strict = sorted(ages, key=lambda most: most or 10_000, reverse=True)
    assert until(strict) >= until(lax)


def test_the_wait_for_an_old_pay_date_is_the_longer_of_it_and_the_habit() -> None:
    known = state((6,) * 5, said(4.0, day=DUE - 7))

    def waits(most: int) -> tuple[int, Quality]:
        silence = foreseen(
            known, INVOICE, step_ms=STEP * DAY_MS, oldest_ms=DUE * DAY_MS, within_days=3, ages=MaxAge(pay_date_days=most)
        )
        assert silence is not None
        return silence.until_ms // DAY_MS - DUE, silence.learnt[0].quality

    assert waits(0) == (5, Quality.GOOD)
    assert waits(10) == (5, Quality.GOOD)
    assert waits(9) == (7, Quality.STALE)


def test_a_chance_of_renewal_that_is_too_old_begins_nothing_earlier() -> None:
    strict = aged(EARLY, renewal_days=1)
    usual, early, old = (triggers(policy, days=1)[0] for policy in (DEFAULT_POLICY, EARLY, strict))
    assert early.decided_at < usual.decided_at
    assert old.decided_at == usual.decided_at
    assert (old.step, old.tone) == (usual.step, usual.tone)
    assert triggers(strict, days=1) == triggers(strict, days=5)


def late_then_silent() -> list[AnyClientEvent]:
    """Return a client whose three invoices were paid twelve days late, and of whom nothing was heard since."""
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0), *(build.issued(day, f"M{day}", due=day + 8) for day in range(3))]
    return [*log, *(build.paid(day + 20, f"P{day}", 100_000, f"M{day}") for day in range(3))]


def test_nobody_moves_to_a_firmer_segment_by_invoices_that_ended_long_ago() -> None:
    lax = Firm().run(late_then_silent(), until_ms=ms(200))
    strict = Firm(policy=aged(segment_days=60)).run(late_then_silent(), until_ms=ms(200))
    assert lax.state is not None
    assert strict.state is not None
    assert lax.state.care.segment is Segment.SLOW
    assert strict.state.care.segment is Segment.NEW
    held = [row for row in strict.outputs if isinstance(row, Decision) and row.outcome is DecisionOutcome.SUPPRESSED]
    assert [row.reasons[0] for row in held] == [f"stays new, not slow: no invoice has ended since {on(22):%Y-%m-%d}"]
    assert held[0].learnt is not None
    assert held[0].learnt[-1].what is LearntKind.SEGMENT


@given(stories(), st.integers(0, 500), AGES, AGES, st.sampled_from(list(Segment)))
@settings(max_examples=60)
def test_a_move_by_older_invoices_is_never_to_a_firmer_segment(
    story: list[AnyClientEvent], later: int, one: int, two: int, segment: Segment
) -> None:
    firm = Firm().run(story)
    assert firm.state is not None
    care = with_fields(firm.state.care, segment=segment, candidate_since_ms=ms(1))
    known = with_fields(firm.state, now_ms=firm.state.now_ms + later * DAY_MS, care=care)

    def firmness(most: int, candidate: Segment) -> int:
        begun = with_fields(known, care=with_fields(care, candidate=candidate))
        turn = Turn(begun, aged(segment_days=most), BASELINE)
        resegment(turn)
        return FIRMNESS[CEILINGS[turn.state.care.segment]]

    lax, strict = sorted((one, two), key=lambda most: most or 10_000, reverse=True)
    for candidate in Segment:
        assert firmness(strict, candidate) <= firmness(lax, candidate)


def test_whoever_looks_sees_each_value_with_its_age_and_whether_it_counts() -> None:
    firm = Learned().run([*book([3.0, 8.0, 8.0, 2.0, 9.0]), tick(328)])
    assert firm.state is not None
    found = {row.what: row for row in readings(firm.state, aged(score_days=1, segment_days=400), HISTORY)}
    assert set(found) == {LearntKind.SCORE, LearntKind.PAY_DATE, LearntKind.SEGMENT}
    assert found[LearntKind.SCORE].quality is Quality.STALE
    assert found[LearntKind.SEGMENT].age_days == 225
    assert "days old" in told(found[LearntKind.PAY_DATE])


def test_ages_are_written_down_and_read_back() -> None:
    section = MaxAgeSection(score_days=30, learner_days=60, pay_date_days=10, renewal_days=45, segment_days=180)
    assert MaxAgeSection.of(section.ages()) == section
    assert document_of(aged(score_days=30)).max_age.score_days == 30
    assert aged(score_days=0).version == DEFAULT_POLICY.version
    assert aged(score_days=30).version != DEFAULT_POLICY.version


def test_a_renewal_said_while_its_learner_was_trusted_less_is_fair_and_old_bytes_are_read_as_good() -> None:
    asked = RenewalAsked(1, DAY_MS, b"xx", (9_000, -1, -1), "renewal-1", is_leaned=True)
    read = renewal_read(asked, "K1", 2 * DAY_MS, MaxAge())
    assert read.quality is Quality.FAIR
    assert "while renewals went differently" in told(read)
    assert renewal_read(asked, "K1", 9 * DAY_MS, MaxAge(renewal_days=3)).quality is Quality.STALE
    earlier = msgspec.msgpack.decode(msgspec.msgpack.encode(list(msgspec.structs.astuple(asked))[:-1]), type=RenewalAsked)
    assert renewal_read(earlier, "K1", 2 * DAY_MS, MaxAge()).quality is Quality.GOOD


def test_what_was_said_while_the_learners_were_trusted_less_is_fair_and_says_so() -> None:
    _, read = score_read(Score(0.4, features=b"xx", is_leaned=True), DAY_MS, MaxAge())
    assert read is not None
    assert read.quality is Quality.FAIR
    assert "while clients paid differently" in told(read)
