"""Audiences that take their time: who joins and leaves, when, and what a policy may hang on it."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.events.union import AnyClientEvent
from models.policy.audiences import Audience, Between, Figure
from models.policy.belonging import audiences_of, belongs
from models.policy.document import document_of, policy_of
from models.policy.dwelling import WEEK_MS, stayed
from models.policy.experiments import Arm, Experiment
from models.policy.lint import errors_of, lint
from models.policy.policy import DEFAULT_POLICY, ApprovalRules, Policy, stamped
from models.policy.standing import standing
from models.state.codec import decode, encode
from models.state.stays import Stay
from models.triggers import Decision, DecisionOutcome, Journey, Tone
from models.workdays import DAY_MS
from streams.wire.policy_file import read_policy
from tests.models.builders import Events, ms, on
from tests.models.test_journey_laws import Firm, differs_by_promise, live_late, stories

OPEN = Audience("owing", "much is open", (Between(Figure.OPEN_UNITS, 500.0),), dwell_days=20)


def policy(audience: Audience = OPEN, base: Policy = DEFAULT_POLICY) -> Policy:
    return stamped(replace(base, audiences=(audience,)))


def changes(firm: Firm) -> list[tuple[str, str]]:
    return [
        (f"{row.decided_at:%Y-%m-%d}", row.reasons[0])
        for row in firm.outputs
        if isinstance(row, Decision) and row.outcome is DecisionOutcome.AUDIENCE_CHANGED
    ]


def owing(*, paid: float) -> list[AnyClientEvent]:
    build = Events()
    return [build.profiled(0), build.issued(1, "I1", 90_000, due=100), build.paid(paid, "P1", 90_000, "I1")]


def test_a_client_joins_after_the_days_and_leaves_after_as_many() -> None:
    firm = Firm(policy=policy()).run(owing(paid=60), until_ms=ms(100))
    assert changes(firm) == [
        (f"{on(21):%Y-%m-%d}", "joins the audience owing after 20 days: open_units 900"),
        (f"{on(80):%Y-%m-%d}", "leaves the audience owing after 20 days: its rules do not hold any more"),
    ]
    rows = [row for row in firm.outputs if isinstance(row, Decision) and row.change is not None]
    assert rows[0].change is not None
    assert (rows[0].change.before, rows[0].change.after, rows[0].change.cause) == ("not in owing", "owing", "open_units 900")


def test_who_fits_for_less_joins_nothing_and_keeps_nothing() -> None:
    firm = Firm(policy=policy()).run(owing(paid=20.9), until_ms=ms(100))
    assert changes(firm) == []
    assert firm.state is not None
    assert firm.state.care.stays == ()


def test_in_between_the_client_stays_what_it_was_and_whoever_looks_sees_when_that_ends() -> None:
    held = policy()
    for day, member, words in (
        (10, False, f"joins the audience owing on {on(21):%Y-%m-%d} if its rules hold until then: open_units 900"),
        (30, True, f"in the audience owing: open_units 900, since {on(21):%Y-%m-%d}"),
        (70, True, f"leaves on {on(80):%Y-%m-%d} unless they hold again"),
        (90, False, ""),
    ):
        firm = Firm(policy=held).run([row for row in owing(paid=60) if row.received_ms <= ms(day)], until_ms=ms(day))
        assert firm.state is not None
        assert (belongs(firm.state, OPEN) is not None) is member
        assert audiences_of(firm.state, held).keys() == ({"owing"} if member else set())
        assert any(words in line for line in standing(firm.state, held)) or not words
        assert decode(encode(firm.state)) == firm.state


LOOKS = st.lists(st.tuples(st.integers(1, 15), st.booleans()), min_size=1, max_size=40)


@given(looks=LOOKS, dwell=st.integers(1, 40))
def test_nobody_moves_but_after_the_days_in_which_every_look_said_the_same(looks: list[tuple[int, bool]], dwell: int) -> None:
    stay, day, against = Stay(7), 1, list[int]()
    for wait, holds in looks:
        day += wait
        was = bool(stay.since_ms)
        stay = stayed(stay, holds=holds, now_ms=day * DAY_MS, dwell_days=dwell)
        against = [*against, day] if holds is not was else []
        moves = bool(against) and day - against[0] >= dwell
        assert bool(stay.since_ms) is (was is not moves)
        against = [] if moves else against


@given(stories())
@settings(max_examples=40)
def test_it_does_not_matter_who_wakes_a_client(story: list[AnyClientEvent]) -> None:
    chosen = policy(replace(OPEN, dwell_days=9))
    woken, late = Firm(policy=chosen).run(story), Firm(punctual=False, policy=chosen)
    live_late(late, story)
    assume(not differs_by_promise(late))
    assert woken.state is not None
    assert late.state is not None
    assert encode(late.state) == encode(woken.state)
    assert changes(late) == changes(woken)


def test_a_member_of_whom_nothing_is_heard_leaves_too() -> None:
    young = Audience("young", "who has just come", (Between(Figure.CLIENT_DAYS, None, 60.0),), dwell_days=10)
    firm = Firm(policy=policy(young)).run([Events().profiled(0)], until_ms=ms(200))
    (joined, _), (left, _) = changes(firm)
    assert joined == f"{on(10):%Y-%m-%d}"
    assert on(71) <= on(0).fromisoformat(f"{left}T23:59:59+00:00") <= on(72 + WEEK_MS // DAY_MS)
    assert firm.due is None or firm.due > ms(200)


OWN = """
version: firm
audiences:
  - {name: owing, why: much is open, all: [{figure: open_units, at_least: 500}], dwell_days: 20}
