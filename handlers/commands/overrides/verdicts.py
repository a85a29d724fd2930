"""How one override is judged, by its effect: was the manager nearer, or rules and learner, or can nobody say.

A segment is judged by the invoices that fell due in its time: whose expectation of lateness was nearer (Brier score). A hold by
whether what was open got paid without the messages it stopped; a release by whether payment followed what it let out. A channel,
a tone or an urgency by whether invoices went otherwise than the learner (or the rules) expected when it was set, beyond chance;
a window by whether the contracts were renewed whose care it moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from handlers.commands.overrides.lives import Life, Said
from handlers.commands.overrides.outcomes import SURE, Ending, Outcome, surprise
from models.events.signals import OverrideEffect, OverrideSet
from models.policy.belief import ENDINGS, PRIOR, STATES
from models.triggers import Journey

NEARER: Final = 0.02
"""Difference of mean Brier scores from which one expectation counts as nearer."""

_ON_TIME: Final = 2  # kinds of ending that are on time: not late at all, and within the grace
_LEAST: Final = 2  # endings before an expectation can be judged


@dataclass(frozen=True, slots=True)
class Without:
    """What rules and learner said when it was set, and the life with the override and the one without."""

    rules: str
    learner: float | None
    real: Life
    twin: Life

    @property
    def expected(self) -> float:
        """The chance of being late that the learner gave; where it abstained, that of the rules' segment."""
        return late_chance(self.rules) if self.learner is None else self.learner


def late_chance(segment: str) -> float:
    """Return the chance that an invoice is late which a segment stands for; of a new client, that of clients in general."""
    chances = [sum(row[_ON_TIME:]) for row in ENDINGS]
    for place, state in enumerate(STATES):
        if state.value == segment:
            return chances[place]
    return sum(prior * chance for prior, chance in zip(PRIOR, chances, strict=True))


def judged(event: OverrideSet, outcome: Outcome, without: Without) -> tuple[str, str]:
    """Return who was nearer, and why, of an override that is over."""
    match event.effect:
        case OverrideEffect.SEGMENT:
            return _segment(event.value or "new", without.rules, without.learner, outcome.news)
        case OverrideEffect.HOLD | OverrideEffect.LEGAL_HOLD:
            held = [row for row in outcome.endings if event.invoice_id in {None, row.invoice_id}]
            return _hold(held, without.real, without.twin)
        case OverrideEffect.RELEASE:
            return _release(outcome.endings, without.real, without.twin)
        case OverrideEffect.CHANNEL | OverrideEffect.TONE | OverrideEffect.URGENCY:
            return _way_of_speaking(event, outcome, without)
        case OverrideEffect.WINDOW:
            return _window(without.real, without.twin)


def _segment(said: str, rules: str, chance: float | None, endings: Sequence[bool]) -> tuple[str, str]:
    late = sum(endings)
    if len(endings) < _LEAST:
        return "open", f"{len(endings)} invoices ended in its time: too few to say"
    held = f"{late} of {len(endings)} invoices were late"
    mine, theirs = (_brier(late_chance(segment), endings) for segment in (said, rules))
    learner = "" if chance is None else f", the learner {chance:.0%} (Brier {_brier(chance, endings):.2f})"
    words = (
        f"{held}; {said} expects {late_chance(said):.0%} (Brier {mine:.2f}), "
        f"the rules' {rules} {late_chance(rules):.0%} (Brier {theirs:.2f}){learner}"
    )
    best = theirs if chance is None else min(theirs, _brier(chance, endings))
    if abs(mine - best) < NEARER:
        return "open", f"{words}: no difference worth a word"
    return ("override", words) if mine < best else ("rules", words)


def _hold(endings: Sequence[Ending], real: Life, twin: Life) -> tuple[str, str]:
    stopped = len(twin.sent) - len(real.sent)
    if stopped <= 0:
        return "open", "nothing would have been sent without it"
    words = f"{_messages(stopped)} not sent (the first, {twin.sent[0].words})"
    if not endings:
        return "open", f"{words}; nothing fell due in its time"
    paid = sum(row.days is not None for row in endings)
    if paid == len(endings):
        return "override", f"{words}; all {paid} invoices were paid without them"
    if not paid:
        return "rules", f"{words}; none of {len(endings)} invoices was paid in its time"
    return "open", f"{words}; {paid} of {len(endings)} invoices were paid"


def _release(endings: Sequence[Ending], real: Life, twin: Life) -> tuple[str, str]:
    more = len(real.sent) - len(twin.sent)
    if more <= 0:
        return "open", "it let nothing out that would not have been sent anyway"
    words = f"{_messages(more)} sent that would not have been"
    paid = sum(row.days is not None for row in endings)
    if not paid:
        return "open", f"{words}; nothing was paid in its time"
    return "override", f"{words}; {paid} of {len(endings)} invoices were paid"


def _way_of_speaking(event: OverrideSet, outcome: Outcome, without: Without) -> tuple[str, str]:
    """Judge a channel, a tone or an urgency; of one invoice by that invoice only."""
    changed, instead = without.twin.only(without.real), without.real.only(without.twin)
    if not changed and not instead:
        return "open", "it changed nothing that was sent"
    words = _told(changed, instead)
    news = [row.late for row in outcome.endings if row.is_news and event.invoice_id in {None, row.invoice_id}]
    if len(news) < _LEAST:
        return "open", f"{words}; {len(news)} invoices ended in its time: too few to say"
    chance, count = without.expected, len(news)
    who = "the rules" if without.learner is None else "the learner"
    words += f"; {sum(news)} of {count} invoices were late, {who} expected {chance:.0%}"
    apart = surprise(sum(news), count * chance, count * chance * (1 - chance))
    if abs(apart) < SURE:
        return "open", f"{words}: within what chance does"
    return ("override", words) if apart < 0 else ("rules", words)


def _window(real: Life, twin: Life) -> tuple[str, str]:
    pair = ([row for row in life if row.trigger.journey is Journey.RENEWAL] for life in (twin.only(real), real.only(twin)))
    changed, instead = pair
    if not changed and not instead:
        return "open", "it moved no care before a renewal"
    words, ends = _told(changed, instead), real.renewals
    if not ends:
        return "open", f"{words}; how the renewal ended was not known in its time"
    renewed = sum(row.renewed for row in ends)
    words += f"; {renewed} of {len(ends)} contracts were renewed"
    if len(ends) < _LEAST:
        return "open", f"{words}: too few to say"
    return ("override", words) if renewed == len(ends) else ("open", words) if renewed else ("rules", words)


def _told(changed: Sequence[Said], instead: Sequence[Said]) -> str:
    said = f"with it: {instead[0].words}" if instead else "with it: nothing"
    return f"{said}; without it: {changed[0].words if changed else 'nothing'}"


def _messages(count: int) -> str:
    return "1 message was" if count == 1 else f"{count} messages were"


def _brier(chance: float, endings: Sequence[bool]) -> float:
    return sum((chance - late) ** 2 for late in endings) / len(endings)
