"""Audiences: who belongs by which rules, what a policy may say of them, and what it does with them."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.policy.audiences import Audience, Between, Figure, OneOf, Rule, Trait
from models.policy.belonging import FIGURES, TRAITS, audiences_of, belongs
from models.policy.document import document_of
from models.policy.lint import errors_of, lint
from models.policy.policy import DEFAULT_POLICY, ApprovalRules, stamped
from models.policy.stakes import person_first
from models.state.client import ClientState
from models.triggers import Trigger
from streams.wire.policy_file import PolicyFileError, read_policy
from tests.models.builders import Events, eur, ms, tick
from tests.models.test_journey_laws import Firm
from tests.models.test_segments import monthly
from tests.models.views import final

KEY = Audience("key", "large and long with us", (Between(Figure.RECEIVED_UNITS, 5_000), Between(Figure.CLIENT_DAYS, 200)))


def client(*, months: int = 8, country: str = "IE") -> ClientState:
    build = Events()
    return final(
        [build.profiled(0, country=country), *monthly(build, months, late=12), build.disputed(months * 30 + 1, invoice=None)]
    )


def test_every_figure_and_trait_that_a_policy_may_name_is_read() -> None:
    assert FIGURES.keys() == set(Figure)
    assert TRAITS.keys() == set(Trait)
    state = client()
    told = {figure: read(state) for figure, read in FIGURES.items()}
    assert told[Figure.CLIENT_DAYS] == 241
    assert (told[Figure.RECEIVED_UNITS], told[Figure.PAYMENTS]) == (7_200, 8)
    assert (told[Figure.ENDED_INVOICES], told[Figure.LATE_SHARE], told[Figure.DISPUTES]) == (8, 1.0, 1)
    assert TRAITS[Trait.COUNTRY](state) == ["IE"]
    assert FIGURES[Figure.LATE_SHARE](client(months=0)) is None


def test_all_must_hold_and_of_any_one_and_why_is_told() -> None:
    state = client()
    assert belongs(state, KEY) == "received_units 7,200, client_days 241"
    abroad, at_home = OneOf(Trait.COUNTRY, ("NO", "DK")), OneOf(Trait.COUNTRY, ("IE",))
    assert belongs(state, replace(KEY, either=(abroad,))) is None
    assert belongs(state, replace(KEY, either=(abroad, at_home))) == "received_units 7,200, client_days 241, country IE"
    assert belongs(state, replace(KEY, every=(*KEY.every, Between(Figure.DISPUTES, at_most=0)))) is None
    for bounds, is_in in (((8, 8), True), ((9, None), False), ((None, 7), False)):
        assert (belongs(state, replace(KEY, every=(Between(Figure.PAYMENTS, *bounds),))) is not None) == is_in
    build = Events()
    everybody = Audience("all", "everybody", (Between(Figure.DISPUTES, 0),))
    assert belongs(final([build.profiled(0)]), everybody) == "disputes 0"
    assert belongs(final([build.profiled(0), build.erased(1)]), everybody) is None


RULES = st.one_of(
    st.builds(Between, st.sampled_from(list(Figure)), st.floats(0, 300), st.none()),
    st.builds(Between, st.sampled_from(list(Figure)), st.none(), st.floats(0, 300)),
    st.builds(OneOf, st.sampled_from([Trait.COUNTRY, Trait.SEGMENT]), st.sampled_from([("IE",), ("slow", "new"), ("NO",)])),
)
STATE = client()


@given(rules=st.lists(RULES, min_size=1, max_size=4), more=RULES)
@settings(max_examples=60)
def test_another_condition_never_lets_anybody_in_and_another_way_never_keeps_anybody_out(rules: list[Rule], more: Rule) -> None:
    every = Audience("a", "because", every=tuple(rules))
    if belongs(STATE, every) is None:
        assert belongs(STATE, replace(every, every=(*rules, more))) is None
    either = Audience("b", "because", either=tuple(rules))
    if belongs(STATE, either) is not None:
        assert belongs(STATE, replace(either, either=(*rules, more))) is not None


def test_an_audience_is_written_down_typed_and_read_back() -> None:
    text = """
