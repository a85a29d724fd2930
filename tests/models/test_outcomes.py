"""What becomes of triggers, and what a channel worker may rely on."""

import pytest

from models.events.signals import DeliveryOutcome, Purpose
from models.events.union import AnyClientEvent
from models.learners.baseline import BASELINE
from models.policy.facts import ForbiddenFactError, allowed_facts
from models.policy.gate import refusal, still_allowed
from models.policy.leave import Verdict, known_as, may_leave
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.transition import Disposition, transition
from models.triggers import CancelWhen, Decision, Retraction
from models.workdays import DAY_MS
from tests.models.builders import Events, ms, on, tick
from tests.models.test_journey_laws import Firm
from tests.models.views import final, fold

DUE = 3  # a Thursday; support starts on day 7, a Monday (grace of three days ends on Sunday)


def overdue(build: Events) -> Firm:
    firm = Firm().run([build.profiled(0), build.issued(0, "I1", due=DUE)], until_ms=ms(8))
    assert [trigger.step for trigger in firm.triggers] == ["explain_terms"]
    return firm


def retractions(firm: Firm) -> list[Retraction]:
    return [output for output in firm.outputs if isinstance(output, Retraction)]


def state_of(firm: Firm) -> ClientState:
    assert firm.state is not None
    return firm.state


@pytest.mark.parametrize("kind", ["payment", "dispute", "promise", "hold", "consent", "void", "pending", "credit"])
def test_whatever_settles_or_silences_it_takes_a_pending_message_back(kind: str) -> None:
    build = Events()
    firm = overdue(build)
    cases: dict[str, tuple[AnyClientEvent, CancelWhen]] = {
        "payment": (build.paid(8), CancelWhen.INVOICES_SETTLED),
        "dispute": (build.disputed(8), CancelWhen.INVOICES_DISPUTED),
        "promise": (build.promised(8, by=12), CancelWhen.INVOICES_PROMISED),
        "hold": (build.hold(8, until=12), CancelWhen.ON_HOLD),
        "consent": (build.consent(8), CancelWhen.CONSENT_WITHDRAWN),
        "void": (build.voided(8), CancelWhen.INVOICES_SETTLED),
        "pending": (build.pending(8), CancelWhen.INVOICES_PROMISED),
        "credit": (build.credit(8, minor=50_000), CancelWhen.INVOICES_SETTLED),
    }
    event, because = cases[kind]
    firm.feed(event)
    assert [(row.trigger_id, row.because) for row in retractions(firm)] == [(firm.triggers[0].trigger_id, because)]
    result = still_allowed(state_of(firm), firm.triggers[0], now_ms=ms(8))
    assert (result.allowed, result.because) == (False, because)
    assert result.reasons


def test_a_part_payment_takes_the_message_back_and_the_rest_is_asked_for_anew() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.paid(8, minor=40_000))
    firm.wake(ms(20))
    first, thanks, second = firm.triggers
    assert thanks.step == "thank_you"
    assert second.step == first.step
    assert second.trigger_id != first.trigger_id
    assert str(second.facts["amount_open"]) == "600.00 EUR"


def test_a_sent_message_counts_as_a_contact_and_is_not_pending_any_more() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.reported(8, firm.triggers[0].trigger_id))
    assert state_of(firm).care.pending == ()
    assert state_of(firm).care.contacts == (ms(8),)
    firm.feed(build.paid(9))
    assert retractions(firm) == []


def test_a_mail_that_left_too_late_to_be_retracted_counts_as_a_contact() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.paid(8))
    firm.feed(build.reported(8.1, firm.triggers[0].trigger_id, DeliveryOutcome.TOO_LATE))
    assert ms(8.1) in state_of(firm).care.contacts


def test_a_hard_bounce_makes_the_step_a_task_for_a_person_until_a_new_address_is_known() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.reported(8, firm.triggers[0].trigger_id, DeliveryOutcome.BOUNCED_HARD))
    firm.wake(ms(12))
    again = firm.triggers[1]
    assert (again.step, again.channel) == ("explain_terms", "task")
    assert "does not exist" in again.reasons[-1]
    firm.feed(build.profiled(13, email="new@client.example"))
    assert state_of(firm).person.suppressions == ()


def test_a_complaint_silences_the_channel_for_good() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.reported(8, firm.triggers[0].trigger_id, DeliveryOutcome.COMPLAINED))
    firm.wake(ms(60))
    assert len(firm.triggers) == 1
    decisions = [output for output in firm.outputs if isinstance(output, Decision)]
    assert "email is suppressed (complaint)" in decisions[-1].reasons[0]


def test_only_the_clients_own_later_word_for_that_channel_lifts_a_complaint() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.reported(8, firm.triggers[0].trigger_id, DeliveryOutcome.COMPLAINED))
    for word in (build.consent(9, granted=True), build.consent(10, Purpose.RELATIONSHIP, granted=True, channel="email")):
        firm.feed(word)
        assert refusal(state_of(firm), Purpose.SERVICING, "email") == "email is suppressed (complaint)"
    firm.feed(build.consent(11, granted=True, channel="email"))
    assert refusal(state_of(firm), Purpose.SERVICING, "email") is None
    firm.feed(build.reported(12, firm.triggers[0].trigger_id, DeliveryOutcome.COMPLAINED))
    assert refusal(state_of(firm), Purpose.SERVICING, "email") == "email is suppressed (complaint)"


