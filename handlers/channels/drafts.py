"""What an approval lets out: the message as it would leave now, found by trying the answer on the client's state in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from babel import Locale

from handlers.channels.content import Writer
from handlers.channels.contract import ContentError, Recipient
from handlers.channels.library import PACKAGE, Library
from handlers.channels.links import Links
from handlers.channels.presend import recipient_of
from handlers.channels.tasks import Done, Task
from handlers.channels.wording import locale_named
from models.events.control import ClockTicked
from models.events.envelope import epoch_ms
from models.events.signals import ApprovalAnswered, Verdict
from models.state.client import ClientState
from models.transition import Transition, transition
from models.triggers import APPROVE, Decision, Trigger
from models.workdays import moment
from streams.engine.program import ClientProgram

_WAKES: Final = 24
"""How often the client is woken at most until the message leaves: at night it waits for the morning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafts:
    """Shows drafts as `firm_name` would send them, under the program in force."""

    program: ClientProgram
    firm_name: str
    firm_locale: str
    with_links: bool
    library: Library = PACKAGE

    def of(self, task: Task, state: ClientState, regime: bytes, *, edits: Done, now_ms: int) -> list[str]:
        """Return in lines whom the message of an approval task goes to, by what, in which language, and every word of it.

        `edits` are the tone and channel that the person would choose. Where nothing would leave, why not.
        """
        bound = self.program.under(regime)
        trigger, after, why = _tried(task, state, bound, edits=edits, now_ms=max(now_ms, state.now_ms))
        if trigger is None:
            return ["Approved now, it would not leave:", *(f"  {reason}" for reason in why)]
        recipient = recipient_of(after, trigger)
        links = _no_links if self.with_links else None
        writer = Writer(firm_name=self.firm_name, firm_locale=self.firm_locale, links=links, library=self.library)
        return ["Approved now, this would leave:", *(f"  {line}".rstrip() for line in _lines(writer, trigger, recipient))]


def _lines(writer: Writer, trigger: Trigger, recipient: Recipient) -> Iterator[str]:
    role = recipient.role.value.replace("_", " ") if recipient.role else ""
    address = {"email": recipient.email, "sms": recipient.phone}.get(trigger.channel)
    to = " ".join(
        part for part in (recipient.name or "the client", f"<{address}>" if address else "", f"({role})" * bool(role)) if part
    )
    yield f"to: {to} by {trigger.channel}, in {_language(locale_named(recipient.locale))}, {trigger.tone.value}"
    yield f"when: not before {trigger.not_before:%Y-%m-%d %H:%M} UTC, until {trigger.expires_at:%Y-%m-%d %H:%M}"
    try:
        content = writer.write(trigger, recipient)
    except ContentError as error:
        yield f"it cannot be written: {error}"
        return
    if content.subject:
        yield f"subject: {content.subject}"
    yield ""
    yield from content.text.rstrip().splitlines()


def _tried(
    task: Task, state: ClientState, bound: ClientProgram, *, edits: Done, now_ms: int
) -> tuple[Trigger | None, ClientState, tuple[str, ...]]:
    """Return the message that an approval lets out, the state then, and what was decided instead where there is none."""
    at = moment(now_ms)
    event = ApprovalAnswered(
        event_id=f"try-{task.task_id}",
        source="draft",
        client_id=state.client_id,
        occurred_at=at,
        received_at=at,
        trigger_id=task.task_id,
        verdict=Verdict.APPROVE,
        author=edits.author,
        tone=edits.tone or None,
        channel=edits.channel or None,
    )
    step, anchor = task.trigger.step.removeprefix(APPROVE), task.trigger.anchor
    turn = _turner(bound)
    result = turn(state, event)
    why: tuple[str, ...] = ()
    for _ in range(_WAKES):
        for output in result.outputs:
            if isinstance(output, Trigger) and (output.step, output.anchor) == (step, anchor):
                return output, result.state, ()
            if isinstance(output, Decision) and (output.step, output.anchor) == (step, anchor):
                why = output.reasons
        if result.next_due_ms is None or result.next_due_ms > epoch_ms(task.trigger.expires_at):
            break
        due = moment(result.next_due_ms)
        result = turn(result.state, ClockTicked(event_id="tick", source="draft", occurred_at=due, received_at=due))
    return None, result.state, why or ("nothing of this journey is due any more",)


def _turner(bound: ClientProgram) -> Callable[[ClientState, ApprovalAnswered | ClockTicked], Transition]:
    return lambda state, event: transition(state, event, policy=bound.policy, scorer=bound.scorer)


def _no_links(trigger: Trigger, language: str) -> Links:
    """Return what stands for the links: a draft carries none that would work, they are the client's."""
    del trigger, language
    return Links(answer="(the client's link)", opt_out="(the client's link)")


def _language(locale: Locale) -> str:
    return str(locale.get_display_name("en"))
