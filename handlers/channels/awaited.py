"""Which messages wait for a place at their reader's address, and until when: asked for by people, changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from handlers.channels.presend import takes_place
from handlers.channels.readers import Places, Readers
from handlers.channels.redis_ledger import RedisLedgers
from models.addresses import digest_of
from models.policy.audience import own_address, reader_of
from models.policy.policy import Policy
from models.state.client import PURPOSES, ClientState, Pending, journey_of
from models.triggers import Tone
from models.workdays import moment
from streams.runtime.settings import Settings
from streams.wire.topics import TRIGGERS


@dataclass(frozen=True, slots=True)
class Awaited:
    """A message that may leave now, but for its reader: the next place at their address is free at `until_ms`."""

    row: Pending
    until_ms: int

    @property
    def words(self) -> str:
        """Words for people."""
        what = f"{journey_of(self.row).value}/{self.row.step} by {self.row.channel}"
        until = f"{moment(self.until_ms):%Y-%m-%d %H:%M}"
        return f"waits for a place at its reader's address until {until}: {what}; who reads there hears about many clients"

    def as_json(self) -> dict[str, str]:
        """Return it for programs."""
        return {"trigger_id": self.row.trigger_id, "until": moment(self.until_ms).isoformat()}


def candidates(state: ClientState, policy: Policy, *, now_ms: int) -> list[Pending]:
    """Return what may leave by now and takes a place; of what waits for an hour, nobody has looked at its address yet."""
    return [
        row
        for row in state.care.pending
        if not row.retracted
        and row.not_before_ms <= now_ms < row.expires_ms
        and takes_place(row, policy)
        and _address(state, row)
    ]


async def awaited(state: ClientState, policy: Policy, *, now_ms: int, readers: Callable[[str], Readers]) -> list[Awaited]:
    """Return what waits for its reader; `readers` opens the places of a channel. Raises RetryError while their store is away."""
    found = []
    for row in candidates(state, policy, now_ms=now_ms):
        until = await readers(row.channel).next_place(_address(state, row), row.trigger_id, now_ms=now_ms)
        if until:
            found.append(Awaited(row, until))
    return found


async def places_awaited(settings: Settings, state: ClientState, policy: Policy, *, now_ms: int) -> list[Awaited]:
    """Return what waits for its reader in the running deployment; with a clock that races nobody does."""
    if settings.clock_file is not None or not candidates(state, policy, now_ms=now_ms):
        return []
    ledgers = RedisLedgers.connect(settings)
    limits = Places(per_day=settings.reader_per_day, per_week=settings.reader_per_week)

    def readers(channel: str) -> Readers:
        return ledgers.readers(settings.topic(TRIGGERS[channel].name), limits)

    try:
        return await awaited(state, policy, now_ms=now_ms, readers=readers)
    finally:
        await ledgers.close()


def _address(state: ClientState, row: Pending) -> str:
    """Return the digest of the address that a message goes to, empty where its channel has none, or nobody can say for whom."""
    person = state.person
    if not row.tone:
        return ""
    own = own_address(reader_of(state, journey_of(row), PURPOSES[row.purpose], Tone(row.tone), channel=row.channel), row.channel)
    return digest_of(row.channel, own or {"email": person.email.value, "sms": person.phone.value}.get(row.channel, ""))
