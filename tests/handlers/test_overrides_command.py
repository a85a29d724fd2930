"""`rapport overrides report`: each override held against what rules and learner would have done without it."""

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from handlers.cli import run
from handlers.commands.history import write_contracts
from handlers.commands.overrides.desk import word
from handlers.commands.overrides.pooled import by_author
from handlers.commands.overrides.reckoning import Concerned
from handlers.commands.overrides.scoring import Scored, score
from handlers.commands.overrides.verdicts import late_chance
from models.events.signals import OverrideEffect
from models.events.union import AnyClientEvent
from models.learners.baseline import BASELINE
from models.policy.policy import DEFAULT_POLICY
from models.policy.segments import effective_segment
from models.state.client import Segment
from models.state.describe import describe
from models.state.person import overruling
from streams.runtime.errors import UsageError
from streams.wire.codec import encode_event
from streams.wire.records import PlainRecord
from streams.wire.topics import CONTROL_KEY
from tests.models.builders import Events, ms, on
from tests.models.controls import halt
from tests.models.test_segments import monthly
from tests.models.views import final


def scored(log: Sequence[AnyClientEvent]) -> list[Scored]:
    return score(sorted(log, key=lambda event: event.received_ms), DEFAULT_POLICY, BASELINE)


def slow_client_turns(build: Events, *, late: float) -> list[AnyClientEvent]:
    """Return a client who was slow for eight months and then pays `late` days after due for four."""
    return [build.profiled(0), *monthly(build, 8, late=12), *monthly(build, 4, late=late, first=8)]


def test_a_manager_who_knew_better_than_rules_and_learner_is_told_so() -> None:
    build = Events()
    log = slow_client_turns(build, late=-2)
    log.append(build.override(242, OverrideEffect.SEGMENT, until=335, value="reliable"))
    (row,) = scored(log)
    assert (row.rules_said, row.nearer, row.late) == ("slow", "override", 0)
    assert row.ended >= 3
    assert row.learner_said is not None
    assert row.learner_said > 0.5
    assert "0 of" in row.words


def test_a_manager_who_was_too_kind_is_told_so_as_well() -> None:
    build = Events()
    log = slow_client_turns(build, late=14)
    log.append(build.override(242, OverrideEffect.SEGMENT, until=335, value="reliable"))
    (row,) = scored(log)
    assert row.nearer == "rules"
    assert row.late == row.ended > 0


def test_a_hold_is_judged_by_what_was_paid_without_the_messages_it_stopped() -> None:
    build = Events()
    base: list[AnyClientEvent] = [build.profiled(0), *monthly(build, 8, late=-2), build.issued(240, "X", 90_000, due=254)]
    hold = build.override(250, OverrideEffect.HOLD, until=290)
    (paid,) = scored([*base, hold, build.paid(275, "PX", 90_000, "X"), build.called(300)])
    assert (paid.nearer, paid.sent) == ("override", 0)
    assert paid.would_send >= 1
    assert "friendly_note" in paid.words
    (unpaid,) = scored([*base, hold, build.called(300)])
    assert unpaid.nearer == "rules"
    assert str(unpaid.open[0]) == "900.00 EUR"


def test_what_is_still_in_force_or_too_young_is_left_open() -> None:
    build = Events()
    log = slow_client_turns(build, late=-2)
    (running,) = scored([*log, build.override(300, OverrideEffect.SEGMENT, until=900, value="reliable")])
    assert (running.nearer, running.words) == ("open", "still in force when the history ends")
    (short,) = scored([*log, build.override(300, OverrideEffect.SEGMENT, until=301, value="reliable")])
    assert short.nearer == "open"
    assert "too few" in short.words


def test_an_override_cleared_early_is_judged_until_then() -> None:
    build = Events()
    log = slow_client_turns(build, late=-2)
    word = build.override(242, OverrideEffect.SEGMENT, until=900, value="reliable")
    (row,) = scored([*log, word, build.cleared(330, word.override_id)])
    assert row.end_ms == ms(330)
    assert row.nearer == "override"


def test_authors_are_counted_the_most_active_first() -> None:
    build = Events()
    log = slow_client_turns(build, late=-2)
    log += [build.override(242, OverrideEffect.SEGMENT, until=335, value="reliable")]
    log += [build.override(250, OverrideEffect.HOLD, until=252, override="O2")]
    (row,) = by_author(scored(log))
    assert row[1:3] == (2, 1)
    assert sum(row[2:]) == row[1]


