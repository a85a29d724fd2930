"""Money that the firm gave back of its own will is no lateness of the client's, whatever has collapsed since."""

from models.events.union import AnyClientEvent
from models.state.balances import has_open_dispute, items
from models.state.client import ClientState, Segment
from models.state.history import lateness
from models.triggers import Trigger
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm
from tests.models.test_segments import monthly
from tests.models.views import final, fold


def refunded_early(build: Events, *, refund: float) -> list[AnyClientEvent]:
    """Return a prompt client's year; the payment of one early invoice is refunded and no credit note is written."""
    log: list[AnyClientEvent] = [build.profiled(0), *monthly(build, 12, late=-2)]
    log += [build.issued(35, "X", 90_000, due=49), build.paid(47, "PX", 90_000, "X")]
    log.append(build.refunded(refund, "RX", "PX", 90_000))
    return sorted(log, key=lambda event: event.received_ms)


def run(log: list[AnyClientEvent]) -> tuple[ClientState, list[Trigger]]:
    firm = Firm().run(log, until_ms=ms(430))
    assert firm.state is not None
    return firm.state, [trigger for trigger in firm.triggers if "X" in trigger.invoice_ids]


def test_a_refund_keeps_a_client_reliable_after_its_payment_has_collapsed() -> None:
    state, triggers = run(refunded_early(Events(), refund=55))
    assert not any(row.payment_id == "PX" for row in state.ledger.payments)
    assert state.care.segment is Segment.RELIABLE
    assert lateness(state).overdue_now == 0
    assert [(row.channel, row.step) for row in triggers] == [("task", "ladder_end")]


def test_a_refund_that_comes_after_its_payment_has_collapsed_is_no_lateness_either() -> None:
    build = Events()
    # A part stays open, so that the invoice is still kept when its payment is not.
    log: list[AnyClientEvent] = [build.profiled(0), *monthly(build, 12, late=-2)]
    log += [build.issued(35, "X", 90_000, due=49), build.paid(47, "PX", 60_000, "X"), build.paid(48, "PY", 30_000, "X")]
    log.append(build.refunded(49, "RY", "PY", 30_000))
    late = build.refunded(150, "RX", "PX", 60_000).model_copy(update={"invoice_id": "X"})
    state, triggers = run(sorted([*log, late], key=lambda event: event.received_ms))
    owner = next(row for row in state.ledger.invoices if row.invoice_id == "X")
    assert owner.refunded == 90_000
    assert state.care.segment is Segment.RELIABLE
    assert [(row.channel, row.step) for row in triggers] == [("task", "ladder_end")]


def test_only_what_was_given_back_is_excused() -> None:
    build = Events()
    log = [*monthly(build, 5, late=-2), build.issued(100, "X", 90_000, due=110), build.paid(109, "PX", 50_000, "X")]
    log += [build.refunded(111, "RX", "PX", 50_000), build.called(140)]
    assert lateness(final(sorted(log, key=lambda event: event.received_ms))).overdue_now == 1


def test_a_chargeback_stays_contested_after_its_payment_has_collapsed_and_its_reversal_settles_the_invoice() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0), *monthly(build, 12, late=-2)]
    log += [build.issued(35, "X", 90_000, due=49), build.paid(47, "PX", 90_000, "X"), build.charged_back(55, "BX", "PX", 90_000)]
    log.sort(key=lambda event: event.received_ms)
    state, triggers = run(log)
    assert not any(row.payment_id == "PX" for row in state.ledger.payments)
    assert has_open_dispute(state.ledger)
    assert [row.disputed for row in items(state.ledger, state.now_ms)] == [90_000]
    assert not triggers
    after = fold([build.chargeback_reversed(431, "BX", "PX", 90_000)], state=state)[-1].state
    assert not has_open_dispute(after.ledger)
    assert not items(after.ledger, after.now_ms)
