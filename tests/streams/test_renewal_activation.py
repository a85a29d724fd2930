"""Renewal learners are put in force through the log, beside whatever scores lateness, and refused when they cannot run."""

from base64 import b64encode

import pytest
from msgspec.structs import replace

from models.events.control import LearnerActivated, LearnerRole
from models.learners.activation import LATENESS, RENEWAL
from models.learners.renewal_snapshot import RenewalWeights, dump_renewal
from models.learners.snapshot import dump
from models.state.client import ClientState
from models.triggers import RenewalExample
from streams.engine.program import ClientProgram
from streams.runtime.errors import DeadLetterError
from tests.models.builders import ms, on, tick
from tests.models.examples import trained
from tests.models.renewal_examples import renewal_trained
from tests.models.test_renewals import YEAR, agreed


def activated(weights: RenewalWeights, *, version: str | None = None, learner: str = RENEWAL) -> LearnerActivated:
    return LearnerActivated(
        event_id=f"activate-{learner}-{weights.version}",
        source="test",
        occurred_at=on(0),
        received_at=on(0),
        author="ann",
        reason="a test",
        learner=learner,
        version=version or weights.version,
        snapshot=b64encode(dump_renewal(weights)).decode(),
    )


def lived(program: ClientProgram) -> ClientState:
    state = program.think(None, agreed(0, YEAR)).state
    return program.think(state, tick(YEAR - 20)).state


def test_what_is_activated_answers_from_then_on_and_names_itself() -> None:
    weights = renewal_trained(200).publish()
    plain = ClientProgram()
    program = plain.under(plain.govern(b"", activated(weights)))
    (period,) = lived(program).renewals.periods
    assert [row.version for row in period.asked] == [weights.version] * 2
    assert all(min(row.chances) >= 0 for row in period.asked)
    assert [row.version for row in lived(plain).renewals.periods[0].asked] == ["renewal-0"] * 2


def test_a_challenger_answers_what_was_asked_after_it_was_trained_and_decides_nothing() -> None:
    champion, challenger = (renewal_trained(count).publish() for count in (200, 300))
    challenger = replace(challenger, trained_ms=ms(YEAR - 60))
    beside = activated(challenger).model_copy(update={"role": LearnerRole.CHALLENGER})
    plain = ClientProgram()
    program = plain.under(plain.govern(plain.govern(b"", activated(champion)), beside))
    thought = program.think(lived(program), tick(YEAR + 31))
    (answered,) = [row for row in thought.outputs if isinstance(row, RenewalExample)]
    first, *later = answered.questions
    assert first.shadow is None
    assert {row.shadow_version for row in later} == {challenger.version}
    for row in later:
        assert row.shadow is not None
        assert min(row.shadow) >= 0
        assert row.shadow != row.chances
    alone = plain.under(plain.govern(b"", activated(champion)))
    assert thought.state == alone.think(lived(alone), tick(YEAR + 31)).state


def test_learners_of_renewals_and_of_lateness_stand_side_by_side() -> None:
    renewal, lateness = renewal_trained(200).publish(), trained(120).publish()
    plain = ClientProgram()
    other = LearnerActivated(
        event_id="activate-lateness",
        source="test",
        occurred_at=on(0),
        received_at=on(0),
        author="ann",
        reason="a test",
        learner=LATENESS,
        version=lateness.version,
        snapshot=b64encode(dump(lateness)).decode(),
    )
    program = plain.under(plain.govern(plain.govern(b"", activated(renewal)), other))
    assert program.scorer.version == lateness.version
    assert program.scorer.renewals.version == renewal.version


def test_an_activation_that_no_worker_could_score_by_is_refused() -> None:
    weights = renewal_trained(60).publish()
    with pytest.raises(DeadLetterError, match="name the version that travels in it"):
        ClientProgram().govern(b"", activated(weights, version="renewal-9"))
    with pytest.raises(DeadLetterError, match="holds RenewalWeights, not LatenessWeights"):
        ClientProgram().govern(b"", activated(weights, learner=LATENESS))
