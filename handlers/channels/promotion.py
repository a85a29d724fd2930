"""What makes a message an offer to buy: a few words in each language, and links that lead to one. Pure.

Promotion has a purpose, a consent and facts of its own. What a servicing message may state is held by its facts already; this
finds what its words carry along. The lists name offers, not money: an amount, a plan or a way to pay is no promotion.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from handlers.channels.phrases import ENGLISH

_WORDS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        ENGLISH: re.compile(
            r"(?i)\b(discounts?|upgrad(?:e|es|ing)|upsell\w*|cross-sell\w*|(?:special|limited|exclusive|introductory) offers?"
            r"|newsletters?|promotion(?:s|al)?|promo codes?|vouchers?|new services?|our (?:other|new) services|price lists?"
            r"|(?:new|better|lower|special|great) prices?|pricing|free trials?|buy (?:now|more|one)|order now|\d+ ?% off)\b"
        ),
        "de": re.compile(
            r"(?i)\b(rabatt\w*|(?:sonder|einführungs|exklusiv)angebot\w*|upgrade\w*|newsletter\w*|werb(?:ung|eaktion\w*)"
            r"|gutschein\w*|neue[nrs]? (?:dienst)?leistung(?:en)?|neue[nr]? services?|weitere(?:n|r)? (?:leistungen|services)"
            r"|(?:aktions|sonder)preis\w*|preisliste\w*|(?:neue|günstigere|bessere) preise|kostenlos testen"
            r"|jetzt (?:kaufen|bestellen|buchen))\b"
        ),
        "fr": re.compile(
            r"(?i)\b(remises?|rabais|offres? (?:spéciales?|exclusives?|limitées?|promotionnelles?)|promotions?|code promo"
            r"|newsletter|lettre d.information|nouve(?:au|aux|lle|lles) (?:services?|prestations?)|nos autres services"
            r"|(?:nouveaux|meilleurs) (?:prix|tarifs)|essai gratuit|achetez|commandez|montée en gamme)\b"
        ),
        "es": re.compile(
            r"(?i)\b(descuentos?|rebajas?|ofertas? (?:especial(?:es)?|exclusivas?|limitadas?)|promoci(?:ón|ones)|boletín"
            r"|newsletter|cup(?:ón|ones)|nuevos? servicios?|nuestros otros servicios|(?:nuevos|mejores) precios|lista de precios"
            r"|prueba gratuita|compre|contrate (?:ya|ahora))\b"
        ),
    }
)
_LINKS: Final = re.compile(
    r"(?i)\b(?:https?://|www\.)\S*(?:utm_|[/.?=&_-](?:shop|store|pricing|prices?|preise|tarifs?|precios|upgrade|offers?"
    r"|angebote?|offres?|ofertas?|promo\w*|newsletter|campaign|discount))\S*"
)


def promotional(text: str, language: str) -> Iterator[tuple[int, str]]:
    """Yield line and words of what promotes something in a text to clients in `language`; of one line the first."""
    for number, line in enumerate(text.splitlines(), 1):
        found = _LINKS.search(line) or _WORDS[language].search(line)
        if found:
            yield number, found[0]
