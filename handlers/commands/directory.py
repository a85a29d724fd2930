"""The directory of ids told again after Redis has lost it: from the client log, then from the webhooks that Kafka still has."""

from collections.abc import Callable
from typing import Any

from handlers.terminal.waiting import counted
from models.events.envelope import ClientEvent
from streams.agents.intake import interpret_webhook
from streams.runtime.errors import DeadLetterError
from streams.runtime.settings import Settings
from streams.sources.recalled import recalled
from streams.state.redis_directory import RedisDirectory
from streams.state.redis_store import connect_redis
from streams.wire.codec import decode_event
from streams.wire.facts import Facts, Known
from streams.wire.merged import ends_of, read_in_order
from streams.wire.records import Record
from streams.wire.topics import CLIENT_EVENTS, WEBHOOKS


async def tell_again(settings: Settings) -> int:
    """Tell the directory all that is still known about ids, and return of how many times one was told.

    What is told later counts: webhooks, which say more, come after the log. Workers may go on meanwhile.
    """
    redis = connect_redis(settings)
    try:
        directory, waiting, count = RedisDirectory(redis, settings), dict[str, dict[str, str]](), 0

        async def flush() -> None:
            nonlocal count
            count += len(waiting)
            await directory.exchange(dict(waiting), ())
            waiting.clear()

        for topic, learn in ((CLIENT_EVENTS.name, _of_log), (WEBHOOKS.name, _of_webhook)):
            bounds = await ends_of(settings, topic)
            with counted(f"reading {topic}", total=sum(end - start for start, end in bounds.values())) as advance:
                see = _noting(waiting, learn, advance)
                await read_in_order(settings, topic, ends={at: end for at, (_, end) in bounds.items()}, see=see, between=flush)
        return count
    finally:
        await redis.aclose()


def _noting(
    waiting: dict[str, dict[str, str]], learn: Callable[[Record], list[tuple[str, Facts]]], advance: Callable[..., None]
) -> Callable[[Any], None]:
    def see(record: Any) -> None:  # noqa: ANN401 - what a client library returned
        for place, said in learn(record):
            waiting.setdefault(place, {}).update(said)
        advance()

    return see


def _of_log(record: Record) -> list[tuple[str, Facts]]:
    try:
        event = decode_event(record.value)
    except DeadLetterError:
        return []
    return list(recalled(event)) if isinstance(event, ClientEvent) else []


def _of_webhook(record: Record) -> list[tuple[str, Facts]]:
    learned: Known = interpret_webhook(record).learned
    return list(learned.items())
