"""What documents point at is there: files, anchors, tests, commands, settings; and the index knows every document."""

import re
import subprocess
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from handlers.cli import COMMANDS, load_command
from streams.runtime.metrics import METRICS
from tests.conftest import REPOSITORY

LISTED = subprocess.run(["git", "ls-files", "*.md"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split()
LINK = re.compile(r"\]\((?![a-z]+:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)]*))?\)")
NAMED = re.compile(r"`(?P<path>(?:models|streams|handlers|tests|deploy|docs)/[\w/.-]*\w)(?:::(?P<test>\w+))?`")
COMMAND = re.compile(r"(?:^|`|\$\()rapport (?P<rest>[^`)\n]*(?:\n(?!\n)[^`)\n]*)??)(?=`|\)|$)", re.MULTILINE)
VARIABLE = re.compile(r"\b(?:RAPPORT|BENCH|CHAOS)_[A-Z_]*[A-Z]\b")


def anchors(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", LISTED)
def test_what_a_document_links_to_or_names_exists(name: str) -> None:
    document = REPOSITORY / name
    text = document.read_text(encoding="utf-8")
    for link in LINK.finditer(text):
        target = document.parent / link["path"] if link["path"] else document
        assert target.exists(), link[0]
        assert link["anchor"] is None or link["anchor"] in anchors(target), link[0]
    for named in NAMED.finditer(text):
        path = REPOSITORY / named["path"]
        assert path.exists(), named[0]
        assert named["test"] is None or f"def {named['test']}(" in path.read_text(encoding="utf-8"), named[0]


def test_the_index_leads_to_every_document() -> None:
    index = REPOSITORY / "docs" / "README.md"
    linked = {(index.parent / link["path"]).resolve() for link in LINK.finditer(index.read_text(encoding="utf-8"))}
    missing = [
        name for name in LISTED if not linked & {REPOSITORY / name, *(REPOSITORY / name).parents} and name != "docs/README.md"
    ]
    assert missing == []


@cache
def named(command: str) -> App:
    """Return a subcommand of `rapport` as an app of its own."""
    (known,) = [row for row in COMMANDS if row.name == command]
    target: Any = load_command(known)
    if isinstance(target, App):
        return target
    app = App()
    app.default(target)
    return app


def unknown(words: list[str]) -> list[str]:
    """Return which of the words after `rapport` no command and no option bears; `a|b` stands for either."""
    chosen = words[0].split("|")
    if missing := set(chosen) - {row.name for row in COMMANDS}:
        return sorted(missing)
    apps, rest = [named(name) for name in chosen], words[1:]
    while rest and len(apps) == 1 and (below := {name for name in apps[0] if not name.startswith("-")}):
        if not rest[0].split("|")[0].islower() or rest[0].startswith("-"):
            break
        if missing := set(rest[0].split("|")) - below:
            return sorted(missing)
        apps, rest = [apps[0][name] for name in rest[0].split("|")], rest[1:]
    known = [row for app in apps if app.default_command for row in app.assemble_argument_collection()]
    options = {"--help", *(name for row in known for name in row.names)}
    return [option for word in rest for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", word) if option not in options]


def commands_in(text: str) -> list[list[str]]:
    """Return the words of every command that a document tells the reader to run, after `rapport`."""
    told = [re.sub(r'"[^"]*"', "TEXT", found["rest"]).split() for found in COMMAND.finditer(text)]
    return [words for words in told if words and words[0] != "COMMAND"]


@pytest.mark.parametrize("name", LISTED)
def test_commands_options_settings_and_metrics_that_a_document_names_exist(name: str) -> None:
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    assert [(words, lost) for words in commands_in(text) if (lost := unknown(words))] == []
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`(?:[A-Z_]+=\S+ )*make ([a-z-]+)", text)) <= targets
    assert set(re.findall(r"`(rapport_[a-z_]+[a-z])`", text)) <= {metric.full_name for metric in METRICS}
    for variable in sorted(set(VARIABLE.findall(text))):
        field = variable.removeprefix("RAPPORT_").lower()
        found = subprocess.run(
            ["git", "grep", "-qwE", f"{variable}|{field}", "--", "*.py", "Makefile"], cwd=REPOSITORY, check=False
        )
        assert found.returncode == 0, variable


def test_commands_are_found_in_prose_in_fences_and_over_the_end_of_a_line_and_wrong_ones_are_told() -> None:
    text = "`rapport policy\nlint FILE --templates DIR`:\n\n```sh\nrapport lag --wrong\n```\n`rapport clients split|part ID`"
    assert [unknown(words) for words in commands_in(text)] == [[], ["--wrong"], ["part"]]


def numbers(row: str) -> list[float]:
    return [float(cell.replace(",", "")) for cell in re.findall(r"\d[\d,.]*\d|\d", row)]


def test_the_arithmetic_of_scaling_rests_on_what_was_measured() -> None:
    """After `make bench-scale` the unit costs named in docs/scaling.md follow, and with them its table."""
    scaling, benchmarks = ((REPOSITORY / "docs" / name).read_text(encoding="utf-8") for name in ("scaling.md", "benchmarks.md"))
    measured = [
        numbers(row) for row in re.findall(r"^\| [\d,]+ \|.*$", benchmarks.split("<!-- scale begins -->")[1], re.MULTILINE)[:3]
    ]
    costs, sizes = [row[3] for row in measured], [row[6] for row in measured]
    (told,) = re.findall(r"\((\d+) in a small firm, (\d+) to (\d+)\s", scaling)
    assert [float(each) for each in told] == pytest.approx([costs[0], *sorted(costs[1:])], rel=0.1)
    (kilobytes,) = re.findall(r"with `s` ([\d.]+) to ([\d.]+) KB", scaling)
    assert [1000 * float(each) for each in kilobytes] == pytest.approx([min(sizes), max(sizes)], rel=0.1)
    dear = float(told[2])
    for clients, row in ((1e3, "1 thousand"), (1e6, "1 million"), (1e8, "100 million")):
        (cells,) = re.findall(rf"^\| {row} \|(.*)$", scaling, re.MULTILINE)
        daily, peak, workers, partitions, *_ = (numbers(cell)[0] for cell in cells.split("|")[:4])
        assert daily == clients / 2
        assert peak == pytest.approx(10 * daily / 86_400, rel=0.05)
        assert workers == max(1, ceil(1.5 * peak * dear / 1e6))
        assert partitions >= 4 * workers


def test_what_benchmarks_say_is_reached_is_what_their_tables_say() -> None:
    """After a bench the goals at the top of docs/benchmarks.md follow."""
    text = (REPOSITORY / "docs" / "benchmarks.md").read_text(encoding="utf-8")

    def cell(table: str, row: str, column: int) -> float:
        made = text.split(f"<!-- {table} begins -->")[1].split(f"<!-- {table} ends -->")[0]
        (cells,) = re.findall(rf"^\| {row}[^|]*\|(.*)$", made, re.MULTILINE)
        return numbers(cells.split("|")[column])[0]

    ours, quix, stock = (
        cell("peers alone", row, 2) for row in ("Rapport, 1 worker", "Quix Streams", "stock Faust, event by event")
    )
    measured = [
        [cell("core", "a year, two invoices a month", 0)],
        [cell("core", "a year, an invoice a month", 3) / 1000],
        [ours],
        [quix / ours, stock / ours],
        [cell("scale", "1,000,000", 4)],
        [cell("restart", "2, that keep their names", 2)],
        [cell("latency", r"\*\*accepted by the gateway", 2)],
        [cell("gateway", "verifies, publishes", 1)],
    ]
    goals = text.split("## What is reached")[1].split("\n## ")[0]
    rows = [row.split("|") for row in re.findall(r"^\| (?!---|what \|).*$", goals, re.MULTILINE)]
    assert [numbers(row[3]) for row in rows] == [pytest.approx(each, rel=0.05) for each in measured]
