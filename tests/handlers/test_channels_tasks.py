from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from handlers.channels.task_desk import OPEN, TaskDesk
from handlers.channels.task_plan import AgreedPlan, read_matter, read_plan
from handlers.channels.tasks import DECISIONS, Done, MemoryTaskBoard, TaskOutcome
from models.events.delays import DisputeOpened, DisputeReason, PlanAgreed, PromiseMade
from models.events.envelope import epoch_ms
from models.events.invoices import InvoiceIssued
from models.events.signals import (
    ApprovalAnswered,
    ClientErased,
    ClientProfiled,
    ContactLogged,
    DeliveryReported,
    OverrideSet,
    Verdict,
)
from models.events.union import AnyClientEvent
from models.learners.baseline import BASELINE
from models.money import Money
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.state.codec import encode
from models.transition import transition
from streams.runtime.clock import ManualClock
from streams.runtime.errors import RetryError, UsageError
from streams.wire.codec import decode_event
from tests.handlers.channel_bench import States, Topic
from tests.handlers.channel_examples import NOW
from tests.laws.test_task_board_laws import task

COMMON = {"source": "test", "client_id": "ada", "occurred_at": NOW - timedelta(days=40), "received_at": NOW - timedelta(days=40)}
ISSUED = {
    "event_id": "e2",
    "invoice_id": "in_1",
    "amount": Money(125_000, "EUR"),
    "due_at": NOW - timedelta(days=10),
}


class MortalBoard(MemoryTaskBoard):
    """A board whose process may die just before an ending is written down."""

    dies = False

    async def finish(self, task_id: str, done: Done) -> Done | None:
        if self.dies:
            message = "killed"
            raise RetryError(message)
        return await super().finish(task_id, done)


class Office:
    """A desk over twins; what it reports is folded into the client's state."""

    def __init__(self) -> None:
        self.board, self.states, self.topic = MortalBoard(), States(), Topic()
        self.clock = ManualClock(NOW)
        self.state: ClientState | None = None
        self.desk = TaskDesk(board=self.board, store=self.states, sender=self.topic, clock=self.clock, zone="Europe/Berlin")
        self.fold(ClientProfiled.model_validate({**COMMON, "event_id": "e1", "name": "Ada", "phone": "+4930901820"}))
        self.fold(InvoiceIssued.model_validate({**COMMON, **ISSUED}))

    def fold(self, event: AnyClientEvent) -> None:
        self.state = transition(self.state, event, policy=DEFAULT_POLICY, scorer=BASELINE).state
        self.states.state = encode(self.state)

    async def finish(
        self, outcome: TaskOutcome, *, day: date | None = None, note: str = "said so", plan: AgreedPlan | None = None
    ) -> list[AnyClientEvent]:
        self.topic.records.clear()
        await self.desk.finish("t1", outcome=outcome, day=day, plan=plan, note=note, author="eva")
        events = [decode_event(value) for _, _, value in self.topic.records]
        for event in events:
            assert event is not None
        return events  # type: ignore[return-value] # a tick is never reported


@pytest.fixture
async def office() -> Office:
    made = Office()
    await made.board.put(task())
    return made


async def test_an_open_task_shows_its_context_why_and_what_is_known_now(office: Office) -> None:
    ((listed, stands),) = await office.desk.open_tasks()
    assert (listed, stands) == (task(), OPEN)
    said = "\n".join(await office.desk.context("t"))
    for part in ("Speak with Ada", "+4930901820", "invoice R-17 is 10 days overdue", "in_1", "due 2026-03-09"):
        assert part in said


async def test_a_phone_number_is_the_clients_own_or_that_of_somebody_there(office: Office) -> None:
    def known(event_id: str, **more: object) -> ClientProfiled:
        return ClientProfiled.model_validate({**COMMON, "event_id": event_id, "client_id": "bo", "name": "Bo", **more})

    assert await office.desk.numberless([task()]) == set()
    office.state = None
    office.fold(known("e7"))
    assert await office.desk.numberless([task()]) == {"t1"}
    office.fold(known("e8", colleagues=[{"role": "accounts_payable", "phone": "+4930901820"}]))
    assert await office.desk.numberless([task()]) == set()


