"""What has been disputed, promised or under way is asked for only after a rest of its own, however near another message is."""

from collections.abc import Callable

import pytest

from models.events.union import AnyClientEvent
from models.triggers import Trigger
from tests.models.builders import Events, eur, ms, on
from tests.models.test_journey_laws import Firm

# The second message about I1 leaves on day 24, at eight in the morning (day 23.96).
ENDED: dict[str, Callable[[Events], list[AnyClientEvent]]] = {
    "dispute": lambda build: [build.disputed(12, "D1", "I2"), build.dispute_closed(22.9, "D1")],
    "promise": lambda build: [build.promised(12, "Y1", "I2", by=40), build.promise_withdrawn(23.5, "Y1")],
    "debit": lambda build: [
        build.pending(12, "P1", 100_000, "I2", expected=40),
        build.failed(23.5, "P1", 100_000, "I2"),
    ],
}


def test_an_invoice_that_is_being_edited_rests_until_a_day_after_the_last_edit_and_is_then_asked_for_as_it_stands() -> None:
    build = Events()
    log: list[AnyClientEvent] = [build.profiled(0), build.issued(1, "I1", due=10), build.issued(1.1, "I2", due=10)]
    log += [build.amended(13.5, "I1", minor=90_000), build.amended(13.9, "I1", minor=95_000)]  # first messages leave at 13.96
    first, second = _asked(Firm().run(log, until_ms=ms(26)))
    assert (first.invoice_ids, second.invoice_ids) == (("I2",), ("I1", "I2"))
    assert second.facts["amount_open"] == eur(195_000)
    alone = Firm().run([log[0], log[1], *log[3:]], until_ms=ms(20))
    (only,) = _asked(alone)
    assert only.facts["amount_open"] == eur(95_000)
    assert on(14.9) <= only.not_before < on(15)


def _asked(firm: Firm) -> list[Trigger]:
    return [trigger for trigger in firm.triggers if trigger.channel == "email"]


@pytest.mark.parametrize("claim", ENDED)
def test_what_was_claimed_until_yesterday_does_not_ride_along_and_begins_with_its_own_first_step(claim: str) -> None:
    build = Events()
    log = [build.profiled(0), build.issued(1, "I1", due=10), build.issued(1.1, "I2", due=10), *ENDED[claim](build)]
    firm = Firm().run(log, until_ms=ms(36))
    assert [(trigger.step, trigger.invoice_ids) for trigger in _asked(firm)] == [
        ("explain_terms", ("I1",)),
        ("offer_help", ("I1",)),
        ("explain_terms", ("I2",)),
    ]
