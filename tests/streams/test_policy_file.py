from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.policy.policy import DEFAULT_POLICY
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from streams.wire.policy_file import LARGEST, PolicyFileError, policy_in_force, read_policy
from streams.wire.yaml_lines import YamlLineError, read_yaml


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("contact: [", "firm.yaml:1: this is no YAML"),
        (
            "version: a\ncontact:\n  min_gap: 3\n",
            "firm.yaml:3: contact.min_gap: 'min_gap' is not known here; fix: write min_gap_days",
        ),
        ("version: a\nversion: b\n", "firm.yaml:2: 'version' is there twice; fix: leave out this one or that on line 1"),
        ('version: a\ncontact:\n  zone: "UTC\n  min_gap_days: 3\n', "fix: see whether what begins on line 3 is closed"),
        ("version: a\ncontact:\n  priority: [pre_renewal\nsupport: {}\n", "fix: see whether what begins on line 3 is closed"),
        ("version: a\ncontact:\n\tzone: UTC\n", "fix: indent with blanks"),
        ("version: 2\n", 'firm.yaml:1: version: 2 is no text; fix: write it in quotes: "2"'),
        (
            "version: a\ncontact: {min_gap_days: -1}\n",
            "firm.yaml:2: contact.min_gap_days: input should be greater than or equal to 0",
        ),
        ("version: a\ncontact:\n  hours:\n    opens: 18:00\n    closes: 08:00\n", "opens (18:00) must be before closes (08:00)"),
        ("version: a\ncontact:\n  zone: Mars/Base\n", "firm.yaml:3: contact.zone: 'Mars/Base' is not an IANA zone"),
        ("a: &x 1\nb: *x\n", "firm.yaml:2: anchors and aliases are not taken"),
        ("version: !!python/object:os.system x", "tag"),
        ("- a\n", "a policy is a map of sections"),
        ("", "a policy is a map of sections"),
        ("[" * 5_000, "nested too deeply"),
        ("#" * (LARGEST + 1), "longer than"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_fix(text: str, problem: str) -> None:
    with pytest.raises(PolicyFileError, match="cannot be used") as refused:
        read_policy(text, name="firm.yaml")
    assert problem in "\n".join(refused.value.problems)


def test_a_step_that_is_wrong_is_named_with_its_own_line() -> None:
    text = "version: a\njourneys:\n  pre_renewal:\n    steps:\n      - id: renewal_options\n        tone: rude\n"
    with pytest.raises(PolicyFileError) as refused:
        read_policy(text, name="firm.yaml")
    said = "\n".join(refused.value.problems)
    assert "firm.yaml:6: journeys.pre_renewal.steps[0].tone: 'rude' is none of the words taken here" in said
    assert "firm.yaml:5: journeys.pre_renewal.steps[0].why: is missing; fix: add why" in said


def test_yaml_holds_no_surprises_for_countries_times_and_dates() -> None:
    content, lines = read_yaml(
        "country: NO\nswitch: on\nopens: 18:00\nday: 2026-05-17\ncount: 010\nyes: true\nnone: null\nhalf: .5\n"
    )
    assert content == {
        "country": "NO",
        "switch": "on",
        "opens": "18:00",
        "day": "2026-05-17",
        "count": 10,
        "yes": True,
        "none": None,
        "half": 0.5,
    }
    assert lines["half",] == 8


@given(st.text(max_size=200) | st.text(alphabet="[]{}:-&*!#|> \n'\"ab1.", max_size=60))
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    line = 1
    try:
        read_yaml(text)
    except YamlLineError as error:
        line = error.line
    assert 1 <= line <= text.count("\n") + text.count("\x85") + text.count("\r") + 2


def test_without_a_file_the_default_policy_holds_in_the_firms_zone() -> None:
    assert policy_in_force(Settings()).version == DEFAULT_POLICY.version
    elsewhere = policy_in_force(Settings(firm_timezone="Asia/Tokyo"))
    assert elsewhere.zone == "Asia/Tokyo"
    assert elsewhere.version != DEFAULT_POLICY.version


def test_the_setting_names_the_policy_and_a_file_on_the_command_line_goes_first(tmp_path: Path) -> None:
    (tmp_path / "set.yaml").write_text("version: set\n")
    (tmp_path / "named.yaml").write_text("version: named\n")
    settings = Settings(policy_file=tmp_path / "set.yaml")
    assert policy_in_force(settings).version.startswith("set+")
    assert policy_in_force(settings, tmp_path / "named.yaml").version.startswith("named+")


def test_a_policy_that_lint_calls_wrong_is_not_put_in_force(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("version: wrong\nsegments:\n  reliable_share: 0.9\n")
    with pytest.raises(PolicyFileError, match=r"wrong.yaml:3: segments.reliable_share: must lie below slow_share"):
        policy_in_force(Settings(), file)


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the policy"):
        policy_in_force(Settings(), tmp_path / "nowhere.yaml")
