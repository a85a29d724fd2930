"""Runs under way that are moved to another policy keep their place: nothing twice, nothing passed over, nobody hurried."""

from collections import Counter
from dataclasses import replace
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.commands.simulation import Happening, Simulation
from models.events.union import AnyClientEvent, AnyControlEvent
from models.policy.journeys import DELAY_LADDERS, INSTALMENT_LADDER, ONBOARDING_STEPS, RENEWAL_STEPS, Step
from models.policy.migrating import moves, place_in
from models.policy.policy import DEFAULT_POLICY, Policy, stamped
from models.policy.standing import standing
from models.regime import NOTHING_ACTIVATED, SINGLE_KEPT, Regime, decode_regime, encode_regime, regime_after
from models.state.client import Run, journey_of
from models.triggers import Decision, DecisionOutcome, Journey, Trigger
from models.workdays import DAY_MS
from streams.engine.program import ClientProgram
from streams.runtime.errors import DeadLetterError
from tests.models.builders import CLIENT, Events, ms, on, tick
from tests.models.controls import policy_activated, runs_migrated
from tests.models.test_in_force import Governed
from tests.models.test_journey_laws import stories

HORIZON_DAY = 240
T = TypeVar("T")


def named(names: str, pattern: Step, days: tuple[int, ...] = ()) -> tuple[Step, ...]:
    """Return steps called by the letters of `names`, each `days` after the one before."""
    return tuple(
        replace(pattern, id=f"step_{name}", after_days=days[place % len(days)] if days and place else 0)
        for place, name in enumerate(names)
    )


def policy_of_steps(version: str, names: str, *, days: tuple[int, ...] = (7,)) -> Policy:
    """Return a policy whose ladders, whoever the client is, have the steps `names`; care after a payment too."""
    ladders = {
        segment: replace(ladder, steps=named(names, ladder.steps[0], days), human_first=False)
        for segment, ladder in DELAY_LADDERS.items()
    }
    onboarding = tuple(
        replace(step, after_days=8 * place, receipt=False) for place, step in enumerate(named(names, ONBOARDING_STEPS[1]))
    )
    renewal = tuple(replace(step, after_days=6 * place - 40) for place, step in enumerate(named(names, RENEWAL_STEPS[0])))
    journeys = replace(DEFAULT_POLICY.journeys, delay=ladders, onboarding=onboarding, renewal=renewal)
    return stamped(replace(DEFAULT_POLICY, version=version, journeys=journeys, min_gap_days=1, contacts_per_month=30))


_NAMES = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5, unique=True).map("".join)
_POLICIES = st.builds(policy_of_steps, st.just("v"), _NAMES, days=st.lists(st.integers(4, 20), min_size=1, max_size=3).map(tuple))


@given(before=_NAMES, after=_NAMES, data=st.data())
def test_nothing_is_taken_twice_nothing_that_is_to_come_is_passed_over_and_nobody_skips_ahead(
    before: str, after: str, data: st.DataObject
) -> None:
    stage = data.draw(st.integers(0, len(before)))
    one, two = named(before, RENEWAL_STEPS[0]), named(after, RENEWAL_STEPS[0])
    place = place_in(one, two, stage)
    taken, coming = before[:stage], before[stage:]
    assert not set(taken) & set(after[place:])
    behind = max((after.index(name) + 1 for name in taken if name in after), default=0)
    assert not {name for name in coming if name in after[behind:place]}
    assert place <= max(stage, behind)
    assert place_in(one, one, stage) == stage


@pytest.mark.parametrize(
    ("before", "stage", "after", "ahead"),
    [
        ("ab", 1, "axb", "xb"),
        ("abc", 2, "ac", "c"),
        ("abc", 2, "axc", "c"),
        ("ab", 1, "xab", "b"),
        ("ab", 1, "cd", "d"),
        ("abc", 1, "bxyz", "bxyz"),
        ("ab", 1, "xyzb", "yzb"),
        ("abc", 2, "cab", ""),
        ("ab", 1, "a", ""),
    ],
)
def test_where_a_run_goes_on(before: str, stage: int, after: str, ahead: str) -> None:
    place = place_in(named(before, RENEWAL_STEPS[0]), named(after, RENEWAL_STEPS[0]), stage)
    assert after[place:] == ahead


