"""Who may read a mailbox: whoever holds the client's signed token. It names one client and an end, and nothing else."""

from datetime import datetime, timedelta
from typing import Final

from models.events.signals import Purpose
from models.triggers import Journey
from streams.wire.links import Link, LinkError, LinkKeys, LinkRefusal, LinkScope

CHANNEL: Final = "portal"


def portal_link(client_id: str, *, now: datetime, life: timedelta) -> Link:
    """Return what a token for the mailbox of `client_id` vouches for; its answers are about everything that is open."""
    return Link(
        client_id=client_id,
        trigger_id=CHANNEL,
        scope=LinkScope.PORTAL,
        purpose=Purpose.SERVICING,
        journey=Journey.DELAY_SUPPORT,
        channel=CHANNEL,
        expires=round((now + life).timestamp()),
    )


def read_token(keys: LinkKeys, header: str, *, now: datetime) -> Link:
    """Return what the `Authorization` header vouches for; raises LinkError, for the links of mails as well."""
    kind, _, token = header.strip().partition(" ")
    if kind.lower() != "bearer":
        raise LinkError(LinkRefusal.MALFORMED)
    link = keys.read(token.strip(), now=now)
    if link.scope is not LinkScope.PORTAL:
        raise LinkError(LinkRefusal.FORGED)
    return link
