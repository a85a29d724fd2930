"""A legal hold stops every message of every purpose; tasks for colleagues go on, and it is lifted with a reason."""

import pytest
from hypothesis import given, settings

from handlers.commands.overrides.desk import end, word
from models.events.signals import OverrideEffect
from models.events.union import AnyClientEvent
from models.policy.policy import DEFAULT_POLICY
from models.state.describe import describe
from models.triggers import CancelWhen, Journey, Retraction
from streams.runtime.errors import UsageError
from tests.models.builders import Events, ms, on
from tests.models.carried import Carried
from tests.models.test_journey_laws import HORIZON, Firm, stories

LEGAL = OverrideEffect.LEGAL_HOLD


@given(stories())
@settings(max_examples=15)
def test_nothing_but_tasks_is_decided_under_a_legal_hold_whatever_happens(story: list[AnyClientEvent]) -> None:
    hold = Events().override(0, LEGAL, until=5_000, override="legal").model_copy(update={"event_id": "legal"})
    firm = Firm().run([hold, *story], until_ms=HORIZON)
    assert {row.channel for row in firm.triggers} <= DEFAULT_POLICY.internal_channels


def test_what_waits_is_taken_back_and_goes_on_when_the_hold_is_over() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(1, "I1", due=10)], until_ms=ms(15))
    (first,) = firm.triggers
    firm.feed(build.override(15, LEGAL, until=40, override="L"))
    (back,) = [row for row in firm.outputs if isinstance(row, Retraction)]
    assert (back.trigger_id, back.because) == (first.trigger_id, CancelWhen.ON_HOLD)
    assert "on legal hold by sam" in back.reasons[0]
    firm.feed(build.paid(16, "P0", 5_000, None))  # no thanks either
    firm.wake(ms(39))
    assert len(firm.triggers) == 1
    assert firm.state is not None
    assert any("legal_hold" in line and "a colleague lifts it" in line for line in describe(firm.state))
    firm.wake(ms(60))
    assert firm.triggers[1].decided_at >= on(40)


def test_tasks_for_colleagues_go_on_under_a_legal_hold() -> None:
    build = Events()
    hold = build.override(0.5, LEGAL, until=400, override="L")
    problem = build.override(0.6, OverrideEffect.SEGMENT, until=400, override="S", value="problem")
    firm = Carried(build).run([build.profiled(0), hold, problem, build.issued(1, "I1", due=10)], until_ms=ms(100))
    assert firm.triggers
    assert {row.channel for row in firm.triggers} == {"task"}


def test_a_legal_hold_is_for_the_whole_client_and_is_lifted_with_a_reason_only() -> None:
    with pytest.raises(UsageError, match="client as a whole"):
        word("c", LEGAL, value=None, journey=Journey.RENEWAL, reason="with counsel", author="ada", until=on(9), now=on(1))
    build = Events()
    firm = Firm().run([build.profiled(0), build.override(1, LEGAL, until=90, override="L")])
    assert firm.state is not None
    (row,) = firm.state.person.overrides
    with pytest.raises(UsageError, match="with a reason"):
        end(row, "c", author="ada", now=on(2), reason=" ")
    assert end(row, "c", author="ada", now=on(2), reason="settled").reason == "settled"
