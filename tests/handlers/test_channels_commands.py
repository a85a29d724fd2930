from pathlib import Path

import pytest

from handlers.channels.assembly import make_channel
from handlers.cli import run
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from streams.wire.topics import CHANNELS
from tests.handlers.test_channels_http import settings_for


def test_every_channel_of_the_topic_table_can_be_made() -> None:
    settings = settings_for("https://provider.example", mail_from="Firm <care@firm.example>")
    assert [make_channel(name, settings).name for name in CHANNELS] == list(CHANNELS)


def test_a_channel_that_does_not_exist_is_refused_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run-channels", "fax"]) == 2
    assert capsys.readouterr().err == "rapport: there is no channel 'fax'; known: email, sms, webhook, portal, task, console\n"
    with pytest.raises(UsageError, match="fax"):
        make_channel("fax", Settings())


def test_the_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run-channels", "--help"]) == 0
    assert "rapport run-channels console --out FILE" in capsys.readouterr().out


def test_a_file_is_refused_where_no_channel_writes_to_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["run-channels", "email", "--out", str(tmp_path / "said.jsonl")]) == 2
    assert "--out is the file of the channel console" in capsys.readouterr().err
