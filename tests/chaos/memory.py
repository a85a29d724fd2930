"""Where the memory of this process is: in Python's objects, in what C libraries hold, or free in the allocator's own hands."""

import ctypes
import gc
import sys
from typing import Final

_FIELDS: Final = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
_MIB: Final = 1024 * 1024


class _MallocInfo(ctypes.Structure):
    """What glibc's `mallinfo2` returns."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _FIELDS)


def memory_told() -> str:
    """Return counts of living objects and blocks, and what malloc has given out, keeps free, and has mapped, in MiB.

    Objects grow where something of ours is kept. Where they do not, and resident memory does, it is the allocators' own.
    """
    gc.collect()
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _MallocInfo
    info = mallinfo()
    given, free, mapped = (getattr(info, name) / _MIB for name in ("uordblks", "fordblks", "hblkhd"))
    return (
        f"objects {len(gc.get_objects()):,}, blocks {sys.getallocatedblocks():,},"
        f" malloc {given:.0f} MiB given, {free:.0f} MiB free, {mapped:.0f} MiB mapped"
    )
