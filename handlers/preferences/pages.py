"""The pages behind links: small, without scripts, names or amounts, readable by keyboard, screen reader and in the dark."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from jinja2 import PackageLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from handlers.preferences.choices import LONGEST_WORDS, REQUEST_DAYS, SNOOZE_DAYS, UNDO, Answer, Choice, day_in_words, offered
from models.events.signals import Purpose
from streams.wire.links import Link, LinkScope


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One form of a page: what it says, what it asks for, and its button."""

    choice: Choice
    button: str
    heading: str = ""
    text: str = ""
    day: str = ""
    words: str = ""
    must: bool = False
    quiet: bool = True
    plain: bool = False


_OFFERS: Final = MappingProxyType(
    {
        Choice.PROMISE: Offer(
            choice=Choice.PROMISE,
            heading="Name the day on which you will pay",
            text="We plan with that day and do not write about it before.",
            day="Day of payment",
            button="Promise this day",
            quiet=False,
        ),
        Choice.PLAN: Offer(
            choice=Choice.PLAN,
            heading="Ask for a payment plan",
            text=f"Reminders rest for {REQUEST_DAYS} days, so that we can agree on one.",
            words="What would fit (optional)",
            button="Ask for a plan",
        ),
        Choice.DISPUTE: Offer(
            choice=Choice.DISPUTE,
            heading="Something is wrong with the invoice or the work",
            text="Reminders about it stop until that is settled.",
            words="What is wrong (optional)",
            button="Tell us",
        ),
        Choice.CONTACT: Offer(
            choice=Choice.CONTACT,
            heading="Somebody else should get these mails",
            text=f"These mails rest for {REQUEST_DAYS} days. Nobody is written to before we have checked with you.",
            words="Who, and how we reach them",
            must=True,
            button="Ask for the change",
        ),
        Choice.SNOOZE: Offer(
            choice=Choice.SNOOZE,
            heading="Not now",
            text=f"We pause mails like this one for {SNOOZE_DAYS} days.",
            button=f"Pause for {SNOOZE_DAYS} days",
        ),
        Choice.LESS: Offer(
            choice=Choice.LESS,
            heading="Less often",
            text="You then get at most one message within 30 days, whatever it is about.",
            button="Write less often",
        ),
        Choice.USUAL: Offer(choice=Choice.USUAL, button="As often as before", plain=True),
        Choice.OPT_OUT: Offer(choice=Choice.OPT_OUT, heading="No more of these mails", button="Stop these mails"),
        Choice.WAKE: Offer(choice=Choice.WAKE, button="End the pause", plain=True),
        Choice.ALLOW: Offer(choice=Choice.ALLOW, button="That was a mistake: write to me again", plain=True),
    }
)

_STOPS: Final = MappingProxyType(
    {
        Purpose.SERVICING: "You then get no more automatic mails about open invoices. The invoices stay open, and a person may "
        "still get in touch with you.",
        Purpose.RELATIONSHIP: "You then get no more mails that accompany our work together. Mails about invoices still come.",
        Purpose.PROMOTION: "You then get no more mails with offers. Mails about our work together still come.",
    }
)

_DONE: Final = MappingProxyType(
    {
        Choice.PROMISE: (
            "Thank you, noted",
            "You promised to pay by {day}. We do not write about it before that day has passed.",
        ),
        Choice.PLAN: ("Your request is noted", f"Reminders rest for {REQUEST_DAYS} days so that we can agree on a plan."),
        Choice.DISPUTE: ("Noted: something is wrong", "Reminders about it stop until that is settled."),
        Choice.CONTACT: (
            "Your request is noted",
            f"Mails like this one rest for {REQUEST_DAYS} days, so that it can be changed.",
        ),
        Choice.SNOOZE: ("Paused", f"You get no mails like this one for {SNOOZE_DAYS} days."),
        Choice.LESS: ("Noted: less often", "You get at most one message within 30 days from now on."),
        Choice.USUAL: ("As before", "Messages may come as often as before."),
        Choice.WAKE: ("The pause has ended", "Mails like this one may come again."),
        Choice.OPT_OUT: ("Stopped", "You get no more mails like this one. A mail that is already under way may still arrive."),
        Choice.ALLOW: ("Welcome back", "Mails like this one may come again."),
    }
)

_REPLY: Final = "You can always reply to the mail instead: a reply reaches a person."


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """The days a promise may name."""

    first: date
    last: date


class Pages:
    """Renders pages in the name of one firm."""

    def __init__(self, *, firm_name: str) -> None:
        """Speak for `firm_name`."""
        self._firm_name = firm_name

    def ask(self, link: Link, *, form: str, days: Days, error: str = "", given: Answer | None = None) -> str:
        """Return the page that `link` opens; with `error`, what was `given` is kept."""
        one = link.scope is LinkScope.OPT_OUT
        offers = [_offer(link, choice, alone=one) for choice in offered(link)]
        title = "Stop these mails?" if one else "What suits you?"
        lines = (_STOPS[link.purpose],) if one else ("Choose what fits. Nothing happens before you press a button.",)
        return self._page(title, lines=lines, offers=offers, form=form, days=days, error=error, given=given, closing=_REPLY)

    def done(self, answer: Answer, *, form: str, days: Days) -> str:
        """Return the page that says what `answer` led to, with a way back where there is one."""
        title, line = _DONE[answer.choice]
        undo = UNDO.get(answer.choice)
        offers = [] if undo is None else [_OFFERS[undo]]
        return self._page(
            title,
            lines=(line.format(day=day_in_words(date.fromisoformat(answer.day)) if answer.choice is Choice.PROMISE else ""),),
            offers=offers,
            form=form,
            days=days,
            closing=_REPLY,
        )

    def sorry(self, title: str, *lines: str) -> str:
        """Return a page that offers nothing."""
        return self._page(title, lines=lines, closing="")

    def _page(
        self,
        title: str,
        *,
        lines: tuple[str, ...],
        offers: list[Offer] | None = None,
        form: str = "",
        days: Days | None = None,
        error: str = "",
        given: Answer | None = None,
        closing: str,
    ) -> str:
        return (
            _environment()
            .get_template("page.html.j2")
            .render(
                title=title,
                firm_name=self._firm_name,
                style=_style(),
                lines=lines,
                offers=offers or [],
                form=form,
                first_day=days.first.isoformat() if days else "",
                last_day=days.last.isoformat() if days else "",
                longest_words=LONGEST_WORDS,
                error=error,
                given=given or Answer(choice=Choice.OPT_OUT, form=""),
                closing=closing,
            )
        )


@lru_cache(maxsize=1)
def content_policy() -> str:
    """Return the Content-Security-Policy of all pages: one known style, forms to ourselves, nothing else, no frames."""
    style = b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


def _offer(link: Link, choice: Choice, *, alone: bool) -> Offer:
    offer = _OFFERS[choice]
    if choice is not Choice.OPT_OUT:
        return offer
    if alone:
        return Offer(choice=choice, button=offer.button, quiet=False, plain=True)
    return Offer(choice=choice, heading=offer.heading, text=_STOPS[link.purpose], button=offer.button)


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
