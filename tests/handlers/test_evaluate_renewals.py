"""`rapport evaluate-renewals`: nothing of the future reaches a chance, every kind of file is read, and the truth is met."""

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.commands.agreements.columns import Field, choose_fields
from handlers.commands.agreements.events import ContractHistory, contract_history
from handlers.commands.agreements.reading import AskedContracts, read_agreements
from handlers.commands.evaluate_renewals import AskedValue, evaluate_renewals
from handlers.evaluation.contract_world import KINDS, Life, Stretch, World
from handlers.evaluation.renewal_telling import RenewalsTold, RenewalTelling
from handlers.evaluation.world_events import events_of
from handlers.evaluation.world_truth import luck_of, true_months, truth_of
from models.learners.lifetime import ValueTerms
from models.learners.payback import paybacks
from models.triggers import RenewalExample
from models.workdays import DAY_MS, moment
from streams.runtime.errors import UsageError

WORLD = World(5, clients=36, years=3.0, opens=2.0)


@cache
def lives() -> tuple[Life, ...]:
    return tuple(WORLD.lives())


@cache
def told(until: int) -> RenewalsTold:
    return RenewalTelling().tell(events_of(lives(), until_day=until), until_ms=(until + 1) * DAY_MS)


def date(day: int) -> str:
    return moment(day * DAY_MS).date().isoformat()


