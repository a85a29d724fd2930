"""Writes the message of a trigger: one template per journey, step and tone, from which text and HTML both come.

A template is a head (`Subject:`, and `To: staff` for messages to colleagues), an empty line and paragraphs; lines that begin with
`- ` make a list, what follows a line `--` is small print. It is rendered once, as text; the HTML is laid out from that text, so
the two cannot differ, and everything in it is escaped once.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from babel import Locale
from jinja2 import PackageLoader, Template, TemplateError, TemplateNotFound

from handlers.channels.contract import Content, ContentError, Recipient
from handlers.channels.example_facts import MAY_BE_MISSING
from handlers.channels.library import PACKAGE, PAGE, TO_STAFF, Library, sandbox, template_name
from handlers.channels.links import MakeLinks
from handlers.channels.phrases import ENGLISH, PHRASES, Phrases, tongue
from handlers.channels.short_text import SMS, short_content
from handlers.channels.statement import Row, RowKind, rows_of
from handlers.channels.wording import FALLBACK, locale_named
from models.events.signals import Purpose
from models.journey_names import RENEWALS
from models.money import Money
from models.policy.facts import ForbiddenFactError, allowed_facts
from models.triggers import Tone, Trigger

LONGEST_MESSAGE: Final = 20_000
"""Characters; a longer one is a mistake in a template."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_BLANKS: Final = re.compile(r"[ \t\n]+")
_SMALL_PRINT: Final = "\n--\n"


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
    """Renders messages in the words of a library; facts are data and never templates."""

    def __init__(
        self, *, firm_name: str, firm_locale: str = "en_GB", links: MakeLinks | None = None, library: Library = PACKAGE
    ) -> None:
        """Sign with `firm_name`; messages to clients carry `links`, none without. Colleagues are written to in `firm_locale`."""
        self._library = library
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
        page = _page().render(letter=letter, greeting=greeting, signature=signature, links=links or (), firm_name=self._firm_name)
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
            name, phrases, locale = self._find(trigger, self._locale_for(trigger, recipient), variant)
            words: dict[str, object] = {name: _worded(value) for name, value in facts.items()}
            if len(trigger.totals) > 1:
                words["amount_open"] = tuple(total.open for total in trigger.totals)
            rendered = (
                self._library.letters(locale)
                .get_template(name)
                .render(
                    **{**MAY_BE_MISSING, **words, **_name(recipient)},
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
        if self._library.is_for_staff(trigger.journey, trigger.step, trigger.tone):
            return self._firm_locale
        return locale_named(recipient.locale)

    def _find(self, trigger: Trigger, locale: Locale, variant: str) -> tuple[str, Phrases, Locale]:
        """Return the template of a message, and the words and locale that go with its language. Raises TemplateNotFound.

        Where the client's language has none: English, else the firm's own language, else the next one that has.
        """
        # Short texts have one register: where the tone has none of its own, the step's words do.
        tones = (trigger.tone, *(tone for tone in Tone if variant and tone is not trigger.tone))
        firm = (tongue(self._firm_locale)[0].language, self._firm_locale)
        others = ((language, Locale.parse(language)) for language in PHRASES)
        said = trigger.words or trigger.step
        for language, place in ((locale.language, locale), (ENGLISH, FALLBACK), firm, *others):
            for tone in tones:
                name = template_name(trigger.journey, said, tone, variant=variant, language=language)
                if language in PHRASES and name in self._library.names:
                    return name, PHRASES[language], place
        raise TemplateNotFound(template_name(trigger.journey, said, trigger.tone, variant=variant))


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
    return Letter(subject, fields.get("To") == TO_STAFF, blocks, _joined(small_print))


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
    words = phrases.answer_renewal if trigger.journey in RENEWALS else phrases.answer[trigger.purpose]
    return WordedLink(links.answer, words), WordedLink(links.opt_out, phrases.opt_out)


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


@lru_cache(maxsize=1)
def _page() -> Template:
    environment = sandbox(escape=True)
    environment.loader = PackageLoader("handlers.channels")
    return environment.get_template(PAGE)


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
