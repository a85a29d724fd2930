"""The trainer checks stored features by itself: when it is due, at a bounded pace, and a server that is away only delays."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import pytest

from handlers.commands.learners.standing import StandingCheck
from models.events.envelope import epoch_ms
from models.learners.consistency import ExamplesChecked
from streams.runtime.clock import ManualClock
from streams.runtime.errors import RetryError
from tests.models.builders import on

HOUR_MS: Final = 3_600_000


class Night:
    """A clock that passes while the check rests, and what the check did: when it looked, and how long it rested."""

    def __init__(self, *, looks: int, last_ms: int | None = 0, passes: Callable[[int], bool] = lambda _: True) -> None:
        self.clock = ManualClock(on(100))
        self.last_ms = last_ms
        self.looked: list[float] = []
        self.rested: list[float] = []
        self._looks = looks
        self._passes = passes

    async def rest(self, seconds: float) -> None:
        if len(self.rested) == self._looks:
            raise asyncio.CancelledError
        self.rested.append(seconds)
        self.clock.advance_to(self.clock.now() + timedelta(seconds=seconds))

    async def look(self) -> ExamplesChecked | None:
        at = self.clock.now()
        self.looked.append((at - on(100)).total_seconds())
        if not self._passes(len(self.looked)):
            message = "no Kafka answers"
            raise RetryError(message)
        self.last_ms = epoch_ms(at)
        return ExamplesChecked(
            checked_at=at, author="trainer", clients=1, questions=1, mismatched=0, missing=0, extra=0, worst=0, passed=True
        )

    def live(self, hours: float) -> "Night":
        check = StandingCheck(look=self.look, last_ms=lambda: self.last_ms, clock=self.clock, hours=hours, rest=self.rest)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(check.run())
        return self


def test_it_looks_once_in_so_many_hours_and_never_without_a_rest() -> None:
    night = Night(looks=24 * 60 + 5).live(hours=6)
    assert [round(seconds / 3600) for seconds in night.looked] == [0, 6, 12, 18, 24]
    assert min(night.rested) >= 60


def test_nothing_is_checked_before_the_trainer_has_read_what_there_is_nor_soon_after_somebody_else_s_check() -> None:
    assert Night(looks=600, last_ms=None).live(hours=6).looked == []
    lately = epoch_ms(on(100)) - 2 * HOUR_MS
    assert [round(seconds / 3600) for seconds in Night(looks=600, last_ms=lately).live(hours=6).looked] == [4, 10]


def test_a_server_that_is_away_only_delays() -> None:
    night = Night(looks=60, passes=lambda times: times > 3).live(hours=6)
    assert [round(seconds / 60) for seconds in night.looked] == [1, 2, 3, 4]


def test_with_no_hours_it_ends_at_once() -> None:
    night = Night(looks=10)
    asyncio.run(StandingCheck(look=night.look, last_ms=lambda: 0, clock=night.clock, hours=0, rest=night.rest).run())
    assert night.rested == []
