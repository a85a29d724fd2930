"""What clients ask for becomes a task for a person, with a due time: nothing is promised or changed by itself."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from models.events.signals import ClientAsked, Purpose, Request
from models.policy.journeys import Step
from models.policy.segments import effective_segment
from models.policy.turn import Turn
from models.state.client import JOURNEYS, ClientState, Run
from models.triggers import CancelWhen, Journey, Tone
from models.workdays import moment

ANSWER_STEP: Final = "answer_request"
ANSWER_DAYS: Final = 3
"""Within so many days a person should have answered."""

WORDS_TOLD: Final = 300
_PLACES: Final[Mapping[Request, int]] = MappingProxyType({request: place for place, request in enumerate(Request)})
_ASKED: Final[Mapping[Request, str]] = MappingProxyType(
    {
        Request.PLAN: "the client asks for a payment plan",
        Request.CONTACT: "the client asks for another contact",
        Request.MESSAGE: "the client has written to us",
    }
)


def ask_a_person(turn: Turn, event: ClientAsked) -> None:
    """Emit a task about what the client asks; of several the same on one day the first is the task, the others are in the log."""
    state = turn.state
    segment = effective_segment(state, state.now_ms)
    step = Step(
        ANSWER_STEP,
        0,
        ANSWER_DAYS,
        Tone.GENTLE,
        Purpose.SERVICING,
        (CancelWhen.CLIENT_ERASED,),
        _ASKED[event.request],
        channel=turn.policy.person_channel,
    )
    day = moment(event.occurred_ms).date().isoformat()
    run = Run(JOURNEYS.index(Journey.DELAY_SUPPORT), f"asks-{event.request.value}-{day}")
    words = (f"in their words: {' '.join(event.words.split())[:WORDS_TOLD]}",) if event.words else ()
    facts = {"name": state.person.name.value, "request": event.request.value}
    turn.state = _noted(state, event)
    turn.send(step, run, facts=dict(facts), reasons=(step.why, *words, f"segment {segment.value}"), advances=False)


def _noted(state: ClientState, event: ClientAsked) -> ClientState:
    """Remember when each thing was last asked for: it says what helps."""
    known = dict(enumerate(state.care.asked))
    place = _PLACES[event.request]
    known[place] = max(known.get(place, 0), event.occurred_ms)
    asked = tuple(known.get(index, 0) for index in range(max(known) + 1))
    return replace(state, care=replace(state.care, asked=asked))
