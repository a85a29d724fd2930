"""The firm's own words: what is there wins, what is missing stays ours, and nothing starts on words that cannot be said."""

from pathlib import Path

import pytest

from handlers.channels.content import Writer
from handlers.channels.contract import Recipient
from handlers.channels.example_facts import MAY_BE_MISSING
from handlers.channels.library import PACKAGE, Library, package_names, package_source, read_library, template_name
from handlers.channels.own_words import Problem, WordsError, problems_of, uses_of
from handlers.channels.template_facts import words_in_force
from handlers.cli import run
from models.policy.finding import Severity
from models.policy.policy import DEFAULT_POLICY
from streams.runtime.settings import Settings
from streams.wire.policy_file import default_policy_text
from tests import journeys
from tests.handlers.channel_bench import Bench
from tests.handlers.test_channels_content import STEPS, due
from tests.journeys.story import read, told

TOUCH = "gap_checkin/keeping_in_touch.gentle.j2"
NOTE = "delayed_payment_support/friendly_note.gentle.j2"
OURS = "Subject: A word from us\n\nIt has been quiet.{% if service_line %} How is {{ service_line }}?{% endif %} So we ask.\n\n"
FOOT = '{% include "_relationship_footer.j2" %}\n'
GOOD = f"{OURS}We will not press.\n{FOOT}"
ASK = (
    "Subject: About {{ invoice_numbers }}\n\n{{ amount_open | money }} is open. Another date is fine.\n"
    '{% include "_servicing_footer.j2" %}\n'
)


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def found(files: dict[str, str]) -> list[Problem]:
    return problems_of(Library(files, Path("words")), DEFAULT_POLICY)


@pytest.mark.parametrize(
    "story", ["plan_cancelled", "problem_client", "onboarding", "renewal_cliff", "season_cleanup", "gap_checkin"]
)
def test_templates_are_tried_on_the_facts_that_the_core_gives(story: str) -> None:
    uses = uses_of(DEFAULT_POLICY)
    for sent in told(read(Path(journeys.__file__).parent / f"{story}.txt")).sent:
        known = uses[template_name(sent.journey, sent.step, sent.tone)].facts
        assert sent.facts.keys() | {*MAY_BE_MISSING} == known.keys() | {*MAY_BE_MISSING}
        assert all(isinstance(value, type(known[name])) for name, value in sent.facts.items())


def problems_with(files: dict[str, str]) -> list[tuple[str, int, str]]:
    return [(row.name, row.line, row.message.partition(":")[0]) for row in found(files)]


async def test_a_channel_worker_says_the_firms_words_where_it_has_some_and_ours_elsewhere(tmp_path: Path) -> None:
    home = written(tmp_path / "words", {TOUCH: GOOD})
    _, library = words_in_force(Settings(templates=home))
    bench = Bench(write=Writer(firm_name="Ferro & Partner", library=library).write)
    await bench.open()
    touch, cliff = (due(*STEPS[name]) for name in (TOUCH, "renewal_cliff/early_planning.gentle.j2"))
    await bench.take(touch, cliff.model_copy(update={"trigger_id": "t2"}))
    await bench.work()
    own, ours = (message.content for message in bench.channel.sent)
    assert own.subject == "A word from us"
    assert (
        "How is tax? So we ask.\n\nWe will not press.\n\nKind regards,\nFerro & Partner\n\n--\nWould you rather not get mails"
        in own.text
    )
    assert "<p" in own.html
    assert "How is tax?" in own.html
    assert "renews, with many others" in ours.subject


def test_what_ships_with_the_program_passes_as_the_firms_own_words() -> None:
    assert found({name: package_source(name) for name in sorted(package_names())}) == []


