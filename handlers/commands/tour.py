"""The story and the totals of a simulation: each happening in a few lines, and at the end what it came to."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from handlers.commands.simulation import INNER_SOURCES, Happening
from handlers.terminal.wording import day, general, tell_decision, tell_event
from models.events.control import ClockTicked
from models.learners.baseline import BASELINE
from models.policy.policy import TASK
from models.policy.segments import effective_segment
from models.state.client import ClientState
from models.state.describe import describe_change
from models.transition import Disposition
from models.triggers import Decision, DecisionOutcome

_STORY_HAPPENINGS: Final = 250  # a longer story is not read; one client's is never cut


@dataclass(slots=True)
class Story:
    """Tells happenings, of one client or of all."""

    client: str | None = None
    as_json: bool = False
    told: int = 0
    cut: bool = False

    def tell(self, happening: Happening) -> Iterator[str]:
        """Yield the lines of one happening; none for a tick at which nothing was decided."""
        if self.client is not None and happening.client_id != self.client:
            return
        self.cut |= self.client is None and not self.as_json and self.told >= _STORY_HAPPENINGS
        decisions = [output for output in happening.outputs if isinstance(output, Decision)]
        if self.cut or (isinstance(happening.event, ClockTicked) and not decisions):
            return
        self.told += 1
        changes = describe_change(happening.before, happening.after)
        if self.as_json:
            yield json.dumps(_as_json(happening, decisions, changes), ensure_ascii=False)
        else:
            yield from _lines(happening, decisions, changes)


def _lines(happening: Happening, decisions: list[Decision], changes: list[str]) -> Iterator[str]:
    moment = datetime.fromtimestamp(happening.at_ms / 1000, UTC)
    said = "time passes" if isinstance(happening.event, ClockTicked) else tell_event(happening.event)
    yield f"{day(moment):>11}  {name_of(happening.after)}: {said}"
    if happening.disposition is not Disposition.APPLIED:
        why = f" (a worker makes a dead letter of it): {happening.refusal}" if happening.refusal else ""
        yield f"{'':13}nothing changes: {happening.disposition.value}{why}"
        return
    for change in changes:
        yield f"{'':13}{change}"
    if (before := _score(happening.before)) != (after := _score(happening.after)):
        yield f"{'':13}score      {after} (was: {before})"
    for decision in decisions:
        for line in tell_decision(decision):
            yield f"{'':13}{line}"


def _as_json(happening: Happening, decisions: list[Decision], changes: list[str]) -> dict[str, Any]:
    score = BASELINE.score(happening.after)
    return {
        "at": datetime.fromtimestamp(happening.at_ms / 1000, UTC).isoformat(),
        "client_id": happening.client_id,
        "event": happening.event.model_dump(mode="json", exclude_none=True),
        "disposition": happening.disposition.value,
        "refusal": happening.refusal or None,
        "changes": changes,
        "segment": effective_segment(happening.after, happening.at_ms).value,
        "score": None if score is None else score.probability,
        "decisions": [decision.model_dump(mode="json", exclude_none=True) for decision in decisions],
    }


def name_of(state: ClientState) -> str:
    """Return the client's name, or its id where no name is known."""
    return state.person.name.value or state.client_id


def _score(state: ClientState | None) -> str:
    score = None if state is None else BASELINE.score(state)
    return "too little history" if score is None else f"{score.probability:.0%} likely to pay late"


@dataclass(slots=True)
class Totals:
    """What a simulation came to."""

    events: int = 0
    triggers: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    silences: Counter[str] = field(default_factory=Counter)
    retracted: int = 0
    after_paid: int = 0
    refused: int = 0
    segments: dict[str, str] = field(default_factory=dict)

    def add(self, happening: Happening) -> None:
        """Count one happening."""
        self.segments[happening.client_id] = effective_segment(happening.after, happening.at_ms).value
        self.events += happening.event.source not in INNER_SOURCES
        self.refused += happening.disposition is Disposition.REFUSED
        for output in happening.outputs:
            if not isinstance(output, Decision):
                continue
            match output.outcome:
                case DecisionOutcome.TRIGGERED if output.channel == TASK:
                    self.tasks[f"{output.journey}/{output.step}"] += 1
                case DecisionOutcome.TRIGGERED:
                    self.triggers[f"{output.journey}/{output.step} by {output.channel}"] += 1
                case DecisionOutcome.SUPPRESSED | DecisionOutcome.HELD:
                    self.silences[general(output.reasons[0])] += 1
                case DecisionOutcome.RETRACTED:
                    self.retracted += 1
                case DecisionOutcome.SENT_AFTER_PAID:
                    self.after_paid += 1
                case DecisionOutcome.SEGMENT_CHANGED | DecisionOutcome.AUDIENCE_CHANGED:
                    pass
                case DecisionOutcome.CANCELLED_YET_DELIVERED | DecisionOutcome.UNACKNOWLEDGED | DecisionOutcome.MIGRATED:
                    pass

    def lines(self) -> Iterator[str]:
        """Yield the totals for people."""
        segments = ", ".join(f"{count:,} {segment}" for segment, count in Counter(self.segments.values()).most_common())
        yield ""
        events = f"{self.events:,} event{'' if self.events == 1 else 's'}"
        clients = f"{len(self.segments):,} client{'' if len(self.segments) == 1 else 's'}"
        yield f"{events} of {clients}: {segments}"
        if self.refused:
            yield f"Refused, as workers make dead letters of them: {self.refused:,}"
        yield f"Sent: {sum(self.triggers.values()):,}, of which taken back in time: {self.retracted:,}"
        if self.after_paid:
            yield f"Sent after they were paid: {self.after_paid:,}"
        yield from (f"  {count:>6,}  {what}" for what, count in self.triggers.most_common())
        if self.tasks:
            yield f"Tasks for colleagues: {sum(self.tasks.values()):,}"
        yield from (f"  {count:>6,}  {what}" for what, count in self.tasks.most_common())
        yield f"Not sent: {sum(self.silences.values()):,}, the most frequent reasons:"
        yield from (f"  {count:>6,}  {why}" for why, count in self.silences.most_common(8))