def test_an_override_delivered_twice_is_scored_once() -> None:
    build = Events()
    log = slow_client_turns(build, late=-2)
    word = build.override(242, OverrideEffect.SEGMENT, until=335, value="reliable")
    assert scored([*log, word, word]) == scored([*log, word])


def test_segments_stand_for_chances_in_their_order() -> None:
    chances = [late_chance(name) for name in ("reliable", "new", "slow", "problem")]
    assert chances == sorted(chances)


def test_of_two_words_on_the_segment_the_later_holds_and_both_are_known() -> None:
    build = Events()
    one = build.override(80, OverrideEffect.SEGMENT, until=200, value="problem", override="O1")
    two = build.override(90, OverrideEffect.SEGMENT, until=120, value="slow", override="O2")
    for order in ((one, two), (two, one)):
        told = [event.model_copy(update={"received_at": two.received_at}) for event in order]
        state = final([*monthly(build, 2, late=-2), *told])
        assert effective_segment(state, ms(100)) is Segment.SLOW
        assert [row.value for row in overruling(state, ms(100))] == ["problem", "slow"]
        assert effective_segment(state, ms(150)) is Segment.PROBLEM
        assert (
            describe(msgspec.structs.replace(state, now_ms=ms(100)))[0]
            .split(", as of")[0]
            .endswith(f"segment slow by {two.author} until {two.expires_at:%Y-%m-%d} (by the rules {state.care.segment.value})")
        )


def test_the_report_is_told_for_people_and_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = Events()
    log = [*slow_client_turns(build, late=-2), build.override(242, OverrideEffect.SEGMENT, until=335, value="reliable")]
    history = tmp_path / "history.jsonl"
    write_contracts(log, history)
    assert run(["overrides", "report", str(history)]) == 0
    out = capsys.readouterr().out
    assert "override: 0 of" in out
    assert run(["overrides", "report", str(history), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["overrides"]
    assert told["nearer"] == "override"
    write_contracts(log[:-1], history)
    assert run(["overrides", "report", str(history)]) == 1
    assert "there is no override" in capsys.readouterr().out


def test_what_held_for_all_by_a_history_holds_in_the_reckoning_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build, history = Events(), tmp_path / "history.jsonl"
    hold = build.override(16, OverrideEffect.HOLD, until=60)
    write_contracts([build.profiled(0), build.issued(1, "I1", 50_000, due=15), hold, build.called(90)], history)
    assert run(["overrides", "report", str(history), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["overrides"]
    assert row["would_send"] > 0
    stop = halt(0)
    history.write_bytes(encode_event(stop) + b"\n" + history.read_bytes())
    assert run(["overrides", "report", str(history), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["overrides"]
    assert row["would_send"] == 0


def test_a_record_that_no_worker_could_read_is_no_part_of_the_reckoning() -> None:
    build, concerned = Events(), Concerned()
    word, stop = build.override(20, OverrideEffect.HOLD, until=90), halt(0)
    of_client = [encode_event(word), b"{", None]
    log = [
        PlainRecord(topic="client.events", partition=0, offset=at, timestamp=0, key=key, value=value)
        for at, (key, value) in enumerate(
            [*((b"client-1", value) for value in of_client), (CONTROL_KEY, encode_event(stop)), (CONTROL_KEY, b"[")]
        )
    ]
    for see in (concerned.ask, concerned.keep):
        for record in log:
            see(record)
    assert (concerned.events, [*concerned.controls.values()]) == ([word], [stop])


@pytest.mark.parametrize("said", [{"client_id": "a" * 3_000}, {"client_id": " "}, {"author": "b" * 3_000}, {"reason": "x"}])
def test_what_cannot_be_said_is_refused_in_one_line(said: dict[str, str]) -> None:
    words = {"client_id": "client-1", "author": "mia", "reason": "a new lead", **said}
    client = words.pop("client_id")
    with pytest.raises(UsageError, match="this cannot be said: ") as refused:
        word(client, OverrideEffect.HOLD, value=None, journey=None, until=on(9), now=on(1), **words)
    assert "\n" not in str(refused.value)


def test_days_that_are_no_days_of_a_year_are_refused_before_anything_is_asked_of_a_server(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["overrides", "set", "client-1", "--effect", "window", "--window", "02-30..03-31", "--reason", "a grant"]
    assert run(words) == 2
    assert "07-01..09-15" in capsys.readouterr().err
