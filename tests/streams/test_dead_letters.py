from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.errors import DeadLetterError
from streams.wire.dead_letters import DeadLetter, Reason, marker_headers, read_dead_letter, settled_by
from streams.wire.records import PlainRecord

ARRIVED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Headers = tuple[tuple[str, bytes], ...]

headers = st.lists(
    st.tuples(st.sampled_from(["source", "received_at", "orig.x", "stage", "x"]), st.binary(max_size=9)), max_size=4
).map(tuple)


def record(value: bytes | None, own: Headers, *, key: bytes | None = b"k") -> PlainRecord:
    stamp = int(ARRIVED.timestamp() * 1000)
    return PlainRecord(topic="t.webhooks", partition=3, offset=17, timestamp=stamp, key=key, value=value, headers=own)


def letter_of(failed: PlainRecord, detail: str = "why") -> DeadLetter:
    return DeadLetter.of(failed, DeadLetterError(Reason.NO_CLIENT, detail), stage="intake", src_topic="webhooks")


def on_topic(letter: DeadLetter) -> PlainRecord:
    return PlainRecord(
        topic="dead.letters", partition=0, offset=5, timestamp=0, key=letter.key, value=letter.value, headers=letter.to_headers()
    )


@given(value=st.binary(max_size=50), key=st.none() | st.binary(max_size=9), own=headers, detail=st.text(max_size=600))
def test_what_is_kept_of_a_record_is_read_back_whole(value: bytes, key: bytes | None, own: Headers, detail: str) -> None:
    back = read_dead_letter(on_topic(letter_of(record(value, own, key=key), detail)))
    assert (back.key, back.value, back.headers) == (key, value, own)
    assert (back.src_topic, back.src_partition, back.src_offset) == ("webhooks", 3, 17)
    assert (back.stage, back.reason, back.first_seen) == ("intake", "no_client", ARRIVED)
    assert len(back.detail) <= 500


@given(own=headers)
def test_a_record_that_was_driven_again_keeps_its_headers_and_when_it_was_first_seen(own: Headers) -> None:
    letter = letter_of(record(b"{}", own))
    returned = letter.redriven_headers("0:5")
    assert [pair for pair in returned if pair[0] not in {"redriven", "first_seen"}] == list(own)
    later = PlainRecord(
        topic="webhooks",
        partition=0,
        offset=99,
        timestamp=int((ARRIVED + timedelta(days=3)).timestamp() * 1000),
        key=b"k",
        value=b"{}",
        headers=returned,
    )
    again = letter_of(later)
    assert again.first_seen == ARRIVED
    assert dict(again.redriven_headers("0:8"))["redriven"] == b"0:8"
    assert len(again.redriven_headers("0:8")) == len(returned)


def test_a_marker_names_the_letter_it_is_about_and_is_none_itself() -> None:
    said = marker_headers("0:5", at=ARRIVED, actor="ana", note="mended")
    marker = PlainRecord(topic="dead.letters", partition=0, offset=6, timestamp=0, key=None, value=b"", headers=said)
    assert settled_by(marker) == ("0:5", "redrive")
    assert settled_by(on_topic(letter_of(record(b"{}", ())))) is None
    with pytest.raises(DeadLetterError):
        read_dead_letter(marker)


@pytest.mark.parametrize("name", ["stage", "reason", "src_partition", "first_seen"])
def test_a_record_without_the_headers_is_no_dead_letter(name: str) -> None:
    kept = [pair for pair in letter_of(record(b"{}", ())).to_headers() if pair[0] != name]
    stranger = PlainRecord(topic="dead.letters", partition=0, offset=6, timestamp=0, key=None, value=b"", headers=kept)
    with pytest.raises(DeadLetterError) as raised:
        read_dead_letter(stranger)
    assert raised.value.reason == Reason.BAD_HEADERS
