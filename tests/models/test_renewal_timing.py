"""A renewal in doubt is prepared earlier where the policy says so: the time changes, the tone and the words do not."""

from dataclasses import replace
from itertools import pairwise

from msgspec.structs import replace as with_fields

from models.events.union import AnyEvent
from models.learners.activation import WithRenewals
from models.learners.baseline import BASELINE
from models.learners.renewal import PublishedRenewals
from models.learnt import LearntKind, Quality
from models.policy.policy import DEFAULT_POLICY, Policy, stamped
from models.state.client import ClientState
from models.transition import transition
from models.triggers import AnyOutput, Decision, Trigger
from tests.models.builders import Events, ms, on, tick
from tests.models.renewal_examples import renewal_trained
from tests.models.test_journey_laws import Firm
from tests.models.test_renewals import YEAR, agreed

TRAINED = renewal_trained(200).publish()
SCORER = WithRenewals(BASELINE, PublishedRenewals(TRAINED))
EARLY = stamped(replace(DEFAULT_POLICY, renewal_early_below=0.999))


def triggers(policy: Policy, *, days: int) -> list[Trigger]:
    """Return what is sent in that year."""
    return [output for output in outputs(policy, days=days) if isinstance(output, Trigger)]


def outputs(policy: Policy, *, days: int, scorer: WithRenewals = SCORER) -> list[AnyOutput]:
    """Live the year before a renewal, waking the client every so many days."""
    events: list[AnyEvent] = [Events().profiled(0), agreed(0.1, YEAR)]
    events += [tick(day) for day in range(days, YEAR, days)]
    events.append(tick(YEAR))
    state: ClientState | None = None
    found: list[AnyOutput] = []
    for event in events:
        result = transition(state, event, policy=policy, scorer=scorer)
        state = result.state
        found += result.outputs
    return found


def test_what_a_renewal_rests_on_says_that_its_learner_was_trusted_less_when_it_was_asked() -> None:
    leaning = WithRenewals(BASELINE, PublishedRenewals(with_fields(TRAINED, trust=0.95)))
    for scorer, quality in ((SCORER, Quality.GOOD), (leaning, Quality.FAIR)):
        decisions = [output for output in outputs(EARLY, days=1, scorer=scorer) if isinstance(output, Decision)]
        assert {read.quality for row in decisions for read in row.learnt or () if read.what is LearntKind.RENEWAL} == {quality}


def test_a_doubtful_renewal_is_begun_two_weeks_earlier_in_the_same_tone() -> None:
    usual, early = triggers(DEFAULT_POLICY, days=1)[0], triggers(EARLY, days=1)[0]
    assert (usual.step, usual.tone) == (early.step, early.tone)
    assert (on(YEAR) - usual.decided_at).days == 14
    assert (on(YEAR) - early.decided_at).days == 28
    assert any("in doubt" in reason for reason in early.reasons)
    assert not any("in doubt" in reason for reason in usual.reasons)


def test_it_does_not_matter_how_often_the_client_is_woken() -> None:
    assert triggers(EARLY, days=1) == triggers(EARLY, days=5)


def test_a_policy_that_does_not_ask_for_it_never_looks_at_the_chance() -> None:
    plain = stamped(replace(DEFAULT_POLICY, renewal_early_days=60))
    assert [row.decided_at for row in triggers(plain, days=1)] == [row.decided_at for row in triggers(DEFAULT_POLICY, days=1)]


def test_a_contract_that_renews_each_month_is_not_written_about_each_month() -> None:
    build = Events()
    months = [build.contract(30 * month + 0.1, renews=30 * month + 30) for month in range(7)]
    firm = Firm().run([build.profiled(0), *months], until_ms=ms(220))
    told = [row.decided_at for row in firm.triggers if row.step == "renewal_options"]
    assert len(told) == 3
    assert all((later - earlier).days >= DEFAULT_POLICY.renewal_gap_days for earlier, later in pairwise(told))
    silent = [row for row in firm.outputs if isinstance(row, Decision) and "written about within 80 days" in row.reasons[0]]
    assert len({row.anchor for row in silent}) == 4