@pytest.mark.parametrize(
    ("name", "text", "line", "says"),
    [
        (TOUCH, GOOD.replace("service_line", "service_lien"), 3, "no fact service_lien; fix: did you mean service_line?"),
        (TOUCH, GOOD.replace("press.", "press {{ amount_open | money }}."), 5, "it states amount_open, which a relationship"),
        (TOUCH, GOOD.replace("press.", "press{% set name = amount_open %} {{ name }}."), 5, "it states amount_open"),
        (TOUCH, GOOD.replace("press.", "press {% for row in amount_open %}{{ row }}{% endfor %}."), 5, "it states amount_open"),
        (TOUCH, GOOD.replace("press.", "press for {{ weeks_ahead }}."), 5, "keeping_in_touch is not told weeks_ahead"),
        (TOUCH, GOOD.replace("press.", "press {{ service_line | shout }}."), 5, "No filter named 'shout'"),
        (TOUCH, GOOD.replace("{% endif %}", ""), 6, "it cannot be read: Unexpected end of template"),
        (TOUCH, GOOD.replace("press.", "press {{ service_line.__class__ }}."), 5, "it cannot be written: gap_checkin"),
        (TOUCH, GOOD.replace("press.", "press {{ usual_weeks.denominator.real() }}."), 5, "it cannot be written"),
        (TOUCH, GOOD.replace("{% if service_line %}", "").replace("{% endif %}", ""), 1, "it writes None where the books lack"),
        (TOUCH, GOOD.replace(FOOT, ""), 1, "its end does not say how to stop such mails"),
        (TOUCH, GOOD.replace("_relationship", "_servicing"), 1, "its end does not say how to stop such mails"),
        (TOUCH, GOOD.replace("us\n", "us\nTo: staff\n", 1), 1, "is written to the client: To: staff must not be in its head"),
        (TOUCH, GOOD.replace("Subject: A word from us\n\n", ""), 1, "a message needs a subject and a text"),
        (TOUCH, GOOD.replace("press.", "press{% if service_line %} {{ service_line }}{% endif %}"), 5, "swallows the end"),
        (NOTE, ASK.replace("Another date is fine.", "Pay."), 1, "it offers no way out"),
        (NOTE, ASK.replace("fine.", "fine. Else our lawyers write."), 3, "'lawyers' presses or threatens"),
        (NOTE, ASK.replace("fine.", "fine. Ask for our discount."), 3, "a servicing message must not promote anything"),
        ("gap_checkin/keeping_in_touhc.gentle.j2", GOOD, 1, f"no such step in this tone; fix: did you mean {TOUCH}?"),
        ("de/gap_checkin/keeping_in_touhc.gentle.j2", GOOD, 1, f"did you mean de/{TOUCH}?"),
        ("gap_checkin/keeping_in_touch.firm.j2", GOOD, 1, "firm is firmer than gap_checkin may speak (gentle at most)"),
        ("delayed_payment_support/friendly_note.firm.j2", ASK, 1, "nothing uses it"),
        ("nl/gap_checkin/keeping_in_touch.gentle.j2", GOOD, 1, "nothing uses it"),
        ("page.html.j2", "<p></p>", 1, "the page belongs to the program"),
        ("_relationship_footer.j2", "--\nFerro & Partner, Graz\n", 1, "a footer must keep how to stop such mails"),
        ("delayed_payment_support/friendly_note.gentle.sms.j2", "{{ amount_open | money }} open. " * 20, 1, "1 to 2 parts"),
    ],
)  # fmt: skip
def test_each_wrong_file_is_one_error_with_its_line_and_the_fix(name: str, text: str, line: int, says: str) -> None:
    wrong = [row for row in found({name: text}) if row.severity is Severity.ERROR]
    assert [row.line for row in wrong] == [line]
    assert says in wrong[0].words(Library({}, Path("words")))
    assert wrong[0].words(Library({}, Path("words"))).startswith(f"words/{name}:{line}: ")


def test_a_footer_may_be_added_to_and_then_ends_every_message_of_its_purpose() -> None:
    longer = package_source("_relationship_footer.j2").rstrip() + " Ferro & Partner, Graz.\n"
    assert found({"_relationship_footer.j2": longer}) == []
    library = Library({"_relationship_footer.j2": longer}, Path("words"))
    assert Writer(firm_name="F", library=library).write(due(*STEPS[TOUCH]), Recipient(name="Ada")).text.rstrip().endswith("Graz.")


def test_a_part_that_a_template_of_the_firm_includes_is_used_and_one_that_none_includes_is_not() -> None:
    with_part = GOOD.replace("press.", 'press.\n\n{% include "_greetings.j2" %}')
    part = "Greetings from Graz.\n\n"
    assert not [row for row in found({TOUCH: with_part, "_greetings.j2": part}) if row.severity is Severity.ERROR]
    assert [row.name for row in found({"_greetings.j2": part})] == ["_greetings.j2"]


