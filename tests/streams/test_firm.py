"""The policy of the firm: its zone, and the holidays of each client's country."""

from dataclasses import replace as replace_field
from datetime import UTC, date, datetime

import pytest
from msgspec.structs import replace

from models.state.client import ClientState, Field
from streams.runtime.errors import UsageError
from streams.runtime.firm import PublicHolidays, firm_policy
from streams.runtime.settings import Settings


def client_in(country: str, zone: str) -> ClientState:
    state = ClientState("c")
    return replace(state, person=replace(state.person, country=Field(country, 1), timezone=Field(zone, 1)))


def opens(country: str, zone: str, moment: datetime) -> date:
    policy = firm_policy(Settings())
    ms = policy.open_hour(client_in(country, zone), int(moment.timestamp() * 1000))
    return datetime.fromtimestamp(ms / 1000, UTC).date()


def test_a_client_is_not_contacted_on_a_public_holiday_of_their_own_country() -> None:
    unity_day = datetime(2025, 10, 3, 12, tzinfo=UTC)  # a Friday
    assert opens("DE", "Europe/Berlin", unity_day) == date(2025, 10, 6)
    assert opens("FR", "Europe/Paris", unity_day) == date(2025, 10, 3)


def test_a_country_without_a_calendar_has_working_days_only() -> None:
    assert opens("XX", "UTC", datetime(2025, 10, 3, 12, tzinfo=UTC)) == date(2025, 10, 3)
    assert "XX" not in PublicHolidays()
    assert "DE" in set(PublicHolidays())


def test_a_client_of_unknown_country_makes_nobody_load_the_calendars() -> None:
    class Unloadable(dict[str, frozenset[date]]):
        def get(self, *_args: object) -> frozenset[date]:
            raise AssertionError

    policy = replace_field(firm_policy(Settings()), holidays=Unloadable())
    noon = datetime(2025, 10, 3, 12, tzinfo=UTC)
    assert policy.open_hour(ClientState("c"), int(noon.timestamp() * 1000)) == int(noon.timestamp() * 1000)


def test_days_of_the_firm_s_own_are_free_beside_the_public_ones() -> None:
    bridge_day = date(2025, 10, 2)
    days = PublicHolidays({"DE": frozenset({bridge_day})})
    assert {bridge_day, date(2025, 10, 3)} <= days["DE"]
    assert days["DE"] is days["DE"]
    assert bridge_day not in days["FR"]


def test_the_zone_of_the_firm_holds_where_the_client_s_is_unknown() -> None:
    policy = firm_policy(Settings(firm_timezone="Pacific/Auckland"))
    assert str(policy.zone_of(ClientState("c"))) == "Pacific/Auckland"


def test_a_zone_that_does_not_exist_is_named_with_the_setting() -> None:
    with pytest.raises(UsageError, match="RAPPORT_FIRM_TIMEZONE"):
        firm_policy(Settings(firm_timezone="Mars/Olympus"))
