"""What is written to a terminal: letters, never orders. Names come from strangers, and terminals obey control characters."""

import re
from io import TextIOWrapper
from typing import Final

_ORDERS: Final = re.compile(r"[\x00-\x08\x0b-\x0d\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters save tab and new line, and those that turn the direction of what stands around them."""

_OURS: Final = re.compile(r"\r|\x1b\[[0-9;]*[mAKG]|\x1b\[\?25[hl]")
"""Colours and the lines that show progress, which only a terminal gets. Nothing in it reaches a title, a clipboard or a file."""

_SHOWN: Final = "\N{REPLACEMENT CHARACTER}"


class PlainWriter(TextIOWrapper):
    """A text stream that shows a sign in the place of each control character that is not Rapport's own."""

    def write(self, text: str, /) -> int:
        """Write `text` without orders; returns its length, as the caller knows it."""
        super().write(plain(text, colours=self.isatty()) if _ORDERS.search(text) else text)
        return len(text)


def plain(text: str, *, colours: bool) -> str:
    """Return `text` with a sign in the place of each control character; with `colours`, what colours and moves lines stays."""
    if not colours:
        return _ORDERS.sub(_SHOWN, text)
    told, last = [], 0
    for own in _OURS.finditer(text):
        told += [_ORDERS.sub(_SHOWN, text[last : own.start()]), own[0]]
        last = own.end()
    return "".join((*told, _ORDERS.sub(_SHOWN, text[last:])))


def made_plain(stream: TextIOWrapper) -> PlainWriter:
    """Return a plain writer in the place of `stream`, which is of no use any more; letters that its encoding lacks become `?`."""
    encoding, at_lines, at_once = stream.encoding, stream.line_buffering, stream.write_through
    stream.flush()
    return PlainWriter(stream.detach(), encoding=encoding, errors="replace", line_buffering=at_lines, write_through=at_once)
