"""Who has the say about a message: invoice, named override, contact, segment, default; and what an invoice may not change."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.channels.template_facts import facts_stated
from models.events.signals import OverrideEffect, OverrideSet, Purpose, Style
from models.events.union import AnyClientEvent
from models.policy.policy import DEFAULT_POLICY
from models.policy.precedence import MAY_SPEAK, Claim, Level, Matter, resolve, tone_of_step
from models.policy.tones import CEILINGS, is_above
from models.state.client import Run, Segment, place_of
from models.triggers import Decision, DecisionOutcome, Tone, Trigger
from tests.models.builders import CLIENT, Events, ms, on
from tests.models.test_journey_laws import Firm
from tests.models.views import final

_CLAIMS = st.builds(Claim, level=st.sampled_from(Level), value=st.text(max_size=5), who=st.text(max_size=5))


@given(st.sampled_from(Matter), st.lists(_CLAIMS, max_size=8))
def test_the_highest_who_may_speak_wins_and_of_one_level_the_last(matter: Matter, claims: list[Claim]) -> None:
    found = resolve(matter, claims)
    heard = [claim for claim in claims if claim.level in MAY_SPEAK[matter]]
    if not heard:
        assert found is None
        return
    assert found is not None
    assert found.level is min(claim.level for claim in heard)
    assert found == [claim for claim in heard if claim.level is found.level][-1]


@given(st.sampled_from(Matter), st.lists(_CLAIMS, max_size=6), _CLAIMS)
def test_a_lower_word_never_changes_who_wins(matter: Matter, claims: list[Claim], lower: Claim) -> None:
    before = resolve(matter, claims)
    if before is not None and lower.level > before.level:
        assert resolve(matter, [*claims, lower]) == before


def test_an_invoice_says_how_soon_and_through_what_and_never_how_one_speaks() -> None:
    assert {matter for matter in Matter if Level.INVOICE in MAY_SPEAK[matter]} == {Matter.CHANNEL, Matter.URGENCY}


def _word(build: Events, effect: OverrideEffect, value: str, *, invoice: str | None = None, name: str = "") -> OverrideSet:
    said = build.override(0.5, effect, until=300, override=name or f"{effect.value}-{invoice}", value=value)
    return said.model_copy(update={"invoice_id": invoice, "event_id": f"word-{effect.value}-{invoice}"})


def _first(*words: OverrideSet, phone: str | None = "+353851234567", style: Style | None = None) -> tuple[Trigger, Decision]:
    """Return the first message about an overdue invoice and its decision, under the words that managers have said."""
    build = Events()
    profile = build.profiled(0, phone=phone).model_copy(update={"style": style})
    story: list[AnyClientEvent] = [profile, build.issued(1, due=10), *words]
    firm = Firm().run(story, until_ms=ms(60))
    trigger = next(row for row in firm.triggers if row.invoice_ids)
    told = [row for row in firm.outputs if isinstance(row, Decision) and row.outcome is DecisionOutcome.TRIGGERED]
    return trigger, next(row for row in told if row.trigger_id == trigger.trigger_id)


def _levels(decision: Decision) -> dict[str, str]:
    return {row.matter: row.level for row in decision.rulings or ()}


def test_without_a_word_of_anybody_nothing_is_recorded() -> None:
    trigger, decision = _first()
    assert trigger.channel == "email"
    assert decision.rulings is None


def test_the_invoice_beats_the_named_override_and_the_decision_says_who_won() -> None:
    build = Events()
    named = _word(build, OverrideEffect.CHANNEL, "portal")
    own = _word(build, OverrideEffect.CHANNEL, "sms", invoice="I1")
    other = _word(build, OverrideEffect.CHANNEL, "webhook", invoice="I2")
    trigger, decision = _first(named, own, other)
    assert trigger.channel == "sms"
    assert _levels(decision) == {"channel": "invoice"}
    assert any("channel sms by invoice, sam: talked on the phone (invoice I1)" in reason for reason in decision.reasons)
    trigger, decision = _first(named, other)
    assert (trigger.channel, _levels(decision)) == ("portal", {"channel": "override"})


def test_a_manager_s_channel_beats_the_one_the_client_asked_for_which_beats_the_step_s() -> None:
    build = Events()
    profile = build.profiled(0, phone="+353851234567").model_copy(update={"channel": "portal"})
    policy = replace(DEFAULT_POLICY, fallback_channels=("sms", "portal"))
    for words, channel in (([], "portal"), ([_word(build, OverrideEffect.CHANNEL, "sms", invoice="I1")], "sms")):
        firm = Firm(policy=policy).run([profile, build.issued(1, due=10, event_id="issued"), *words], until_ms=ms(14))
        assert [row.channel for row in firm.triggers] == [channel]


def test_a_word_on_the_channel_does_not_reach_a_client_who_refused_it() -> None:
    build = Events()
    refusal = build.consent(0.6, Purpose.SERVICING, channel="sms")
    firm = Firm().run(
        [build.profiled(0, phone="+353851234567"), build.issued(1, due=10), _word(build, OverrideEffect.CHANNEL, "sms"), refusal],
        until_ms=ms(14),
    )
    assert [row.channel for row in firm.triggers] == ["email"]


@pytest.mark.parametrize(("tone", "segment"), list(product(Tone, Segment)))
def test_no_word_makes_a_message_firmer_than_the_segment_may_meet(tone: Tone, segment: Segment) -> None:
    build = Events()
    words = [_word(build, OverrideEffect.TONE, tone.value), _word(build, OverrideEffect.SEGMENT, segment.value)]
    trigger, decision = _first(*words)
    if trigger.channel == "email":
        assert not is_above(trigger.tone, CEILINGS[segment])
    assert _levels(decision).get("segment") in {"override", None}


def test_an_invoice_with_a_tone_of_its_own_is_not_heard_and_a_named_word_is() -> None:
    build = Events()
    trigger, _ = _first(_word(build, OverrideEffect.TONE, "gentle", invoice="I1"))
    assert trigger.tone is Tone.EDUCATIONAL
    slow = _word(build, OverrideEffect.SEGMENT, "slow")
    trigger, decision = _first(slow, _word(build, OverrideEffect.TONE, "gentle"))
    assert (trigger.step, trigger.tone) == ("clear_dates", Tone.GENTLE)
    assert _levels(decision) == {"segment": "override", "tone": "override"}


@pytest.mark.parametrize(
    ("segment", "wanted", "step", "said"),
    [
        ("new", "gentle", "explain_terms", Tone.EDUCATIONAL),
        ("reliable", "educational", "friendly_note", Tone.GENTLE),
        ("slow", "educational", "clear_dates", Tone.GENTLE),
    ],
)
def test_a_tone_in_which_a_step_has_no_words_gives_way_to_the_nearest_that_is_no_firmer(
    segment: str, wanted: str, step: str, said: Tone
) -> None:
    build = Events()
    trigger, decision = _first(_word(build, OverrideEffect.SEGMENT, segment), _word(build, OverrideEffect.TONE, wanted))
    assert (trigger.step, trigger.tone) == (step, said)
    lacks = f"{step} has no words in the tone {wanted} (sam: talked on the phone): {said.value} is the nearest that is no firmer"
    assert lacks in decision.reasons
    assert lacks in trigger.reasons


@pytest.mark.parametrize(("tone", "segment", "style"), list(product(Tone, Segment, (None, Style.GENTLE))))
def test_whatever_is_said_of_the_tone_there_are_words_for_every_step(tone: Tone, segment: Segment, style: Style | None) -> None:
    build = Events()
    words = [_word(build, OverrideEffect.TONE, tone.value), _word(build, OverrideEffect.SEGMENT, segment.value)]
    state = final([build.profiled(0).model_copy(update={"style": style}), build.called(0.2), *words])
    for journey, step in DEFAULT_POLICY.journeys.named_steps():
        said = Tone(tone_of_step(state, step, Run(place_of(journey), "x"), DEFAULT_POLICY).value)
        stated = facts_stated(journey, step.id, said)
        assert stated is not None, (journey, step.id, said)
        assert not stated.untranslated


def test_a_word_on_the_tone_changes_no_letter_to_a_colleague() -> None:
    build = Events()
    problem = _word(build, OverrideEffect.SEGMENT, "problem")
    trigger, _ = _first(problem, _word(build, OverrideEffect.TONE, "structured"))
    assert (trigger.step, trigger.channel, trigger.tone) == ("personal_contact", "task", Tone.GENTLE)


def test_the_wish_of_the_contact_softens_what_a_manager_said() -> None:
    build = Events()
    words = [_word(build, OverrideEffect.TONE, "structured"), _word(build, OverrideEffect.SEGMENT, "slow")]
    trigger, _ = _first(*words, style=Style.GENTLE)
    assert trigger.tone is Tone.GENTLE
    trigger, decision = _first(*words)
    assert trigger.tone is Tone.STRUCTURED
    assert _levels(decision)["tone"] == "override"


def test_urgency_moves_the_first_message_but_never_into_the_courtesy() -> None:
    build = Events()
    plain, _ = _first()
    later, decision = _first(_word(build, OverrideEffect.URGENCY, "7", invoice="I1"))
    assert (later.not_before - plain.not_before).days in range(6, 10)  # a weekend may lie between
    assert _levels(decision) == {"urgency": "invoice"}
    sooner, _ = _first(_word(build, OverrideEffect.URGENCY, "-30"))
    assert sooner.not_before == plain.not_before >= on(10 + DEFAULT_POLICY.grace_days)
    both, _ = _first(_word(build, OverrideEffect.URGENCY, "0", invoice="I1"), _word(build, OverrideEffect.URGENCY, "9"))
    assert both.not_before == plain.not_before


def test_urgency_shortens_the_wait_between_messages_but_never_the_gap() -> None:
    build = Events()
    urgent = _word(build, OverrideEffect.URGENCY, "-30")
    days = []
    for words in ([], [urgent]):
        firm = Firm(policy=replace(DEFAULT_POLICY, min_gap_days=4))
        firm.run([build.profiled(0), build.issued(1, due=10), *words], until_ms=ms(14))
        (first,) = firm.triggers
        firm.run([build.reported(14.1, first.trigger_id)], until_ms=ms(60))
        second = next(row for row in firm.triggers if row.step == "offer_help")
        days.append((second.not_before - first.not_before).days)
    assert days[0] >= 10
    assert 4 <= days[1] <= 7


@given(st.text(max_size=6))
def test_a_word_that_makes_no_sense_changes_nothing(value: str) -> None:
    build = Events()
    plain, _ = _first()
    for effect in (OverrideEffect.TONE, OverrideEffect.URGENCY):
        if value in {tone.value for tone in Tone} or value.lstrip("+-").isdecimal():
            continue
        heard, decision = _first(_word(build, effect, value))
        assert (heard.tone, heard.not_before) == (plain.tone, plain.not_before)
        assert decision.rulings is None
    assert plain.client_id == CLIENT


def test_a_decision_says_where_contact_or_segment_won_over_the_step() -> None:
    build = Events()
    _, decision = _first(_word(build, OverrideEffect.TONE, "firm"))
    assert _levels(decision) == {"tone": "segment"}  # the ceiling of new clients
    profile = build.profiled(0, phone="+353851234567").model_copy(update={"channel": "sms"})
    firm = Firm(policy=replace(DEFAULT_POLICY, fallback_channels=("sms",)))
    firm.run([profile, build.issued(1, due=10)], until_ms=ms(30))
    trigger = firm.triggers[0]
    told = next(row for row in firm.outputs if isinstance(row, Decision) and row.trigger_id == trigger.trigger_id)
    assert trigger.channel == "sms"
    assert [(row.matter, row.level, row.instead) for row in told.rulings or ()] == [("channel", "contact", "email")]


def test_nobody_moves_support_by_more_than_a_month() -> None:
    build = Events()
    most, far = (_first(_word(build, OverrideEffect.URGENCY, days))[0] for days in ("30", "999"))
    assert most.not_before == far.not_before


def test_a_decision_says_what_would_have_held_without_anybody_s_word() -> None:
    build = Events()
    _, decision = _first(_word(build, OverrideEffect.SEGMENT, "slow"), _word(build, OverrideEffect.CHANNEL, "sms"))
    instead = {row.matter: (row.value, row.instead) for row in decision.rulings or ()}
    assert instead == {"channel": ("sms", "email"), "segment": ("slow", "new")}
