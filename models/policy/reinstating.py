"""A write-off that is taken back when its invoice is no longer kept: nobody knows what is owed, so a person is asked."""

from typing import Final

from models.events.invoices import InvoiceReinstated
from models.events.signals import Purpose
from models.policy.facts import Fact
from models.policy.journeys import Step
from models.policy.turn import Turn
from models.state.client import JOURNEYS, ClientState, Run
from models.state.invoices import is_beyond_recall
from models.triggers import CancelWhen, Journey, Tone

REINSTATED_STEP: Final = "reinstated"
REINSTATED_DAYS: Final = 14
_WHY: Final = "its write-off was taken back after its amount and days were summed up: a person says what is owed"


def ask_what_is_owed(turn: Turn, before: ClientState, event: InvoiceReinstated) -> None:
    """Emit a task about an invoice that is owed again and not kept any more, once; nothing while the ledger has it."""
    if not is_beyond_recall(before, event.invoice_id):
        return
    step = Step(
        REINSTATED_STEP,
        0,
        REINSTATED_DAYS,
        Tone.GENTLE,
        Purpose.SERVICING,
        (CancelWhen.CLIENT_ERASED,),
        _WHY,
        channel=turn.policy.person_channel,
    )
    facts: dict[str, Fact] = {"name": turn.state.person.name.value, "invoice_numbers": event.invoice_id, "invoice_count": 1}
    run = Run(JOURNEYS.index(Journey.DELAY_SUPPORT), f"reinstated-{event.invoice_id}")
    turn.send(step, run, facts=facts, reasons=(f"invoice {event.invoice_id}: {_WHY}",), advances=False)
