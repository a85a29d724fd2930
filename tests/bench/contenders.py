"""One contender in a process of its own: `python -m tests.bench.contenders NAME EVENTS FOLDER WAITING PACED`.

All do the same: read the client log, decode, let the job's program think, keep the state, send the outputs. Each prints one
line of JSON: events, seconds from the first of EVENTS to the last, processor seconds used meanwhile, resident memory in MiB. It
goes on through all that is WAITING, prints an empty line, and then the ms from each of PACED further records to its state
being kept. Settings come from the environment.
"""

import asyncio
import json
import os
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from streams.runtime.clock import SystemClock, monotonic
from streams.runtime.settings import Settings, load_settings
from streams.wire.codec import decode_event, encode_output
from streams.wire.topics import CLIENT_EVENTS, DECISIONS
from tests.bench.jobs import job_of_environment

_TAKE: Final = 500
PROGRAM: Final = job_of_environment().program()


def cpu_seconds() -> float:
    """Return the processor time this process has used, all threads together."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Watch:
    """Counts events, measures the first `expected` of them, and how long those wait that come after the `waiting` ones."""

    def __init__(self, expected: int, waiting: int, paced: int) -> None:
        """Expect so many events; see the module."""
        self._expected, self._waiting, self._paced = expected, waiting, paced
        self._count = 0
        self._began = 0.0
        self._cpu_began = 0.0
        self._clock = SystemClock()
        self._waits: list[int] = []

    def saw(self, sent_ms: Sequence[int]) -> bool:
        """Count events by the timestamps of their records, the clock starts with the first; returns true after the last."""
        if not self._count:
            self._began, self._cpu_began = monotonic(), cpu_seconds()
        before, self._count = self._count, self._count + len(sent_ms)
        if before < self._expected <= self._count:
            self._tell()
        if before < self._waiting <= self._count:
            _say("")
        now_ms = self._clock.now().timestamp() * 1000
        self._waits += [round(now_ms - sent) for sent in sent_ms[max(0, self._waiting - before) :]]
        if self._count < self._waiting + self._paced:
            return False
        _say(json.dumps(sorted(self._waits)))
        return True

    def _tell(self) -> None:
        # The largest size that getrusage tells is inherited from the process that started this one.
        (line,) = (row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("VmRSS:"))
        found = {"events": self._count, "seconds": monotonic() - self._began, "cpu": cpu_seconds() - self._cpu_began}
        _say(json.dumps({**found, "memory": int(line.split()[1]) // 1024}))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def floor(settings: Settings, watch: Watch) -> None:
    """Fetch and do nothing."""
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer(
        settings.topic(CLIENT_EVENTS.name),
        bootstrap_servers=settings.kafka_bootstrap,
        group_id="floor",
        auto_offset_reset="earliest",
    )
    await consumer.start()
    while True:
        found = await consumer.getmany(timeout_ms=500)
        if watch.saw([record.timestamp for records in found.values() for record in records]):
            break
    await consumer.stop()


def _think(blob: Any, value: bytes) -> tuple[bytes, list[bytes]]:  # noqa: ANN401 - what a client library returned
    event: Any = decode_event(value)
    thought = PROGRAM.think(None if blob is None else PROGRAM.decode(blob), event)
    return PROGRAM.encode(thought.state), [encode_output(output) for output in thought.outputs]


def _faust_app(settings: Settings, name: str) -> Any:  # noqa: ANN401 - Faust is not typed for us
    from tests.integration.stock_faust import stock_app

    return stock_app(settings.model_copy(update={"group": f"{settings.group}-{name}"}), broker_commit_interval=2.8)


async def _run_faust(app: Any, over: asyncio.Event) -> None:  # noqa: ANN401 - likewise
    app.finalize()
    await app.start()
    await over.wait()


async def faust_each(settings: Settings, watch: Watch) -> None:
    """Stock Faust, one event at a time, with a get and a set of Redis for each; outputs by `send_soon`, its fastest way."""
    from redis.asyncio import Redis

    app, redis, over = _faust_app(settings, "each"), Redis.from_url(settings.redis_url), asyncio.Event()
    outputs = app.topic(settings.topic(DECISIONS.name), value_serializer="raw")

    async def agent(stream: Any) -> None:  # noqa: ANN401 - likewise
        async for event in stream.events():
            key = event.message.key
            name = f"each:{key.decode()}"
            blob, told = _think(await redis.get(name), event.value)
            await redis.set(name, blob)
            for output in told:
                outputs.send_soon(key=key, value=output)
            if watch.saw([event.message.timestamp * 1000]):
                over.set()

    app.agent(_faust_topic(app, settings))(agent)
    await _run_faust(app, over)


async def faust_take(settings: Settings, watch: Watch) -> None:
    """Stock Faust with `take`, and Redis batched by hand: one MGET and one MSET for 500 events."""
    from redis.asyncio import Redis

    app, redis, over = _faust_app(settings, "take"), Redis.from_url(settings.redis_url), asyncio.Event()
    outputs = app.topic(settings.topic(DECISIONS.name), value_serializer="raw")

    async def agent(stream: Any) -> None:  # noqa: ANN401 - likewise
        async for batch in stream.take_events(_TAKE, within=0.5):
            names = list(dict.fromkeys(f"take:{event.message.key.decode()}" for event in batch))
            blobs: dict[str, Any] = dict(zip(names, await redis.mget(names), strict=True))
            states = {name: None if blob is None else PROGRAM.decode(blob) for name, blob in blobs.items()}
            for event in batch:
                name = f"take:{event.message.key.decode()}"
                fact: Any = decode_event(event.value)
                thought = PROGRAM.think(states[name], fact)
                states[name] = thought.state
                for output in thought.outputs:
                    outputs.send_soon(key=event.message.key, value=encode_output(output))
            await redis.mset({name: PROGRAM.encode(state) for name, state in states.items() if state is not None})
            if watch.saw([event.message.timestamp * 1000 for event in batch]):
                over.set()

    app.agent(_faust_topic(app, settings))(agent)
    await _run_faust(app, over)


def _faust_topic(app: Any, settings: Settings) -> Any:  # noqa: ANN401 - likewise
    name = settings.topic(CLIENT_EVENTS.name)
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


async def quix(settings: Settings, watch: Watch) -> None:
    """Quix Streams with its local store and changelog topic."""
    from quixstreams import Application

    application = Application(
        broker_address=settings.kafka_bootstrap, consumer_group=f"{settings.group}-quix", auto_offset_reset="earliest",
        state_dir=sys.argv[3], loglevel="ERROR", auto_create_topics=True,
    )  # fmt: skip
    source = application.topic(settings.topic(CLIENT_EVENTS.name), key_deserializer="bytes", value_deserializer="bytes")
    told_topic = application.topic(settings.topic(DECISIONS.name), key_serializer="bytes", value_serializer="bytes")

    def fold(value: bytes, _key: bytes, sent_ms: int, _headers: Any, state: Any) -> list[bytes]:  # noqa: ANN401 - quixstreams is optional
        blob, told = _think(state.get_bytes("s"), value)
        state.set_bytes("s", blob)
        if watch.saw([sent_ms]):
            application.stop()
        return told

    frame = application.dataframe(source).apply(fold, stateful=True, expand=True, metadata=True)
    frame.to_topic(told_topic)
    application.run()


CONTENDERS: Final[dict[str, Callable[[Settings, Watch], Any]]] = {
    "floor": floor,
    "faust_each": faust_each,
    "faust_take": faust_take,
    "quix": quix,
}


async def _contend(name: str, watch: Watch) -> None:
    await CONTENDERS[name](load_settings(), watch)
    os._exit(0)  # the tasks of a stock worker do not let themselves be cancelled, so this loop would never end


def main() -> None:
    """Run the contender named on the command line."""
    expected, waiting, paced = (int(sys.argv[place]) for place in (2, 4, 5))
    asyncio.run(_contend(sys.argv[1], Watch(expected, waiting, paced)))


if __name__ == "__main__":
    main()
