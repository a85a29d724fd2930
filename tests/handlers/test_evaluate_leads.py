"""What an evaluation says beyond figures: whether a lead is more than chance, and what nobody could have known."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from handlers.commands.evaluate import days_table, head_table
from handlers.evaluation.drawn import FEW_CLIENTS, Drawn, Lead, lead_of, ninety
from handlers.evaluation.hindsight import DaysKnown, SharesKnown, days_known, other_medians, own_medians, shares_known
from handlers.evaluation.judging import AT_ISSUE, DaysJudged, Judged, Row
from handlers.evaluation.metrics import Bin, Floats, auc, log_loss, log_losses
from handlers.evaluation.report import report_page
from handlers.evaluation.telling import Told
from models.features import Landmark

WIDE = 110
World = tuple[list[str], Floats, Callable[[float], Floats]]


def world(seed: int, *, clients: int = 60, invoices: int = 8, usual: float = -0.8) -> World:
    """Clients with a chance of their own each, outcomes, and predictors that know it but for so much noise a client."""
    dice = np.random.default_rng(seed)
    owner = np.repeat(np.arange(clients), invoices)
    truth = dice.normal(usual, 1.2, clients)
    labels = (dice.random(len(owner)) < 1 / (1 + np.exp(-truth[owner]))).astype(float)

    def predictor(noise: float) -> Floats:
        logits = (truth + dice.normal(0, noise, clients))[owner] + dice.normal(0, 0.1, len(owner))
        chances: Floats = 1 / (1 + np.exp(-logits))
        return chances

    return [f"C{place}" for place in owner], labels, predictor


def leads(clients: Sequence[str], labels: Floats, one: Floats, other: Floats) -> tuple[Lead, Lead]:
    drawn = Drawn(clients)
    rests = drawn.telling(labels)
    lost = [log_losses(chances, labels) for chances in (other, one)]
    return (
        lead_of(auc(one, labels) - auc(other, labels), drawn.aucs(one, labels) - drawn.aucs(other, labels), clients=rests),
        lead_of(float(lost[0].mean() - lost[1].mean()), drawn.means(lost[0]) - drawn.means(lost[1]), clients=rests),
    )


def span(lead: Lead) -> tuple[float, float, float]:
    return lead.by, lead.low, lead.high


def test_a_figure_of_drawn_clients_is_that_of_their_questions_as_often_as_they_were_drawn() -> None:
    clients, labels, predictor = world(1, clients=7, invoices=5)
    chances = predictor(1.0).round(1)  # with ties
    drawn = Drawn(clients)
    names = np.unique(clients)
    dice = np.random.default_rng(20_260_101)
    for found_auc, found_loss in zip(drawn.aucs(chances, labels), drawn.means(log_losses(chances, labels)), strict=True):
        picked = names[dice.integers(0, len(names), len(names))]
        rows = np.concatenate([np.flatnonzero(np.array(clients) == name) for name in picked])
        assert found_auc == pytest.approx(auc(chances[rows], labels[rows]), nan_ok=True)
        assert found_loss == pytest.approx(log_loss(chances[rows], labels[rows]))


def test_no_predictor_leads_itself() -> None:
    clients, labels, predictor = world(2)
    ours = predictor(0.5)
    assert [span(lead) for lead in leads(clients, labels, ours, ours)] == [(0.0, 0.0, 0.0)] * 2
    assert {lead.word for lead in leads(clients, labels, ours, ours)} == {"not told apart"}


def test_who_is_ahead_of_another_is_what_the_other_is_behind() -> None:
    clients, labels, predictor = world(3)
    one, other = predictor(0.3), predictor(0.9)
    for forth, back in zip(leads(clients, labels, one, other), leads(clients, labels, other, one), strict=True):
        assert span(forth) == pytest.approx((-back.by, -back.high, -back.low))


def test_the_order_of_the_questions_changes_no_lead() -> None:
    clients, labels, predictor = world(4)
    one, other = predictor(0.3), predictor(0.9)
    mixed = np.random.default_rng(4).permutation(len(labels))
    turned = leads([clients[place] for place in mixed], labels[mixed], one[mixed], other[mixed])
    for lead, again in zip(leads(clients, labels, one, other), turned, strict=True):
        assert span(lead) == pytest.approx(span(again))


@pytest.mark.parametrize("seed", range(5))
def test_a_clearly_better_predictor_is_told_apart(seed: int) -> None:
    clients, labels, predictor = world(seed)
    one, other = predictor(0.2), predictor(3.0)
    assert {lead.word for lead in leads(clients, labels, one, other)} == {"ahead"}
    assert {lead.word for lead in leads(clients, labels, other, one)} == {"behind"}


def test_two_that_are_as_good_are_seldom_told_apart() -> None:
    """In a tenth of all worlds, by what 90 % means; in at most a quarter of these."""
    found = [world(seed) for seed in range(100, 140)]
    said = [leads(clients, labels, predictor(0.7), predictor(0.7)) for clients, labels, predictor in found]
    for figure in zip(*said, strict=True):
        assert sum(lead.word in {"ahead", "behind"} for lead in figure) <= len(found) / 4


def test_few_clients_or_few_with_the_rarer_outcome_get_no_word_however_clear_it_looks() -> None:
    clients, labels, predictor = world(5, clients=FEW_CLIENTS - 1, invoices=30)
    assert {lead.word for lead in leads(clients, labels, predictor(0.1), predictor(3.0))} == {"too few clients"}
    clients, labels, predictor = world(6, clients=80, usual=-6.0)
    late = {client for client, label in zip(clients, labels, strict=True) if label}
    assert 1 < len(late) < FEW_CLIENTS
    assert Drawn(clients).telling(labels) == len(late)
    assert {lead.word for lead in leads(clients, labels, predictor(0.1), predictor(3.0))} == {"too few clients"}
    assert leads(["alone"] * len(labels), labels, labels, 1 - labels)[0].word == "too few clients"


ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(-20, 60), st.booleans()), min_size=2, max_size=40)


@given(ROWS, st.lists(st.integers(-30, 70), min_size=6, max_size=6))
def test_no_number_per_client_is_below_the_medians_known_in_hindsight(rows: list[tuple[int, int, bool]], said: list[int]) -> None:
    codes, days = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    known = days_known(days, [f"C{code}" for code in codes], np.ones(len(rows), dtype=bool))
    assert known.own <= np.abs(days - np.array(said, dtype=float)[codes]).mean() + 1e-9
    assert known.own <= known.others + 1e-9
    assert (known.clients, known.alone) == (len(set(codes)), int((np.bincount(codes) == 1).sum()))


@given(ROWS, st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_no_chance_per_client_is_better_than_the_shares_known_in_hindsight(
    rows: list[tuple[int, int, bool]], said: list[float]
) -> None:
    codes, labels = np.array([row[0] for row in rows]), np.array([float(row[2]) for row in rows])
    labels[:2] = 0.0, 1.0
    chances = np.array(said)[codes]
    known = shares_known(labels, [f"C{code}" for code in codes], slice(0, None))
    assert known.own_log_loss <= log_loss(chances, labels) + 1e-9
    assert known.own_auc >= auc(chances, labels) - 1e-9


@given(ROWS)
def test_medians_of_a_client_are_those_of_its_invoices_with_and_without_the_one_judged(rows: list[tuple[int, int, bool]]) -> None:
    codes, days = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    own, others = own_medians(days, codes), other_medians(days, codes)
    for place, code in enumerate(codes):
        mine = np.flatnonzero(codes == code)
        rest = mine[mine != place]
        assert own[place] == np.median(days[mine])
        assert others[place] == np.median(days[rest] if len(rest) else days)


def test_hindsight_flatters_where_clients_are_all_alike_and_their_other_invoices_do_not() -> None:
    dice = np.random.default_rng(8)
    clients = [f"C{number // 3}" for number in range(3_000)]
    labels = (dice.random(3_000) < 0.3).astype(float)
    known = shares_known(labels, clients, slice(0, None))
    entropy = log_loss(np.full(3_000, 0.3), labels)
    assert known.own_auc > 0.8
    assert known.own_log_loss < entropy - 0.2
    assert known.others_auc == pytest.approx(0.5, abs=0.05)
    assert entropy - 0.005 < known.others_log_loss < entropy + 0.03


@pytest.mark.parametrize("seed", range(3))
def test_what_a_client_s_true_chances_come_to_lies_between_its_own_share_and_that_of_its_others(seed: int) -> None:
    dice = np.random.default_rng(seed)
    truth = np.repeat(dice.beta(1, 2, 300), 5)
    labels = (dice.random(len(truth)) < truth).astype(float)
    known = shares_known(labels, [f"C{number // 5}" for number in range(len(truth))], slice(0, None))
    assert known.own_auc > auc(truth, labels) > known.others_auc
    assert known.own_log_loss < log_loss(truth, labels) < known.others_log_loss


def test_a_late_and_a_prompt_invoice_of_one_client_tie_for_who_knows_only_whose_they_are() -> None:
    known = shares_known(np.array([1.0, 0.0]), ["a", "a"], slice(0, None))
    assert (known.own_auc, known.others_auc) == (0.5, 0.5)


def test_only_the_judged_part_has_an_own_share_and_others_are_sought_everywhere() -> None:
    labels = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 0.0])
    known = shares_known(labels, ["a", "a", "b", "b", "a", "b"], slice(4, None))
    assert (known.own_auc, known.others_auc, known.alone) == (1.0, 1.0, 2)
    days = np.array([10.0, 12.0, 0.0, 40.0])
    found = days_known(days, ["a", "a", "b", "a"], np.array([False, False, True, True]))
    assert (found.own, found.others) == (0.0, (29.0 + 11.0) / 2)  # b has no other: the median of all, 11


def judged(row: Row) -> Judged:
    known = SharesKnown(0.9, 0.2, 0.8, 0.3, 7)
    ours = replace(row, predictor="Rapport", auc_lead=Lead(0, 0, 0, 90), log_loss_lead=Lead(0, 0, 0, 90))
    spans = ((0.7, 0.9), (0.2, 0.4))
    return Judged(Landmark.DUE, 15, 1_000, 90, 0.2, (ours, row), *spans, known, (Bin(0.2, 0.3, 9),), (0.1, 0.2), (0.1, 0.2))


def shown(table: object) -> str:
    console = Console(width=200, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_the_table_says_ahead_or_behind_where_it_is_told_and_fits_a_terminal_with_the_longest_names() -> None:
    long = "logistic regression every 365 days"
    told = shown(head_table(judged(Row(long, 0.8, Lead(-0.2, -0.3, -0.123, 90), 1.2, Lead(0.1, 0.1234, 0.345, 90), 0.1, 0.1))))
    assert "behind .123-.300" in told
    assert "ahead .123-.345" in told
    assert "client's share, in hindsight" in told
    assert max(map(len, told.splitlines())) <= WIDE
    untold = shown(head_table(judged(Row("x", 0.8, Lead(0.1, -0.05, 0.2, 90), 1.2, Lead(-0.1, -0.3, 0.01, 90), 0.1, 0.1))))
    assert "-.050 to +.200" in untold
    assert "-.300 to +.010" in untold
    assert not {"ahead", "behind", "rarer outcome"} & set(untold.split())
    few = shown(head_table(judged(Row("x", 0.8, Lead(0.1, 0.05, 0.2, 3), 1.2, Lead(0.1, 0.1, 0.2, 3), 0.1, 0.1))))
    assert "ahead" not in few
    days = DaysJudged(9, 9, {"Rapport": 3.0, "x": 4.0}, {"Rapport": Lead(0, 0, 0, 90), "x": Lead(1, 0.5, 12, 90)}, None, ())
    assert "ahead .50-12.00" in shown(days_table(days))


def test_the_page_says_how_much_is_chance_what_waiting_told_and_what_nobody_could_know() -> None:
    ahead, unsure, few = Lead(0.05, 0.0123, 0.2, 90), Lead(-0.01, -0.0456, 0.03, 90), Lead(0.1, 0.1, 0.2, 3)
    head = replace(judged(Row(AT_ISSUE, 0.8, unsure, 0.4, ahead, 0.1, 0.1)), over_days=5)
    leads = {"Rapport": Lead(0, 0, 0, 90), "client's median of 12": ahead, "LightGBM": few}
    days = DaysJudged(99, 90, dict.fromkeys(leads, 4.0), leads, DaysKnown(2.5, 3.5, 40, 5), ())
    page = report_page("book.csv", told=Told(), heads=[head], days=days, silence="", unknown=[], reading=[], notes=[])
    assert "the score on the due date gains AUC &minus;.010 (&minus;.046 to +.030: not told apart) and log loss +.050" in page
    assert "(+.012 to +.200: a gain)" in page
    assert f"{AT_ISSUE}: 80%, not told apart from Rapport" in page
    assert "ahead<br><small>+.05 (+.01 to +.20)" in page
    assert "too few clients<br>" in page
    assert (
        "off by less than 2.5 days, even in hindsight; the median of all other invoices of a client, earlier and later, is"
        in page
    )
    assert "40 clients, 5 of them with one invoice" in page
    assert "1,000 questions of 90 clients, 7 of them with one question; 20.0% of the invoices were late." in page.replace(
        "\n", ""
    )
    assert "share of its other invoices" in page


def test_draws_without_both_outcomes_are_left_out_of_a_range() -> None:
    assert ninety(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)
    assert all(np.isnan(ninety(np.array([np.nan]))))
    drawn = Drawn(["a", "b"])
    aucs = drawn.aucs(np.array([0.9, 0.1]), np.array([1.0, 0.0]))
    assert np.isnan(aucs).any()
    assert set(aucs[np.isfinite(aucs)]) == {1.0}
