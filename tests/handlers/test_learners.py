"""`rapport learners`: what is shown, and what is refused before anything is written to the log."""

from base64 import b64encode
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

import msgspec
import numpy as np
import pytest

from handlers.commands.learners.choosing import pinned, promoted, rolled_back
from handlers.commands.learners.desk import Stand, order
from handlers.commands.learners.telling import as_json, payback_lines, show_lines, table_of, written_with
from models.events.control import LearnerRole
from models.learners.judging import Judge, Series
from models.learners.lifetime import ValueTerms
from models.learners.published import LearnerSnapshot
from models.learners.snapshot import LatenessWeights, dump, libraries_of, load
from models.regime import NOTHING_ACTIVATED, Regime, regime_after
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from tests.models.examples import trained
from tests.models.renewal_examples import renewal_trained
from tests.streams.test_school import LOG, Desk

SETTINGS: Final = Settings()


@pytest.fixture(scope="module")
def versions() -> tuple[LearnerSnapshot, ...]:
    desk = Desk()
    desk.learn(LOG)
    return tuple(desk.snapshots())


def put(
    regime: Regime, snapshot: LearnerSnapshot | None, *, role: LearnerRole = LearnerRole.CHAMPION, pinned: bool = False
) -> Regime:
    event = order(SETTINGS, snapshot, learner="lateness", role=role, pinned=pinned, author="ann", reason="a test")
    return regime_after(regime, event.model_copy(update={"event_id": f"{event.event_id}-{len(regime.heard)}"}))


def test_the_list_names_each_version_its_worth_and_what_it_does(versions: tuple[LearnerSnapshot, ...]) -> None:
    regime = put(put(NOTHING_ACTIVATED, versions[1], pinned=True), versions[-1], role=LearnerRole.CHALLENGER)
    stand = Stand(versions, (regime, regime))
    lines = list(table_of(stand))
    assert len(lines) == 1 + len(versions)
    assert lines[2].startswith(versions[1].version)
    assert lines[2].endswith("champion, pinned")
    assert lines[-1].endswith("challenger")
    assert as_json(versions[1], stand)["role"] == "champion, pinned"
    assert "snapshot" not in as_json(versions[1], stand)


def test_an_active_version_that_left_the_topic_is_told(versions: tuple[LearnerSnapshot, ...]) -> None:
    stand = Stand(versions[1:], (put(NOTHING_ACTIVATED, versions[0]),))
    assert list(table_of(stand))[-1].startswith(f"{versions[0].version} decides")


def test_without_anything_active_the_rules_are_said_to_decide() -> None:
    lines = list(show_lines(Stand((), (NOTHING_ACTIVATED,)), None))
    assert lines[0] == "no learner of lateness is active: the plain rules decide"
    assert "no record yet" in lines[1]


def test_what_is_in_force_is_shown_with_its_record(versions: tuple[LearnerSnapshot, ...]) -> None:
    judge = Judge()
    for number in range(200):
        judge.live.see(0.25, late=number % 4 == 0)
        judge.rules.see(0.5, late=number % 4 == 0)
        judge.see_shadow("v9", 0.2, live=0.25, late=number % 4 == 0)
        judge.see_range(-2, 8, days_late=number % 10)
    regime = put(put(NOTHING_ACTIVATED, versions[0]), versions[1], role=LearnerRole.CHALLENGER)
    text = "\n".join(show_lines(Stand(versions, (regime, NOTHING_ACTIVATED), {"lateness": judge}), None))
    assert f"{versions[0].version} decides, activated by ann" in text
    assert f"{versions[1].version} is scored beside it" in text
    assert "partitions differ" in text
    assert "challenger v9" in text
    assert "90 % range of the pay date: held for 90.0%" in text
    assert "20%-30%      25.0%      24.9%" in text
    told = "\n".join(show_lines(Stand(versions, (regime,), {"lateness": judge}), versions[2]))
    assert f"{versions[2].version} (lateness)" in told
    assert "not in use" in told
    assert f"written with numpy {np.__version__}, river " in told
    assert told.count("as run here") == 1


def test_a_version_says_which_libraries_wrote_it_where_others_run_here_and_what_is_wrong_with_damaged_bytes() -> None:
    raw = dump(trained(40).publish())
    older = resealed(raw, {**libraries_of(raw), "numpy": "1.0"})
    assert libraries_of(older)["numpy"] == "1.0"
    assert written_with(older).startswith("written with numpy 1.0, ")
    assert written_with(older).endswith(f"; here runs numpy {np.__version__}")
    assert load(older, LatenessWeights) == load(raw, LatenessWeights)
    assert "damaged" in written_with(raw[:-1])


def resealed(raw: bytes, libraries: dict[str, str]) -> bytes:
    """Return the bytes as a machine with other libraries would have written them: magic, checksum, format, then the envelope."""
    kind, schema, _, body = msgspec.msgpack.decode(raw[20:])
    content = raw[19:20] + msgspec.msgpack.encode([kind, schema, libraries, body])
    return raw[:3] + blake2b(content, digest_size=16).digest() + content


