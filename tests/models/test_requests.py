"""What clients ask for becomes a task for a person, once a day, with the client's own words."""

from models.events.envelope import epoch_ms
from models.events.signals import ClientAsked, Request
from models.policy.requests import ANSWER_DAYS
from models.triggers import CancelWhen
from models.workdays import DAY_MS
from tests.models.builders import CLIENT, Events, ms, on
from tests.models.test_journey_laws import Firm
from tests.models.test_outcomes import state_of


def asked(
    day: float, request: Request = Request.PLAN, words: str | None = "three parts,\nplease", name: str = "q"
) -> ClientAsked:
    return ClientAsked(
        event_id=f"{name}-{day}",
        source="link",
        client_id=CLIENT,
        occurred_at=on(day),
        received_at=on(day),
        request=request,
        channel="email",
        words=words,
    )


def test_a_request_becomes_a_task_with_a_due_time_and_the_clients_words() -> None:
    firm = Firm().run([Events().profiled(0), asked(1)])
    (task,) = firm.triggers
    assert task.channel == "task"
    assert (task.step, task.facts["request"]) == ("answer_request", "plan")
    assert task.reasons[:2] == ("the client asks for a payment plan", "in their words: three parts, please")
    assert epoch_ms(task.expires_at) == ms(1) + ANSWER_DAYS * DAY_MS
    assert task.cancel_when == (CancelWhen.CLIENT_ERASED,)


def test_asking_is_no_contact_of_ours() -> None:
    firm = Firm().run([Events().profiled(0), asked(1)])
    assert state_of(firm).care.contacts == ()


def test_the_same_request_twice_a_day_is_one_task_and_another_one_is_another() -> None:
    firm = Firm().run([Events().profiled(0), asked(1), asked(1.1), asked(1.2, Request.CONTACT), asked(2.5)])
    assert len({task.trigger_id for task in firm.triggers}) == 3


def test_a_client_who_wants_one_message_a_month_gets_no_more_whatever_the_policy_allows() -> None:
    build = Events()
    wish = build.profiled(0).model_copy(update={"most_per_month": 1})
    firm = Firm().run([wish, build.issued(0, "I1", due=3)], until_ms=ms(8))
    firm.feed(build.reported(8, firm.triggers[0].trigger_id))
    firm.wake(ms(37))
    assert len(firm.triggers) == 1
    assert "as many as the client wants" in " ".join(reason for row in firm.outputs for reason in getattr(row, "reasons", ()))
    firm.wake(ms(60))
    assert len(firm.triggers) > 1


def test_of_a_forgotten_client_the_task_is_taken_back() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), asked(1), build.erased(1.5)])
    assert [output.kind for output in firm.outputs if output.kind in {"trigger", "retraction"}] == ["trigger", "retraction"]


def test_a_wish_to_renew_is_a_task_that_names_the_renewals_written_about_and_changes_no_contract() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.contract(0.5, renews=30)], until_ms=ms(22))
    assert [row.step for row in firm.triggers] == ["renewal_options"]
    before = state_of(firm).person.contracts
    firm.feed(asked(22.2, Request.RENEW, None))
    assert firm.triggers[-1].facts["request"] == "renew"
    assert any(words.startswith("contract ") and "renews on 2024-02-07" in words for words in firm.triggers[-1].reasons)
    assert state_of(firm).person.contracts == before
