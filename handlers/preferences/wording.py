"""What the pages say, one file per language; a file that lacks a sentence or has one too many is not read at all."""

import tomllib
from datetime import date, time
from functools import lru_cache
from importlib.resources import files
from typing import Final

import msgspec
from babel.dates import format_date, format_time

LANGUAGES: Final = ("en", "de", "fr", "es")
"""Those the messages are written in as well; the first is spoken where the reader's is none of them."""

_LONGEST_HEADER: Final = 200


class OfferWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one form says; empty: it has no such line."""

    button: str
    heading: str = ""
    text: str = ""
    day: str = ""
    words: str = ""
    channel: str = ""
    hours: str = ""
    invoice: str = ""
    reason: str = ""


class Offers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One form per choice."""

    promise: OfferWords
    plan: OfferWords
    dispute: OfferWords
    contact: OfferWords
    not_me: OfferWords
    snooze: OfferWords
    less: OfferWords
    channel: OfferWords
    hours: OfferWords
    usual: OfferWords
    wake: OfferWords
    opt_out: OfferWords
    allow: OfferWords
    renew: OfferWords
    defer: OfferWords


class Stops(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the end of messages means, by purpose; of monthly statements alone."""

    servicing: str
    relationship: str
    promotion: str
    statement: str


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of a title and a sentence."""

    title: str
    line: str


class Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each choice led to."""

    promise: Note
    plan: Note
    dispute: Note
    contact: Note
    not_me: Note
    snooze: Note
    less: Note
    channel: Note
    hours: Note
    usual: Note
    wake: Note
    opt_out: Note
    allow: Note
    renew: Note
    defer: Note


class Sorry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What cannot be done, and what to do instead."""

    expired: Note
    broken: Note
    unreadable: Note
    not_saved: Note


class Refused(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why an answer cannot be taken as it is, by `AnswerRefusal`."""

    other_link: str
    no_contact: str
    no_day: str
    out_of_reach: str
    no_channel: str
    no_hours: str
    no_invoice: str
    no_amount: str
    no_reason: str


class Channels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ways to be reached, as they stand in a list and in a sentence after a colon."""

    email: str
    sms: str
    portal: str


class Reasons(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a dispute may be about, as it stands in a list; `unsaid` comes first."""

    unsaid: str
    amount: str
    work: str
    not_ordered: str
    paid: str
    details: str
    other: str


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language. `locale` is how it writes days.

    Sentences may hold `{request_days}`, `{snooze_days}`, `{day}`, `{channel}` and `{hours}`.
    """

    locale: str
    ask: str
    ask_line: str
    ask_stop: str
    reply: str
    all_invoices: str
    offers: Offers
    stops: Stops
    done: Done
    sorry: Sorry
    refused: Refused
    channels: Channels
    any_hour: str
    reasons: Reasons

    def day(self, day: date) -> str:
        """Return a day as this language writes it: `20 March 2026`."""
        return format_date(day, format="long", locale=self.locale)

    def hours(self, hours: str) -> str:
        """Return hours of a day as this language writes them: eight to noon, or that any will do; empty for none."""
        begins, _, ends = hours.partition("-")
        if not ends:
            return self.any_hour if hours else ""
        return " \N{EN DASH} ".join(
            format_time(time.fromisoformat(clock), format="short", locale=self.locale) for clock in (begins, ends)
        )


@lru_cache(maxsize=len(LANGUAGES))
def words_in(language: str) -> Words:
    """Return the words of one of `LANGUAGES`; raises msgspec.ValidationError when its file is not whole."""
    text = (files("handlers.preferences") / "languages" / f"{language}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Words)


def language_for(message: str, header: str) -> str:
    """Return the language to speak: that of the message (`de`, empty where unknown), else the browser's first known one.

    `header` is an `Accept-Language` as RFC 9110 has it, such as `fr-CH, fr;q=0.9, en;q=0.8`.
    """
    if message in LANGUAGES:
        return message
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate(header[:_LONGEST_HEADER].split(",")):
        name, _, quality = part.partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            weight = 0.0
        ranked.append((-weight, place, name.strip().partition("-")[0].lower()))
    return next((name for weight, _, name in sorted(ranked) if weight and name in LANGUAGES), LANGUAGES[0])
