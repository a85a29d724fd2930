"""Clauses of the journeys of which nothing else would notice that they are gone: who rides along, who waits, who is asked."""

from dataclasses import replace
from types import MappingProxyType

import pytest
from msgspec.structs import replace as changed

from models.events.delays import DisputeOutcome
from models.events.invoices import ContractStatus
from models.events.signals import DeliveryOutcome, OverrideEffect, Purpose
from models.events.union import AnyClientEvent
from models.policy.budget import contact_times, spend
from models.policy.document import PolicyDocument, document_of
from models.policy.experiments import Arm, Experiment
from models.policy.gate import refusal
from models.policy.holdout import EVERY, Holdout, draws_of
from models.policy.lint import lint
from models.policy.policy import DEFAULT_POLICY, stamped
from models.policy.precedence import tone_claimed
from models.policy.renewal_options import RUN_WEEKS, is_billed_weekly
from models.state.balances import items
from models.state.client import JOURNEYS, ClientState, Run
from models.state.person import HARD
from models.triggers import CancelWhen, Decision, Journey, Retraction, Tone, Trigger
from streams.wire.topics import CHANNELS
from tests.models.builders import CLIENT, Events, ms
from tests.models.controls import policy_activated
from tests.models.test_colleagues import mails, problem
from tests.models.test_in_force import Governed
from tests.models.test_journey_laws import Firm
from tests.models.test_outcomes import state_of
from tests.models.test_unanswered import Delivering


def support(firm: Firm) -> list[Trigger]:
    return [row for row in firm.triggers if row.journey is Journey.DELAY_SUPPORT]


def state_after(*story: AnyClientEvent) -> ClientState:
    return state_of(Firm().run(story))


def told(firm: Firm) -> list[str]:
    return [row.reasons[0] for row in firm.outputs if isinstance(row, Decision)]


def small_burst(build: Events) -> list[AnyClientEvent]:
    """Return a client about whom a check-in and a renewal become ready on the same Monday morning, day 27.96."""
    return [
        build.profiled(0),
        build.contract(0.1, renews=40),
        *(build.paid(24.5 + part / 9, f"P{part}", 900) for part in range(5)),
    ]


def test_who_rode_along_in_a_last_message_is_written_to_no_more_although_its_own_ladder_is_longer() -> None:
    build = Events()
    story: list[AnyClientEvent] = [build.profiled(0), build.issued(1, due=10)]
    firm = Delivering(DEFAULT_POLICY).run([*story, build.override(15, OverrideEffect.SEGMENT, value="slow", until=300)])
    firm.run([build.issued(16, "I2", due=18)])
    firm.wake(ms(120))
    sent = [(row.step, row.channel, set(row.invoice_ids)) for row in support(firm)]
    assert sent == [
        ("explain_terms", "email", {"I1"}),
        ("offer_help", "email", {"I1", "I2"}),
        ("ladder_end", "task", {"I1", "I2"}),
    ]


def test_a_dispute_that_names_neither_invoice_nor_amount_is_about_all_that_is_open() -> None:
    build = Events()
    state = state_after(build.profiled(0), build.issued(1, due=3), build.issued(1.1, "I2", due=3), build.disputed(2, "D1", None))
    assert [(item.disputed, item.rest) for item in items(state.ledger, ms(4))] == [(100_000, 0), (100_000, 0)]


def test_what_the_firm_lost_is_asked_for_no_more() -> None:
    build = Events()
    story: list[AnyClientEvent] = [
        build.profiled(0),
        build.issued(1, due=10),
        build.disputed(9),
        build.dispute_closed(12, outcome=DisputeOutcome.LOST),
    ]
    assert not support(Firm().run(story, until_ms=ms(90)))


def test_care_that_has_not_left_is_taken_back_when_anything_is_disputed() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.contract(0.5, renews=28)], until_ms=ms(14.05))
    firm.feed(build.disputed(14.1, "D1", None))
    assert [row.because for row in firm.outputs if isinstance(row, Retraction)] == [CancelWhen.INVOICES_DISPUTED]


def test_a_step_that_is_said_again_after_a_broken_word_is_another_message() -> None:
    build = Events()
    firm = Delivering(DEFAULT_POLICY).run([build.profiled(0), build.issued(1, due=10), build.promised(24.2, by=30)])
    firm.wake(ms(60))
    steps = [row.step for row in support(firm)]
    assert steps.count("offer_help") == 2
    assert len({row.trigger_id for row in support(firm)}) == len(steps)


