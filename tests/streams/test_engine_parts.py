"""The small parts of the engine: where a client lives, what headers say, versions, failpoints, watchdog, health, metrics."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from handlers.stack.ports import free_ports
from streams.agents.readers import INTAKE_READERS
from streams.app import TESTED_VERSIONS, check_versions, run_worker
from streams.engine.failpoints import make_failpoint
from streams.engine.memory_pipeline import MemoryPipeline
from streams.engine.outbox_codec import pack_entry, position_of, stream_id, unpack_entry
from streams.engine.patience import patiently
from streams.engine.writes import OutboxEntry, Outcome
from streams.runtime import metrics
from streams.runtime.errors import DeadLetterError, UsageError
from streams.runtime.health import HealthServer, health_served
from streams.runtime.lifecycle import EXIT_FAILED, ExitWatchdog
from streams.runtime.metrics import METRICS, Meter, MetricKind
from streams.runtime.settings import Settings
from streams.wire.codec import decode_event, encode_event
from streams.wire.headers import Origin, Position, read_origin
from streams.wire.partitioning import partition_of
from tests.conftest import REPOSITORY
from tests.streams.counting import CountingProgram
from tests.streams.engine_examples import START, paid
from tests.waiting import until


@pytest.fixture
def restored_loops() -> Iterator[None]:
    """A worker sets the process's kind of event loop; other tests keep theirs."""
    before = asyncio.get_event_loop_policy()
    yield
    asyncio.get_event_loop().close()
    asyncio.set_event_loop_policy(before)


