"""Where the words of messages come from: the firm's own folder first, what is missing there from the package.

Read once, when a process starts: what is changed on the disk afterwards counts from the next start on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from babel import Locale
from jinja2 import FunctionLoader, PackageLoader, StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from handlers.channels.phrases import ENGLISH, PHRASES, tongue
from handlers.channels.wording import LISTED, amounts_in_words, day_in_words, hours_in_words, number_in_words
from models.policy.facts import ALLOWED_FACTS
from models.policy.guides import BETWEEN
from models.policy.stated import Stated
from models.triggers import APPROVE, AnyJourney, Journey, Tone
from streams.runtime.errors import UsageError

T = TypeVar("T")

SOFTER: Final[Mapping[tuple[str, Tone], str]] = MappingProxyType(
    {
        ("firm_dates", Tone.STRUCTURED): "clear_dates",
        ("firm_dates", Tone.GENTLE): "clear_dates",
        ("last_offer", Tone.STRUCTURED): "offer_plan",
        ("last_offer", Tone.GENTLE): "offer_plan",
    }
)
"""Whose words a step takes when it is to be said more softly than it is meant."""

SUFFIX: Final = ".j2"
LARGEST: Final = 100_000
"""Characters of a template; a larger file is none."""

PAGE: Final = "page.html.j2"
"""How HTML is laid out, from the same words as text; it has none of its own."""

TO_STAFF: Final = "staff"
_FACTS: Final = frozenset().union(*ALLOWED_FACTS.values())


def template_name(journey: AnyJourney, step: str, tone: Tone, *, variant: str = "", language: str = ENGLISH) -> str:
    """Return the path of a template below the templates folder; `variant` is `.sms` for text messages.

    A firm step that is to be said more softly is said in the words of the step that is structured or gentle by itself.
    """
    if step.startswith(APPROVE):
        journey, step = Journey.DELAY_SUPPORT, APPROVE.rstrip("_")  # one letter to colleagues, whatever is to be approved
    step = SOFTER.get((step, tone), step)
    return f"{folder_of(language)}{journey.value}/{step}.{tone.value}{variant}{SUFFIX}"


def folder_of(language: str) -> str:
    """Return how the names of templates in `language` begin."""
    return "" if language == ENGLISH else f"{language}/"


@lru_cache(maxsize=1)
def _package() -> PackageLoader:
    return PackageLoader("handlers.channels")


@lru_cache(maxsize=1)
def package_names() -> frozenset[str]:
    """Return the names of all words that ship with the program."""
    return frozenset(_package().list_templates()) - {PAGE}


@lru_cache(maxsize=512)
def package_source(name: str) -> str:
    """Return the text of a template that ships with the program; raises TemplateNotFound."""
    return _package().get_source(sandbox(escape=False), name)[0]


def sandbox(*, escape: bool) -> ImmutableSandboxedEnvironment:
    """Return an environment without any function or filter, which knows no template."""
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=escape, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.clear()
    environment.filters.clear()
    return environment


@dataclass(frozen=True, eq=False)
class Library:
    """All templates by name. `own` are the firm's, of `folder`; a file of the same name there wins over the package's."""

    own: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None

    @cached_property
    def names(self) -> frozenset[str]:
        """All names."""
        return package_names() | self.own.keys()

    def source(self, name: str) -> str:
        """Return the text of a template; raises TemplateNotFound."""
        return self.own[name] if name in self.own else package_source(name)

    def letters(self, locale: Locale) -> ImmutableSandboxedEnvironment:
        """Return the environment of one locale: templates may use these few filters and no function at all."""
        found = self._letters.get(locale)
        if found is None:
            found = self._letters[locale] = self._environment(locale)
        return found

    def languages_of(self, journey: AnyJourney, step: str, tone: Tone) -> list[str]:
        """Return the languages in which a step has words in `tone`."""
        return [language for language in PHRASES if template_name(journey, step, tone, language=language) in self.names]

    def facts_stated(self, journey: AnyJourney, step: str, tone: Tone) -> Stated | None:
        """Return the facts that the template of a step states in any language, with its includes; None without a template.

        A cell that is the firm's own may lack languages: another that it has speaks then.
        """
        spoken = self.languages_of(journey, step, tone)
        if not spoken:
            return None
        names = [template_name(journey, step, tone, language=language) for language in spoken]
        stated: frozenset[str] = frozenset().union(*map(self.variables, names))
        lacking = () if any(name in self.own for name in names) else tuple(PHRASES.keys() - set(spoken))
        own = {read for name in names for read, line in self._readable(name).items() if line}
        return Stated(stated & _FACTS, tuple(language for language in PHRASES if language in lacking), own & _FACTS)

    def variables(self, name: str) -> frozenset[str]:
        """Return every name that a template reads, with its includes; none of one that cannot be read as a template."""
        return frozenset(self._readable(name))

    def _readable(self, name: str) -> dict[str, int]:
        """Return what `placed` says; nothing of what cannot be read, about which the checks of templates have their say."""
        try:
            return self.placed(name)
        except TemplateError:
            return {}

    def placed(self, name: str, *, within: tuple[str, ...] = ()) -> dict[str, int]:
        """Return the line of `name` at which each name is read, 0 of those read by what it includes.

        Raises TemplateSyntaxError or TemplateNotFound, also for templates that include each other in a circle (`within`).
        """
        found = self._placed.get(name)
        if found is None:
            if name in within:
                message = " includes ".join((*within[within.index(name) :], name)) + ", and so on for ever"
                raise TemplateSyntaxError(message, 1, name)
            tree = sandbox(escape=False).parse(self.source(name))
            included = [other for other in meta.find_referenced_templates(tree) if other is not None]
            found = {read: 0 for other in included for read in self.placed(other, within=(*within, name))}
            names = list(tree.find_all(nodes.Name))
            bound = {node.name for node in names if node.ctx == "store"} - _FACTS  # as a loop does; nobody renames a fact away
            for node in names:
                if node.ctx == "load" and node.name not in bound and not found.get(node.name):
                    found[node.name] = node.lineno
            self._placed[name] = found
        return found

    def is_for_staff(self, journey: AnyJourney, step: str, tone: Tone) -> bool:
        """Say whether the template of a step is a letter to colleagues."""
        spoken = self.languages_of(journey, step, tone)
        return bool(spoken) and to_staff(self.source(template_name(journey, step, tone, language=spoken[0])))

    @cached_property
    def _letters(self) -> dict[Locale, ImmutableSandboxedEnvironment]:
        return {}

    @cached_property
    def _placed(self) -> dict[str, dict[str, int]]:
        return {}

    def _environment(self, locale: Locale) -> ImmutableSandboxedEnvironment:
        environment = sandbox(escape=False)
        environment.loader = FunctionLoader(lambda name: (self.source(name), name, lambda: True) if name in self.names else None)
        environment.filters["money"] = lambda value: amounts_in_words(_known(value), locale)
        environment.filters["day"] = lambda value: day_in_words(_known(value), locale)
        environment.filters["number"] = lambda value: number_in_words(_known(value), locale)
        environment.filters["listed"] = lambda value: "\n".join(f"- {line}" for line in _known(value).split(BETWEEN))
        environment.filters["hours"] = lambda value: hours_in_words(_known(value), locale)
        environment.filters["invoices"] = lambda numbers, count: invoices_in_words(
            _known(numbers), count=_known(count), locale=locale
        )
        return environment


PACKAGE: Final = Library()
"""The words that ship with the program, and no others."""


def to_staff(source: str) -> bool:
    """Say whether a template's head makes it a letter to colleagues."""
    return f"\nTo: {TO_STAFF}\n" in source.partition("\n\n")[0] + "\n"


