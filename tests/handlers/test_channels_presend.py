from datetime import UTC, datetime, timedelta

import pytest

from handlers.channels.contract import Recipient
from handlers.channels.presend import at_any_hour, gate_look
from models.events.control import HaltChanged
from models.events.envelope import epoch_ms
from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentReceived
from models.events.signals import ClientErased, ClientProfiled, ConsentChanged, Purpose
from models.events.union import AnyEvent
from models.learners.baseline import BASELINE
from models.money import Money
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.state.codec import encode
from models.transition import transition
from models.triggers import CancelWhen
from models.workdays import moment
from streams.engine.program import ClientProgram
from tests.handlers.channel_examples import trigger
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm
from tests.models.test_outcomes import state_of
from tests.models.test_unheard import late

MONDAY_MORNING = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
NIGHT = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)
LOOK = gate_look(DEFAULT_POLICY)
PROFILE = ClientProfiled(
    event_id="p1",
    source="test",
    occurred_at=MONDAY_MORNING - timedelta(days=60),
    client_id="ada",
    name="Ada Lovelace",
    email="ada@client.example",
    locale="en_GB",
    timezone="Europe/London",
)
INVOICE = InvoiceIssued(
    event_id="i1",
    source="test",
    occurred_at=MONDAY_MORNING - timedelta(days=40),
    client_id="ada",
    invoice_id="in_1",
    amount=Money(125_000, "EUR"),
    due_at=MONDAY_MORNING - timedelta(days=10),
)
ASKED = trigger(
    facts={"amount_open": Money(125_000, "EUR")},
    cancel_when=(CancelWhen.INVOICES_SETTLED, CancelWhen.CONSENT_WITHDRAWN, CancelWhen.CLIENT_ERASED),
    expires_at=MONDAY_MORNING + timedelta(days=5),
)


def state_after(*events: AnyEvent) -> bytes:
    state: ClientState | None = None
    for event in events:
        state = transition(state, event, policy=DEFAULT_POLICY, scorer=BASELINE).state
    assert state is not None
    return encode(state)


def test_what_is_still_right_may_go_to_the_address_of_the_profile() -> None:
    seen = LOOK(state_after(PROFILE, INVOICE), ASKED, epoch_ms(MONDAY_MORNING), b"")
    assert (seen.allowed, seen.not_before_ms) == (True, epoch_ms(MONDAY_MORNING))
    assert seen.recipient == Recipient(name="Ada Lovelace", email="ada@client.example", locale="en_GB", timezone="Europe/London")


PAID = PaymentReceived(
    event_id="m1",
    source="test",
    occurred_at=MONDAY_MORNING - timedelta(hours=1),
    client_id="ada",
    payment_id="pay_1",
    invoice_id="in_1",
    amount=Money(125_000, "EUR"),
)
REFUSED = ConsentChanged(
    event_id="c1",
    source="test",
    occurred_at=MONDAY_MORNING - timedelta(hours=1),
    client_id="ada",
    purpose=Purpose.SERVICING,
    granted=False,
)
ERASED = ClientErased(
    event_id="e1", source="test", occurred_at=MONDAY_MORNING - timedelta(hours=1), client_id="ada", requested_by="ada"
)


@pytest.mark.parametrize(
    ("event", "code"),
    [(PAID, "invoices_settled"), (REFUSED, "consent_withdrawn")],
    ids=["payment", "consent withdrawn"],
)
def test_what_happened_since_the_decision_stops_the_message(event: AnyEvent, code: str) -> None:
    seen = LOOK(state_after(PROFILE, INVOICE, event), ASKED, epoch_ms(MONDAY_MORNING), b"")
    assert (seen.allowed, seen.code) == (False, code)
    assert seen.reasons


def test_a_client_who_asked_to_be_forgotten_is_not_written_to() -> None:
    courtesy = ASKED.model_copy(update={"cancel_when": (CancelWhen.CLIENT_ERASED,)})
    seen = LOOK(state_after(PROFILE, INVOICE, ERASED), courtesy, epoch_ms(MONDAY_MORNING), b"")
    assert (seen.allowed, seen.code, seen.recipient) == (False, "client_erased", Recipient())


def test_at_night_a_message_waits_for_the_clients_own_morning() -> None:
    seen = LOOK(state_after(PROFILE, INVOICE), ASKED, epoch_ms(NIGHT), b"")
    assert seen.allowed
    assert moment(seen.not_before_ms) == datetime(2026, 3, 3, 8, 0, tzinfo=UTC)


