"""Renewals: when a question is put, when its answer becomes known, and what a correction does."""

from base64 import b64decode
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.events.envelope import epoch_ms
from models.events.invoices import ContractRecorded, ContractStatus
from models.events.union import AnyEvent
from models.money import Money
from models.renewal_features import LEADS, RENEWAL_FEATURES, RENEWAL_TABLE, RenewalLandmark, unpack_renewal
from models.state.client import ClientState
from models.state.codec import decode, encode
from models.state.renewals import WATCHED, Fate
from models.triggers import RenewalExample
from tests.models.builders import Events, on, tick
from tests.models.views import final, fold, outputs_of

YEAR = 365


def agreed(
    day: float,
    renews: float | None,
    *,
    minor: int = 1_200_000,
    contract: str = "K1",
    started: float | None = 0,
    status: ContractStatus = ContractStatus.ACTIVE,
) -> ContractRecorded:
    return ContractRecorded(
        event_id=f"{contract}-{day}-{renews}-{minor}-{status}",
        source="test",
        client_id="client-1",
        occurred_at=on(day),
        received_at=on(day),
        contract_id=contract,
        status=status,
        contract_type="retainer",
        started_at=None if started is None else on(started),
        renews_at=None if renews is None else on(renews),
        amount=Money(minor, "EUR"),
    )


def ended(day: float, *, contract: str = "K1") -> ContractRecorded:
    return agreed(day, None, contract=contract, status=ContractStatus.ENDED)


def answers(events: Sequence[AnyEvent]) -> list[RenewalExample]:
    return [output for output in outputs_of(fold(events)) if isinstance(output, RenewalExample)]


def test_a_renewal_is_asked_about_ninety_thirty_and_fourteen_days_before_and_answered_thirty_days_after() -> None:
    told: list[AnyEvent] = [agreed(0, YEAR), agreed(YEAR + 2, 2 * YEAR)]
    assert answers([*told, tick(YEAR + 29)]) == []
    (found,) = answers([*told, tick(YEAR + 31)])
    assert (found.renewed, found.raised, found.left, found.age) == (True, False, False, 0)
    assert [on(YEAR).timestamp() - row.asked_ms / 1000 for row in found.questions] == [days * 86_400 for days in LEADS.values()]
    assert [row.landmark for row in found.questions] == list(RenewalLandmark)
    assert found.table == RENEWAL_TABLE
    assert found.decided_at == on(YEAR + 30)


def test_what_a_date_that_was_moved_back_answers_is_known_when_that_was_told_and_not_before() -> None:
    (row,) = answers([agreed(0, YEAR), agreed(300, 200)])
    assert row.decided_at == on(300)
    assert row.questions == ()


def test_good_and_bad_news_become_known_on_the_same_day_however_early_they_came() -> None:
    early = answers([agreed(0, YEAR), agreed(200, 2 * YEAR), tick(YEAR + 31)])
    late = answers([agreed(0, YEAR), ended(200), tick(YEAR + 31)])
    silent = answers([agreed(0, YEAR), tick(YEAR + 31)])
    assert {row.decided_at for row in (*early, *late, *silent)} == {on(YEAR + 30)}
    assert [(row.renewed, row.left) for row in (*early, *late, *silent)] == [(True, False), (False, True), (False, True)]


def test_what_winning_the_client_cost_travels_with_the_contract_to_its_answered_period() -> None:
    won = agreed(0, YEAR).model_copy(update={"acquisition_cost": Money(250_000, "EUR")})
    (found,) = answers([won, agreed(YEAR - 5, 2 * YEAR, minor=1_300_000), tick(YEAR + 31)])
    assert found.cost == 250_000
    assert final([agreed(YEAR - 5, 2 * YEAR), won]).person.contracts[0].cost == 250_000
    foreign = won.model_copy(update={"acquisition_cost": Money(250_000, "USD")})
    with pytest.raises(ValidationError, match="convert it first"):
        ContractRecorded.model_validate(foreign.model_dump())


def test_a_fate_that_is_known_is_not_asked_about() -> None:
    (found,) = answers([agreed(0, YEAR), ended(YEAR - 60), tick(YEAR + 31)])
    assert [row.landmark for row in found.questions] == [RenewalLandmark.QUARTER]


def test_a_raise_is_a_tenth_more_and_an_index_clause_is_none() -> None:
    more = answers([agreed(0, YEAR), agreed(YEAR, 2 * YEAR, minor=1_320_000), tick(YEAR + 31)])
    index = answers([agreed(0, YEAR), agreed(YEAR, 2 * YEAR, minor=1_240_000), tick(YEAR + 31)])
    assert [(row.raised, row.minor, row.after) for row in (*more, *index)] == [
        (True, 1_200_000, 1_320_000),
        (False, 1_200_000, 1_240_000),
    ]


def test_work_that_is_billed_past_the_date_renews_a_contract_about_which_nobody_wrote_a_record() -> None:
    build = Events()
    bill = build.issued(YEAR + 5, "I1").model_copy(update={"contract_id": "K1"})
    state = final([agreed(0, YEAR), bill, tick(YEAR + 31)])
    (found,) = answers([agreed(0, YEAR), bill, tick(YEAR + 31)])
    assert found.renewed
    assert [row.renews_ms for row in state.renewals.periods] == [epoch_ms(on(2 * YEAR))]


def test_who_keeps_another_contract_has_not_left() -> None:
    other = agreed(0, 2 * YEAR, contract="K2")
    (found,) = answers([agreed(0, YEAR), other, ended(YEAR), tick(YEAR + 31)])
    assert (found.contract_id, found.renewed, found.left) == ("K1", False, False)


