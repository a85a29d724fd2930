"""What is kept of attempts to deliver: counts for monitoring, and the ledger for as long as anybody may ask."""

from datetime import timedelta

import pytest

from handlers.channels.contract import Verdict
from streams.runtime.metrics import CHANNEL_AMBIGUOUS, CHANNEL_SENDS
from tests.handlers.channel_bench import Bench, ScriptedChannel
from tests.handlers.channel_examples import trigger


@pytest.mark.parametrize("verdict", Verdict)
async def test_each_attempt_is_counted_by_its_verdict_and_only_an_unknown_end_as_ambiguous(verdict: Verdict) -> None:
    bench = Bench(ScriptedChannel(script=[verdict]))
    await bench.open()
    await bench.take(trigger())
    await bench.work()
    assert len(bench.channel.sent) == 1
    sends = {row: bench.meter.read(CHANNEL_SENDS, channel="email", provider="scripted", outcome=row.value) for row in Verdict}
    assert sends == {row: float(row is verdict) for row in Verdict}
    assert bench.meter.read(CHANNEL_AMBIGUOUS, channel="email") == float(verdict is Verdict.UNCERTAIN)


@pytest.mark.parametrize(("days", "kept"), [(44, 1), (46, 0)])
async def test_what_has_left_is_kept_for_the_retention_and_swept_away_then(days: int, kept: int) -> None:
    bench = Bench()
    await bench.open()
    await bench.take(trigger())
    await bench.work()
    bench.pass_time(operating=timedelta(days=days))
    await bench.dispatch.sweep([bench.lane])
    left = await bench.lane.ledger.trim(before_ms=int(bench.wall.now().timestamp() * 1000) + 1, limit=10)
    assert left == kept
