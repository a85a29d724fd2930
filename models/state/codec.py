"""Bytes of a client's state: one byte of schema version, then the compressed msgpack of the array-like structs.

New fields go to the end of a struct with a default, so older bytes stay readable. Anything else raises the version and brings
a reader of the old form. Compression is zstd with a dictionary of typical states (`models.state.dictionary`): it knows what every
state repeats and costs less time than it saves on the way to Redis and back. A new dictionary is a new version too.
"""

from threading import local
from typing import Final

import msgspec
from msgspec.structs import replace
from zstandard import (
    FORMAT_ZSTD1_MAGICLESS,
    ZstdCompressionDict,
    ZstdCompressionParameters,
    ZstdCompressor,
    ZstdDecompressor,
    ZstdError,
)

from models.state.client import ClientState
from models.state.dictionary import TYPICAL
from models.state.habits import against_the_first

SCHEMA_VERSION: Final = 2
PLAIN_VERSION: Final = 1
"""Not compressed, and the features of every question in full."""

_LEVEL: Final = -1  # of the levels tried, the last whose next step costs more time than its bytes are worth
_TYPICAL_BYTES: Final = 4096
_LENGTH: Final = 3
_HEAD: Final = 1 + _LENGTH
_MOST: Final = 256**_LENGTH - 1
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(ClientState)


class UnreadableStateError(ValueError):
    """The bytes are no client state this release can read."""


class _Press(local):
    """Compressor and decompressor of one thread: they keep their tables between states and must not be shared."""

    def __init__(self) -> None:
        known = ZstdCompressionDict(TYPICAL)
        # Without magic number, sizes and checksum: twelve bytes of each state that say what is known anyway.
        chosen = ZstdCompressionParameters.from_level(
            _LEVEL,
            source_size=_TYPICAL_BYTES,
            dict_size=len(TYPICAL),
            format=FORMAT_ZSTD1_MAGICLESS,
            write_content_size=False,
            write_checksum=False,
            write_dict_id=False,
        )
        known.precompute_compress(compression_params=chosen)
        self.shrink = ZstdCompressor(dict_data=known, compression_params=chosen).compress
        self.grow = ZstdDecompressor(dict_data=known, format=FORMAT_ZSTD1_MAGICLESS).decompress


_PRESS: Final = _Press()


def encode(state: ClientState) -> bytes:
    """Return the bytes of `state`; equal states give equal bytes."""
    plain = _ENCODER.encode(state)
    return (SCHEMA_VERSION << 8 * _LENGTH | len(plain)).to_bytes(_HEAD, "big") + _PRESS.shrink(plain)


def decode(raw: bytes) -> ClientState:
    """Return the state written in `raw`. Raises UnreadableStateError for other versions and for damaged bytes."""
    found = raw[0] if raw else None
    try:
        if found == SCHEMA_VERSION:
            return _DECODER.decode(_PRESS.grow(raw[_HEAD:], max_output_size=int.from_bytes(raw[1:_HEAD], "big")))
        if found == PLAIN_VERSION:
            return _renewed(_DECODER.decode(memoryview(raw)[1:]))
    except (msgspec.MsgspecError, ZstdError) as error:
        message = f"client state is damaged ({error}): rebuild it from the client log"
        raise UnreadableStateError(message) from error
    message = (
        f"client state has schema version {'none (empty value)' if found is None else found}, this release reads "
        f"{PLAIN_VERSION} and {SCHEMA_VERSION}: run the release that wrote it, or rebuild the state from the client log"
    )
    raise UnreadableStateError(message)


def _renewed(state: ClientState) -> ClientState:
    """Return the state of a plain blob as this release keeps it."""
    habits = state.habits
    if not any(len(watch.asked) > 1 for watch in habits.watches):
        return state
    return replace(state, habits=replace(habits, watches=tuple(map(against_the_first, habits.watches))))
