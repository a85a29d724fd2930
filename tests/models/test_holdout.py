from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.envelope import epoch_ms
from models.events.signals import Purpose
from models.events.union import AnyClientEvent
from models.policy.holdout import EVERY, Holdout, held_out, place_of
from models.policy.policy import DEFAULT_POLICY, stamped
from models.triggers import Decision, Journey
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import HORIZON, Firm, stories

ALL_OUT = Holdout(100.0)


def _why(name: str, holdout: Holdout, *, at_ms: int = 0) -> str | None:
    return held_out(name, Journey.RENEWAL, purpose=Purpose.RELATIONSHIP, holdout=holdout, at_ms=at_ms)


def test_where_the_policy_rotates_others_are_left_out_each_half_year_as_many_and_nobody_for_good() -> None:
    names, holdout = [f"client-{number}" for number in range(2_000)], Holdout(10.0, rotate_months=6)
    halves = [epoch_ms(datetime(year, month, 1, tzinfo=UTC)) for year in range(2024, 2030) for month in (1, 7)]
    out = [{name for name in names if _why(name, holdout, at_ms=at_ms)} for at_ms in halves]
    assert all(140 < len(group) < 260 for group in out)
    assert all(len(one & other) < 60 for one, other in pairwise(out))
    assert not set.intersection(*out)
    for at_ms, following, group in zip(halves, halves[1:], out, strict=False):
        assert {name for name in names if _why(name, holdout, at_ms=following - 1)} == group, at_ms
    steady = Holdout(10.0)
    assert {name for name in names if _why(name, steady)} == {name for name in names if _why(name, steady, at_ms=halves[-1])}


def test_companies_are_drawn_evenly_and_each_draw_is_its_own() -> None:
    names = [f"client-{number}" for number in range(4_000)]
    both = [(place_of(name, key="k", name=EVERY) < 10, place_of(name, key="k", name="pre_renewal") < 10) for name in names]
    assert 320 < sum(one for one, _ in both) < 480
    assert sum(one and other for one, other in both) < 80


@given(st.text(min_size=1, max_size=40), st.floats(0, 10), st.floats(0, 10))
def test_a_company_stays_out_when_the_share_grows_and_comes_back_only_when_it_shrinks(name: str, one: float, two: float) -> None:
    less, more = sorted((one, two))
    out = [_why(name, Holdout(share)) for share in (less, more)]
    assert out[0] is None or out[1] is not None


@given(stories())
@settings(max_examples=25)
def test_whoever_is_left_out_still_gets_every_servicing_notice_and_nothing_else(story: list[AnyClientEvent]) -> None:
    policy = stamped(replace(DEFAULT_POLICY, holdout=ALL_OUT))
    firm = Firm(policy=policy).run(story, until_ms=HORIZON)
    assert {trigger.purpose for trigger in firm.triggers} <= {Purpose.SERVICING}


def test_a_withheld_step_is_a_decision_that_says_so() -> None:
    build = Events()
    policy = stamped(replace(DEFAULT_POLICY, holdout=Holdout(0.0, MappingProxyType({Journey.ONBOARDING: 100.0}))))
    firm = Firm(policy=policy).run([build.profiled(0), build.paid(1, "P0", 500, None)], until_ms=ms(60))
    assert not firm.triggers
    told = [row for row in firm.outputs if isinstance(row, Decision) and row.journey is Journey.ONBOARDING]
    assert [row.step for row in told] == ["thank_you", "outcome_check"]
    assert all("without post_payment_onboarding" in row.reasons[0] for row in told)
