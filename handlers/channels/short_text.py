"""Text messages: how many parts a text takes, and the limit that keeps them short.

A part holds 160 characters of the GSM 7-bit alphabet (3GPP TS 23.038) or 70 UTF-16 units of anything else; parts that belong
together hold 153 or 67, as the rest says where they belong.
"""

import unicodedata
from typing import Final

from handlers.channels.contract import Content, ContentError

SMS: Final = "sms"
MOST_SEGMENTS: Final = 2

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("^{}\\[~]|€")  # an escape and a character: two places
_KNOWN: Final = _BASIC | _EXTENDED
_GSM_ONE, _GSM_MANY = 160, 153
_WIDE_ONE, _WIDE_MANY = 70, 67
_PLAIN: Final = str.maketrans(
    {
        "\N{NO-BREAK SPACE}": " ",
        "\N{NARROW NO-BREAK SPACE}": " ",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{EN DASH}": "-",
        "\N{MINUS SIGN}": "-",
    }
)


def segments(text: str) -> int:
    """Return how many parts `text` is sent and charged as; 0 for none."""
    if set(text) <= _BASIC | _EXTENDED:
        places = sum(2 if char in _EXTENDED else 1 for char in text)
        one, many = _GSM_ONE, _GSM_MANY
    else:
        places = len(text.encode("utf-16-le")) // 2
        one, many = _WIDE_ONE, _WIDE_MANY
    if places <= one:
        return min(places, 1)
    return -(-places // many)


def plain_letters(text: str) -> str:
    """Return `text` with letters the basic alphabet lacks written without their accents, where that makes all of it basic.

    One `í` would otherwise more than double the parts. Other scripts stay as they are.
    """
    bare = "".join(char if char in _KNOWN else _without_accents(char) for char in text)
    return bare if set(bare) <= _KNOWN else text


def _without_accents(char: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part))


def short_content(rendered: str) -> Content:
    """Return the text message of a rendered template: one paragraph. Raises ContentError when it is empty or too long."""
    text = plain_letters(" ".join(rendered.translate(_PLAIN).split()))
    parts = segments(text)
    if not 0 < parts <= MOST_SEGMENTS:
        message = f"a text message has 1 to {MOST_SEGMENTS} parts, this one {parts} ({len(text)} characters)"
        raise ContentError(message)
    return Content(subject="", text=text, html="")