def test_an_end_that_was_a_mistake_is_taken_back() -> None:
    back = agreed(101, YEAR)
    assert final([agreed(0, YEAR), ended(100), back]).renewals == final([agreed(0, YEAR)]).renewals


def test_a_renewal_that_was_a_mistake_opens_the_question_again() -> None:
    wrong = final([agreed(0, YEAR), agreed(100, 2 * YEAR)])
    assert [row.fate for row in wrong.renewals.periods] == [Fate.RENEWED, Fate.OPEN]
    assert final([agreed(0, YEAR), agreed(100, 2 * YEAR), agreed(101, YEAR)]).renewals == final([agreed(0, YEAR)]).renewals


def test_a_date_that_moves_a_little_is_a_deferral_and_no_renewal() -> None:
    found = answers([agreed(0, YEAR), agreed(YEAR - 20, YEAR + 40), agreed(YEAR + 41, 2 * YEAR + 40), tick(YEAR + 75)])
    assert [(row.renewed, row.renews_day) for row in found] == [(True, int(on(YEAR + 40).timestamp() // 86_400))]


def test_no_question_is_put_about_a_moment_that_has_passed() -> None:
    state = final([agreed(0, YEAR), agreed(YEAR - 100, YEAR - 80), tick(YEAR - 81)])
    asked = [row for period in state.renewals.periods for row in period.asked]
    assert [row.landmark for row in asked] == [RenewalLandmark.FORTNIGHT]


def test_a_monthly_contract_is_asked_about_once_a_month() -> None:
    found = answers([agreed(0, 30), agreed(30, 60), agreed(60, 90), tick(80)])
    assert [[row.landmark for row in example.questions] for example in found] == [[RenewalLandmark.FORTNIGHT]] * 2
    assert [example.earned for example in found] == [1_200_000, 2_400_000]


def test_a_contract_adopted_in_mid_life_gets_the_length_that_its_next_date_allows() -> None:
    (period,) = final([agreed(3 * YEAR + 100, 4 * YEAR)]).renewals.periods
    assert (period.days, period.age, period.earned) == (365, 3, 3 * 1_200_000)
    (monthly,) = final([agreed(3 * YEAR, 3 * YEAR + 20)]).renewals.periods
    assert monthly.days == 30


@given(
    steps=st.lists(
        st.tuples(
            st.integers(1, 120),
            st.sampled_from(("renew", "end", "defer", "raise", "tick", "again")),
            st.sampled_from(("K1", "K2")),
        ),
        max_size=25,
    )
)
@settings(max_examples=60)
def test_any_story_of_contracts_stays_small_bounded_and_readable(steps: list[tuple[int, str, str]]) -> None:
    day, renews, price = 0.0, {"K1": 200.0, "K2": 300.0}, 100_000
    events: list[AnyEvent] = [agreed(0, renews[name], contract=name, minor=price) for name in renews]
    for gap, what, name in steps:
        day += gap
        match what:
            case "renew" | "raise":
                renews[name] = max(renews[name], day) + 180
                price += 20_000 if what == "raise" else 0
            case "defer":
                renews[name] += 10
            case _:
                pass
        events.append(ended(day, contract=name) if what == "end" else agreed(day, renews[name], contract=name, minor=price))
        if what == "tick":
            events.append(tick(day + 0.5))
    for result in fold(events):
        state = result.state
        assert len(state.renewals.periods) <= WATCHED
        assert decode(encode(state)) == state
        assert 0 <= state.renewals.raised <= state.renewals.renewed <= state.renewals.known
        for period in state.renewals.periods:
            for asked in period.asked:
                values = unpack_renewal(asked.features)
                assert len(values) == len(RENEWAL_FEATURES)
                assert all(abs(value) <= 8 for value in values)
                assert asked.at_ms <= state.now_ms
    for example in answers(events):
        assert all(row.asked_ms <= example.decided_at.timestamp() * 1000 for row in example.questions)
        assert not (example.left and example.renewed)
        assert example.renewed or not example.raised


def test_the_table_of_features_has_unique_names_and_serves_the_relationship_only() -> None:
    assert len({row.name for row in RENEWAL_FEATURES}) == len(RENEWAL_FEATURES)
    assert {row.purpose for row in RENEWAL_FEATURES} == {"relationship"}


def test_a_client_without_contracts_pays_nothing_for_renewals() -> None:
    build = Events()
    state = final([build.issued(0), build.paid(1)])
    assert state.renewals is ClientState("c").renewals


@pytest.mark.parametrize("lead", sorted(LEADS.values()))
def test_what_arrives_after_a_question_does_not_change_it(lead: int) -> None:
    """The leak test: the same history cut off the day after a landmark has put the very same question."""
    build = Events()
    story: list[AnyEvent] = [agreed(0, YEAR)]
    for month in range(1, 14):
        story.append(build.issued(month * 30, f"I{month}", 50_000, due=month * 30 + 14))
        if month % 3:
            story.append(build.paid(month * 30 + 20, f"P{month}", 50_000, f"I{month}"))
    story += [build.disputed(YEAR - 10, "D1", "I3"), ended(YEAR + 1)]
    story.sort(key=lambda event: event.received_ms)
    moment = epoch_ms(on(YEAR - lead))
    cut = [event for event in story if event.received_ms <= moment]
    (whole,) = answers([*story, tick(YEAR + 31)])
    there = next(row for row in final([*cut, tick(YEAR - lead)]).renewals.periods[0].asked if row.at_ms == moment)
    here = next(row for row in whole.questions if row.asked_ms == moment)
    assert b64decode(here.features) == there.features