async def test_a_task_that_the_facts_have_overtaken_says_so(office: Office) -> None:
    await office.finish(TaskOutcome.REACHED)
    await office.board.put(task("t2"))
    office.fold(DisputeOpened.model_validate({**COMMON, "event_id": "e3", "dispute_id": "d1", "invoice_id": "in_1"}))
    office.clock.advance_to(NOW + timedelta(days=30))
    ((listed, stands),) = await office.desk.open_tasks()
    assert (listed.task_id, stands) == ("t2", "overdue")
    assert len(await office.desk.open_tasks(every=True)) == 2


async def test_a_reached_client_counts_as_a_contact_by_a_person(office: Office) -> None:
    reported, contact = await office.finish(TaskOutcome.REACHED)
    assert isinstance(reported, DeliveryReported)
    assert isinstance(contact, ContactLogged)
    assert (contact.author, contact.note, contact.occurred_at) == ("eva", "said so", NOW)
    office.fold(contact)
    assert office.state is not None
    assert office.state.care.last_human_ms == epoch_ms(NOW)


async def test_a_promise_holds_the_invoices_of_the_task_until_its_day(office: Office) -> None:
    *_, promise = await office.finish(TaskOutcome.PROMISE, day=date(2026, 3, 20))
    assert isinstance(promise, PromiseMade)
    assert (promise.invoice_id, promise.promised_at) == ("in_1", datetime(2026, 3, 20, 22, 59, tzinfo=UTC))


async def test_a_plan_agreed_in_a_task_lets_its_invoice_rest_until_the_first_instalment(office: Office) -> None:
    plan = read_plan(["2026-04-20 500.00 EUR", "2026-03-20 500.00 EUR"], "")
    *_, agreed = await office.finish(TaskOutcome.PLAN, plan=plan)
    assert isinstance(agreed, PlanAgreed)
    assert agreed.invoice_id == "in_1"
    assert [(row.due_at, row.amount.minor) for row in agreed.instalments] == [
        (datetime(2026, 3, 20, 22, 59, tzinfo=UTC), 50_000),
        (datetime(2026, 4, 20, 21, 59, tzinfo=UTC), 50_000),
    ]


