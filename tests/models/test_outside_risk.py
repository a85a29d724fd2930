"""What somebody outside says of a client: it moves a score within a hard cap, either way, until it expires, and no rule."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from models.events.signals import RiskReported
from models.events.union import AnyClientEvent
from models.learners.outside import with_risk
from models.learners.scorer import Score
from models.state.client import ClientState
from models.state.codec import decode, encode
from models.state.joining import joined
from models.triggers import Decision
from tests.models.builders import Events, on, tick
from tests.models.test_segments import monthly
from tests.models.views import final, fold, outputs_of

CAP = 0.125
"""A full report moves an even chance by half a logit: from 50 % to 62 %."""


def reported(day: float, weight: float, *, until: float = 400, reporter: str = "bureau") -> RiskReported:
    return RiskReported(
        event_id=f"risk-{reporter}-{day}-{weight}-{until}",
        source="test",
        client_id="client-1",
        occurred_at=on(day),
        received_at=on(day),
        reporter=reporter,
        weight=weight,
        reason="two suppliers report arrears",
        expires_at=on(until),
    )


def known(*events: AnyClientEvent) -> ClientState:
    return final([Events().profiled(0), *events, tick(20)])


@given(chance=st.floats(0, 1), weight=st.floats(-1, 1), other=st.floats(-1, 1))
def test_a_report_moves_a_score_monotonically_and_never_beyond_the_cap(chance: float, weight: float, other: float) -> None:
    def moved(by: float) -> float:
        found = with_risk(Score(chance), known(reported(10, by)))
        assert found is not None
        return found.probability

    assert abs(moved(weight) - chance) <= CAP
    low, high = sorted((weight, other))
    assert moved(low) <= moved(high) + 0.004  # certainty is bounded, and a report of nothing leaves it


def test_it_softens_as_well_as_it_firms_up_and_says_so() -> None:
    for weight, word in ((0.8, "raises"), (-0.8, "lowers")):
        found = with_risk(Score(0.5, lambda: ("first",)), known(reported(10, weight)))
        assert found is not None
        assert (found.probability > 0.5) == (weight > 0)
        assert found.reasons[0] == "first"
        assert f"bureau {word} it from 50%" in found.reasons[1]


def test_a_challenger_is_moved_as_the_one_that_decides_is() -> None:
    found = with_risk(Score(0.3, challenger=0.3, challenger_version="other"), known(reported(10, 0.8)))
    assert found is not None
    assert found.challenger == found.probability > 0.3
    alone = with_risk(Score(0.3), known(reported(10, 0.8)))
    assert alone is not None
    assert alone.challenger is None


def test_what_has_expired_says_nothing_and_abstaining_stays_abstaining() -> None:
    plain = Score(0.4)
    assert with_risk(plain, known(reported(10, 1, until=15))) is plain
    assert with_risk(plain, known(reported(10, 1, until=20))) is plain
    assert with_risk(plain, known(reported(10, 1, until=20.01))) is not plain
    assert with_risk(plain, known()) is plain
    assert with_risk(None, known(reported(10, 1))) is None


def test_the_latest_report_holds_in_whatever_order_they_arrive_and_survives_storage() -> None:
    rows = [reported(10, 0.5), reported(12, -0.3, reporter="insurer"), reported(12, 0.9)]
    found = {known(*order).person.risk for order in permutations(rows)}
    assert [row and (row.reporter, row.weight) for row in found] == [("insurer", -30)]
    state = known(*rows)
    assert decode(encode(state)) == state


def test_of_two_clients_who_are_one_company_the_latest_report_holds() -> None:
    one, two = known(reported(10, 0.5)), known(reported(12, -0.3, reporter="insurer"))
    for pair in ((one, two), (two, one), (known(), two), (two, known())):
        risk = joined(*pair).person.risk
        assert risk is not None
        assert risk.reporter == "insurer"


def test_a_report_moves_the_score_of_a_decision_and_neither_segment_nor_what_is_sent() -> None:
    build = Events()
    story: list[AnyClientEvent] = [build.profiled(0), *monthly(build, 8, late=12), build.issued(250, "X", 90_000, due=260)]
    plain = outputs_of(fold([*story, tick(270)]))
    moved = outputs_of(fold([*story, reported(251, 1.0), tick(270)]))
    decisions = [[row for row in rows if isinstance(row, Decision) and row.decided_at > on(255)] for rows in (plain, moved)]
    assert decisions[0]
    for one, two in zip(*decisions, strict=True):
        assert one.score is not None
        assert two.score is not None
        assert one.score < two.score
        assert (one.step, one.outcome, one.segment) == (two.step, two.outcome, two.segment)
    assert final(story).care.segment == final([*story, reported(251, 1.0)]).care.segment
