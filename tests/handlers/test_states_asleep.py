"""States of a history that wait as bytes: nobody can tell them from those that were held all the time."""

from handlers.commands.segments.living import NoScorer
from handlers.evaluation.states import States
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.transition import transition
from tests.models.builders import Events


def test_a_state_that_slept_is_the_one_that_was_put_however_few_are_awake() -> None:
    states, known = States(awake=2), dict[str, ClientState]()
    for number in range(40):
        client = f"C{number % 7}"
        event = Events(client).issued(number, f"I{number}", 100 + number)
        assert states.get(client) == known.get(client)
        known[client] = transition(states.get(client), event, policy=DEFAULT_POLICY, scorer=NoScorer()).state
        states.put(client, known[client])
    assert {client: states.get(client) for client in known} == known
    assert len(states) == len(known)
    assert states.get("C99") is None
