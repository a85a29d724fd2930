"""What documents point at is there: files, anchors, tests named as proof; and the index knows every document."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

LISTED = subprocess.run(["git", "ls-files", "*.md"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split()
LINK = re.compile(r"\]\((?![a-z]+:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)]*))?\)")
NAMED = re.compile(r"`(?P<path>(?:models|streams|handlers|tests|deploy|docs)/[\w/.-]*\w)(?:::(?P<test>\w+))?`")


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
