"""Reading one event of our own contracts, sent by somebody else."""

from collections.abc import Mapping
from typing import Final, cast

from pydantic import ValidationError

from models.events.union import EVENT_KINDS, PUBLIC_TOPIC_KINDS, AnyClientEvent
from models.events.upcasts import UnknownVersionError, upcast, version_of
from streams.runtime.errors import DeadLetterError
from streams.wire.dead_letters import Reason

OUR_KINDS: Final = frozenset(EVENT_KINDS).difference(*PUBLIC_TOPIC_KINDS.values())
"""Kinds that only we write, into the log itself."""

_EXPLAINED: Final = 5


def kind_of(fields: Mapping[str, object]) -> str:
    """Return the event kind, if it is one that others may send; raises DeadLetterError otherwise."""
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind not in EVENT_KINDS:
        said = repr(kind[:60]) if isinstance(kind, str) else "nothing"
        raise DeadLetterError(Reason.UNKNOWN_KIND, f"kind: no event kind is called {said}; see `rapport contracts show`")
    if kind in OUR_KINDS:
        raise DeadLetterError(Reason.NOT_FROM_OUTSIDE, f"{kind} is written by Rapport alone")
    return kind


def read_client_event(fields: Mapping[str, object]) -> AnyClientEvent:
    """Return the event that `fields` describe, lifted to the present version; raises DeadLetterError with the reason."""
    kind = kind_of(fields)
    if fields.get("passed_on") is not None:
        raise DeadLetterError(Reason.NOT_FROM_OUTSIDE, "passed_on is written by Rapport alone")
    contract = EVENT_KINDS[kind]
    try:
        event = contract.model_validate(dict(upcast(fields, kind=kind, current=version_of(contract))))
    except UnknownVersionError as error:
        raise DeadLetterError(Reason.BAD_VERSION, str(error)) from error
    except ValidationError as error:
        missing = {problem["loc"] for problem in error.errors(include_url=False) if problem["type"] == "missing"}
        reason = Reason.NO_CLIENT if ("client_id",) in missing else Reason.BAD_SCHEMA
        raise DeadLetterError(reason, explain(error)) from error
    return cast("AnyClientEvent", event)


def explain(error: ValidationError) -> str:
    """Return where and why validation failed, at most five places, without the values: they may be personal."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    said = [f"{'.'.join(map(str, problem['loc'])) or error.title}: {problem['msg']}" for problem in problems[:_EXPLAINED]]
    return "; ".join(said) + ("" if len(problems) <= len(said) else f"; and {len(problems) - len(said)} more")
