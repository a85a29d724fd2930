"""What is noticed of sources: who is silent for longer than is usual for the hour, who delivers again. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from handlers.commands.regime_changes import worded
from models.events.control import FeedChanged
from models.events.envelope import epoch_ms
from models.feeds import Arrivals
from models.policy.in_force import NO_NEWS
from models.regime import LateFeed, Regime
from models.workdays import moment
from streams.wire.control import control_id

AUTOMATIC: Final = "automatic"
"""The author of what the watch says. What a person has called late stays late until a person says otherwise."""


@dataclass(slots=True)
class FeedWatch:
    """Every source that was heard, those that are late, and the clients that are held because of them."""

    arrivals: dict[str, Arrivals] = field(default_factory=dict)
    late: dict[str, LateFeed] = field(default_factory=dict)
    held: dict[str, set[str]] = field(default_factory=dict)
    said: set[tuple[str, int]] = field(default_factory=set)

    def learn(self, regimes: Iterable[Regime]) -> None:
        """Take over what is in force: late on any partition is late."""
        self.late = {row.feed: row for regime in regimes for row in regime.feeds}
        self.held = {feed: clients for feed, clients in self.held.items() if feed in self.late}

    def heard(self, feed: str, at_ms: int) -> None:
        """Note that something came from `feed`."""
        known = self.arrivals.get(feed)
        if known is None:
            self.arrivals[feed] = Arrivals(at_ms)
        else:
            known.heard(at_ms)

    def decided(self, client_id: str, reasons: Iterable[str]) -> None:
        """Note a decision that held something back, where a late source was why."""
        for feed in self.late:
            if any(reason.startswith(f"{NO_NEWS}{feed} ") for reason in reasons):
                self.held.setdefault(feed, set()).add(client_id)

    def changes(self, now: datetime) -> list[FeedChanged]:
        """Return what has become late or delivers again since it was last said. A silence called right is not told again."""
        now_ms, found = epoch_ms(now), []
        for feed, arrivals in sorted(self.arrivals.items()):
            known, silence = self.late.get(feed), (feed, arrivals.last_ms)
            if known is None and silence not in self.said and arrivals.is_late(now_ms):
                self.said.add(silence)
                reason = _silence(arrivals, now_ms)
                found.append(feed_event(feed, now, late_ms=arrivals.last_ms, author=AUTOMATIC, reason=reason))
            elif known is not None and known.author == AUTOMATIC and arrivals.last_ms > known.late_ms:
                found.append(feed_event(feed, now, late_ms=None, author=AUTOMATIC, reason="it delivers again"))
        return found

    def figures(self, now: datetime) -> Mapping[str, tuple[float, bool, int]]:
        """Return for each source (seconds of silence, is it late, clients held because of it)."""
        now_ms = epoch_ms(now)
        feeds = self.arrivals.keys() | self.late.keys()
        return {
            feed: (
                (now_ms - (self.arrivals[feed].last_ms if feed in self.arrivals else self.late[feed].late_ms)) / 1000,
                feed in self.late,
                len(self.held.get(feed, ())),
            )
            for feed in sorted(feeds)
        }


@worded()
def feed_event(feed: str, now: datetime, *, late_ms: int | None, author: str, reason: str) -> FeedChanged:
    """Return the event that puts in force that `feed` is late since `late_ms`, or delivers again."""
    return FeedChanged(
        event_id=control_id("feed", feed, "late" if late_ms is not None else "on time", late_ms or epoch_ms(now)),
        source="feeds",
        occurred_at=now,
        received_at=now,
        author=author,
        reason=reason,
        feed=feed,
        late_since=None if late_ms is None else moment(late_ms),
    )


def _silence(arrivals: Arrivals, now_ms: int) -> str:
    hours = (now_ms - arrivals.last_ms) / 3_600_000
    return f"silent for {hours:.1f} hours, in hours in which it is usually heard"
