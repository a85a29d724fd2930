"""Ids that the local stack gives to Kafka."""

import base64

from hypothesis import example, given
from hypothesis import strategies as st

from handlers.stack.kafka import uuid_of


@given(st.binary(min_size=16, max_size=16))
@example(bytes([0b11111000] * 16))  # 62 first: a dash
def test_an_id_is_sixteen_bytes_that_no_tool_takes_for_an_option(drawn: bytes) -> None:
    text = uuid_of(drawn.hex())
    assert not text.startswith("-")
    assert len(base64.urlsafe_b64decode(f"{text}==")) == 16
    assert text[1:] == base64.urlsafe_b64encode(drawn).decode()[1:22]
