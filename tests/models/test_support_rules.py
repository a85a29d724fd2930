"""Rules of support that no story tells: sums far above the usual, and money whose day somebody has announced."""

import pytest

from models.events.union import AnyClientEvent
from models.policy.policy import DEFAULT_POLICY
from models.triggers import Trigger
from tests.models.builders import Events, ms, on
from tests.models.test_journey_laws import Firm
from tests.models.test_segments import monthly


def _support(log: list[AnyClientEvent], *, until: float) -> list[Trigger]:
    firm = Firm().run(sorted(log, key=lambda event: event.received_ms), until_ms=ms(until))
    return [trigger for trigger in firm.triggers if trigger.invoice_ids]


@pytest.mark.parametrize(("minor", "is_person"), [(90_000, False), (449_900, False), (450_000, True)])
def test_a_sum_far_above_what_a_client_is_usually_asked_for_reaches_a_person_first(minor: int, *, is_person: bool) -> None:
    build = Events()
    log = [build.profiled(0), *monthly(build, 8, late=-2), build.issued(240, "X", minor, due=250)]
    first = _support(log, until=262)[0]
    assert (first.channel == "task") is is_person


@pytest.mark.parametrize(
    ("due", "asked"), [(7, 10), (8, 11), (9, 14), (10, 14), (11, 15), (12, 17), (13, 17)]
)  # from a Monday on
def test_nobody_is_asked_before_a_transfer_made_on_the_day_itself_has_arrived(due: int, asked: int) -> None:
    build = Events()
    first = _support([build.profiled(0), build.issued(1, due=due)], until=25)[0]
    assert first.not_before.date() == on(asked).date()  # three days, two of them bank days: due on a Friday, on Tuesday


def test_a_payment_that_was_announced_is_waited_for_with_the_same_grace_but_no_longer_than_the_policy_says() -> None:
    build = Events()
    base: list[AnyClientEvent] = [build.profiled(0), build.issued(1, due=10)]
    (near,) = _support([*base, build.delay(5, expected=20)], until=25)
    assert on(20 + DEFAULT_POLICY.grace_days) <= near.not_before
    (far,) = _support([*base, build.delay(5, expected=300)], until=60)[:1]
    limit = on(10 + DEFAULT_POLICY.expected_limit_days + DEFAULT_POLICY.grace_days)
    assert limit <= far.not_before <= on(10 + DEFAULT_POLICY.expected_limit_days + DEFAULT_POLICY.grace_days + 3)


def test_money_on_its_way_is_waited_for_three_bank_days_beyond_its_day_and_no_longer() -> None:
    build = Events()
    first = _support([build.profiled(0), build.issued(1, due=10), build.pending(9, expected=11)], until=25)[0]
    assert first.not_before.date() == on(16).date()  # expected on a Friday, asked for on Wednesday