own_journeys:
  - name: thanks_anyway
    title: a word to who owes much and pays
    begins: {anchor: payment, audiences: [owing]}
    steps: [{id: note, count: 1, unit: days, why: they kept on paying, valid_days: 20}]
"""


@pytest.mark.parametrize(("paid", "begins"), [(15, False), (25, True)])
def test_a_journey_of_the_firm_s_own_begins_for_members_only(paid: float, *, begins: bool) -> None:
    chosen = policy_of(read_policy(OWN, name="firm.yaml").document)
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0), build.issued(1, "I1", 90_000, due=100), build.paid(paid, "P1", 10_000, "I1")]
    firm = Firm(policy=chosen).run(log, until_ms=ms(60))
    assert any(row.journey == "thanks_anyway" for row in firm.triggers) is begins


def test_only_a_person_may_look_at_who_has_just_come_in() -> None:
    edge = replace(OPEN, dwell_days=0)
    arms = (Arm("as_is"), Arm("later", wait_days=3))
    trial = Experiment("later", "three days more do no harm", Journey.DELAY_SUPPORT, "friendly_note", arms, audiences=("owing",))
    for audience, problems in ((edge, {"a client at the edge of owing would come and go"}), (OPEN, set())):
        asked = replace(DEFAULT_POLICY, experiments=(trial,), approval=ApprovalRules(audiences=("owing",)))
        chosen = policy(audience, asked)
        document = document_of(chosen)
        assert policy_of(document) == chosen
        assert {row.message for row in errors_of(lint(document, channels={"email", "task", "console"}))} == problems
    own = read_policy(OWN.replace(", dwell_days: 20", ""), name="firm.yaml").document
    (found,) = errors_of(lint(own, channels={"email", "task", "console"}))
    assert found.path == ("own_journeys", 0, "begins", "audiences", 0)


def test_an_experiment_draws_members_only() -> None:
    arms = (Arm("as_is"), Arm("softly", tone=Tone.EDUCATIONAL, wait_days=2))
    step = DEFAULT_POLICY.journeys.delay[next(iter(DEFAULT_POLICY.journeys.delay))].steps[0].id
    trial = Experiment("x", "later does no harm at all", Journey.DELAY_SUPPORT, step, arms, audiences=("owing",))
    build = Events()
    drawn = []
    for due in (10, 30):
        firm = Firm(policy=policy(base=replace(DEFAULT_POLICY, experiments=(trial,)))).run(
            [build.profiled(0), build.issued(1, "I1", 90_000, due=due)], until_ms=ms(60)
        )
        assert firm.state is not None
        drawn.append(bool(firm.state.care.assigned))
    assert drawn == [False, True]


def test_a_policy_that_says_nothing_of_days_keeps_its_version() -> None:
    assert policy(replace(OPEN, dwell_days=0)).version != policy().version
    audience = "{name: owing, why: much is open, all: [{figure: open_units, at_least: 500}]}"
    plain = read_policy(f"version: a\naudiences: [{audience}]\n", name="a")
    assert policy_of(plain.document).version == "a+616cd103"
