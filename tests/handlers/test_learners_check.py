"""`rapport learners check`: what the log gives again is the same, and each way of being different is found and named."""

import asyncio
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from handlers.commands.learners.checking import Sides, judged, large_enough
from handlers.commands.learners.choosing import trusted
from handlers.commands.learners.desk import Stand, distrust_after
from handlers.commands.learners.telling import checked_words
from models.features import pack, unpack
from models.learners.consistency import is_sampled
from models.regime import NOTHING_ACTIVATED, regime_after
from models.renewal_features import pack_renewal, unpack_renewal
from models.triggers import Decision, Example
from models.workdays import DAY_MS
from streams.agents.pupil import activation
from streams.agents.readers import INTAKE_READERS
from streams.engine.memory_pipeline import MemoryPipeline
from streams.engine.oracle import Told, fold_partition
from streams.engine.program import ClientProgram
from streams.runtime.errors import UsageError
from streams.wire.topics import DECISIONS, EXAMPLES
from tests.models.builders import on
from tests.models.renewal_examples import renewal_example
from tests.streams.test_program import activated, history, told
from tests.streams.test_school import checked, learned

NOW: Final = on(500)


def lived() -> tuple[list[tuple[bytes, bytes]], list[Told]]:
    """Return the examples that a deployment published, and those that its log gives again."""
    pipeline = MemoryPipeline(ClientProgram(), readers=INTAKE_READERS, start=on(0))
    for event in history():
        pipeline.tell(event)
    pipeline.advance_to(on(500))
    served = [(entry.key or b"", entry.value) for entry in pipeline.entries if entry.topic == EXAMPLES.name]
    return served, fold_partition(ClientProgram(), pipeline.log, partitions=1).outputs


SERVED, AGAIN = lived()


def compared(served: list[tuple[bytes, bytes]], again: list[Told], **span: Any) -> Any:  # noqa: ANN401 - a result, fields of a span
    sides = Sides(clients={"client-1"})
    for key, value in served:
        sides.serve(key, value)
    sides.replay(again)
    kept = sides.within(since=span.get("since", on(0)), until=span.get("until", NOW))
    return judged(kept, now=NOW, author="nightly")


def spoilt(value: bytes, **changes: Any) -> bytes:  # noqa: ANN401 - fields of the first question
    row = Example.model_validate_json(value)
    first, *rest = row.questions
    return row.model_copy(update={"questions": (first.model_copy(update=changes), *rest)}).model_dump_json().encode()


def off(value: bytes, by: float) -> str:
    """Return the features of the first question with one of them `by` more than it was."""
    features = list(unpack(b64decode(Example.model_validate_json(value).questions[0].features)))
    features[0] += by
    return b64encode(pack(features)).decode()


def test_what_was_served_is_what_the_log_gives() -> None:
    result = compared(SERVED, AGAIN)
    assert result.passed
    assert result.questions > 40
    assert "the same" in checked_words(result)


@pytest.mark.parametrize(
    ("served", "what", "words"),
    [
        ([(SERVED[0][0], spoilt(SERVED[0][1], features=off(SERVED[0][1], 0.25))), *SERVED[1:]], "mismatched", "a feature is off"),
        ([(SERVED[0][0], spoilt(SERVED[0][1], version="other-1")), *SERVED[1:]], "mismatched", "by other-1"),
        (SERVED[1:], "missing", "does not hold it"),
        ([*SERVED, (b"client-1|made-up|5", SERVED[0][1])], "extra", "no such question"),
    ],
)
def test_each_way_of_being_different_is_found_named_and_fails(served: list[tuple[bytes, bytes]], what: str, words: str) -> None:
    result = compared(served, AGAIN)
    assert getattr(result, what) > 0
    assert words in result.first
    assert not result.passed
    assert "no version goes in force" in checked_words(result)


def test_an_answer_that_the_log_does_not_give_is_found() -> None:
    key, value = SERVED[0]
    row = Example.model_validate_json(value)
    other = row.model_copy(update={"late": not row.late}).model_dump_json().encode()
    result = compared([(key, other), *SERVED[1:]], AGAIN)
    assert (result.mismatched, result.passed) == (1, False)
    assert f"answered ({not row.late}, " in result.first


def test_renewals_are_held_against_the_log_as_invoices_are() -> None:
    row = renewal_example(3)
    features = list(unpack_renewal(b64decode(row.questions[0].features)))
    features[0] += 0.25
    asked = row.questions[0].model_copy(update={"features": b64encode(pack_renewal(features)).decode()})
    otherwise = [
        (row.model_copy(update={"renewed": not row.renewed}), f"answered ({not row.renewed}, "),
        (row.model_copy(update={"questions": (asked, *row.questions[1:])}), "a feature is off"),
    ]
    assert judged(Sides({b"r": row}, {b"r": row}), now=NOW, author="nightly").passed
    for served, words in otherwise:
        result = judged(Sides({b"r": served}, {b"r": row}), now=NOW, author="nightly")
        assert (result.mismatched, result.passed) == (1, False)
        assert words in result.first


def test_the_last_digit_of_half_precision_is_no_difference() -> None:
    key, value = SERVED[0]
    assert compared([(key, spoilt(value, features=off(value, 0.0004))), *SERVED[1:]], AGAIN).passed


