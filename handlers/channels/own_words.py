"""Holds the firm's own templates against all that ours keep: names, facts, tone, footer, and that they can be rendered.

A wrong file keeps the channels from starting: a message that cannot be written would be found out only when it is due.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from types import MappingProxyType, TracebackType
from typing import Final, NamedTuple

from jinja2 import TemplateNotFound, TemplateSyntaxError

from handlers.channels.content import Writer
from handlers.channels.contract import Content, ContentError, Recipient
from handlers.channels.example_facts import cases, example_of, own_example, purpose_of
from handlers.channels.library import PAGE, SUFFIX, Library, folder_of, package_names, package_source, template_name, to_staff
from handlers.channels.manners import unmannerly
from handlers.channels.phrases import ENGLISH, PHRASES
from handlers.channels.short_text import SMS
from models.events.signals import Purpose
from models.policy.facts import ALLOWED_FACTS, Fact
from models.policy.finding import Severity
from models.policy.journeys import OwnEntry, Step
from models.policy.policy import Policy
from models.policy.tones import RELATIONSHIP_CEILING, is_above, softer_than
from models.triggers import AnyJourney, Journey, Tone, Trigger
from streams.runtime.errors import UsageError

_FIRM: Final = "The Firm"
_AT: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_LOCALES: Final[Mapping[str, str]] = MappingProxyType({ENGLISH: "en_GB", "de": "de_DE", "fr": "fr_FR", "es": "es_ES"})
_LONGEST_SUBJECT: Final = 100
_SHOWN: Final = 5
_FOOTER: Final = re.compile(rf"_(servicing|relationship)_footer\{SUFFIX}")


class Use(NamedTuple):
    """What a template is for: a cell of a journey's step and tone, the facts at hand there, and who reads it."""

    journey: AnyJourney
    step: str
    tone: Tone
    variant: str
    staff: bool
    facts: Mapping[str, Fact]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a file of the firm's folder, at which line, and the fix."""

    name: str
    line: int
    message: str
    fix: str
    severity: Severity = Severity.ERROR
    unused: bool = False

    def words(self, library: Library) -> str:
        """Return file, line, what is wrong and what to do."""
        return f"{library.folder}/{self.name}:{self.line}: {self.message}; fix: {self.fix}"


class WordsError(UsageError):
    """The firm's own templates cannot be used."""

    def __init__(self, library: Library, problems: list[Problem]) -> None:
        """Keep all problems; the message shows the first few."""
        more = [f"... and {len(problems) - _SHOWN} more: rapport policy lint"] if len(problems) > _SHOWN else []
        said = [row.words(library) for row in problems[:_SHOWN]]
        super().__init__("\n  ".join([f"the templates in {library.folder} cannot be used:", *said, *more]))


def uses_of(policy: Policy) -> dict[str, Use]:
    """Return what every template is for that ships with the program or that a step of `policy` may be said in, by its name."""
    uses: dict[str, Use] = {}
    for name in sorted(package_names()):
        journey, _, cell = name.rpartition("/")
        named, *rest = cell.removesuffix(SUFFIX).split(".")
        if journey not in {*Journey}:  # another language has the same cells; layout and footers are none
            continue
        of_plan = "instalments" in package_source(name)
        use = Use(
            Journey(journey),
            named,
            Tone(rest[0]),
            ".sms" if rest[1:] else "",
            to_staff(package_source(name)),
            example_of(Journey(journey), named, of_plan=of_plan),
        )
        _add(uses, use)
    own = {row.journey: row.entry for row in policy.journeys.own if isinstance(row.entry, OwnEntry)}
    planned = {step.id for step in policy.journeys.instalment.steps}
    for journey_of, step in policy.journeys.named_steps():
        softer = softer_than(step.tone) if journey_of is Journey.DELAY_SUPPORT else ()
        entry = own.get(journey_of)
        facts = own_example(entry) if entry else example_of(journey_of, step.id, of_plan=step.id in planned)
        for tone in (step.tone, *softer):
            for variant in ("", f".{SMS}"):
                _add(uses, Use(journey_of, step.id, tone, variant, _is_internal(step, policy), facts))
    return uses


def problems_of(library: Library, policy: Policy) -> list[Problem]:
    """Return what is wrong with the firm's own templates, in the order of their names; none where it has none."""
    if not library.own:
        return []
    uses = uses_of(policy)
    found: list[Problem] = []
    for name, source in library.own.items():
        language, bare = _split(name)
        use = uses.get(bare)
        if _FOOTER.fullmatch(bare):
            problem = _footer(library, name)
        elif bare.startswith("_"):
            problem = _part(library, name, uses)
        elif use is None:
            problem = _nothing_uses(name, bare, uses)
        else:
            problem = next(_wrong(library, name, source, use, language=language), None)
        found += [problem] if problem else []
    broken = {row.name for row in found}
    return [*found, *(row for row in _untranslated(library, uses) if row.name not in broken)]