def test_a_missed_instalment_is_spoken_of_alone_and_before_what_else_is_late() -> None:
    build = Events()
    story: list[AnyClientEvent] = [
        build.profiled(0),
        build.issued(1, due=6),
        build.planned(2, "L1", "I1", parts=((8, 50_000), (60, 50_000))),
    ]
    firm = Delivering(DEFAULT_POLICY).run([*story, build.issued(2.1, "I2", due=6)])
    firm.wake(ms(20))
    first = next(row for row in support(firm) if "I1" in row.invoice_ids)
    assert (first.step, first.invoice_ids) == ("missed_instalment", ("I1",))
    assert all(len(row.invoice_ids) == 1 for row in support(firm))


@pytest.mark.parametrize(("day", "missed"), [(41.9, False), (42, True)])
def test_an_instalment_is_missing_two_days_after_its_own(day: float, *, missed: bool) -> None:
    build = Events()
    state = state_after(build.issued(1, due=10), build.planned(2, parts=((40, 50_000), (70, 50_000))))
    (item,) = items(state.ledger, ms(day))
    assert item.standing is not None
    assert item.standing.is_missed is missed


@pytest.mark.parametrize("turn", [1, -1])
def test_the_later_word_about_messages_holds_whether_it_names_a_channel_or_none(turn: int) -> None:
    build = Events()
    words = [build.consent(5, granted=False), build.consent(3, granted=True, channel="email")]
    state = state_after(build.profiled(0), *words[::turn])
    assert refusal(state, Purpose.SERVICING, "email") is not None
    assert (
        refusal(state_after(build.consent(6, granted=True, channel="email"), *words[::turn]), Purpose.SERVICING, "email") is None
    )


def test_every_message_names_the_basis_of_its_purpose() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.paid(1, "P0", 500, None), build.issued(1, due=10)], until_ms=ms(20))
    assert {row.purpose: row.legal_basis for row in firm.triggers} == {
        Purpose.RELATIONSHIP: "legitimate_interest",
        Purpose.SERVICING: "contract",
    }


def test_every_contact_with_a_person_is_remembered() -> None:
    state = ClientState(CLIENT)
    for day in (1, 5, 9):
        state = spend(state, at_ms=ms(day), person="partner")
    assert contact_times(state, DEFAULT_POLICY, person="partner") == [ms(1), ms(5), ms(9)]


def test_only_what_could_leave_itself_goes_before_another_and_the_winner_names_whom_it_went_before() -> None:
    build = Events()
    two: list[AnyClientEvent] = [build.profiled(0), build.contract(0.5, renews=28), build.contract(0.6, "K2", renews=28)]
    winner = Firm().run(two, until_ms=ms(14.1)).triggers[0]
    assert winner.contract_id == "K1"
    assert "it goes before pre_renewal/renewal_options" in winner.reasons
    hold = build.hold(20, until=90, journey=Journey.BURST_CHECKIN)
    held = Firm().run(sorted([*small_burst(build), hold], key=lambda row: row.received_ms), until_ms=ms(28))
    assert held.triggers[-1].journey is Journey.RENEWAL
    assert not any("goes first" in words for words in told(held))


@pytest.mark.parametrize("missing", [None, 1, RUN_WEEKS])
def test_a_run_of_weekly_invoices_has_one_in_each_week(missing: int | None) -> None:
    build = Events()
    weeks = [back for back in range(1, RUN_WEEKS + 1) if back != missing]
    invoices = [build.issued(70.2 - 7 * back, f"I{back}", due=90) for back in weeks]
    state = state_after(*sorted(invoices, key=lambda row: row.received_ms))
    assert is_billed_weekly(changed(state, now_ms=ms(70.2))) is (missing is None)


def test_every_step_of_a_run_is_of_the_policy_it_was_begun_under() -> None:
    build = Events()
    ladders = dict(DEFAULT_POLICY.journeys.delay)
    short = {segment: replace(ladder, steps=ladder.steps[:2]) for segment, ladder in ladders.items()}
    other = stamped(replace(DEFAULT_POLICY, version="short", journeys=replace(DEFAULT_POLICY.journeys, delay=short)))
    firm = Governed().hear(policy_activated(0, stamped(replace(DEFAULT_POLICY, version="first"))))
    slow = build.override(0.5, OverrideEffect.SEGMENT, value="slow", until=300)
    firm.run([build.profiled(0), slow, build.issued(1, due=10)], until_ms=ms(15))
    firm.hear(policy_activated(15, other)).wake(ms(60))
    assert [row.step for row in support(firm)][:3] == ["clear_dates", "offer_plan", "agree_date"]


EXPERIMENT = Experiment(
    "words", "help is better", Journey.DELAY_SUPPORT, "explain_terms", (Arm("as_is"), Arm("help", words="offer_help"))
)
TRYING = stamped(replace(DEFAULT_POLICY, experiments=(EXPERIMENT,)))


