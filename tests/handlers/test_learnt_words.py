"""What `rapport inspect` says of a learnt value: its age, whether it counted, and each feature that the learner saw, by name."""

from dataclasses import replace
from typing import Final

from handlers.terminal.learnt_words import learnt_json, learnt_lines, values_of
from models.features import FEATURES, TABLE, pack
from models.learners.scorer import Score
from models.learnt import Learnt, LearntKind
from models.policy.freshness import MaxAge, score_read
from models.workdays import DAY_MS

VALUES: Final = tuple(0.5 if row.name == "late_share" else -1.25 if row.name == "to_go" else 0.0 for row in FEATURES)
SCORE: Final = Score(
    0.31, plain=0.31, as_of_ms=117 * DAY_MS, about="Rödl & Søn-7", features=pack(list(VALUES)), version="lateness-9"
)


def read(score: Score = SCORE, **days: int) -> Learnt:
    found = score_read(score, 120 * DAY_MS, MaxAge(**days))[1]
    assert found is not None
    return found


def test_each_feature_that_says_something_is_named_with_its_value() -> None:
    assert list(learnt_lines((read(),), with_values=True)) == [
        "read score of Rödl & Søn-7: as of 1970-04-28, 3 days old; 31%, by lateness-9",
        "  late_share 0.5: share of their invoices paid late",
        "  to_go -1.25: days left until due when entered",
    ]
    assert learnt_json(read())["values"]["to_go"] == -1.25
    assert len(list(learnt_lines((read(),), with_values=False))) == 1


def test_a_value_that_does_not_count_says_why() -> None:
    (line,) = learnt_lines((read(score_days=2),), with_values=False)
    assert "3 days old: older than the 2 days of the policy, so it does not count" in line


def test_of_a_new_client_no_segment_is_told_to_be_sure_and_days_are_told_as_days() -> None:
    segment = read().model_copy(update={"what": LearntKind.SEGMENT, "about": None, "value": 0.0, "version": ""})
    assert not list(learnt_lines((segment,), with_values=False))
    (line,) = learnt_lines((segment.model_copy(update={"value": 0.872}),), with_values=False)
    assert line.endswith("old; 87%")
    (line,) = learnt_lines((read().model_copy(update={"what": LearntKind.PAY_DATE, "value": 8.25}),), with_values=False)
    assert line.endswith("; 8.25 days from the due date, by lateness-9")


def test_features_of_another_table_are_told_as_such_and_never_named_wrongly() -> None:
    other = read().model_copy(update={"table": "0123456789ab"})
    assert values_of(other) is None
    assert "another table (0123456789ab)" in list(learnt_lines((other,), with_values=True))[1]
    assert "values" not in learnt_json(other)
    plain = read(replace(SCORE, features=b""), score_days=9)
    assert (plain.table, values_of(plain)) == (None, None)
    assert read().table == TABLE
