import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from handlers.cli import run
from handlers.commands.history import write_contracts
from handlers.commands.policies.backtest import compare
from handlers.commands.policies.trying import Contact, Life, live
from models.events.union import AnyClientEvent, AnyControlEvent
from models.policy.document import document_of
from models.policy.policy import DEFAULT_POLICY, stamped
from streams.wire.codec import encode_event
from streams.wire.policy_file import write_policy
from tests.handlers.channel_examples import NOW, trigger
from tests.journeys.story import with_second_words
from tests.models.builders import Events, ms
from tests.models.controls import halt, policy_activated
from tests.models.test_in_force import late

HEAD = "Customer,InvoiceNumber,InvoiceDate,DueDate,Amount,SettledDate,Email\n"


def _book(path: Path, *, late: int) -> str:
    """Write a book of clients who each paid one invoice and owe one due on 1 July, and one who owes since January."""
    rows = ["Old,O-1,2024-12-01,2025-01-01,500.00,,o@client.example\n"]
    for index in range(late):
        name = f"C{index:02}"
        rows.append(f"{name},{name}-1,2025-04-01,2025-05-01,{100 + index}.00,2025-04-20,{name}@client.example\n")
        rows.append(f"{name},{name}-2,2025-06-02,2025-07-01,{100 + index}.00,,{name}@client.example\n")
    path.write_text(HEAD + "".join(rows), encoding="utf-8")
    return str(path)


