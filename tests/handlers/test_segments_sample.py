"""A back-test of a sample of the clients: whole companies, the same ones each time, and honest about all the others."""

import json
from dataclasses import replace
from fractions import Fraction
from math import comb
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handlers.cli import EXIT_USAGE, run
from handlers.commands.history import write_contracts
from handlers.commands.policies.activation import Tried, check_movers
from handlers.commands.segments.sampling import extrapolated, sample
from handlers.commands.segments.shifts import compare, compare_sample, tell
from models.events.union import AnyClientEvent
from models.policy.policy import DEFAULT_POLICY, stamped
from streams.runtime.errors import UsageError
from tests.models.builders import Events
from tests.models.test_segments import monthly

NEW = stamped(replace(DEFAULT_POLICY, version="new", segments=replace(DEFAULT_POLICY.segments, persist_days=300)))


def history(clients: int = 40) -> list[AnyClientEvent]:
    """Return the past of clients of whom every fourth has turned late, which the new policy does not see."""
    log: list[AnyClientEvent] = []
    for number in range(clients):
        build = Events(f"client-{number}")
        late = 12.0 if number % 4 == 0 else -2.0
        own = [*monthly(build, 4, late=-2), *monthly(build, 5, late=late, first=4), build.called(330)]
        log += [event.model_copy(update={"event_id": f"{number}-{event.event_id}"}) for event in own]
    return sorted(log, key=lambda event: event.received_ms)


def tail(marked: int, *, found: int, drawn: int, clients: int, fewer: bool) -> Fraction:
    """Return how likely as few, or as many, are found: counted, not reckoned with logarithms."""
    ways = range(found + 1) if fewer else range(found, drawn + 1)
    return Fraction(sum(comb(marked, k) * comb(clients - marked, drawn - k) for k in ways), comb(clients, drawn))


@given(
    st.integers(1, 40).flatmap(
        lambda all_: st.integers(1, all_).flatmap(lambda n: st.tuples(st.integers(0, n), *map(st.just, (n, all_))))
    )
)
@example((0, 1, 40))  # as likely as the bound, exactly
@example((1, 1, 40))
def test_the_interval_holds_just_the_numbers_under_which_the_finding_is_no_wonder(case: tuple[int, int, int]) -> None:
    found, drawn, clients = case
    told = extrapolated(found, drawn=drawn, clients=clients)
    possible = range(found, clients - drawn + found + 1)
    wonder = Fraction(1, 40)
    plain = [
        many
        for many in possible
        if all(tail(many, found=found, drawn=drawn, clients=clients, fewer=fewer) > wonder for fewer in (True, False))
    ]
    assert (told.least, told.most) == (plain[0], plain[-1])
    assert told.least <= told.about <= told.most


def test_of_a_million_clients_the_interval_is_found_at_once() -> None:
    told = extrapolated(100, drawn=2_000, clients=1_000_000)
    assert told.about == 50_000
    assert 40_000 < told.least < 42_000
    assert 60_000 < told.most < 61_000


def test_a_sample_has_all_that_is_told_of_its_clients_and_is_the_same_whatever_comes_later() -> None:
    log = history(12)
    drawn = sample(log, clients=5)
    names = {event.client_id for event in drawn.events}
    assert (len(names), drawn.clients) == (5, 12)
    assert list(drawn.events) == [event for event in log if event.client_id in names]
    half = log[: len(log) // 2]
    assert {event.client_id for event in sample(half, clients=5).events} == names


def test_whoever_is_one_company_with_one_that_is_drawn_is_drawn_too() -> None:
    log = history(12)
    links: list[AnyClientEvent] = []
    for number in (1, 4, 7):
        links.append(Events(f"client-{number}").merged(100, into=f"client-{number + 1}", event_id=f"m{number}"))
        links.append(Events(f"client-{number + 1}").delegated(101, payer=f"client-{number + 2}", event_id=f"d{number}"))
    companies = [{f"client-{number + more}" for more in range(3)} for number in (1, 4, 7)]
    for clients in range(1, 13):
        drawn = sample([*log, *links], clients=clients)
        names = {event.client_id for event in drawn.events}
        assert drawn.clients == 12
        assert clients <= len(names) <= clients + 2
        assert all(company <= names or not company & names for company in companies)


def test_a_back_test_of_a_sample_says_what_it_means_for_all_and_of_everybody_it_is_the_whole_one() -> None:
    log = history()
    whole = compare(log, DEFAULT_POLICY, NEW)
    assert len(whole.movers) == whole.at_most == 10
    part = compare_sample(log, DEFAULT_POLICY, NEW, clients=20)
    assert part.clients == 20
    assert part.movers == {name for name in whole.movers if name in {event.client_id for event in sample(log, clients=20).events}}
    assert part.of_all is not None
    assert part.of_all.least <= 10 <= part.of_all.most == part.at_most
    assert list(tell(part))[-1] == (
        f"of all 40 clients about {part.of_all.about} would stand elsewhere;"
        f" 95 % interval: {part.of_all.least} to {part.of_all.most}"
    )
    assert compare_sample(log, DEFAULT_POLICY, NEW, clients=40) == replace(whole, drawn_of=40)
    assert list(tell(compare_sample(log, DEFAULT_POLICY, NEW, clients=99))) == list(tell(whole))


def test_without_being_asked_no_more_are_moved_than_the_upper_end_that_was_named() -> None:
    part = compare_sample(history(), DEFAULT_POLICY, NEW, clients=20)
    with pytest.raises(UsageError, match=f"--movers {part.at_most}$"):
        check_movers(Tried(part.at_most), yes=True, most=len(part.movers))
    check_movers(Tried(part.at_most), yes=True, most=part.at_most)


def test_the_command_tells_it_to_people_and_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book, policy = tmp_path / "history.jsonl", tmp_path / "new.yaml"
    write_contracts(history(), book)
    policy.write_text("version: new\nsegments: {persist_days: 300}\n", encoding="utf-8")
    command = ["segments", "backtest", "--policy", str(policy), "--history", str(book), "--sample"]
    assert run([*command, "20", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["clients"], told["of_all"]["clients"]) == (20, 40)
    assert told["of_all"]["least"] <= 10 <= told["of_all"]["most"]
    assert run([*command, "20"]) == 0
    assert "20 clients of 40, drawn by their names; " in capsys.readouterr().out
    assert run([*command, "0"]) == EXIT_USAGE
    assert "more than 0" in capsys.readouterr().err
