"""What a playbook's message may state of the pattern that began it, and the same in words for its reasons."""

from typing import Final

from models.money import exponent
from models.patterns import find_pattern
from models.policy.facts import Fact
from models.policy.journeys import PatternEntry, Playbook, SurgeEntry
from models.policy.playbooks import season_payments
from models.policy.policy import Policy
from models.state.client import ClientState, Run
from models.state.rows import METHODS
from models.state.windows import day_of

_STATED: Final = frozenset({"recent_payments", "weeks_quiet", "usual_weeks", "usual_method", "recent_method", "recent_invoices"})


def pattern_facts(playbook: Playbook, state: ClientState, policy: Policy) -> dict[str, Fact]:
    """Return coarse facts only: sizes and ways of paying by class, time in weeks."""
    match playbook.entry:
        case SurgeEntry():
            return {"payment_size": _usual_size(state, policy), "usual_method": _usual_method(state)}
        case PatternEntry(pattern=pattern):
            reading = find_pattern(state, pattern, policy.patterns)
            return {name: value for name, value in reading.facts.items() if name in _STATED} if reading else {}
        case _:
            return {}


def pattern_words(playbook: Playbook, run: Run, state: ClientState, policy: Policy) -> list[str]:
    """Return what was seen, none when it has passed (the message is about it all the same)."""
    match playbook.entry:
        case SurgeEntry(season=season):
            paid = season_payments(state, season, day_of(run.started_ms) - 1)
            return [f"{paid} payments came in the season from {season.first} to {season.last}"]
        case PatternEntry(pattern=pattern):
            reading = find_pattern(state, pattern, policy.patterns)
            return [reading.words] if reading else []
        case _:
            return []


def size_of(minor: int, currency: str, policy: Policy) -> str:
    """Return the class of a payment: micro, standard or large."""
    units = minor / 10 ** exponent(currency)
    if units < policy.micro_units:
        return "micro"
    return "large" if units >= policy.large_units else "standard"


def _usual_size(state: ClientState, policy: Policy) -> str:
    """Return the class of the average payment of thirteen months, in the currency with the most payments."""
    counts: dict[str, tuple[int, int]] = {}
    for row in state.rhythm.buckets:
        payments, money = counts.get(row.currency, (0, 0))
        counts[row.currency] = (payments + row.payments, money + row.money_in)
    currency, (payments, money) = max(counts.items(), key=lambda item: (item[1][0], item[0]), default=("EUR", (0, 0)))
    return size_of(money // payments, currency, policy) if payments > 0 else "standard"


def _usual_method(state: ClientState) -> str:
    methods = state.rhythm.methods
    return METHODS[methods.index(max(methods))].value if any(methods) else "other"
