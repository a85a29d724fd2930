"""A wish for another channel holds from the next message on: what was decided and has not left yet goes the new way, too."""

from models.events.signals import ClientProfiled
from models.policy.aftermath import withdraw
from models.policy.audience import roles_for
from models.policy.left_anyway import due_anew
from models.policy.named import step_called
from models.policy.precedence import Level, channel_of
from models.policy.reach import way_to
from models.policy.turn import Turn, find_run
from models.state.client import Pending, journey_of
from models.triggers import CancelWhen, Tone


def reroute(turn: Turn, event: ClientProfiled) -> None:
    """Take back what waits to leave by another channel than the client has just asked for; it is due anew at once."""
    if event.channel is None or event.channel != turn.state.person.channel.value:
        return
    why = (f"the client asked to be reached by {event.channel}",)
    now = turn.state.now_ms
    for row in turn.state.care.pending:
        if not row.retracted and row.advances and now < row.expires_ms and _goes_by(turn, row) == event.channel != row.channel:
            withdraw(turn, row, CancelWhen.DECIDED_ANEW, why, known_ms=now)
            due_anew(turn, row, ready_ms=now, tries=0)


def _goes_by(turn: Turn, row: Pending) -> str:
    """Return the channel by which a message would leave if it were decided now; its own where nobody can say."""
    state, policy, journey = turn.state, turn.policy, journey_of(row)
    run = find_run(state, journey, row.anchor)
    step = None if run is None else step_called(row.step, journey, policy.of_run(run).journeys)
    if step is None or row.channel in policy.internal_channels or not row.tone:
        return row.channel
    chosen = channel_of(state, step, row.invoice_ids)
    roles = roles_for(journey, step.purpose, Tone(row.tone))
    wish = "" if chosen.level < Level.CONTACT else None
    way = way_to(state, policy, channel=chosen.value, purpose=step.purpose, at_ms=state.now_ms, roles=roles, wish=wish)
    return way[0]
