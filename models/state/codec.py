"""Bytes of a client's state: one byte of schema version, then msgpack of the array-like structs.

New fields go to the end of a struct with a default, so older bytes stay readable. Anything else raises the version and brings
a reader of the old form.
"""

from typing import Final

import msgspec

from models.state.client import ClientState

SCHEMA_VERSION: Final = 1
_PREFIX: Final = bytes([SCHEMA_VERSION])
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(ClientState)


class UnreadableStateError(ValueError):
    """The bytes are no client state this release can read."""


def encode(state: ClientState) -> bytes:
    """Return the bytes of `state`; equal states give equal bytes."""
    return _PREFIX + _ENCODER.encode(state)


def decode(raw: bytes) -> ClientState:
    """Return the state written in `raw`. Raises UnreadableStateError for other versions and for damaged bytes."""
    if raw[:1] != _PREFIX:
        found = raw[0] if raw else "none (empty value)"
        message = (
            f"client state has schema version {found}, this release reads {SCHEMA_VERSION}: "
            "run the release that wrote it, or rebuild the state from the client log"
        )
        raise UnreadableStateError(message)
    try:
        return _DECODER.decode(memoryview(raw)[1:])
    except msgspec.MsgspecError as error:
        message = f"client state is damaged ({error}): rebuild it from the client log"
        raise UnreadableStateError(message) from error
