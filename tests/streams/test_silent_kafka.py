"""A Kafka that takes connections and says nothing."""

import asyncio
import logging

import pytest

from streams.runtime.settings import Settings
from streams.wire.kafka import begun


class Mute(logging.Handler):
    """A client whose start takes until somebody was told that it takes long."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        del record
        self.told.set()

    async def start(self) -> None:
        await self.told.wait()


async def test_whoever_waits_for_a_silent_kafka_is_told_for_which(caplog: pytest.LogCaptureFixture) -> None:
    client, logger = Mute(), logging.getLogger("streams.wire.kafka")
    logger.addHandler(client)
    try:
        await begun(client, Settings(kafka_bootstrap="kafka.example:9092"), silent_seconds=0)
    finally:
        logger.removeHandler(client)
    assert "Kafka at kafka.example:9092 has not answered" in caplog.text
