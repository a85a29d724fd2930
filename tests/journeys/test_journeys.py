from pathlib import Path

import pytest

from tests.journeys.story import read, tell

STORIES = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_the_ledger_of_decisions_is_what_the_story_expects(path: Path) -> None:
    story = read(path)
    assert story.title
    assert "\n".join(tell(story)) == "\n".join(story.expected)


def test_there_is_a_story_for_each_segment_and_journey() -> None:
    names = {path.stem for path in STORIES}
    assert names >= {"new_client", "reliable_client", "slow_client", "problem_client", "onboarding", "renewal"}
    assert names >= {"renewal_cliff", "season_cleanup", "bank_debit_after_declines", "burst_checkin", "gap_checkin"}
