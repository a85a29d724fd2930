"""The courtesy after a due date: one for all, or one of a segment's own, learnt from how long its late money takes by itself."""

from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.commands.segments.graces import LEAST_OPEN, grace
from models.events.signals import OverrideEffect
from models.events.union import AnyClientEvent
from models.policy.document import PolicyDocument, policy_of
from models.policy.policy import DEFAULT_POLICY, MOST_GRACE_DAYS, Policy
from models.state.client import Segment
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm, stories


def with_grace(**days: int) -> Policy:
    return replace(DEFAULT_POLICY, segment_grace=MappingProxyType({Segment(name): many for name, many in days.items()}))


@pytest.mark.parametrize(("segment", "wait"), [("reliable", 8), ("slow", 3), ("new", 5)])
def test_a_segment_with_a_courtesy_of_its_own_is_written_to_after_it_and_every_other_after_that_of_all(
    segment: str, wait: int
) -> None:
    build = Events()
    log: list[AnyClientEvent] = [
        build.profiled(0),
        build.issued(1, due=9),  # a Wednesday
        build.override(2, OverrideEffect.SEGMENT, until=200, value=segment),
    ]
    firm = Firm(policy=with_grace(reliable=8, new=5)).run(log, until_ms=ms(30))
    first = next(trigger for trigger in firm.triggers if trigger.invoice_ids)
    assert ms(9 + wait) <= int(first.not_before.timestamp() * 1000) < ms(9 + wait + 3)


@given(stories(), st.integers(3, MOST_GRACE_DAYS))
@settings(max_examples=25)
def test_a_longer_courtesy_of_every_segment_is_that_of_all(story: list[AnyClientEvent], days: int) -> None:
    every = with_grace(**dict.fromkeys(("new", "reliable", "slow", "problem"), days))
    one, other = (
        Firm(policy=policy).run(story, until_ms=ms(120)) for policy in (every, replace(DEFAULT_POLICY, grace_days=days))
    )
    assert [row.trigger_id for row in one.triggers] == [row.trigger_id for row in other.triggers]


def test_it_has_a_ceiling_and_a_policy_without_it_keeps_its_version() -> None:
    with pytest.raises(ValueError, match="less than or equal to 14"):
        PolicyDocument.model_validate({"version": "x", "support": {"segment_grace": {"reliable": MOST_GRACE_DAYS + 1}}})
    assert policy_of(PolicyDocument.model_validate({"version": "2026.1"})).version == DEFAULT_POLICY.version
    own = PolicyDocument.model_validate({"version": "2026.1", "support": {"segment_grace": {"reliable": 5}}})
    assert policy_of(own).version != DEFAULT_POLICY.version


def test_one_more_day_is_waited_while_half_of_what_is_open_comes_by_itself_within_the_gap() -> None:
    soon, late = [5] * LEAST_OPEN, [40] * (LEAST_OPEN - 1)
    assert grace([*soon, *late], [], least=3, within=3) == 5  # on the fifth day nothing that is left comes soon
    assert grace([*soon, *late, *late], [], least=3, within=3) == 3
    assert grace(soon, [60] * (LEAST_OPEN + 1), least=3, within=3) == 3  # what is open still counts as well
    assert grace([5] * (LEAST_OPEN - 1), [], least=3, within=3) is None
    assert grace(list(range(60)) * LEAST_OPEN + [20] * 9_000, [], least=12, within=10) == MOST_GRACE_DAYS


@given(st.lists(st.integers(-30, 90), max_size=200), st.lists(st.integers(6, 90), max_size=50), st.integers(0, 10))
def test_what_is_learnt_lies_between_the_courtesy_of_all_and_the_ceiling(
    ended: list[int], waiting: list[int], least: int
) -> None:
    found = grace(ended, waiting, least=least, within=3)
    assert found is None or least <= found <= MOST_GRACE_DAYS