@pytest.mark.parametrize(
    ("words", "invoice", "complaint"),
    [
        ([], "", "needs its instalments"),
        (["2026-03-20 500"], "", "is no instalment"),
        (["2026-03-20 500.00 EUR", "2026-03-20 1.00 EUR"], "", "cannot be agreed"),
        (["2026-03-20 500.00 EUR", "2026-04-20 1.00 USD"], "", "one currency"),
    ],
)
async def test_a_plan_that_cannot_be_is_refused_with_the_reason(
    office: Office, words: list[str], invoice: str, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        await office.finish(TaskOutcome.PLAN, plan=read_plan(words, invoice))


async def test_a_dispute_carries_what_was_said(office: Office) -> None:
    *_, dispute = await office.finish(TaskOutcome.DISPUTE, note="x" * 900)
    assert isinstance(dispute, DisputeOpened)
    assert (dispute.invoice_id, dispute.cause) == ("in_1", "x" * 200)


async def test_a_dispute_of_one_invoice_or_a_part_of_it_leaves_the_others_alone(office: Office) -> None:
    two = task("t2")
    await office.board.put(replace(two, trigger=two.trigger.model_copy(update={"invoice_ids": ("in_1", "in_2")})))
    about = read_matter("in_2", "400.00 EUR", DisputeReason.WORK)
    await office.desk.finish("t2", outcome=TaskOutcome.DISPUTE, matter=about, note="the second report", author="eva")
    *_, dispute = [decode_event(value) for _, _, value in office.topic.records]
    assert isinstance(dispute, DisputeOpened)
    assert (dispute.invoice_id, dispute.amount, dispute.reason) == ("in_2", Money(40_000, "EUR"), DisputeReason.WORK)
    office.fold(dispute)
    said = "\n".join(await office.desk.context("t2"))
    assert "disputes in_2 (400.00 EUR of it) since 2026-03-02: the work: the second report" in said


@pytest.mark.parametrize(
    ("outcome", "matter", "complaint"),
    [
        (TaskOutcome.DISPUTE, ("in_9", "", None), "not about 'in_9' but about in_1"),
        (TaskOutcome.REACHED, ("in_1", "", None), "only a promise or a dispute"),
        (TaskOutcome.NO_ANSWER, ("", "", DisputeReason.WORK), "only a dispute has a reason"),
        (TaskOutcome.DISPUTE, ("", "400,00", None), "is no amount"),
        (TaskOutcome.DISPUTE, ("", "0 EUR", None), "more than nothing"),
        (TaskOutcome.DISPUTE, ("", "400.001 EUR", None), "more decimals"),
    ],
)
async def test_what_a_word_is_about_must_fit_the_task_and_its_end(
    office: Office, outcome: TaskOutcome, matter: tuple[str, str, DisputeReason | None], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        await office.desk.finish("t1", outcome=outcome, matter=read_matter(*matter), note="", author="eva")
    assert office.topic.records == []


async def test_a_part_of_several_invoices_is_a_part_of_none(office: Office) -> None:
    two = task("t2")
    await office.board.put(replace(two, trigger=two.trigger.model_copy(update={"invoice_ids": ("in_1", "in_2")})))
    with pytest.raises(UsageError, match="say which: --invoice in_1"):
        await office.desk.finish("t2", outcome=TaskOutcome.DISPUTE, matter=read_matter("", "1 EUR", None), note="", author="eva")


async def test_nobody_reached_is_no_contact(office: Office) -> None:
    (reported,) = await office.finish(TaskOutcome.NO_ANSWER)
    assert isinstance(reported, DeliveryReported)
    assert reported.reason == "no answer: said so"


async def test_a_wrong_contact_lets_mails_rest(office: Office) -> None:
    _, hold = await office.finish(TaskOutcome.WRONG_CONTACT)
    assert isinstance(hold, OverrideSet)
    assert (hold.journey, hold.expires_at) == ("delayed_payment_support", NOW + timedelta(days=14))


@pytest.mark.parametrize("outcome", sorted(set(TaskOutcome) - DECISIONS))
async def test_the_same_report_again_is_the_same_events_even_after_a_crash(office: Office, outcome: TaskOutcome) -> None:
    day = date(2026, 3, 20) if outcome is TaskOutcome.PROMISE else None
    plan = read_plan(["2026-03-20 400.00 EUR"], "") if outcome is TaskOutcome.PLAN else None
    office.board.dies = True
    with pytest.raises(RetryError):
        await office.finish(outcome, day=day, plan=plan)
    first = [decode_event(value).event_id for _, _, value in office.topic.records]
    office.board.dies = False
    office.clock.advance_to(NOW + timedelta(hours=1))
    for _ in range(2):
        assert [event.event_id for event in await office.finish(outcome, day=day, plan=plan)] == first
    assert len(set(first)) == len(first)


async def test_a_task_ends_one_way_only(office: Office) -> None:
    await office.finish(TaskOutcome.REACHED)
    with pytest.raises(UsageError, match="reached by eva"):
        await office.finish(TaskOutcome.NO_ANSWER)
    assert office.topic.records == []


@pytest.mark.parametrize(("outcome", "day"), [(TaskOutcome.PROMISE, None), (TaskOutcome.REACHED, date(2026, 3, 20))])
async def test_a_day_belongs_to_a_promise_and_to_nothing_else(office: Office, outcome: TaskOutcome, day: date | None) -> None:
    with pytest.raises(UsageError, match="--day"):
        await office.finish(outcome, day=day)
    assert await office.desk.open_tasks() == [(task(), OPEN)]


async def test_a_name_that_fits_no_task_or_several_is_refused(office: Office) -> None:
    await office.board.put(task("t12"))
    await office.board.put(task("t13"))
    assert (await office.desk.context("t12"))[1].startswith("task t12")
    for name in ("x", "", "t1x"):
        with pytest.raises(UsageError, match="no task"):
            await office.desk.context(name)
    await office.board.forget("t1")
    with pytest.raises(UsageError, match="2 tasks are"):
        await office.desk.context("t1")


async def test_tasks_of_a_client_who_asked_to_be_forgotten_are_removed(office: Office) -> None:
    office.fold(ClientErased.model_validate({**COMMON, "event_id": "e9", "requested_by": "ada"}))
    assert await office.desk.open_tasks(every=True) == []
    assert await office.board.get("t1") is None


def _word(outcome: TaskOutcome, *, tone: str = "", until: datetime | None = None) -> Done:
    until_ms = epoch_ms(until) if until else 0
    return Done(outcome=outcome, author="eva", at_ms=epoch_ms(NOW), note="seen", tone=tone, until_ms=until_ms)


@pytest.fixture
async def drafted() -> Office:
    """Return an office in which a message waits for a word."""
    made, asked = Office(), task()
    await made.board.put(replace(asked, trigger=asked.trigger.model_copy(update={"step": "approve_friendly_note"})))
    return made


async def test_a_message_put_before_a_person_is_approved_or_held_and_the_same_word_twice_is_one_event(drafted: Office) -> None:
    until = NOW + timedelta(days=4)
    for asked in (_word(TaskOutcome.HELD, until=until), _word(TaskOutcome.HELD, until=until)):
        _, done = await drafted.desk.decide("t1", asked)
        assert done.outcome is TaskOutcome.HELD
    first, again = [decode_event(value) for _, _, value in drafted.topic.records]
    assert isinstance(first, ApprovalAnswered)
    assert first == again
    assert (first.verdict, first.author, first.note, first.until) == (Verdict.HOLD, "eva", "seen", until)
    with pytest.raises(UsageError, match="held by eva"):
        await drafted.desk.decide("t1", _word(TaskOutcome.APPROVED))


async def test_approvals_of_a_policy_are_counted_and_carry_what_was_softened(drafted: Office) -> None:
    found, _ = await drafted.desk.decide("t1", _word(TaskOutcome.APPROVED, tone="gentle"))
    (told,) = [decode_event(value) for _, _, value in drafted.topic.records]
    assert isinstance(told, ApprovalAnswered)
    assert (told.verdict, told.tone, told.trigger_id) == (Verdict.APPROVE, "gentle", "t1")
    assert await drafted.desk.approved(found.trigger.policy_version) == 1
    assert await drafted.desk.approved("another") == 0


async def test_a_talk_is_not_approved_a_message_is_not_talked_through_and_what_is_overtaken_is_not_decided(
    office: Office, drafted: Office
) -> None:
    with pytest.raises(UsageError, match="rapport tasks done"):
        await office.desk.decide("t1", _word(TaskOutcome.APPROVED))
    with pytest.raises(UsageError, match="by rapport tasks approve"):
        await office.desk.finish("t1", outcome=TaskOutcome.HELD, day=None, note="", author="eva")
    with pytest.raises(UsageError, match="by rapport tasks approve"):
        await drafted.desk.finish("t1", outcome=TaskOutcome.REACHED, day=None, note="", author="eva")
    drafted.clock.advance_to(NOW + timedelta(days=30))
    with pytest.raises(UsageError, match="overtaken"):
        await drafted.desk.decide("t1", _word(TaskOutcome.APPROVED))
    assert office.topic.records == drafted.topic.records == []
