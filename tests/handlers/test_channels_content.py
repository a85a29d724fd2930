import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from handlers.channels.content import Writer, parse
from handlers.channels.contract import ContentError, Recipient
from handlers.channels.example_facts import MAY_BE_MISSING, example_of
from handlers.channels.library import template_name
from handlers.channels.links import links_of
from models.events.signals import Purpose
from models.money import Money
from models.policy.facts import ALLOWED_FACTS
from models.policy.journeys import Journeys, Step
from models.policy.policy import DEFAULT_POLICY
from models.triggers import Journey, Trigger
from streams.runtime.settings import Settings
from tests.handlers.channel_examples import ADA, trigger

TEMPLATES = Path(str(files("handlers.channels"))) / "templates"
GOLDEN = Path(__file__).parent / "golden"
WRITER = Writer(firm_name="Ferro & Partner")
GUIDE = frozenset({"resources", "scheduler", "person", "office_hours"})
LINKING = Settings.model_validate({"link_secrets": ["k" * 40], "link_url": "https://care.firm.example"})


def all_steps() -> Iterator[tuple[Journey, Step]]:
    journeys = Journeys()
    for ladder in journeys.delay.values():
        yield from ((Journey.DELAY_SUPPORT, step) for step in (*ladder.steps, ladder.human))
    yield from ((Journey.ONBOARDING, step) for step in journeys.onboarding)
    yield from ((Journey.RENEWAL, step) for step in journeys.renewal)
    yield Journey.STATEMENT, journeys.statement.step
    for playbook in journeys.playbooks:
        yield from ((Journey(playbook.journey), step) for step in playbook.steps)


STEPS = {template_name(journey, step.id, step.tone): (journey, step) for journey, step in all_steps()}
EACH_STEP = pytest.mark.parametrize(("journey", "step"), STEPS.values(), ids=STEPS.keys())


def due(journey: Journey, step: Step, **facts: object) -> Trigger:
    return trigger(
        journey=journey,
        step=step.id,
        tone=step.tone,
        purpose=step.purpose,
        channel=step.channel,
        facts={**{name: fact for name, fact in example_of(journey, step.id).items() if name != "cause"}, **facts},
        invoice_ids=("R-17",) if step.purpose is Purpose.SERVICING else (),
    )


def without_guide(told: Trigger) -> Trigger:
    """Return a message without what the firm publishes of itself, which is the same for everybody."""
    return told.model_copy(update={"facts": {name: fact for name, fact in told.facts.items() if name not in GUIDE}})


