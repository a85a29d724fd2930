"""All pages behind links in one text per language, as people review them. Write them anew: python -m tests.handlers.pages."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any, Final

from handlers.preferences.choices import Answer, AnswerRefusal, Choice
from handlers.preferences.pages import Days, Pages
from handlers.preferences.wording import LANGUAGES, Sorry
from models.events.signals import Purpose
from models.triggers import Journey
from streams.wire.links import LinkScope
from tests.streams.test_links import link

FOLDER: Final = Path(__file__).parent / "golden" / "pages"
DAYS: Final = Days(first=date(2026, 3, 2), promise=date(2026, 5, 1), last=date(2027, 3, 2))


def every_page(language: str) -> Iterator[tuple[str, str]]:
    """Yield each page by its name: what is asked, by purpose and scope; every answer; every refusal; every apology."""
    made = Pages(firm_name="Ferro & Partner")
    for purpose in Purpose:
        journey = Journey.DELAY_SUPPORT if purpose is Purpose.SERVICING else Journey.RENEWAL
        for scope in (LinkScope.ANSWER, LinkScope.OPT_OUT):
            about = link(purpose=purpose, scope=scope, journey=journey)
            yield f"{purpose.value}, {scope.value}", made.ask(about, language, form="f", days=DAYS)
    for choice in Choice:
        answer = Answer(choice=choice, form="f", day="2026-03-20", channel="portal", hours="08:00-12:00")
        yield f"after {choice.value}", made.done(answer, language, form="f", days=DAYS)
    for refusal in AnswerRefusal:
        answer = Answer(choice=Choice.PROMISE, form="f", day="2026-09-01")
        yield f"refused: {refusal.value}", made.ask(link(), language, form="f", days=DAYS, refusal=refusal, given=answer)
    for what in Sorry.__struct_fields__:
        yield f"sorry: {what}", made.sorry(what, language)


def pages(language: str) -> str:
    """Return what a reader sees of every page."""
    return "\n".join(f"=== {name}\n\n{seen(page)}\n" for name, page in every_page(language))


def seen(page: str) -> str:
    """Return the words of a page, a line for each element."""
    text = re.sub(r"<[^>]*>", "", page.partition("<body>")[2])
    return unescape("\n".join(line.strip() for line in text.splitlines() if line.strip()))


def flat(words: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested words by their dotted names."""
    found: dict[str, str] = {}
    for name, value in words.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def main() -> None:
    """Write all languages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        (FOLDER / f"{language}.txt").write_text(pages(language), encoding="utf-8")


if __name__ == "__main__":
    main()