def test_a_version_may_be_named_by_its_beginning_if_only_one_begins_so(versions: tuple[LearnerSnapshot, ...]) -> None:
    stand = Stand(versions, (NOTHING_ACTIVATED,))
    assert stand.version(versions[0].version) is versions[0]
    with pytest.raises(UsageError, match="several versions begin"):
        stand.version("lateness")
    with pytest.raises(UsageError, match="no version is called"):
        stand.version("renewal")


def test_a_version_of_another_feature_table_is_refused_with_the_fix(versions: tuple[LearnerSnapshot, ...]) -> None:
    other = versions[0].model_copy(update={"table": "0123456789ab"})
    with pytest.raises(UsageError, match=r"feature table 0123456789ab.*--afresh"):
        put(NOTHING_ACTIVATED, other)


def test_a_version_whose_bytes_are_not_its_own_is_refused(versions: tuple[LearnerSnapshot, ...]) -> None:
    strange = versions[0].model_copy(update={"snapshot": b64encode(dump(trained(40).publish())).decode()})
    with pytest.raises(UsageError, match="cannot be activated"):
        put(NOTHING_ACTIVATED, strange)


def test_the_auc_is_the_share_of_pairs_told_apart() -> None:
    series = Series()
    assert series.auc() is None
    for chance, late in ((0.1, False), (0.4, True), (0.4, False), (0.8, True)):
        series.see(chance, late=late)
    assert series.auc() == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    series.see(float("nan"), late=True)
    assert series.answers == 4


def test_orders_carry_the_time_of_the_firms_clock() -> None:
    event = order(SETTINGS, None, learner="lateness", role=LearnerRole.CHALLENGER, pinned=False, author="ann", reason="end")
    assert event.snapshot == ""
    assert event.received_at == event.occurred_at
    assert event.occurred_at > datetime(2024, 1, 1, tzinfo=UTC)


def test_payback_is_told_per_group_and_says_where_the_cost_of_winning_is_not_known() -> None:
    weights = renewal_trained(200).publish()
    header, firm, *groups = payback_lines(weights, ValueTerms(acquisition_of={"firm": 4_000, "segment:slow": 900}))
    assert "paid back after" in header
    assert firm.startswith("firm ")
    assert "months (" in firm
    told = {line.split()[0]: line for line in groups}
    assert "months" in told["segment:slow"]
    assert told["type:retainer"].endswith("what winning cost is not known")


def test_the_challenger_that_is_promoted_decides_and_challenges_no_more(versions: tuple[LearnerSnapshot, ...]) -> None:
    regime = put(put(NOTHING_ACTIVATED, versions[0]), versions[1], role=LearnerRole.CHALLENGER)
    told = promoted(SETTINGS, Stand(versions, (regime,)), "better", learner="lateness", anyway=False)
    for place, event in enumerate(told):
        regime = regime_after(regime, event.model_copy(update={"event_id": f"promoted-{place}"}))
    assert [(row.role, row.version, row.pinned) for row in regime.learners] == [
        (LearnerRole.CHAMPION, versions[1].version, False)
    ]
    with pytest.raises(UsageError, match="no challenger of lateness"):
        promoted(SETTINGS, Stand(versions, (regime,)), "better", learner="lateness", anyway=False)


def test_a_roll_back_goes_back_only_also_where_what_decides_has_left_the_topic(versions: tuple[LearnerSnapshot, ...]) -> None:
    stand = Stand(versions, (put(NOTHING_ACTIVATED, versions[1]),))
    (told,) = rolled_back(SETTINGS, stand, versions[0].version, "scores too high")
    assert (told.version, told.role, told.pinned, told.reason) == (
        versions[0].version,
        LearnerRole.CHAMPION,
        True,
        "scores too high",
    )
    old = put(NOTHING_ACTIVATED, versions[0])
    for later, held in ((versions[1], stand), (versions[2], stand), (versions[1], Stand(versions[1:], (old,)))):
        with pytest.raises(UsageError, match="is not older than"):
            rolled_back(SETTINGS, held, later.version, "back")


def test_a_pin_keeps_what_decides_and_no_other_version_after_a_failed_check(versions: tuple[LearnerSnapshot, ...]) -> None:
    stand = Stand(versions, (put(NOTHING_ACTIVATED, versions[1]),), distrusted="late_share is off")
    (told,) = pinned(SETTINGS, stand, None, "audit", learner="lateness", anyway=False)
    assert (told.version, told.pinned) == (versions[1].version, True)
    with pytest.raises(UsageError, match="late_share is off"):
        pinned(SETTINGS, stand, versions[2].version, "audit", learner="lateness", anyway=False)
    with pytest.raises(UsageError, match="name a version to pin"):
        pinned(SETTINGS, Stand(versions, (NOTHING_ACTIVATED,)), None, "audit", learner="lateness", anyway=False)