def test_a_company_is_drawn_once_and_never_where_a_person_has_chosen() -> None:
    build = Events()
    twice: list[AnyClientEvent] = [build.profiled(0), build.issued(1, due=10), build.paid(20), build.issued(30, "I2", due=40)]
    firm = Firm(policy=TRYING).run(twice, until_ms=ms(50))
    assert [row.experiment is not None for row in support(firm)] == [True, True]
    assert len(state_of(firm).care.assigned) == 1
    build = Events()
    chosen = build.override(0.5, OverrideEffect.TONE, value="gentle", until=90)
    spoken = Firm(policy=TRYING).run([build.profiled(0), chosen, build.issued(1, due=10)], until_ms=ms(15))
    assert [row.experiment for row in support(spoken)] == [None]


def test_servicing_is_withheld_from_nobody_by_the_policy_or_by_the_gate() -> None:
    named = Holdout(100.0, MappingProxyType({Journey.DELAY_SUPPORT: 100.0}))
    build = Events()
    firm = Firm(policy=stamped(replace(DEFAULT_POLICY, holdout=named))).run([build.profiled(0), build.issued(1, due=10)])
    firm.wake(ms(15))
    assert [row.step for row in firm.triggers] == ["explain_terms"]
    assert not [row for row in firm.outputs if isinstance(row, Retraction)]
    document = document_of(DEFAULT_POLICY).model_dump(mode="json")
    document["holdout"]["journeys"] = {"delayed_payment_support": 5}
    found = lint(PolicyDocument.model_validate(document), channels=CHANNELS)
    assert any("withheld from nobody" in row.message for row in found)


def test_the_chance_to_be_left_out_of_a_journey_is_that_of_either_draw() -> None:
    both = Holdout(10.0, MappingProxyType({Journey.RENEWAL: 50.0}))
    own, of_all = draws_of(
        CLIENT, Journey.RENEWAL, purpose=Purpose.RELATIONSHIP, holdout=both, stratum="new/small", at_ms=0, out=False
    )
    assert (own.name, own.share) == ("pre_renewal", 0.45)
    assert (of_all.name, of_all.share) == (EVERY, 0.9)


def test_a_first_payment_that_is_learnt_long_afterwards_is_past_thanks() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.paid(1, "P0", 500, None, received=16.1)], until_ms=ms(17))
    assert not firm.triggers
    assert any("too late for thanks" in words for words in told(firm))


@pytest.mark.parametrize(("status", "written"), [(ContractStatus.ACTIVE, True), (ContractStatus.ENDED, False)])
def test_a_contract_that_ends_is_not_written_about(status: ContractStatus, *, written: bool) -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.contract(0.5, renews=28, status=status)], until_ms=ms(30))
    assert bool(firm.triggers) is written


def test_no_word_makes_care_firmer_than_its_step() -> None:
    build = Events()
    firm_word = build.override(0.2, OverrideEffect.TONE, value="firm", until=90)
    firm = Firm().run([build.profiled(0), firm_word, build.contract(0.5, renews=28)], until_ms=ms(20))
    assert [row.tone for row in firm.triggers] == [Tone.GENTLE]
    (row,) = firm.triggers
    run = Run(JOURNEYS.index(Journey.RENEWAL), row.anchor)
    claim = tone_claimed(state_of(firm), Tone.GENTLE, Purpose.RELATIONSHIP, run, (), who="the step")
    assert (claim.value, claim.who) == ("gentle", "the step")


@pytest.mark.parametrize(("times", "gone"), [(4, False), (5, True)])
def test_the_fifth_soft_bounce_in_a_row_is_an_address_that_does_not_exist(times: int, *, gone: bool) -> None:
    build = Events()
    story: list[AnyClientEvent] = [
        build.profiled(0),
        *(build.reported(1 + day, f"t{day}", DeliveryOutcome.BOUNCED_SOFT) for day in range(times)),
    ]
    assert any(row.cause == HARD for row in state_after(*story).person.suppressions) is gone


def test_a_call_by_anybody_is_the_talk_that_a_message_waits_for() -> None:
    build = Events()
    firm = problem(build, until=15)
    assert not mails(firm)
    firm.run([build.called(15.5)], until_ms=ms(22))  # the task itself is valid until day 24
    assert [row.step for row in mails(firm)] == ["firm_dates"]


def test_what_was_agreed_since_they_asked_is_no_sign_of_cash_being_short() -> None:
    build = Events()
    asked: list[AnyClientEvent] = [build.profiled(0), build.issued(1, due=10), build.asks(5)]
    agreed: list[AnyClientEvent] = [*asked, build.planned(6, parts=((8, 60_000), (90, 40_000)))]
    assert any("they asked for a plan" in "; ".join(row.reasons) for row in support(Firm().run(asked, until_ms=ms(16))))
    assert not any("they asked for a plan" in "; ".join(row.reasons) for row in support(Firm().run(agreed, until_ms=ms(40))))
