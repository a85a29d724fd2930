"""`rapport clients merge|split|parent|contacted` (`clients`, a cyclopts App)."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Final

from cyclopts import App, Parameter

from handlers.commands.clients.desk import contact_of, left_behind, merge_of, split_of, word_of_payer
from handlers.commands.options import Author
from handlers.commands.overrides.desk import publish, read_name, read_state
from handlers.commands.regime_changes import author_named
from models.events.envelope import epoch_ms
from models.state.balances import exposures
from models.state.client import ClientState
from models.state.describe import explain_exposure
from models.state.identity import parts
from streams.runtime.clock import make_clock, monotonic
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings

_PATIENCE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.1

clients = App(
    name="clients",
    help="""Say who is who: that two clients are one company, or that one pays for another. Log a contact that no task asked for.

    Exit codes: 0 it holds, 1 a server is away, or no worker has taken it up within 10 seconds (it is on the log, and holds as
    soon as one runs), 2 wrong usage.
    """,
)

Reason = Annotated[str, Parameter(help="Why, for colleagues; at least three letters.")]
DryRun = Annotated[bool, Parameter(help="Only show the two.", negative="")]


@clients.command
def merge(
    client_id: Annotated[str, Parameter(help="The client that moves.")],
    /,
    *,
    into: Annotated[str, Parameter(help="The client that remains.")],
    reason: Reason,
    author: Author = None,
    dry_run: DryRun = False,
) -> int:
    """Merge a client into another one. Try --dry-run first: it shows both and writes nothing.

    The one moves into the other: its journeys stop and what has not left is taken back; its invoices, payments, promises,
    consents and contacts go on there, and whatever still comes in its name is passed on. Erasing either erases both. What
    moves does not come back: rapport clients split lets what is new be the client's own again, no more.

    Example: rapport clients merge cus_1a2b3c --into hollis-wray --reason "the same company in Stripe and in the books"
    """
    settings = load_settings()
    return asyncio.run(_merge(settings, client_id, into=into, reason=reason, author=author_named(author), is_rehearsal=dry_run))


@clients.command
def split(
    client_id: Annotated[str, Parameter(help="The client that was merged into another one.")],
    /,
    *,
    reason: Reason,
    author: Author = None,
    dry_run: DryRun = False,
) -> int:
    """Undo a merge for all that comes from now on: the client is one of its own again, and begins afresh.

    What was told before, in either name, stays with the other one, for nobody could say whose it is: its invoices are asked for
    there, and payments that name them go there. Profile, contracts and consents are to be told anew; what was refused
    is refused in both names.

    Example: rapport clients split cus_1a2b3c --reason "two companies of one name after all"
    """
    settings = load_settings()
    return asyncio.run(_split(settings, client_id, reason=reason, author=author_named(author), is_rehearsal=dry_run))


@clients.command
def parent(
    client_id: Annotated[str, Parameter(help="The client that is paid for.")],
    /,
    *,
    of: Annotated[str | None, Parameter(help="The client that pays for it from now on.")] = None,
    nobody: Annotated[bool, Parameter(name="--none", help="It pays for itself again.", negative="")] = False,
    reason: Reason,
    author: Author = None,
    dry_run: DryRun = False,
) -> int:
    """Say that a client's invoices are paid by another one, its parent, or by itself again.

    Invoices and payments, open and closed, move to the parent, and whatever is told of the child's money from then on is passed
    on there: so a payment finds its invoice in whichever name it comes, and reminders go to the one that pays, within its
    contact budget. Profile, consents, contracts and what is not about money stay the child's own. With --none new invoices are
    the child's again; what the parent has stays there, and payments that name it go there.

    Example: rapport clients parent hollis-wray-leeds --of hollis-wray --reason "the head office pays all invoices"
    """
    if (of is None) != nobody:
        message = "say who pays: --of PARENT, or --none when the client pays for itself again"
        raise UsageError(message)
    settings = load_settings()
    return asyncio.run(_parent(settings, client_id, payer=of, reason=reason, author=author_named(author), is_rehearsal=dry_run))


@clients.command
def contacted(
    client_id: Annotated[str, Parameter(help="The client who was spoken with.")],
    /,
    *,
    by: Annotated[str, Parameter(help="How: phone, in person, a letter.")] = "phone",
    at: Annotated[datetime | None, Parameter(help="When, if not now; without a zone in UTC.")] = None,
    note: Annotated[str, Parameter(help="What was said, for colleagues.")] = "",
    author: Author = None,
) -> int:
    """Log that somebody spoke with a client of their own accord. What a task asked for is told by rapport tasks done.

    It counts like any other contact: it takes its place in the contact budget, the gap to the next message begins with it, and
    for a ladder that waits for a person somebody has tried. Whoever was not reached was not contacted.

    Example: rapport clients contacted hollis-wray --by phone --note "rang about the new office; all is well"
    """
    settings = load_settings()
    return asyncio.run(_contacted(settings, client_id, by=by, at=at, note=note, author=author_named(author)))


async def _contacted(settings: Settings, client_id: str, *, by: str, at: datetime | None, note: str, author: str) -> int:
    state = await read_state(settings, client_id)
    now = make_clock(settings.clock_file).now()
    told = contact_of(state, client_id=client_id, by=by, at=at or now, note=note, author=author, now=now)
    await publish(settings, told)
    print(f"{author} spoke with {client_id} ({told.channel}) on {told.occurred_at:%Y-%m-%d}; it counts as a contact")
    return await _until(settings, client_id, lambda state: state.care.last_human_ms >= epoch_ms(told.occurred_at))


async def _merge(settings: Settings, client_id: str, *, into: str, reason: str, author: str, is_rehearsal: bool) -> int:
    one, other = await read_state(settings, client_id), await read_state(settings, into)
    now = make_clock(settings.clock_file).now()
    told = merge_of(one, other, client_id=client_id, into=into, reason=reason, author=author, now=now)
    _show(one, other)
    if is_rehearsal:
        print(f"{client_id} would move into {into}; nothing was written")
        return 0
    await publish(settings, told)
    print(f"{client_id} moves into {into}, by {author}: {reason}")
    return await _until(settings, into, lambda state: client_id in parts(state.identity))


async def _split(settings: Settings, client_id: str, *, reason: str, author: str, is_rehearsal: bool) -> int:
    own, whole = await read_name(settings, client_id), await read_state(settings, client_id)
    now = make_clock(settings.clock_file).now()
    told = split_of(own, whole, client_id=client_id, reason=reason, author=author, now=now)
    _show(whole)
    print(left_behind(own) if own else "")
    if is_rehearsal:
        print(f"{client_id} would be a client of its own again; nothing was written")
        return 0
    await publish(settings, told)
    print(f"{client_id} is a client of its own again, by {author}: {reason}")
    return await _until(settings, client_id, lambda state: state.client_id == client_id)


async def _parent(settings: Settings, client_id: str, *, payer: str | None, reason: str, author: str, is_rehearsal: bool) -> int:
    child = await read_state(settings, client_id)
    pays = None if payer is None else await read_state(settings, payer)
    now = make_clock(settings.clock_file).now()
    told = word_of_payer(child, pays, client_id=client_id, payer=payer, reason=reason, author=author, now=now)
    _show(child, pays)
    words = f"{payer or client_id} {{}} for {client_id if payer else 'itself again'}"
    if is_rehearsal:
        print(f"{words.format('would pay')}; nothing was written")
        return 0
    await publish(settings, told)
    print(f"{words.format('pays')}, by {author}: {reason}")
    if payer is None:
        return await _until(settings, client_id, lambda state: not state.identity.payer)
    return await _until(settings, payer, lambda state: _pays_for(state, client_id))


def _pays_for(state: ClientState, child: str) -> bool:
    return any(row.client_id == child and not row.ended for row in state.identity.children)


def _show(*states: ClientState | None) -> None:
    for state in filter(None, states):
        print("\n".join(_shown(state)))


def _shown(state: ClientState) -> Iterator[str]:
    person = state.person
    yield f"{state.client_id}: {', '.join(filter(None, (person.name.value, person.email.value))) or 'no profile'}"
    for row in exposures(state.ledger, state.now_ms):
        yield f"  {explain_exposure(row)}"


async def _until(settings: Settings, client_id: str, holds: Callable[[ClientState], bool]) -> int:
    """Wait until the word holds with a client; says so, and returns 1, when no worker takes it up."""
    deadline = monotonic() + _PATIENCE_SECONDS
    while True:
        state = await read_state(settings, client_id)
        if state is not None and holds(state):
            return 0
        if monotonic() > deadline:
            print("it is on the log, but no worker has taken it up yet; rapport lag shows how far they are")
            return 1
        await asyncio.sleep(_PAUSE_SECONDS)
