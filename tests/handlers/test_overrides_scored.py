"""What an override changed, effect by effect, and many of them together."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.commands.overrides.lives import Life
from handlers.commands.overrides.outcomes import Ending, Outcome
from handlers.commands.overrides.pooled import by_effect, conflicting
from handlers.commands.overrides.scoring import Scored, score
from handlers.commands.overrides.verdicts import Without, judged
from models.events.signals import DeliveryOutcome, OverrideEffect, OverrideSet
from models.events.union import AnyClientEvent, AnyControlEvent
from models.learners.baseline import BASELINE
from models.policy.policy import DEFAULT_POLICY
from models.triggers import Decision, DecisionOutcome, Trigger
from tests.models.builders import Events, ms, on
from tests.models.controls import policy_activated
from tests.models.test_journey_laws import Firm
from tests.models.test_segments import monthly

PHONE = "+353851234567"


def scored(log: Sequence[AnyClientEvent], controls: Sequence[AnyControlEvent] = ()) -> list[Scored]:
    return score(sorted(log, key=lambda event: event.received_ms), DEFAULT_POLICY, BASELINE, controls=controls)


def slow_client(build: Events, *, late: float, months: int = 3) -> list[AnyClientEvent]:
    """Return a client who paid twelve days late for eight months and then `late` days after due."""
    told = [*monthly(build, 8, late=12), *monthly(build, months, late=late, first=8)]
    return [build.profiled(0, phone=PHONE), *told, build.called(381)]


WORDS = ((OverrideEffect.CHANNEL, "sms"), (OverrideEffect.TONE, "gentle"), (OverrideEffect.URGENCY, "6"))


@pytest.mark.parametrize(("effect", "value"), WORDS)
@pytest.mark.parametrize(("late", "nearer"), [(4.0, "override"), (25.0, "open")])
def test_how_messages_speak_is_judged_by_what_was_expected_when_it_was_decided(
    effect: OverrideEffect, value: str, late: float, nearer: str
) -> None:
    build = Events()
    (row,) = scored([*slow_client(build, late=late, months=4), build.override(239, effect, until=365, value=value)])
    assert row.nearer == nearer, row.words
    assert "; without it: " in row.words
    assert row.without
    assert row.without[0] in row.words
    assert set(row.without).isdisjoint(row.instead) or effect is OverrideEffect.TONE


@pytest.mark.parametrize(
    ("said", "rules", "learner", "late", "nearer"),
    [
        ("slow", "reliable", None, 3, "override"),
        ("slow", "reliable", 0.9, 3, "rules"),
        ("reliable", "slow", 0.9, 0, "override"),
        ("new", "slow", 0.1, 0, "rules"),
    ],
)
def test_a_word_on_the_segment_is_held_against_the_better_of_rules_and_learner(
    said: str, rules: str, learner: float | None, late: int, nearer: str
) -> None:
    event = Events().override(10, OverrideEffect.SEGMENT, until=90, value=said)
    life = Life((), None, None, ())
    outcome = Outcome(tuple(Ending(f"I{place}", place < late, 1, is_news=True) for place in range(3)))
    found, words = judged(event, outcome, Without(rules, learner, life, life))
    assert found == nearer, words


@pytest.mark.parametrize(
    ("invoice", "nearer", "paid"), [("A", "override", "all 1 invoices were paid"), (None, "open", "1 of 2 ")]
)
def test_a_hold_on_one_invoice_is_judged_by_what_became_of_that_one(invoice: str | None, nearer: str, paid: str) -> None:
    build = Events()
    bills: list[AnyClientEvent] = [
        build.issued(240, "A", 90_000, due=254),
        build.paid(285, "PA", 90_000, "A"),
        build.issued(284, "B", 90_000, due=298),
    ]
    word = build.hold(250, until=330).model_copy(update={"invoice_id": invoice})
    (row,) = scored([build.profiled(0), *monthly(build, 8, late=12), *bills, word, build.called(400)])
    assert (row.nearer, paid in row.words) == (nearer, True), row.words


def test_a_word_that_changed_no_message_is_not_judged_by_what_came_after_it() -> None:
    build = Events()
    (row,) = scored([*slow_client(build, late=-2), build.override(239, OverrideEffect.CHANNEL, until=330, value="sms")])
    assert (row.nearer, row.words) == ("open", "it changed nothing that was sent")
    assert row.ended == 3


def test_a_window_that_moved_no_care_before_a_renewal_says_so() -> None:
    build = Events()
    (row,) = scored([*slow_client(build, late=-2), build.override(239, OverrideEffect.WINDOW, until=330, value="01-01..02-01")])
    assert (row.nearer, row.words) == ("open", "it moved no care before a renewal")


def test_what_the_decision_recorded_at_the_time_is_what_the_life_without_the_word_says() -> None:
    build = Events()
    word = build.override(239, OverrideEffect.CHANNEL, until=365, value="sms")
    log = sorted([*slow_client(build, late=25), word], key=lambda event: event.received_ms)
    firm = Firm().run(log, until_ms=ms(300))
    sent = {row.trigger_id: row for row in firm.outputs if isinstance(row, Trigger)}
    told = [row for row in firm.outputs if isinstance(row, Decision) and row.outcome is DecisionOutcome.TRIGGERED and row.rulings]
    assert told
    (row,) = scored(log)
    for decision in told:
        assert decision.rulings is not None
        (ruling,) = decision.rulings
        assert (ruling.value, ruling.instead) == ("sms", "email")
        step = sent[decision.trigger_id or ""].step
        assert any(f"{step} by {ruling.instead}" in words for words in row.without)


def test_replies_complaints_and_days_to_pay_of_its_time_are_told() -> None:
    build = Events()
    log = [*slow_client(build, late=4), build.override(239, OverrideEffect.CHANNEL, until=330, value="sms")]
    log += [build.asks(260), build.asks(10), build.reported(262, "T1", DeliveryOutcome.COMPLAINED, channel="sms")]
    (row,) = scored(log)
    assert (row.outcome.replies, row.outcome.complaints, row.outcome.usual_days) == (1, 1, 4)


Paid: TypeAlias = Callable[[Events], list[AnyClientEvent]]


@pytest.mark.parametrize(
    ("told", "nearer", "paid"),
    [
        pytest.param(lambda build: [build.paid(40, "P1", 50_000, None)], "override", 1, id="a payment that names no invoice"),
        pytest.param(
            lambda build: [build.credit(30, "C1", 20_000, "I1"), build.paid(40, "P1", 30_000, "I1")],
            "override",
            1,
            id="what a credit note left open was paid",
        ),
        pytest.param(
            lambda build: [build.paid(40, "P1", 50_000, "I1"), build.failed(45, "P1", 50_000, "I1")], "rules", 0, id="it bounced"
        ),
        pytest.param(
            lambda build: [build.paid(40, "P1", 50_000, "I1"), build.refunded(41, "R1", "P1", 50_000)],
            "override",
            1,
            id="it was paid, and given back later",
        ),
        pytest.param(lambda build: [build.voided(60, "I1")], "open", 0, id="nothing was owed: voided"),
        pytest.param(lambda build: [build.credit(60, "C1", 50_000, "I1")], "open", 0, id="nothing was owed: credited"),
        pytest.param(lambda build: [build.written_off(60, "I1")], "rules", 0, id="it was given up"),
        pytest.param(lambda _: [], "rules", 0, id="it stayed open"),
    ],
)
def test_an_invoice_of_its_time_was_paid_if_the_ledger_says_so(told: Paid, nearer: str, paid: int) -> None:
    build = Events()
    hold = build.override(20, OverrideEffect.HOLD, until=90)
    (row,) = scored([build.profiled(0), build.issued(10, "I1", 50_000, due=24), hold, *told(build), build.called(120)])
    assert (row.nearer, row.outcome.paid) == (nearer, paid), row.words


def test_an_author_s_next_word_ends_the_one_before() -> None:
    build = Events()
    log = slow_client(build, late=-2)
    log += [build.override(240, OverrideEffect.SEGMENT, until=900, value="reliable")]
    log += [build.override(270, OverrideEffect.SEGMENT, until=330, value="slow")]
    one, two = scored(log)
    assert (one.end_ms, one.is_over) == (ms(270), True)
    assert (two.set_ms, two.end_ms) == (ms(270), ms(330))


def _later(build: Events, kind: int, day: float) -> AnyClientEvent:
    """Return something that became known on a day, about what was long past."""
    backdated = 250.0
    rows: tuple[AnyClientEvent, ...] = (
        build.paid(backdated, f"L{kind}{day}", 90_000, "M8", received=day),
        build.voided(backdated, "M9", received=day),
        build.amended(backdated, "M9", due=400, received=day),
        build.override(day, OverrideEffect.TONE, until=day + 50, value="educational"),
        build.cleared(day),
        build.disputed(backdated, "D", "M8", received=day),
        build.issued(day, f"N{day}", due=day + 10),
    )
    return rows[kind]


@given(later=st.lists(st.tuples(st.integers(0, 6), st.integers(331, 380)), max_size=4), effect=st.sampled_from(WORDS))
@settings(max_examples=4)
def test_what_becomes_known_after_its_end_changes_no_reckoning(
    later: list[tuple[int, int]], effect: tuple[OverrideEffect, str]
) -> None:
    build = Events()
    word = build.override(239, effect[0], until=330, value=effect[1])
    log = [*slow_client(build, late=25, months=4), word]
    news = [_later(build, kind, float(day)) for kind, day in later]
    policy = policy_activated(335, replace(DEFAULT_POLICY, min_gap_days=30))
    assert scored([*log, *news], [policy])[0] == scored(log)[0]


def test_a_policy_counts_from_when_it_was_activated() -> None:
    build = Events()
    log = [*slow_client(build, late=25), build.override(239, OverrideEffect.HOLD, until=330)]
    policy = policy_activated(1, replace(DEFAULT_POLICY, min_gap_days=365))
    assert scored(log, [policy])[0].would_send < scored(log)[0].would_send


def _book(clients: int, *, late: float) -> list[AnyClientEvent]:
    log: list[AnyClientEvent] = []
    for number in range(clients):
        build = Events(f"client-{number}")
        own = [*slow_client(build, late=late, months=4), build.override(239, OverrideEffect.CHANNEL, until=365, value="sms")]
        log += [event.model_copy(update={"event_id": f"{number}-{event.event_id}"}) for event in own]
    return log


@pytest.mark.parametrize(
    ("clients", "late", "verdict"),
    [
        (2, 4.0, "too few to say (10 invoices of 3 clients are needed)"),
        (4, 4.0, "better than expected without them"),
        (4, 25.0, "worse than expected without them"),
    ],
)
def test_many_of_one_effect_and_author_are_held_against_what_was_expected(clients: int, late: float, verdict: str) -> None:
    (group,) = by_effect(scored(_book(clients, late=late)))
    assert (group.effect, group.author, group.overrides, group.clients) == ("channel", "sam", clients, clients)
    assert group.verdict == verdict
    assert group.override_nearer + group.rules_nearer + group.undecided == clients


def test_an_invoice_counts_once_however_much_was_said_about_it() -> None:
    build = Events()
    one = build.override(239, OverrideEffect.TONE, until=365, value="gentle")
    again = one.model_copy(update={"event_id": "again", "override_id": "O2", "value": "educational"})
    (alone,) = by_effect(scored([*slow_client(build, late=4), one]))
    rows = scored([*slow_client(build, late=4), one, again])
    (both,) = by_effect(rows)
    assert (both.overrides, both.invoices, both.late) == (2, alone.invoices, alone.late)
    (over,) = by_effect([rows[0], replace(rows[1], is_over=False)])
    assert over.overrides == 1, "of what still holds nothing is said yet"


def _word(build: Events, day: float, effect: OverrideEffect, value: str | None, author: str) -> OverrideSet:
    word = build.override(day, effect, until=300, override=f"{author}-{effect.value}", value=value)
    return word.model_copy(update={"author": author})


def test_words_that_said_otherwise_at_the_same_time_are_told_with_the_one_that_held() -> None:
    build = Events()
    log = slow_client(build, late=-2)
    log += [
        _word(build, 240, OverrideEffect.TONE, "educational", "dana"),
        _word(build, 250, OverrideEffect.TONE, "gentle", "sam"),
    ]
    log += [_word(build, 245, OverrideEffect.HOLD, None, "dana"), _word(build, 260, OverrideEffect.RELEASE, None, "sam")]
    log += [_word(build, 305, OverrideEffect.TONE, "gentle", "rue").model_copy(update={"expires_at": on(310)})]
    tone, hold = conflicting(scored(log))
    assert tone == "client-1, 2024-09-14 to 2024-11-03: tone educational by dana, tone gentle by sam; tone gentle by sam held"
    assert hold.endswith("hold by dana, release by sam; hold by dana held")


def test_a_window_that_moved_care_is_judged_by_renewals_and_one_alone_says_too_little() -> None:
    build = Events()
    log = [build.profiled(0), *monthly(build, 12, late=-2), build.contract(1, renews=366), build.contract(367, renews=732)]
    log += [build.override(200, OverrideEffect.WINDOW, until=430, value="10-15..11-15"), build.called(440)]
    (row,) = scored(log)
    assert row.nearer == "open"
    assert row.words.startswith(
        "with it: renewal_options by email on 16 Oct 2024; without it: renewal_options by email on 25 Dec 2024"
    )
    assert row.words.endswith("1 of 1 contracts were renewed: too few to say")
