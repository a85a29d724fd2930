"""What people do with tasks: list them against the present facts, read their context, and end them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from handlers.channels.drafts import Drafts
from handlers.channels.lane import millis
from handlers.channels.outcomes import Sender
from handlers.channels.task_events import events_of
from handlers.channels.task_plan import AgreedPlan, Matter
from handlers.channels.tasks import DECISIONS, Done, Task, TaskBoard, TaskOutcome
from models.events.union import public_topic
from models.policy.gate import still_allowed
from models.policy.policy import PHONE
from models.state.client import ClientState
from models.state.codec import decode
from models.state.describe import describe
from models.triggers import CancelWhen
from models.workdays import zone_named
from streams.runtime.clock import Clock
from streams.runtime.errors import UsageError
from streams.state.ports import StateStore
from streams.wire.codec import encode_event

OPEN: Final = "open"
OVERDUE: Final = "overdue"
CALLABLE: Final = frozenset({OPEN, OVERDUE})
"""How a task stands that still needs a call: not done, and not overtaken by the facts."""

FORGOTTEN: Final = "the client asked to be forgotten"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDesk:
    """A board, the clients' present states, and the way back to the core. `zone` is the firm's."""

    board: TaskBoard
    store: StateStore
    sender: Sender
    clock: Clock
    zone: str
    drafts: Drafts | None = None

    async def open_tasks(self, *, every: bool = False) -> list[tuple[Task, str]]:
        """Return tasks and how each stands, in the order of the board; tasks of forgotten clients are removed here."""
        found = []
        for task in await self.board.tasks():
            stands, _ = await self._stands(task)
            if stands == FORGOTTEN:
                await self.board.forget(task.task_id)
            elif every or task.done is None:
                found.append((task, stands))
        return found

    async def context(self, task_id: str, *, tone: str = "", channel: str = "") -> list[str]:
        """Return all that helps with a task, in lines: why, what is suggested, and what is known now. Raises UsageError.

        Of a message that waits for approval also every word of it, in `tone` and by `channel` where these are given.
        """
        task = await self._find(task_id)
        stands, state = await self._stands(task)
        if state is None:
            await self.board.forget(task.task_id)
            message = f"task {task_id}: {FORGOTTEN}"
            raise UsageError(message)
        trigger = task.trigger
        reach = (state.person.phone.value, state.person.email.value)
        return [
            task.subject,
            f"task {task.task_id}, due {trigger.expires_at:%Y-%m-%d %H:%M} UTC, {stands}",
            f"reach: {', '.join(filter(None, reach)) or 'nothing is known'}",
            "",
            task.text,
            "",
            f"Why: {'; '.join(trigger.reasons)}",
            "",
            *await self._draft(task, state, stands, tone=tone, channel=channel),
            "Known now:",
            *(f"  {line}" for line in describe(state)),
        ]

    async def _draft(self, task: Task, state: ClientState, stands: str, *, tone: str, channel: str) -> list[str]:
        if self.drafts is None or not task.is_approval or stands != OPEN:
            return []
        now_ms = millis(self.clock)
        edits = Done(outcome=TaskOutcome.APPROVED, author="you", at_ms=now_ms, tone=tone, channel=channel)
        regime = await self.store.regime(state.client_id)
        return [*self.drafts.of(task, state, regime, edits=edits, now_ms=now_ms), ""]

    async def finish(
        self,
        task_id: str,
        *,
        outcome: TaskOutcome,
        day: date | None = None,
        plan: AgreedPlan | None = None,
        matter: Matter | None = None,
        note: str,
        author: str,
    ) -> tuple[Task, Done]:
        """Report how a task ended, then take it off the list. Raises UsageError when it has ended otherwise already."""
        task = await self._find(task_id)
        if task.is_approval or outcome in DECISIONS:
            message = (
                f"task {task_id}: a message is approved or held by rapport tasks approve|hold, a talk ends by rapport tasks done"
            )
            raise UsageError(message)
        done = task.done or Done(outcome=outcome, author=author, at_ms=millis(self.clock), note=" ".join(note.split()))
        if done.outcome is not outcome:
            message = f"task {task_id} ended already: {done.outcome.value} by {done.author}"
            raise UsageError(message)
        return task, await self._report(task, done, day=day, plan=plan, matter=matter)

    async def _report(
        self, task: Task, done: Done, *, day: date | None = None, plan: AgreedPlan | None = None, matter: Matter | None = None
    ) -> Done:
        # First the events, then the board: after a crash between them the task is open and the same report may be given again.
        zone = zone_named(self.zone, self.zone)
        for event in events_of(task, done, promised=day, plan=plan, zone=zone, matter=matter or Matter()):
            await self.sender.send_all(public_topic(event), [(event.client_id.encode(), encode_event(event))])
        return await self.board.finish(task.task_id, done) or done

    async def decide(self, task_id: str, asked: Done) -> tuple[Task, Done]:
        """Approve or hold the message of a task as `asked` says. Raises UsageError when it is overtaken or decided otherwise."""
        task = await self._find(task_id)
        if not task.is_approval:
            message = f"task {task_id} asks for a talk with the client, not for a word on a message: rapport tasks done"
            raise UsageError(message)
        stands, _ = await self._stands(task)
        if task.done is None and stands != OPEN:
            message = f"task {task_id} is overtaken ({stands}): nothing leaves, whatever is decided about it"
            raise UsageError(message)
        if task.done is not None and task.done.outcome is not asked.outcome:
            message = f"task {task_id} ended already: {task.done.outcome.value} by {task.done.author}"
            raise UsageError(message)
        return task, await self._report(task, task.done or asked)

    async def call_hours(self, tasks: Iterable[Task]) -> dict[str, tuple[str, bool]]:
        """Return for each task in which hours its client is called, in their own time, and whether that is so now."""
        found: dict[str, tuple[str, bool]] = {}
        now_ms = millis(self.clock)
        for task in tasks:
            raw = await self.store.read(task.trigger.client_id)
            if raw is not None and self.drafts is not None:
                state = decode(raw)
                policy = self.drafts.program.under(await self.store.regime(state.client_id)).policy
                window = policy.window_of(state, PHONE)
                hours = f"{window.opens:%H:%M}-{window.closes:%H:%M} {policy.zone_of(state).key}"
                found[task.task_id] = hours, policy.open_hour(state, now_ms, PHONE) == now_ms
        return found

    async def numberless(self, tasks: Iterable[Task]) -> set[str]:
        """Return the ids of the tasks for whose clients no phone number is known, neither their own nor a colleague's."""
        found = set()
        for task in tasks:
            raw = await self.store.read(task.trigger.client_id)
            person = None if raw is None else decode(raw).person
            if person is not None and not person.phone.value and not any(row.phone for row in person.colleagues):
                found.add(task.task_id)
        return found

    async def approved(self, policy_version: str) -> int:
        """Return how many messages under a version of the policy were approved."""
        known = [task for task in await self.board.tasks() if task.trigger.policy_version == policy_version and task.done]
        return sum(task.done is not None and task.done.outcome is TaskOutcome.APPROVED for task in known)

    async def _find(self, task_id: str) -> Task:
        task = await self.board.get(task_id)
        if task is not None:
            return task
        near = [each for each in await self.board.tasks() if task_id and each.task_id.startswith(task_id)]
        if len(near) != 1:
            message = (
                f"{'no task is' if not near else f'{len(near)} tasks are'} called {task_id!r}; see: rapport tasks list --all"
            )
            raise UsageError(message)
        return near[0]

    async def _stands(self, task: Task) -> tuple[str, ClientState | None]:
        raw = await self.store.read(task.trigger.client_id)
        state = None if raw is None else decode(raw)
        if state is None or state.erased_ms:
            return FORGOTTEN, None
        if task.done is not None:
            return f"done: {task.done.outcome.value}", state
        now_ms = max(state.now_ms, millis(self.clock))
        result = still_allowed(state, task.trigger, now_ms=now_ms)
        if result.allowed:
            return OPEN, state
        overtaken = result.because is not None and result.because is not CancelWhen.CLIENT_ERASED
        return "; ".join(result.reasons) if overtaken else OVERDUE, state
