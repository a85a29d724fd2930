from models.learners.baseline import BASELINE
from models.policy.policy import DEFAULT_POLICY
from models.state.codec import decode, encode
from models.transition import Disposition, transition
from models.triggers import Trigger
from tests.models.builders import Events, ms


def test_a_first_payment_is_thanked_for_in_the_next_open_hour() -> None:
    build = Events()
    result = transition(None, build.profiled(0), policy=DEFAULT_POLICY, scorer=BASELINE)
    result = transition(result.state, build.paid(0.5, invoice=None), policy=DEFAULT_POLICY, scorer=BASELINE)
    trigger, decision = result.outputs
    assert isinstance(trigger, Trigger)
    assert trigger.step == "thank_you"
    assert trigger.not_before.timestamp() * 1000 == ms(1) - 3_600_000
    assert decision.kind == "decision"
    assert result.disposition is Disposition.APPLIED
    assert decode(encode(result.state)) == result.state
