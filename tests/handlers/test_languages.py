"""Every language says the same in its own words, whole: no message mixes two, and each reads as agreed."""

import re
from functools import cache

import pytest

from handlers.channels.contract import ContentError, Recipient
from handlers.channels.library import PACKAGE, template_name
from handlers.channels.phrases import PHRASES
from handlers.channels.short_text import plain_letters, segments
from models.events.signals import Purpose, Role
from models.money import Money
from models.policy.facts import ALLOWED_FACTS
from models.policy.journeys import Journeys, Step
from models.policy.statement import MOST_CURRENCIES
from models.state.client import Segment
from models.triggers import Journey, StatementTotal, Tone
from tests.handlers.letters import FOLDER, LOCALES, TO_CLIENTS, WRITERS, letters, several_currencies, statement, variants
from tests.handlers.test_channels_content import STEPS, TEMPLATES, due
from tests.models.tone_cells import GOLDEN

OTHERS = [language for language in PHRASES if language != "en"]
EACH = pytest.mark.parametrize(("journey", "step"), TO_CLIENTS.values(), ids=TO_CLIENTS.keys())


@cache
def letters_as_agreed(language: str) -> str:
    return (FOLDER / f"{language}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LOCALES)
def test_the_letters_of_a_language_read_as_agreed(language: str) -> None:
    assert letters(language) == letters_as_agreed(language), "if it is meant so: python -m tests.handlers.letters"


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_every_template_and_none_besides(language: str) -> None:
    home = TEMPLATES / language
    assert {str(path.relative_to(home)) for path in home.glob("**/*.j2")} == {
        str(path.relative_to(TEMPLATES))
        for path in TEMPLATES.glob("**/*.j2")
        if path.relative_to(TEMPLATES).parts[0] not in OTHERS
    } - {"page.html.j2"}


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_asks_the_same_of_the_facts_as_the_english_words(language: str) -> None:
    for name in STEPS:
        # Contract and service may go unnamed: within a sentence, the words for them would need a gender.
        assert PACKAGE.variables(f"{language}/{name}") ^ PACKAGE.variables(name) <= {"contract_type", "service_line"}, name


def test_every_cell_of_the_tone_matrix_has_words_of_its_own_in_every_language() -> None:
    for line in GOLDEN.read_text(encoding="utf-8").splitlines()[1:]:
        segment = Segment(line.split()[0])
        steps = {step.id: step for step in Journeys().delay[segment].steps}
        said = re.findall(r"(\w+): (\w+)", line)
        assert [step for step, _ in said] == list(steps)
        for step, tone in said:
            name = template_name(Journey.DELAY_SUPPORT, step, Tone(tone))
            for language in LOCALES:
                assert f"=== {name}\n" in letters_as_agreed(language), (language, line)


def test_colleagues_are_written_to_in_the_language_of_the_firm_whatever_the_client_speaks() -> None:
    journey, step = STEPS["delayed_payment_support/personal_contact.gentle.j2"]
    reader = Recipient(name="Ada", locale="es_ES")
    assert WRITERS["fr"].write(due(journey, step), reader).subject.startswith("Merci de parler avec Ada")
    assert WRITERS["en"].write(due(journey, step), reader).subject.startswith("Please speak with Ada")


@EACH
@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_states_no_fact_that_its_purpose_may_not_and_speaks_in_one_language(
    language: str, journey: Journey, step: Step
) -> None:
    reader = Recipient(name="Ada Lovelace", locale=LOCALES[language])
    for _, trigger in variants(journey, step):
        named = PACKAGE.variables(template_name(journey, step.id, trigger.tone, language=language))
        assert named - {"firm_name"} <= ALLOWED_FACTS[step.purpose]
        content = WRITERS["en"].write(trigger, reader)
        assert f'<html lang="{language}">' in content.html
        assert PHRASES[language].farewell in content.text
        assert not re.search(r"\b(?:the|invoice|reply|please|Hello|regards|you)\b", content.subject + content.text)


@EACH
def test_every_message_may_be_said_in_each_softer_tone(journey: Journey, step: Step) -> None:
    for name, trigger in variants(journey, step):
        assert (TEMPLATES / name).exists()
        assert WRITERS["en"].write(trigger, Recipient(name="Ada")).subject


def test_a_message_without_a_translation_is_english_throughout_dates_too() -> None:
    journey, step = STEPS["delayed_payment_support/friendly_note.gentle.j2"]
    text = WRITERS["en"].write(due(journey, step), Recipient(name="Ada", locale="ja_JP")).text
    assert "20 February 2026" in text
    assert text.startswith("Hello Ada,")


def test_a_statement_lists_invoices_with_their_days_says_how_many_more_and_ends_with_the_total() -> None:
    content = WRITERS["en"].write(statement(), Recipient(name="Ada", locale="en_GB"))
    lines = content.text.splitlines()
    at = lines.index("Invoice     Due                     Open")
    assert lines[at + 1 : at + 6] == [
        "R-17        20 February 2026   €1,000.00",
        "R-18        27 February 2026     €200.00",
        "R-21        1 March 2026          €34.56",
        "and 2 more                    €11,111.11",
        "Total                         €12,345.67",
    ]
    assert content.html.count("<tr") == 6
    assert '<th scope="col"' in content.html


def test_a_statement_of_two_currencies_has_a_total_for_each_and_shows_credit_apart() -> None:
    content = WRITERS["en"].write(several_currencies(), Recipient(name="Ada", locale="en_GB"))
    start = content.text.index("Invoice ")
    assert content.text[start : content.text.index("- open")].splitlines() == [
        "Invoice                    Due                    Open",
        "R-17                       20 February 2026  €1,000.00",
        "R-18                       27 February 2026    €200.00",
        "Credit, already taken off                     -€250.00",
        "Total EUR                                      €950.00",
        "",
        "US-4                       24 February 2026  US$480.50",
        "Total USD                                    US$480.50",
        "",
    ]
    assert "€950.00 + US$480.50 open since" in content.subject
    assert "font-style:italic" in content.html, "told apart without a colour, which no dark screen could show"
    assert "1,430" not in content.text + content.html


@pytest.mark.parametrize("language", LOCALES)
@pytest.mark.parametrize("step", [name.removeprefix("delayed_payment_support/")[:-3] for name in TO_CLIENTS if "support" in name])
def test_every_text_message_has_room_for_as_many_currencies_as_one_message_may_name(step: str, language: str) -> None:
    two = several_currencies(step)
    third = StatementTotal(open=Money(1_234_500, "GBP"), credit=Money(0, "GBP"), invoices=1)
    crowded = two.model_copy(update={"channel": "sms", "totals": (*two.totals, third)})
    assert len(crowded.totals) == MOST_CURRENCIES
    assert "12" in WRITERS[language].write(crowded, Recipient(name="Ada", locale=LOCALES[language])).text


def test_no_message_outside_servicing_may_carry_a_statement() -> None:
    journey, step = STEPS["pre_renewal/renewal_options.gentle.j2"]
    smuggled = due(journey, step).model_copy(update={"statement": statement().statement})
    with pytest.raises(ContentError, match="may not state invoices"):
        WRITERS["en"].write(smuggled, Recipient(name="Ada"))


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("language", LOCALES)
def test_a_servicing_message_has_a_line_for_the_readers_role_and_others_do_not(role: Role, language: str) -> None:
    reader = Recipient(name="Ada", locale=LOCALES[language], role=role)
    for name, (journey, step) in TO_CLIENTS.items():
        line = PHRASES[language].roles[role]
        assert (line in WRITERS["en"].write(due(journey, step), reader).text) is (step.purpose is Purpose.SERVICING), name


@pytest.mark.parametrize(
    ("text", "plain"), [("Él llamó en août", "Él llamo en aout"), ("Grüße €5", "Grüße €5"), ("好 é", "好 é")]
)
def test_accents_that_would_double_the_parts_are_left_out(text: str, plain: str) -> None:
    assert plain_letters(text) in {plain, plain.replace("É", "É")}
    assert segments(plain_letters(text)) <= segments(text)