def lived(
    story: list[AnyClientEvent], *controls: AnyControlEvent, until_day: float = HORIZON_DAY
) -> tuple[Simulation, list[Happening]]:
    """Return a simulation and what happened in it; channels deliver."""
    simulation = Simulation()
    happened: list[Happening] = []
    rows = sorted([*controls, *story], key=lambda row: (row.received_ms, not isinstance(row, AnyControlEvent)))
    for row in rows:
        step = simulation.govern(row) if isinstance(row, AnyControlEvent) else simulation.feed(row)
        happened += step
    happened += simulation.run_until(ms(until_day))
    return simulation, happened


def outputs(happened: list[Happening], kind: type[T]) -> list[T]:
    return [output for row in happened for output in row.outputs if isinstance(output, kind)]


@given(story=stories(), one=_POLICIES, two=_POLICIES, day=st.integers(5, 120), later=st.integers(0, 20))
@settings(max_examples=40)
def test_a_run_that_is_moved_never_sends_a_step_twice(
    story: list[AnyClientEvent], one: Policy, two: Policy, day: int, later: int
) -> None:
    controls = (policy_activated(0, one), policy_activated(day, two), runs_migrated(day + later, two, one))
    _, happened = lived(story, *controls)
    triggers = outputs(happened, Trigger)
    assert max(Counter(row.trigger_id for row in triggers).values(), default=1) == 1
    for row in outputs(happened, Decision):
        if row.outcome is DecisionOutcome.MIGRATED:
            assert row.policy_version == two.version


@given(story=stories(), one=_POLICIES, day=st.integers(5, 120))
@settings(max_examples=25)
def test_to_move_to_the_same_policy_changes_nothing(story: list[AnyClientEvent], one: Policy, day: int) -> None:
    still, quiet = lived(story, policy_activated(0, one))
    moved, heard = lived(story, policy_activated(0, one), runs_migrated(day, one, one))
    assert [row.trigger_id for row in outputs(quiet, Trigger)] == [row.trigger_id for row in outputs(heard, Trigger)]
    assert _cared(still) == _cared(moved)


@given(story=stories(), one=_POLICIES, day=st.integers(5, 120))
@settings(max_examples=25)
def test_to_move_to_a_policy_of_the_same_steps_changes_no_message(story: list[AnyClientEvent], one: Policy, day: int) -> None:
    other = stamped(replace(one, version="other-name"))
    _, quiet = lived(story, policy_activated(0, one), policy_activated(day, other))
    _, heard = lived(story, policy_activated(0, one), policy_activated(day, other), runs_migrated(day + 0.01, other, one))
    said = [[(row.trigger_id, row.not_before, row.tone) for row in outputs(rows, Trigger)] for rows in (quiet, heard)]
    assert said[0] == said[1]


@given(story=stories(), one=_POLICIES, two=_POLICIES, day=st.integers(5, 120))
@settings(max_examples=25)
def test_a_move_that_is_said_twice_is_made_once(story: list[AnyClientEvent], one: Policy, two: Policy, day: int) -> None:
    begun = (policy_activated(0, one), policy_activated(day, two))
    once, said = lived(story, *begun, runs_migrated(day, two, one, event_id="m1"))
    twice, again = lived(
        story, *begun, runs_migrated(day, two, one, event_id="m1"), runs_migrated(day + 0.5, two, one, event_id="m2")
    )
    moved, more = ([row for row in outputs(rows, Decision) if row.outcome is DecisionOutcome.MIGRATED] for rows in (said, again))
    assert [row.decision_id for row in moved] == [row.decision_id for row in more]
    assert _cared(once) == _cared(twice)


def _cared(simulation: Simulation) -> list[tuple[str, object, object]]:
    return [(name, state.care, state.ledger) for name, state in sorted(simulation.states.items())]


