"""A look ahead from the states of a deployment is the look ahead from its history."""

from handlers.commands.book.plan import Asked
from handlers.commands.policies.standing import Standing
from handlers.commands.policies.trying import live
from handlers.commands.simulate import events_of
from models.policy.policy import DEFAULT_POLICY
from models.workdays import DAY_MS
from streams.engine.program import ClientProgram


def test_ahead_from_committed_states_and_what_has_not_left_is_what_the_history_goes_on_with() -> None:
    events = [event for event in events_of(None, form=None, asked=Asked()) if event.kind != "delivery.reported"]
    first, last = events[0].received_ms, events[-1].received_ms
    found = 0
    for at_ms in range(first + 14 * DAY_MS, last, 21 * DAY_MS):
        whole = live(DEFAULT_POLICY, events, until_ms=at_ms)
        before = len(whole.contacts)
        pending = {
            row.trigger_id for state in whole.simulation.states.values() for row in state.care.pending if not row.retracted
        }
        waiting = [trigger for name, trigger in whole.undelivered.items() if name in pending]
        standing = Standing(
            now_ms=at_ms,
            states=tuple(whole.simulation.states.values()),
            waiting=tuple(waiting),
            bound=ClientProgram(DEFAULT_POLICY),
            travelling=False,
        )
        whole.take(whole.simulation.run_until(at_ms + 14 * DAY_MS))
        ahead = standing.life_until(at_ms + 14 * DAY_MS)
        assert [row.as_json() for row in ahead.contacts] == [row.as_json() for row in whole.contacts[before:]]
        found += len(ahead.contacts)
    assert found > 3
    assert any("scores by the rules" in line for line in standing.assumed())
