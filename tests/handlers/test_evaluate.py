"""`rapport evaluate`: nothing of the future may reach a prediction, and the report stands on its own."""

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import pytest

from handlers.commands.book.plan import Asked
from handlers.commands.evaluate import LEGEND, evaluate
from handlers.commands.held_history import hold_history
from handlers.evaluation.answers import settlements_of
from handlers.evaluation.kept import Answered, Kept, Put
from handlers.evaluation.telling import Telling
from models.events.delays import DisputeOpened
from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.union import AnyClientEvent
from models.features import LATE_DAYS, PACKED, Landmark
from models.workdays import DAY_MS
from streams.runtime.errors import UsageError
from tests.models.examples import noise

HEADER = ["client_id", "invoice_id", "issue_date", "due_date", "amount", "paid_date", "disputed"]
FIRST = date(2024, 1, 1)


def write_book(path: Path, *, invoices: int = 240, clients: int = 12, until: date | None = None) -> Path:
    """A book with a truth: even clients pay early, odd ones late; a few never."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(invoices):
            client = number % clients
            issued = FIRST + timedelta(days=number * 2 + int(noise("gap", number) * 2))
            due = issued + timedelta(days=14)
            delay = (-3 if client % 2 else 9) + round(10 * noise("delay", number) - 5)
            paid: date | None = max(issued, due + timedelta(days=delay))
            if noise("never", number) < 0.03 or (until is not None and paid is not None and paid > until):
                paid = None
            if until is not None and issued > until:
                continue
            dispute = "yes" if delay > 9 else "no"
            amount = f"{100 + 900 * noise('amount', number):.2f}"
            writer.writerow([f"client {client}", f"inv-{number}", issued, due, amount, paid or "", dispute])
    return path


def history(path: Path) -> list[AnyClientEvent]:
    return list(hold_history(path, asked=Asked())[0])


def test_what_a_book_says_of_disputes_is_not_heard_even_when_it_is_named(tmp_path: Path) -> None:
    """When a dispute became known stands nowhere, and the late are disputed more often."""
    path = write_book(tmp_path / "book.csv")
    named, _ = hold_history(path, asked=Asked(columns=("disputed=disputed",)))
    assert list(named) == history(path)
    assert not any(isinstance(event, DisputeOpened) for event in named)


def put_by(examples: Iterable[Answered], until_ms: int) -> list[Answered]:
    return [row for row in examples if row.decided_at.timestamp() * 1000 <= until_ms]


def test_cutting_the_future_off_changes_no_question_and_no_prediction(tmp_path: Path) -> None:
    """The strongest leak test: whatever a feature could learn from later events would show as a difference here."""
    events = history(write_book(tmp_path / "book.csv"))
    whole = Telling().tell(events).examples
    assert len(whole) > 400
    for share in (0.3, 0.6, 0.9):
        part = events[: int(len(events) * share)]
        assert list(Telling().tell(part).examples) == put_by(whole, part[-1].received_ms)


def test_what_becomes_of_an_invoice_later_does_not_change_what_was_said_before(tmp_path: Path) -> None:
    """The book of an earlier day does not know later payments: its predictions are a prefix of those of the whole book."""
    until = FIRST + timedelta(days=300)
    early = Telling().tell(history(write_book(tmp_path / "early.csv", until=until))).examples
    whole = Telling().tell(history(write_book(tmp_path / "whole.csv"))).examples
    assert len(early) > 200
    assert list(early) == list(whole)[: len(early)]


@pytest.mark.parametrize("days", [100, 300])
def test_a_book_of_an_earlier_day_tells_the_same_events_up_to_that_day(tmp_path: Path, days: int) -> None:
    """Nothing about an invoice, its amount least of all, may follow from whether and when it is paid later."""
    early = history(write_book(tmp_path / "early.csv", until=FIRST + timedelta(days=days)))
    whole = history(write_book(tmp_path / "whole.csv"))
    known = [event for event in whole if event.received_ms <= early[-1].received_ms]
    ended = {event.invoice_id for event in early if isinstance(event, PaymentReceived)}
    later = {event.invoice_id for event in whole if isinstance(event, PaymentReceived)} - ended
    assert later & {event.invoice_id for event in early if isinstance(event, InvoiceIssued)}
    assert early == known


def test_a_dispute_that_a_book_only_knows_afterwards_is_not_used(tmp_path: Path) -> None:
    path = write_book(tmp_path / "book.csv", invoices=40)
    assert not [event for event in history(path) if event.kind.startswith("dispute")]


def test_the_order_of_the_rows_does_not_change_the_predictions(tmp_path: Path) -> None:
    """Books list the unpaid last: an order that encodes the outcome must not help."""
    path = write_book(tmp_path / "book.csv", invoices=120)
    lines = path.read_text(encoding="utf-8").splitlines()
    turned = tmp_path / "turned.csv"
    turned.write_text("\n".join([lines[0], *reversed(lines[1:])]), encoding="utf-8")
    one, two = (Telling().tell(history(place)).examples for place in (path, turned))
    assert [row.questions for row in sorted(one, key=_name)] == [row.questions for row in sorted(two, key=_name)]


def _name(row: Answered) -> tuple[str, int]:
    return row.invoice_id, row.over_days


def test_no_label_is_learned_before_it_is_known(tmp_path: Path) -> None:
    examples = Telling().tell(history(write_book(tmp_path / "book.csv", invoices=120))).examples
    for row in examples:
        known_day = int(row.decided_at.timestamp()) // 86_400
        assert all(question.asked_ms // 86_400_000 <= known_day for question in row.questions)
        if row.over_days:
            assert known_day == row.due_day + row.over_days + 1


def test_the_usual_delay_that_we_are_held_against_knows_no_end_before_its_day() -> None:
    """Of three bills asked on days 0, 20 and 21 of which the first was paid on day 20, nine days late."""
    kept = Kept()
    for number, (asked, ended) in enumerate(((0, 20), (20, 40), (21, 90))):
        due = ended - 9
        put = Put(Landmark.ISSUE, asked * DAY_MS, bytes(PACKED), (0.3, 0.2, 0.1), (-5.0, 0.0, 9.0, 12.0))
        for over, known, questions in ((0, ended, ()), (LATE_DAYS[-1], due + 31, (put,))):
            kept.add(
                Answered(
                    "ada",
                    f"B{number}",
                    over,
                    late=over == 0,
                    days_late=9,
                    due_day=due,
                    known_ms=known * DAY_MS,
                    questions=questions,
                )
            )
    found = settlements_of(kept)
    assert found.median.tolist() == [0.0, 0.0, 9.0]
    assert found.known_day.tolist() == [20.0, 40.0, 90.0]


def test_the_report_stands_on_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.html"
    assert evaluate(write_book(tmp_path / "bücher & mehr.csv", invoices=160), report=report) == 0
    page = report.read_text(encoding="utf-8")
    assert "bücher &amp; mehr.csv" in page
    assert "<svg" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page
    shown = capsys.readouterr().out
    assert "P(more than 5 days late, asked at issue)" in shown
    assert "client's median of 12" in shown
    assert "batch twins are left out" not in shown
    assert " ".join(LEGEND.split()) in " ".join(shown.split())
    assert "each client's own median, known in hindsight" in shown
    assert "Against its own score at issue, on the same questions" in page
    assert max(len(line) for line in shown.splitlines() if "│" in line) <= 110
    assert shown.count("LightGBM monthly") == shown.count("logistic regression monthly") == shown.count("asked ")


def test_a_book_without_dates_of_payment_is_refused_with_the_option_that_helps(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("client_id,invoice_id,issue_date,amount\na,1,2024-01-01,10\n", encoding="utf-8")
    with pytest.raises(UsageError, match="--map settled_on=COLUMN"):
        evaluate(path)


def test_a_short_book_says_that_it_is_too_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(write_book(tmp_path / "book.csv", invoices=6)) == 1
    assert "too few answered questions" in capsys.readouterr().out
