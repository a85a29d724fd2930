"""An inspection tells whose clock counts and who stated it, open tasks, pauses after a reply, and pinned policies."""

from dataclasses import replace

import pytest

from models.events.signals import OverrideEffect
from models.events.union import AnyClientEvent
from models.policy.in_force import in_force
from models.policy.policy import DEFAULT_POLICY, stamped
from models.policy.standing import standing
from models.policy.unlocked import would_leave_if
from models.regime import NOTHING_ACTIVATED
from models.state.client import ClientState
from models.state.codec import decode, encode
from tests.models.builders import Events, ms
from tests.models.carried import Carried
from tests.models.test_journey_laws import Firm


def told(*events: AnyClientEvent) -> ClientState:
    state = Firm().run(list(events)).state
    assert state is not None
    return decode(encode(state))


@pytest.mark.parametrize("turn", [1, -1])
def test_the_clock_names_who_stated_it_whatever_the_order_of_arrival(turn: int) -> None:
    build = Events()
    first = build.profiled(0, timezone="Europe/Paris").model_copy(update={"source": "stripe"})
    later = build.profiled(3, timezone="Europe/Lisbon").model_copy(update={"source": "portal"})
    again = build.profiled(3, timezone="Europe/Lisbon").model_copy(update={"source": "crm"})
    state = told(*[first, later, again][::turn])
    assert standing(state, DEFAULT_POLICY)[0] == "clock: Europe/Lisbon, stated by portal on 2024-01-11"


def test_without_a_time_zone_of_their_own_the_firms_clock_counts_and_says_so() -> None:
    build = Events()
    state = told(build.issued(0, "I1"))
    assert standing(state, DEFAULT_POLICY) == ["clock: UTC, the firm's own: nobody has stated the client's"]
    state = told(build.profiled(0, timezone="Mars/Base"))
    assert "'Mars/Base', stated by " in standing(state, DEFAULT_POLICY)[0]


def test_open_tasks_and_the_pause_after_a_reply_are_told_until_they_end() -> None:
    build = Events()
    problem = build.override(0.6, OverrideEffect.SEGMENT, until=400, value="problem")
    firm = Carried(build).run([build.profiled(0), problem, build.issued(1, "I1", due=10), build.asks(16)], until_ms=ms(17))
    assert firm.state is not None
    lines = standing(firm.state, DEFAULT_POLICY)
    (task,) = [line for line in lines if "personal_contact about I1" in line]
    assert task.startswith("open task ")
    assert any(line.startswith("nothing asks for money: they wrote to us on 2024-01-24") for line in lines)
    firm.wake(ms(60))
    assert not [line for line in standing(firm.state, DEFAULT_POLICY) if "asks for money" in line or "personal_contact" in line]


def test_runs_that_follow_an_older_policy_than_the_one_in_force_are_named() -> None:
    build = Events()
    state = Carried(build).run([build.profiled(0), build.issued(1, "I1", due=10)], until_ms=ms(16)).state
    assert state is not None
    newer = stamped(replace(DEFAULT_POLICY, grace_days=9))
    bound = in_force(newer, NOTHING_ACTIVATED, base=DEFAULT_POLICY, find=lambda _: None)
    pinned = f"pinned to policy {DEFAULT_POLICY.version}, under which they began: delayed_payment_support about I1"
    assert pinned in standing(state, bound)
    assert not [line for line in standing(state, DEFAULT_POLICY) if "pinned" in line]


def test_a_legal_hold_names_the_command_that_lifts_it_with_its_reason() -> None:
    build = Events()
    hold = build.override(2, OverrideEffect.LEGAL_HOLD, until=90, override="L")
    state = told(build.profiled(0), build.issued(1, "I1"), hold)
    assert any('overrides lift client-1 L --reason "..."' in line for line in would_leave_if(state, NOTHING_ACTIVATED))
