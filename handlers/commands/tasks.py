"""`rapport tasks list|calls|show|done|approve|hold` (`tasks`, a cyclopts App): the work that the policy leaves to people."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime, time
from typing import Annotated, Any, TypeVar

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handlers.channels.call_list import call_list, phone_days_of
from handlers.channels.drafts import Drafts
from handlers.channels.kafka_producer import KafkaSender
from handlers.channels.links import links_of
from handlers.channels.redis_tasks import RedisTaskBoard
from handlers.channels.task_desk import CALLABLE, TaskDesk
from handlers.channels.task_plan import read_matter, read_plan
from handlers.channels.tasks import Done, Task, TaskOutcome
from handlers.channels.template_facts import library_of
from handlers.commands.options import Author
from handlers.commands.regime_changes import author_named, put_in_force, regimes_now
from models.events.control import PolicyActivated
from models.events.delays import DisputeReason
from models.events.envelope import epoch_ms
from models.triggers import Tone
from models.workdays import zone_named
from streams.engine.program import ClientProgram
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.state.redis_reviews import RedisReviews
from streams.state.redis_store import RedisStateStore, connect_redis
from streams.wire.control import control_id
from streams.wire.policy_file import policy_in_force
from streams.wire.topics import CHANNELS

T = TypeVar("T")

tasks = App(
    name="tasks",
    help="""List, show and end the tasks that the policy leaves to people; approve or hold messages it puts before them.

    A policy step with `channel: task` becomes a task when `rapport run-channels task` runs; so does what a client asks for.
    What a person reports goes back as events, so that promises, disputes and contacts count like all others:

    - reached: somebody spoke with the client; it counts as a contact, and the sequence waits
    - promise: a day was named (`--day`); nothing is asked for before it has passed
    - plan: days and amounts were agreed (`--instalment`, once for each; one alone defers); the invoice rests while they are paid
    - dispute: something is wrong (`--reason`); reminders about it, or about one invoice (`--invoice`) or a part of it
      (`--amount`), stop until that is settled
    - no-answer: nobody was reached; it counts as a try, and the ladder goes on as it was meant
    - wrong-contact: it was the wrong person; mails rest for two weeks so that the right one can be found

    Until somebody has tried, what follows a person's step waits; a task that nobody ends by its due time expires, and then it is
    said more gently.

    A day of calls, on the firm's phone days (RAPPORT_PHONE_DAYS=tue,thu), begins with

        rapport tasks calls --capacity 8

    which ranks whom to call first: the money at stake times the chance that a call has an effect, learnt from how calls
    have ended.

    Exit codes: 0 done, 1 a server is away, 2 no such task, or it has ended otherwise.
    """,
)


@tasks.command(name="list")
def list_tasks(*, every: Annotated[bool, Parameter(name="--all", help="Also those that are done.", negative="")] = False) -> None:
    """List open tasks, the next due first, and say which of them the facts have overtaken; and reviews that nobody has read.

    Example: rapport tasks list
    """
    found = _run(lambda desk: desk.open_tasks(every=every))
    to_read = asyncio.run(_unread(load_settings()))
    for quarter in to_read:
        print(f"The review of {quarter} waits to be read: rapport segments reviews {quarter}")
    if not found:
        if not to_read:
            print("No task is open.")
        return
    table = Table(box=None)
    for heading in ("task", "due", "client", "what", "stands"):
        table.add_column(heading)
    for task, stands in found:
        client = task.name or task.trigger.client_id
        table.add_row(*map(Text, (task.task_id[:12], f"{task.trigger.expires_at:%Y-%m-%d}", client, task.subject, stands)))
    Console().print(table)


async def _unread(settings: Settings) -> list[str]:
    """Return the quarters whose review nobody has read yet."""
    from handlers.commands.segments.reviewing import kept

    redis = connect_redis(settings)
    try:
        return [row.quarter for row in await kept(RedisReviews(redis, settings)) if row.reviewed_at is None]
    finally:
        await redis.aclose()


@tasks.command
def calls(
    *,
    capacity: Annotated[int, Parameter(help="How many calls fit into the day.")] = 10,
    on: Annotated[date | None, Parameter(help="The day to plan for, or the phone day after it; none: today.")] = None,
) -> None:
    """Rank whom to call on the next phone day: what is due before the following one, then by what a call may bring.

    Beside each stands in which hours the client is called, in their own time. On the day itself, whoever may be called now (their
    zone, days and hours, and the hour they asked for) goes before those who may not. Clients without a phone number take no
    place; they are named below.

    Example: rapport tasks calls --capacity 8
    """
    settings = load_settings()
    today = on or make_clock(settings.clock_file).now().astimezone(zone_named(settings.firm_timezone, "UTC")).date()
    found = _run(lambda desk: desk.open_tasks(every=True))
    waiting = [task for task, stands in found if stands in CALLABLE and not task.is_approval]
    hours = _run(lambda desk: desk.call_hours(waiting))
    planned = call_list(
        waiting,
        ended=[task for task, _ in found if task.done is not None],
        today=today,
        phone_days=phone_days_of(settings.phone_days),
        capacity=max(0, capacity),
        asleep={name for name, (_, is_open) in hours.items() if not is_open},
        numberless=_run(lambda desk: desk.numberless(waiting)),
    )
    print(f"{len(planned.calls)} calls on {planned.day:%A, %Y-%m-%d}")
    table = Table(box=None)
    for heading in ("", "task", "client", "call", "at stake", "chance", "due"):
        table.add_column(heading, justify="right" if heading in {"", "at stake", "chance"} else "left")
    for place, call in enumerate(planned.calls, start=1):
        task = call.task
        due = f"{task.trigger.expires_at:%Y-%m-%d}{' (before the next)' if call.pressing else ''}"
        client, stake = task.name or task.trigger.client_id, str(call.stake or "")
        called = f"{hours[task.task_id][0]}{'' if call.is_open else ' (not now)'}" if task.task_id in hours else ""
        table.add_row(*map(Text, (str(place), task.task_id[:12], client, called, stake, f"{call.chance:.0%}", due)))
    if planned.calls:
        Console().print(table)
    if planned.waiting:
        print(f"{len(planned.waiting)} more wait for {planned.next_day:%A, %Y-%m-%d}.")
    if planned.unreached:
        named = ", ".join(f"{row.task.name or row.task.trigger.client_id} ({row.task.task_id[:12]})" for row in planned.unreached)
        print(f"No phone number is known for {named}. Other ways to reach them: rapport tasks show TASK")


@tasks.command
def show(
    task_id: Annotated[str, Parameter(help="The id that `list` shows, or its beginning.")],
    /,
    *,
    tone: Annotated[Tone | None, Parameter(help="Of a message to approve: show it in this tone, if it is softer.")] = None,
    channel: Annotated[str, Parameter(help="Of a message to approve: show it as it would go through this channel.")] = "",
) -> None:
    """Show a task whole: why, what is suggested, and what is known of the client at this moment.

    Of a message that waits for approval also what would leave: to whom, by what, in which language, subject and text.

    Example: rapport tasks show 3f2c9a
    """
    print("\n".join(_run(lambda desk: desk.context(task_id, tone=tone.value if tone else "", channel=channel))))


@tasks.command
def done(
    task_id: Annotated[str, Parameter(help="The id that `list` shows, or its beginning.")],
    /,
    *,
    outcome: Annotated[TaskOutcome, Parameter(help="How it ended.")],
    day: Annotated[date | None, Parameter(help="For a promise: the day on which the client will pay.")] = None,
    instalment: Annotated[
        tuple[str, ...], Parameter(help='For a plan, once for each instalment: "2026-03-20 400.00 EUR".', consume_multiple=False)
    ] = (),
    invoice: Annotated[
        str, Parameter(help="The invoice; none: for a plan the one that the task names, for a promise or a dispute all of them.")
    ] = "",
    amount: Annotated[str, Parameter(help='For a promise or a dispute: the part of that invoice, as "400.00 EUR".')] = "",
    reason: Annotated[DisputeReason | None, Parameter(help="For a dispute: what it is about.")] = None,
    note: Annotated[str, Parameter(help="What was said, for colleagues; for a dispute, its cause.")] = "",
    author: Author = None,
) -> None:
    """End a task and report what came of it. Repeating it is harmless.

    For example:

        rapport tasks done 3f2c9a --outcome promise --day 2026-03-20 --note "pays after the budget round"
        rapport tasks done 3f2c9a --outcome plan --instalment "2026-03-20 400.00 EUR" --instalment "2026-04-20 400.00 EUR"
        rapport tasks done 3f2c9a --outcome dispute --invoice INV-7 --amount "400.00 EUR" --reason amount --note "two hours"
        rapport tasks done 3f2c9a --outcome no-answer
    """
    plan, who = read_plan(instalment, invoice), author_named(author)
    about = read_matter("" if plan else invoice, amount, reason)
    ended = _run(lambda desk: desk.finish(task_id, outcome=outcome, day=day, plan=plan, matter=about, note=note, author=who))
    print(f"Reported: {_ending(*ended)}")


@tasks.command
def approve(
    task_id: Annotated[str, Parameter(help="The id that `list` shows, or its beginning.")],
    /,
    *,
    tone: Annotated[Tone | None, Parameter(help="Say it in this tone; a firmer one than the message's changes nothing.")] = None,
    channel: Annotated[str, Parameter(help="Send it through this channel; none: as it stands.")] = "",
    note: Annotated[str, Parameter(help="A word for colleagues; it stands among the reasons.")] = "",
    author: Author = None,
) -> None:
    """Let a message go that the policy put before a person: as it is, more softly, or through another channel.

    It is decided anew at once, and leaves if it is still right; more money or another step is put before a person again. When
    enough messages of a new policy were approved (`approval.first_sends`), the others leave by themselves from then on.

    Example: rapport tasks approve 3f2c9a --tone gentle --note "spoke with them yesterday"
    """
    if channel and channel not in CHANNELS:
        message = f"no worker delivers by {channel}; channels are {', '.join(sorted(CHANNELS))}"
        raise UsageError(message)
    tone_name = tone.value if tone else ""
    task, _ = _decided(task_id, TaskOutcome.APPROVED, author, note=note, tone=tone_name, channel=channel)
    _end_probation(load_settings(), task.trigger.policy_version)


@tasks.command
def hold(
    task_id: Annotated[str, Parameter(help="The id that `list` shows, or its beginning.")],
    /,
    *,
    note: Annotated[str, Parameter(help="Why, for colleagues.")],
    until: Annotated[date | None, Parameter(help="Ask again from this day on; none: in a week.")] = None,
    author: Author = None,
) -> None:
    """Hold back a message that the policy put before a person. Nothing of its journey leaves until then; then it is asked again.

    Example: rapport tasks hold 3f2c9a --until 2026-03-20 --note "their bookkeeper is on leave"
    """
    zone = zone_named(load_settings().firm_timezone, "UTC")
    until_ms = epoch_ms(datetime.combine(until, time(0), zone)) if until else 0
    _decided(task_id, TaskOutcome.HELD, author, note=note, until_ms=until_ms)


def _decided(task_id: str, outcome: TaskOutcome, author: str | None, **said: Any) -> tuple[Task, Done]:  # noqa: ANN401 - as Done's
    at_ms = epoch_ms(make_clock(load_settings().clock_file).now())
    said["note"] = " ".join(said["note"].split())
    done = Done(outcome=outcome, author=author_named(author), at_ms=at_ms, **said)
    found = _run(lambda desk: desk.decide(task_id, done))
    print(f"Reported: {_ending(*found)}")
    return found


def _end_probation(settings: Settings, version: str) -> None:
    """Let messages of a policy leave by themselves once enough of them were approved."""
    active = next((row for regime in regimes_now(settings) if (row := regime.policy()) is not None), None)
    if active is None or active.version != version or not active.approvals:
        return
    count = _run(lambda desk: desk.approved(version))
    if count < active.approvals:
        print(f"{count} of {active.approvals} messages under {version} are approved")
        return
    now = make_clock(settings.clock_file).now()
    event = PolicyActivated(
        event_id=control_id("policy", version, "approved"),
        source="cli",
        occurred_at=now,
        received_at=now,
        author=author_named(None),
        reason=f"{count} messages were approved",
        version=version,
        document=active.document,
    )
    put_in_force(settings, event)
    print(f"{count} messages under {version} are approved: the others leave by themselves from now on")


def _ending(task: Task, ending: Done) -> str:
    return f"{ending.outcome.value} for {task.name or task.trigger.client_id} by {ending.author}"


def _run(step: Callable[[TaskDesk], Awaitable[T]]) -> T:
    return asyncio.run(_with_desk(load_settings(), step))


async def _with_desk(settings: Settings, step: Callable[[TaskDesk], Awaitable[T]]) -> T:
    library = library_of(settings)
    redis, board, sender = connect_redis(settings), RedisTaskBoard(settings), KafkaSender(settings)
    try:
        desk = TaskDesk(
            board=board,
            store=RedisStateStore(redis, settings),
            sender=sender,
            clock=make_clock(settings.clock_file),
            zone=settings.firm_timezone,
            drafts=Drafts(
                program=ClientProgram(policy=policy_in_force(settings, facts_stated=library.facts_stated)),
                firm_name=settings.firm_name,
                firm_locale=settings.firm_locale,
                with_links=links_of(settings) is not None,
                library=library,
            ),
        )
        return await step(desk)
    finally:
        await sender.close()
        await board.close()
        await redis.aclose()
