from dataclasses import fields, replace
from datetime import date, time
from types import MappingProxyType
from typing import Any

from models.policy.audiences import Audience, Between, Figure, OneOf, Trait
from models.policy.causes import Cause
from models.policy.document import document_of, policy_of
from models.policy.experiments import Arm, Experiment
from models.policy.freshness import MaxAge
from models.policy.guides import Guide, Resource
from models.policy.holdout import Holdout
from models.policy.offers import Offers, Terms, Way
from models.policy.policy import DEFAULT_POLICY, ApprovalRules, Policy, stamped
from models.policy.version import content_version
from models.state.client import Segment
from models.triggers import Journey, Tone
from models.workdays import Window
from streams.wire.policy_file import default_policy_text, read_policy, write_policy

OTHERS: dict[str, Any] = {
    "zone": "Asia/Kathmandu",
    "window": Window(time(9, 30), time(16), frozenset({1, 5})),
    "channel_windows": MappingProxyType(
        {"sms": Window(time(10), time(16, 30), frozenset({2})), "phone": Window(time(9), time(12))}
    ),
    "holidays": MappingProxyType({"NO": frozenset({date(2026, 5, 17)}), "IE": frozenset({date(2026, 3, 17)})}),
    "priority": (*DEFAULT_POLICY.priority[:2], *reversed(DEFAULT_POLICY.priority[2:])),
    "internal_channels": frozenset({"console", "email"}),
    "fallback_channels": ("portal", "sms"),
    "segment_grace": MappingProxyType({Segment.RELIABLE: 5, Segment.SLOW: 4}),
    "small_share": 0.25,
    "contact_costs": MappingProxyType({"sms": 0.1, "task": 15.0}),
    "high_value_ratio": 2.5,
    "segments": replace(DEFAULT_POLICY.segments, new_days=10),
    "patterns": replace(DEFAULT_POLICY.patterns, gap_ratio=2.5),
    "renewal_early_below": 0.4,
    "renewal_options": ("later", "same"),
    "renewal_unlikely_below": 0.4,
    "renewal_more_from": 0.2,
    "value": replace(DEFAULT_POLICY.value, margin=0.5, acquisition_of={"segment:slow": 900}),
    "max_age": MaxAge(30, 60, 10, 45, 180),
    "rfm": replace(DEFAULT_POLICY.rfm, frequency=(1, 2, 3)),
    "holdout": Holdout(2.5, MappingProxyType({Journey.RENEWAL: 5.0}), "other", rotate_months=12),
    "journeys": replace(DEFAULT_POLICY.journeys, renewal=DEFAULT_POLICY.journeys.renewal[:1]),
    "approval": ApprovalRules(
        25_000, ("client-7",), 30, on_abstention=True, first_sends=20, wait_days=3, channel="console", audiences=("key",)
    ),
    "audiences": (
        Audience(
            "key",
            "large and old",
            (Between(Figure.OPEN_UNITS, 5.0), OneOf(Trait.COUNTRY, ("NO",))),
            (Between(Figure.DISPUTES, None, 1.0),),
        ),
    ),
    "offers": Offers(
        {segment: Terms(frozenset({Way.PLAN, Way.CONTACT}), 3, 30, 500) for segment in Segment},
        {Cause.CASH: frozenset({Way.PLAN, Way.CONTACT})},
    ),
    "guides": (
        Guide(
            (Segment.NEW,),
            ("Steuern & Räte",),
            (Resource("So fangen wir an", "https://firm.example/start"),),
            "https://firm.example/talk",
            "Žofia 山田",
            Window(time(9), time(17)),
            "Asia/Kathmandu",
        ),
    ),
    "experiments": (
        Experiment(
            "later",
            "three days more do no harm",
            Journey.DELAY_SUPPORT,
            "friendly_note",
            (Arm("at_once", 2), Arm("later", tone=Tone.EDUCATIONAL, channel="sms", wait_days=3, words="offer_help")),
            segments=(Segment.RELIABLE,),
            horizon_days=45,
        ),
    ),
}


def test_the_shipped_yaml_says_what_the_default_policy_does() -> None:
    document = read_policy(default_policy_text(), name="default.yaml").document
    assert policy_of(document) == DEFAULT_POLICY
    assert document_of(policy_of(document)) == document_of(DEFAULT_POLICY)


def test_the_shipped_yaml_leaves_nothing_but_the_zone_to_a_default() -> None:
    document = read_policy(default_policy_text(), name="default.yaml").document
    assert document.model_fields_set >= set(type(document).model_fields)
    for section in (document.support, document.onboarding, document.renewal, document.segments, document.rfm, document.journeys):
        assert section.model_fields_set == set(type(section).model_fields)
    assert document.contact.model_fields_set == set(type(document.contact).model_fields) - {"zone"}


def test_every_number_of_a_policy_can_be_written_down_and_changes_its_version() -> None:
    versions = {DEFAULT_POLICY.version}
    for field in fields(Policy):
        if field.name == "version":
            continue
        known = getattr(DEFAULT_POLICY, field.name)
        number = known + 1 if isinstance(known, int) else None
        other: Any = OTHERS.get(field.name, not known if isinstance(known, bool) else number)
        assert other is not None, f"give an example of another {field.name}"
        changed = stamped(replace(DEFAULT_POLICY, **{field.name: other}))
        written = read_policy(write_policy(document_of(changed)), name="changed.yaml").document
        assert policy_of(written) == changed, f"add {field.name} to the document: models/policy/document.py"
        versions.add(changed.version)
    assert len(versions) == len(fields(Policy))


def test_a_version_is_the_declared_name_and_a_digest_whatever_is_stamped_how_often() -> None:
    named = stamped(replace(DEFAULT_POLICY, version="spring"))
    assert named.version.partition("+")[0] == "spring"
    assert named.version.partition("+")[2] == DEFAULT_POLICY.version.partition("+")[2]
    assert stamped(named) == named


def test_a_field_that_came_later_changes_no_version_where_a_policy_says_nothing_of_it() -> None:
    later = {"audiences", "guides", "offers", "guess_causes", "max_age", "segment_grace", "contact_costs"}
    later |= {"renewal_options", "renewal_unlikely_below", "renewal_more_from"}
    told = {row.name: getattr(DEFAULT_POLICY, row.name) for row in fields(Policy)}
    before = {name: value for name, value in told.items() if name not in later}
    assert content_version(DEFAULT_POLICY.version, before) == DEFAULT_POLICY.version
    # Only what changes the default itself may change this, and then on purpose: a new field goes into models.policy.version.
    assert DEFAULT_POLICY.version == "2026.1+526c7148"


def test_what_is_left_out_is_the_default() -> None:
    short = read_policy("version: short\ncontact:\n  min_gap_days: 9\n", name="short.yaml").document
    assert policy_of(short) == stamped(replace(DEFAULT_POLICY, version="short", min_gap_days=9))


def test_the_firms_zone_holds_where_the_document_names_none() -> None:
    silent = read_policy("version: a\n", name="a.yaml").document
    named = read_policy("version: a\ncontact: {zone: Europe/Paris}\n", name="a.yaml").document
    assert policy_of(silent, home_zone="Asia/Tokyo").zone == "Asia/Tokyo"
    assert policy_of(named, home_zone="Asia/Tokyo").zone == "Europe/Paris"