def test_a_task_for_staff_does_not_wait_for_the_clients_morning() -> None:
    task = ASKED.model_copy(update={"channel": "console"})
    assert LOOK(state_after(PROFILE, INVOICE), task, epoch_ms(NIGHT), b"").not_before_ms == epoch_ms(NIGHT)


def test_a_message_whose_last_open_hour_has_passed_is_stopped() -> None:
    short = ASKED.model_copy(update={"expires_at": NIGHT + timedelta(hours=2)})
    seen = LOOK(state_after(PROFILE, INVOICE), short, epoch_ms(NIGHT), b"")
    assert (seen.allowed, seen.code) == (False, "expired")


def test_a_clock_that_races_through_days_is_not_asked_for_quiet_hours() -> None:
    seen = at_any_hour(LOOK)(state_after(PROFILE, INVOICE), ASKED, epoch_ms(NIGHT), b"")
    assert (seen.allowed, seen.not_before_ms) == (True, 0)


def _regime(**fields: object) -> bytes:
    base = {
        "event_id": "h1",
        "source": "cli",
        "occurred_at": NIGHT,
        "received_at": NIGHT,
        "author": "mia",
        "reason": "wrong amounts",
    }
    return ClientProgram().govern(b"", HaltChanged.model_validate({**base, "halted": True, **fields}))


@pytest.mark.parametrize(
    "stop",
    [
        {"scope": "all"},
        {"scope": "journey", "target": "delayed_payment_support"},
        {"scope": "channel", "target": "email"},
        {"scope": "purpose", "target": "servicing"},
    ],
    ids=lambda stop: str(stop["scope"]),
)
def test_a_stop_that_reaches_a_message_holds_it_just_before_sending_even_for_a_clock_that_races(stop: dict[str, object]) -> None:
    regime, now_ms = _regime(**stop), epoch_ms(MONDAY_MORNING)
    for look in (LOOK, at_any_hour(LOOK)):
        seen = look(state_after(PROFILE, INVOICE), ASKED, now_ms, regime)
        assert (seen.allowed, seen.code) == (True, "stop")
        assert seen.not_before_ms > now_ms
        assert "wrong amounts" in seen.reasons[0]


def test_a_step_waits_while_nothing_is_known_of_the_one_before_it() -> None:
    firm = Firm().run(late(Events()), until_ms=ms(18))
    (first, second), state = firm.triggers, state_of(firm)
    for look in (LOOK, at_any_hour(LOOK)):
        seen = look(encode(state), second, ms(18), b"")
        assert (seen.allowed, seen.code) == (True, "unheard")
        assert seen.not_before_ms > ms(18)
    assert LOOK(encode(state), first, ms(18), b"").code == "expired", "it is reported at once, so nothing waits for ever"


def test_a_stop_of_something_else_holds_nothing() -> None:
    regime = _regime(scope="journey", target="pre_renewal")
    seen = LOOK(state_after(PROFILE, INVOICE), ASKED, epoch_ms(MONDAY_MORNING), regime)
    assert (seen.allowed, seen.code, seen.not_before_ms) == (True, "", epoch_ms(MONDAY_MORNING))


def takes_place(firm: Firm) -> tuple[str, bool]:
    """Return the last message that a firm has decided, and whether it counts for who reads it."""
    last, state = firm.triggers[-1], encode(state_of(firm))
    seen, hasty = (look(state, last, epoch_ms(last.not_before), b"") for look in (LOOK, at_any_hour(LOOK)))
    assert (seen.allowed, hasty.takes_place) == (True, False)
    return last.step, seen.takes_place


def test_care_takes_a_place_at_its_readers_address_and_open_work_and_receipts_do_not() -> None:
    build = Events()
    thanked = Firm().run([build.profiled(0), build.paid(0.3, "P1", invoice=None)])
    assert takes_place(thanked) == ("thank_you", False)
    thanked.feed(build.reported(0.4, thanked.triggers[0].trigger_id))
    thanked.wake(ms(32))
    assert takes_place(thanked) == ("outcome_check", True)
    owing = Firm().run([build.profiled(0), build.issued(0.1, "I1", due=3)], until_ms=ms(8))
    assert takes_place(owing) == ("explain_terms", False)
