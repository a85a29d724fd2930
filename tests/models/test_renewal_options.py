"""What is put before a renewal: all of it, in an order that chances may set, in the same tone, and never a word of a chance."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from models.policy.document import PolicyDocument
from models.policy.freshness import MaxAge
from models.policy.gate import renewal_anchor
from models.policy.policy import DEFAULT_POLICY, Policy, stamped
from models.policy.renewal_options import EVERY_OPTION, IN_DOUBT, options_of, together
from models.policy.standing import standing
from models.state.client import JOURNEYS, ClientState, Contract, Run
from models.state.renewals import Period, RenewalAsked, Renewals
from models.state.rhythm import Label
from models.triggers import Journey
from models.workdays import DAY_MS
from tests.models.builders import ms
from tests.models.test_renewal_timing import triggers

RENEWS_MS = ms(60)
CONTRACT = Contract("K1", "active", "retainer", "tax", ms(-300), RENEWS_MS, 1_000, "EUR", ms(0))


def client(*chances: int, age_days: int = 3) -> ClientState:
    """Return a client whose renewal in twenty days was given these chances, or none, some days ago."""
    now = RENEWS_MS - 20 * DAY_MS
    asked = (RenewalAsked(1, now - age_days * DAY_MS, b"", chances or (-1, -1, -1), "renewal-7"),)
    period = Period("K1", ms(-300), RENEWS_MS, 1_000, "EUR", "retainer", asked=asked)
    state = ClientState("c", now_ms=now, renewals=Renewals((period,)))
    return changed(state, person=changed(state.person, contracts=(CONTRACT,)))


def put(state: ClientState, policy: Policy = DEFAULT_POLICY) -> tuple[str, ...]:
    return options_of(state, CONTRACT, policy).options


def test_without_a_chance_the_order_is_the_policy_s() -> None:
    assert put(client()) == EVERY_OPTION
    turned = stamped(replace(DEFAULT_POLICY, renewal_options=("later", "same", "talk")))
    assert put(client(), turned) == ("later", "same", "talk")
    assert "no chance of this renewal is given" in options_of(client(), CONTRACT, DEFAULT_POLICY).why


def test_a_likely_renewal_goes_on_as_it_is_and_one_that_may_grow_names_more_second() -> None:
    assert put(client(9_000, 500, 100)) == EVERY_OPTION
    assert put(client(9_000, 4_000, 100)) == ("same", "more", "less", "talk", "later")
    assert put(client(9_000, 4_000, 100), stamped(replace(DEFAULT_POLICY, renewal_more_from=0.0))) == EVERY_OPTION


def test_trifles_paid_late_put_no_later_beginning_first() -> None:
    def ended(*minor: int) -> ClientState:
        labels = tuple(Label(ms(30) + place, 40, each, "EUR", written_off=False) for place, each in enumerate(minor))
        punctual = tuple(Label(ms(10) + place, -2, 90_000, "EUR", written_off=False) for place in range(4))
        state = client()
        return changed(
            state, rhythm=changed(state.rhythm, labels=(*punctual, *labels), labelled=4 + len(labels), late=len(labels))
        )

    assert put(ended(300, 120)) == EVERY_OPTION
    assert put(ended(300, 90_000))[0] == "later"


def test_an_unlikely_one_begins_with_a_word_together_and_with_less() -> None:
    said = options_of(client(3_400, 4_000, 100), CONTRACT, DEFAULT_POLICY)
    assert said.options == IN_DOUBT
    assert said.why == "it is 34% likely (renewal-7), less than 50%"
    assert put(client(3_400, 0, 0), stamped(replace(DEFAULT_POLICY, renewal_unlikely_below=0.0))) == EVERY_OPTION
    assert put(client(5_000, 0, 0)) == EVERY_OPTION  # as likely as not is not unlikely


def test_a_chance_that_is_too_old_is_not_counted() -> None:
    fresh = stamped(replace(DEFAULT_POLICY, max_age=MaxAge(renewal_days=10)))
    assert put(client(3_400, 0, 0, age_days=3), fresh) == IN_DOUBT
    assert put(client(3_400, 0, 0, age_days=30), fresh) == EVERY_OPTION


@given(
    chances=st.one_of(st.none(), st.tuples(*(st.integers(0, 10_000),) * 3)),
    offered=st.sampled_from([row for size in range(1, 6) for row in permutations(EVERY_OPTION, size) if "same" in row]),
)
def test_whatever_the_chance_exactly_what_the_policy_offers_is_put(
    chances: tuple[int, int, int] | None, offered: tuple[str, ...]
) -> None:
    policy = replace(DEFAULT_POLICY, renewal_options=offered)
    assert sorted(put(client(*(chances or ())), policy)) == sorted(offered)


@pytest.mark.parametrize("said", [[], ["same", "same"], ["less", "more"], ["same", "free"]])
def test_a_policy_names_each_option_once_and_going_on_as_it_is_among_them(said: list[str]) -> None:
    with pytest.raises(ValueError, match=r"renewal_options"):
        PolicyDocument.model_validate({"version": "x", "renewal": {"renewal_options": said}})


def test_the_order_changes_neither_tone_nor_time_nor_what_else_is_said() -> None:
    never = stamped(replace(DEFAULT_POLICY, renewal_unlikely_below=0.0, renewal_more_from=0.0))
    always = stamped(replace(DEFAULT_POLICY, renewal_unlikely_below=1.0))
    one, two = triggers(never, days=1)[0], triggers(always, days=1)[0]
    assert (one.facts["options"], two.facts["options"]) == (" ".join(EVERY_OPTION), " ".join(IN_DOUBT))
    assert (one.tone, one.decided_at, one.step, one.not_before) == (two.tone, two.decided_at, two.step, two.not_before)
    rest = [{name: row.facts[name] for name in row.facts if name != "options"} for row in (one, two)]
    assert rest[0] == rest[1]
    assert any("options talk, less, later, same, more: it is" in reason for reason in two.reasons)


def test_an_inspection_says_what_would_be_put_and_why() -> None:
    (line,) = [row for row in standing(client(3_400, 0, 0), DEFAULT_POLICY) if "before the renewal of K1" in row]
    assert line == "before the renewal of K1: options talk, less, later, same, more: it is 34% likely (renewal-7), less than 50%"


def test_an_inspection_says_nothing_of_a_renewal_whose_options_are_out_or_that_will_not_be() -> None:
    state = client(3_400, 0, 0)
    ended = changed(state, person=changed(state.person, contracts=(Contract("K1", "ended", "", "", 0, RENEWS_MS, 0, "", 0),)))
    put_run = Run(JOURNEYS.index(Journey.RENEWAL), renewal_anchor(CONTRACT), stage=1, subject="K1")
    out = changed(state, care=changed(state.care, runs=(put_run,)))
    assert not [row for each in (ended, out) for row in standing(each, DEFAULT_POLICY) if "before the renewal" in row]


def test_a_policy_without_limits_asks_for_no_chance() -> None:
    plain = stamped(replace(DEFAULT_POLICY, renewal_unlikely_below=0.0, renewal_more_from=0.0))
    said = options_of(client(3_400, 4_000, 100), CONTRACT, plain)
    assert (said.options, said.read) == (EVERY_OPTION, None)


def test_the_order_is_the_same_however_often_the_client_is_woken() -> None:
    assert triggers(DEFAULT_POLICY, days=1) == triggers(DEFAULT_POLICY, days=5)


def test_only_the_message_that_puts_options_states_them() -> None:
    (first, *rest) = triggers(DEFAULT_POLICY, days=1)
    assert {"options", "together"} <= first.facts.keys()
    assert not any({"options", "together"} & row.facts.keys() for row in rest)


def test_a_policy_that_offers_no_later_beginning_offers_none_anywhere() -> None:
    plain = stamped(replace(DEFAULT_POLICY, renewal_options=("same", "talk")))
    assert {row.facts["deferral_possible"] for row in triggers(plain, days=1)} == {False}


@pytest.mark.parametrize(("days", "said"), [(10, ""), (130, "months"), (364, "months"), (370, "year"), (740, "years")])
def test_how_long_it_has_been_running_is_told_roughly_and_never_too_long(days: int, said: str) -> None:
    assert together(CONTRACT, CONTRACT.started_ms + days * DAY_MS) == said
    assert together(Contract("K", "active", "", "", 0, RENEWS_MS, 0, "", 0), ms(days)) == ""
