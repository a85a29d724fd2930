"""`rapport` as a release to come: its client states carry a schema version that this release has never heard of.

`python -m tests.chaos.next_release COMMAND` knows every command. As a new release must, it also reads what this one writes.
"""

from typing import Final

from models.state import codec
from models.state.client import ClientState

NEXT_VERSION: Final = bytes((codec.SCHEMA_VERSION + 1,))
_encode, _decode = codec.encode, codec.decode


def encode(state: ClientState) -> bytes:
    """Return the bytes that only the release to come can read."""
    return NEXT_VERSION + _encode(state)


def decode(raw: bytes) -> ClientState:
    """Return the state in `raw`, whichever of the two releases wrote it."""
    return _decode(raw.removeprefix(NEXT_VERSION))


def main() -> None:
    """Be the release to come, and do what the command line says."""
    codec.encode, codec.decode = encode, decode  # before anything that encodes has been imported
    from handlers.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
