"""Every event has an inverse, or a reason why it needs none; what is applied and taken back leaves nothing that is read."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from models.events.delays import DisputeOutcome
from models.events.union import EVENT_KINDS, AnyClientEvent
from models.learners.baseline import BASELINE
from models.state.balances import items
from models.state.client import ClientState
from models.state.history import lateness
from models.state.reckoning import left
from models.triggers import Trigger
from tests.models.builders import Events
from tests.models.test_segments import monthly
from tests.models.views import final, fold, money_view, outputs_of

ITSELF: Final = "the same kind again: the latest word holds"
HAPPENED: Final = "it says what happened, and that stays true"
BETWEEN: Final = "clients say it to each other; what caused it has an inverse"

INVERSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "invoice.issued": "invoice.voided",
        "invoice.voided": "invoice.issued",
        "invoice.amended": "invoice.amended",
        "invoice.written_off": "invoice.reinstated",
        "invoice.reinstated": "invoice.written_off",
        "credit_note.issued": "credit_note.voided",
        "payment.received": "payment.failed",
        "payment.pending": "payment.failed",
        "payment.refunded": "payment.refund_failed",
        "payment.charged_back": "payment.chargeback_reversed",
        "dispute.opened": "dispute.closed",
        "dispute.closed": "dispute.opened",
        "promise.made": "promise.withdrawn",
        "plan.agreed": "plan.cancelled",
        "override.set": "override.cleared",
        "client.merged": "client.split",
        "client.split": "client.merged",
    }
)
"""By kind, what takes it back."""

NONE_NEEDED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "credit_note.voided": "a credit note of another number is issued",
        "payment.failed": "the payment is received after all, under the same name",
        "payment.refund_failed": "a refund of another number is made",
        "payment.chargeback_reversed": "a chargeback of another number is made",
        "promise.withdrawn": "a promise of another number is made",
        "plan.cancelled": "a plan of another number is agreed",
        "override.cleared": "an override of another number is set",
        "delay.reported": ITSELF,
        "contract.recorded": ITSELF,
        "client.profiled": ITSELF,
        "consent.changed": ITSELF,
        "risk.reported": ITSELF,
        "client.delegated": ITSELF,
        "policy.activated": ITSELF,
        "runs.migrated": ITSELF,
        "learner.activated": ITSELF,
        "halt.changed": ITSELF,
        "feed.changed": ITSELF,
        "delivery.reported": HAPPENED,
        "address.refused": HAPPENED,
        "contact.logged": HAPPENED,
        "client.asked": HAPPENED,
        "approval.answered": HAPPENED,
        "clock.ticked": "time does not go back",
        "client.erased": "what is forgotten is not known any more, by intent",
        "client.absorbed": BETWEEN,
        "client.entrusted": BETWEEN,
        "client.parted": BETWEEN,
    }
)
"""By kind, why it needs none."""


def _payment(minor: int) -> str:
    """Return a payment of which so much can go back: of an invoice that is settled by it, or of one that is not."""
    return "WHOLE" if minor <= 20_000 else "PART"


DAYS: Final = st.integers(151, 175).map(lambda day: day + 0.25)
"""In the afternoon: no question is put between an event and its inverse, which would be answered by what was true then."""

Pair = tuple[AnyClientEvent, AnyClientEvent]
PAIRS: Final[Mapping[str, Callable[[Events, float, int], Pair]]] = MappingProxyType(
    {
        "invoice.issued": lambda build, day, minor: (build.issued(day, "N", minor, due=day + 20), build.voided(day + 0.01, "N")),
        "invoice.written_off": lambda build, day, _: (build.written_off(day, "OPEN"), build.reinstated(day + 0.01, "OPEN")),
        "credit_note.issued": lambda build, day, minor: (
            build.credit(day, "C9", minor, "OPEN"),
            build.credit_voided(day + 0.01, "C9"),
        ),
        "payment.refunded": lambda build, day, minor: (
            build.refunded(day, "R9", _payment(minor), minor),
            build.refund_failed(day + 0.01, "R9", _payment(minor), minor),
        ),
        "payment.charged_back": lambda build, day, minor: (
            build.charged_back(day, "B9", _payment(minor), minor),
            build.chargeback_reversed(day + 0.01, "B9", _payment(minor), minor),
        ),
        "dispute.opened": lambda build, day, _: (
            build.disputed(day, "D9", "OPEN"),
            build.dispute_closed(day + 0.01, "D9", DisputeOutcome.WITHDRAWN),
        ),
        "promise.made": lambda build, day, _: (
            build.promised(day, "Y9", "OPEN", by=day + 9),
            build.promise_withdrawn(day + 0.01, "Y9"),
        ),
        "plan.agreed": lambda build, day, _: (
            build.planned(day, "L9", "OPEN", parts=[(day + 5, 35_000), (day + 25, 35_000)]),
            build.plan_cancelled(day + 0.01, "L9"),
        ),
    }
)
"""Makes an event and its inverse about a history with a part paid, open invoice."""

STAYS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "invoice.issued": ("habits",),  # when the firm wrote an invoice: it did
        "dispute.opened": ("habits", "rhythm"),  # that the client objected once: it did
    }
)
"""What is read and tells that something happened, although it was taken back."""


def _read(state: ClientState) -> dict[str, object]:
    """Return what decisions and features read: money, windows, rhythm, what was learned, and the score."""
    money = money_view(state)
    # Rows of what is settled collapse by and by: that moment follows the last fact, and says nothing.
    figures = {name: money[name] for name in ("exposures", "cash", "credit")}
    owed = [row for row in state.ledger.invoices if left(row)]
    invoices = [(row.invoice_id, row.due_ms, row.paid, row.credited, row.refunded, row.charged_back) for row in owed]
    # So do labels: `lateness` counts those of invoices that are kept and those that have collapsed.
    rhythm = {
        name: row for name, row in asdict(state.rhythm).items() if name not in {"labels", "labelled", "late", "written_off"}
    }
    score = BASELINE.score(state)
    learned = {"rhythm": rhythm, "habits": state.habits, "lateness": lateness(state), "score": score}
    return {**figures, **learned, "why": score and score.reasons, "invoices": invoices}


def _history(build: Events) -> list[AnyClientEvent]:
    part: list[AnyClientEvent] = [build.issued(139, "DONE", 20_000, due=149), build.paid(148, "WHOLE", 20_000, "DONE")]
    part += [build.issued(140, "OPEN", 70_000, due=160), build.paid(150, "PART", 30_000, "OPEN")]
    return [build.profiled(0), *monthly(build, 4, late=2), *part]


def test_every_kind_has_an_inverse_or_a_reason_why_it_needs_none() -> None:
    assert {*INVERSES, *NONE_NEEDED} == set(EVENT_KINDS)
    assert not set(INVERSES) & set(NONE_NEEDED)
    assert set(INVERSES.values()) <= set(EVENT_KINDS)


@pytest.mark.parametrize("kind", sorted(PAIRS))
@settings(max_examples=8)
@given(day=DAYS, minor=st.integers(1, 30_000), rest=st.floats(0.1, 60))
def test_what_is_taken_back_leaves_nothing_that_a_decision_or_a_feature_reads(
    kind: str, day: float, minor: int, rest: float
) -> None:
    build = Events()
    history = _history(build)
    done, undone = PAIRS[kind](build, day, minor)
    assert (done.kind, undone.kind) == (kind, INVERSES[kind])
    end = build.called(day + rest)
    with_both, without = (_read(final([*history, *events, end])) for events in ((done, undone), ()))
    for stays in STAYS.get(kind, ()):
        del with_both[stays], without[stays]
    assert with_both == without


KEPT: Final[Mapping[str, int]] = MappingProxyType({"invoice.written_off": 34, "credit_note.issued": 44})
"""For so many days a row is kept whose fact is all that is known of it; of everything else the inverse holds however late."""


@pytest.mark.parametrize("kind", sorted(PAIRS))
@settings(max_examples=15)
@given(day=DAYS, minor=st.integers(1, 30_000), late=st.integers(0, 150), data=st.data())
def test_what_is_taken_back_at_the_same_moment_or_long_after_leaves_no_money_in_either_order_of_arrival(
    kind: str, day: float, minor: int, late: int, data: st.DataObject
) -> None:
    build = Events()
    history = _history(build)
    done, undone = PAIRS[kind](build, day, minor)
    after = build.called(day + min(late, KEPT.get(kind, late)))
    undone = undone.model_copy(update={"occurred_at": after.occurred_at, "received_at": after.received_at})
    pair = [done, undone]
    if undone.occurred_at == done.occurred_at and data.draw(st.booleans()):
        pair.reverse()
    weeks = [build.called(day + week) for week in range(7, 210, 7)]
    logs = (sorted([*history, *told, *weeks], key=lambda event: event.received_ms) for told in (pair, []))
    with_both, without = (money_view(final(log)) for log in logs)
    assert [with_both[name] for name in ("exposures", "cash", "credit")] == [
        without[name] for name in ("exposures", "cash", "credit")
    ]


@pytest.mark.parametrize("again", [1, 3])
def test_a_write_off_taken_back_when_its_invoice_is_summed_up_becomes_one_task_for_a_person(again: int) -> None:
    build = Events()
    log: list[AnyClientEvent] = [
        build.profiled(0),
        build.issued(1, "GONE"),
        build.written_off(20, "GONE"),
        build.issued(2, "PAID"),
    ]
    log += [build.paid(4, "P4", 100_000, "PAID"), build.called(60), build.called(75)]
    log += [build.reinstated(80 + time, name) for time in range(again) for name in ("GONE", "PAID")]
    (task,) = [row for row in outputs_of(fold(log)) if isinstance(row, Trigger) and row.channel == "task"]
    assert (task.step, task.facts["invoice_numbers"]) == ("reinstated", "GONE")
    assert not items(final(log).ledger, final(log).now_ms)


@pytest.mark.parametrize("kind", ["payment.refunded", "payment.charged_back"])
def test_money_that_comes_back_weeks_later_leaves_no_window_with_less_than_nothing(kind: str) -> None:
    build = Events()
    history = _history(build)
    done, undone = PAIRS[kind](build, 155, 30_000)
    later = undone.model_copy(update={"occurred_at": build.called(230).occurred_at, "received_at": build.called(230).received_at})
    assert final([*history, done, later]).rhythm.buckets == final([*history, build.called(230)]).rhythm.buckets


def test_a_refund_that_fails_after_its_payment_has_collapsed_is_no_money_given_back_any_more() -> None:
    build = Events()
    history = [build.profiled(0), *monthly(build, 12, late=-2), build.issued(35, "X", 90_000, due=49)]
    history += [build.paid(47, "PX", 90_000, "X"), build.refunded(55, "RX", "PX", 90_000)]
    history.sort(key=lambda event: event.received_ms)
    back = build.refund_failed(400, "RX", "PX", 90_000)
    state = final([*history, back])
    assert not any(row.payment_id == "PX" for row in state.ledger.payments)
    assert [row.refunded for row in state.ledger.totals] == [0]
    assert (
        money_view(state)["exposures"]
        == money_view(final([row for row in history if row.kind != "payment.refunded"]))["exposures"]
    )
