"""A firm whose channels work: what may leave is reported as taken at once."""

from models.policy.policy import DEFAULT_POLICY, Policy
from models.workdays import DAY_MS
from tests.models.builders import Events, ms, tick_at
from tests.models.test_journey_laws import Firm


class Carried(Firm):
    """A firm whose messages and tasks are taken the moment they may leave, until `away_from` a day."""

    def __init__(self, build: Events, *, policy: Policy = DEFAULT_POLICY, away_from: float = 1_000) -> None:
        super().__init__(policy=policy)
        self.build = build
        self.away_ms = ms(away_from)

    def wake(self, until_ms: int) -> None:
        while True:
            self._deliver(until_ms)
            if self.due is None or self.due > until_ms:
                return
            self.feed(tick_at(self.due))

    def _deliver(self, until_ms: int) -> None:
        state = self.state
        for row in state.care.pending if state else ():
            at = max(row.not_before_ms, state.now_ms if state else 0)
            if not row.retracted and at <= until_ms and at < self.away_ms:
                self.feed(self.build.reported((at - ms(0)) / DAY_MS, row.trigger_id, channel=row.channel))
