"""The tone of a message, cell by cell: never above the ceiling, never firmer than the policy, firm only after a person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.signals import Industry, Role, Style
from models.policy.audience import audience_of, roles_for
from models.policy.tones import CEILINGS, FIRMNESS, Relationship, is_above, relationship_of, tone_of
from models.state.client import Segment
from models.triggers import Journey, Tone
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm
from tests.models.test_outcomes import state_of
from tests.models.tone_cells import GOLDEN, cells
from tests.models.views import final

AP = {"role": "accounts_payable", "name": "Bo", "email": "ap@client.example"}
LEAD = {"role": "finance_lead", "name": "Cy", "email": "cfo@client.example"}
CELL = {
    "segment": st.sampled_from(Segment),
    "asked": st.booleans(),
    "relationship": st.sampled_from(Relationship),
    "industry": st.sampled_from(Industry),
    "style": st.sampled_from(Style),
    "unheeded": st.booleans(),
}


def test_the_matrix_reads_as_agreed() -> None:
    agreed = GOLDEN.read_text(encoding="utf-8").splitlines()
    assert list(cells()) == agreed, "if it is meant so: python -m tests.models.tone_cells"


@given(wanted=st.sampled_from(Tone), cell=st.fixed_dictionaries(CELL))
def test_nothing_makes_a_message_firmer_than_the_policy_or_the_ceiling(wanted: Tone, cell: dict[str, object]) -> None:
    found = tone_of(wanted, **cell)  # type: ignore[arg-type] # as CELL says
    assert not is_above(found, wanted)
    assert not is_above(found, CEILINGS[Segment(str(cell["segment"]))])
    if found is Tone.FIRM:
        assert cell["asked"] is True
        assert cell["unheeded"] is False
        assert cell["relationship"] is not Relationship.LONG
        assert cell["style"] is Style.STANDARD


@given(wanted=st.sampled_from(Tone), cell=st.fixed_dictionaries(CELL))
def test_where_nobody_did_what_a_person_was_asked_to_it_is_never_said_as_firmly_as_the_segment_may_hear(
    wanted: Tone, cell: dict[str, object]
) -> None:
    found = tone_of(wanted, **{**cell, "unheeded": True})  # type: ignore[arg-type] # as CELL says
    assert FIRMNESS[found] <= max(0, FIRMNESS[CEILINGS[Segment(str(cell["segment"]))]] - 1)
    again = tone_of(found, **{**cell, "unheeded": True})  # type: ignore[arg-type] # as CELL says
    assert again is found, "a message that waits is asked again and must not be softened without end"


@given(wanted=st.sampled_from(Tone), cell=st.fixed_dictionaries(CELL))
def test_who_asked_for_gentle_messages_gets_them(wanted: Tone, cell: dict[str, object]) -> None:
    found = tone_of(wanted, **{**cell, "style": Style.GENTLE})  # type: ignore[arg-type] # as CELL says
    assert FIRMNESS[found] == 0


@pytest.mark.parametrize(("day", "relation"), [(10, "young"), (400, "settled"), (1830, "long")])
def test_years_with_the_firm_are_counted_from_the_first_event(day: int, relation: str) -> None:
    build = Events()
    assert relationship_of(final([build.profiled(0), build.called(day)])) == relation


def test_a_wish_for_gentle_messages_reaches_the_trigger() -> None:
    build = Events()
    softened = build.profiled(0).model_copy(update={"style": Style.GENTLE, "industry": Industry.SLOW_PROCESS})
    firm = Firm().run([softened, build.issued(0, "I1", due=3)], until_ms=ms(9))
    assert firm.triggers[0].tone in {Tone.GENTLE, Tone.EDUCATIONAL}
    assert state_of(firm).person.style.value == "gentle"


def test_a_message_is_for_the_role_it_concerns() -> None:
    build = Events()
    known = build.profiled(0).model_validate({**build.profiled(0).model_dump(), "colleagues": [AP, LEAD]})
    firm = Firm().run([known, build.issued(0, "I1", due=3), build.issued(0.1, "I2", due=3)], until_ms=ms(9))
    (first, *_) = firm.triggers
    assert first.audience is Role.ACCOUNTS_PAYABLE
    assert [item.invoice_id for item in first.statement] == ["I1", "I2"]
    assert sum(item.open.minor for item in first.statement) == first.facts["amount_open"].minor  # type: ignore[union-attr]
    state = state_of(firm)
    assert audience_of(state, Journey.DELAY_SUPPORT, first.purpose, Tone.FIRM, channel="email") is Role.FINANCE_LEAD


def test_a_message_about_one_invoice_carries_no_statement() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(0, "I1", due=3)], until_ms=ms(9))
    assert firm.triggers[0].statement == ()
    assert firm.triggers[0].audience is None


@given(order=st.permutations(range(3)))
def test_the_latest_list_of_colleagues_holds_whatever_the_order_of_arrival(order: list[int]) -> None:
    build = Events()
    lists: list[list[dict[str, str]]] = [[AP], [LEAD], [AP, LEAD]]
    events = [
        build.profiled(day, received=5).model_validate(
            {**build.profiled(day, received=5).model_dump(), "colleagues": lists[day], "event_id": f"e{day}"}
        )
        for day in range(3)
    ]
    state = final([events[place] for place in order])
    assert [person.role for person in state.person.colleagues] == ["accounts_payable", "finance_lead"]


def test_every_journey_has_somebody_it_is_for() -> None:
    for journey in Journey:
        for purpose in ("servicing", "relationship"):
            assert roles_for(journey, purpose, Tone.GENTLE)  # type: ignore[arg-type] # a StrEnum's value
