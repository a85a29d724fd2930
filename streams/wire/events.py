"""Reading one event of our own contracts, sent by somebody else."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Final, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

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
        said = explain(error, known=tuple(contract.model_fields))
        raise DeadLetterError(reason, f"{said}; what it must be: rapport contracts show {kind}") from error
    return cast("AnyClientEvent", event)


def explain(error: ValidationError, *, known: Sequence[str] = ()) -> str:
    """Return where and why validation failed, at most five places, without the values: they may be personal.

    Of a field that is not among those `known`, the one that was probably meant is named.
    """
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    said = [f"{'.'.join(map(str, row['loc'])) or error.title}: {_words(row, known)}" for row in problems[:_EXPLAINED]]
    return "; ".join(said) + ("" if len(problems) <= len(said) else f"; and {len(problems) - len(said)} more")


def _words(problem: ErrorDetails, known: Sequence[str]) -> str:
    match problem["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1) if len(problem["loc"]) == 1 else ()
            return f"no field is called so{f', did you mean {near[0]}?' if near else ''}"
        case "timezone_aware":
            return "a moment needs its zone, as in 2026-03-02T09:30:00Z"
        case _:
            return problem["msg"].removeprefix("Value error, ")