class Words(HTMLParser):
    """Collects what a reader sees of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.feed(page[page.index("<body") :])

    def handle_data(self, data: str) -> None:
        self.seen += data.split()


@EACH_STEP
@pytest.mark.parametrize("locale", ["en_GB", "de_DE", "fr_FR", "ja_JP", None, "xx-nonsense"])
def test_every_step_of_the_policy_can_be_written_in_every_locale(journey: Journey, step: Step, locale: str | None) -> None:
    recipient = Recipient(name="Ada Lovelace", email="ada@client.example", locale=locale)
    content = WRITER.write(due(journey, step), recipient)
    assert content.subject == content.subject.strip() != ""
    assert len(content.subject) < 100
    assert not re.search(r"[{}]|None|True|False|  ", content.subject + content.text)


@EACH_STEP
def test_text_and_html_say_the_same(journey: Journey, step: Step) -> None:
    content = WRITER.write(due(journey, step), ADA)
    text = [word for word in content.text.replace("--\n", "").split() if word != "-"]
    assert Words(content.html).seen == text


@EACH_STEP
def test_every_message_to_a_client_signs_with_the_firm_and_says_that_a_reply_reaches_a_person(
    journey: Journey, step: Step
) -> None:
    content = WRITER.write(due(journey, step), ADA)
    to_staff = step.channel in DEFAULT_POLICY.internal_channels
    assert content.text.startswith("Hello Ada Lovelace,") is not to_staff
    assert ("Kind regards,\nFerro & Partner" in content.text) is not to_staff
    assert ("a reply always reaches a person" in content.text.lower()) is not to_staff


@EACH_STEP
def test_every_message_about_a_delay_offers_a_way_out(journey: Journey, step: Step) -> None:
    if journey is Journey.DELAY_SUPPORT:
        text = WRITER.write(due(journey, step), ADA).text
        assert re.search(r"plan|smaller payments|another date|later date", text)
        assert not re.search(r"(?i)collection|legal|lawyer|penalt|immediately|final notice|fail(ed|ure) to", text)


@EACH_STEP
def test_a_template_names_only_facts_that_its_purpose_allows(journey: Journey, step: Step) -> None:
    environment = ImmutableSandboxedEnvironment(autoescape=True)
    environment.filters.update(dict.fromkeys(("money", "day", "number", "invoices"), str))
    sources = [template_name(journey, step.id, step.tone)]
    named: set[str] = set()
    while sources:
        tree = environment.parse((TEMPLATES / sources.pop()).read_text(encoding="utf-8"))
        named |= meta.find_undeclared_variables(tree)
        sources += [name for name in meta.find_referenced_templates(tree) if name]
    assert named <= ALLOWED_FACTS[step.purpose] | {"firm_name"}


def test_no_message_outside_servicing_lists_invoices() -> None:
    journey, step = STEPS["pre_renewal/renewal_options.gentle.j2"]
    listed = [{"invoice_id": "R-17", "open": Money(1_000, "EUR"), "due_on": "2026-02-20"}]
    trigger = Trigger.model_validate({**due(journey, step).model_dump(), "statement": listed})
    with pytest.raises(ContentError, match="relationship messages may not state invoices"):
        WRITER.write(trigger, Recipient(name="Ada"))


@EACH_STEP
def test_no_message_outside_servicing_states_an_invoice_an_amount_or_a_day(journey: Journey, step: Step) -> None:
    if step.purpose is Purpose.SERVICING:
        return
    with pytest.raises(ContentError, match="may not state"):
        WRITER.write(due(journey, step, amount_open=Money(5, "EUR"), invoice_numbers="R-17"), ADA)
    assert not re.search(r"R-17|€|EUR|\d{2,}", WRITER.write(without_guide(due(journey, step)), ADA).text)


@EACH_STEP
def test_a_missing_fact_is_an_error_that_names_it_and_never_a_blank(journey: Journey, step: Step) -> None:
    complete = due(journey, step)
    for fact in complete.facts.keys() - set(MAY_BE_MISSING):
        facts = {name: value for name, value in complete.facts.items() if name != fact}
        lacking = complete.model_copy(update={"facts": facts})
        if fact in (TEMPLATES / template_name(journey, step.id, step.tone)).read_text(encoding="utf-8"):
            with pytest.raises(ContentError, match=fact):
                WRITER.write(lacking, ADA)
        else:
            assert WRITER.write(lacking, ADA) == WRITER.write(complete, ADA)


@EACH_STEP
def test_no_line_with_text_ends_in_a_block_tag_which_would_swallow_its_end(journey: Journey, step: Step) -> None:
    source = (TEMPLATES / template_name(journey, step.id, step.tone)).read_text(encoding="utf-8")
    assert [line for line in source.splitlines() if line.endswith("%}") and not line.startswith("{%")] == []


@EACH_STEP
def test_a_client_without_a_name_or_service_line_is_written_to_all_the_same(journey: Journey, step: Step) -> None:
    complete = due(journey, step)
    facts = {name: value for name, value in complete.facts.items() if name not in MAY_BE_MISSING}
    content = WRITER.write(complete.model_copy(update={"facts": facts}), Recipient(email="ada@client.example"))
    assert "  " not in content.text
    assert " ," not in content.text


@pytest.mark.parametrize(
    ("locale", "amount", "day"),
    [
        ("en_GB", "€12,345.67", "20 February 2026"),
        ("en_US", "€12,345.67", "February 20, 2026"),
        ("de-DE", "12.345,67\N{NO-BREAK SPACE}€", "20. Februar 2026"),
        ("fr_FR", "12\N{NARROW NO-BREAK SPACE}345,67\N{NO-BREAK SPACE}€", "20 février 2026"),
    ],
)
def test_money_and_dates_are_written_as_the_client_writes_them(locale: str, amount: str, day: str) -> None:
    text = WRITER.write(due(*STEPS["delayed_payment_support/friendly_note.gentle.j2"]), Recipient(locale=locale)).text
    assert amount in text
    assert day in text


def test_amounts_without_minor_units_and_beyond_any_float_are_exact() -> None:
    step = STEPS["delayed_payment_support/friendly_note.gentle.j2"]
    assert "¥500" in WRITER.write(due(*step, amount_open=Money(500, "JPY")), Recipient(locale="en_US")).text
    huge = Money(9_007_199_254_740_993_01, "USD")
    assert "$9,007,199,254,740,993.01" in WRITER.write(due(*step, amount_open=huge), Recipient(locale="en_US")).text


@pytest.mark.parametrize(("count", "words"), [(1, "invoice R-17 "), (3, "invoices R-17 "), (9, "9 invoices (R-17 and others) ")])
def test_one_few_and_many_invoices_are_named_accordingly(count: int, words: str) -> None:
    step = STEPS["delayed_payment_support/friendly_note.gentle.j2"]
    assert words in WRITER.write(due(*step, invoice_count=count), ADA).text


@given(value=st.text(max_size=80))
@example(value="49\x1f")
def test_no_name_can_break_out_of_its_line_its_page_or_the_terminal(value: str) -> None:
    step = STEPS["delayed_payment_support/friendly_note.gentle.j2"]
    hostile = f"{value}\r\n\n--\n- <script>x</script>\x1b[2J{{{{ 7919 * 7907 }}}}"
    plain = WRITER.write(due(*step), Recipient(name="Ada"))
    content = WRITER.write(due(*step, invoice_numbers=hostile), Recipient(name=hostile))
    assert "<script>" not in content.html
    assert "\x1b" not in content.text + content.subject
    assert "\n" not in content.subject
    assert "62615533" not in content.text + content.subject  # nothing that is drawn says so by itself
    assert content.text.count("\n") == plain.text.count("\n")


def test_a_step_without_a_template_is_an_error_that_names_it() -> None:
    with pytest.raises(ContentError, match=r"delayed_payment_support/unheard_of\.gentle\.j2"):
        WRITER.write(trigger(step="unheard_of", facts={}), ADA)


def test_a_date_that_is_none_is_an_error() -> None:
    with pytest.raises(ContentError, match="someday"):
        WRITER.write(due(*STEPS["delayed_payment_support/friendly_note.gentle.j2"], due_date="someday"), ADA)


@pytest.mark.parametrize("rendered", ["", "Subject: only a subject", "Subject: \n\ntext", "No subject\n\ntext"])
def test_a_message_needs_a_subject_and_a_text(rendered: str) -> None:
    with pytest.raises(ContentError):
        parse(rendered)


def test_a_message_that_grows_beyond_reason_is_refused() -> None:
    with pytest.raises(ContentError, match="characters"):
        parse("Subject: s\n\n" + "long " * 10_000)


@pytest.mark.parametrize(
    ("golden", "name", "locale"),
    [
        ("friendly_note.en.txt", "delayed_payment_support/friendly_note.gentle.j2", "en_GB"),
        ("clear_dates.de.txt", "delayed_payment_support/clear_dates.structured.j2", "de_DE"),
        ("last_offer.fr.txt", "delayed_payment_support/last_offer.firm.j2", "fr_FR"),
        ("personal_contact.en.txt", "delayed_payment_support/personal_contact.gentle.j2", "en_GB"),
        ("thank_you.en.txt", "post_payment_onboarding/thank_you.gentle.j2", "en_GB"),
        ("renewal_options.en.txt", "pre_renewal/renewal_options.gentle.j2", "en_GB"),
    ],
)
def test_the_message_reads_as_agreed(golden: str, name: str, locale: str) -> None:
    content = WRITER.write(without_guide(due(*STEPS[name])), Recipient(name="Ada Lovelace", locale=locale))
    assert f"{content.subject}\n\n{content.text}" == (GOLDEN / golden).read_text(encoding="utf-8")


def test_the_page_reads_as_agreed() -> None:
    content = WRITER.write(due(*STEPS["delayed_payment_support/friendly_note.gentle.j2"]), ADA)
    assert content.html == (GOLDEN / "friendly_note.html").read_text(encoding="utf-8")


@EACH_STEP
def test_every_message_to_a_client_carries_both_links_in_text_and_html_and_none_to_staff(journey: Journey, step: Step) -> None:
    content = Writer(firm_name="Ferro & Partner", links=links_of(LINKING)).write(due(journey, step), ADA)
    in_text = re.findall(r"^https://care\.firm\.example/links/\S+$", content.text, flags=re.MULTILINE)
    in_html = re.findall(r'href="(https://care\.firm\.example/links/[^"]+)"', content.html)
    assert in_text == in_html
    assert len(in_text) == (0 if step.channel in DEFAULT_POLICY.internal_channels else 2)
    assert content.opt_out_url == (in_text[1] if in_text else "")


@EACH_STEP
def test_without_a_secret_no_message_carries_or_promises_a_link(journey: Journey, step: Step) -> None:
    assert links_of(Settings()) is None
    content = WRITER.write(without_guide(due(journey, step)), ADA)
    assert not re.search(r"(?i)https?:|href|click|link|unsubscribe", content.text + content.html)
    assert content.opt_out_url == ""


def test_the_same_trigger_always_carries_the_same_links() -> None:
    step = STEPS["delayed_payment_support/friendly_note.gentle.j2"]
    writers = [Writer(firm_name="Ferro & Partner", links=links_of(LINKING)) for _ in range(2)]
    assert writers[0].write(due(*step), ADA) == writers[1].write(due(*step), ADA)
