"""`rapport experiments`: outcomes per company, differences that hold however often one looks, guardrails, steps."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from handlers.cli import run
from handlers.commands.experiments.accounts import accounts_of
from handlers.commands.experiments.companies import companies_of, decided_in_one_name, in_one_name, names_beside
from handlers.commands.experiments.reckoning import Result, exposures, result_of
from handlers.commands.experiments.steps import Row, rows_of
from handlers.commands.experiments.telling import tell_result
from handlers.commands.history import write_contracts
from handlers.commands.simulation import Simulation
from models.events.envelope import ClientEvent
from models.events.signals import DeliveryOutcome, DeliveryReported
from models.events.union import AnyClientEvent
from models.policy.document import document_of
from models.policy.experiments import Arm, Experiment, Guardrail, drawn
from models.policy.policy import DEFAULT_POLICY, stamped
from models.triggers import Decision, Journey
from models.workdays import DAY_MS
from streams.wire.policy_file import write_policy
from tests.models.builders import Events, ms, on
from tests.models.examples import noise

HELP = Experiment(
    "help_at_once",
    "a first note that offers help brings the money sooner",
    Journey.DELAY_SUPPORT,
    "explain_terms",
    (Arm("as_is"), Arm("help", words="offer_help")),
    least_days=3.0,
)
POLICY = stamped(replace(DEFAULT_POLICY, experiments=(HELP,)))
FIRM = 160


def _client(number: int, *, sooner: float) -> list[AnyClientEvent]:
    """Return a company whose invoice is overdue on day 10 and paid later: `sooner` days sooner in the arm that offers help."""
    name = f"company-{number:03}"
    build = Events(name)
    helped = drawn(name, HELP, stratum="new/unknown").name == "help"
    paid = 24 + 14 * noise("paid", number) - (sooner if helped else 0)
    start = number / 400
    return [
        build.profiled(start),
        build.issued(1 + start, f"{name}-I1", 20_000 + number, due=10),
        build.paid(paid, f"{name}-P1", 20_000 + number, f"{name}-I1"),
    ]


def _lived(histories: Sequence[Sequence[AnyClientEvent]], *, until: float) -> tuple[list[AnyClientEvent], list[Decision]]:
    simulation, events, decisions = Simulation(policy=POLICY), list[AnyClientEvent](), list[Decision]()
    told = sorted((event for history in histories for event in history), key=lambda event: event.received_ms)
    happenings = [happening for event in told for happening in simulation.feed(event)]
    for happening in [*happenings, *simulation.run_until(ms(until))]:
        if isinstance(happening.event, ClientEvent):
            events.append(happening.event)
        decisions += [output for output in happening.outputs if isinstance(output, Decision)]
    return events, decisions


def _result(events: list[AnyClientEvent], decisions: list[Decision], *, day: float = 60, experiment: Experiment = HELP) -> Result:
    return result_of(experiment, events, decisions, accounts_of(events), now_ms=ms(day))


def test_words_that_bring_the_money_sooner_are_found_and_their_days_are_right() -> None:
    events, decisions = _lived([_client(number, sooner=9) for number in range(FIRM)], until=60)
    result = _result(events, decisions)
    (found,) = result.differences
    assert found.verdict == "sooner"
    assert found.days is not None
    assert found.days.low < -9 < found.days.high < 0
    assert found.money is not None
    assert found.money.low <= 0 <= found.money.high  # all of it came within the days, in both arms
    assert not result.is_alarming
    assert "SOONER" in "\n".join(tell_result(result))


def test_without_a_difference_nothing_is_claimed_whenever_one_looks() -> None:
    events, decisions = _lived([_client(number, sooner=0) for number in range(FIRM)], until=60)
    verdicts = {_result(events, decisions, day=day).differences[0].verdict for day in (20, 43.1, 43.2, 43.3, 50, 60)}
    assert verdicts <= {"not decidable", "no difference"}
    assert _result(events, decisions, day=20).differences[0].words.startswith("the smaller group has 0 companies")


def test_a_company_counts_once_from_its_first_exposure_and_only_when_its_days_have_passed() -> None:
    build = Events("company-1")
    history: list[AnyClientEvent] = [
        build.profiled(0),
        build.issued(1, "I1", 50_000, due=10),
        build.issued(1.1, "I2", 150_000, due=200),
        build.paid(18, "P1", 50_000, "I1"),
        build.issued(60, "I3", 70_000, due=70),
    ]
    events, decisions = _lived([history], until=100)
    assert list(exposures(decisions, HELP.name)) == ["company-1"]
    (early,) = _result(events, decisions, day=30).exposed
    assert not early.is_known
    (row,) = _result(events, decisions, day=100).exposed
    assert row.is_known
    assert row.money == 500.0
    assert row.money_before == 2_000.0
    waited = (ms(18) - row.at_ms) / 86_400_000
    assert row.days == pytest.approx(0.25 * waited + 0.75 * 30)


def _one_company(events: list[AnyClientEvent], decisions: list[Decision], *, day: float) -> Result:
    company = companies_of(events)
    return _result(in_one_name(events, company), decided_in_one_name(decisions, company), day=day)


def _two(first: str, second: str) -> list[AnyClientEvent]:
    """Return two clients with an overdue invoice each, one told of a day after the other."""
    told: list[AnyClientEvent] = []
    for day, name in enumerate((first, second)):
        build = Events(name)
        told += [build.profiled(day), build.issued(1 + day, f"{name}-I1", 50_000, due=10 + day)]
    return told


def _named(arm: str, *, other_than: str = "") -> str:
    """Return the name of a company that is drawn into an arm."""
    names = (f"firm-{number}" for number in range(100))
    return next(name for name in names if name != other_than and drawn(name, HELP, stratum="new/unknown").name == arm)


@pytest.mark.parametrize("moves", ["merged", "paid for"])
def test_two_clients_that_are_one_company_count_once_in_the_arm_of_the_one_that_stands(moves: str) -> None:
    gone, stands = _named("help"), _named("as_is")
    move: AnyClientEvent = Events(gone).merged(20, stands, event_id="move")
    if moves == "paid for":
        move = Events(gone).delegated(20, stands, event_id="move")
    paid = [
        Events(stands).paid(30, "P1", 50_000, f"{gone}-I1", event_id="p1"),
        Events(gone).paid(31, "P2", 50_000, f"{stands}-I1", event_id="p2"),
    ]
    events, decisions = _lived([[*_two(gone, stands), move, *paid]], until=100)
    assert len({row.client_id for row in decisions if row.experiment}) == 2
    (row,) = _one_company(events, decisions, day=100).exposed
    assert (row.client_id, row.arm, row.money) == (stands, "as_is", 1_000.0)
    own = exposures([each for each in decisions if each.client_id == stands], HELP.name)[stands][0]
    assert row.at_ms == own
    assert row.contacts == sum(
        isinstance(event, DeliveryReported)
        and event.passed_on is None
        and event.outcome is DeliveryOutcome.SENT
        and own <= event.received_ms <= own + 30 * 86_400_000
        for event in events
    )


def test_a_company_of_which_only_the_client_that_moved_was_drawn_counts_from_that_draw() -> None:
    gone, stands = _named("help"), _named("as_is")
    told = [*_two(gone, stands)[:2], Events(stands).profiled(0), Events(gone).merged(20, stands, event_id="move")]
    paid = Events(stands).paid(30, "P1", 50_000, f"{gone}-I1", event_id="p1")
    events, decisions = _lived([[*told, paid]], until=100)
    (row,) = _one_company(events, decisions, day=100).exposed
    assert (row.client_id, row.arm, row.money) == (stands, "help", 500.0)
    assert row.at_ms == exposures(decisions, HELP.name)[gone][0]


def test_who_is_one_company_is_as_things_are_at_the_end() -> None:
    told: list[AnyClientEvent] = [
        Events("a").merged(1, "b"),
        Events("b").merged(2, "c"),
        Events("d").delegated(3, "c"),
        Events("e").delegated(3, "c"),
        Events("e").delegated(4, None),
        Events("f").merged(3, "c"),
        Events("f").split(4),
        Events("y").merged(5, "x"),
        Events("x").merged(5, "y"),
    ]
    assert companies_of(told) == {"a": "c", "b": "c", "d": "c", "x": "x", "y": "x"}
    assert names_beside(told) == {"b", "c", "x", "y"}


def test_groups_that_cannot_have_come_from_the_draw_raise_the_alarm() -> None:
    events, decisions = _lived([_client(number, sooner=0) for number in range(FIRM)], until=30)
    kept = [row for row in decisions if row.experiment is None or row.experiment.arm == "as_is" or row.client_id[-1] in "01"]
    result = _result(events, kept, day=60)
    assert result.is_alarming
    assert "ALARM" in "\n".join(tell_result(result))


def test_a_guardrail_stops_an_arm_that_people_complain_about_and_no_other() -> None:
    events, decisions = _lived([_client(number, sooner=0) for number in range(80)], until=30)
    arms = {row.client_id: row.experiment.arm for row in decisions if row.experiment}
    angry = [name for name, arm in sorted(arms.items()) if arm == "help"][:12]
    reports = [event for event in events if isinstance(event, DeliveryReported) and event.client_id in angry]
    complaints = [
        row.model_copy(update={"outcome": DeliveryOutcome.COMPLAINED, "event_id": f"c-{row.event_id}"}) for row in reports
    ]
    (found,) = _result([*events, *complaints], decisions).differences
    assert [stop.split(":")[0] for stop in found.stops] == ["complaints"]
    tolerant = replace(HELP, limits={**HELP.limits, Guardrail.COMPLAINTS: 0.5})
    assert not _result([*events, *complaints], decisions, experiment=tolerant).differences[0].stops
    assert not _result(events, decisions).differences[0].stops


def test_money_without_an_invoice_number_goes_to_the_oldest_invoice_and_a_repeated_event_counts_once() -> None:
    build = Events()
    paid = build.paid(20, "P1", 120_000, None)
    account = accounts_of([build.issued(0, "I1"), build.issued(1, "I2"), paid, paid])["client-1"]
    assert [bill.open_at(ms(30)) for bill in account.bills.values()] == [0, 80_000]
    assert account.bills["I1"].settled_ms == ms(20)
    assert account.received(ms(19), ms(20), "EUR") == 120_000
    assert account.received(ms(20), ms(40), "EUR") == 0


def test_money_that_was_given_back_or_told_twice_is_not_counted_as_received() -> None:
    build = Events()
    paid, again = (build.paid(20, "P1", 100_000, "I1") for _ in range(2))  # one payment in two events
    refund, chargeback = build.refunded(22, "R1", "P1", 30_000), build.charged_back(23, "B1", "P1", 20_000)
    won = build.chargeback_reversed(30, "B1", "P1", 20_000)
    account = accounts_of([build.issued(0, "I1"), paid, again, refund, chargeback, won])["client-1"]
    assert [account.received(ms(0), ms(day), "EUR") for day in (21, 22, 23, 30)] == [100_000, 70_000, 50_000, 70_000]
    assert account.bills["I1"].settled_ms == ms(20)


def test_accounts_are_the_ledgers_own_also_for_what_came_early_bounced_or_was_credited() -> None:
    build = Events()
    account = accounts_of(
        [
            build.paid(3, "P1", 100_000, "I1"),  # before its invoice is known
            build.issued(2, "I1", 100_000, received=4),
            build.issued(5, "I2", 80_000),
            build.paid(6, "P2", 80_000, "I2"),
            build.failed(9, "P2", 80_000),
            build.issued(10, "I3", 50_000, due=12),
            build.credit(12, "C1", 50_000, None),  # on account: what is due first takes it
        ]
    )["client-1"]
    assert account.bills["I1"].settled_ms == ms(3)
    assert [account.received(ms(0), ms(day), "EUR") for day in (5, 8, 9)] == [100_000, 180_000, 100_000]
    assert [account.bills["I2"].open_at(ms(day)) for day in (8, 9)] == [0, 80_000]
    assert account.bills["I2"].settled_ms == 0
    assert [account.bills["I3"].open_at(ms(day)) for day in (11, 12)] == [50_000, 0]


def test_what_was_open_is_waited_for_until_it_was_paid_or_given_up() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.issued(0, "I1", 50_000), build.paid(4, "P1", 20_000, "I1"), build.written_off(6, "I1")]
    bill = accounts_of(log)["client-1"].bills["I1"]
    assert bill.waited(ms(2), ms(9)) == (2 * 50_000 + 2 * 30_000) * DAY_MS
    assert bill.waited(ms(6), ms(9)) == 0


def test_steps_tell_response_and_days_with_the_counts_they_rest_on() -> None:
    events, decisions = _lived([_client(number, sooner=4) for number in range(40)], until=90)
    rows = rows_of([(events, decisions, ms(90))])
    support = [row for row in rows if row.step == "explain_terms"]
    assert {row.arm for row in support} == {"help_at_once/as_is", "help_at_once/help"}
    assert sum(row.decided for row in support) == 40
    assert [row.as_json()["clients"] for row in support] == [row.decided for row in support]
    plain, helped = sorted(support, key=lambda row: row.arm)
    assert plain.median_days is not None
    assert helped.median_days is not None
    assert helped.median_days < plain.median_days
    assert helped.response is not None
    assert helped.response > (plain.response or 0)
    few = rows_of([(events, [row for row in decisions if row.client_id == "company-001"], ms(90))])
    assert all(row.response is None and row.median_days is None for row in few)
    assert isinstance(few[0], Row)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Return a history of a few companies and a policy with the experiment, as files."""
    history, policy = tmp_path / "history.jsonl", tmp_path / "firm.yaml"
    write_contracts((event for number in range(12) for event in _client(number, sooner=0)), history)
    policy.write_text(write_policy(document_of(POLICY)), encoding="utf-8")
    return str(history), str(policy)


