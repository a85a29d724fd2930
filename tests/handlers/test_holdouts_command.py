"""`rapport experiments holdouts`: what care is worth, from companies drawn at the same moment into both groups."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

import pytest

from handlers.cli import run
from handlers.commands.experiments.accounts import accounts_of
from handlers.commands.experiments.holdouts import Company, Figure, Lift, lifts_of, tell_lift
from handlers.commands.history import write_contracts
from handlers.commands.simulation import Simulation
from models.events.invoices import ContractStatus
from models.events.signals import Purpose
from models.events.union import AnyClientEvent
from models.policy.document import document_of
from models.policy.holdout import CARED_FOR, EVERY, LEFT_OUT, Holdout, held_out
from models.policy.policy import DEFAULT_POLICY, stamped
from models.triggers import Decision, DecisionOutcome, Journey
from streams.wire.policy_file import write_policy
from tests.models.builders import Events, ms
from tests.models.examples import noise

HALF = Holdout(0.0, MappingProxyType({Journey.ONBOARDING: 40.0}))
POLICY = stamped(replace(DEFAULT_POLICY, holdout=Holdout(0.0, MappingProxyType({Journey.ONBOARDING: 10.0}))))
FIRM = 140
NAMES = [f"company-{number:03}" for number in range(FIRM)]
WORLDS = 12


def _is_out(name: str, holdout: Holdout = HALF, journey: Journey = Journey.ONBOARDING) -> bool:
    return held_out(name, journey, purpose=Purpose.RELATIONSHIP, holdout=holdout, at_ms=0) is not None


def _beginning(name: str) -> list[AnyClientEvent]:
    build = Events(name)
    return [build.profiled(0), build.issued(0.5, f"{name}-I0", 50_000, due=1), build.paid(1, f"{name}-P0", 50_000, f"{name}-I0")]


def _lived(told: list[AnyClientEvent], *, until: float, holdout: Holdout = HALF) -> list[Decision]:
    simulation = Simulation(policy=stamped(replace(DEFAULT_POLICY, holdout=holdout)))
    happenings = [each for event in sorted(told, key=lambda event: event.received_ms) for each in simulation.feed(event)]
    outputs = [output for each in [*happenings, *simulation.run_until(ms(until))] for output in each.outputs]
    return [output for output in outputs if isinstance(output, Decision)]


@cache
def _decided() -> tuple[Decision, ...]:
    """Return what was decided of a firm of which four companies of ten are left without onboarding."""
    return tuple(_lived([event for name in NAMES for event in _beginning(name)], until=20))


def _world(world: object, *, gain: float) -> list[AnyClientEvent]:
    """Return the later lives of the firm: an invoice due on day 30, paid `gain` days sooner by whom was cared for."""
    told: list[AnyClientEvent] = []
    for name in NAMES:
        build = Events(name)
        days = 3 + 16 * noise(world, name) - (0 if _is_out(name) else gain)
        amount = 40_000 + int(20_000 * noise("size", world, name))
        told += [build.issued(10, f"{name}-I", amount, due=30), build.paid(30 + days, f"{name}-P", amount, f"{name}-I")]
    return sorted([event for name in NAMES for event in _beginning(name)] + told, key=lambda event: event.received_ms)


def _lift(told: list[AnyClientEvent], decisions: list[Decision], *, day: float = 120) -> Lift:
    (found,) = lifts_of(told, decisions, accounts_of(told), {}, now_ms=ms(day))
    return found


def test_a_true_lift_is_found_and_its_days_are_right_and_without_one_nothing_is_claimed() -> None:
    found = _lift(_world("true", gain=7), list(_decided()))
    assert (found.name, found.aim, found.verdict) == ("post_payment_onboarding", Figure.DAYS, "helps")
    days = found.differences[Figure.DAYS]
    assert days is not None
    assert days.low < -7 < days.high < 0
    assert not found.is_alarming
    assert "HELPS" in "\n".join(tell_lift(found))
    misled = [_lift(_world(world, gain=0), list(_decided())).verdict in {"helps", "harms"} for world in range(WORLDS)]
    assert sum(misled) <= 1


def test_both_groups_are_found_at_the_same_moment_and_by_the_draw_alone() -> None:
    drawn = {row.client_id: row for row in reversed(_decided()) if row.holdouts}
    assert set(drawn) == set(NAMES)
    assert {row.decided_at for row in drawn.values()} == {drawn[NAMES[0]].decided_at}
    for name, row in drawn.items():
        (draw,) = row.holdouts or ()
        assert (draw.arm, draw.share) == ((LEFT_OUT, 0.4) if _is_out(name) else (CARED_FOR, 0.6))
        assert row.outcome is (DecisionOutcome.SUPPRESSED if _is_out(name) else DecisionOutcome.TRIGGERED)


def test_whoever_must_not_be_contacted_anyway_is_in_neither_group() -> None:
    wish = Events(NAMES[0]).consent(0.7, purpose=Purpose.RELATIONSHIP, granted=False).model_copy(update={"event_id": "no"})
    decisions = _lived([*_beginning(NAMES[0]), wish], until=40)
    assert decisions
    assert not any(row.holdouts for row in decisions)


def test_nothing_is_known_before_its_days_have_passed_and_few_companies_are_not_decidable() -> None:
    early = _lift(_world("true", gain=7), list(_decided()), day=80)
    assert all(row.figures[Figure.DAYS] is None for row in early.companies)
    assert early.verdict == "not decidable"
    few = [row for row in _decided() if row.client_id in NAMES[:20]]
    found = _lift(_world("true", gain=7), few)
    assert found.words.startswith("the smaller group has")
    assert len(found.companies) == 20


def test_groups_that_cannot_have_come_from_the_draw_raise_the_alarm() -> None:
    kept = [row for row in _decided() if not _is_out(row.client_id) or row.client_id.endswith("0")]
    assert _lift(_world("true", gain=7), kept).is_alarming


def _renewing(name: str, after: Callable[[Events], AnyClientEvent | None]) -> Company:
    build = Events(name)
    told: list[AnyClientEvent] = [build.profiled(0), build.paid(1, "P0", 50_000, None), build.contract(2, "C1", renews=90)]
    later = after(build)
    told += [later] if later else []
    everybody = Holdout(0.0, MappingProxyType({Journey.RENEWAL: 100.0}))
    decisions = _lived(told, until=130, holdout=everybody)
    (company,) = _lift(told, decisions, day=150).companies
    return company


def test_before_a_renewal_it_counts_whether_the_contract_goes_on() -> None:
    assert _renewing("a", lambda build: build.contract(91, "C1", renews=180)).figures[Figure.RENEWED] == 1
    assert _renewing("b", lambda build: build.contract(91, "C1", status=ContractStatus.ENDED)).figures[Figure.RENEWED] == 0
    assert _renewing("c", lambda _: None).figures[Figure.RENEWED] == 0


def test_a_holdout_of_all_care_is_told_beside_each_journey() -> None:
    holdout = Holdout(30.0)
    decisions = _lived([event for name in NAMES[:12] for event in _beginning(name)], until=20, holdout=holdout)
    told = [event for name in NAMES[:12] for event in _beginning(name)]
    found = lifts_of(told, decisions, accounts_of(told), {}, now_ms=ms(150))
    assert [row.name for row in found] == [EVERY, "post_payment_onboarding"]
    out = {name for name in NAMES[:12] if _is_out(name, holdout)}
    for row in found:
        assert {company.client_id for company in row.companies if not company.is_cared_for} == out


def test_the_command_tells_a_history_lived_through_under_a_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history, policy = tmp_path / "history.jsonl", tmp_path / "firm.yaml"
    write_contracts((event for name in NAMES[:6] for event in _beginning(name)), history)
    policy.write_text(write_policy(document_of(POLICY)), encoding="utf-8")
    assert run(["experiments", "holdouts", str(history), "--policy", str(policy)]) == 0
    assert "post_payment_onboarding: NOT DECIDABLE" in capsys.readouterr().out
    assert run(["experiments", "holdouts", str(history), "--policy", str(policy), "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert sum(said["companies"].values()) == 6
    assert run(["experiments", "holdouts", str(history)]) == 0
    assert "nothing can be compared" in capsys.readouterr().out
