"""The version of a policy: what its author calls it, and a digest of what it says. Two policies that differ never share one."""

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from models.ids import derive

DIGITS: Final = 8
_OFFER: Final = {
    "least_units": 0,
    "most_days": 60,
    "most_instalments": 6,
    "ways": ["contact", "deferral", "method", "plan", "split"],
}
_STATEMENT: Final = {
    "id": "statement",
    "after_days": 0,
    "valid_days": 7,
    "tone": "gentle",
    "purpose": "servicing",
    "cancel_when": [
        "invoices_settled",
        "invoices_disputed",
        "invoices_promised",
        "consent_withdrawn",
        "on_hold",
        "client_erased",
    ],
    "why": "what is too little for a message of its own, once a month and all together",
    "channel": "email",
    "missed": "latest",
    "receipt": False,
    "unanswered_hours": 0,
}
_LATER: Final[Mapping[str, object]] = MappingProxyType(
    {
        "own": [],
        "timing": None,
        "audiences": [],
        "guides": [],
        "guess_causes": True,
        "segment_grace": {},
        "contact_costs": {},
        "rotate_months": 0,
        "renewal_options": ["same", "less", "more", "talk", "later"],
        "renewal_unlikely_below": 0.5,
        "renewal_more_from": 0.3,
        "most_shift": 0.1,
        "dwell_days": 0,
        "review_day": 5,
        "max_age": dict.fromkeys(("learner_days", "pay_date_days", "renewal_days", "score_days", "segment_days"), 0),
        "statement": {"day": 0, "step": _STATEMENT},
        "offers": {"causes": {}, "segments": dict.fromkeys(("new", "problem", "reliable", "slow"), _OFFER)},
    }
)
"""Fields that came later, with what they say in a policy that says nothing of them: there they do not count, so that its version
stays what it was. These are no defaults but what the defaults were then: whoever changes a default leaves them as they are."""
MARK: Final = "+"


def content_version(declared: str, content: object) -> str:
    """Return `declared` with a digest of `content`, whose own field `version` does not count: `2026.1+0c5f31aa`.

    A version that carries a digest already loses it first, so that stamping twice changes nothing.
    """
    plain = _plain(content)
    plain.pop("version", None)
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"{declared.partition(MARK)[0]}{MARK}{derive('policy', text)[:DIGITS]}"


def _plain(value: object) -> Any:  # noqa: ANN401, PLR0911 (any JSON value; one return per type reads best)
    """Return a value of the policy as JSON that is equal for equal meanings."""
    if is_dataclass(value):
        told = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {name: item for name, item in told.items() if name not in _LATER or item != _LATER[name]}
    match value:
        case Enum():
            return value.value
        case Mapping():
            return {str(_plain(key)): _plain(item) for key, item in value.items()}
        case AbstractSet():
            return sorted(_plain(item) for item in value)
        case tuple() | list():
            return [_plain(item) for item in value]
        case date() | time():
            return value.isoformat()
        case _:
            return value
