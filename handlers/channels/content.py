"""Writes the message of a trigger: one template per journey, step and tone, from which text and HTML both come.

A template is a head (`Subject:`, and `To: staff` for messages to colleagues), an empty line and paragraphs; lines that begin with
`- ` make a list, what follows a line `--` is small print. It is rendered once, as text; the HTML is laid out from that text, so
the two cannot differ, and everything in it is escaped once.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final, TypeVar

from babel import Locale
from jinja2 import PackageLoader, StrictUndefined, TemplateError, TemplateNotFound, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from handlers.channels.contract import Content, ContentError, Recipient
from handlers.channels.links import MakeLinks
from handlers.channels.phrases import ENGLISH, PHRASES, Phrases, tongue
from handlers.channels.short_text import SMS, short_content
from handlers.channels.statement import Row, RowKind, rows_of
from handlers.channels.wording import FALLBACK, LISTED, amounts_in_words, day_in_words, locale_named, number_in_words
from models.events.signals import Purpose
from models.money import Money
from models.policy.facts import ForbiddenFactError, allowed_facts
from models.triggers import APPROVE, Journey, Tone, Trigger

T = TypeVar("T")

MAY_BE_MISSING: Final = ("name", "service_line", "cause")
"""Facts a template must do without when the client's books do not have them; every other fact missing is an error."""

SOFTER: Final[Mapping[tuple[str, Tone], str]] = MappingProxyType(
    {
        ("firm_dates", Tone.STRUCTURED): "clear_dates",
        ("firm_dates", Tone.GENTLE): "clear_dates",
        ("last_offer", Tone.STRUCTURED): "offer_plan",
        ("last_offer", Tone.GENTLE): "offer_plan",
    }
)
"""Whose words a step takes when it is to be said more softly than it is meant."""

LONGEST_MESSAGE: Final = 20_000
"""Characters; a longer one is a mistake in a template."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_BLANKS: Final = re.compile(r"[ \t\n]+")
_SMALL_PRINT: Final = "\n--\n"
_TO_STAFF: Final = "staff"


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, or the items of a list."""

    lines: tuple[str, ...]
    is_list: bool


@dataclass(frozen=True, slots=True)
class Letter:
    """A rendered template, taken apart."""

    subject: str
    to_staff: bool
    blocks: tuple[Block, ...]
    small_print: str
    phrases: Phrases = PHRASES[ENGLISH]
    statement: tuple[Row, ...] = ()


class Writer:
    """Renders messages. Templates are part of the program, reviewed like code; facts are data and never templates."""

    def __init__(self, *, firm_name: str, firm_locale: str = "en_GB", links: MakeLinks | None = None) -> None:
        """Sign with `firm_name`; messages to clients carry `links`, none without. Colleagues are written to in `firm_locale`."""
        self._firm_name = _plain(firm_name)
        self._firm_locale = locale_named(firm_locale)
        self._links = links

    def write(self, trigger: Trigger, recipient: Recipient) -> Content:
        """Return the message of `trigger` for `recipient`; raises ContentError, never leaves a blank."""
        if trigger.channel == SMS:
            return short_content(self._render(trigger, recipient, variant=f".{SMS}")[0])
        letter = self.letter(trigger, recipient)
        signature = "" if letter.to_staff else f"{letter.phrases.farewell}\n{self._firm_name}"
        greeting = "" if letter.to_staff else _greeting(recipient, letter.phrases)
        links = None if letter.to_staff or self._links is None else _worded_links(self._links, trigger, letter.phrases)
        page = (
            _page()
            .get_template("page.html.j2")
            .render(letter=letter, greeting=greeting, signature=signature, links=links or (), firm_name=self._firm_name)
        )
        text = _text(letter, greeting=greeting, signature=signature, links=links or ())
        return Content(letter.subject, text, page, links[1].address if links else "")

    def letter(self, trigger: Trigger, recipient: Recipient) -> Letter:
        """Return the parts of the message."""
        rendered, phrases, locale = self._render(trigger, recipient)
        letter = parse(rendered)
        if letter.to_staff:
            return replace(letter, phrases=phrases)
        role = phrases.roles.get(recipient.role) if recipient.role and trigger.purpose is Purpose.SERVICING else None
        blocks = (*letter.blocks, Block((role,), is_list=False)) if role else letter.blocks
        return replace(letter, phrases=phrases, blocks=blocks, statement=tuple(rows_of(trigger, phrases, locale)))

    def _render(self, trigger: Trigger, recipient: Recipient, *, variant: str = "") -> tuple[str, Phrases, Locale]:
        try:
            facts = allowed_facts(trigger.purpose, dict(trigger.facts))
            _check_statement(trigger)
            name, phrases, locale = _find(trigger, self._locale_for(trigger, recipient), variant)
            words: dict[str, object] = {name: _worded(value) for name, value in facts.items()}
            if len(trigger.totals) > 1:
                words["amount_open"] = tuple(total.open for total in trigger.totals)
            rendered = (
                _letters(locale)
                .get_template(name)
                .render(
                    **{**dict.fromkeys(MAY_BE_MISSING), **words, **_name(recipient)},
                    firm_name=self._firm_name,
                )
            )
        except TemplateNotFound as error:
            message = f"there is no template {error.name}"
            raise ContentError(message) from error
        except (TemplateError, ForbiddenFactError, ValueError, TypeError) as error:
            message = f"{trigger.journey.value}/{trigger.step}: {error}"
            raise ContentError(message) from error
        return rendered, phrases, locale

    def _locale_for(self, trigger: Trigger, recipient: Recipient) -> Locale:
        if _is_for_staff(template_name(trigger.journey, trigger.step, trigger.tone)):
            return self._firm_locale
        return locale_named(recipient.locale)


