"""Derived identifiers: the same facts always give the same id, on every machine and in every replay."""

from hashlib import blake2b

ID_BYTES = 16  # 128 bits: a collision among 10^12 ids has a chance of about 10^-15


def derive(kind: str, /, *parts: str | int) -> str:
    """Return a stable 32-digit hexadecimal id for `parts`, separated by `kind`.

    Parts are length-prefixed before hashing, so `("ab", "c")` and `("a", "bc")` differ.
    """
    digest = blake2b(digest_size=ID_BYTES, person=kind.encode()[:16])
    for part in parts:
        raw = str(part).encode()
        digest.update(len(raw).to_bytes(4, "big"))
        digest.update(raw)
    return digest.hexdigest()