def test_a_step_that_cannot_be_delivered_is_given_up_after_three_attempts() -> None:
    build = Events()
    firm = overdue(build)
    for attempt in range(3):
        day = 8 + attempt * 4
        firm.feed(build.reported(day, firm.triggers[-1].trigger_id, DeliveryOutcome.FAILED))
        firm.wake(ms(day + 3.9))
    firm.wake(ms(90))
    assert [row.step for row in firm.triggers] == ["explain_terms"] * DEFAULT_POLICY.attempts + ["ladder_end"]
    given_up, asked = [o for o in firm.outputs if isinstance(o, Decision)][-2:]
    assert "cannot be delivered" in given_up.reasons[0]
    assert asked.step == "ladder_end"


def test_a_worker_waits_for_the_clients_office_hours() -> None:
    build = Events()
    firm = overdue(build)
    trigger, state = firm.triggers[0], state_of(firm)
    evening = ms(7.5)  # 21:00
    row = known_as(state, trigger)
    held = may_leave(state, row, now_ms=evening, policy=DEFAULT_POLICY)
    assert (held.verdict, held.code, held.until_ms) == (Verdict.HOLD, "hours", ms(8) - 3_600_000)
    assert may_leave(state, row, now_ms=ms(30), policy=DEFAULT_POLICY).verdict is Verdict.WITHDRAW
    assert not still_allowed(state, trigger, now_ms=ms(30)).allowed


def test_a_timer_found_too_late_is_a_decision_and_the_step_comes_later() -> None:
    build = Events()
    state = final([build.profiled(0), build.issued(0, "I1", due=DUE)])
    result = fold([tick(20)], state=state)[0]
    (decision,) = (output for output in result.outputs if isinstance(output, Decision))
    assert "found 12 days after it was due" in decision.reasons[0] or "found 13 days" in decision.reasons[0]
    later = fold([tick(30)], state=result.state)[0]
    assert result.next_due_ms is not None
    woken = fold([tick((result.next_due_ms - ms(0)) / DAY_MS)], state=result.state)[0]
    assert [output.kind for output in woken.outputs if output.kind != "example"] == ["trigger", "decision"]
    assert all(output.kind in {"decision", "example"} for output in later.outputs)


def test_an_erased_client_is_forgotten_and_stays_so() -> None:
    build = Events()
    firm = overdue(build)
    firm.feed(build.erased(8))
    assert [row.because for row in retractions(firm)] == [CancelWhen.CLIENT_ERASED]
    firm.feed(build.issued(9, "I2"))
    state = state_of(firm)
    assert state.erased_ms == ms(8)
    assert (state.ledger.invoices, state.person.name.value, state.care.timers) == ((), "", ())
    assert not still_allowed(state, firm.triggers[0], now_ms=ms(8)).allowed


def test_an_event_older_than_the_window_is_late_only_when_its_id_could_have_been_forgotten() -> None:
    build = Events()
    state = final([build.called(day) for day in range(0, 120, 2)])
    old = transition(state, build.paid(5, event_id="unseen"), policy=DEFAULT_POLICY, scorer=BASELINE)
    assert old.disposition is Disposition.LATE
    assert old.state == state
    few = final([build.called(0), build.called(100)])
    known = transition(few, build.paid(5, event_id="unseen"), policy=DEFAULT_POLICY, scorer=BASELINE)
    assert known.disposition is Disposition.APPLIED


def test_an_imported_history_is_not_late() -> None:
    build = Events()
    log = [
        event.model_copy(update={"received_at": on(900 + day / 1440)})
        for day in range(150)
        for event in (build.issued(day, f"I{day}"), build.paid(day, f"P{day}", invoice=f"I{day}"))
    ]
    assert {result.disposition for result in fold(log)} == {Disposition.APPLIED}


def test_relationship_messages_state_no_amounts() -> None:
    with pytest.raises(ForbiddenFactError, match="relationship messages may not state amount_open"):
        allowed_facts(Purpose.RELATIONSHIP, {"amount_open": 5})
    build = Events()
    firm = Firm().run([build.profiled(0), build.paid(1, invoice=None)])
    assert set(firm.triggers[0].facts) <= {"name", "payment_size", "service_line"}


def test_a_message_names_the_invoice_its_amount_and_its_day() -> None:
    trigger = overdue(Events()).triggers[0]
    assert trigger.facts["invoice_numbers"] == "I1"
    assert str(trigger.facts["amount_open"]) == "1000.00 EUR"
    assert trigger.facts["due_date"] == "2024-01-11"
    assert trigger.legal_basis == "contract"


def test_a_tick_needs_a_client() -> None:
    with pytest.raises(ValueError, match="no state to wake"):
        transition(None, tick(1), policy=DEFAULT_POLICY, scorer=BASELINE)