@given(story=stories(), one=_POLICIES, two=_POLICIES, day=st.integers(5, 120))
@settings(max_examples=25)
def test_a_client_that_is_woken_at_once_and_one_whose_next_event_comes_first_are_moved_alike(
    story: list[AnyClientEvent], one: Policy, two: Policy, day: int
) -> None:
    build, firms = Events(), []
    named_anew = build.profiled(day + 0.2).model_copy(update={"event_id": "anew"})
    for is_woken in (True, False):
        firm = Governed().hear(policy_activated(0, one))
        firm.run([row for row in story if row.received_ms <= ms(day)], until_ms=ms(day))
        firm.hear(policy_activated(day, two)).hear(runs_migrated(day, two, one))
        if is_woken and firm.state is not None:
            firm.feed(tick(day + 0.1))
        firm.feed(named_anew)
        firm.run([row for row in story if row.received_ms > ms(day + 0.2)], until_ms=ms(HORIZON_DAY))
        firms.append(firm)
    told = [[row for row in firm.decisions if row.outcome is DecisionOutcome.MIGRATED] for firm in firms]
    at_once = [{row.decision_id for row in rows if row.decided_at == on(day)} for rows in told]
    assert at_once[0] == at_once[1]
    # Where a message had been taken back, its end is noticed when the client is woken, and the run moves then.
    moved = [sorted((row.anchor or "", row.reasons) for row in rows) for rows in told]
    assert moved[0] == moved[1]
    assert [row.trigger_id for row in firms[0].triggers] == [row.trigger_id for row in firms[1].triggers]


def arrears_firm(one: Policy, build: Events | None = None) -> Simulation:
    """Return a simulation of one client who got the first message of its ladder on day 15, or so."""
    build = build or Events()
    simulation, _ = lived([build.profiled(0), build.issued(1, "I1", due=10)], policy_activated(0, one), until_day=16)
    return simulation


def run_of(simulation: Simulation) -> Run:
    (run,) = [row for row in simulation.states[CLIENT].care.runs if row.anchor == "I1"]
    return run


def test_a_run_goes_on_by_the_new_steps_and_its_next_step_waits_as_long_as_these_say() -> None:
    one, two = policy_of_steps("one", "abc", days=(7,)), policy_of_steps("two", "axc", days=(12,))
    simulation = arrears_firm(one)
    before = run_of(simulation)
    happened = [*simulation.govern(policy_activated(16, two)), *simulation.govern(runs_migrated(16, two, one))]
    run = run_of(simulation)
    assert (run.stage, run.pinned, run.begun_under) == (1, two.version, one.version)
    assert run.ready_ms == before.ready_ms + 5 * DAY_MS
    (said,) = [row for row in outputs(happened, Decision) if row.outcome is DecisionOutcome.MIGRATED]
    assert "as mia said (gentler words): taken step_a; ahead step_x, step_c" in said.reasons[0]
    assert (said.step, said.policy_version) == ("step_x", two.version)
    sent = outputs(list(simulation.run_until(ms(HORIZON_DAY))), Trigger)
    assert [row.step for row in sent if row.channel == "email"] == ["step_x", "step_c"]
    assert {row.policy_version for row in sent} == {two.version}


def test_what_is_on_its_way_ends_as_it_was_begun_and_the_run_moves_then() -> None:
    one, two = policy_of_steps("one", "abc"), policy_of_steps("two", "bcd")
    build = Events()
    firm = Governed().hear(policy_activated(0, one))
    firm.run([build.profiled(0), build.issued(1, "I1", due=10)], until_ms=ms(15))
    (trigger,) = firm.triggers
    firm.hear(policy_activated(15, two)).hear(runs_migrated(15, two, one))
    firm.feed(build.called(15.1))
    assert firm.state is not None
    assert [row.waits for row in moves(firm.state, firm.policy)] == ["a message of it is on its way"]
    assert any("is to go on by policy two" in line and "on its way" in line for line in standing(firm.state, firm.policy))
    firm.feed(build.reported(15.2, trigger.trigger_id))
    (run,) = firm.state.care.runs
    assert (run.pinned, run.stage) == (two.version, 0)
    firm.wake(ms(40))
    assert [row.step for row in firm.triggers][:2] == ["step_a", "step_b"]
    assert any("was begun under policy one" in line and "as mia said on" in line for line in standing(firm.state, firm.policy))


def test_a_run_whose_last_message_has_left_stays_at_its_end() -> None:
    one, two = policy_of_steps("one", "a"), policy_of_steps("two", "abc")
    simulation = arrears_firm(one)
    happened = [*simulation.govern(policy_activated(16, two)), *simulation.govern(runs_migrated(16, two, one))]
    happened += simulation.run_until(ms(HORIZON_DAY))
    assert not [row for row in outputs(happened, Decision) if row.outcome is DecisionOutcome.MIGRATED]
    assert [row.step for row in outputs(happened, Trigger)] == ["ladder_end"]


