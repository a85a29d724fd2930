import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from handlers.cli import EXIT_USAGE, run
from handlers.commands.history import BadLine, Delivery, read_lines
from handlers.commands.simulation import Simulation
from handlers.demo.firm import firm_year
from models.events.envelope import epoch_ms
from models.events.signals import DeliveryReported
from models.events.union import AnyClientEvent
from models.triggers import Decision, DecisionOutcome, Journey, Retraction, Trigger
from streams.agents.intake import interpret_webhook
from tests.streams.stripe_samples import charge, dispute
from tests.streams.stripe_samples import event as stripe_event

INVOICE = {
    "kind": "invoice.issued",
    "event_id": "e1",
    "source": "erp",
    "client_id": "Łódź-7",
    "occurred_at": "2025-03-03T09:00:00Z",
    "invoice_id": "I-1",
    "amount": {"minor": 50_000, "currency": "EUR"},
    "due_at": "2025-03-17T17:00:00Z",
}


def _events(*lines: Mapping[str, object]) -> list[AnyClientEvent]:
    found = enumerate(read_lines(json.dumps(line).encode() for line in lines))
    records = (each.record(place) for place, each in found if isinstance(each, Delivery))
    return [event for record in records for event in interpret_webhook(record).told()]


def _write(path: Path, *lines: object) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_the_shipped_history_tells_events_changes_scores_and_decisions_for_and_against(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["simulate"]) == 0
    said = capsys.readouterr().out
    for word in ("Marlow & Finch", "Kessler Print", "Tiny Press", "SEND", "NOT SENT", "HELD", "TAKEN BACK", "SEGMENT", "score"):
        assert word in said
    assert "on hold by dana: owner is in hospital, we agreed to wait" in said


def test_the_shipped_history_is_about_thirty_events_of_three_clients() -> None:
    path = Path(str(read_lines.__globals__["__file__"])).with_name("sample_history.jsonl")
    deliveries = [found for found in read_lines(path.read_bytes().splitlines()) if isinstance(found, Delivery)]
    assert 25 <= len(deliveries) <= 40
    assert len({delivery.client_id for delivery in deliveries}) == 3


def test_one_client_s_story_is_about_that_client_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "--client", "kessler-print"]) == 0
    said = capsys.readouterr().out
    assert "Kessler Print" in said
    assert "Tiny Press" not in said


def test_an_unknown_client_is_an_error_that_names_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "--client", "nobody"]) == EXIT_USAGE
    assert "knows no client 'nobody'; it knows 3, for example kessler-print" in capsys.readouterr().err


def test_a_history_that_is_not_there_is_named_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "nowhere"]) == EXIT_USAGE
    assert "nowhere is not a file" in capsys.readouterr().err


def test_json_has_one_object_a_line_with_the_decisions_and_their_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "--json"]) == 0
    happenings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    decisions = [decision for happening in happenings for decision in happening["decisions"]]
    assert {decision["outcome"] for decision in decisions} >= {"triggered", "suppressed", "held", "retracted", "segment_changed"}
    assert all(decision["reasons"] for decision in decisions)


def test_time_passes_after_the_last_event_up_to_the_day_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path / "one.jsonl", INVOICE)
    assert run(["simulate", str(path)]) == 0
    said = capsys.readouterr().out
    assert "past due" not in said
    assert "1 event of 1 client: 1 new" in said
    assert run(["simulate", str(path), "--until", "2025-03-21"]) == 0
    assert "invoice I-1: 500.00 EUR open" in capsys.readouterr().out
    assert run(["simulate", str(path), "--until", "2025-03-01"]) == EXIT_USAGE


def test_recorded_webhooks_stripe_events_and_contracts_may_stand_in_one_file(tmp_path: Path) -> None:
    webhook = firm_year(days=10).webhooks[0]
    recorded = {"source": "stripe", "received_at": webhook.at.isoformat(), "body": json.loads(webhook.body)}
    path = _write(tmp_path / "mixed.jsonl", INVOICE, recorded, json.loads(webhook.body))
    found = list(read_lines(path.read_bytes().splitlines()))
    assert [type(each) for each in found] == [Delivery] * 3
    assert [each.source for each in found if isinstance(each, Delivery)] == ["generic", "stripe", "stripe"]


