"""What went back of a payment and came back again: the sums are the same before and after the payment has collapsed."""

from collections.abc import Sequence
from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.events.union import AnyClientEvent
from models.state.balances import exposures
from models.state.reckoning import unapplied
from tests.models.builders import Events
from tests.models.views import final, money_view

PAID: Final = 90_000
OPEN: Final = 100_000
REDUCTIONS: Final = {"R0": ("P0", 20_000), "R1": ("P0", 30_000), "B0": ("P0", 40_000), "R2": ("P1", 90_000), "B1": ("P2", 50_000)}
"""What may go back by refunds (R) and chargebacks (B): of which payment, and how much; never more than it brought."""

FACTS: Final = [(name, is_back) for name in REDUCTIONS for is_back in (False, True)]
ARRIVALS: Final = st.lists(st.tuples(st.sampled_from(FACTS), st.integers(5, 160)), max_size=14)
"""What is told, as often as drawn, and on which day: payments collapse between the days 45 and 100."""


def history(build: Events, told: Sequence[tuple[tuple[str, bool], int]]) -> list[AnyClientEvent]:
    """Return three payments on account, an open invoice, what is told of money that went back, and the weeks going by."""
    log: list[AnyClientEvent] = [build.profiled(0), build.issued(1, "OPEN", OPEN, due=300)]
    log += [build.paid(2, payment, PAID, None) for payment in ("P0", "P1", "P2")]
    log += [build.called(day) for day in range(60, 240, 20)]
    for (name, is_back), day in told:
        payment, minor = REDUCTIONS[name]
        refund, chargeback = (build.refund_failed, build.chargeback_reversed) if is_back else (build.refunded, build.charged_back)
        made = (refund if name.startswith("R") else chargeback)(4 if is_back else 3, name, payment, minor)
        log.append(made.model_copy(update={"received_at": build.called(day).received_at}))
    return sorted(log, key=lambda event: event.received_ms)


@given(ARRIVALS)
@example([(("R0", True), 150), (("R2", False), 20)])
@example([(("R0", False), 20), (("R0", True), 30), (("R0", True), 150)])
@example([(("R0", True), 150), (("R0", False), 151)])
@settings(max_examples=60)
def test_only_what_went_and_never_came_back_is_missing_in_whatever_order_and_however_often_and_late_it_is_told(
    told: list[tuple[tuple[str, bool], int]],
) -> None:
    facts = {fact for fact, _ in told}
    missing = sum(minor for name, (_, minor) in REDUCTIONS.items() if (name, False) in facts and (name, True) not in facts)
    state = final(history(Events(), told))
    assert not state.ledger.payments
    assert unapplied(state.ledger) == {"EUR": 3 * PAID - missing}
    assert [(row.open, row.net) for row in exposures(state.ledger, state.now_ms)] == [(OPEN, max(0, OPEN - 3 * PAID + missing))]


def test_a_refund_that_fails_and_never_counted_leaves_the_refund_of_another_payment_where_it_is() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0)]
    for number in range(3):
        log += [
            build.issued(number * 10 + 1, f"I{number}", 90_000),
            build.paid(number * 10 + 10, f"P{number}", 90_000, f"I{number}"),
        ]
    log += [build.refunded(40, "R0", "P0", 90_000), build.issued(200, "N", 10_000, due=230), build.paid(210, "PN", 10_000, "N")]
    log += [build.issued(300, "N2", 10_000, due=330)]
    log.sort(key=lambda event: event.received_ms)
    before = final([*log, build.called(310)])
    assert {row.payment_id for row in before.ledger.payments}.isdisjoint({"P0", "P1"})
    assert money_view(final([*log, build.refund_failed(310, "RX", "P1", 90_000)])) == money_view(before)


def test_a_refund_beside_a_chargeback_of_the_same_money_counted_nothing_and_gives_nothing_back() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0), build.paid(1, "P0", 90_000, None), build.paid(1, "P1", 90_000, None)]
    log += [
        build.refunded(2, "R0", "P0", 90_000),
        build.refunded(2, "R1", "P1", 90_000),
        build.charged_back(3, "B1", "P1", 90_000),
    ]
    log += [build.called(day) for day in (60, 80)]
    for day in (20, 90):
        told = sorted([*log, build.refund_failed(day, "R1", "P1", 90_000)], key=lambda event: event.received_ms)
        assert money_view(final(told))["cash"] == {}
