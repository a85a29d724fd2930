"""The links that a message carries, so that its reader can answer, pause or end such messages with a click."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from models.triggers import Trigger
from streams.runtime.settings import Settings
from streams.wire.links import Link, LinkKeys, LinkScope


@dataclass(frozen=True, slots=True)
class Links:
    """Where a message leads: `answer` to a page with all that fits, `opt_out` to the end of such messages."""

    answer: str
    opt_out: str


MakeLinks: TypeAlias = Callable[[Trigger, str], Links]
"""From a trigger and the language of its message (`de`), which the pages go on in; the same two always give the same links."""


def links_of(settings: Settings) -> MakeLinks | None:
    """Return the maker of links, none where no secret is configured. Raises UsageError when they could not work."""
    keys = LinkKeys.of(settings)
    if keys is None:
        return None
    life = timedelta(days=settings.link_days)

    def make(trigger: Trigger, language: str) -> Links:
        def address(scope: LinkScope) -> str:
            return keys.address(
                Link(
                    client_id=trigger.client_id,
                    trigger_id=trigger.trigger_id,
                    scope=scope,
                    purpose=trigger.purpose,
                    journey=trigger.journey,
                    channel=trigger.channel,
                    expires=round((trigger.expires_at + life).timestamp()),
                    invoice_ids=trigger.invoice_ids if scope is LinkScope.ANSWER else (),
                    language=language,
                    audience=trigger.audience.value if trigger.audience else "",
                )
            )

        return Links(answer=address(LinkScope.ANSWER), opt_out=address(LinkScope.OPT_OUT))

    return make
