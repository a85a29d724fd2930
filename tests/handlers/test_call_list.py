"""Whom to call first: by what a call may bring, on phone days, and never by comparing currencies."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.channels.call_list import CallList, call_list, chances_of, phone_days_of
from handlers.channels.tasks import DECISIONS, Done, Task, TaskOutcome
from handlers.cli import run
from models.money import Money
from streams.runtime.errors import UsageError
from tests.handlers.channel_examples import NOW, trigger

MONDAY = date(2026, 3, 2)
TUE_THU = phone_days_of("tue,thu")


def task(name: str, minor: int | None = 100_000, *, segment: str = "slow", currency: str = "EUR", days: int = 10) -> Task:
    facts = {} if minor is None else {"amount_open": Money(minor, currency)}
    given_trigger = trigger(name, channel="task", segment=segment, facts=facts, expires_at=NOW + timedelta(days=days))
    return Task(trigger=given_trigger, name=name, subject=f"Speak with {name}", text="text")


def ended(outcome: TaskOutcome, count: int, segment: str = "problem") -> list[Task]:
    done = Done(outcome=outcome, author="eva", at_ms=1)
    return [replace(task(f"{outcome}{number}", segment=segment), done=done) for number in range(count)]


def listed(tasks: list[Task], *, capacity: int = 9, past: list[Task] | None = None, today: date = MONDAY) -> CallList:
    return call_list(tasks, ended=past or [], today=today, phone_days=TUE_THU, capacity=capacity)


def names(found: CallList) -> list[str]:
    return [call.task.name for call in found.calls]


def test_the_list_is_for_the_next_phone_day_today_included() -> None:
    assert (listed([]).day, listed([]).next_day) == (date(2026, 3, 3), date(2026, 3, 5))
    assert listed([], today=date(2026, 3, 3)).day == date(2026, 3, 3)
    assert listed([], today=date(2026, 3, 6)).day == date(2026, 3, 10)


def test_what_became_of_messages_that_were_put_before_a_person_teaches_nothing_about_calls() -> None:
    put = [
        replace(row, trigger=row.trigger.model_copy(update={"step": "approve_note"})) for row in ended(TaskOutcome.APPROVED, 20)
    ]
    assert chances_of(put) == chances_of([])


def test_more_money_times_more_chance_goes_first() -> None:
    tasks = [task("problem", 150_000, segment="problem"), task("reliable", 100_000, segment="reliable"), task("small", 5_000)]
    assert names(listed(tasks)) == ["reliable", "problem", "small"]


def test_what_exceeds_the_capacity_waits_for_the_next_phone_day() -> None:
    found = listed([task(f"t{number}", 1_000 * number) for number in range(1, 6)], capacity=2)
    assert names(found) == ["t5", "t4"]
    assert [call.task.name for call in found.waiting] == ["t3", "t2", "t1"]


def test_what_falls_due_before_the_next_phone_day_goes_first_whatever_it_brings() -> None:
    assert names(listed([task("large", 9_000_000), task("pressing", 100, days=2)])) == ["pressing", "large"]


def test_who_has_no_phone_number_takes_no_place_of_a_call() -> None:
    tasks = [task("large", 9_000), task("small", 100), task("middle", 500)]
    found = call_list(tasks, ended=[], today=MONDAY, phone_days=TUE_THU, capacity=1, numberless={tasks[0].task_id})
    assert names(found) == ["middle"]
    assert [call.task.name for call in found.waiting] == ["small"]
    assert [call.task.name for call in found.unreached] == ["large"]


@given(
    st.lists(st.tuples(st.integers(1, 9_000), st.booleans(), st.booleans()), max_size=8),
    st.integers(0, 9),
)
def test_who_may_be_called_now_goes_before_who_may_not_within_what_presses_and_what_does_not(
    rows: list[tuple[int, bool, bool]], capacity: int
) -> None:
    tasks = [task(f"t{place}", minor, days=2 if presses else 10) for place, (minor, presses, _) in enumerate(rows)]
    asleep = {tasks[place].task_id for place, (*_, sleeps) in enumerate(rows) if sleeps}
    day = date(2026, 3, 3)
    found = call_list(tasks, ended=[], today=day, phone_days=TUE_THU, capacity=capacity, asleep=asleep)
    order = [(not call.pressing, call.task.task_id in asleep, -call.worth) for call in (*found.calls, *found.waiting)]
    assert order == sorted(order)
    assert len(found.calls) == min(capacity, len(rows))
    planned = call_list(tasks, ended=[], today=MONDAY, phone_days=TUE_THU, capacity=capacity, asleep=asleep)
    assert planned == call_list(tasks, ended=[], today=MONDAY, phone_days=TUE_THU, capacity=capacity)  # another day: not yet


def test_currencies_take_turns_and_tasks_without_money_come_last() -> None:
    tasks = [task("yen", 9_000_000, currency="JPY"), task("eur1", 900), task("eur2", 500), task("request", None)]
    assert names(listed(tasks)) == ["eur1", "yen", "eur2", "request"]


def test_how_calls_have_ended_changes_whom_to_call_first() -> None:
    tasks = [task("problem", 100_000, segment="problem"), task("slow", 90_000, segment="slow")]
    assert names(listed(tasks)) == ["slow", "problem"]
    assert names(listed(tasks, past=ended(TaskOutcome.PROMISE, 40))) == ["problem", "slow"]


@given(good=st.integers(0, 60), bad=st.integers(0, 60))
def test_a_chance_is_a_share_and_grows_with_every_effect(good: int, bad: int) -> None:
    past = [*ended(TaskOutcome.REACHED, good), *ended(TaskOutcome.NO_ANSWER, bad)]
    chance = chances_of(past)["problem"]
    assert 0 < chance < 1
    assert chances_of([*past, *ended(TaskOutcome.PROMISE, 1)])["problem"] > chance
    assert chances_of([*past, *ended(TaskOutcome.WRONG_CONTACT, 1)])["problem"] < chance


@given(amounts=st.lists(st.integers(1, 10**9), max_size=20), capacity=st.integers(0, 25))
def test_every_task_is_called_or_waits_and_none_twice(amounts: list[int], capacity: int) -> None:
    found = listed([task(f"t{place}", minor) for place, minor in enumerate(amounts)], capacity=capacity)
    both = [call.task.name for call in (*found.calls, *found.waiting)]
    assert sorted(both) == sorted(f"t{place}" for place in range(len(amounts)))
    assert len(found.calls) == min(capacity, len(amounts))


@pytest.mark.parametrize("text", ["", "tue,someday", "2"])
def test_phone_days_that_are_none_are_refused_by_the_name_of_the_setting(text: str) -> None:
    with pytest.raises(UsageError, match="RAPPORT_PHONE_DAYS"):
        phone_days_of(text)


def test_the_help_of_tasks_teaches_each_ending_and_the_phone_days(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tasks", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert all(outcome.value.replace("_", "-") in said for outcome in set(TaskOutcome) - DECISIONS)
    assert all(f"│ {word} " in said for word in ("approve", "hold"))  # the endings of a message put before a person
    assert "rapport tasks calls --capacity 8" in said
    assert "RAPPORT_PHONE_DAYS" in said


def test_one_call_without_an_answer_says_little_of_a_segment_and_twenty_say_much() -> None:
    before, one, twenty = (chances_of(ended(TaskOutcome.NO_ANSWER, count, "slow"))["slow"] for count in (0, 1, 20))
    assert before - 0.1 < one < before
    assert twenty < before / 2
