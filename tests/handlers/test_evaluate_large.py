"""What keeps `rapport evaluate` bounded on a large book: questions kept once, twins refit seldom and never on the future."""

from dataclasses import replace
from io import StringIO

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from handlers.evaluation.answers import RunningMedian
from handlers.evaluation.batch import often, refit_days, refit_regularly
from handlers.evaluation.drawn import Drawn, Lead, ninety
from handlers.evaluation.judging import DaysJudged, judge_days, judge_heads, steps_of
from handlers.evaluation.kept import Answered, Kept, Put
from handlers.evaluation.metrics import Floats, auc
from handlers.evaluation.report import report_page
from handlers.evaluation.telling import Told
from handlers.terminal.waiting import TimeToGo, bar
from models.features import FEATURES, Landmark, pack, unpack
from tests.models.examples import example


def answered(number: int, over_days: int, *, put: int = 1) -> Answered:
    questions = tuple(
        Put(Landmark(place), number * 10 + place, pack([0.5] * len(FEATURES)), (0.5, 0.25, -1.0), ()) for place in range(put)
    )
    days_late = None if over_days else number
    return Answered(f"C{number % 3}", f"I{number}", over_days, bool(number % 2), days_late, 100, over_days, questions)


def test_what_is_kept_is_what_was_answered_and_a_question_is_held_once_for_all_its_answers() -> None:
    told = [answered(number, over, put=put) for over, put in ((5, 2), (15, 4), (30, 5), (0, 0)) for number in range(2_000)]
    kept = Kept(told)
    assert (list(kept), list(kept)) == (told, told)  # also a second time
    early, middle, late = (kept.asked(over, Landmark.WEEK_BEFORE)[1].tolist() for over in (5, 15, 30))
    assert early == middle == late
    assert len(set(early)) == 2_000
    assert [place for over in (5, 15) for place in kept.asked(over, Landmark.WEEK_AFTER)[1]] == []
    assert kept.about(0).tolist() == list(range(6_000, 8_000))


def test_features_come_back_as_they_were_put_whatever_order_they_are_asked_for() -> None:
    kept = Kept()
    for number in range(12):
        kept.take(example(number))
    answers, places = kept.asked(5, Landmark.ISSUE)
    told, rows = list(kept), kept.questions(places[::-1])
    assert [tuple(row.tolist()) for row in rows["features"][::-1]] == [
        unpack(told[place].questions[0].features) for place in answers
    ]
    assert kept.questions(places[:0]).shape == (0,)


def test_a_twin_sees_only_what_was_known_before_each_refit_and_predicts_everything_from_the_first_on() -> None:
    asked = np.arange(0.0, 300.0)
    known, targets = asked + 20, (np.arange(300) % 2).astype(float)
    fits: list[float] = []
    done: list[int] = []

    def fit(features: Floats, labels: Floats) -> object:
        fits.append(float(features.max()))
        return lambda rows: np.full(len(rows), labels.mean())

    found = refit_regularly(
        fit,  # type: ignore[arg-type]
        every=30,
        asked=asked,
        known=known,
        features=known.reshape(-1, 1).astype(np.float16),
        targets=targets,
        before=np.full(300, -1.0),
        first=180,
        done=done.append,
    )
    assert done == [30, 30, 30, 30]
    assert fits == [known[known < day].max() for day in (180, 210, 240, 270)]
    assert (found[:180] == -1.0).all()
    assert (found[180:] == 0.5).all()


def test_judging_counts_every_step_whether_a_head_has_figures_or_not() -> None:
    late = [replace(answered(number, 5), days_late=number % 9) for number in range(300)]
    kept = Kept([*late, *(answered(number, over, put=4) for over in (15, 30) for number in range(300))])
    counted: list[float] = []
    said: list[str | None] = []

    def count(things: float = 1, *, words: str | None = None) -> None:
        counted.append(things)
        said.append(words)

    assert list(judge_heads(kept, twins=False, count=count))
    judge_days(kept, twins=False, count=count)
    assert sum(counted) == steps_of(kept, twins=False) > 0
    assert "judging more than 15 days, at issue" in said


def test_the_time_to_go_is_that_of_the_whole_and_not_of_the_last_half_minute() -> None:
    now = [0.0]
    progress = bar(Console(file=StringIO()), clock=lambda: now[0])
    task = progress.add_task("telling the history", total=1_000)
    assert TimeToGo().render(progress.tasks[0]).plain == "-:--:--"
    for second in range(1, 401):
        now[0] = second
        progress.advance(task, 1)
    now[0] = 500  # a night of the history
    assert TimeToGo().render(progress.tasks[0]).plain == "0:12:30"
    progress.update(task, completed=1_000)
    assert TimeToGo().render(progress.tasks[0]).plain == "0:00:00"


def test_refits_are_monthly_and_on_long_histories_no_more_than_two_dozen() -> None:
    assert often(refit_days(np.array([0.0, 200.0]))) == "monthly"
    assert refit_days(np.array([0.0, 2399.0])) == 100
    assert often(100) == "every 100 days"


def test_the_range_of_a_large_book_is_narrow_and_holds_the_figure() -> None:
    dice = np.random.default_rng(2)
    labels = (dice.random(30_000) < 0.3).astype(float)
    chances = np.clip(0.3 + 0.2 * labels + dice.normal(0, 0.2, 30_000), 0, 1)
    low, high = ninety(Drawn([f"c{number % 900}" for number in range(30_000)]).aucs(chances, labels))
    assert low < auc(chances, labels) < high < low + 0.02


@given(st.lists(st.integers(-40, 400), max_size=60))
def test_the_running_median_is_the_middle_of_the_sorted_values_after_each_one(values: list[int]) -> None:
    running = RunningMedian()
    assert running.value == 0
    for count, value in enumerate(values, start=1):
        running.add(value)
        assert running.value == sorted(values[:count])[count // 2]


def test_a_report_of_a_history_too_young_to_judge_its_ranges_says_the_days_alone() -> None:
    leads = dict.fromkeys(("Rapport", "client's median of 12"), Lead(1.0, 0.5, 1.5, clients=30))
    days = DaysJudged(
        invoices=50, settled=50, errors={"Rapport": 3.0, "client's median of 12": 4.0}, leads=leads, hindsight=None, held=()
    )
    page = report_page("book.csv", told=Told(), heads=[], days=days, silence="too few", unknown=[], reading=["a <b>"], notes=[])
    assert "off by 3.0 days on average; the client's usual delay alone by 4.0.</li>" in page
    assert "<li>Too few.</li>" in page
    assert "a &lt;b&gt;" in page


def test_an_interval_over_one_client_alone_is_that_of_its_questions_and_not_a_point() -> None:
    labels = np.arange(200) % 3 == 0
    low, high = ninety(Drawn(["c1"] * 200).means(labels.astype(float)))
    assert low < labels.mean() < high
    assert high - low < 0.2