def test_the_command_tries_an_experiment_out_on_a_history(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    history, policy = files
    assert run(["experiments", "list", "--policy", policy]) == 0
    assert "words of offer_help" in capsys.readouterr().out
    assert run(["experiments", "report", history, "--policy", policy]) == 0
    assert "NOT DECIDABLE" in capsys.readouterr().out
    assert run(["experiments", "report", history, "--policy", policy, "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said["companies"] == 12
    assert sum(arm["companies"] for arm in said["arms"].values()) == 12
    assert run(["experiments", "report", history, "--policy", policy, "--name", "nothing"]) == 2
    assert "it has: help_at_once" in capsys.readouterr().err
    assert run(["experiments", "steps", history, "--policy", policy]) == 0
    assert "help_at_once" in capsys.readouterr().out


@pytest.mark.parametrize("scope", [{"scope": "all"}, {"scope": "experiment", "target": "help_at_once"}])
def test_a_stop_that_a_history_tells_holds_while_an_experiment_is_tried_out(
    files: tuple[str, str], scope: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    history, policy = files
    at = on(5).isoformat()
    stop = {"kind": "halt.changed", "event_id": "stop", "source": "test", "occurred_at": at, "received_at": at, "halted": True}
    with Path(history).open("a", encoding="utf-8") as file:
        file.write(json.dumps(stop | {"author": "mia", "reason": "wrong amounts", **scope}) + "\n")
    assert run(["experiments", "report", history, "--policy", policy, "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said["companies"] == 0
