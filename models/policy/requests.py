"""What clients ask for becomes a task for a person, with a due time: nothing is promised or changed by itself."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from models.events.delays import PromiseMade
from models.events.envelope import epoch_ms
from models.events.invoices import InvoiceReinstated
from models.events.signals import ClientAsked, Purpose, Request
from models.events.union import AnyClientEvent
from models.journey_names import RENEWALS
from models.money import Money
from models.policy.gate import is_running, renewal_anchor
from models.policy.journeys import Step
from models.policy.reinstating import ask_what_is_owed
from models.policy.replies import written_about
from models.policy.segments import effective_segment
from models.policy.turn import Turn, find_run
from models.state.client import JOURNEYS, ClientState, Run
from models.state.requests import noted
from models.triggers import CancelWhen, Journey, Tone
from models.workdays import DAY_MS, moment

ANSWER_STEP: Final = "answer_request"
ANSWER_DAYS: Final = 3
"""Within so many days a person should have answered."""

WORDS_TOLD: Final = 300
FROM_CLIENTS: Final = "link"
"""The source of what clients say by themselves, by a link or in the portal."""

_LIMITED: Final = frozenset({Request.PLAN, Request.LATER})
_ABOUT_RENEWALS: Final = frozenset({Request.RENEW, Request.DEFER})
_ASKED: Final[Mapping[Request, str]] = MappingProxyType(
    {
        Request.PLAN: "the client asks for a payment plan",
        Request.CONTACT: "the client asks for another contact",
        Request.MESSAGE: "the client has written to us",
        Request.LATER: "the client asks for a later day than is offered by itself",
        Request.RENEW: "the client wants to renew as it is: a person confirms it, nothing is billed by this",
        Request.DEFER: "the client wants the renewal to start later",
    }
)


def ask_people(turn: Turn, before: ClientState, event: AnyClientEvent) -> None:
    """Emit the tasks of an event that leaves something to a person: a promise that is none yet, an invoice that is owed again."""
    if isinstance(event, PromiseMade):
        ask_about_promise(turn, event)
    elif isinstance(event, InvoiceReinstated):
        ask_what_is_owed(turn, before, event)


def ask_a_person(turn: Turn, event: ClientAsked) -> None:
    """Emit a task about what the client asks; of several the same on one day the first is the task, the others are in the log."""
    words = (f"in their words: {' '.join(event.words.split())[:WORDS_TOLD]}",) if event.words else ()
    terms = turn.policy.offers.segments[effective_segment(turn.state, turn.state.now_ms)]
    limits = f"offered without asking: up to {terms.most_instalments} instalments, up to {terms.most_days} days later"
    more = (limits,) if event.request in _LIMITED else _renewals(turn.state) if event.request in _ABOUT_RENEWALS else ()
    about = asked_about(turn.state, event)
    hold = f"rapport overrides set {event.client_id} --effect hold --journey {Journey.DELAY_SUPPORT.value}"
    alone = (f"it is about invoice {about}: this one alone waits; to let all wait: {hold}",) if about else ()
    children = event.passed_on.children if event.passed_on else ()
    whose = (f"{children[0]} asks, for whom this client pays",) if children else ()
    turn.state = noted(turn.state, event.request, event.occurred_ms)
    _ask(turn, event.request, event.occurred_ms, (*whose, *words, *alone, *more))


def asked_about(state: ClientState, event: ClientAsked) -> str:
    """Return the one open invoice that a request is about, empty where it is about no single one, or one that is not known."""
    known = event.invoice_id and any(row.invoice_id == event.invoice_id for row in state.ledger.invoices)
    return event.invoice_id if event.invoice_id and known else written_about(state, event.occurred_ms)


def _renewals(state: ClientState) -> tuple[str, ...]:
    """Return which renewals lie ahead that the client was written to about; a person knows which one is meant."""
    ahead = [
        row
        for row in state.person.contracts
        if is_running(row)
        and row.renews_ms > state.now_ms
        and any((run := find_run(state, journey, renewal_anchor(row))) and run.stage for journey in RENEWALS)
    ]
    return tuple(
        f"contract {row.contract_id} renews on {moment(row.renews_ms).date().isoformat()}"
        + (f" for {Money(row.minor, row.currency)}" if row.minor else "")
        for row in ahead
    )


def ask_about_promise(turn: Turn, event: PromiseMade) -> None:
    """Ask a person about a promise by which a client takes more time than the policy offers; the promise holds meanwhile."""
    state = turn.state
    if event.source != FROM_CLIENTS:
        return  # a person has agreed to it
    most = turn.policy.offers.segments[effective_segment(state, state.now_ms)].most_days
    due = [row.due_ms for row in state.ledger.invoices if event.invoice_id in {None, row.invoice_id} and not row.settled_ms]
    days = (epoch_ms(event.promised_at) - max(event.occurred_ms, min(due, default=0))) // DAY_MS
    if days <= most:
        return
    about = f"invoice {event.invoice_id}" if event.invoice_id else "what is open"
    day = event.promised_at.date().isoformat()
    words = f"they promise {about} for {day}, {days} days later; {most} are offered without asking. The promise holds meanwhile"
    turn.state = noted(state, Request.LATER, event.occurred_ms)
    _ask(turn, Request.LATER, event.occurred_ms, (words,))


def _ask(turn: Turn, request: Request, at_ms: int, words: tuple[str, ...]) -> None:
    state = turn.state
    segment = effective_segment(state, state.now_ms)
    step = Step(
        ANSWER_STEP,
        0,
        ANSWER_DAYS,
        Tone.GENTLE,
        Purpose.SERVICING,
        (CancelWhen.CLIENT_ERASED,),
        _ASKED[request],
        channel=turn.policy.person_channel,
    )
    day = moment(at_ms).date().isoformat()
    run = Run(JOURNEYS.index(Journey.DELAY_SUPPORT), f"asks-{request.value}-{day}")
    facts = {"name": state.person.name.value, "request": request.value}
    turn.send(step, run, facts=dict(facts), reasons=(step.why, *words, f"segment {segment.value}"), advances=False)
