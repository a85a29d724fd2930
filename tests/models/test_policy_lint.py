from dataclasses import replace

import pytest

from handlers.channels.template_facts import facts_stated
from models.policy.document import PolicyDocument, document_of
from models.policy.finding import Severity
from models.policy.lint import errors_of, lint
from models.policy.policy import DEFAULT_POLICY
from models.policy.stated import Stated
from models.triggers import AnyJourney, Journey, Tone
from streams.wire.policy_file import default_policy_text, read_policy, write_policy
from streams.wire.topics import CHANNELS
from tests.journeys.story import with_second_words

DEFAULT = write_policy(document_of(DEFAULT_POLICY))


def _found(document: PolicyDocument) -> list[tuple[str, str, Severity]]:
    return [
        (".".join(map(str, row.path)), row.message, row.severity)
        for row in lint(document, channels=CHANNELS, facts_stated=facts_stated)
    ]


def _edited(old: str, new: str) -> PolicyDocument:
    assert old in DEFAULT, old
    return read_policy(DEFAULT.replace(old, new), name="edited.yaml").document


def test_the_shipped_policy_is_sound() -> None:
    assert _found(read_policy(default_policy_text(), name="default.yaml").document) == []


@pytest.mark.parametrize(
    ("old", "new", "path", "says"),
    [
        ("id: clear_dates", "id: offer_plan", "slow.steps.1.id", "there twice"),
        ("fallback_channels: []", "fallback_channels: [sms, fax]", "contact.fallback_channels.1", "no worker delivers by fax"),
        ("fallback_channels: []", "fallback_channels: [task]", "contact.fallback_channels.0", "reaches colleagues"),
        (
            "channel_hours: {}",
            "channel_hours:\n    sms:\n      closes: '22:00'",
            "contact.channel_hours.sms",
            "sms from 08:00 to 22:00: nobody is texted or called outside of 08:00 to 21:00",
        ),
        (
            "channel_hours: {}",
            "channel_hours:\n    fax:\n      closes: '12:00'",
            "contact.channel_hours.fax",
            "no worker delivers to clients by fax",
        ),
        ("  wait_days: 2\n  channel: task", "  wait_days: 2\n  channel: console", "approval.channel", "nobody can answer"),
        ("  wait_days: 2\n  channel: task", "  wait_days: 2\n  channel: email", "approval.channel", "reaches the client"),
        ("id: clear_dates", "id: personal_contact", "slow.steps.0.id", "there twice"),
        ("id: clear_dates", "id: unheard_of", "slow.steps.0.tone", "no template"),
        ("tone: structured\n", "tone: firm\n", "slow.steps.0.tone", "firmer than a slow client may meet"),
        ("after_days: -14", "after_days: 14", "pre_renewal.steps.0.after_days", "never reached"),
        ("after_days: -14\n", "after_days: -14\n      missed: review\n", "pre_renewal.steps.0.missed", "only support in a delay"),
        ("after_days: -14", "after_days: -4", "pre_renewal.steps.1.after_days", "not in time"),
        (
            "after_days: -5\n      valid_days: 3",
            "after_days: -13\n      valid_days: 1",
            "steps.1.after_days",
            "never reached",
        ),
        (
            "after_days: -14\n      valid_days: 8",
            "after_days: -14\n      valid_days: 12",
            "steps.0.valid_days",
            "due already",
        ),
        (
            "after_days: 10\n          valid_days: 5",
            "after_days: 4\n          valid_days: 5",
            "new.steps.0.valid_days",
            "due already",
        ),
        ("channel: task\n", "channel: email\n", "person.channel", "reaches the client"),
        ("channel: email\n", "channel: fax\n", "new.steps.0.channel", "no worker delivers by fax"),
        ("purpose: servicing", "purpose: relationship", "person.purpose", "servicing"),
        ("purpose: servicing", "purpose: relationship", "person.id", "amount_open"),
        ("purpose: relationship", "purpose: servicing", "onboarding.steps.0.purpose", "refused relationship"),
        ("purpose: relationship", "purpose: promotion", "onboarding.steps.0.purpose", "no promotion"),
        ("    - invoices_settled\n", "", "person.cancel_when", "invoices_settled must stop it"),
        ("- invoices_settled\n", "- invoices_settled\n    - contract_ended\n", "person.cancel_when", "always or never"),
        ("why: 'this client", "why: 'an upgrade: this client", "slow.steps.0.why", "promote"),
        (
            "internal_channels:\n  - console\n  - task\n",
            "internal_channels:\n  - portal\n",
            "internal_channels",
            "must be among them",
        ),
        ("reliable_share: 0.25", "reliable_share: 0.5", "segments.reliable_share", "below slow_share"),
        ("- 180\n", "- 18\n", "rfm.recency_days", "must fall"),
        ("unanswered_hours: 0", "unanswered_hours: 72", "slow.steps.0.unanswered_hours", "no channel but email"),
        ("unanswered_hours: 0", "unanswered_hours: 120", "slow.steps.0.unanswered_hours", "is no longer sent"),
        ("unanswered_hours: 0", "unanswered_hours: 72", "onboarding.steps.0.unanswered_hours", "silence is an answer"),
        ("unanswered_hours: 0", "unanswered_hours: 72", "delayed_payment_support.person.unanswered_hours", "about late money"),
    ],
)
def test_lint_names_what_is_wrong_and_where(old: str, new: str, path: str, says: str) -> None:
    found = _found(_edited(old, new))
    assert any(where.endswith(path) and says in message for where, message, _ in found), found


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("contacts_per_month: 6", "contacts_per_month: 60", "contact.contacts_per_month"),
        ("after_days: 14\n          valid_days: 5", "after_days: 2\n          valid_days: 1", "slow.steps.2.after_days"),
        ("after_days: -5\n      valid_days: 3", "after_days: -5\n      valid_days: 2", "pre_renewal.steps.1.valid_days"),
        ("channel: task\n", "channel: console\n", "delayed_payment_support.person.channel"),
        ("channel: task\n", "channel: console\n", "delayed_payment_support.instalment.steps.1.channel"),
        ("  - task\n", "", "contact.internal_channels"),
    ],
)
def test_what_is_only_worth_a_second_look_is_a_warning(old: str, new: str, path: str) -> None:
    document = _edited(old, new)
    assert any(where.endswith(path) and severity is Severity.WARNING for where, _, severity in _found(document))