def _policy(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_backtest_says_who_gains_and_loses_contacts_per_step_and_segment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calm = _policy(tmp_path / "calm.yaml", "version: calm\nsupport: {grace_days: 7}\n")
    assert run(["policy", "backtest", "--policy", calm, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["policy"]["version"].startswith("calm+")
    for side in ("against", "policy"):
        assert sum(row[side] for row in found["rows"]) == found[side]["contacts"]
    changes = Counter(change["change"] for change in found["changes"])
    assert found["policy"]["contacts"] - found["against"]["contacts"] == changes["gained"] - changes["lost"]
    assert all(change["why"] for change in found["changes"])
    assert run(["policy", "backtest", "--policy", calm]) == 0
    said = capsys.readouterr().out
    assert "Who loses contacts" in said
    assert "held: payment of invoice A-106 is promised" in said


@pytest.mark.parametrize("step", ["keeping_in_touch", "contact_check", "agree_date"])
def test_a_step_that_the_new_policy_has_is_not_said_to_be_missing_whichever_journey_it_is_of(step: str) -> None:
    gone = Contact("ada", NOW, trigger(step=step))
    old, new = Life(DEFAULT_POLICY, contacts=[gone]), Life(DEFAULT_POLICY)
    (change,) = compare(old, new).changes
    assert (change.what, change.why) == ("lost", "settled, or the history ends, before it is due")
    (change,) = compare(Life(DEFAULT_POLICY, contacts=[Contact("ada", NOW, trigger(step="made_up"))]), new).changes
    assert change.why == "the new policy has no such step"


def test_what_comes_instead_is_told_of_the_same_client_and_invoice_only() -> None:
    old = Life(DEFAULT_POLICY, contacts=[Contact("ada", NOW, trigger(step="agree_date"))])
    others = [
        Contact("bob", NOW, trigger(step="offer_help")),
        Contact("ada", NOW, trigger(step="offer_help", invoice_ids=("in_2",))),
        Contact("ada", NOW + timedelta(days=2), trigger(step="offer_help")),
    ]
    for until, why in ((2, "settled, or the history ends, before it is due"), (3, "instead offer_help on 2026-03-04")):
        changes = compare(old, Life(DEFAULT_POLICY, contacts=others[:until])).changes
        assert [change.why for change in changes if change.what == "lost"] == [why]


def test_a_policy_held_against_itself_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = _policy(tmp_path / "same.yaml", "version: other-name\n")
    assert run(["policy", "backtest", "--policy", same, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] == []


def test_a_receivables_book_is_a_history_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = _book(tmp_path / "book.csv", late=2)
    short = _policy(tmp_path / "short.yaml", "version: short\nsupport: {grace_days: 0}\n")
    asked = ["--history", book, "--policy", short, "--until", "2025-07-20", "--json"]
    assert run(["policy", "backtest", *asked]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["clients"] == 3
    assert {change["change"] for change in found["changes"]} >= {"moved"}


def test_what_became_of_messages_of_the_past_does_not_count_for_the_other_policy() -> None:
    build = Events()
    events: list[AnyClientEvent] = [build.profiled(0), build.issued(1, "I1", due=10)]
    life = live(DEFAULT_POLICY, events, until_ms=ms(40))
    told: list[AnyClientEvent] = [*events, build.reported(15, life.contacts[0].trigger.trigger_id)]
    again = live(DEFAULT_POLICY, told, until_ms=ms(40))
    assert compare(life, again).changes == ()
    assert len(life.contacts) > 1


def test_a_forecast_tells_the_days_ahead_and_what_would_wait(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "forecast", "--as-of", "2025-03-16", "--days", "14"]) == 0
    said = capsys.readouterr().out
    assert "2 contacts of 2 clients" in said
    assert "2025-03-21 07:00  kessler-print: explain_terms by email" in said
    assert "an invoice is overdue: support in the delay goes first" in said
    assert run(["policy", "forecast", "--as-of", "2025-03-16", "--days", "0"]) == 2
    assert "at least one day" in capsys.readouterr().err


def test_a_forecast_is_what_then_happens_when_nothing_happens() -> None:
    build = Events()
    events: list[AnyClientEvent] = [build.profiled(0), build.issued(1, "I1", due=10), build.issued(2, "I2", due=12)]
    whole = live(DEFAULT_POLICY, events, until_ms=ms(50))
    ahead = live(DEFAULT_POLICY, events, until_ms=ms(5))
    ahead.take(ahead.simulation.run_until(ms(50)))
    assert [contact.as_json() for contact in ahead.contacts] == [contact.as_json() for contact in whole.contacts]


def test_a_takeover_keeps_to_the_days_limit_and_leaves_what_is_old_to_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = _book(tmp_path / "book.csv", late=7)
    holds = tmp_path / "holds.jsonl"
    asked = ["policy", "adopt", book, "--per-day", "2", "--as-of", "2025-07-10", "--holds", str(holds)]
    assert run([*asked, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert max(day["first_contacts"] for day in plan["days"]) == 2
    firsts = {start["client_id"]: start["first"] for start in plan["starts"]}
    assert firsts.pop("Old") is None
    assert len(firsts) == 7
    assert {first["step"] for first in firsts.values()} == {"explain_terms"}
    assert min(day["day"] for day in plan["days"]) > "2025-07-10"
    assert len(holds.read_text(encoding="utf-8").splitlines()) == 8
    assert run(asked) == 0
    said = capsys.readouterr().out
    assert "1 wait for a person" in said
    assert "a person decides  Old: invoice O-1 is" in said


@pytest.mark.parametrize(
    "contact", ["hours: {opens: '08:00', closes: '18:00', weekdays: [tue, thu]}", "holidays: {DE: [2025-07-14, 2025-07-15]}"]
)
def test_a_takeover_keeps_to_the_days_limit_also_where_nobody_is_written_to_on_some_days(
    contact: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, history = tmp_path / "firm.yaml", tmp_path / "book.jsonl"
    policy.write_text(f"version: firm\ncontact: {{{contact}}}\n", encoding="utf-8")
    builds = {f"C{number}": Events(f"C{number}") for number in range(7)}
    told = [
        event
        for name, build in builds.items()
        for event in (build.profiled(530).model_copy(update={"country": "DE"}), build.issued(531, name, due=542))
    ]
    write_contracts(told, history)  # all are late on the tenth of July 2025, a Thursday
    asked = ["policy", "adopt", str(history), "--per-day", "2", "--as-of", "2025-07-10", "--policy", str(policy)]
    assert run([*asked, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert sum(day["first_contacts"] for day in plan["days"]) == 7
    assert max(day["first_contacts"] for day in plan["days"]) == 2


def test_the_larger_stake_is_taken_up_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = _book(tmp_path / "book.csv", late=3)
    assert run(["policy", "adopt", book, "--per-day", "1", "--as-of", "2025-07-10", "--json"]) == 0
    starts = [start for start in json.loads(capsys.readouterr().out)["starts"] if start["first"]]
    assert [start["client_id"] for start in starts] == ["C02", "C01", "C00"]


def test_a_takeover_of_nobody_a_day_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "adopt", _book(tmp_path / "book.csv", late=1), "--per-day", "0"]) == 2
    assert "at least one client a day" in capsys.readouterr().err


def _governed(path: Path, *controls: AnyControlEvent) -> str:
    """Write a history of an invoice that becomes overdue, with what held for all clients meanwhile."""
    build = Events()
    paid = build.paid(0.5, "P0", 500, None)
    events: list[AnyClientEvent | AnyControlEvent] = [
        build.profiled(0),
        paid,
        build.issued(1, "I1", 10_000, due=10),
        build.called(12),
    ]
    path.write_bytes(b"".join(encode_event(event) + b"\n" for event in [*events, *controls]))
    return str(path)


def _forecast(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(["policy", "forecast", "--days", "14", *words]) == 0
    return capsys.readouterr().out


def test_a_forecast_names_each_client_s_contacts_of_two_weeks_and_knows_a_stop_and_a_late_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    free = _forecast(capsys, "--history", _governed(tmp_path / "free.jsonl"))
    assert "client-1: explain_terms by email" in free
    for name, control, why in (
        ("halt", halt(11), "stopped by mia (all): wrong amounts"),
        ("feed", late(11, since=10), "no news from test since"),
    ):
        said = _forecast(capsys, "--history", _governed(tmp_path / f"{name}.jsonl", control))
        assert "explain_terms by email" not in said
        assert why in said


def test_the_policy_that_was_activated_in_a_history_decides_unless_another_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patient = stamped(replace(DEFAULT_POLICY, version="patient", grace_days=30))
    history = _governed(tmp_path / "patient.jsonl", policy_activated(2, patient))
    assert "0 contacts" in _forecast(capsys, "--history", history)
    named = _policy(tmp_path / "quick.yaml", "version: quick\n")
    assert "explain_terms by email" in _forecast(capsys, "--history", history, "--policy", named)
    assert run(["policy", "backtest", "--history", history, "--policy", named, "--until", "2024-02-20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["against"]["version"] == patient.version
    assert {("moved", "explain_terms"), ("gained", "offer_help")} <= {(row["change"], row["step"]) for row in found["changes"]}


def test_forecast_simulation_and_show_know_what_is_said_once_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = Events()
    events: list[AnyClientEvent] = [build.profiled(0, phone="+493090182000"), build.issued(0, "I1", due=2)]
    history = tmp_path / "silent.jsonl"
    history.write_bytes(b"".join(encode_event(event) + b"\n" for event in events))
    twice = with_second_words(72, ("sms",))
    named = _policy(tmp_path / "twice.yaml", write_policy(document_of(twice)))
    assert "explain_terms by sms" in _forecast(capsys, "--history", str(history), "--policy", named)
    assert "explain_terms by sms" not in _forecast(capsys, "--history", str(history))
    assert run(["simulate", str(history), "--until", "2024-02-20", "--policy", named]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "no answer to explain_terms by email for 3 days: once more, by sms" in told
    assert run(["policy", "show", "--policy", named]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Without an answer or payment said once more, by another channel: 3 days after explain_terms (new)" in shown
    assert "by sms Stops as soon as" in shown


def test_a_simulated_history_is_told_under_its_own_stops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = _governed(tmp_path / "halt.jsonl", halt(11))
    assert run(["simulate", history, "--until", "2024-02-20"]) == 0
    assert "stopped by mia" in capsys.readouterr().out


def test_a_line_about_all_clients_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = tmp_path / "broken.jsonl"
    _governed(history)
    history.write_bytes(history.read_bytes() + b'{"kind": "halt.changed", "scope": "all"}\n')
    assert run(["policy", "forecast", "--history", str(history)]) == 2
    assert f"line 5 of {history}" in capsys.readouterr().err