def invoices_in_words(numbers: str, *, count: int, locale: Locale) -> str:
    """Return how a sentence names `count` invoices, of which `numbers` lists the first five."""
    phrases, _ = tongue(locale)
    form = phrases.invoice if count == 1 else phrases.invoices if count <= LISTED else phrases.more
    return form.format(numbers=numbers, count=number_in_words(count, locale))


def read_library(folder: Path | None) -> Library:
    """Return the words of `folder` over the package's; raises UsageError when it cannot be read."""
    if folder is None:
        return PACKAGE
    if not folder.is_dir():
        message = f"there is no folder {folder} with templates; begin one: rapport policy words CELL --write --templates {folder}"
        raise UsageError(message)
    own: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(".") for part in parts):
            own["/".join(parts)] = _text(path)
    return Library(MappingProxyType(own), folder)


def _text(path: Path) -> str:
    try:
        text = path.read_bytes()[: LARGEST + 1].decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read the template {path} ({error}); write text in UTF-8, or take it out of the folder"
        raise UsageError(message) from error
    if len(text) > LARGEST:
        message = f"the template {path} is longer than {LARGEST:,} characters; take it out of the folder"
        raise UsageError(message)
    return text.replace("\r\n", "\n")


def _known(value: T) -> T:
    if isinstance(value, Undefined):
        str(value)  # raises the error that names the fact
    return value
