"""The numbers a firm starts from: where they must lie, whatever else about the defaults is changed."""

from datetime import time, timedelta

import pytest
from pydantic import ValidationError

from handlers.webhooks.signatures import WINDOW
from models.events.union import AnyClientEvent
from models.policy.document import PolicyDocument
from models.policy.policy import DEFAULT_POLICY, EARLIEST, LATEST
from models.state.client import Segment
from models.state.memory import WINDOW_MS
from models.triggers import Decision
from models.workdays import DAY_MS
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm


def test_a_delivery_is_known_for_longer_than_any_processor_tries_again_and_a_signature_holds_for_five_minutes() -> None:
    assert WINDOW_MS > 3 * DAY_MS
    assert timedelta(minutes=5) == WINDOW


def test_care_begins_two_weeks_before_a_renewal_and_asks_thirty_days_after_a_first_payment() -> None:
    journeys = DEFAULT_POLICY.journeys
    assert journeys.renewal[0].after_days == -14
    assert [step.after_days for step in journeys.onboarding] == [0, 30]


def test_who_is_new_is_held_for_three_to_six_months_and_who_moved_is_read_of_each_quarter() -> None:
    rules = DEFAULT_POLICY.segments
    assert 90 <= rules.new_days <= rules.new_limit_days <= 183
    assert rules.review_day > 0


def test_nobody_is_reached_more_often_than_seven_times_in_seven_days_nor_called_outside_of_eight_to_nine() -> None:
    assert 7 // DEFAULT_POLICY.min_gap_days + 1 <= min(7, DEFAULT_POLICY.contacts_per_month)
    assert (time(8), time(21)) == (EARLIEST, LATEST)


@pytest.mark.parametrize(("days", "taken"), [(0, True), (30, True), (-1, False)])
def test_a_gap_of_up_to_thirty_days_may_lie_between_two_contacts(days: int, *, taken: bool) -> None:
    said = {"version": "x", "contact": {"min_gap_days": days}}
    if taken:
        assert PolicyDocument.model_validate(said).contact.min_gap_days == days
    else:
        with pytest.raises(ValidationError, match="min_gap_days"):
            PolicyDocument.model_validate(said)


@pytest.mark.parametrize(("percent", "taken"), [(1, True), (10, True), (10.5, False)])
def test_at_most_ten_per_cent_of_companies_are_held_out(percent: float, *, taken: bool) -> None:
    for said in ({"percent": percent}, {"journeys": {"pre_renewal": percent}}):
        if taken:
            PolicyDocument.model_validate({"version": "x", "holdout": said})
        else:
            with pytest.raises(ValidationError, match="holdout"):
                PolicyDocument.model_validate({"version": "x", "holdout": said})


def late_after_a_year(gap: int) -> float:
    """Return after how many days of paying twenty days late a client who paid on time for a year is no longer reliable."""
    build = Events()
    story: list[AnyClientEvent] = [build.profiled(0)]
    for number, day in enumerate(range(1, 620, gap)):
        due = day + 14
        story.append(build.issued(day, f"I{number}", due=due))
        story.append(build.paid(due - 1 if due < 365 else due + 20, f"P{number}", invoice=f"I{number}"))
    firm = Firm().run(sorted(story, key=lambda row: row.received_ms), until_ms=ms(620))
    moves = [row for row in firm.outputs if isinstance(row, Decision) and row.change is not None]
    assert [row.segment for row in moves] == [Segment.RELIABLE.value, Segment.SLOW.value]
    begun = min(day + 14 for day in range(1, 620, gap) if day + 14 >= 365)
    return (moves[-1].decided_at.timestamp() * 1000 - ms(begun)) / DAY_MS


@pytest.mark.parametrize(("gap", "least", "most"), [(7, 61, 92), (14, 92, 122), (30, 153, 214)])
def test_a_move_takes_two_months_of_consistent_change_at_least_where_an_invoice_comes_each_week_or_more_rarely(
    gap: int, least: int, most: int
) -> None:
    assert least <= late_after_a_year(gap) <= most