def template_name(journey: Journey, step: str, tone: Tone, *, variant: str = "", language: str = ENGLISH) -> str:
    """Return the path of a template below the templates folder; `variant` is `.sms` for text messages.

    A firm step that is to be said more softly is said in the words of the step that is structured or gentle by itself.
    """
    if step.startswith(APPROVE):
        journey, step = Journey.DELAY_SUPPORT, APPROVE.rstrip("_")  # one letter to colleagues, whatever is to be approved
    step = SOFTER.get((step, tone), step)
    folder = "" if language == ENGLISH else f"{language}/"
    return f"{folder}{journey.value}/{step}.{tone.value}{variant}.j2"


def _find(trigger: Trigger, locale: Locale, variant: str) -> tuple[str, Phrases, Locale]:
    """Return the template of a message, and the words and locale that go with its language. Raises TemplateNotFound."""
    spoken, written = tongue(locale)
    known = _templates()
    # Short texts have one register: where the tone has none of its own, the step's words do.
    tones = (trigger.tone, *(tone for tone in Tone if variant and tone is not trigger.tone))
    for phrases, place in ((spoken, written), (PHRASES[ENGLISH], FALLBACK)):
        for tone in tones:
            name = template_name(trigger.journey, trigger.words or trigger.step, tone, variant=variant, language=phrases.language)
            if name in known:
                return name, phrases, place
    raise TemplateNotFound(template_name(trigger.journey, trigger.words or trigger.step, trigger.tone, variant=variant))


def _check_statement(trigger: Trigger) -> None:
    if trigger.statement and trigger.purpose is not Purpose.SERVICING:
        message = f"{trigger.purpose.value} messages may not state invoices"
        raise ForbiddenFactError(message)


def parse(rendered: str) -> Letter:
    """Take a rendered template apart; raises ContentError when it has no subject or no text, or is far too long."""
    head, _, body = rendered.strip().partition("\n\n")
    fields = dict(line.partition(": ")[::2] for line in head.splitlines())
    subject, small_print = fields.get("Subject", "").strip(), ""
    body, _, small_print = body.partition(_SMALL_PRINT)
    blocks = tuple(block for part in re.split(r"\n\s*\n", body) for block in _blocks(part))
    if not subject or not blocks or len(rendered) > LONGEST_MESSAGE:
        message = f"a message needs a subject and a text of at most {LONGEST_MESSAGE} characters"
        raise ContentError(message)
    return Letter(subject, fields.get("To") == _TO_STAFF, blocks, _joined(small_print))


def _blocks(part: str) -> Iterator[Block]:
    """Yield the paragraph and the list that follows it without an empty line between, as far as they are there."""
    intro, *items = re.split(r"^- ", part, flags=re.MULTILINE)
    if intro.strip():
        yield Block((_joined(intro),), is_list=False)
    if items:
        yield Block(tuple(_joined(item) for item in items), is_list=True)