def test_where_the_new_policy_has_no_further_step_a_person_decides_once() -> None:
    one, two = policy_of_steps("one", "abc"), policy_of_steps("two", "a")
    simulation = arrears_firm(one)
    happened = [*simulation.govern(policy_activated(16, two)), *simulation.govern(runs_migrated(16, two, one))]
    happened += simulation.run_until(ms(HORIZON_DAY))
    assert [row.step for row in outputs(happened, Trigger)] == ["ladder_end"]


def test_a_policy_that_is_activated_again_keeps_the_runs_that_begin_under_it() -> None:
    one, two = policy_of_steps("one", "abc"), policy_of_steps("two", "axc")
    build = Events()
    simulation = arrears_firm(one, build)
    for control in (policy_activated(16, two), runs_migrated(16, two, one), policy_activated(17, one)):
        list(simulation.govern(control))
    list(simulation.feed(build.paid(17.5, "P1", 100_000, "I1")))
    list(simulation.feed(build.issued(18, "I2", due=19)))
    list(simulation.run_until(ms(30)))
    (run,) = [row for row in simulation.states[CLIENT].care.runs if row.anchor == "I2"]
    assert (run.pinned, run.begun_under) == (one.version, "")


def test_runs_are_moved_to_no_policy_that_was_never_activated() -> None:
    one, two = policy_of_steps("one", "abc"), policy_of_steps("two", "axc")
    program = ClientProgram()
    regime = program.govern(b"", policy_activated(0, one))
    with pytest.raises(DeadLetterError, match="never activated"):
        program.govern(regime, runs_migrated(1, two, one))


def test_what_was_begun_before_anything_was_activated_moves_too() -> None:
    two = policy_of_steps("two", "xy")
    build = Events()
    simulation, _ = lived([build.profiled(0), build.issued(1, "I1", due=10)], until_day=16)
    for control in (policy_activated(16, two), runs_migrated(16, two, DEFAULT_POLICY)):
        list(simulation.govern(control))
    run = run_of(simulation)
    assert (run.stage, run.pinned, run.begun_under) == (1, two.version, DEFAULT_POLICY.version)


_SCOPES = st.sampled_from(((), ("a",), ("b",), ("a", "b")))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 4), _SCOPES), max_size=20))
def test_nobody_is_moved_in_a_circle(log: list[tuple[bool, int, int, tuple[str, ...]]]) -> None:
    policies = [stamped(replace(DEFAULT_POLICY, version=f"p{number}")) for number in range(5)]
    regime: Regime = NOTHING_ACTIVATED
    for number, (is_move, one, two, clients) in enumerate(log):
        event: AnyControlEvent = policy_activated(number, policies[one])
        if is_move:
            event = runs_migrated(number, policies[one], policies[two], policies[(two + 1) % 5], clients=clients)
        regime = decode_regime(encode_regime(regime_after(regime, event)))
        assert len({row.of for row in regime.migrations}) == len(regime.migrations)
        leads = [(row.of, row.to) for row in (*regime.migrations, *regime.single)]
        at = {of for of, _ in leads}
        for _ in range(5):  # as many steps as there are policies: a way that goes on longer is a circle
            at = {to for of, to in leads if of in at}
        assert not at


def test_a_word_about_one_client_or_one_journey_moves_these_alone_and_the_rest_may_follow() -> None:
    one, two = policy_of_steps("one", "abc"), policy_of_steps("two", "axbc")
    story: list[AnyClientEvent] = []
    for name in ("ada", "bo"):
        build = Events(name)
        rows: list[AnyClientEvent] = [build.profiled(0), build.issued(1, "I1", due=10), build.paid(14, "P1", 500, None)]
        story += [row.model_copy(update={"event_id": f"{name}-{number}"}) for number, row in enumerate(rows)]

    def pins(*controls: AnyControlEvent) -> dict[tuple[str, Journey], str]:
        simulation, _ = lived(story, policy_activated(0, one), policy_activated(16, two), *controls, until_day=19)
        return {
            (name, Journey(journey_of(run).value)): run.pinned
            for name, state in simulation.states.items()
            for run in state.care.runs
            if run.pinned
        }

    every = {(name, journey) for name in ("ada", "bo") for journey in (Journey.DELAY_SUPPORT, Journey.ONBOARDING)}
    assert pins() == dict.fromkeys(every, one.version)

    def moved(*controls: AnyControlEvent) -> set[tuple[str, Journey]]:
        return {row for row, version in pins(*controls).items() if version == two.version}

    ada, support = ("ada",), (Journey.DELAY_SUPPORT.value,)
    of_ada = runs_migrated(17, two, one, clients=ada)
    assert moved(of_ada) == {row for row in every if row[0] == "ada"}
    assert moved(runs_migrated(17, two, one, journeys=support)) == {row for row in every if row[1] is Journey.DELAY_SUPPORT}
    assert moved(runs_migrated(17, two, one, journeys=support, clients=ada)) == {("ada", Journey.DELAY_SUPPORT)}
    assert moved(of_ada, runs_migrated(17.5, two, one, clients=ada, event_id="again")) == moved(of_ada)
    assert moved(of_ada, runs_migrated(18, two, one)) == every


