"""`rapport after-paid`: what left although it was paid or taken back. Exposes the function `after_paid`."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from handlers.commands.options import JsonOption
from handlers.terminal.documents import in_json
from handlers.terminal.reading import read_shown
from models.triggers import Decision, DecisionOutcome
from streams.runtime.settings import Settings, load_settings
from streams.wire.topics import DECISIONS

AGES: Final = ((1, "within a second"), (60, "within a minute"), (3_600, "within an hour"), (86_400, "within a day"))
_LONGER: Final = "later than a day"
_MOVES: Final = {DecisionOutcome.SEGMENT_CHANGED, DecisionOutcome.AUDIENCE_CHANGED}
_UNCOUNTED: Final = frozenset({DecisionOutcome.SUPPRESSED, DecisionOutcome.HELD, *_MOVES})


@dataclass(slots=True)
class AfterPaid:
    """What the decisions say about stopping; `ages` counts messages by how long after the payment they left."""

    triggered: int = 0
    retracted: int = 0
    delivered: int = 0
    unacknowledged: int = 0
    ages: Counter[str] = field(default_factory=Counter)
    cases: list[Decision] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def add(self, decision: Decision) -> None:
        """Count one decision; one published twice counts once. Of most decisions nothing is remembered, of a message its id."""
        if decision.outcome in _UNCOUNTED or decision.decision_id in self._seen:
            return
        self._seen.add(decision.decision_id)
        match decision.outcome:
            case DecisionOutcome.TRIGGERED:
                self.triggered += 1
            case DecisionOutcome.RETRACTED:
                self.retracted += 1
            case DecisionOutcome.CANCELLED_YET_DELIVERED:
                self.delivered += 1
            case DecisionOutcome.UNACKNOWLEDGED:
                self.unacknowledged += 1
            case DecisionOutcome.SENT_AFTER_PAID:
                self.ages[age_in_words(decision.late_seconds or 0.0)] += 1
                self.cases.append(decision)
            case _:
                return

    def lines(self) -> Iterator[str]:
        """Yield the counts for people, and each case."""
        yield f"triggered                {self.triggered:>8,}"
        yield f"taken back               {self.retracted:>8,}"
        yield f"  and left all the same  {self.delivered:>8,}"
        yield f"  and never acknowledged {self.unacknowledged:>8,}"
        yield f"sent after paid          {self.ages.total():>8,}   (the aim: none)"
        for _, words in (*AGES, (0, _LONGER)):
            if self.ages[words]:
                yield f"  {words:<22} {self.ages[words]:>8,}"
        for case in self.cases:
            what = f"{case.journey}/{case.step} of {case.client_id}"
            yield f"{case.decided_at:%Y-%m-%d %H:%M}  {what}: {case.late_seconds or 0:,.1f} s; {case.reasons[0]}"

    def as_json(self) -> dict[str, object]:
        """Return the counts as JSON shows them."""
        return {
            "triggered": self.triggered,
            "retracted": self.retracted,
            "cancelled_yet_delivered": self.delivered,
            "unacknowledged": self.unacknowledged,
            "sent_after_paid": self.ages.total(),
            "ages": dict(self.ages),
            "cases": [case.model_dump(mode="json", exclude_none=True) for case in self.cases],
        }


def after_paid(*, as_json: JsonOption = False) -> int:
    """Count what was sent although it was paid, and what left although it was taken back. The aim is none of both.

    A payment takes back every message about its invoices that has not left. Whether that held is measured: the payment's
    arrival at the gateway against the moment at which the provider took the message. Reads `decisions`, changes nothing; the
    same figures are on the dashboard (rapport_sent_after_paid_seconds).

    Example: rapport after-paid

    Exit codes: 0 nothing was sent after it was paid, 1 something was, or a server is away.
    """
    found = asyncio.run(read_after_paid(load_settings()))
    print(in_json(found.as_json()) if as_json else "\n".join(found.lines()))
    return int(bool(found.cases))


def tally(decisions: Iterable[Decision]) -> AfterPaid:
    """Count `decisions`; one published twice counts once."""
    found = AfterPaid()
    for decision in decisions:
        found.add(decision)
    return found


def age_in_words(seconds: float) -> str:
    """Return the class of an age."""
    return next((words for limit, words in AGES if seconds <= limit), _LONGER)


async def read_after_paid(settings: Settings) -> AfterPaid:
    """Count what `decisions` holds up to its present end, record by record; raises RetryError while Kafka is away."""
    found, every = AfterPaid(), list(range(settings.partitions))
    await read_shown(
        settings,
        DECISIONS.name,
        "reading decisions",
        partitions=every,
        see=lambda record: found.add(Decision.model_validate_json(record.value)),
    )
    return found