@pytest.mark.parametrize(
    ("client", "hashed"),
    # Murmur2 (seed 0x9747b28c) of the UTF-8 bytes, as Kafka's Java client computes it and its own tests state it.
    [("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536), ("abc", 479470107)],
)
def test_a_client_lives_where_kafka_s_default_partitioner_puts_his_key(client: str, hashed: int) -> None:
    for partitions in (1, 2, 8, 64, 1_024):
        assert partition_of(client, partitions) == (hashed & 0x7FFFFFFF) % partitions


@given(partition=st.integers(0, 1_023), offset=st.integers(0, 2**53), idx=st.integers(0, 10**6))
def test_headers_tell_the_origin_back(partition: int, offset: int, idx: int) -> None:
    origin = Origin(src_topic="client.events", src_partition=partition, src_offset=offset, idx=idx, kind="trigger")
    assert read_origin(origin.to_headers()) == origin


@pytest.mark.parametrize("headers", [[], [("src_topic", b"t")], [("src_offset", b"x")]])
def test_a_record_without_an_origin_is_a_dead_letter(headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(DeadLetterError, match="not published by Rapport"):
        read_origin(headers)


def test_an_event_comes_back_from_its_bytes() -> None:
    assert decode_event(encode_event(paid(3))) == paid(3)


@given(
    position=st.builds(Position, st.integers(0, 2**53), st.integers(0, 10**6)),
    key=st.none() | st.binary(max_size=20),
    value=st.binary(max_size=50),
)
def test_an_outbox_entry_comes_back_from_the_stream(position: Position, key: bytes | None, value: bytes) -> None:
    entry = OutboxEntry(position=position, topic="decisions", partition=3, key=key, value=value, headers=(("a", b"\xff"),))
    assert unpack_entry(position_of(stream_id(position)), pack_entry(entry)) == entry
    assert stream_id(position) != b"0-0"


def test_versions_the_engine_was_not_tested_with_are_refused_unless_allowed() -> None:
    check_versions(Settings())
    with pytest.raises(UsageError, match="was tested with"):
        check_versions(Settings(), installed=lambda _name: "9.9.9")
    check_versions(Settings(allow_untested_versions=True), installed=lambda _name: "9.9.9")
    assert set(TESTED_VERSIONS) == {"faust-streaming", "aiokafka"}


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Hold a port of this machine while the test runs, as another process would."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


def test_a_worker_refuses_a_client_library_that_it_was_not_tested_with_before_anything_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken_port: int
) -> None:
    installed = tmp_path / "aiokafka-9.9.9.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: aiokafka\nVersion: 9.9.9\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"aiokafka 9\.9\.9 is installed, the engine was tested with 0\.14\.0"):
        run_worker(Settings(metrics_port=taken_port), CountingProgram())


def test_a_worker_says_when_faust_lacks_its_compiled_extension_and_what_to_do() -> None:
    program = (
        "from streams.app import warn_of_missing_extension as warn; from streams.runtime.log import configure_log;"
        " from streams.runtime.settings import Settings; configure_log(Settings()); warn(); warn(*{more})"
    )

    def said(*, more: str, environment: dict[str, str]) -> list[str]:
        command = [sys.executable, "-c", program.format(more=more)]
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
        return [line for line in done.stderr.splitlines() if "compiled extension" in line]

    (lacking,) = said(more="[None]", environment={"NO_CYTHON": ""})
    assert "install faust-streaming from a wheel" in lacking
    for line in (switched_off := said(more="[]", environment={"NO_CYTHON": "1"})):
        assert "unset NO_CYTHON" in line
    assert len(switched_off) == 2


@pytest.mark.parametrize("spec", ["nowhere", "before_commit:x", ":2"])
def test_an_unknown_failpoint_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="RAPPORT_FAILPOINT"):
        make_failpoint(spec)


def test_a_failpoint_kills_at_its_own_place_and_time_only() -> None:
    code = (
        "from streams.engine.failpoints import make_failpoint\n"
        "pass_by = make_failpoint('before_commit:2')\n"
        "for place in ('after_commit', 'before_commit', 'in_seek', 'before_commit', 'never reached'):\n"
        "    print(place, flush=True)\n"
        "    pass_by(place)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == -9
    assert done.stdout.split("\n")[-2] == "before_commit"


def test_the_watchdog_ends_a_process_that_was_told_to_end_and_does_not() -> None:
    ended: list[int] = []
    dog = ExitWatchdog(exit_seconds=0.01, stall_seconds=60, kill=ended.append)
    dog.start()
    dog.arm("a test")
    until(lambda: ended, what="the end")
    dog.stop()
    assert ended[0] == EXIT_FAILED


@pytest.mark.parametrize("failed", [False, True])
def test_a_hard_end_is_no_failure_once_all_is_finished_unless_going_on_was_not_safe(failed: bool) -> None:
    ended: list[int] = []
    dog = ExitWatchdog(exit_seconds=0.01, stall_seconds=60, kill=ended.append)
    dog.relax()
    dog.failed = failed
    dog.arm("a test")
    dog.start()
    until(lambda: ended, what="the end")
    dog.stop()
    assert ended[0] == (EXIT_FAILED if failed else 0)


@pytest.mark.parametrize("code", [0, EXIT_FAILED])
def test_threads_that_outlive_the_work_are_ended_with_its_exit_code(code: int) -> None:
    ended: list[int] = []
    dog = ExitWatchdog(exit_seconds=0.01, stall_seconds=60, kill=ended.append)
    dog.start()
    dog.conclude(code)
    until(lambda: ended, what="the end")
    dog.stop()
    assert ended[0] == code


def test_the_watchdog_ends_a_process_whose_event_loop_stands_still() -> None:
    ended = threading.Event()
    dog = ExitWatchdog(exit_seconds=60, stall_seconds=0.01, kill=lambda _code: ended.set())
    dog.beat()
    dog.start()
    assert ended.wait(10)
    dog.stop()


BLOCKED = """
import sys
from streams.runtime.lifecycle import ExitWatchdog
dog = ExitWatchdog(exit_seconds=60, stall_seconds=0.3)
dog.beat()
dog.start()
while True:
    sys.stderr.write("x" * 4096)
"""


def test_the_watchdog_ends_a_process_that_is_blocked_by_a_log_that_nobody_reads() -> None:
    with subprocess.Popen([sys.executable, "-c", BLOCKED], cwd=REPOSITORY, stderr=subprocess.PIPE) as process:
        try:
            assert process.wait(40) == EXIT_FAILED
        finally:
            process.kill()


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


async def test_health_is_asked_about_progress_and_metrics_are_shown() -> None:
    meter, ailments = Meter(), ["client.events-3: halted"]
    meter.count(metrics.TICKS, partition="1")
    server = HealthServer(meter, ailments=lambda: ailments)
    port = await server.start("127.0.0.1", 0)
    try:
        assert b"503" in await ask(port, b"GET /health HTTP/1.1\r\n\r\n")
        ailments.clear()
        assert b"200 OK" in await ask(port, b"GET /health HTTP/1.1\r\n\r\n")
        assert b'rapport_ticks_total{partition="1"} 1.0' in await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")
        assert b"404" in await ask(port, b"GET /secrets HTTP/1.1\r\n\r\n")
        assert await ask(port, b"x" * 20_000) == b""
    finally:
        await server.stop()


async def test_operators_find_both_addresses_where_the_settings_say_for_as_long_as_the_process_works() -> None:
    (port,) = free_ports(1)
    async with health_served(Settings(metrics_port=port), Meter()):
        assert b"200 OK" in await ask(port, b"GET /health HTTP/1.1\r\n\r\n")
    with pytest.raises(ConnectionError):
        await ask(port, b"GET /health HTTP/1.1\r\n\r\n")


async def test_a_port_that_another_process_holds_is_refused_by_its_name(taken_port: int) -> None:
    with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{taken_port}.*RAPPORT_METRICS_PORT"):
        await HealthServer(Meter(), ailments=list).start("127.0.0.1", taken_port)


def test_a_worker_whose_port_is_taken_says_so_and_how_to_mend_it_before_anything_has_begun(
    restored_loops: None, taken_port: int
) -> None:
    assert restored_loops is None
    with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{taken_port}: Address already in use; fix: .*--metrics-port"):
        run_worker(Settings(metrics_port=taken_port), CountingProgram())


def test_every_metric_of_the_table_can_be_counted_and_is_shown_under_its_name() -> None:
    meter = Meter()
    for metric in METRICS:
        labels = dict.fromkeys(metric.labels, "x")
        match metric.kind:
            case MetricKind.COUNTER:
                meter.count(metric, **labels)
            case MetricKind.GAUGE:
                meter.set(metric, 1, **labels)
            case MetricKind.HISTOGRAM:
                meter.observe(metric, 1, **labels)
    shown = {family.name for family in text_string_to_metric_families(meter.render().decode())}
    assert {metric.full_name.removesuffix("_total") for metric in METRICS} <= shown
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert not any("client" in label for metric in METRICS for label in metric.labels)


def test_the_memory_pipeline_tells_what_each_record_did_and_fires_timers_at_their_time() -> None:
    pipeline = MemoryPipeline(CountingProgram(), readers=INTAKE_READERS, start=START)
    outcomes = []
    for second in (0, 1, 1, 2, 3, 4):
        pipeline.advance_to(paid(second).occurred_at)
        outcomes += [step.outcome for step in pipeline.receive("payments", encode_event(paid(second)))]
    assert outcomes == [Outcome.APPLIED, Outcome.APPLIED, Outcome.DUPLICATE, *[Outcome.APPLIED] * 3]
    (step,) = pipeline.advance_to(paid(100).occurred_at)
    assert (step.client_id, step.outcome, [at.topic for at in step.entries]) == ("ada", Outcome.TICK, ["decisions"])
    assert step.before is not None
    assert step.after is not None
    assert (step.before.fired, step.after.fired) == (0, 1)
    assert pipeline.receive("payments", b"{") == []
    assert [at.topic for at in pipeline.entries] == ["triggers.email", "decisions", "dead.letters"]


async def test_a_cancellation_that_a_library_swallows_ends_the_task_all_the_same() -> None:
    began = asyncio.Event()

    async def swallow() -> str:
        began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "as if nothing had happened"

    task = asyncio.create_task(patiently(swallow, op="test", meter=Meter()))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
