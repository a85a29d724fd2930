"""When a client seems to decide: months that came back, proposed and never acted upon."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.signals import OverrideEffect
from models.events.union import AnyClientEvent
from models.policy.deciding import MOST_MONTHS, SURE, begun, deciding, proposal_lines
from models.policy.favourable import read_seasons, windows
from models.state.codec import encode
from tests.models.builders import START, Events, ms, tick
from tests.models.test_journey_laws import Firm
from tests.models.views import final

TODAY = date(2026, 2, 10)


def day(year: int, month: int, number: int = 10) -> int:
    return (date(year, month, number) - date(1970, 1, 1)).days


def found_in(*months: tuple[int, int], since: date = date(2023, 12, 1)) -> str | None:
    found = deciding(
        [day(*month) for month in months], first_day=day(since.year, since.month), today=day(TODAY.year, TODAY.month)
    )
    return None if found is None else found.value


MARCH_AND_SEPTEMBER = ((2024, 3), (2024, 9), (2025, 3), (2025, 9))


def test_months_that_came_back_in_each_of_two_years_are_proposed() -> None:
    assert found_in(*MARCH_AND_SEPTEMBER) == "03-01..03-31,09-01..09-30"
    assert found_in((2024, 12), (2025, 1), (2025, 2), (2025, 12), (2026, 1), (2024, 2)) == "12-01..02-28"


@pytest.mark.parametrize(
    "months",
    [
        ((2024, 3), (2025, 9)),
        ((2024, 3), (2025, 3)),  # one month in two years comes back by chance in one of twelve
        ((2024, 3), (2024, 9), (2025, 3), (2025, 9), (2024, 5), (2025, 7)),  # too much besides
        tuple((year, month) for year in (2024, 2025) for month in range(2, 10)),  # who decides all year has no window
        (),
    ],
)
def test_what_chance_or_a_steady_rhythm_explains_is_not_proposed(months: tuple[tuple[int, int], ...]) -> None:
    assert found_in(*months) is None


def test_one_month_needs_three_years_and_nothing_is_said_of_less_than_two() -> None:
    assert found_in((2023, 6), (2024, 6), (2025, 6), since=date(2022, 12, 1)) == "06-01..06-30"
    assert found_in(*MARCH_AND_SEPTEMBER, since=date(2024, 2, 1)) is None


@given(months=st.lists(st.tuples(st.integers(2020, 2026), st.integers(1, 12)), max_size=40), years=st.integers(0, 6))
@settings(max_examples=60)
def test_a_proposal_rests_on_every_year_and_can_be_entered_as_it_stands(months: list[tuple[int, int]], years: int) -> None:
    days = [day(*month) for month in months]
    found = deciding(days, first_day=day(2026 - years, 1), today=day(TODAY.year, TODAY.month))
    if found is None:
        return
    assert 2 <= found.years <= years
    assert 1 <= len(found.months) <= MOST_MONTHS
    assert found.chance <= SURE
    assert read_seasons(found.value) == found.seasons
    assert all(sum(month == number for _, month in months) >= found.years for number in found.months)


def contracts(build: Events) -> list[AnyClientEvent]:
    begins = [date(year, month, 10) for year in (2021, 2022, 2023) for month in (3, 9)]
    rows = [
        build.contract(1 + place, f"K{place}", renews=500).model_copy(
            update={"started_at": START + timedelta(days=(begin - START.date()).days)}
        )
        for place, begin in enumerate(begins)
    ]
    return [build.profiled(0), *rows]


def test_contracts_that_a_client_began_tell_it_in_its_state_and_a_confirmed_window_ends_the_question() -> None:
    build = Events()
    log = contracts(build)
    state = final([*log, tick(20)])
    found = begun(state)
    assert found is not None
    assert (found.months, found.years) == ((3, 9), 2)
    words, command = proposal_lines(state)
    assert words.startswith("they seem to decide from 03-01 to 03-31 and from 09-01 to 09-30")
    assert "overrides set client-1 --effect window --window 03-01..03-31,09-01..09-30 --reason" in command
    assert command.endswith("--until 2026-01-27")
    confirmed = build.override(21, OverrideEffect.WINDOW, until=900, value=found.value)
    after = final([*log, tick(20), confirmed])
    assert list(proposal_lines(after)) == []
    assert [row.season for row in windows(after)] == list(found.seasons)


def test_a_proposal_changes_nothing_by_itself() -> None:
    firm = Firm().run(contracts(Events()), until_ms=ms(60))
    assert firm.state is not None
    before = encode(firm.state)
    list(proposal_lines(firm.state))
    assert encode(firm.state) == before
    assert windows(firm.state) == []
