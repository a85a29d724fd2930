"""`rapport clients merge` (`clients`, a cyclopts App)."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Annotated, Final

from cyclopts import App, Parameter

from handlers.commands.clients.desk import merge_of
from handlers.commands.options import Author
from handlers.commands.overrides.desk import publish, read_state
from handlers.commands.regime_changes import author_named
from models.state.balances import exposures
from models.state.client import ClientState
from models.state.describe import explain_exposure
from streams.runtime.clock import make_clock, monotonic
from streams.runtime.settings import Settings, load_settings

_PATIENCE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.1

clients = App(
    name="clients",
    help="""Say that two clients are one company.

    The one moves into the other: its journeys stop and what has not left is taken back; its invoices, payments, promises,
    consents and contacts go on there, and whatever still comes in its name is passed on. Erasing either erases both. There is
    no way back: of what was told since, nobody could say whose it was.

    Exit codes: 0 merged, 1 a server is away, or no worker has taken it up within 10 seconds (it is on the log, and holds as
    soon as one runs), 2 wrong usage.
    """,
)


@clients.command
def merge(
    client_id: Annotated[str, Parameter(help="The client that moves.")],
    /,
    *,
    into: Annotated[str, Parameter(help="The client that remains.")],
    reason: Annotated[str, Parameter(help="Why, for colleagues; at least three letters.")],
    author: Author = None,
    dry_run: Annotated[bool, Parameter(help="Only show the two.", negative="")] = False,
) -> int:
    """Merge a client into another one, for good. Try --dry-run first: it shows both and writes nothing.

    Example: rapport clients merge cus_1a2b3c --into hollis-wray --reason "the same company in Stripe and in the books"
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that Kafka is away is said once, by us
    settings = load_settings()
    return asyncio.run(_merge(settings, client_id, into=into, reason=reason, author=author_named(author), is_rehearsal=dry_run))


async def _merge(settings: Settings, client_id: str, *, into: str, reason: str, author: str, is_rehearsal: bool) -> int:
    one, other = await read_state(settings, client_id), await read_state(settings, into)
    now = make_clock(settings.clock_file).now()
    told = merge_of(one, other, client_id=client_id, into=into, reason=reason, author=author, now=now)
    for state in filter(None, (one, other)):
        print("\n".join(_shown(state)))
    if is_rehearsal:
        print(f"{client_id} would move into {into}; nothing was written")
        return 0
    await publish(settings, told)
    print(f"{client_id} moves into {into}, by {author}: {reason}")
    return await _until_arrived(settings, client_id, into)


def _shown(state: ClientState) -> Iterator[str]:
    person = state.person
    yield f"{state.client_id}: {', '.join(filter(None, (person.name.value, person.email.value))) or 'no profile'}"
    for row in exposures(state.ledger, state.now_ms):
        yield f"  {explain_exposure(row)}"


async def _until_arrived(settings: Settings, client_id: str, into: str) -> int:
    """Wait until the one that remains knows the other; says so, and returns 1, when no worker takes it up."""
    deadline = monotonic() + _PATIENCE_SECONDS
    while True:
        state = await read_state(settings, into)
        if state is not None and any(row.client_id == client_id for row in state.identity.aliases):
            return 0
        if monotonic() > deadline:
            print("it is on the log, but no worker has taken it up yet; rapport lag shows how far they are")
            return 1
        await asyncio.sleep(_PAUSE_SECONDS)