def write_periods(path: Path, *, until: int, header: Sequence[str] = ()) -> Path:
    """A row per period; of one that is not over nothing is said."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            header or ["client_id", "contract_id", "contract type", "start date", "end date", "amount", "renewed", "upgraded"]
        )
        for life in lives():
            for row in life.stretches:
                if row.began <= until:
                    over = row.renews <= until
                    renewed, raised = ("yes" if row.renewed else "no", "yes" if row.raised else "no") if over else ("", "")
                    price = f"{row.price / 100:.2f}"
                    writer.writerow(
                        [
                            life.client_id,
                            row.contract_id,
                            row.kind.name,
                            date(row.began),
                            date(row.renews),
                            price,
                            renewed,
                            raised,
                        ]
                    )
    return path


def history(path: Path, period_days: int | None = None) -> ContractHistory:
    return contract_history(read_agreements(path, asked=AskedContracts(), home_currency="EUR"), period_days=period_days)


def tell(found: ContractHistory) -> list[RenewalExample]:
    return RenewalTelling(unknown=found.unknown).tell(found.events, until_ms=(found.last_day + 1) * DAY_MS).examples


def test_the_fold_answers_every_renewal_as_it_was_in_truth() -> None:
    truth = {(row.contract_id, row.renews): row for life in lives() for row in life.stretches}
    examples = told(WORLD.last_day).examples
    assert len(examples) > 100
    for row in examples:
        real = truth[row.contract_id, row.renews_day]
        assert (row.renewed, row.raised, row.minor, row.after) == (real.renewed, real.raised, row.minor, real.after)
        assert row.age == real.age


def test_cutting_the_future_off_changes_no_question_and_no_chance() -> None:
    """The strongest leak test: whatever a feature or a learner could take from later events would show here."""
    until = WORLD.last_day - 300
    whole = [row for row in told(WORLD.last_day).examples if row.decided_at < moment((until + 1) * DAY_MS)]
    assert len(whole) > 60
    assert told(until).examples == whole


def test_an_answer_comes_after_all_of_its_questions_and_teaches_none_before() -> None:
    examples = told(WORLD.last_day).examples
    versions = {row.version for example in examples for row in example.questions}
    assert len(versions) > 20
    for example in examples:
        known = example.decided_at.timestamp() * 1000
        assert all(row.asked_ms < known for row in example.questions)
        for row in example.questions:
            learned = int(row.version.rpartition(".")[2]) if row.version != "renewal-0" else 0
            answered = sum(other.decided_at.timestamp() * 1000 < row.asked_ms for other in examples)
            assert learned <= answered


def test_payback_agrees_with_the_truth_within_its_range() -> None:
    terms = ValueTerms(acquisition_units=12_000)
    truth = true_months(list(World(5, clients=400, years=7.0, opens=2.0).lives()), terms, won_by=WORLD.last_day)
    found = {row.group: row for row in paybacks(told(WORLD.last_day).weights.retention, terms)}
    real = truth["firm"]
    assert real is not None
    low, high = found["firm"].low, found["firm"].high
    assert low is not None
    assert high is not None
    assert low - 1 <= real <= high + 1


def test_a_file_of_periods_tells_the_same_renewals_as_the_events_themselves(tmp_path: Path) -> None:
    found = history(write_periods(tmp_path / "contracts.csv", until=WORLD.last_day))
    truth = {(row.contract_id, row.renews): row.renewed for life in lives() for row in life.stretches}
    examples = tell(found)
    assert len(examples) > 100
    for row in examples:
        assert row.renewed is truth[row.contract_id.partition("/")[2], row.renews_day]


def test_an_earlier_file_gives_the_beginning_of_what_a_later_one_gives(tmp_path: Path) -> None:
    until = WORLD.last_day - 200
    early = tell(history(write_periods(tmp_path / "early.csv", until=until)))
    whole = tell(history(write_periods(tmp_path / "whole.csv", until=WORLD.last_day)))
    last = max(row.decided_at for row in early)
    assert len(early) > 50
    assert [row.questions for row in early] == [row.questions for row in whole if row.decided_at <= last]


def test_the_order_of_the_rows_changes_nothing(tmp_path: Path) -> None:
    path = write_periods(tmp_path / "contracts.csv", until=WORLD.last_day)
    lines = path.read_text(encoding="utf-8").splitlines()
    turned = tmp_path / "turned.csv"
    turned.write_text("\n".join([lines[0], *reversed(lines[1:])]), encoding="utf-8")
    assert tell(history(path)) == tell(history(turned))


def test_a_file_of_whole_contracts_is_unrolled_into_the_periods_it_must_have_had(tmp_path: Path) -> None:
    path = tmp_path / "subscribers.csv"
    path.write_text(
        "customer;plan;start;end;price\nÅsa & Co;gold;31.01.2022;;1.200,00\nBo;gold;15.03.2022;16.03.2024;1.200,00\n"
        "Cy;gold;01.02.2022;20.06.2022;1.200,00\nDi;gold;05.01.2025;;1.200,00\n",
        encoding="utf-8",
    )
    found = history(path, period_days=365)
    spans = {rows[0].client: [(date(row.end), row.renewed) for row in rows] for rows in found.spans.values()}
    assert spans["Åsa & Co"] == [("2023-01-31", True), ("2024-01-31", True), ("2025-01-31", None)]
    assert spans["Bo"] == [("2023-03-15", True), ("2024-03-15", False)]
    assert spans["Cy"] == [("2023-02-01", False)]
    assert spans["Di"] == [("2026-01-05", None)]
    assert found.spans["Bo/gold"][0].minor == 120_000


def test_rows_that_follow_on_each_other_are_renewals_even_without_a_column_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "periods.csv"
    path.write_text(
        "client,start,end,amount\na,2022-01-01,2022-07-01,100\na,2022-07-01,2023-01-01,130\na,2023-09-01,2024-03-01,100\n"
        "b,2022-01-01,2022-07-01,100\nc,2024-06-01,2024-12-01,100\nc,nonsense,2024-12-01,100\n",
        encoding="utf-8",
    )
    agreements = read_agreements(path, asked=AskedContracts(), home_currency="EUR")
    found = contract_history(agreements, period_days=None)
    renewed = {name: [row.renewed for row in rows] for name, rows in found.spans.items()}
    assert renewed == {"a/contract": [True, False], "a/contract#1": [False], "b/contract": [False], "c/contract": [None]}
    assert agreements.reasons == ["line 7: 'nonsense' is not a date"]


def test_a_file_that_says_nothing_about_renewals_is_refused_with_the_options_that_help(tmp_path: Path) -> None:
    path = tmp_path / "contracts.csv"
    path.write_text("client,start,end,amount\na,2022-01-01,2022-07-01,100\nb,2022-01-01,2022-07-01,100\n", encoding="utf-8")
    with pytest.raises(UsageError, match="--map renewed=COLUMN, or --period DAYS"):
        evaluate_renewals(path)
    path.write_text("who,begin,amount\na,2022-01-01,100\n", encoding="utf-8")
    with pytest.raises(UsageError, match="--map client=COLUMN --map end=COLUMN"):
        evaluate_renewals(path)
    with pytest.raises(UsageError, match="--synthetic CLIENTS"):
        evaluate_renewals()


def test_columns_are_found_whatever_accents_their_names_carry() -> None:
    header = ["Kunde", "Beginn", "Ende", "Betrag", "Währung", "Verlängert"]
    found = choose_fields(header, ())
    assert [found[meaning] for meaning in (Field.CURRENCY, Field.RENEWED)] == header[4:]


def test_the_report_stands_on_its_own_and_names_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.html"
    path = write_periods(tmp_path / "verträge & mehr.csv", until=WORLD.last_day)
    assert evaluate_renewals(path, report=report, value=AskedValue(cost_of=("type:retainer=9000",), cost=12_000)) == 0
    page = report.read_text(encoding="utf-8")
    assert "verträge &amp; mehr.csv" in page
    assert "<svg" in page
    assert "http" not in page
    assert "<script" not in page
    shown = capsys.readouterr().out
    assert "P(renewed, asked 14 days before)" in shown
    assert "9000.00 EUR" in shown
    short = tmp_path / "short.csv"
    short.write_text("client,start,end,amount,renewed\na,2022-01-01,2022-07-01,100,yes\n", encoding="utf-8")
    assert evaluate_renewals(short) == 1
    shown = capsys.readouterr().out
    assert "too few answered renewals" in shown


def test_the_truth_of_a_made_up_firm_is_a_chance_for_every_period() -> None:
    truth = truth_of(lives())
    assert all(0 < chance < 1 and raised < chance for chance, raised in truth.values())
    assert tuple(World(5, clients=36, years=3.0, opens=2.0).lives()) == lives()


def stretch(*, renewed: bool, chance: float, renews: int = 20_100) -> Stretch:
    kind = KINDS[1]
    after = 500_000 if renewed else 0
    return Stretch(
        "K1", kind, 1, renews - kind.days, renews, 500_000, 500_000, chance, 0.0, renewed, raised=False, after=after, told=renews
    )


@given(chance=st.floats(0.01, 0.99))
def test_what_renewals_bring_by_luck_is_nought_on_average_and_nothing_where_the_chance_was_sure(chance: float) -> None:
    def luck(*, renewed: bool, chance: float = chance, cut: int = 20_000) -> int:
        life = Life("C1", [stretch(renewed=renewed, chance=chance)])
        return luck_of([life], cut_day=cut, until_day=21_500)

    assert luck(renewed=True) > 0 > luck(renewed=False)
    assert chance * luck(renewed=True) + (1 - chance) * luck(renewed=False) == pytest.approx(0, abs=2)
    assert luck(renewed=True, chance=1.0) == luck(renewed=False, chance=0.0) == 0
    assert luck(renewed=True, cut=20_200) == 0, "what was over by the cut is not judged"
