"""`rapport policy show|lint|words|backtest|forecast|adopt|activate|migrate` (`policy`, a cyclopts App)."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handlers.channels.template_facts import facts_of
from handlers.commands.options import JsonOption, PolicyOption, TemplatesOption
from handlers.commands.policies.activation import activate
from handlers.commands.policies.choosing import chosen_policy
from handlers.commands.policies.migrate import migrate
from handlers.commands.policies.own_words import lint_words, words
from handlers.commands.policies.trials import adopt, forecast, try_policy
from handlers.commands.policies.words import TITLES, Chapter, again_words, chapters, missed_words, rules
from handlers.terminal.documents import in_json
from models.policy.document import document_of, policy_of
from models.policy.finding import Severity
from models.policy.lint import lint
from models.policy.policy import DEFAULT_POLICY, Policy
from models.triggers import Journey
from streams.runtime.settings import load_settings
from streams.wire.policy_file import PolicyFileError, read_policy_file, write_policy
from streams.wire.topics import CHANNELS

policy = App(
    name="policy",
    help="""Show, check and try policies: who gets what, when, in which tone, and what stops it.

    A policy is a YAML file under your version control; start from the default: rapport policy show --yaml > firm.yaml.
    Workers take it with --policy firm.yaml or RAPPORT_POLICY_FILE, or all at once, without a restart, by `rapport policy
    activate`; what has begun goes on by it with `rapport policy migrate`. Everything else here only shows and tries: it contacts
    and changes nobody.
    """,
)

policy.command(try_policy, name="backtest")
policy.command(forecast)
policy.command(adopt)
policy.command(words)
policy.command(activate)
policy.command(migrate)

_WIDTH: Final = 150


@policy.command
def show(
    *,
    file: PolicyOption = None,
    templates: TemplatesOption = None,
    as_yaml: Annotated[bool, Parameter(name="--yaml", negative=(), help="As a policy file, with nothing left out.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Show a policy as tables: who gets what, when, in which tone, for how long it may still be sent, why, and what stops it.

    Example: rapport policy show --policy firm.yaml

    Exit codes: 0 shown, 2 the file is no policy.
    """
    chosen = chosen_policy(file, templates)
    if as_yaml:
        print(write_policy(document_of(_as_written(file))), end="")
    elif as_json:
        content = {"version": chosen.version, "rules": list(rules(chosen)), "journeys": [asdict(row) for row in chapters(chosen)]}
        print(in_json(content))
    else:
        _print_policy(chosen)
    return 0


@policy.command(name="lint")
def check(
    file: Annotated[Path, Parameter(help="The policy file.")],
    /,
    *,
    templates: TemplatesOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check a policy file before it is used, and the firm's own templates with it.

    Types and names; steps that are never reached, out of order or there twice; messages still sendable when the next is due;
    channels without a worker; steps without a template in their tone; tones firmer than a segment may meet; messages that state
    facts their purpose may not, or promote what the client did not ask for; predicates that must stop a message but do not.
    Of templates of the firm's own: that something uses them, that they can be written in every case, and keep what ours keep.

    Example: rapport policy lint firm.yaml

    Exit codes: 0 sound (there may be warnings), 1 errors, 2 the file cannot be read.
    """
    try:
        read = read_policy_file(file)
    except PolicyFileError as error:
        _report([{"severity": "error", "problem": problem} for problem in error.problems], as_json=as_json)
        return 1
    settings = load_settings()
    findings = lint(read.document, channels=CHANNELS, facts_stated=facts_of(settings, templates))
    found = [(row.severity, f"{read.where(row)}: {row.message}; fix: {row.fix}") for row in findings]
    built = policy_of(read.document, home_zone=settings.firm_timezone)
    found += [(row.severity, said) for row, said in lint_words(settings, templates, built)]
    found.sort(key=lambda row: row[0] is Severity.WARNING)
    _report([{"severity": severity.value, "problem": problem} for severity, problem in found], as_json=as_json)
    if any(severity is Severity.ERROR for severity, _ in found):
        return 1
    if not as_json:
        print(f"{read.name} is sound: version {built.version}")
    return 0


def _as_written(file: Path | None) -> Policy:
    """Return the policy without the public calendars, which come with the release."""
    settings = load_settings()
    written = file or settings.policy_file
    return policy_of(read_policy_file(written).document, home_zone=settings.firm_timezone) if written else DEFAULT_POLICY


def _report(problems: list[dict[str, str]], *, as_json: bool) -> None:
    if as_json:
        print(in_json(problems))
        return
    for row in problems:
        print(f"{row['severity']}: {row['problem']}", file=sys.stderr)


def _print_policy(chosen: Policy) -> None:
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    console.print(f"Policy {chosen.version}", style="bold", markup=False)
    for sentence in rules(chosen):
        console.print(f"- {sentence}", markup=False)
    for chapter in chapters(chosen):
        console.print()
        _print_chapter(console, chapter, again_words(chapter, chosen))


def _print_chapter(console: Console, chapter: Chapter, again: str) -> None:
    table = Table(title=chapter.title or TITLES[Journey(chapter.journey)], title_justify="left", title_style="bold")
    for name in ("who", "step", "when", "through", "tone", "still sent for", "why"):
        table.add_column(name)
    before = ""
    for line in chapter.lines:
        if before and line.who != before:
            table.add_section()
        shown = "" if line.who == before else line.who
        cells = (shown, line.step, line.when, line.through, line.tone, line.sendable, line.why)
        table.add_row(*(Text(cell) for cell in cells))
        before = line.who
    console.print(table)
    for sentence in chapter.begins:
        console.print(sentence, markup=False)
    console.print(f"Found later than that, because nothing ran: {missed_words(chapter)}", markup=False)
    if again:
        console.print(f"Without an answer or payment said once more, by another channel: {again}", markup=False)
    console.print("Stops as soon as:", markup=False)
    for stop in chapter.stops:
        console.print(f"  - {stop}", markup=False)
