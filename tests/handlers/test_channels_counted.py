"""What monitoring is told of attempts to deliver."""

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
