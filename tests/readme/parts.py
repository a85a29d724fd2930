"""The parts of documents that are made from the code: `python -m tests.readme` puts them there, a test compares them."""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from handlers.cli import COMMANDS, GROUPS
from streams.runtime.settings import Settings
from streams.wire.topics import DAY_MS, TOPICS, Partitioning
from tests.readme.following import follow_a_payment
from tests.readme.scoring import score_a_client

REPOSITORY: Final = Path(__file__).parents[2]
README: Final = REPOSITORY / "README.md"
LEARNING: Final = REPOSITORY / "docs" / "learning.md"
_PART: Final = re.compile(r"(<!-- made from the code: (?P<name>[a-z-]+) -->\n)(?P<content>.*?)(<!-- end -->)", re.DOTALL)


def commands() -> str:
    """Return the table of commands, as `rapport --help` groups them."""
    rows = [f"| `rapport {each.name}` | {each.summary} |" for group in GROUPS for each in COMMANDS if each.group == group]
    return "\n".join(["| command | what for |", "| --- | --- |", *rows])


def settings() -> str:
    """Return the table of settings with their defaults."""
    rows = []
    for name, field in Settings.model_fields.items():
        variable = {"kafka_bootstrap": "KAFKA_BOOTSTRAP", "redis_url": "REDIS_URL"}.get(name, f"RAPPORT_{name.upper()}")
        default = field.get_default(call_default_factory=True)
        shown = "" if default in (None, "", {}) else f"`{default}`"
        rows.append(f"| `{variable}` | {shown} | {field.description} |")
    return "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *rows])


def topics() -> str:
    """Return the table of topics."""
    rows = []
    for topic in TOPICS:
        kept = "for ever" if topic.retention_ms < 0 else f"{topic.retention_ms // DAY_MS} days"
        count = "as the client log" if topic.partitioning is Partitioning.CLIENT else "one"
        rows.append(f"| `{topic.name}` | {topic.holds} | {count} | {kept} |")
    return "\n".join(["| topic | holds | partitions | kept |", "| --- | --- | --- | --- |", *rows])


def tour() -> str:
    """Return what the tour says about one client."""
    said = subprocess.run(
        [sys.executable, "-m", "handlers.cli", "simulate", "--client", "tiny-press"], capture_output=True, text=True, check=True
    )
    return f"```text\n{said.stdout.rstrip()}\n```"


PARTS: Final[Mapping[Path, Mapping[str, Callable[[], str]]]] = {
    README: {"commands": commands, "settings": settings, "topics": topics, "tour": tour, "one-payment": follow_a_payment},
    LEARNING: {"score": score_a_client},
}


def renewed(document: Path) -> str:
    """Return the text of a document with all its made parts made anew."""
    made, text = PARTS[document], document.read_text(encoding="utf-8")
    return _PART.sub(lambda found: f"{found[1]}{made[found['name']]()}\n{found[4]}", text)


def names(text: str) -> list[str]:
    """Return which parts a document has."""
    return [found["name"] for found in _PART.finditer(text)]