def test_steps_that_are_said_once_more_in_time_by_another_channel_are_sound() -> None:
    assert _found(document_of(with_second_words(72, ("sms",)))) == []
    rare = replace(with_second_words(24, ("sms",)), min_gap_days=5)
    assert any("5 days (the gap between two contacts counts)" in message for _, message, _ in _found(document_of(rare)))


def test_a_template_that_states_a_forbidden_fact_is_found_through_its_purpose() -> None:
    def states_the_amount(journey: AnyJourney, step: str, tone: Tone) -> Stated | None:
        return facts_stated(journey, step, tone) if step != "thank_you" else Stated({"name", "amount_open"})

    found = lint(document_of(DEFAULT_POLICY), channels=CHANNELS, facts_stated=states_the_amount)
    assert [row.message for row in found] == ["its template states amount_open, which a relationship message may not"]


def test_a_template_that_lacks_a_language_or_a_softer_tone_is_refused() -> None:
    def without_french(journey: AnyJourney, step: str, tone: Tone) -> Stated | None:
        return Stated((), ("fr",)) if step == "how_is_it_going" else facts_stated(journey, step, tone)

    (found,) = lint(document_of(DEFAULT_POLICY), channels=CHANNELS, facts_stated=without_french)
    assert found.message == "its template in the tone gentle is not written in fr"
    assert errors_of([found]) == [found]

    def without_a_gentle_plan(journey: AnyJourney, step: str, tone: Tone) -> Stated | None:
        return None if (step, tone) == ("offer_plan", Tone.GENTLE) else facts_stated(journey, step, tone)

    found, *_ = lint(document_of(DEFAULT_POLICY), channels=CHANNELS, facts_stated=without_a_gentle_plan)
    assert "in the tone gentle, which it is softened to for some clients" in found.message


def test_facts_are_found_in_templates_and_what_they_include() -> None:
    stated = facts_stated(Journey.DELAY_SUPPORT, "offer_help", Tone.GENTLE)
    assert stated is not None
    assert {"amount_open", "due_date", "invoice_numbers"} <= set(stated.facts)
    assert stated.untranslated == ()
    assert facts_stated(Journey.DELAY_SUPPORT, "offer_help", Tone.FIRM) is None