def test_a_bare_dispute_in_a_history_finds_its_client_in_the_lines_before_it() -> None:
    charged = json.loads(stripe_event("charge.succeeded", charge()))
    disputed = json.loads(stripe_event("charge.dispute.created", dispute(charge="ch_1"), event_id="evt_2"))
    early, _, told = read_lines([json.dumps(line).encode() for line in (disputed, charged, disputed)])
    assert isinstance(early, BadLine)
    assert isinstance(told, Delivery)
    assert {(each.kind, each.client_id) for each in told.events} == {
        ("dispute.opened", "cus_1"),
        ("payment.charged_back", "cus_1"),
    }
    assert told.client_id == "cus_1"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "unexpected|JSON|expected"),
        (b"[1]", "expected an object"),
        (b'{"kind": "nope", "occurred_at": "2025-01-01T00:00:00Z"}', "nope"),
        (b'{"source": "stripe", "received_at": "2025-01-01T00:00:00", "body": {}}', "no zone"),
        (b'{"hello": 1}', "expected one of our events"),
        ('{"source": "ghost", "received_at": "2025-01-01T00:00:00Z", "body": "ü"}'.encode(), "ghost"),
    ],
)
def test_a_line_that_is_no_delivery_is_named_with_its_number_and_the_reason(line: bytes, reason: str) -> None:
    (found,) = read_lines([b"# a comment", line][1:])
    assert isinstance(found, BadLine)
    assert found.line == 1
    assert any(part.lower() in found.reason.lower() for part in reason.split("|"))


def test_a_payment_in_quiet_hours_takes_back_what_was_not_sent_yet() -> None:
    simulation = Simulation()
    saturday = {**INVOICE, "kind": "payment.received", "payment_id": "p1", "event_id": "e2"}
    saturday |= {"occurred_at": "2025-03-15T20:00:00Z", "amount": {"minor": 50_000, "currency": "EUR"}}
    del saturday["due_at"]
    refund = {**saturday, "kind": "payment.refunded", "event_id": "e3", "refund_id": "r1", "occurred_at": "2025-03-16T08:00:00Z"}
    outputs = [
        output
        for event in _events(INVOICE, saturday, refund)
        for happening in simulation.feed(event)
        for output in happening.outputs
    ]
    (trigger,) = [output for output in outputs if isinstance(output, Trigger)]
    (retraction,) = [output for output in outputs if isinstance(output, Retraction)]
    assert retraction.trigger_id == trigger.trigger_id
    later = [happening.event for happening in simulation.run_until(epoch_ms(trigger.expires_at))]
    assert not [event for event in later if isinstance(event, DeliveryReported) and event.trigger_id == trigger.trigger_id]


def test_a_delivered_trigger_reports_its_outcome_once_at_the_hour_it_was_allowed() -> None:
    simulation = Simulation()
    happenings = [happening for event in _events(INVOICE) for happening in simulation.feed(event)]
    happenings += simulation.run_until(1_743_000_000_000)
    triggers = [output for happening in happenings for output in happening.outputs if isinstance(output, Trigger)]
    reports = [happening for happening in happenings if happening.event.kind == "delivery.reported"]
    assert len(reports) == len(triggers) == 1
    assert reports[0].at_ms == epoch_ms(triggers[0].not_before)


def test_a_history_told_twice_gives_the_same_outputs_byte_for_byte() -> None:
    def told() -> list[str]:
        simulation = Simulation()
        events = [event for webhook in firm_year(days=60).webhooks for event in _stripe(webhook.body, webhook.at.isoformat())]
        return [
            output.model_dump_json() for event in events for happening in simulation.feed(event) for output in happening.outputs
        ]

    first = told()
    assert first == told()
    assert first


def _stripe(body: bytes, at: str) -> list[AnyClientEvent]:
    (delivery,) = read_lines([json.dumps({"source": "stripe", "received_at": at, "body": body.decode()}).encode()])
    assert isinstance(delivery, Delivery)
    return interpret_webhook(delivery.record(0)).told()


def test_the_firm_s_year_leads_to_every_segment_and_journey_and_to_silences_with_reasons() -> None:
    simulation = Simulation()
    decisions = [
        output
        for webhook in firm_year().webhooks
        for event in _stripe(webhook.body, webhook.at.isoformat())
        for happening in simulation.feed(event)
        for output in happening.outputs
        if isinstance(output, Decision)
    ]
    assert {state.care.segment.value for state in simulation.states.values()} == {"new", "reliable", "slow", "problem"}
    triggered = {decision.journey for decision in decisions if decision.outcome is DecisionOutcome.TRIGGERED}
    assert triggered == {Journey.ONBOARDING, Journey.RENEWAL, Journey.DELAY_SUPPORT, Journey.GAP_CHECKIN}
    assert any(decision.outcome is DecisionOutcome.SUPPRESSED for decision in decisions)
    assert all(decision.reasons for decision in decisions)


def test_every_row_of_a_book_that_cannot_be_read_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = tmp_path / "book.csv"
    rows = "".join(f"A,{number},2024-03-01,{'0.00' if number % 2 else '10.00'}\n" for number in range(20))
    book.write_text("customer,invoice,date,amount\n" + rows + "A,21,soon,10.00\n", encoding="utf-8")
    assert run(["simulate", str(book)]) == 0
    said = capsys.readouterr().err
    assert "line 3: the amount is zero" in said
    assert "11 lines could not be read" in said
