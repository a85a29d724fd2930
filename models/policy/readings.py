"""What was learnt of a client as a decision would read it now: values, ages and whether they count."""

from models.learners.lateness import next_watch
from models.learners.scorer import PER_DAY, Scorer
from models.learnt import Learnt
from models.policy.foresight import BY_THEN
from models.policy.freshness import pay_date_read, score_read, segment_read
from models.policy.material import material_lateness
from models.policy.openings import renewal_learnt
from models.policy.policy import Policy
from models.policy.resegment import belief_of
from models.state.client import ClientState


def readings(state: ClientState, policy: Policy, scorer: Scorer) -> list[Learnt]:
    """Return what is read of the score, the next pay date, each renewal that may begin earlier, and the segment."""
    now, ages, past = state.now_ms, policy.max_age, material_lateness(state, policy)
    found = [score_read(scorer.score(state), now, ages)[1]]
    watch = next_watch(state)
    if watch is not None and (asked := watch.asked[-1]).days:
        days = asked.days[BY_THEN] / PER_DAY
        found.append(pay_date_read(days, watch.invoice_id, as_of_ms=asked.at_ms, at_ms=now, version=asked.version, ages=ages))
    found += [renewal_learnt(state, row, policy) for row in state.person.contracts]
    if past.labelled:
        found.append(segment_read(past, belief_of(past, state, policy).of(state.care.segment), now, ages))
    return [row for row in found if row is not None]
