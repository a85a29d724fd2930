"""What a score would be if one thing were otherwise, and what would let a message leave."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.events.control import HaltScope
from models.events.delays import DisputeOutcome
from models.events.union import AnyClientEvent, AnyEvent
from models.features import FEATURES, Family
from models.learners import changes
from models.learners.baseline import BASELINE
from models.learners.lateness import LatenessScorer
from models.learners.otherwise import Otherwise, chance_in, otherwise, tier_of
from models.learners.scorer import Scorer
from models.policy.policy import DEFAULT_POLICY
from models.policy.unlocked import would_leave_if
from models.regime import NOTHING_ACTIVATED, Halt, LateFeed, Regime
from models.state.client import ClientState
from models.state.history import lateness
from models.transition import transition
from tests.models.builders import Events, ms, tick
from tests.models.examples import trained
from tests.models.views import final


def steep(*, intercept: float = 0.0, **weights: float) -> LatenessScorer:
    """Return learners that look at the named features only, in every landmark and meaning of late."""
    published = trained(20).publish()
    slopes = tuple(weights.get(feature.name, 0.0) for feature in FEATURES)
    lines = tuple(
        replace(line, slopes=slopes, intercept=intercept, seen=1_000, bins=tuple((0.0,) * len(row) for row in line.bins))
        for line in published.lines
    )
    return LatenessScorer(replace(published, lines=lines, forests=(), trust=1.0))


def folded(events: Sequence[AnyEvent], scorer: Scorer) -> ClientState:
    state: ClientState | None = None
    for event in sorted(events, key=lambda row: row.received_ms):
        state = transition(state, event, policy=DEFAULT_POLICY, scorer=scorer).state
    assert state is not None
    return state


def book(days: Sequence[float], *, open_at: float = 310, minor: int = 100_000, due: float = 324) -> list[AnyClientEvent]:
    """Return ten days of work a month, each invoice paid so many days after due, and one that is open at the end."""
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0)]
    for place, late in enumerate(days):
        day = place * 20 + 14
        log.append(build.issued(place * 20, f"M{place}", due=day))
        log.append(build.paid(day + late, f"P{place}", 100_000, f"M{place}"))
    log.append(build.issued(open_at, "NEXT", minor, due=due))
    return log


def of(found: Sequence[Otherwise], family: Family) -> Otherwise:
    return next(row for row in found if row.family is family)


HISTORY = steep(late_share=2.0, late_share_fast=1.0, median_days=1.0)


@given(days=st.lists(st.sampled_from([-2.0, 0.0, 3.0, 8.0, 12.0]), min_size=4, max_size=10), learned=st.booleans())
@settings(max_examples=25)
def test_a_client_to_whom_the_change_has_happened_has_the_stated_score(days: list[float], *, learned: bool) -> None:
    scorer: Scorer = HISTORY if learned else BASELINE
    state = folded(book(days), scorer)
    found = [row for row in otherwise(state, scorer) if row.family is Family.HISTORY]
    for row in found:
        softer = "on time been" not in row.change
        count = next((count for count in range(6, 1, -1) if f" {count} invoices" in row.change), 1)
        places = [place for place, late in enumerate(days) if (late > 5) == softer][-count:]
        lived = [(0.0 if softer else float(changes.LATER_DAYS)) if place in places else late for place, late in enumerate(days)]
        twin = folded(book(lived), scorer)
        if twin.care.segment is state.care.segment:  # which is no part of a score, but where its rules begin
            score = scorer.score(twin)
            assert score is not None
            assert row.chance == pytest.approx(score.probability, abs=0.002)
        assert tier_of(row.chance) != tier_of(row.instead_of)
        assert lateness(row.state).labelled == lateness(state).labelled


def test_the_smallest_change_is_told_and_none_that_leaves_the_tier() -> None:
    state = folded(book([8, 8, 8, 8, -2, 8, 8, 8]), BASELINE)
    row = of(otherwise(state, BASELINE), Family.HISTORY)
    count = next(count for count in range(1, 9) if f"last {count} invoices" in row.change)
    fewer = chance_in(changes.last_on_time(state, count - 1), state, BASELINE)
    assert fewer is not None
    assert tier_of(fewer) == tier_of(row.instead_of)
    assert row.words.endswith(f"not {row.instead_of:.0%}")
    assert otherwise(folded(book([8] * 2), BASELINE), BASELINE) == []


@pytest.mark.parametrize("scorer", [BASELINE, HISTORY])
def test_nothing_is_told_of_an_invoice_that_was_given_up_and_is_not_kept_any_more(scorer: Scorer) -> None:
    build = Events()
    gone: list[AnyClientEvent] = [build.written_off(340, "NEXT"), *(build.called(day) for day in (345, 380, 388))]
    named = [event.model_copy(update={"event_id": f"gone-{place}"}) for place, event in enumerate(gone)]
    state = folded([*book([0.0, 8.0, 3.0, 12.0, 0.0, 0.0]), *named], scorer)
    assert not state.ledger.invoices
    assert otherwise(state, scorer) == []


def test_nothing_changed_is_the_score_that_is_shown() -> None:
    state = folded([*book([8, -2, 8, 8, 3]), tick(325)], HISTORY)
    score = HISTORY.score(state)
    assert score is not None
    assert chance_in(state, state, HISTORY) == score.probability


def test_other_overdue_invoices_were_paid_with_all_that_follows_from_it() -> None:
    scorer = steep(intercept=-2.0, overdue_others=3.0)
    build = Events()
    late = [build.issued(90, "O1", due=100), build.issued(95, "O2", due=110)]
    log = [event.model_copy(update={"event_id": f"other-{event.event_id}"}) for event in late]
    state = folded([*book([8, -2, 8, 8, 3], due=330), *log, tick(320)], scorer)
    row = of(otherwise(state, scorer), Family.BOOK)
    assert row.change == "had all 2 other overdue invoices been paid when due"
    assert changes.overdue_others(row.state, "NEXT") == []
    assert (lateness(state).overdue_now, lateness(row.state).overdue_now) == (2, 0)
    assert row.state.habits.late == state.habits.late - 2
    assert all(row.family is not Family.BOOK for row in otherwise(folded(book([8, -2, 8, 8, 3]), scorer), scorer))


def test_an_amount_a_due_date_and_a_dispute_are_changed_in_the_state_and_not_in_a_figure() -> None:
    build = Events()
    log = book([8, -2, 8, 8, 3], minor=900_000)
    amount = of(otherwise(folded(log, scorer := steep(intercept=-3.0, amount_own=2.0)), scorer), Family.AMOUNT)
    assert "1000.00 EUR, their usual amount" in amount.change
    assert next(row for row in amount.state.ledger.invoices if row.invoice_id == "NEXT").minor == 100_000
    twin = folded(book([8, -2, 8, 8, 3]), scorer).habits
    assert amount.state.habits.log_amounts == pytest.approx(twin.log_amounts)
    terms = of(otherwise(folded(log, scorer := steep(intercept=-2.0, terms=-6.0)), scorer), Family.TERMS)
    assert terms.change.startswith("with 21 days to pay")
    assert terms.chance < terms.instead_of
    disputed = folded(
        [*log, build.disputed(312, invoice="NEXT").model_copy(update={"event_id": "dispute"}), tick(318)],
        scorer := steep(intercept=-2.0, disputed_now=3.0),
    )
    assert of(otherwise(disputed, scorer), Family.FRICTION).change == "with the dispute settled"


def test_what_somebody_could_change_is_told_one_line_each_until_they_did() -> None:
    build = Events()
    base: list[AnyClientEvent] = [build.profiled(0), build.issued(1, due=10)]
    ways: list[tuple[AnyClientEvent, AnyClientEvent, str]] = [
        (build.hold(2, until=90), build.cleared(30), "rapport overrides lift client-1 O1"),
        (build.disputed(3), build.dispute_closed(30), "dispute D1 of invoice I1 were settled"),
        (build.promised(4, by=60), build.promise_withdrawn(30), "of invoice I1 by 2024-03-08 were withdrawn"),
        (
            build.planned(5, parts=[(40, 50_000), (70, 50_000)]),
            build.plan_cancelled(30),
            "the plan of 2 instalments of invoice I1",
        ),
        (build.consent(6), build.consent(30, granted=True), "the client allowed servicing contact again"),
    ]
    assert would_leave_if(final(base), NOTHING_ACTIVATED) == []
    for cause, cure, words in ways:
        (line,) = would_leave_if(final([*base, cause, tick(20)]), NOTHING_ACTIVATED)
        assert line.startswith("it would leave if ")
        assert words in line
        assert would_leave_if(final([*base, cause, cure, tick(31)]), NOTHING_ACTIVATED) == []
    every = would_leave_if(final([*base, *(cause for cause, _, _ in ways), tick(20)]), NOTHING_ACTIVATED)
    assert len(every) == len(ways)
    assert all(line.endswith("(one of 5 things in the way)") for line in every)


def test_a_stop_and_a_late_source_are_lifted_by_whoever_may() -> None:
    build = Events()
    regime = Regime(
        halts=(Halt(HaltScope.JOURNEY, "pre_renewal", ms(1), "sam", "wrong prices"),),
        feeds=(LateFeed("stripe", ms(1), ms(2), "watch", "silent"), LateFeed("xero", ms(1), ms(2), "watch", "silent")),
    )
    paid = build.paid(1, "P0", 1_000, "I0").model_copy(update={"source": "stripe"})
    state = final([build.profiled(0), build.issued(0.5, "I0", 1_000), paid, build.issued(1, due=10)])
    stop, feed = would_leave_if(state, regime)
    assert "rapport resume journey pre_renewal" in stop
    assert "rapport feeds on-time stripe" in feed


def test_what_holds_no_message_back_is_not_told_to_be_in_the_way() -> None:
    build = Events()
    stopped = Regime(halts=(Halt(HaltScope.EXPERIMENT, "late_thanks", ms(1), "sam", "enough seen"),))
    base: list[AnyClientEvent] = [build.profiled(0), build.issued(1, due=10)]
    assert would_leave_if(final(base), stopped) == []
    lost: list[AnyClientEvent] = [build.disputed(3), build.dispute_closed(4, outcome=DisputeOutcome.LOST)]
    assert would_leave_if(final([*base, *lost, tick(20)]), NOTHING_ACTIVATED) == []


@pytest.mark.parametrize(("day", "holds"), [(19.5, True), (21, True), (21.9, True), (22.1, False)])
def test_a_promise_is_in_the_way_as_long_as_it_holds_grace_included(day: float, *, holds: bool) -> None:
    build = Events()
    state = final([build.profiled(0), build.issued(1, due=5), build.promised(6, by=20), tick(day)])
    assert bool(would_leave_if(state, NOTHING_ACTIVATED)) is holds