def refuse_wrong_words(library: Library, policy: Policy) -> list[Problem]:
    """Raise WordsError when a file cannot be used; return what is worth a word.

    A file that nothing uses under `policy` is worth a word only: the policy in force may be another, and have that step.
    """
    problems = problems_of(library, policy)
    wrong = [row for row in problems if row.severity is Severity.ERROR and not row.unused]
    if wrong:
        raise WordsError(library, wrong)
    return problems


def _add(uses: dict[str, Use], use: Use) -> None:
    uses.setdefault(template_name(use.journey, use.step, use.tone, variant=use.variant), use)


def _is_internal(step: Step, policy: Policy) -> bool:
    return step.channel in policy.internal_channels


def _split(name: str) -> tuple[str, str]:
    """Return the language of a template and its name without it."""
    language, _, bare = name.partition("/")
    return (language, bare) if language in PHRASES and language != ENGLISH else (ENGLISH, name)


def _part(library: Library, name: str, uses: Mapping[str, Use]) -> Problem | None:
    """Try a part in every template that includes it, ours too."""
    include = re.compile(rf"""\{{%-?\s*include\s+["']{re.escape(name)}["']""")
    tried = [(each, uses.get(_split(each)[1])) for each in sorted(library.names) if include.search(library.source(each))]
    if not tried:
        return Problem(name, 1, "nothing uses it: no template includes it", "include it, or take it out", unused=True)
    for each, use in tried:
        if use is not None:
            language, _ = _split(each)
            problem = next(chain(_placed(library, name, use), _rendered(library, each, use, language, part=name)), None)
            if problem:
                return problem
    return None


def _nothing_uses(name: str, bare: str, uses: Mapping[str, Use]) -> Problem:
    language = name.removesuffix(bare)
    if name == PAGE:
        return Problem(name, 1, "the page belongs to the program: text and HTML are laid out from the same words", "take it out")
    near = difflib.get_close_matches(bare, uses, n=1) or difflib.get_close_matches(name, uses, n=1)
    fix = f"did you mean {language}{near[0]}?" if near else "rapport policy words lists the names there are"
    journey, _, cell = bare.partition("/")
    tone = cell.removesuffix(SUFFIX).partition(".")[2]
    in_care = journey in {*Journey} and purpose_of(Journey(journey)) is not Purpose.SERVICING
    if in_care and tone in {*Tone} and is_above(Tone(tone), RELATIONSHIP_CEILING):
        message = f"{tone} is firmer than {journey} may speak ({RELATIONSHIP_CEILING} at most)"
        return Problem(name, 1, message, f"write it {RELATIONSHIP_CEILING}")
    return Problem(name, 1, "nothing uses it: there is no such step in this tone", fix, unused=True)


def _wrong(library: Library, name: str, source: str, use: Use, *, language: str) -> Iterator[Problem]:
    """Yield what is wrong with one template; only the first counts, as one mistake often leads to others."""
    yield from _placed(library, name, use)
    if not use.variant and to_staff(source) is not use.staff:
        whom = "colleagues: its head needs the line To: staff" if use.staff else "the client: To: staff must not be in its head"
        yield Problem(name, 1, f"{use.journey}/{use.step} is written to {whom}", "correct the head")
    for number, line in enumerate(source.splitlines(), 1):
        if line.endswith("%}") and not line.startswith("{%"):
            yield Problem(name, number, "the tag at its end swallows the end of the line", "write the tag on a line of its own")
    if not use.staff:
        servicing = purpose_of(use.journey) is Purpose.SERVICING
        for number, message, fix in unmannerly(source, language, servicing=servicing, short=bool(use.variant)):
            yield Problem(name, number, message, fix)
    yield from _rendered(library, name, use, language)


def _placed(library: Library, name: str, use: Use) -> Iterator[Problem]:
    try:
        placed = library.placed(name)
    except (TemplateSyntaxError, TemplateNotFound) as error:
        line = error.lineno if isinstance(error, TemplateSyntaxError) else 1
        why = error.message or f"there is no {error}"
        yield Problem(name, line, f"it cannot be read: {why}", "rapport policy words CELL shows one that can")
        return
    yield from _facts(name, placed, use)


def _facts(name: str, placed: Mapping[str, int], use: Use) -> Iterator[Problem]:
    purpose = purpose_of(use.journey)
    for fact, line in placed.items():
        if fact == "firm_name" or fact in use.facts:
            continue
        at = line or 1
        if fact in ALLOWED_FACTS[purpose]:
            known = ", ".join(sorted(use.facts))
            yield Problem(name, at, f"{use.journey}/{use.step} is not told {fact}", f"use some of {known}")
        elif fact in frozenset().union(*ALLOWED_FACTS.values()):
            yield Problem(name, at, f"it states {fact}, which a {purpose} message may not", "take the fact out")
        else:
            near = difflib.get_close_matches(fact, [*use.facts, "firm_name"], n=1)
            fix = f"did you mean {near[0]}?" if near else f"use some of {', '.join(sorted(use.facts))}"
            yield Problem(name, at, f"there is no fact {fact}", fix)


