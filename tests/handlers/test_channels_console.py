import io
from pathlib import Path

import orjson

from handlers.channels.console import ConsoleChannel
from handlers.channels.contract import Content
from models.triggers import Tone
from tests.handlers.channel_examples import delivery, trigger


async def printed(*, width: int = 100) -> str:
    paper = io.StringIO()
    channel = ConsoleChannel(file=paper, width=width)
    content = Content("Please speak with Ada", "€1,250.00 is open.\n\n- ask [kindly]\n", "<p></p>")
    await channel.send(delivery(trigger(tone=Tone.GENTLE), content=content))
    return paper.getvalue()


async def test_a_block_says_whom_it_concerns_what_to_say_and_why() -> None:
    block = await printed()
    for part in ("ada@client.example", "Please speak with Ada", "€1,250.00 is open.", "- ask [kindly]", "trigger t1"):
        assert part in block
    assert "Why: invoice R-17 is 10 days overdue" in block
    assert "delayed_payment_support / reminder" in block


async def test_when_it_is_piped_there_is_no_colour_in_it() -> None:
    assert "\x1b" not in await printed()


async def test_a_narrow_terminal_loses_nothing() -> None:
    assert "overdue" in await printed(width=30)


async def test_a_file_gets_one_line_of_json_per_message_and_keeps_what_it_had(tmp_path: Path) -> None:
    out = tmp_path / "messages.jsonl"
    out.write_text('{"older": 1}\n')
    channel = ConsoleChannel(out=out)
    await channel.send(delivery(trigger("a")))
    await channel.send(delivery(trigger("b"), content=Content("s", "two\nlines\n", "<p></p>")))
    older, first, second = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert older == {"older": 1}
    assert (first["trigger_id"], first["to"], first["attempt"]) == ("a", "ada@client.example", 1)
    assert (first["journey"], first["step"], first["tone"]) == ("delayed_payment_support", "reminder", "gentle")
    assert second["text"] == "two\nlines\n"
    assert second["at"] == "2026-03-02T09:00:00+00:00"
