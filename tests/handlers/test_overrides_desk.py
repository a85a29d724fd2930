"""`rapport overrides set|list|lift`: what a word becomes, what it contradicts, and what is refused before it is on the log."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from handlers.commands.journey_choice import journey_named
from handlers.commands.overrides.desk import chosen, conflicts, end, row_as_json, standing, word
from models.events.signals import OverrideEffect, OverrideSet
from models.journey_names import OWN_JOURNEYS
from models.policy.gate import hold_of, hold_on
from models.state.client import ClientState
from models.state.describe import describe
from models.triggers import Journey, OwnJourney
from streams.runtime.errors import UsageError
from tests.models.builders import Events, ms, on
from tests.models.views import final


def said(day: float, effect: OverrideEffect = OverrideEffect.HOLD, *, author: str = "ann", **known: Any) -> OverrideSet:  # noqa: ANN401 - fields of the word
    about = {"value": None, "journey": None, "reason": "talked on the phone", "until": on(day + 30), **known}
    return word("client-1", effect, author=author, now=on(day), **about)


def heard(*words: OverrideSet) -> ClientState:
    return final([Events().profiled(0), *words])


def test_the_next_word_of_an_author_on_the_same_scope_takes_the_place_of_the_first() -> None:
    state = heard(said(10), said(20, reason="they asked for time", until=on(60)))
    (row,) = standing(state, ms(21))
    assert (row.reason, row.expires_ms) == ("they asked for time", ms(60))
    other = heard(said(10), said(20, author="sam"), said(20, journey=Journey.RENEWAL))
    assert len(standing(other, ms(21))) == 3


def test_what_was_lifted_holds_no_more_and_may_be_said_again() -> None:
    first = said(10)
    (row,) = standing(heard(first), ms(11))
    ended = end(row, "client-1", author="sam", now=on(12))
    assert standing(final([Events().profiled(0), first, ended]), ms(13)) == []
    again = final([Events().profiled(0), first, ended, said(14)])
    assert [row.author for row in standing(again, ms(15))] == ["ann"]


@pytest.mark.parametrize(
    ("known", "told", "expected"),
    [
        (
            said(1, OverrideEffect.SEGMENT, value="slow"),
            said(2, OverrideEffect.SEGMENT, value="reliable", author="sam"),
            "latest",
        ),
        (said(1), said(2, OverrideEffect.RELEASE, author="sam"), "a hold beats a release"),
        (said(1, OverrideEffect.RELEASE), said(2, journey=Journey.RENEWAL, author="sam"), "your hold beats it"),
        (said(1, OverrideEffect.SEGMENT, value="slow"), said(2, OverrideEffect.SEGMENT, value="slow", author="sam"), ""),
        (said(1, journey=Journey.RENEWAL), said(2, OverrideEffect.RELEASE, journey=Journey.DELAY_SUPPORT, author="sam"), ""),
        (
            said(1, journey=OwnJourney("thanks")),
            said(2, OverrideEffect.RELEASE, journey=OwnJourney(OWN_JOURNEYS)),
            "a hold beats",
        ),
        (said(1, journey=Journey.RENEWAL), said(2, OverrideEffect.RELEASE, journey=OwnJourney(OWN_JOURNEYS)), ""),
        (said(1), said(2, author="sam"), ""),
        (said(1, OverrideEffect.SEGMENT, value="slow"), said(2, OverrideEffect.SEGMENT, value="reliable"), ""),
    ],
)
def test_words_that_say_otherwise_are_shown_with_which_of_them_holds(
    known: OverrideSet, told: OverrideSet, expected: str
) -> None:
    found = list(conflicts(heard(known), told, ms(3)))
    assert len(found) == bool(expected)
    assert expected in "".join(found)


@pytest.mark.parametrize(
    ("effect", "known", "why"),
    [
        (OverrideEffect.HOLD, {"until": on(9)}, "still to come"),
        (OverrideEffect.SEGMENT, {}, "needs --segment"),
        (OverrideEffect.HOLD, {"value": "slow"}, "no other effect takes one"),
        (OverrideEffect.URGENCY, {}, "--effect urgency needs --days"),
        (OverrideEffect.CHANNEL, {"value": "sms", "journey": Journey.RENEWAL}, "as a whole"),
        (OverrideEffect.TONE, {"value": "gentle", "invoice_id": "R-17"}, "leave --invoice out"),
        (OverrideEffect.SEGMENT, {"value": "slow", "journey": Journey.RENEWAL}, "as a whole"),
        (OverrideEffect.HOLD, {"journey": Journey.RENEWAL, "invoice_id": "R-17"}, "leave --journey out"),
        (OverrideEffect.WINDOW, {}, "--effect window needs --window"),
        (OverrideEffect.WINDOW, {"value": "07-01..09-15", "invoice_id": "R-17"}, "leave --invoice out"),
    ],
)
def test_a_word_that_makes_no_sense_is_refused(effect: OverrideEffect, known: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        said(10, effect, **known)


def test_a_word_on_one_invoice_stands_beside_the_one_on_all() -> None:
    every, one = (said(10, OverrideEffect.CHANNEL, value="sms", invoice_id=name) for name in (None, "R-17"))
    assert every.override_id != one.override_id
    assert {row.invoice_id for row in standing(heard(every, one), ms(11))} == {"", "R-17"}


def test_a_hold_on_one_invoice_is_none_on_its_journey_and_says_which() -> None:
    told = said(10, invoice_id="R-17")
    state = heard(told)
    assert told.journey == Journey.DELAY_SUPPORT.value
    assert hold_of(state, Journey.DELAY_SUPPORT, ms(11)) is None
    assert hold_on(state, "R-17", ms(11)) is not None
    assert hold_on(state, "R-18", ms(11)) is None
    assert row_as_json("client-1", standing(state, ms(11))[0])["invoice_id"] == "R-17"
    assert any("hold delayed_payment_support R-17" in line for line in describe(state))


def test_one_of_several_is_named_by_the_beginning_of_its_id() -> None:
    rows = standing(heard(said(10), said(10, author="sam")), ms(11))
    assert chosen(rows, rows[1].override_id[:8], "client-1") is rows[1]
    assert chosen(rows[:1], None, "client-1") is rows[0]
    for some, name in ((rows, None), (rows, "zz"), ([], None)):
        with pytest.raises(UsageError, match="in force are"):
            chosen(some, name, "client-1")
    told = row_as_json("client-1", rows[0])
    assert datetime.fromisoformat(told["expires_at"]) - datetime.fromisoformat(told["since"]) == timedelta(days=30)


@pytest.mark.parametrize("name", ["thanks", OWN_JOURNEYS])
def test_a_journey_of_the_firms_own_is_held_by_its_name_or_with_all_of_them(name: str) -> None:
    state = heard(said(10, journey=journey_named(name, lambda: ["thanks"])))
    assert hold_of(state, OwnJourney("thanks"), ms(11)) is not None
    assert hold_of(state, Journey.RENEWAL, ms(11)) is None
    assert (hold_of(state, OwnJourney("welcome"), ms(11)) is None) is (name == "thanks")


def test_a_journey_that_nobody_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"no journey 'thank'.*pre_renewal.*thanks, or own_journeys"):
        journey_named("thank", lambda: ["thanks"])
    assert journey_named("pre_renewal", lambda: pytest.fail("no server is asked about ours")) is Journey.RENEWAL
    assert journey_named(None, list) is None
