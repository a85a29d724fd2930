"""Whoever is still held as new is scored, and nothing is decided by the score: rules and habits decide until the hold ends."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as with_fields

from models.policy.arrears import arrears
from models.policy.openings import is_doubtful
from models.policy.policy import DEFAULT_POLICY, ApprovalRules
from models.policy.renewal_options import EVERY_OPTION, IN_DOUBT, options_of
from models.state.client import ClientState, Segment
from models.workdays import DAY_MS
from tests.models.builders import ms
from tests.models.test_foresight import DUE, said, state
from tests.models.test_freshness import Learned
from tests.models.test_otherwise import book
from tests.models.test_renewal_options import CONTRACT, client

EARLY = replace(DEFAULT_POLICY, renewal_early_below=0.5)


def seen(known: ClientState, days: int, segment: Segment = Segment.NEW) -> ClientState:
    """Return a client first seen so many days ago."""
    care = with_fields(known.care, segment=segment)
    return with_fields(known, first_seen_ms=known.now_ms - days * DAY_MS, care=care)


@pytest.mark.parametrize(
    ("days", "segment", "counts"),
    [(100, Segment.NEW, False), (179, Segment.NEW, False), (180, Segment.NEW, True), (100, Segment.RELIABLE, True)],
)
def test_a_chance_of_renewal_and_a_pay_date_count_from_the_end_of_the_hold_on(
    days: int, segment: Segment, *, counts: bool
) -> None:
    doubtful = seen(client(3_400, 0, 0), days, segment)
    assert is_doubtful(doubtful, CONTRACT, EARLY) is counts
    put = options_of(doubtful, CONTRACT, DEFAULT_POLICY)
    assert put.options == (IN_DOUBT if counts else EVERY_OPTION)
    assert ("the client is new" in put.why) is not counts
    # Their habit says the day of the step, the learner two days more.
    (row,) = arrears(seen(state((5,) * 5, said(7.0)), days, segment), DEFAULT_POLICY)
    assert row.silence is not None
    assert row.silence.until_ms == (DUE + (8 if counts else 6)) * DAY_MS
    assert bool(row.silence.learnt) is counts


def test_where_abstaining_means_asking_a_person_a_new_client_is_asked_about_whatever_the_score() -> None:
    policy = replace(DEFAULT_POLICY, approval=ApprovalRules(on_abstention=True))
    held = replace(policy, segments=replace(policy.segments, new_labels=50, new_limit_days=400))
    for tried, is_asked in ((policy, False), (held, True)):
        firm = Learned(policy=tried).run(book([3.0, 8.0, 8.0, 2.0, 9.0]), until_ms=ms(345))
        steps = [row for row in firm.triggers if "NEXT" in row.invoice_ids]
        assert steps[0].step.startswith("approve_") is is_asked
