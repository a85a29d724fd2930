from dataclasses import replace
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.signals import Purpose
from models.events.union import AnyClientEvent
from models.policy.holdout import EVERY, Holdout, held_out, place_of
from models.policy.policy import DEFAULT_POLICY, stamped
from models.triggers import Decision, Journey
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import HORIZON, Firm, stories

ALL_OUT = Holdout(100.0)


def test_companies_are_drawn_evenly_and_each_draw_is_its_own() -> None:
    names = [f"client-{number}" for number in range(4_000)]
    both = [(place_of(name, key="k", name=EVERY) < 10, place_of(name, key="k", name="pre_renewal") < 10) for name in names]
    assert 320 < sum(one for one, _ in both) < 480
    assert sum(one and other for one, other in both) < 80


@given(st.text(min_size=1, max_size=40), st.floats(0, 10), st.floats(0, 10))
def test_a_company_stays_out_when_the_share_grows_and_comes_back_only_when_it_shrinks(name: str, one: float, two: float) -> None:
    less, more = sorted((one, two))
    out = [held_out(name, Journey.RENEWAL, purpose=Purpose.RELATIONSHIP, holdout=Holdout(share)) for share in (less, more)]
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