@dataclass(frozen=True, slots=True)
class WordedLink:
    """A link and what it says."""

    address: str
    words: str


def _worded_links(make: MakeLinks, trigger: Trigger, phrases: Phrases) -> tuple[WordedLink, WordedLink]:
    links = make(trigger, phrases.language)
    return WordedLink(links.answer, phrases.answer[trigger.purpose]), WordedLink(links.opt_out, phrases.opt_out)


def _text(letter: Letter, *, greeting: str, signature: str, links: Sequence[WordedLink]) -> str:
    blocks = ["\n".join(f"- {line}" for line in block.lines) if block.is_list else block.lines[0] for block in letter.blocks]
    if letter.statement:
        blocks.insert(1, _columns([Row(*letter.phrases.statement), *letter.statement]))
    small_print = f"--\n{letter.small_print}" if letter.small_print else ""
    for link in links:
        small_print += f"\n\n{link.words}:\n{link.address}"
    return "\n\n".join(part for part in (greeting, *blocks, signature, small_print) if part) + "\n"


def _columns(rows: Sequence[Row]) -> str:
    """Return rows as columns of text: names to the left, amounts to the right, an empty line between currencies."""
    widths = [max(len(getattr(row, name)) for row in rows) for name in ("invoice", "due", "amount")]
    lines = []
    for row in rows:
        line = f"{row.invoice:<{widths[0]}}  {row.due:<{widths[1]}}  {row.amount:>{widths[2]}}".rstrip()
        lines += [line, ""] if row.kind is RowKind.TOTAL else [line]
    return "\n".join(lines).rstrip()


def _environment(*, escape: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=PackageLoader("handlers.channels"),
        undefined=StrictUndefined,
        autoescape=escape,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.clear()
    environment.filters.clear()
    return environment


@lru_cache(maxsize=64)
def _letters(locale: Locale) -> ImmutableSandboxedEnvironment:
    """Return the environment of one locale: templates may use these four filters and no function at all."""
    environment = _environment(escape=False)
    environment.filters["money"] = lambda value: amounts_in_words(_known(value), locale)
    environment.filters["day"] = lambda value: day_in_words(_known(value), locale)
    environment.filters["number"] = lambda value: number_in_words(_known(value), locale)
    environment.filters["invoices"] = lambda numbers, count: invoices_in_words(
        _known(numbers), count=_known(count), locale=locale
    )
    return environment


def _known(value: T) -> T:
    if isinstance(value, Undefined):
        str(value)  # raises the error that names the fact
    return value


@lru_cache(maxsize=1)
def _page() -> ImmutableSandboxedEnvironment:
    return _environment(escape=True)


def invoices_in_words(numbers: str, *, count: int, locale: Locale) -> str:
    """Return how a sentence names `count` invoices, of which `numbers` lists the first five."""
    phrases, _ = tongue(locale)
    form = phrases.invoice if count == 1 else phrases.invoices if count <= LISTED else phrases.more
    return form.format(numbers=numbers, count=number_in_words(count, locale))


@lru_cache(maxsize=256)
def _is_for_staff(name: str) -> bool:
    environment = _page()
    if name not in _templates() or environment.loader is None:
        return False
    source, _, _ = environment.loader.get_source(environment, name)
    return f"\nTo: {_TO_STAFF}\n" in source.partition("\n\n")[0] + "\n"


@lru_cache(maxsize=1)
def _templates() -> frozenset[str]:
    loader = PackageLoader("handlers.channels")
    return frozenset(loader.list_templates())


def _greeting(recipient: Recipient, phrases: Phrases) -> str:
    name = _plain(recipient.name or "")
    return phrases.greeting.format(name=name) if name else phrases.greeting_without_name


def _name(recipient: Recipient) -> dict[str, str]:
    name = _plain(recipient.name or "")
    return {"name": name} if name else {}


def _worded(value: str | int | Money) -> str | int | Money:
    return _plain(value) if isinstance(value, str) else value


def _plain(value: str) -> str:
    # A fact is one line: it can neither start a paragraph or a header of ours nor speak to a terminal.
    return _joined(_CONTROL.sub(" ", value))


def _joined(text: str) -> str:
    # Ordinary blanks only: the one inside 1.250,00 € is there so that no line breaks at it.
    return _BLANKS.sub(" ", text).strip(" ")