def test_a_part_of_ours_that_the_firm_writes_anew_is_tried_in_every_text_that_includes_it() -> None:
    part = "_first_help.j2"
    assert found({part: package_source(part)}) == []
    assert problems_with({part: "\n{{ weeks_ahaed }}"}) == [(part, 2, "there is no fact weeks_ahaed")]
    assert problems_with({part: "\n\n{{ due_date | shout }}"}) == [(part, 3, "it cannot be written")]


def test_a_language_that_is_missing_is_said_in_the_next_one_known_and_lint_tells() -> None:
    german = GOOD.replace("It has been quiet.", "Es war still.").replace("_relationship", "de/_relationship")
    (warned,) = found({f"de/{TOUCH}": german})
    assert (warned.severity, warned.name) == (Severity.WARNING, f"de/{TOUCH}")
    assert warned.message == "it is not written in en, fr, es: clients who read that get the program's words"
    library = Library({f"de/{TOUCH}": german}, Path("words"))
    written_in = {
        locale: Writer(firm_name="F", library=library).write(due(*STEPS[TOUCH]), Recipient(locale=locale)).text
        for locale in ("de_AT", "es_ES", "ja_JP")
    }
    assert "Es war still." in written_in["de_AT"]
    assert "Es war still." not in written_in["es_ES"] + written_in["ja_JP"]
    assert written_in["ja_JP"] == Writer(firm_name="F").write(due(*STEPS[TOUCH]), Recipient(locale="ja_JP")).text


def test_words_in_one_language_alone_are_said_to_everybody_where_ours_have_none() -> None:
    journey, step = STEPS[TOUCH]
    only = Library({f"fr/{journey.value}/a_bientot.gentle.j2": GOOD.replace("_relationship", "fr/_relationship")}, Path("words"))
    bare = due(journey, step).model_copy(update={"step": "a_bientot"})
    assert Writer(firm_name="F", library=only).write(bare, Recipient(locale="de_DE")).text.startswith("Bonjour,")
    stated = only.facts_stated(journey, "a_bientot", step.tone)
    assert stated is not None
    assert (set(stated.facts), stated.untranslated) == ({"service_line"}, ())
    assert PACKAGE.facts_stated(journey, "a_bientot", step.tone) is None


def test_no_channel_starts_on_words_that_cannot_be_said(tmp_path: Path) -> None:
    home = written(tmp_path, {TOUCH: GOOD.replace("service_line", "client_debts"), ".git/x": "", "_unused.j2": "x"})
    with pytest.raises(WordsError, match=f"{TOUCH}:3: there is no fact client_debts"):
        words_in_force(Settings(templates=home))
    (home / TOUCH).write_text(GOOD, encoding="utf-8")
    assert words_in_force(Settings(templates=home))[1].own.keys() == {TOUCH, "_unused.j2"}


def test_lint_and_words_teach_the_way_from_our_text_to_the_firms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, policy = str(tmp_path / "words"), tmp_path / "firm.yaml"
    policy.write_text(default_policy_text(), encoding="utf-8")
    cell = TOUCH.removesuffix(".j2")
    write = ["policy", "words", cell, "--write", "--templates", home]
    assert run(["policy", "lint", str(policy), "--templates", home]) == 2
    assert "rapport policy words CELL --write" in capsys.readouterr().err
    assert run(write) == 0
    assert f"words/de/{TOUCH}" in capsys.readouterr().out
    assert read_library(Path(home)).own == {
        f"{folder}{TOUCH}": package_source(f"{folder}{TOUCH}") for folder in ("", "de/", "fr/", "es/")
    }
    assert run(write) == 0
    assert capsys.readouterr().out.count("is there already") == 4
    (Path(home) / TOUCH).write_text(GOOD.replace("service_line", "service"), encoding="utf-8")
    assert run(write) == 1
    assert "--force" in capsys.readouterr().err
    assert run(["policy", "lint", str(policy), "--templates", home]) == 1
    assert f"error: {home}/{TOUCH}:3: there is no fact service; fix: did you mean service_line?" in capsys.readouterr().err
    assert run([*write, "--force"]) == 0
    assert run(["policy", "lint", str(policy), "--templates", home]) == 0
    capsys.readouterr()
    assert run(["policy", "words", "--templates", home]) == 0
    (row,) = (line for line in capsys.readouterr().out.splitlines() if cell in line)
    assert row.count("en de fr es") == 2
    assert run(["policy", "words", "gap_checkin/nowhere"]) == 2
    assert f"near: {cell}" in capsys.readouterr().err


