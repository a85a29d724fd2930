"""Names come from strangers: what Rapport writes to a terminal shows them and obeys none."""

import io
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.terminal.plain import PlainWriter, plain
from tests.commands import RAPPORT
from tests.printable import PRINTABLE

SIGN = "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "order", ["\x1b]52;c;ZXZpbA==\x07", "\x1b]0;title\x07", "\x1bc", "\x9b2J", "\x08", "\x00", "\u202e", "\x1b[2J"]
)
@pytest.mark.parametrize("colours", [True, False])
def test_a_terminal_is_given_no_orders(order: str, colours: bool) -> None:
    said = plain(f"Ada{order}Ltd", colours=colours)
    assert said.startswith("Ada" + SIGN)
    assert said.endswith("Ltd")
    assert not {"\x1b", "\x07", "\x08", "\x00", "\x9b", "\u202e"} & set(said)


def test_colours_and_progress_stay_on_a_terminal_and_nowhere_else() -> None:
    line = "\x1b[1;31mred\x1b[0m\r\x1b[2K\x1b[1A\x1b[?25l\n"
    assert plain(line, colours=True) == line
    assert "\x1b" not in plain(line, colours=False)


@given(st.text(PRINTABLE | st.sampled_from("\n\t")))
def test_letters_of_all_scripts_are_left_as_they_are(text: str) -> None:
    assert plain(text, colours=False) == plain(text, colours=True) == text


def test_a_stream_says_how_much_it_was_given_and_writes_it_plainly() -> None:
    raw = io.BytesIO()
    stream = PlainWriter(raw, encoding="ascii", errors="replace")
    assert stream.write("a\x1b]0;x\x07 شركة\n") == len("a\x1b]0;x\x07 شركة\n")
    stream.flush()
    assert raw.getvalue() == b"a?]0;x? ????\n"


def test_a_client_whose_name_is_an_order_is_told_as_text(tmp_path: Path) -> None:
    book = tmp_path / "book.csv"
    book.write_text("Client,Due Date,Amount,Date,\x1b]52;c;ZXZpbA==\x07\nAda,2024-03-31,10.00,2024-03-01,x\n", encoding="utf-8")
    command = [*RAPPORT, "import", str(book), "--dry-run"]
    done = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert f"not used: {SIGN}]52;c;ZXZpbA=={SIGN}".encode() in done.stdout
    assert b"\x1b" not in done.stdout
