"""The pages behind links: small, without scripts, names or amounts, readable by keyboard, screen reader and in the dark."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from jinja2 import PackageLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from handlers.preferences.choices import (
    CHANNELS,
    HOURS,
    LONGEST_WORDS,
    REQUEST_DAYS,
    SNOOZE_DAYS,
    UNDO,
    Answer,
    AnswerRefusal,
    Choice,
    offered,
)
from handlers.preferences.wording import Note, OfferWords, Words, words_in
from models.events.delays import DisputeReason
from models.triggers import Journey
from streams.wire.links import Link, LinkScope

_NUMBERS: Final = MappingProxyType({"request_days": REQUEST_DAYS, "snooze_days": SNOOZE_DAYS})
_TAKEN_BACK: Final = frozenset(UNDO.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One form of a page: what it says, what it asks for, and its button."""

    choice: Choice
    button: str
    heading: str = ""
    text: str = ""
    day: str = ""
    words: str = ""
    channel: str = ""
    hours: str = ""
    invoice: str = ""
    reason: str = ""
    must: bool = False
    quiet: bool = True
    plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """The days a client may name; those after `promise` are asked for rather than promised."""

    first: date
    promise: date
    last: date


class Pages:
    """Renders pages in the name of one firm, each in the language it is asked for."""

    def __init__(self, *, firm_name: str) -> None:
        """Speak for `firm_name`."""
        self._firm_name = firm_name

    def ask(
        self,
        link: Link,
        language: str,
        *,
        form: str,
        days: Days,
        refusal: AnswerRefusal | None = None,
        given: Answer | None = None,
    ) -> str:
        """Return the page that `link` opens; with a `refusal`, what was `given` is kept."""
        words = words_in(language)
        one = link.scope is LinkScope.OPT_OUT
        offers = [_offer(link, choice, words, alone=one) for choice in offered(link)]
        stop = _stops(link, words)
        note = Note(words.ask_stop, stop) if one else Note(words.ask, words.ask_line)
        error = "" if refusal is None else refused_in_words(refusal, language, last=days.last)
        several = link.invoice_ids if len(link.invoice_ids) > 1 else ()
        return self._page(language, note, offers=offers, form=form, days=days, error=error, given=given, invoices=several)

    def done(self, answer: Answer, language: str, *, form: str, days: Days) -> str:
        """Return the page that says what `answer` led to, with a way back where there is one."""
        words = words_in(language)
        is_later = answer.choice is Choice.PROMISE and date.fromisoformat(answer.day) > days.promise
        said: Note = words.done.plan if is_later else getattr(words.done, answer.choice.value)
        day = words.day(date.fromisoformat(answer.day)) if answer.choice is Choice.PROMISE else ""
        channel = getattr(words.channels, answer.channel, "")
        hours = words.hours(answer.hours) if answer.choice is Choice.HOURS else ""
        undo = UNDO.get(answer.choice)
        offers = [] if undo is None else [_formed(undo, words)]
        return self._page(
            language,
            Note(said.title, said.line.format(day=day, channel=channel, hours=hours, **_NUMBERS)),
            offers=offers,
            form=form,
            days=days,
        )

    def sorry(self, what: str, language: str) -> str:
        """Return a page that offers nothing; `what` is a field of `wording.Sorry`."""
        note: Note = getattr(words_in(language).sorry, what)
        return self._page(language, note)

    def _page(
        self,
        language: str,
        note: Note,
        *,
        offers: list[Offer] | None = None,
        form: str = "",
        days: Days | None = None,
        error: str = "",
        given: Answer | None = None,
        invoices: Sequence[str] = (),
    ) -> str:
        words = words_in(language)
        return (
            _environment()
            .get_template("page.html.j2")
            .render(
                language=language,
                title=note.title,
                firm_name=self._firm_name,
                style=_style(),
                line=note.line,
                offers=offers or [],
                form=form,
                first_day=days.first.isoformat() if days else "",
                last_day=days.last.isoformat() if days else "",
                longest_words=LONGEST_WORDS,
                channels=[(name, getattr(words.channels, name)) for name in CHANNELS],
                invoices=[("", words.all_invoices), *((name, name) for name in invoices)] if invoices else [],
                reasons=[
                    ("", words.reasons.unsaid),
                    *((name.value, getattr(words.reasons, name.value)) for name in DisputeReason),
                ],
                hours=[(name, words.hours(name)) for name in HOURS],
                error=error,
                given=given or Answer(choice=Choice.OPT_OUT, form=""),
                closing="" if offers is None else words.reply,
            )
        )


def refused_in_words(refusal: AnswerRefusal, language: str, *, last: date) -> str:
    """Return why an answer cannot be taken, in a sentence; `last` is the last day that may be promised."""
    words = words_in(language)
    sentence: str = getattr(words.refused, refusal.value)
    return sentence.format(day=words.day(last))


@lru_cache(maxsize=1)
def content_policy() -> str:
    """Return the Content-Security-Policy of all pages: one known style, forms to ourselves, nothing else, no frames."""
    style = b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


def _offer(link: Link, choice: Choice, words: Words, *, alone: bool) -> Offer:
    if choice is not Choice.OPT_OUT:
        return _formed(choice, words)
    said = words.offers.opt_out
    if alone:
        return Offer(choice=choice, button=said.button, quiet=False, plain=True)
    return Offer(choice=choice, heading=said.heading, text=_stops(link, words), button=said.button)


def _stops(link: Link, words: Words) -> str:
    """Return what the end of messages like that of `link` means."""
    kind = "statement" if link.journey == Journey.STATEMENT.value else link.purpose.value
    said: str = getattr(words.stops, kind)
    return said


def _formed(choice: Choice, words: Words) -> Offer:
    said: OfferWords = getattr(words.offers, choice.value)
    return Offer(
        choice=choice,
        button=said.button.format_map(_NUMBERS),
        heading=said.heading,
        text=said.text.format_map(_NUMBERS),
        day=said.day,
        words=said.words,
        channel=said.channel,
        hours=said.hours,
        invoice=said.invoice,
        reason=said.reason,
        must=choice is Choice.CONTACT,
        quiet=choice not in {Choice.PROMISE, Choice.RENEW},
        plain=choice in _TAKEN_BACK,
    )


@lru_cache(maxsize=1)
def _style() -> str:
    return (files("handlers.preferences") / "templates" / "page.css").read_text(encoding="utf-8").strip()


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=PackageLoader("handlers.preferences"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.clear()
    return environment
