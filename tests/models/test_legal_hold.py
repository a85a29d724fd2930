"""A legal hold stops every message of every purpose; tasks for colleagues go on, and it is lifted with a reason."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.commands.overrides.desk import end, word
from models.events.signals import OverrideEffect
from models.events.union import AnyClientEvent
from models.policy.gate import legal_hold_of
from models.policy.policy import DEFAULT_POLICY
from models.state.client import Override
from models.state.closing import PERSONAL
from models.state.describe import describe
from models.state.joining import joined
from models.state.person import in_force
from models.triggers import CancelWhen, Journey, Retraction
from streams.runtime.errors import UsageError
from tests.models.builders import Events, ms, on
from tests.models.carried import Carried
from tests.models.test_journey_laws import HORIZON, Firm, stories
from tests.models.views import final

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


@given(st.permutations(range(3)), st.sampled_from((0.5, 2)), st.sampled_from((None, 0.7, 3)))
@settings(max_examples=40)
def test_only_who_gives_a_reason_lifts_a_legal_hold_in_whatever_order_it_is_told(
    order: list[int], without: float, reasoned: float | None
) -> None:
    build = Events()
    told: list[AnyClientEvent] = [
        build.override(1, LEGAL, until=90, override="L", received=5 + order[0]),
        build.cleared(without, "L", received=5 + order[1]),
    ]
    if reasoned is not None:
        told.append(build.cleared(reasoned, "L", reason="settled", received=5 + order[2]))
    state = final(sorted(told, key=lambda event: event.received_ms))
    assert (legal_hold_of(state, state.now_ms) is None) == (reasoned == 3)


def test_a_hold_of_another_kind_ends_without_a_reason() -> None:
    build = Events()
    state = final([build.hold(1, until=90, override="H"), build.cleared(2, "H")])
    assert not [row for row in state.person.overrides if in_force(row, state.now_ms)]


def test_a_legal_hold_that_was_lifted_before_reasons_were_kept_stays_lifted() -> None:
    row = Override("L", effect=LEGAL.value, set_at=1, expires_ms=90, cleared_at=2)
    assert not in_force(row, 3)


def test_a_legal_hold_that_stands_outlasts_any_number_of_other_words_about_the_client() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0), build.override(1, LEGAL, until=100, override="L")]
    for number in range(40):
        day = 2 + number / 10
        log.append(build.override(day, OverrideEffect.CHANNEL, value="sms", until=200 + number, override=f"O{number}"))
        if number % 2:
            log.append(build.cleared(day + 0.05, f"O{number}"))
    for known in range(len(log) - 1):
        state = final(log[: known + 2])
        assert legal_hold_of(state, state.now_ms) is not None
    assert len(state.person.overrides) <= PERSONAL


def test_two_clients_who_are_one_are_on_legal_hold_until_somebody_gives_a_reason() -> None:
    build = Events()
    held = final([build.override(1, LEGAL, until=90, override="L")])
    for reason in (None, "settled"):
        together = joined(held, final([build.cleared(2, "L", reason=reason)]))
        assert (legal_hold_of(together, together.now_ms) is None) == (reason is not None)
