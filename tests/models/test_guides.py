"""What the thanks for a first payment say of the way on: of the firm's table the first row that fits, and nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.events.union import AnyClientEvent
from models.policy.document import PolicyDocument, policy_of
from models.policy.facts import ALLOWED_FACTS, Fact
from models.policy.finding import Severity
from models.policy.guides import BETWEEN
from models.policy.lint import lint
from models.policy.policy import DEFAULT_POLICY
from models.triggers import Journey, Trigger
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm, stories

ROWS: list[dict[str, Any]] = [
    {
        "service_lines": ["Tax"],
        "resources": [
            {"title": "How we work", "url": "https://firm.example/start"},
            {"title": "Žofia: 山田", "url": "https://firm.example/a/b.html"},
        ],
        "scheduler": "https://firm.example/talk",
        "person": "Ada Ferro",
        "office": {"zone": "Asia/Kathmandu", "hours": {"opens": "09:00", "closes": "17:00", "weekdays": ["mon", "tue"]}},
    },
    {"segments": ["new"], "person": "Bo"},
]
GUIDE = {"resources", "scheduler", "person", "office_hours"}


def document(rows: list[dict[str, Any]]) -> PolicyDocument:
    return PolicyDocument.model_validate({"version": "guided", "guides": rows})


def thanks(line: str, *more: AnyClientEvent, build: Events, rows: list[dict[str, Any]] | None = None) -> Trigger:
    issued = build.issued(1, "I1", due=20).model_copy(update={"service_line": line or None})
    policy = policy_of(document(ROWS if rows is None else rows))
    firm = Firm(policy=policy).run([build.profiled(0), issued, *more, build.paid(5, "P1", 100_000, "I1")], until_ms=ms(6))
    return next(row for row in firm.triggers if row.step == "thank_you")


def guided(trigger: Trigger) -> dict[str, Fact]:
    return {name: fact for name, fact in trigger.facts.items() if name in GUIDE}


def test_the_row_of_a_service_line_goes_before_the_one_for_all_new_clients() -> None:
    assert guided(thanks("tax", build=Events())) == {
        "resources": f"How we work: https://firm.example/start{BETWEEN}Žofia: 山田: https://firm.example/a/b.html",
        "scheduler": "https://firm.example/talk",
        "person": "Ada Ferro",
        "office_hours": "mon,tue 09:00-17:00 Asia/Kathmandu",
    }
    assert guided(thanks("audit", build=Events())) == {"person": "Bo"}
    assert guided(thanks("", build=Events())) == {"person": "Bo"}


def test_without_a_row_that_fits_nothing_is_said_of_it() -> None:
    assert guided(thanks("audit", build=Events(), rows=ROWS[:1])) == {}
    assert guided(thanks("tax", build=Events(), rows=[])) == {}


def test_thanks_for_a_later_invoice_do_not_say_that_nothing_is_left_to_do() -> None:
    build = Events()
    older = build.issued(0.5, "I0", due=30)
    assert thanks("tax", older, build=build).facts["later_invoice"] is True
    younger = Events()
    assert "later_invoice" not in thanks("tax", younger.issued(2, "I2", due=30), build=younger).facts
    withdrawn = Events()
    gone: list[AnyClientEvent] = [withdrawn.issued(0.5, "I0", due=30), withdrawn.voided(0.6, "I0")]
    assert "later_invoice" not in thanks("tax", *gone, build=withdrawn).facts


@pytest.mark.parametrize("what", ["refunded", "charged back", "disputed"])
def test_a_refund_a_chargeback_or_a_dispute_silences_what_follows(what: str) -> None:
    build = Events()
    policy = policy_of(document(ROWS))
    firm = Firm(policy=policy).run([build.profiled(0), build.issued(1, "I1", due=20), build.paid(5, "P1", 100_000, "I1")])
    said: dict[str, AnyClientEvent] = {
        "refunded": build.refunded(8, "R1", "P1", 100_000),
        "charged back": build.charged_back(8, "R1", "P1", 100_000),
        "disputed": build.disputed(8, "D1"),
    }
    firm.feed(said[what])
    firm.wake(ms(90))
    assert [row.step for row in firm.triggers if row.journey is Journey.ONBOARDING] == ["thank_you"]


def test_the_question_about_outcomes_names_the_person_too() -> None:
    build = Events()
    policy = policy_of(document(ROWS))
    events: list[AnyClientEvent] = [build.profiled(0), build.issued(1, "I1", due=20), build.paid(5, "P1", 100_000, "I1")]
    asked = next(row for row in Firm(policy=policy).run(events, until_ms=ms(60)).triggers if row.step == "outcome_check")
    assert asked.facts["person"] == "Bo"


@given(stories())
def test_no_other_journey_states_any_of_it(story: list[AnyClientEvent]) -> None:
    firm = Firm(policy=policy_of(document(ROWS))).run(story, until_ms=ms(200))
    for row in firm.triggers:
        assert row.facts.keys() <= ALLOWED_FACTS[row.purpose]
        if row.journey is not Journey.ONBOARDING:
            assert not row.facts.keys() & (GUIDE | {"later_invoice"})


@pytest.mark.parametrize(
    "address",
    [
        "http://firm.example/start",
        "https://firm/start",
        "https://user:pass@firm.example/",
        "https://firm.example:8443/",
        "https://firm.example/start?client=c-17",
        "https://firm.example/start?",
        "https://firm.example/start#c-17",
        "https://firm.example/{client_id}",
        "https://firm.example/a b",
        "https://firm.example/münchen",
        "javascript:alert(1)",
        "https://",
        "https://[bad/",
        "",
    ],
)
def test_an_address_that_is_not_the_same_public_page_for_all_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        document([{"scheduler": address}])


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"segments": ["new"]},
        {"person": "ada@firm.example"},
        {"person": "{{ name }}"},
        {"resources": [{"title": "a | b", "url": "https://firm.example/"}]},
        {"resources": [{"title": "see https://firm.example", "url": "https://firm.example/"}]},
        {"office": {"zone": "Mars/Base"}},
        {"office": {"zone": "UTC", "hours": {"opens": "17:00", "closes": "09:00"}}},
    ],
)
def test_a_row_that_says_nothing_or_cannot_be_said_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        document([row])


def test_a_row_that_nobody_comes_to_is_worth_a_word() -> None:
    found = lint(document([{"person": "Bo"}, {"segments": ["slow"], "person": "Ada"}]), channels={"email", "task", "console"})
    assert [(row.path, row.severity) for row in found] == [(("guides", 1), Severity.WARNING)]
    assert lint(document(ROWS), channels={"email", "task", "console"}) == []


@given(st.lists(st.sampled_from([{"person": "Bo"}, ROWS[0], {"service_lines": ["tax"], "person": "Ada"}]), max_size=6))
def test_what_is_written_of_guides_reads_back_as_it_was(rows: list[dict[str, Any]]) -> None:
    policy = policy_of(document(rows))
    assert [row.model_dump() for row in document(rows).guides] == [
        type(row).of(row.guide()).model_dump() for row in document(rows).guides
    ]
    assert (policy.version.partition("+")[2] == DEFAULT_POLICY.version.partition("+")[2]) is not bool(rows)
