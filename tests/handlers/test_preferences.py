import asyncio
import dataclasses
import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from html import unescape
from html.parser import HTMLParser
from operator import attrgetter

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from handlers.channels.phrases import PHRASES
from handlers.preferences.choices import MOST_HELD, UNDO, Choice, offered
from handlers.preferences.desk import LARGEST_BODY, Desk, add_links
from handlers.preferences.pages import Pages
from handlers.preferences.wording import LANGUAGES, words_in
from handlers.webhooks.publisher import MemoryPublisher
from models.events.delays import DisputeOpened, DisputeReason, PromiseMade
from models.events.envelope import epoch_ms
from models.events.signals import (
    ClientAsked,
    ClientProfiled,
    ConsentChanged,
    DeliveryOutcome,
    DeliveryReported,
    OverrideCleared,
    OverrideSet,
    Purpose,
    Request,
    Role,
)
from models.journey_names import OWN_JOURNEYS
from models.learners.baseline import BASELINE
from models.policy.gate import hold_of, hold_on
from models.policy.policy import DEFAULT_POLICY
from models.policy.reach import way_to
from models.state.client import ClientState, Field
from models.transition import transition
from models.triggers import Journey
from streams.runtime import metrics
from streams.runtime.clock import ManualClock
from streams.wire.links import LinkKeys, LinkScope
from tests.handlers.pages import FOLDER, flat, pages
from tests.streams.test_links import END, NEW, NOW, URL, link

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


class Seat:
    """A desk with its twins, and a client in front of it."""

    def __init__(self, *, zone: str = "Europe/Berlin") -> None:
        self.keys = LinkKeys(NEW, url=URL)
        self.publisher = MemoryPublisher()
        self.clock = ManualClock(NOW)
        self.meter = metrics.Meter()
        pages = Pages(firm_name="Ferro & <Partner>")
        app = FastAPI()
        add_links(
            app,
            Desk(keys=self.keys, publisher=self.publisher, clock=self.clock, meter=self.meter, pages=pages, zone=zone),
        )
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL)

    def path(self, **fields: object) -> str:
        return f"/links/{self.keys.sign(link(**fields))}"

    async def post(self, choice: str, *, form: str = "f1", about: dict[str, object] | None = None, **more: str) -> httpx.Response:
        return await self.client.post(self.path(**(about or {})), data={"choice": choice, "form": form, **more})

    def folded(self) -> ClientState:
        state = None
        for event in self.publisher.events:
            state = transition(state, event, policy=DEFAULT_POLICY, scorer=BASELINE).state
        assert state is not None
        return state


@pytest.fixture
def seat() -> Seat:
    return Seat()