OWN_POLICY = """version: firm
own_journeys:
  - name: after_large
    title: a word after a large payment
    begins: { anchor: payment, sizes: [large] }
    steps:
      - { id: see_how, count: 3, unit: business_days, at: "10:30", why: a large payment deserves a word }
"""


def test_a_journey_of_the_firms_own_needs_words_of_the_firms_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, policy = tmp_path / "words", tmp_path / "firm.yaml"
    policy.write_text(OWN_POLICY, encoding="utf-8")
    assert run(["policy", "lint", str(policy)]) == 1
    assert (
        "own_journeys[0].steps[0].tone: there is no template for after_large/see_how in the tone gentle"
        in capsys.readouterr().err
    )
    cell = "after_large/see_how.gentle.j2"
    written(home, {cell: GOOD.replace("It has been quiet.", "{% if payment_size == 'large' %}\nThank you.\n{% endif %}")})
    assert run(["policy", "lint", str(policy), "--templates", str(home)]) == 0
    assert run(["policy", "show", "--policy", str(policy), "--templates", str(home)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "The firm's own: a word after a large payment" in said
    assert "3 business days after the payment, at 10:30" in said
    assert "Begins at the payment, where size large; at most once in 90 days" in said
    assert "the payment is refunded, charged back or returned" in said
    written(home, {cell: GOOD.replace("press.", "press {{ amount_open | money }}.")})
    assert run(["policy", "lint", str(policy), "--templates", str(home)]) == 1
    assert "it states amount_open, which a relationship message may not" in capsys.readouterr().err


UNREADABLE = {
    "an open bracket": "Subject: x\n\n{{ foo( }}\n",
    "a part that is not there": 'Subject: x\n\n{% include "_nothing.j2" %}\n',
    "itself": f'Subject: x\n\n{{% include "{TOUCH}" %}}\n',
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_told_by_every_command_that_meets_it(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, policy = written(tmp_path / "words", {TOUCH: text}), tmp_path / "firm.yaml"
    policy.write_text(default_policy_text(), encoding="utf-8")
    assert run(["policy", "lint", str(policy), "--templates", str(folder)]) == 1
    assert f"{TOUCH}:" in "".join(capsys.readouterr())
    monkeypatch.setenv("RAPPORT_TEMPLATES", str(folder))
    monkeypatch.setenv("RAPPORT_POLICY_FILE", str(policy))
    assert run(["policy", "words"]) == 0
    with pytest.raises(WordsError, match="cannot be read"):
        words_in_force(Settings())


@pytest.mark.parametrize("part", ["_relationship_footer.j2", "_first_help.j2"])
def test_a_part_that_includes_itself_is_refused(part: str) -> None:
    (problem,) = found({part: f'{{% include "{part}" %}}'})
    assert problem.severity is Severity.ERROR


def test_the_texts_of_a_journey_of_the_firms_own_are_shown_as_the_list_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(tmp_path / "words", {"after_large/see_how.gentle.j2": GOOD})
    assert run(["policy", "words", "after_large/see_how.gentle", "--templates", str(folder)]) == 0
    assert "It has been quiet." in capsys.readouterr().out


@pytest.mark.parametrize("mixture", [["--write"], ["--language", "de"], [TOUCH, "--json"]])
def test_options_that_say_nothing_together_are_refused_rather_than_left_out(mixture: list[str]) -> None:
    assert run(["policy", "words", *mixture]) == 2


def test_a_folder_that_cannot_be_written_to_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    cell = TOUCH.removesuffix(".j2")
    assert run(["policy", "words", cell, "--write", "--templates", str(tmp_path / "file")]) == 2
    assert "cannot write into" in "".join(capsys.readouterr())
