"""Words that no message of a firm may say to a client, and the way out that every message about late money must offer."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from handlers.channels.phrases import ENGLISH
from handlers.channels.promotion import promotional

_THREATS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        ENGLISH: re.compile(
            r"(?i)\b(debt collect\w*|collection agency|collections|legal (?:action|steps|proceedings)|lawyers?|court|penalt\w+"
            r"|immediately|final (?:notice|warning|demand)|last warning|fail(?:ed|ure) to)\b"
        ),
        "de": re.compile(
            r"(?i)\b(inkasso\w*|rechtliche (?:schritte|maßnahmen)|rechtsanw\w+|gericht\w*|mahnbescheid\w*|strafe\w*|unverzüglich"
            r"|sofort|letzte (?:mahnung|warnung|aufforderung)|versäum\w+)\b"
        ),
        "fr": re.compile(
            r"(?i)\b(recouvrement|huissiers?|avocats?|tribuna\w+|poursuites?|pénalités?|immédiatement|mise en demeure"
            r"|dernier (?:avis|avertissement|rappel))\b"
        ),
        "es": re.compile(
            r"(?i)\b(agencia de cobros?|acciones legales|vía judicial|abogad\w+|tribuna\w+|juzgado|penaliza\w+|inmediatamente"
            r"|morosidad|último (?:aviso|requerimiento))\b"
        ),
    }
)
_WAY_OUT: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        ENGLISH: re.compile(r"(?i)\b(plan|instalments?|smaller|(?:(?:an)?other|later|different) (?:date|day)s?)\b"),
        "de": re.compile(r"(?i)(\bplan|\braten|teilzahl|kleiner|ander\w+ (?:tag|termin|datum)|später)"),
        "fr": re.compile(r"(?i)(échéancier|\bplan\b|plusieurs fois|autres? (?:date|jour)|ultérieure|plus tard|plus petit)"),
        "es": re.compile(r"(?i)(\bplan\b|plazos|otr[oa]s? (?:fecha|día)|más tarde|más adelante|posterior|más pequeñ|menores)"),
    }
)


def unmannerly(source: str, language: str, *, servicing: bool, short: bool = False) -> Iterator[tuple[int, str, str]]:
    """Yield line, what is wrong with the words of a template to clients in `language`, and the fix; `short` are text messages."""
    for number, line in enumerate(source.splitlines(), 1):
        threat = _THREATS[language].search(line) if servicing else None
        if threat:
            yield number, f"{threat[0]!r} presses or threatens", "say what would help, and leave what happens else to people"
    for number, words in promotional(source, language) if servicing else ():
        message = f"a servicing message must not promote anything ({words!r}): consent for one is none for the other"
        yield number, message, "make it a step of its own, with its own purpose"
    if servicing and not short and not _WAY_OUT[language].search(source):
        yield 1, "it offers no way out", "offer another date, or smaller payments"
