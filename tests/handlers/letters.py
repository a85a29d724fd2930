"""All messages in one text per language, as people review them. Write them anew: python -m tests.handlers.letters."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from handlers.channels.content import Writer
from handlers.channels.contract import Recipient
from handlers.channels.library import template_name
from handlers.channels.phrases import PHRASES
from models.events.signals import Purpose, Role
from models.money import Money
from models.policy.causes import Cause
from models.policy.facts import Fact
from models.policy.journeys import Step
from models.policy.renewal_options import IN_DOUBT
from models.policy.tones import softer_than
from models.triggers import Journey, Trigger
from tests.handlers.test_channels_content import STEPS, TEMPLATES, due, without_guide

FOLDER: Final = Path(__file__).parent / "golden" / "letters"
LOCALES: Final = {"en": "en_GB", "de": "de_DE", "fr": "fr_FR", "es": "es_ES"}
WRITERS: Final = {language: Writer(firm_name="Ferro & Partner", firm_locale=locale) for language, locale in LOCALES.items()}
TO_CLIENTS: Final = {
    name: step for name, step in STEPS.items() if "\nTo: staff\n" not in (TEMPLATES / name).read_text(encoding="utf-8")
}
RENEWALS: Final[Mapping[str, Mapping[str, Fact]]] = {
    "in doubt": {"options": " ".join(IN_DOUBT), "together": "months"},
    "may grow, and nothing is known of how long": {"options": "same more less talk later", "together": ""},
    "nothing later is offered": {"options": "same talk", "deferral_possible": False, "together": "year"},
}
FOREIGN: Final = (
    ("R-17", 100_000, "EUR", "2026-02-20"),
    ("US-4", 48_050, "USD", "2026-02-24"),
    ("R-18", 20_000, "EUR", "2026-02-27"),
)
STATEMENT: Final = (("R-17", 100_000, "2026-02-20"), ("R-18", 20_000, "2026-02-27"), ("R-21", 3_456, "2026-03-01"))


def variants(journey: Journey, step: Step) -> Iterator[tuple[str, Trigger]]:
    """Yield the messages of a step in each of its tones, by the name of the template that speaks."""
    for tone in (step.tone, *softer_than(step.tone)):
        softened = due(journey, step).model_copy(update={"tone": tone})
        yield template_name(journey, step.id, tone), softened


def statement() -> Trigger:
    """Return a message about several invoices, of which not all are listed."""
    journey, step = STEPS["delayed_payment_support/clear_dates.structured.j2"]
    items = [{"invoice_id": name, "open": Money(minor, "EUR"), "due_on": day} for name, minor, day in STATEMENT]
    several = due(journey, step, invoice_count=5, invoice_numbers="R-17, R-18, R-21, R-22, R-23")
    totals = [{"open": Money(1_234_567, "EUR"), "credit": Money(0, "EUR"), "invoices": 5}]
    return Trigger.model_validate({**several.model_dump(), "statement": items, "totals": totals})


def several_currencies(step: str = "clear_dates.structured") -> Trigger:
    """Return a message about invoices in two currencies, of which one has credit."""
    journey, about = STEPS[f"delayed_payment_support/{step}.j2"]
    items = [{"invoice_id": name, "open": Money(minor, code), "due_on": day} for name, minor, code, day in FOREIGN]
    totals = [
        {"open": Money(95_000, "EUR"), "credit": Money(25_000, "EUR"), "invoices": 2},
        {"open": Money(48_050, "USD"), "credit": Money(0, "USD"), "invoices": 1},
    ]
    named = {"invoice_count": 3, "invoice_numbers": "R-17, US-4, R-18", "amount_open": Money(95_000, "EUR")}
    return Trigger.model_validate({**due(journey, about, **named).model_dump(), "statement": items, "totals": totals})


def letters(language: str) -> str:
    """Return every message in `language`: each step in each tone, each text message, a statement, and a line per role."""
    reader, writer = Recipient(name="Ada Lovelace", locale=LOCALES[language]), WRITERS[language]
    parts: dict[str, str] = {}
    for template, (journey, step) in STEPS.items():
        for name, trigger in variants(journey, step):
            content = writer.write(trigger, reader)
            parts[name] = f"{content.subject}\n\n{content.text}"
            if step.purpose is Purpose.SERVICING and template in TO_CLIENTS:
                short = writer.write(trigger.model_copy(update={"channel": "sms"}), reader)
                parts[f"{name} as text message"] = f"{short.text}\n"
    thanks = due(*STEPS["post_payment_onboarding/thank_you.gentle.j2"], later_invoice=True)
    content = writer.write(without_guide(thanks), reader)
    parts["thanks for a later invoice, without a guide"] = f"{content.subject}\n\n{content.text}"
    renewal = due(*STEPS["pre_renewal/renewal_options.gentle.j2"])
    for case, said in RENEWALS.items():
        content = writer.write(renewal.model_copy(update={"facts": {**renewal.facts, **said}}), reader)
        parts[f"before a renewal: {case}"] = f"{content.subject}\n\n{content.text}"
    content = writer.write(statement(), reader)
    parts["a statement"] = f"{content.subject}\n\n{content.text}"
    content = writer.write(several_currencies(), reader)
    parts["a statement of two currencies"] = f"{content.subject}\n\n{content.text}"
    short = writer.write(several_currencies().model_copy(update={"channel": "sms"}), reader)
    parts["two currencies as text message"] = f"{short.text}\n"
    journey, step = STEPS["delayed_payment_support/clear_dates.structured.j2"]
    for cause in Cause:
        plain = writer.letter(due(journey, step), reader).blocks
        limits = {"most_instalments": 4, "most_days": 45}
        helping = writer.letter(due(journey, step, cause=cause.value, **limits), reader).blocks
        parts[f"first help: {cause.value}"] = "".join(
            f"{line}\n" for block in helping if block not in plain for line in block.lines
        )
    parts["lines for roles"] = "".join(f"{role.value}: {PHRASES[language].roles[role]}\n" for role in Role)
    return "\n".join(f"=== {name}\n\n{text}" for name, text in sorted(parts.items()))


def main() -> None:
    """Write all languages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for language in LOCALES:
        (FOLDER / f"{language}.txt").write_text(letters(language), encoding="utf-8")


if __name__ == "__main__":
    main()
