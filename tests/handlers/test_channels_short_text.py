import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.channels.contract import ContentError, Recipient
from handlers.channels.library import template_name
from handlers.channels.short_text import MOST_SEGMENTS, segments, short_content
from models.policy.journeys import Step
from models.triggers import Journey
from tests.handlers.test_channels_content import STEPS, TEMPLATES, WRITER, due

SHORT = {name: step for name, step in STEPS.items() if (TEMPLATES / name.replace(".j2", ".sms.j2")).exists()}
WAYS_OUT = {
    "en": r"mail or call us|write to us",
    "de": r"schreiben Sie|rufen Sie|melden Sie sich|nennen Sie uns|sagen Sie",
    "fr": r"(?i)écrivez|appelez|écrire|dire ce que",
    "es": r"(?i)escriba|llame|diga",
}
EACH_SHORT = pytest.mark.parametrize(("journey", "step"), SHORT.values(), ids=SHORT.keys())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 0),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("好" * 70, 1),
        ("好" * 71, 2),
        ("好" * 134, 2),
        ("好" * 135, 3),
        ("\N{GRINNING FACE}" * 35, 1),
        ("\N{GRINNING FACE}" * 36, 2),
    ],
)
def test_parts_are_counted_as_networks_do(text: str, parts: int) -> None:
    assert segments(text) == parts


@given(text=st.text(max_size=400))
def test_a_text_is_one_line_of_at_most_two_parts_or_an_error(text: str) -> None:
    try:
        content = short_content(text)
    except ContentError:
        return
    assert 1 <= segments(content.text) <= MOST_SEGMENTS
    assert len(content.text.splitlines()) == 1
    assert (content.subject, content.html, content.opt_out_url) == ("", "", "")


def test_every_mail_that_asks_for_money_has_a_short_form_and_no_other_mail_has() -> None:
    expected = {
        template_name(journey, step.id, step.tone)
        for journey, step in STEPS.values()
        if journey in {Journey.DELAY_SUPPORT, Journey.STATEMENT} and step.channel == "email"
    }
    assert SHORT.keys() == expected


@EACH_SHORT
@pytest.mark.parametrize("locale", ["en_GB", "de_DE", "fr_FR", "es_ES", "pl_PL"])
@pytest.mark.parametrize("count", [1, 7])
def test_every_text_message_fits_and_offers_a_way_out(journey: Journey, step: Step, locale: str, count: int) -> None:
    trigger = due(journey, step, invoice_count=count, invoice_numbers="INV-2026-000417").model_copy(update={"channel": "sms"})
    content = WRITER.write(trigger, Recipient(locale=locale))
    assert content.text.startswith("Ferro & Partner: ")
    assert re.search(WAYS_OUT.get((locale or "")[:2], WAYS_OUT["en"]), content.text)
    assert not any(mark in content.text for mark in ("{", "None", "  ", "http"))


def test_a_text_message_that_grows_too_long_is_an_error_and_not_cut() -> None:
    journey, step = next(iter(SHORT.values()))
    trigger = due(journey, step, invoice_numbers="好" * 200).model_copy(update={"channel": "sms"})
    with pytest.raises(ContentError, match="parts"):
        WRITER.write(trigger, Recipient())


def test_a_step_without_a_short_form_is_never_sent_as_a_text_message() -> None:
    journey, step = STEPS["post_payment_onboarding/thank_you.gentle.j2"]
    with pytest.raises(ContentError, match="no template"):
        WRITER.write(due(journey, step).model_copy(update={"channel": "sms"}), Recipient())
