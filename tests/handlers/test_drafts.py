"""Whoever approves a message sees it first: every word, to whom, by what; or why nothing would leave."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from handlers.channels.drafts import Drafts
from handlers.channels.task_desk import TaskDesk
from handlers.channels.tasks import MemoryTaskBoard, Task
from models.events.signals import ApprovalAnswered, Colleague, Role, Verdict
from models.policy.policy import DEFAULT_POLICY, ApprovalRules, stamped
from models.state.codec import encode
from models.triggers import APPROVE, Trigger
from streams.engine.program import ClientProgram
from streams.runtime.clock import ManualClock
from tests.handlers.channel_bench import States, Topic
from tests.models.builders import CLIENT, Events, ms, on
from tests.models.test_journey_laws import Firm
from tests.models.test_outcomes import state_of

POLICY = stamped(replace(DEFAULT_POLICY, approval=ApprovalRules(clients=(CLIENT,), wait_days=3)))
BEA = Colleague(role=Role.ACCOUNTS_PAYABLE, name="Bea Weber", email="bea@client.example", locale="de_DE")


class Desk:
    """A desk at which one message of a client in Berlin waits for a word."""

    def __init__(self) -> None:
        build = Events()
        profile = build.profiled(0, phone="+493090182000", timezone="Europe/Berlin").model_copy(update={"colleagues": (BEA,)})
        self.build = build
        self.firm = Firm(policy=POLICY).run([profile, build.issued(1, minor=100_000, due=10)], until_ms=ms(15.5))
        (self.asked,) = (row for row in self.firm.triggers if row.step.startswith(APPROVE))
        self.board, self.states, self.clock = MemoryTaskBoard(), States(), ManualClock(on(15.5))
        drafts = Drafts(program=ClientProgram(policy=POLICY), firm_name="Firm", firm_locale="en_GB", with_links=True)
        self.desk = TaskDesk(
            board=self.board, store=self.states, sender=Topic(), clock=self.clock, zone="Europe/Berlin", drafts=drafts
        )

    async def shown(self, **edits: str) -> str:
        await self.board.put(Task(trigger=self.asked, name="Ada", subject="May this leave?", text="..."))
        self.states.state = encode(state_of(self.firm))
        return "\n".join(await self.desk.context(self.asked.trigger_id, **edits))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def left_after_approval(desk: Desk) -> Trigger:
    said = {"trigger_id": desk.asked.trigger_id, "verdict": Verdict.APPROVE, "author": "sam"}
    base = {"event_id": "answer", "source": "tasks", "client_id": CLIENT, "occurred_at": on(15.5), "received_at": on(15.5)}
    desk.firm.feed(ApprovalAnswered.model_validate({**base, **said}))
    desk.firm.wake(ms(16))
    return desk.firm.triggers[-1]


async def test_the_draft_is_what_leaves_word_for_word(desk: Desk) -> None:
    said = await desk.shown()
    trigger = left_after_approval(desk)
    assert (trigger.step, trigger.channel, trigger.audience) == ("explain_terms", "email", Role.ACCOUNTS_PAYABLE)
    assert "to: Bea Weber <bea@client.example> (accounts payable) by email, in German (Germany), educational" in said
    assert f"not before {trigger.not_before:%Y-%m-%d %H:%M} UTC" in said
    for words in ("subject: ", "Guten Tag Bea Weber", "1.000,00", "(the client's link)", "Firm"):
        assert words in said, words


async def test_edits_are_shown_before_they_are_chosen(desk: Desk) -> None:
    said = await desk.shown(channel="sms")
    assert "<+493090182000>" in said
    assert "by sms" in said


async def test_what_would_not_leave_says_why(desk: Desk) -> None:
    desk.firm.feed(desk.build.hold(15.5, until=30))
    said = await desk.shown()
    assert "Approved now, this would leave" not in said
    assert "on hold by" in said


async def test_a_draft_changes_nothing(desk: Desk) -> None:
    before = encode(state_of(desk.firm))
    await desk.shown()
    assert desk.states.state == before


async def test_the_list_of_calls_says_in_which_hours_each_client_is_called(desk: Desk) -> None:
    desk.firm.feed(desk.build.profiled(15.5, timezone="America/New_York").model_copy(update={"hours": "09:00-12:00"}))
    await desk.shown()
    (task,) = await desk.board.tasks()
    for hour, is_open in ((15, True), (20, False)):  # ten in the morning there, and three in the afternoon
        desk.clock.advance_to(datetime(2024, 1, 24, hour, tzinfo=UTC))
        assert await desk.desk.call_hours([task]) == {task.task_id: ("09:00-12:00 America/New_York", is_open)}
