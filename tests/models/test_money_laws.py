"""Laws of money: order, repetition and reversal change nothing that they should not."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.union import AnyClientEvent
from models.state.client import ClientState
from models.state.codec import decode, encode
from models.state.reckoning import applied, gross, is_live, taken_back, unapplied
from models.transition import Disposition
from tests.models.builders import Events, on
from tests.models.stories import again, arriving, facts
from tests.models.views import final, fold, money_view, rhythm_view


@given(facts(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_any_order_of_arrival_gives_the_same_money(events: list[AnyClientEvent], dice: Random) -> None:
    order = list(range(len(events)))
    straight = final(arriving(events, order))
    dice.shuffle(order)
    shuffled = final(arriving(events, order))
    assert money_view(shuffled) == money_view(straight)
    assert rhythm_view(shuffled) == rhythm_view(straight)


@given(facts(), st.data())
@settings(max_examples=60)
def test_a_repeated_delivery_changes_nothing(events: list[AnyClientEvent], data: st.DataObject) -> None:
    log = arriving(events, list(range(len(events))))
    before = final(log)
    index = data.draw(st.integers(0, len(log) - 1))
    result = fold([log[index]], state=before)[0]
    assert result.disposition is Disposition.DUPLICATE
    assert result.state == before
    assert result.outputs == ()


@given(facts(), st.data())
@settings(max_examples=60)
def test_a_repeated_fact_under_another_id_changes_no_money(events: list[AnyClientEvent], data: st.DataObject) -> None:
    order = list(range(len(events)))
    log = arriving(events, order)
    index = data.draw(st.integers(0, len(log) - 1))
    repeated = again(log[index], 1).model_copy(update={"received_at": on(8)})
    settled = again(Events().called(0), 2).model_copy(update={"received_at": on(8), "event_id": "call"})
    assert money_view(final([*log, repeated])) == money_view(final([*log, settled]))
    assert rhythm_view(final([*log, repeated])) == rhythm_view(final([*log, settled]))


def accounted(state: ClientState) -> bool:
    """Say whether per currency received = applied + unapplied + refunded + charged back, rows and totals together."""
    books: dict[str, list[int]] = {}
    for total in state.ledger.totals:
        book = books.setdefault(total.currency, [0, 0])
        book[0] += total.received
        book[1] += total.applied + total.refunded + total.charged_back
    for row in state.ledger.payments:
        book = books.setdefault(row.currency, [0, 0])
        book[0] += gross(row)
        book[1] += sum(taken_back(row))
    for invoice in state.ledger.invoices:
        if invoice.issued_at:
            books.setdefault(invoice.currency, [0, 0])[1] += applied(invoice)[1]
    for code, minor in unapplied(state.ledger).items():
        assert minor >= 0, f"{code}: less than nothing is unapplied"
        books.setdefault(code, [0, 0])[1] += minor
    return all(received == found for received, found in books.values())


@given(facts(at_most=20))
@settings(max_examples=60)
def test_every_minor_unit_received_is_accounted_for(events: list[AnyClientEvent]) -> None:
    for result in fold(arriving(events, list(range(len(events))))):
        assert accounted(result.state)


@given(facts(at_most=20), st.lists(st.integers(1, 60), min_size=20, max_size=20))
@settings(max_examples=50)
def test_money_is_accounted_for_while_rows_collapse(events: list[AnyClientEvent], pauses: list[int]) -> None:
    day = 7
    log = []
    for event, pause in zip(events, pauses, strict=False):
        day += pause
        log.append(event.model_copy(update={"received_at": on(day)}))
    for result in fold(log):
        assert accounted(result.state)


@given(facts())
@settings(max_examples=60)
def test_a_state_survives_its_codec(events: list[AnyClientEvent]) -> None:
    state = final(arriving(events, list(range(len(events)))))
    assert decode(encode(state)) == state
    assert encode(decode(encode(state))) == encode(state)


@given(facts(at_most=8), st.sampled_from((1_000, 5_000, 10_000)))
@settings(max_examples=60)
def test_apply_then_reverse_leaves_the_balances_alone(events: list[AnyClientEvent], minor: int) -> None:
    build = Events()
    log = arriving(events, list(range(len(events))))
    # Its own names: the drawn events count from one as well, and a known name would make an event a repetition.
    base = [*log, again(build.issued(6.5, "X", 10_000, due=30, received=7.5), 0)]
    pairs: list[list[AnyClientEvent]] = [
        [build.paid(6.6, "PX", minor, "X", received=8), build.refunded(6.7, "RX", "PX", minor, received=8.1)],
        [build.credit(6.6, "CX", minor, "X", received=8), build.credit_voided(6.7, "CX", received=8.1)],
        [build.disputed(6.6, "DX", "X", received=8), build.dispute_closed(6.7, "DX", received=8.1)],
        [build.promised(6.6, "YX", "X", by=20, received=8), build.promise_withdrawn(6.7, "YX", received=8.1)],
        [
            build.planned(6.6, "LX", "X", parts=[(20, 5_000), (40, 5_000)], received=8),
            build.plan_cancelled(6.7, "LX", received=8.1),
        ],
        [build.pending(6.6, "PX", minor, "X", received=8), build.failed(6.7, "PX", minor, "X", received=8.1)],
        [build.issued(6.6, "Z", minor, received=8), build.voided(6.7, "Z", received=8.1)],
    ]
    settled = final([*base, again(build.called(6.6), 9).model_copy(update={"received_at": on(8.1)})])
    before = money_view(settled)
    for pair in pairs:
        after = money_view(final([*base, *(again(event, 0) for event in pair)]))
        for figure in ("exposures", "cash", "credit"):
            assert after[figure] == before[figure], (pair[0].kind, figure)


def test_a_chargeback_and_its_reversal_are_inverse() -> None:
    build = Events()
    base: list[AnyClientEvent] = [build.issued(0, "I1", 10_000), build.paid(1, "P1", 10_000, "I1")]
    reversed_ = final([*base, build.charged_back(2, minor=10_000), build.chargeback_reversed(3, minor=10_000)])
    straight = final([*base, build.called(3)])
    assert money_view(reversed_)["exposures"] == money_view(straight)["exposures"]
    assert is_live(reversed_.ledger.invoices[0])
    assert reversed_.ledger.invoices[0].settled_ms == straight.ledger.invoices[0].settled_ms
