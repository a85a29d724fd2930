"""The thread of Faust's consumer, where it begins later than it is told to end."""

import asyncio
import threading

from mode.threads import WorkerThread

from streams.app import build_app, build_engine
from streams.runtime.settings import Settings
from tests.streams.counting import CountingProgram
from tests.waiting import turns, until


async def test_a_consumer_that_is_stopped_before_its_thread_begins_leaves_no_thread_behind() -> None:
    begin = threading.Event()
    begun: list[WorkerThread] = []

    class LateThread(WorkerThread):  # type: ignore[misc] # the library is not typed for us
        def run(self) -> None:
            begun.append(self)
            begin.wait()
            super().run()

    app = build_app(build_engine(Settings(kafka_bootstrap="127.0.0.1:1"), CountingProgram()))
    thread = app.consumer._thread  # noqa: SLF001 - what Faust starts and stops
    thread.Worker = LateThread
    starting = asyncio.create_task(thread.start())
    await turns(3)
    stopping = asyncio.create_task(thread.stop())
    await turns(3)
    begin.set()
    await asyncio.wait([starting, stopping], timeout=10)
    assert stopping.done()
    until(lambda: not begun[0].is_alive(), timeout=10, what="the end of the thread")
    await asyncio.gather(starting, return_exceptions=True)