def _rendered(library: Library, name: str, use: Use, language: str, *, part: str = "") -> Iterator[Problem]:
    """Write a template in every case; what is wrong with `part` that it includes is said of that."""
    where = part or name
    contents = []
    for facts in cases(use.facts):
        try:
            contents.append(_written(library, use, facts, language))
        except ContentError as error:
            yield Problem(where, _line_of(error, where), f"it cannot be written: {error}", _fix_of(facts))
            return
    if any("None" in row.text + row.subject for row in contents) and "None" not in contents[0].text + contents[0].subject:
        yield Problem(where, 1, "it writes None where the books lack a name or a service", "ask first: {% if service_line %}")
    if any(len(row.subject) >= _LONGEST_SUBJECT for row in contents):
        yield Problem(where, 1, f"its subject reaches {_LONGEST_SUBJECT} characters", "shorten it")
    if not use.staff and not use.variant:
        footer = _footer_words(_footer_name(use, language))
        if not all(footer in row.text for row in contents):
            include = '{% include "' + _footer_name(use, language) + '" %}'
            yield Problem(
                name, 1, "its end does not say how to stop such mails and that a reply reaches a person", f"end with {include}"
            )


def _written(library: Library, use: Use, facts: Mapping[str, Fact], language: str) -> Content:
    recipient = Recipient(
        name=str(facts["name"]) if "name" in facts else None, email="ada@client.example", locale=_LOCALES[language]
    )
    trigger = Trigger(
        trigger_id="example",
        client_id="example",
        decided_at=_AT,
        journey=use.journey,
        anchor="example",
        step=use.step,
        channel=SMS if use.variant else "email",
        purpose=purpose_of(use.journey),
        legal_basis="contract" if purpose_of(use.journey) is Purpose.SERVICING else "legitimate_interest",
        tone=use.tone,
        not_before=_AT,
        expires_at=_AT + timedelta(days=7),
        cancel_when=(),
        facts=dict(facts),
        reasons=("an example",),
        segment="new",
        policy_version="example",
        learner_version="example",
    )
    return Writer(firm_name=_FIRM, firm_locale=_LOCALES[language], library=library).write(trigger, recipient)


def _line_of(error: BaseException, name: str) -> int:
    """Return the line of template `name` at which rendering ended; 1 where the template does not say."""
    line, cause = 1, error.__cause__ or error
    if isinstance(cause, TemplateSyntaxError):
        return cause.lineno
    step: TracebackType | None = cause.__traceback__
    while step is not None:
        line = step.tb_lineno if step.tb_frame.f_code.co_filename == name else line
        step = step.tb_next
    return line


def _fix_of(facts: Mapping[str, Fact]) -> str:
    return f"it must be sayable with {', '.join(sorted(facts))} alone"


def _footer_name(use: Use, language: str) -> str:
    return f"{folder_of(language)}_{purpose_of(use.journey).value}_footer{SUFFIX}"


def _footer_words(name: str) -> str:
    """Return the small print that every message of a purpose ends with, as the program words it."""
    return " ".join(package_source(name).replace("{{ firm_name }}", _FIRM).split()).removeprefix("-- ")


def _footer(library: Library, name: str) -> Problem | None:
    """Object to a footer that lacks a word of the program's: a firm may add to it, and take nothing away."""
    ours, theirs = (" ".join(source.split()) for source in (package_source(name), library.own[name]))
    if theirs.startswith("--") and ours.removeprefix("-- ") in theirs:
        return None
    fix = f"begin with what rapport policy words {name.removesuffix(SUFFIX)} shows, and add to it"
    return Problem(name, 1, "a footer must keep how to stop such mails and that a reply reaches a person", fix)


def _untranslated(library: Library, uses: Mapping[str, Use]) -> Iterator[Problem]:
    """Say which languages a cell of the firm's lacks, and what is said there instead."""
    cells: dict[str, list[str]] = {}
    for name in library.own:
        language, bare = _split(name)
        if bare in uses and not uses[bare].staff:
            cells.setdefault(bare, []).append(language)
    for bare, written in cells.items():
        lacking = [language for language in PHRASES if language not in written]
        if not lacking:
            continue
        instead = "the program's words" if bare in package_names() else f"these in {min(written, key=[*PHRASES].index)}"
        yield Problem(
            folder_of(written[0]) + bare,
            1,
            f"it is not written in {', '.join(lacking)}: clients who read that get {instead}",
            "write it in every language your clients read",
            Severity.WARNING,
        )
