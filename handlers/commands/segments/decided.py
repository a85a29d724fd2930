"""The moves between segments that the running system has decided, from its log of decisions."""

from typing import Any

from handlers.commands.canary.story import is_canary
from handlers.terminal.waiting import Counted, uncounted
from models.triggers import Decision
from streams.runtime.settings import Settings
from streams.wire.reading import read_each
from streams.wire.topics import DECISIONS


async def moves_decided(settings: Settings, *, counted: Counted = uncounted) -> list[Decision]:
    """Return the moves in the log of decisions, each once; nothing else of it is kept."""
    found: dict[str, Decision] = {}

    with counted("reading decisions", total=None) as count:

        def see(record: Any) -> None:  # noqa: ANN401 - what a client library returned
            count()
            if b'"change"' in record.value and not is_canary(record.key):
                decision = Decision.model_validate_json(record.value)
                found.setdefault(decision.decision_id, decision)

        await read_each(settings, DECISIONS.name, partitions=list(range(settings.partitions)), see=see)
    return list(found.values())
