"""Timers that are due at one moment all have their turn, whatever their kinds: nothing is found due for ever."""

from models.events.union import AnyClientEvent
from models.learners.baseline import BASELINE
from models.patterns import PatternRules, widening_ms
from models.state.client import TimerKind
from models.transition import transition
from models.workdays import DAY_MS
from tests.models.builders import Events, ms, tick_at
from tests.models.test_journey_laws import Firm
from tests.models.test_segments import monthly
from tests.models.views import final


def test_a_question_and_a_playbook_due_at_the_same_midnight_are_both_done() -> None:
    build = Events()
    paid = [build.profiled(0), *monthly(build, 8, late=-2)]
    midnight = widening_ms(final(paid), PatternRules())
    assert midnight is not None
    # Paid long before it falls due: its question "late by more than five days?" is answered six days after that, at midnight.
    due = (midnight - ms(0)) / DAY_MS - 6 + 0.4
    early: list[AnyClientEvent] = [build.issued(221, "X", 50_000, due=due), build.paid(222.1, "PX", 50_000, "X")]
    log = sorted([*paid, *early], key=lambda event: event.received_ms)
    firm = Firm().run(log, until_ms=midnight - 1)
    assert firm.state is not None
    kinds = [row.kind for row in firm.state.care.timers if row.due_ms == midnight]
    assert kinds == [TimerKind.QUESTION, TimerKind.PLAYBOOK]
    result = transition(firm.state, tick_at(midnight), policy=firm.policy, scorer=BASELINE)
    assert result.next_due_ms is None or result.next_due_ms > midnight
