"""Codec, description, size, windows."""

from pathlib import Path
from typing import Final

import msgspec
import pytest

from models.events.payments import DeclineKind
from models.state.client import ClientState
from models.state.closing import TYPICAL_BYTES
from models.state.codec import UnreadableStateError, decode, encode
from models.state.describe import describe, describe_change
from models.state.habits import Asked, Habits, Watch, last_question, questions_of
from models.state.history import cadence, decline_streak, money_in, next_retry_ms
from tests.bench.bench_transition import a_year
from tests.models.builders import Events, ms
from tests.models.views import final, fold

GOLDEN: Final = Path(__file__).with_name("golden")
HABITS: Final = ClientState.__struct_fields__.index("habits")
WATCHES: Final = Habits.__struct_fields__.index("watches")
ASKED: Final = Watch.__struct_fields__.index("asked")
FEATURES: Final = Asked.__struct_fields__.index("features")


def test_an_unknown_version_is_refused_with_the_fix() -> None:
    raw = encode(ClientState("c"))
    with pytest.raises(UnreadableStateError, match="schema version 9, this release reads 1 and 2"):
        decode(b"\x09" + raw[1:])
    with pytest.raises(UnreadableStateError, match="none \\(empty value\\)"):
        decode(b"")
    with pytest.raises(UnreadableStateError, match="damaged"):
        decode(raw[:-3])
    with pytest.raises(UnreadableStateError, match="damaged"):
        decode(raw[:4] + raw[:8])


def test_bytes_that_claim_to_be_longer_or_shorter_than_they_are_are_refused() -> None:
    raw = encode(final(a_year("client-1")))
    with pytest.raises(UnreadableStateError, match="damaged"):
        decode(raw[:1] + b"\x00\x00\x05" + raw[4:])
    with pytest.raises(UnreadableStateError, match="damaged"):
        decode(raw[:1] + b"\xff\xff\xff" + raw[4:40])


def test_a_state_of_an_older_release_with_fewer_fields_is_read() -> None:
    assert decode(b"\x01\x91\xa1c") == ClientState("c")


def test_a_state_written_before_states_were_compressed_is_read_with_all_its_questions() -> None:
    raw = GOLDEN.joinpath("state_1.bin").read_bytes()
    state = decode(raw)
    assert decode(encode(state)) == state
    written = msgspec.msgpack.decode(raw[1:])[HABITS][WATCHES]
    read = [[row.features for row in questions_of(watch)] for watch in state.habits.watches]
    assert read == [[row[FEATURES] for row in watch[ASKED]] for watch in written]
    assert max(map(len, read)) > 2


def test_the_last_question_of_a_watch_is_read_like_the_others() -> None:
    for watch in final(a_year("client-1")).habits.watches:
        assert last_question(watch) == questions_of(watch)[-1]


def test_each_term_of_the_exposure_is_visible() -> None:
    build = Events()
    state = final(
        [
            build.issued(0, "I1", 100_000, due=5),
            build.issued(0.1, "I2", 50_000, due=6),
            build.issued(0.2, "I3", 30_000, due=7),
            build.paid(1, "P1", 20_000, "I1"),
            build.credit(1.1, "C1", 10_000, "I1"),
            build.paid(1.2, "P2", 5_000, None),
            build.disputed(1.3, "D1", "I1", minor=15_000),
            build.promised(1.4, "Y1", "I2", by=9),
            build.pending(1.5, "P3", 25_000, "I3", expected=3),
        ]
    )
    lines = describe(state)
    assert lines[1] == (
        "exposure 550.00 EUR = 1800.00 EUR open - 200.00 EUR part paid - 100.00 EUR credits - 50.00 EUR unapplied"
        " - 150.00 EUR disputed - 500.00 EUR promised - 250.00 EUR in flight"
    )


@pytest.mark.parametrize(
    ("paid", "said"), [(2, "usually 8 days before due"), (10, "usually on the day it is due"), (14, "usually 4 days after due")]
)
def test_when_a_client_usually_pays_is_told_without_signs(paid: float, said: str) -> None:
    build = Events()
    assert f"paid late: 0 of 1, {said}" in describe(final([build.issued(0, due=10), build.paid(paid)]))


def test_a_change_is_told_in_plain_words() -> None:
    build = Events()
    before = final([build.issued(0)])
    after = final([build.issued(0), build.paid(1, minor=40_000)])
    assert describe_change(before, after) == ["part paid: 0.00 EUR -> 400.00 EUR", "exposure: 1000.00 EUR -> 600.00 EUR"]
    assert describe_change(None, before)[0] == "client-1 is known from now on"
    settled = final([build.issued(0), build.paid(1)])
    assert "nothing is open in EUR any more" in describe_change(before, settled)
    assert describe_change(settled, settled) == []


def test_an_erased_client_is_described_in_one_line() -> None:
    build = Events()
    assert describe(final([build.profiled(0), build.erased(1)])) == ["client-1: erased on 2024-01-09; nothing else is kept"]


def test_the_story_of_a_client_reads_well() -> None:
    build = Events()
    state = final(
        [
            build.profiled(0),
            build.contract(0.1, renews=200),
            build.issued(1, "I1", due=5),
            build.failed(2, "F1"),
            build.hold(3, until=40),
            build.consent(3.1),
        ]
    )
    text = "\n".join(describe(state))
    for words in (
        "Ada Example",
        "due 2024-01-13",
        "override by sam",
        "refuses servicing",
        "renews 2024-07-26",
        "declined attempts",
    ):
        assert words in text


@pytest.mark.parametrize(("per_month", "limit"), [(1, TYPICAL_BYTES), (2, 2.75 * 1024)])
def test_a_year_of_a_typical_client_fits_in_two_kilobytes_at_every_moment(per_month: int, limit: float) -> None:
    largest = max(len(encode(result.state)) for result in fold(a_year("client-1", per_month=per_month)))
    assert largest < limit


def test_cadence_and_declines_are_read_from_the_state() -> None:
    build = Events()
    state = final(
        [
            *(build.paid(day, f"P{day}", 1_000, None) for day in (0, 10, 20, 40)),
            build.failed(41, "F1", retry=44),
            build.failed(42, "F2", retry=45),
        ]
    )
    rhythm = cadence(state)
    assert rhythm is not None
    assert rhythm.median_gap == 10.0
    assert decline_streak(state) == 2
    assert next_retry_ms(state) == ms(45)
    assert money_in(state, "EUR", days=90) == (4, 4_000)
    paid = final([build.failed(1, "F1", retry=9), build.paid(2, "P1", 1_000, None)])
    assert next_retry_ms(paid) is None


def test_what_was_declined_for_good_is_not_tried_again_whatever_day_is_named() -> None:
    build = Events()
    log = [build.failed(1, "F1", retry=9), build.failed(2, "F2", retry=10, decline=DeclineKind.HARD)]
    assert next_retry_ms(final(log[:1])) == ms(9)
    assert next_retry_ms(final(log)) is None
