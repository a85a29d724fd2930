"""The installed command as tests run it: its environment, and one call of it."""

import os
import subprocess
import sys
from typing import Final

from streams.runtime.settings import Settings
from streams.wire.kafka import kafka_environment

RAPPORT: Final = (sys.executable, "-m", "handlers.cli")


def environment_of(settings: Settings, **more: str) -> dict[str, str]:
    """Return this process's environment with what leads a process to the servers and names of `settings`, and `more`."""
    own = {
        **kafka_environment(settings),
        "REDIS_URL": settings.redis_url,
        "RAPPORT_GROUP": settings.group,
        "RAPPORT_NAMESPACE": settings.namespace,
        "RAPPORT_TOPIC_PREFIX": settings.topic_prefix,
        "RAPPORT_PARTITIONS": str(settings.partitions),
    }
    return {**os.environ, **own, **more}


def run_rapport(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `rapport ARGUMENTS` to its end and return what it said."""
    return subprocess.run([*RAPPORT, *arguments], env=environment, capture_output=True, text=True, check=False)