version: firm
approval: {audiences: [key]}
audiences:
  - name: key
    why: large and long with us
    all: [{figure: received_units, at_least: 5000}, {figure: client_days, at_least: 200}]
    any: [{trait: segment, one_of: [slow]}, {figure: open_units, at_most: 10}]
"""
    document = read_policy(text, name="firm.yaml").document
    assert document.audiences[0].audience() == replace(
        KEY, either=(OneOf(Trait.SEGMENT, ("slow",)), Between(Figure.OPEN_UNITS, at_most=10))
    )
    assert not errors_of(lint(document, channels={"email", "task", "console"}))


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ("all: []", "everybody would belong"),
        ("all: [{figure: wealth, at_least: 1}]", "received_units"),
        ("all: [{figure: payments}]", "needs at_least, at_most or both"),
        ("all: [{figure: payments, at_least: 9, at_most: 3}]", "cannot be at least 9 and at most 3"),
        ("all: [{trait: segment, one_of: [good]}]", "there is no segment good"),
    ],
)
def test_rules_that_mean_nothing_are_refused_with_the_reason(rules: str, problem: str) -> None:
    text = f"version: firm\naudiences:\n  - name: key\n    why: because of it\n    {rules}\n"
    with pytest.raises(PolicyFileError, match=problem):
        read_policy(text, name="firm.yaml")


def test_a_policy_that_names_an_audience_it_does_not_have_or_has_one_twice_is_objected_to() -> None:
    twice = stamped(
        replace(DEFAULT_POLICY, audiences=(KEY, replace(KEY, every=KEY.every * 2)), approval=ApprovalRules(audiences=("no",)))
    )
    found = {row.message.partition(";")[0] for row in errors_of(lint(document_of(twice), channels={"email", "task", "console"}))}
    assert found == {"there are two audiences key", "a rule of key is there twice", "there is no audience no"}


def test_every_message_to_an_audience_is_seen_by_a_person_first() -> None:
    policy = stamped(replace(DEFAULT_POLICY, audiences=(KEY,), approval=ApprovalRules(audiences=("key",))))
    state = client()
    assert person_first(state, (eur(100),), policy) == (
        "messages to the audience key are approved by a person (received_units 7,200, client_days 241)"
    )
    assert person_first(client(months=2), (eur(100),), policy) is None
    assert person_first(state, (eur(100),), stamped(replace(policy, approval=ApprovalRules()))) is None
    build = Events()
    log = [build.profiled(0), *monthly(build, 8, late=2), build.issued(240, "X", 90_000, due=254)]
    for chosen, first in ((policy, "task"), (DEFAULT_POLICY, "email")):
        firm = Firm(policy=chosen).run(log, until_ms=ms(275))
        about = [row for row in firm.outputs if isinstance(row, Trigger) and row.anchor == "X"]
        assert about[0].channel == first
    assert audiences_of(final([*log, tick(275)]), policy).keys() == {"key"}


def test_of_the_audiences_that_a_person_sees_first_the_one_named_first_is_told_and_no_other_counts() -> None:
    state = final([Events().profiled(0)])
    anybody = Audience("anybody", "all", (Between(Figure.DISPUTES, at_least=0),))
    nobody = replace(anybody, name="nobody", every=(Between(Figure.DISPUTES, at_least=1),))
    others = replace(anybody, name="others")
    for named, first in ((("nobody", "others", "anybody"), "others"), (("anybody",), "anybody"), (("nobody",), None), ((), None)):
        policy = replace(DEFAULT_POLICY, audiences=(anybody, nobody, others), approval=ApprovalRules(audiences=named))
        words = f"messages to the audience {first} are approved by a person (disputes 0)" if first else None
        assert person_first(state, (), policy) == words