class Outline(HTMLParser):
    """Collects tags, and what labels are for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, *names: str) -> Iterator[dict[str, str | None]]:
        return (attributes for tag, attributes in self.tags if tag in names)


RELATION: dict[str, object] = {"purpose": Purpose.RELATIONSHIP, "journey": Journey.RENEWAL, "invoice_ids": ()}
OPT_OUT: dict[str, object] = {"scope": LinkScope.OPT_OUT}
EACH_LINK = pytest.mark.parametrize("about", [{}, RELATION, OPT_OUT, {**RELATION, **OPT_OUT}])


@EACH_LINK
async def test_looking_at_a_link_changes_nothing_however_often(seat: Seat, about: dict[str, object]) -> None:
    for method in ("GET", "HEAD", "GET"):
        answer = await seat.client.request(method, seat.path(**about), params=ONE_CLICK)
        assert answer.status_code == 200
    assert seat.publisher.events == []


@EACH_LINK
async def test_a_page_is_accessible_and_lets_nothing_out(seat: Seat, about: dict[str, object]) -> None:
    answer = await seat.client.get(seat.path(**about))
    page = Outline(answer.text)
    assert next(page.all("html"))["lang"] == "en"
    assert len(list(page.all("h1"))) == len(list(page.all("main"))) == len(list(page.all("title"))) == 1
    labelled = {label["for"] for label in page.all("label")}
    asked = {field["id"] for field in page.all("input", "textarea", "select") if field.get("type") != "hidden"}
    assert labelled == asked
    assert not list(page.all("script", "img", "link", "a", "iframe"))
    assert "Ferro &amp; &lt;Partner&gt;" in answer.text
    body = re.sub(r'name="form" value="[^"]*"', "", answer.text.partition("<body")[2])  # drawn at random: it may spell a name
    assert not re.search(r"ada|t1|in_1", body)
    headers = answer.headers
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


@EACH_LINK
async def test_every_choice_that_is_offered_is_taken_and_confirmed(seat: Seat, about: dict[str, object]) -> None:
    shown = [
        field["value"]
        for field in Outline((await seat.client.get(seat.path(**about))).text).all("input")
        if field["name"] == "choice"
    ]
    assert shown == [choice.value for choice in offered(link(**about))]
    for choice in shown:
        given = {"day": "2026-03-20", "words": "Bob <b@x.example>", "channel": "sms", "hours": "08:00-12:00"}
        answer = await seat.post(choice or "", form=f"of {choice}", about=about, **given)
        assert answer.status_code == 200
        undo = [field["value"] for field in Outline(answer.text).all("input") if field["name"] == "choice"]
        assert undo == ([UNDO[Choice(choice or "")].value] if Choice(choice or "") in UNDO else [])
    assert len({event.event_id for event in seat.publisher.events}) == len(seat.publisher.events) >= len(shown)
    assert {(event.client_id, event.source, event.received_at) for event in seat.publisher.events} == {("ada", "link", NOW)}


@pytest.mark.parametrize(
    ("about", "channel"), [({}, "email"), (RELATION, None), ({**RELATION, "purpose": Purpose.PROMOTION}, None)]
)
async def test_one_click_ends_such_messages_and_no_others(seat: Seat, about: dict[str, object], channel: str | None) -> None:
    answer = await seat.client.post(seat.path(**{**about, **OPT_OUT}), data=ONE_CLICK)
    assert answer.status_code == 200
    (event,) = seat.publisher.events
    assert isinstance(event, ConsentChanged)
    assert (event.purpose, event.channel, event.granted) == (about.get("purpose", Purpose.SERVICING), channel, False)


@pytest.mark.parametrize(
    ("message", "browser", "spoken"),
    [
        ("de", "fr", "de"),
        ("", "fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        ("", "ja, en;q=0.5, es;q=0.7", "es"),
        ("ja", "", "en"),
        ("", "de;q=0, xx;q=nonsense,,", "en"),
    ],
)
async def test_a_page_goes_on_in_the_language_of_its_message_else_in_one_of_the_browser(
    seat: Seat, message: str, browser: str, spoken: str
) -> None:
    path = seat.path(language=message)
    asked = await seat.client.get(path, headers={"accept-language": browser})
    refused = await seat.client.post(path, data={"choice": "promise"}, headers={"accept-language": browser})
    done = await seat.client.post(path, data={"choice": "snooze", "form": "f"}, headers={"accept-language": browser})
    for answer, title in ((asked, "ask"), (refused, "ask"), (done, "done.snooze.title")):
        words = attrgetter(title)(words_in(spoken))
        assert f'<html lang="{spoken}">' in answer.text
        assert answer.headers["content-language"] == spoken
        assert f"<h1>{words}</h1>" in unescape(answer.text)
    assert words_in(spoken).refused.no_day in unescape(refused.text)


async def test_a_link_that_cannot_be_read_is_explained_in_a_language_of_the_browser(seat: Seat) -> None:
    answer = await seat.client.get("/links/1.a.b.c", headers={"accept-language": "es-MX"})
    assert (answer.status_code, answer.headers["content-language"]) == (404, "es")
    assert words_in("es").sorry.broken.line in answer.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_of_a_language_read_as_agreed(language: str) -> None:
    golden = FOLDER / f"{language}.txt"
    assert pages(language) == golden.read_text(encoding="utf-8"), "if it is meant so: python -m tests.handlers.pages"


def test_every_language_of_the_messages_has_pages_with_the_same_lines_and_places_for_numbers() -> None:
    assert tuple(PHRASES) == LANGUAGES
    english = flat(msgspec.to_builtins(words_in("en")))
    for language in LANGUAGES:
        spoken = flat(msgspec.to_builtins(words_in(language)))
        assert spoken.keys() == english.keys()
        for name, words in spoken.items():
            assert bool(words) == bool(english[name]), name
            assert set(re.findall(r"\{\w+\}", words)) == set(re.findall(r"\{\w+\}", english[name])), name


async def test_one_click_on_a_statement_ends_statements_and_nothing_else_and_can_be_taken_back(seat: Seat) -> None:
    about = {"journey": Journey.STATEMENT, **OPT_OUT}
    shown = await seat.client.get(seat.path(**about))
    assert "monthly statements of small amounts" in shown.text
    assert (await seat.client.post(seat.path(**about), data=ONE_CLICK)).status_code == 200
    person = seat.folded().person
    assert (person.statements.value, person.consents) == ("no", ())
    seat.clock.advance_to(NOW + timedelta(minutes=5))
    await seat.post("allow", about=about)
    assert seat.folded().person.statements.value == "yes"


async def test_one_click_may_come_as_multipart_too(seat: Seat) -> None:
    answer = await seat.client.post(seat.path(**OPT_OUT), files={"List-Unsubscribe": (None, "One-Click")})
    assert answer.status_code == 200
    assert len(seat.publisher.events) == 1


async def test_one_click_repeated_is_one_fact_and_after_a_change_of_mind_a_new_one(seat: Seat) -> None:
    path = seat.path(**OPT_OUT)
    for _ in range(3):
        await seat.client.post(path, data=ONE_CLICK)
    assert len({event.event_id for event in seat.publisher.events}) == 1
    seat.clock.advance_to(NOW + timedelta(minutes=5))
    await seat.post("allow", about=OPT_OUT)
    seat.clock.advance_to(NOW + timedelta(days=1))
    await seat.client.post(path, data=ONE_CLICK)
    assert [(row.granted, row.channel) for row in seat.folded().person.consents] == [(False, "email")]


async def test_a_page_sent_twice_is_one_answer_and_a_new_page_is_another(seat: Seat) -> None:
    for form in ("f1", "f1", "f2"):
        await seat.post("snooze", form=form)
    assert len({event.event_id for event in seat.publisher.events}) == 2


async def test_a_pause_holds_the_messages_journeys_for_thirty_days_and_can_be_ended(seat: Seat) -> None:
    await seat.post("snooze")
    (event,) = seat.publisher.events
    assert isinstance(event, OverrideSet)
    assert (event.journey, event.expires_at) == (Journey.DELAY_SUPPORT.value, NOW + timedelta(days=30))
    seat.clock.advance_to(NOW + timedelta(hours=1))
    await seat.post("wake")
    assert isinstance(seat.publisher.events[-1], OverrideCleared)
    (override,) = seat.folded().person.overrides
    assert override.cleared_at > override.set_at


async def test_a_pause_of_relationship_mails_leaves_mails_about_invoices_alone(seat: Seat) -> None:
    await seat.post("snooze", about=RELATION)
    held = {event.journey for event in seat.publisher.events if isinstance(event, OverrideSet)}
    about_money = {Journey.DELAY_SUPPORT, Journey.STATEMENT}
    assert held == {OWN_JOURNEYS, *(journey.value for journey in Journey if journey not in about_money)}


async def test_a_promise_names_the_end_of_the_day_in_the_firms_zone_for_every_invoice_of_the_message(seat: Seat) -> None:
    answer = await seat.post("promise", day="2026-03-20", about={"invoice_ids": ("in_1", "in_2")})
    promises = [event for event in seat.publisher.events if isinstance(event, PromiseMade)]
    assert [event.invoice_id for event in promises] == ["in_1", "in_2"]
    assert "by 20 March 2026." in answer.text
    assert {event.promised_at for event in promises} == {datetime(2026, 3, 20, 22, 59, tzinfo=UTC)}


async def test_a_promise_changed_is_the_same_promise_with_another_day(seat: Seat) -> None:
    for number, day in enumerate(("2026-03-20", "2026-03-25", "2026-03-20")):
        seat.clock.advance_to(NOW + timedelta(minutes=number))
        await seat.post("promise", form=f"f{number}", day=day)
    (promise,) = seat.folded().ledger.promises
    assert promise.promised_ms == epoch_ms(datetime(2026, 3, 20, 22, 59, tzinfo=UTC))


@pytest.mark.parametrize("day", ["", "soon", "2026-03-01", "2027-03-03", "2026-02-30", "9999-12-31"])
async def test_a_promise_of_no_day_or_one_out_of_reach_is_explained_and_keeps_what_was_given(seat: Seat, day: str) -> None:
    answer = await seat.post("promise", day=day)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert f'value="{day}"' in answer.text
    assert seat.publisher.events == []


async def test_a_later_day_than_may_be_promised_is_put_before_a_person_and_not_refused(seat: Seat) -> None:
    answer = await seat.post("promise", day="2026-05-02", words="after our grant")
    assert answer.status_code == 200
    assert "Your request is noted" in answer.text
    asked, hold = seat.publisher.events
    assert isinstance(asked, ClientAsked)
    assert (asked.request, asked.words) == (Request.LATER, "in_1 on 2026-05-02; after our grant")
    assert isinstance(hold, OverrideSet)
    assert (asked.invoice_id, hold.invoice_id, hold.journey) == ("in_1", "in_1", "delayed_payment_support")


@pytest.mark.parametrize(
    ("about", "invoice", "rests"),
    [
        ({}, "", ["in_1"]),
        ({"invoice_ids": ("in_1", "in_2")}, "in_2", ["in_2"]),
        ({"invoice_ids": ("in_1", "in_2")}, "", ["in_1", "in_2"]),
        ({"invoice_ids": tuple(f"in_{number}" for number in range(MOST_HELD + 1))}, "", []),
        ({"invoice_ids": (), "journey": Journey.STATEMENT}, "", []),
    ],
)
async def test_who_asks_for_a_plan_lets_the_invoices_rest_that_it_is_about_and_else_all_that_asks_for_money(
    seat: Seat, about: dict[str, object], invoice: str, rests: list[str]
) -> None:
    answer = await seat.post("plan", about=about, invoice=invoice, words="three parts")
    assert "Reminders about it rest for 14 days" in answer.text
    asked, *holds = seat.publisher.events
    assert isinstance(asked, ClientAsked)
    assert asked.invoice_id == (rests[0] if len(rests) == 1 else None)
    held = [(row.invoice_id, row.journey) for row in holds if isinstance(row, OverrideSet)]
    expected: list[tuple[str | None, str]] = [(name, "delayed_payment_support") for name in rests]
    assert held == (expected or [(None, "delayed_payment_support")])
    state = seat.folded()
    on_money = hold_of(state, Journey.DELAY_SUPPORT, state.now_ms), hold_of(state, Journey.STATEMENT, state.now_ms)
    assert [row is not None for row in on_money] == [not rests] * 2
    assert [name for name in ("in_1", "in_2") if hold_on(state, name, state.now_ms)] == rests


async def test_a_dispute_names_the_invoices_and_the_reason_in_one_clean_line(seat: Seat) -> None:
    await seat.post("dispute", words="  wrong\r\nhours\x1b[2J\u202e  in May ")
    (event,) = seat.publisher.events
    assert isinstance(event, DisputeOpened)
    assert (event.invoice_id, event.cause) == ("in_1", "wrong hours [2J in May")


async def test_a_dispute_may_be_about_one_of_several_invoices_and_says_what_kind_it_is(seat: Seat) -> None:
    about: dict[str, object] = {"invoice_ids": ("in_1", "in_2")}
    page = (await seat.client.get(seat.path(**about))).text
    assert [field["value"] for field in Outline(page).all("option")][:3] == ["", "in_1", "in_2"]
    await seat.post("dispute", about=about, invoice="in_2", reason="paid")
    await seat.post("promise", about=about, invoice="in_1", day="2026-03-20", form="f2")
    dispute, promise = seat.publisher.events
    assert isinstance(dispute, DisputeOpened)
    assert isinstance(promise, PromiseMade)
    assert (dispute.invoice_id, dispute.reason, promise.invoice_id) == ("in_2", DisputeReason.PAID, "in_1")
    (kept,) = seat.folded().ledger.disputes
    assert (kept.invoice_id, kept.reason) == ("in_2", "paid")


async def test_of_one_invoice_nobody_is_asked_which(seat: Seat) -> None:
    page = (await seat.client.get(seat.path())).text
    assert 'name="reason"' in page
    assert 'name="invoice"' not in page


@pytest.mark.parametrize("given", [{"invoice": "in_3"}, {"reason": "weather"}])
async def test_an_invoice_of_another_message_or_an_unknown_reason_is_explained(seat: Seat, given: dict[str, str]) -> None:
    answer = await seat.post("dispute", about={"invoice_ids": ("in_1", "in_2")}, **given)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert seat.publisher.events == []


async def test_a_wish_for_fewer_messages_is_one_event_and_can_be_taken_back(seat: Seat) -> None:
    page = await seat.post("less")
    assert "As often as before" in page.text
    await seat.post("usual")
    less, usual = seat.publisher.events
    assert isinstance(less, ClientProfiled)
    assert isinstance(usual, ClientProfiled)
    assert (less.most_per_month, usual.most_per_month) == (1, 31)


async def test_a_renewal_is_wished_for_with_one_click_and_a_person_confirms_it(seat: Seat) -> None:
    answer = await seat.post("renew", about=RELATION)
    assert "nothing has been charged" in answer.text
    asked, *holds = seat.publisher.events
    assert isinstance(asked, ClientAsked)
    assert asked.request is Request.RENEW
    assert [hold.journey for hold in holds if isinstance(hold, OverrideSet)] == ["pre_renewal", "renewal_cliff"]
    thanks = {**RELATION, "journey": Journey.ONBOARDING}
    assert (await seat.post("renew", about=thanks, form="f2")).status_code == 422
    assert (await seat.post("defer", form="f3")).status_code == 422, "a mail about money cannot renew anything"


async def test_a_change_of_contact_needs_to_say_to_whom_and_is_a_request_not_a_change(seat: Seat) -> None:
    assert (await seat.post("contact")).status_code == 422
    await seat.post("contact", words="Bob, bob@client.example")
    asked, event = seat.publisher.events
    assert isinstance(asked, ClientAsked)
    assert (asked.request, asked.words) == (Request.CONTACT, "Bob, bob@client.example")
    assert isinstance(event, OverrideSet)
    assert event.reason == "the client asks for another contact: Bob, bob@client.example"


async def test_the_wrong_person_says_so_with_one_click_and_it_is_told_of_the_message_that_reached_them(seat: Seat) -> None:
    assert (await seat.post("not_me")).status_code == 200
    (event,) = seat.publisher.events
    assert isinstance(event, DeliveryReported)
    assert (event.outcome, event.channel, event.role) == (DeliveryOutcome.WRONG_CONTACT, "email", None)
    await seat.post("not_me", about={"audience": "accounts_payable"}, form="f2")
    of_payables = seat.publisher.events[-1]
    assert isinstance(of_payables, DeliveryReported)
    assert of_payables.role is Role.ACCOUNTS_PAYABLE
    assert (await seat.post("not_me", about={"audience": None}, form="f3")).status_code == 422, "that link does not say for whom"


@pytest.mark.parametrize("choice", ["promise", "dispute", "plan", "contact", "not_me", "snooze", "wake", "less", "usual"])
async def test_a_link_to_unsubscribe_can_do_nothing_else(seat: Seat, choice: str) -> None:
    answer = await seat.post(choice, about=OPT_OUT, day="2026-03-20", words="w")
    assert answer.status_code == 422
    assert seat.publisher.events == []


async def test_a_link_about_our_relationship_cannot_touch_invoices(seat: Seat) -> None:
    assert (await seat.post("promise", about=RELATION, day="2026-03-20")).status_code == 422
    assert (await seat.post("dispute", about=RELATION)).status_code == 422
    assert seat.publisher.events == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_expired_link_says_so_and_any_other_says_nothing(seat: Seat, method: str) -> None:
    forged = LinkKeys("z" * 40, url=URL).sign(link())
    answers = [await seat.client.request(method, f"/links/{token}", data=ONE_CLICK) for token in (forged, "x", "1.a.b.c")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    seat.clock.advance_to(END)
    assert (await seat.client.request(method, seat.path(), data=ONE_CLICK)).status_code == 410
    assert seat.publisher.events == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"choice=everything", "application/x-www-form-urlencoded"),
        (b"choice=%ff%fe", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % number for number in range(50)), "application/x-www-form-urlencoded"),
        (b"words=" + b"x" * LARGEST_BODY, "application/x-www-form-urlencoded"),
        (b'{"choice": "opt_out"}', "application/json"),
        (b"choice=opt_out", "text/plain"),
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (b"One-Click", "multipart/form-data; boundary=x"),
        (b"\xff\xfe\x00", ""),
    ],
    ids=["empty", "unknown", "not UTF-8", "many", "huge", "json", "text", "one-click elsewhere", "multipart elsewhere", "bytes"],
)
async def test_what_is_no_answer_changes_nothing_and_says_so(seat: Seat, body: bytes, kind: str) -> None:
    answer = await seat.client.post(seat.path(), content=body, headers={"content-type": kind})
    assert answer.status_code == 400
    assert seat.publisher.events == []


async def test_an_answer_that_could_not_be_kept_is_not_confirmed(seat: Seat) -> None:
    seat.publisher.away = True
    answer = await seat.post("snooze")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "Paused" not in answer.text
    assert seat.meter.read(metrics.LINK_REQUESTS, choice="snooze", outcome="not_saved") == 1


async def test_a_way_to_be_reached_is_chosen_holds_before_the_next_message_and_nothing_else_is_taken_for_one(seat: Seat) -> None:
    answer = await seat.post("channel", channel="sms")
    assert "From the next message on we write this way wherever it is possible: text message." in answer.text
    state = replace(seat.folded(), person=replace(seat.folded().person, phone=Field("+493090182000", 1), email=Field("a@b.c", 1)))
    texting = dataclasses.replace(DEFAULT_POLICY, fallback_channels=("sms",))
    at_ms = epoch_ms(NOW)
    way, why = way_to(state, texting, channel="email", purpose=Purpose.SERVICING, at_ms=at_ms)
    assert (way, why) == ("sms", ("the client asked to be reached by sms",))
    assert way_to(state, DEFAULT_POLICY, channel="email", purpose=Purpose.SERVICING, at_ms=at_ms)[0] == "email"
    for wrong in ("fax", "task", ""):
        refused = await seat.post("channel", form="f2", channel=wrong)
        assert refused.status_code == 422
        assert "Please choose one of the ways." in refused.text
    assert len(seat.publisher.events) == 1


async def test_hours_to_be_written_to_are_chosen_and_taken_back_and_nothing_else_is_taken_for_them(seat: Seat) -> None:
    answer = await seat.post("hours", hours="15:00-18:00")
    assert "write to you at this time of day wherever it is possible: 15:00 \N{EN DASH} 18:00." in answer.text
    assert DEFAULT_POLICY.window_of(seat.folded()).opens == time(15)
    for wrong in ("18:00-15:00", "15:00-15:30", "25:00-26:00", "15:00", ""):
        refused = await seat.post("hours", form="f2", hours=wrong)
        assert refused.status_code == 422
        assert "Please choose one of the times." in refused.text
    seat.clock.advance_to(NOW + timedelta(minutes=1))
    assert "at any hour" in (await seat.post("hours", form="f3", hours="any")).text
    assert DEFAULT_POLICY.window_of(seat.folded()) == DEFAULT_POLICY.window


@given(choice=st.sampled_from(Choice), words=st.text(max_size=300), day=st.text(max_size=30), form=st.text(max_size=80))
def test_whatever_is_typed_ends_in_a_page_and_in_events_that_the_contracts_allow(
    choice: Choice, words: str, day: str, form: str
) -> None:
    async def typed() -> int:
        return (await Seat().post(choice.value, words=words, day=day, form=form)).status_code

    assert asyncio.run(typed()) in {200, 422}


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata", "no/such"])
async def test_today_may_be_promised_wherever_the_firm_is(zone: str) -> None:
    if zone == "no/such":
        zone = "UTC"
    seat = Seat(zone=zone)
    first = next(
        field["min"] for field in Outline((await seat.client.get(seat.path())).text).all("input") if field.get("type") == "date"
    )
    assert (await seat.post("promise", day=first or "")).status_code == 200
    (event,) = seat.publisher.events
    assert isinstance(event, PromiseMade)
    assert event.promised_at > NOW
