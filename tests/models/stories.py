"""Hypothesis strategies: facts about one client that contradict, repeat and overtake each other."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from hypothesis import strategies as st

from models.events.delays import DisputeOutcome
from models.events.payments import PaymentMethod
from models.events.union import AnyClientEvent
from tests.models.builders import Events, on

INVOICES = ("I1", "I2", "I3")
PAYMENTS = ("P1", "P2", "P3", "P4")
AMOUNTS = st.sampled_from((1_000, 2_500, 5_000, 10_000))
DAYS = st.integers(0, 96).map(lambda quarter: quarter / 16)  # within six days: inside grace


@st.composite
def facts(draw: st.DrawFn, *, at_most: int = 14) -> list[AnyClientEvent]:
    """Return facts without regard to sense or order; every fact of a family names one of few ids."""
    build = Events()
    kinds = draw(st.lists(st.sampled_from(sorted(_MAKERS)), min_size=1, max_size=at_most))
    # Two values of one register at one moment have no order to be independent of: no two facts share a moment.
    moments = draw(st.lists(DAYS, min_size=len(kinds), max_size=len(kinds), unique=True))
    return [_MAKERS[kind](draw, build, day) for kind, day in zip(kinds, moments, strict=True)]


def arriving(events: Sequence[AnyClientEvent], order: list[int]) -> list[AnyClientEvent]:
    """Return the events arriving in `order`, a minute apart, from the eighth day on."""
    return [events[index].model_copy(update={"received_at": on(7 + place / 1440)}) for place, index in enumerate(order)]


def again(event: AnyClientEvent, number: int) -> AnyClientEvent:
    """Return the same business fact as another delivery."""
    return event.model_copy(update={"event_id": f"{event.event_id}-again-{number}"})


def _invoice(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(INVOICES))


def _payment(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(PAYMENTS))


def _paid(draw: st.DrawFn, build: Events, day: float) -> AnyClientEvent:
    invoice = draw(st.sampled_from((*INVOICES, None)))
    method = draw(st.sampled_from((PaymentMethod.CARD, PaymentMethod.WIRE)))
    return build.paid(day, _payment(draw), draw(AMOUNTS), invoice, method=method)


_MAKERS: Final[dict[str, Callable[[Any, Events, float], AnyClientEvent]]] = {
    "issued": lambda draw, build, day: build.issued(day, _invoice(draw), draw(AMOUNTS), due=day + 1),
    "amended": lambda draw, build, day: build.amended(day, _invoice(draw), minor=draw(AMOUNTS), due=day + 2),
    "voided": lambda draw, build, day: build.voided(day, _invoice(draw)),
    "written_off": lambda draw, build, day: build.written_off(day, _invoice(draw)),
    "credit": lambda draw, build, day: build.credit(
        day, draw(st.sampled_from(("C1", "C2"))), draw(AMOUNTS), draw(st.sampled_from(("I1", None)))
    ),
    "credit_voided": lambda draw, build, day: build.credit_voided(day, draw(st.sampled_from(("C1", "C2")))),
    "paid": _paid,
    "pending": lambda draw, build, day: build.pending(day, _payment(draw), draw(AMOUNTS), _invoice(draw), expected=day + 8),
    "failed": lambda draw, build, day: build.failed(day, _payment(draw), draw(AMOUNTS), retry=day + 3),
    "refunded": lambda draw, build, day: build.refunded(day, draw(st.sampled_from(("R1", "R2"))), _payment(draw), draw(AMOUNTS)),
    "refund_failed": lambda draw, build, day: build.refund_failed(
        day, draw(st.sampled_from(("R1", "R2"))), _payment(draw), draw(AMOUNTS)
    ),
    "reinstated": lambda draw, build, day: build.reinstated(day, _invoice(draw)),
    "charged_back": lambda draw, build, day: build.charged_back(day, "B1", "P1", draw(AMOUNTS)),
    "reversed": lambda draw, build, day: build.chargeback_reversed(day, "B1", "P1", draw(AMOUNTS)),
    "disputed": lambda draw, build, day: build.disputed(day, "D1", draw(st.sampled_from(("I1", None)))),
    "dispute_closed": lambda draw, build, day: build.dispute_closed(day, "D1", draw(st.sampled_from(tuple(DisputeOutcome)))),
    "promised": lambda draw, build, day: build.promised(day, "Y1", draw(st.sampled_from(("I1", None))), by=day + 9),
    "promise_withdrawn": lambda _, build, day: build.promise_withdrawn(day, "Y1"),
    "planned": lambda draw, build, day: build.planned(
        day,
        draw(st.sampled_from(("L1", "L2"))),
        draw(st.sampled_from(("I1", "I2"))),
        parts=[(day + 5 * part, draw(AMOUNTS)) for part in range(1, draw(st.integers(2, 4)))],
    ),
    "plan_cancelled": lambda draw, build, day: build.plan_cancelled(day, draw(st.sampled_from(("L1", "L2")))),
    "delay": lambda draw, build, day: build.delay(day, _invoice(draw), expected=day + 5),
}