@given(story=stories(), one=_POLICIES, two=_POLICIES, day=st.integers(5, 120))
@settings(max_examples=25)
def test_to_move_the_only_client_by_name_is_to_move_all(story: list[AnyClientEvent], one: Policy, two: Policy, day: int) -> None:
    begun = (policy_activated(0, one), policy_activated(day, two))
    every, _ = lived(story, *begun, runs_migrated(day, two, one))
    named, _ = lived(story, *begun, runs_migrated(day, two, one, clients=(CLIENT,)))
    assert _cared(every) == _cared(named)
    nobody, _ = lived(story, *begun, runs_migrated(day, two, one, clients=("somebody else",)))
    still, _ = lived(story, *begun)
    assert _cared(nobody) == _cared(still)


def test_moves_of_single_clients_are_bounded_and_a_regime_of_before_is_read() -> None:
    one, two = policy_of_steps("one", "abc"), policy_of_steps("two", "axc")
    regime = regime_after(regime_after(NOTHING_ACTIVATED, policy_activated(0, one)), policy_activated(1, two))
    for number in range(SINGLE_KEPT + 5):
        regime = regime_after(regime, runs_migrated(2 + number, two, one, clients=(f"c{number}",)))
    assert [row.clients for row in regime.single] == [(f"c{number}",) for number in range(5, SINGLE_KEPT + 5)]
    whole = regime_after(regime, runs_migrated(99, two, one))
    assert (len(whole.migrations), whole.single) == (1, ())
    fields = msgspec.msgpack.decode(encode_regime(whole)[1:])
    before = encode_regime(whole)[:1] + msgspec.msgpack.encode(fields[:-1])
    assert decode_regime(before) == whole


def test_a_missed_instalment_goes_on_by_the_ladder_of_instalments() -> None:
    one = stamped(replace(DEFAULT_POLICY, version="one"))
    longer = replace(INSTALMENT_LADDER, steps=(INSTALMENT_LADDER.steps[0], *named("y", INSTALMENT_LADDER.steps[1], (20,))))
    two = stamped(replace(one, version="two", journeys=replace(one.journeys, instalment=longer)))
    build = Events()
    story: list[AnyClientEvent] = [
        build.profiled(0),
        build.issued(1, "I1", due=10),
        build.planned(5, parts=((20, 50_000), (50, 50_000))),
    ]
    simulation, _ = lived(story, policy_activated(0, one), until_day=26)
    for control in (policy_activated(26, two), runs_migrated(26, two, one)):
        list(simulation.govern(control))
    (run,) = [row for row in simulation.states[CLIENT].care.runs if row.stage]
    assert (run.anchor, run.stage, run.pinned) == ("L1#1", 1, two.version)
    sent = outputs(list(simulation.run_until(ms(60))), Trigger)
    assert sent[0].step == "step_y"


def test_care_after_a_payment_is_moved_by_the_same_law() -> None:
    one, two = policy_of_steps("one", "abc"), policy_of_steps("two", "aybc")
    build = Events()
    simulation, _ = lived([build.profiled(0), build.paid(1, "P1", 500, None)], policy_activated(0, one), until_day=4)
    happened = [*simulation.govern(policy_activated(4, two)), *simulation.govern(runs_migrated(4, two, one))]
    happened += simulation.run_until(ms(60))
    assert [row.journey for row in outputs(happened, Decision) if row.outcome is DecisionOutcome.MIGRATED] == [Journey.ONBOARDING]
    assert [row.step for row in outputs(happened, Trigger)] == ["step_y", "step_b", "step_c"]