def test_what_is_too_new_too_old_or_of_somebody_forgotten_is_left_out() -> None:
    assert compared(SERVED[1:], AGAIN, since=on(400)).questions < compared(SERVED, AGAIN).questions
    late = compared([], AGAIN, until=on(0) + timedelta(milliseconds=DAY_MS))
    assert (late.questions, late.passed) == (0, True)
    sides = Sides(clients={"client-1"}, forgotten={"client-1"})
    sides.replay(AGAIN)
    assert judged(sides.within(since=on(0), until=NOW), now=NOW, author="nightly").questions == 0


def decided() -> tuple[list[bytes], list[Told]]:
    """Return the decisions that a deployment with learners in force published, and what its log gives again."""
    pipeline = told(activated(day=150))
    served = [entry.value for entry in pipeline.entries if entry.topic == DECISIONS.name]
    return served, fold_partition(ClientProgram(), pipeline.log, partitions=1).outputs


def read_otherwise(value: bytes, **changes: Any) -> bytes:  # noqa: ANN401 - fields of what was read
    row = Decision.model_validate_json(value)
    assert row.learnt is not None
    return row.model_copy(update={"learnt": (row.learnt[0].model_copy(update=changes),)}).model_dump_json().encode()


def held(served: list[bytes], again: list[Told]) -> Any:  # noqa: ANN401 - a result
    sides = Sides(clients={"client-1"})
    for value in served:
        sides.decide(value)
    sides.replay(again)
    return judged(replace(sides.within(since=on(0), until=NOW), served={}, again={}), now=NOW, author="nightly")


def test_what_a_decision_saw_is_held_against_the_log_too() -> None:
    served, again = decided()
    seen = [value for value in served if b'"features"' in value]
    assert len(seen) > 5
    result = held(served, again)
    assert result.passed
    assert result.decisions >= len(seen)
    assert f"{result.decisions} values that decisions read" in checked_words(result)
    packed = Decision.model_validate_json(seen[0]).learnt[0].features  # type: ignore[index]
    wrong = list(unpack(b64decode(packed or "")))
    wrong[0] += 0.25
    spoilt_ones = [read_otherwise(seen[0], features=b64encode(pack(wrong)).decode()), read_otherwise(seen[0], version="other-1")]
    for one, words in zip(spoilt_ones, ("a feature is off", "by other-1"), strict=True):
        failed = held([one, *(value for value in served if value != seen[0])], again)
        assert (failed.mismatched, failed.passed) == (1, False)
        assert words in failed.first
    # What only one side knows may be worded by another release, and says nothing.
    assert held(seen[1:], again).passed


def test_a_sample_is_the_same_for_everybody_and_another_one_each_night() -> None:
    nights = [{number for number in range(2000) if is_sampled(f"c{number}", share=0.05, night=night)} for night in ("1", "2")]
    assert all(60 < len(night) < 150 for night in nights)
    assert len(nights[0] & nights[1]) < 30


@pytest.mark.parametrize(("clients", "shares"), [(5000, [0.02]), (40, [0.02, 0.16, 1.0]), (0, [0.02, 0.16, 1.0])])
def test_a_sample_that_is_too_small_to_tell_is_made_larger(clients: int, shares: list[float]) -> None:
    asked: list[float] = []

    async def read(share: float) -> Sides:
        asked.append(share)
        row = Example.model_validate_json(SERVED[0][1])
        one = row.model_copy(update={"questions": row.questions[:1]})
        return Sides(served={f"{number}".encode(): one for number in range(round(clients * share))})

    found = asyncio.run(large_enough(read, share=0.02))
    assert asked == pytest.approx(shares)
    assert len(found.served) == round(clients * shares[-1])


def test_where_nothing_was_answered_it_is_said_that_nothing_was_compared() -> None:
    assert "nothing was compared" in checked_words(judged(Sides(), now=NOW, author="nightly"))


def test_nothing_else_is_put_in_force_after_a_failed_check_unless_a_person_insists() -> None:
    decides, other = learned().snapshots()[:2]
    regime = regime_after(NOTHING_ACTIVATED, activation(decides, at=on(0), reason="a test"))
    for stand in (Stand((), (regime,), distrusted="late_share is off"), Stand((), (), distrusted="late_share is off")):
        with pytest.raises(UsageError, match=r"late_share is off.*--anyway"):
            trusted(stand, other, anyway=False)
        trusted(stand, other, anyway=True)
    trusted(Stand((), (regime,), distrusted="late_share is off"), decides, anyway=False)
    trusted(Stand((), ()), other, anyway=False)


def test_the_latest_check_that_compared_anything_holds_whatever_the_trainer_has_stored() -> None:
    failed, passed, silent = (checked(0, passed=ok, questions=many).value for ok, many in ((False, 40), (True, 40), (True, 0)))
    assert failed is not None
    assert passed is not None
    assert silent is not None
    assert distrust_after("", [failed]) == "late_share is off"
    assert distrust_after("late_share is off", []) == "late_share is off"
    assert distrust_after("late_share is off", [passed]) == ""
    assert distrust_after("", [passed, failed, silent, b'{"of": "another release"}']) == "late_share is off"
    assert distrust_after("", [failed, silent, passed]) == ""
