"""`rapport canary` on a real worker: right answers, and every way in which one can be wrong is told."""

import asyncio
import subprocess
from datetime import timedelta

import httpx
import pytest

from handlers.commands.canary.asking import ask
from handlers.commands.canary.story import clients_of
from handlers.commands.regime_changes import tell_and_wait
from handlers.stack.ports import free_ports
from models.policy.document import PolicyDocument, policy_of
from models.state.client import Care, ClientState
from models.state.codec import decode, encode
from streams.engine.program import ClientProgram
from streams.runtime.clock import ManualClock, SystemClock
from streams.runtime.settings import Settings
from streams.state.keys import PartitionKeys
from streams.state.redis_store import answer_of, connect_redis
from streams.wire.topics import CLIENT_EVENTS, EXAMPLES, TRIGGERS, WEBHOOKS
from tests.commands import RAPPORT, run_rapport
from tests.integration.engine_world import read_topic, stored_states, until_caught_up
from tests.models.controls import halt
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.mark.usefixtures("worker")
async def test_a_sane_worker_is_right_whatever_is_in_force_and_one_with_another_policy_or_a_tampered_state_is_not(
    environment: dict[str, str], settings: Settings
) -> None:
    await until_caught_up(settings, timeout=90)
    asked = await asyncio.to_thread(run_rapport, environment, "canary")
    assert (asked.returncode, asked.stdout) == (0, "2 of 2 partitions answered as the program does\n"), asked.stderr
    clock = ManualClock(SystemClock().now())
    await tell_and_wait(settings, halt(0))
    assert [row.is_right for row in await ask(settings, ClientProgram(), clock=clock, within_seconds=60)] == [True, True]
    await _see_another_policy_told(settings, clock)
    await _see_a_tampered_state_told(settings, clock)
    await _see_nothing_left(settings)


async def _see_another_policy_told(settings: Settings, clock: ManualClock) -> None:
    clock.advance_to(clock.now() + timedelta(seconds=1))
    firm = policy_of(PolicyDocument.model_validate({"version": "firm"}))
    answers = await ask(settings, ClientProgram(policy=firm), clock=clock, within_seconds=60)
    assert all(
        "post_payment_onboarding/thank_you was decided otherwise: policy_version" in row.differences[-1] for row in answers
    )


async def _see_a_tampered_state_told(settings: Settings, clock: ManualClock) -> None:
    clock.advance_to(clock.now() + timedelta(seconds=1))
    tampered, sane = clients_of(clock.now(), partitions=2)
    redis = connect_redis(settings)
    try:
        states = PartitionKeys.of(settings, CLIENT_EVENTS.name, 0).states
        await answer_of(redis.hset(states, tampered, encode(ClientState(tampered, care=Care(onboarded=True)))))
    finally:
        await redis.aclose()
    wrong, right = await ask(settings, ClientProgram(), clock=clock, within_seconds=60)
    assert (wrong.client_id, right.client_id, right.is_right) == (tampered, sane, True)
    told = list(wrong.lines())
    assert all(line.startswith(f"client.events-0, {tampered}: ") for line in told)
    assert any("its state differs in care" in line for line in told)
    assert any("post_payment_onboarding/thank_you should have been decided (held), and was not" in line for line in told)


async def _see_nothing_left(settings: Settings) -> None:
    states = [decode(blob) for at in range(settings.partitions) for blob in (await stored_states(settings, at)).values()]
    assert len(states) == 4 * settings.partitions
    assert all(state.erased_ms for state in states)
    for topic in TRIGGERS.values():
        assert not any((await read_topic(settings, topic)).values())
    learned = [record.value for record in (await read_topic(settings, EXAMPLES))[0]]
    assert all(b'"examples.withdrawn"' in (value or b"") for value in learned)


def test_no_answer_is_said_so_counted_as_no_good_one_and_who_was_asked_is_forgotten(
    environment: dict[str, str], settings: Settings
) -> None:
    (port,) = free_ports(1)
    options = ("canary", "--within", "0.1", "--every", "0.1", "--metrics-port", str(port))
    process = subprocess.Popen([*RAPPORT, *options], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _value(port, "rapport_slo_events_total") > 0, timeout=60, what="an answer that did not come")
        assert _value(port, "rapport_slo_events_good_total") == 0
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
    told = [record for records in asyncio.run(read_topic(settings, WEBHOOKS)).values() for record in records]
    asked = {record.key for record in told if b"override.set" in (record.value or b"")}
    assert asked
    assert asked == {record.key for record in told if b"client.erased" in (record.value or b"")}


def _value(port: int, name: str) -> float:
    try:
        page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    except httpx.TransportError:
        return 0.0
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(f'{name}{{slo="canary"}}'))
