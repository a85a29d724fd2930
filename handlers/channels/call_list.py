"""Whom to call first when hours are limited. Calls are batched on the firm's phone days and ranked by what they may bring. Pure.

What a call may bring is the money at stake times the chance that it has an effect. The chance is learnt from how tasks about
clients of the same segment have ended, drawn towards a prior while few have. Amounts of different currencies are never compared:
the lists of the currencies take turns. A task that falls due before the next phone day goes first, whatever it may bring. Of
each of the two kinds, those whose client may be called now come before those who sleep or asked for another hour.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import zip_longest
from types import MappingProxyType
from typing import Final

from handlers.channels.tasks import Task, TaskOutcome
from models.money import Money, exponent
from models.state.client import Segment
from streams.runtime.errors import UsageError

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EFFECTIVE: Final = frozenset({TaskOutcome.REACHED, TaskOutcome.PROMISE, TaskOutcome.PLAN, TaskOutcome.DISPUTE})
"""Endings after which something was known or agreed that was not before."""

_PRIORS: Final = MappingProxyType(
    {Segment.NEW.value: 0.6, Segment.RELIABLE.value: 0.7, Segment.SLOW.value: 0.5, Segment.PROBLEM.value: 0.3}
)
_UNKNOWN: Final = 0.5
_WEIGHT: Final = 8  # a prior counts as much as so many tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One task on the list: `stake` is the money it is about, `chance` that it has an effect, `is_open`: may be called now."""

    task: Task
    stake: Money | None
    chance: float
    pressing: bool
    is_open: bool = True

    @property
    def worth(self) -> float:
        """What the call may bring, in whole units of its currency."""
        return 0.0 if self.stake is None else self.stake.minor / 10 ** exponent(self.stake.currency) * self.chance


@dataclass(frozen=True, slots=True, kw_only=True)
class CallList:
    """The calls of one phone day, the first first, and those that wait for the `next_day`."""

    day: date
    next_day: date
    calls: Sequence[Call]
    waiting: Sequence[Call]
    unreached: Sequence[Call] = ()
    """Those that no phone number is known for; they take no place of a call."""


def phone_days_of(text: str) -> frozenset[int]:
    """Return the weekdays in `tue,thu`, Monday as 0; raises UsageError that names the setting."""
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if not names or not set(names) <= set(WEEKDAYS):
        message = f"RAPPORT_PHONE_DAYS={text!r} must list weekdays, such as tue,thu; they are {', '.join(WEEKDAYS)}"
        raise UsageError(message)
    return frozenset(WEEKDAYS.index(name) for name in names)


def call_list(
    tasks: Iterable[Task],
    *,
    ended: Iterable[Task],
    today: date,
    phone_days: Collection[int],
    capacity: int,
    asleep: Collection[str] = (),
    numberless: Collection[str] = (),
) -> CallList:
    """Return whom to call on the next phone day, `today` included; `ended` are tasks from which the chances are learnt.

    `asleep`: the tasks whose clients may not be called at this moment, which matters only where the list is for today.
    `numberless`: the tasks for whose clients no phone number is known.
    """
    day = _phone_day(today, phone_days)
    following = _phone_day(day + timedelta(days=1), phone_days)
    chances = chances_of(ended)
    asleep = asleep if day == today else ()
    calls = [_call(task, chances, following, is_open=task.task_id not in asleep) for task in tasks]
    kinds = ((pressing, is_open) for pressing in (True, False) for is_open in (True, False))
    ranked = [call for kind in kinds for call in _ranked([row for row in calls if (row.pressing, row.is_open) == kind])]
    reached = [call for call in ranked if call.task.task_id not in numberless]
    unreached = [call for call in ranked if call.task.task_id in numberless]
    return CallList(day=day, next_day=following, calls=reached[:capacity], waiting=reached[capacity:], unreached=unreached)


def chances_of(ended: Iterable[Task]) -> dict[str, float]:
    """Return the chance of an effect by segment."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for task in ended:
        if task.done is not None and not task.is_approval:
            counts[task.trigger.segment][0] += task.done.outcome in EFFECTIVE
            counts[task.trigger.segment][1] += 1
    segments = {*_PRIORS, *counts}
    return {
        name: (counts[name][0] + _WEIGHT * _PRIORS.get(name, _UNKNOWN)) / (counts[name][1] + _WEIGHT) for name in sorted(segments)
    }


def _call(task: Task, chances: dict[str, float], following: date, *, is_open: bool) -> Call:
    stake = task.trigger.facts.get("amount_open")
    return Call(
        task=task,
        stake=stake if isinstance(stake, Money) else None,
        chance=chances.get(task.trigger.segment, _UNKNOWN),
        pressing=task.trigger.expires_at.date() < following,
        is_open=is_open,
    )


def _ranked(calls: Sequence[Call]) -> list[Call]:
    """Order calls by worth within each currency; currencies take turns, in the order of their codes, those without money last."""
    lists: dict[str, list[Call]] = defaultdict(list)
    for call in sorted(calls, key=lambda call: (-call.worth, call.task.trigger.expires_at, call.task.task_id)):
        lists[call.stake.currency if call.stake else ""].append(call)
    without = lists.pop("", [])
    turns = zip_longest(*(lists[code] for code in sorted(lists)))
    return [call for turn in turns for call in turn if call is not None] + without


def _phone_day(day: date, phone_days: Collection[int]) -> date:
    return next(day + timedelta(days=ahead) for ahead in range(7) if (day + timedelta(days=ahead)).weekday() in phone_days)
